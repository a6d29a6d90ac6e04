"""Opaque numbers of the groups in which raters came."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER groupnumbers_never_changes BEFORE UPDATE OR DELETE ON annotations_groupnumbers
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER groupnumbers_is_not_emptied BEFORE TRUNCATE ON annotations_groupnumbers
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
"""
BACKWARD = """
DROP TRIGGER groupnumbers_is_not_emptied ON annotations_groupnumbers;
DROP TRIGGER groupnumbers_never_changes ON annotations_groupnumbers;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('annotations', '0009_vote_by_time'),
        ('arena', '0014_marks'),
    ]

    operations = [
        migrations.CreateModel(
            name='GroupNumbers',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.PositiveIntegerField(help_text="In the order in which the study's raters first voted, from 0 up.")),
                ('connection', models.PositiveIntegerField(blank=True, help_text='The place of the first rater who came over it; empty where unknown.', null=True)),
                ('network', models.PositiveIntegerField(blank=True, null=True)),
                ('device', models.PositiveIntegerField(blank=True, null=True)),
                ('rater', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='group_numbers', to='arena.rater')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='group_numbers', to='arena.study')),
            ],
            options={
                'verbose_name_plural': 'group numbers',
                'constraints': [models.UniqueConstraint(fields=('study', 'rater'), name='group_numbers_once'), models.UniqueConstraint(fields=('study', 'place'), name='group_numbers_in_order')],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

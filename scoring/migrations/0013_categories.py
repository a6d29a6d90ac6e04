"""The boards of an edition's categories, append-only as the edition is."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER categoryboards_never_changes BEFORE UPDATE OR DELETE ON scoring_categoryboards
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER categoryboards_never_changes ON scoring_categoryboards;"


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0007_boards_public'),
        ('scoring', '0012_anchor_intervals'),
    ]

    operations = [
        migrations.CreateModel(
            name='CategoryBoards',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('method', models.CharField(max_length=40)),
                ('method_version', models.PositiveIntegerField()),
                ('config', models.JSONField(help_text='With the prompts of every tag, which may be edited later.')),
                ('result', models.JSONField(help_text='Canonical; rebuilding gives the same but for what a withdrawal has erased.')),
                ('summary', models.JSONField(help_text='Which categories `result` has, for lists.')),
                ('created_at', models.DateTimeField()),
                ('edition', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='categories', to='scoring.edition')),
            ],
            options={
                'verbose_name_plural': 'category boards',
                'ordering': ['edition'],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

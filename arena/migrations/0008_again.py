"""Clip pairs that staff wants to be heard by more raters; what was asked for stays as it was."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER again_as_asked BEFORE DELETE OR UPDATE OF study_id, clip_low_id, clip_high_id, wanted, by, asked_at
    ON arena_again FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER again_as_asked ON arena_again;"


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0007_boards_public'),
    ]

    operations = [
        migrations.CreateModel(
            name='Again',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wanted', models.PositiveSmallIntegerField()),
                ('left', models.PositiveSmallIntegerField(help_text='Servings to come; 0 when done or stopped.')),
                ('by', models.CharField(help_text="The user's name.", max_length=150)),
                ('asked_at', models.DateTimeField()),
                ('stopped_at', models.DateTimeField(blank=True, null=True)),
                ('clip_high', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='arena.clip')),
                ('clip_low', models.ForeignKey(help_text='The one of the lower id.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='arena.clip')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='again', to='arena.study')),
            ],
            options={
                'verbose_name': 'clip pair served again',
                'verbose_name_plural': 'clip pairs served again',
                'ordering': ['-pk'],
                'constraints': [models.CheckConstraint(condition=models.Q(('wanted__gte', 1), ('wanted__lte', 50)), name='again_bounded'), models.CheckConstraint(condition=models.Q(('left__lte', models.F('wanted'))), name='again_left_of_wanted'), models.CheckConstraint(condition=models.Q(('clip_low__lt', models.F('clip_high'))), name='again_two_clips'), models.UniqueConstraint(condition=models.Q(('left__gt', 0)), fields=('study', 'clip_low', 'clip_high'), name='again_once_at_a_time')],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

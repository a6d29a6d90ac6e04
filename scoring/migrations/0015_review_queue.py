"""Clip pairs marked for training sets. Marks are append-only."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = """
CREATE TRIGGER training_mark_never_changes BEFORE DELETE OR UPDATE ON scoring_trainingmark
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER training_mark_never_changes ON scoring_trainingmark;"


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0007_boards_public'),
        ('scoring', '0014_plots'),
    ]

    operations = [
        migrations.CreateModel(
            name='TrainingMark',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('weight', models.FloatField(default=3.0)),
                ('by', models.CharField(help_text="The user's name.", max_length=150)),
                ('created_at', models.DateTimeField()),
                ('clip_high', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='arena.clip')),
                ('clip_low', models.ForeignKey(help_text='The one of the lower id.', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='arena.clip')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='training_marks', to='arena.study')),
            ],
            options={
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['study', 'clip_low', 'clip_high'], name='training_mark_of_clips')],
                'constraints': [models.CheckConstraint(condition=models.Q(('weight__gt', 0), ('weight__lte', 10)), name='training_mark_weight'), models.CheckConstraint(condition=models.Q(('clip_low__lt', models.F('clip_high'))), name='training_mark_two_clips')],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

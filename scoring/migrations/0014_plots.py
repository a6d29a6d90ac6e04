"""The figures of the last edition of each study: a cache, replaced by the next."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('scoring', '0013_categories'),
    ]

    operations = [
        migrations.CreateModel(
            name='Figure',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=20)),
                ('basis', models.CharField(help_text='A hash of what it was drawn from.', max_length=64)),
                ('data', models.JSONField()),
                ('narrow', models.TextField(blank=True, help_text='SVG for a phone; empty where it could not be drawn.')),
                ('wide', models.TextField(blank=True, help_text='SVG for a larger screen.')),
                ('drawn_at', models.DateTimeField()),
                ('edition', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='scoring.edition')),
                ('study', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='figures', to='arena.study')),
            ],
            options={
                'ordering': ['study', 'pk'],
                'constraints': [models.UniqueConstraint(fields=('study', 'name'), name='figure_once')],
            },
        ),
    ]

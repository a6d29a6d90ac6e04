"""New studies draw one pair in ten uniformly."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0009_sings_lyrics'),
    ]

    operations = [
        migrations.AlterField(
            model_name='study',
            name='epsilon',
            field=models.FloatField(default=0.1, help_text='Share of pairs drawn uniformly, 0.1 to 1.'),
        ),
    ]

"""Which systems sing the lyrics of a prompt: yes, no, or not known."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0008_again'),
    ]

    operations = [
        migrations.AddField(
            model_name='system',
            name='sings_lyrics',
            field=models.BooleanField(blank=True, help_text='Whether it sings the lyrics of a prompt; unknown until somebody says so.', null=True),
        ),
    ]

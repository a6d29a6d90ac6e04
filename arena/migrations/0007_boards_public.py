"""Who may see the boards of a study, and what its listeners may say they are."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0006_pairing_table'),
    ]

    operations = [
        migrations.AddField(
            model_name='participation',
            name='group',
            field=models.CharField(blank=True, help_text="One of the study's groups, as the rater says.", max_length=60),
        ),
        migrations.AddField(
            model_name='study',
            name='boards_public',
            field=models.BooleanField(default=True, help_text="Whether everybody may see the study's boards, plots and exclusions, or only staff."),
        ),
        migrations.AddField(
            model_name='study',
            name='groups',
            field=models.JSONField(blank=True, default=list, help_text='What listeners may say they are when they agree, one of them or none: ["musician", "listener"]. A group of at least 20 has a board of its own.'),
        ),
    ]

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("arena", "0012_excerpt_rejected"),
        ("scoring", "0019_sweeps"),
    ]

    operations = [
        migrations.CreateModel(
            name="BoardCheck",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("ledger_seq", models.BigIntegerField()),
                ("config", models.JSONField(help_text="Under which the board was computed.")),
                ("checked_at", models.DateTimeField()),
                (
                    "study",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="board_check", to="arena.study"
                    ),
                ),
            ],
        ),
    ]

"""Ratings of votes and rewards, beside an edition's; append-only as editions are."""

import django.db.models.deletion
from django.db import migrations, models

FORWARD = (
    "CREATE TRIGGER predictionpowered_never_changes BEFORE UPDATE OR DELETE ON scoring_predictionpowered"
    " FOR EACH ROW EXECUTE FUNCTION refuse_change();"
)
BACKWARD = "DROP TRIGGER predictionpowered_never_changes ON scoring_predictionpowered;"


class Migration(migrations.Migration):
    dependencies = [("scoring", "0010_robustness_card")]

    operations = [
        migrations.CreateModel(
            name="PredictionPowered",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("method_version", models.PositiveIntegerField()),
                ("config", models.JSONField()),
                (
                    "result",
                    models.JSONField(
                        help_text="The canonical result; rebuilding gives the same. It may be why there is none."
                    ),
                ),
                ("created_at", models.DateTimeField()),
                (
                    "edition",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prediction_powered",
                        to="scoring.edition",
                    ),
                ),
                (
                    "reward_model",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="prediction_powered",
                        to="scoring.rewardmodel",
                    ),
                ),
            ],
            options={
                "ordering": ["-pk"],
                "verbose_name_plural": "prediction-powered ratings",
                "indexes": [models.Index(fields=["edition", "-id"], name="prediction_powered_latest")],
            },
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

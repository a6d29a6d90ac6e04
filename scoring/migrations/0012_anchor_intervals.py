"""An anchor fit keeps its intervals, what it says by time, and how many pairs are still needed."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0011_prediction_powered")]

    operations = [
        migrations.AddField(
            model_name="anchorfit",
            name="slices",
            field=models.JSONField(default=list, help_text="The same by time: each part of the pairs by itself."),
        ),
        migrations.AddField(
            model_name="anchorfit",
            name="changes",
            field=models.JSONField(
                default=list, help_text="What the newest part says against those before it."
            ),
        ),
        migrations.AddField(
            model_name="anchorbias",
            name="low",
            field=models.FloatField(
                help_text="Of its interval, clustered by rater; null before it was kept.", null=True
            ),
        ),
        migrations.AddField(model_name="anchorbias", name="high", field=models.FloatField(null=True)),
        migrations.AddField(
            model_name="anchorbias",
            name="n_needed",
            field=models.PositiveIntegerField(help_text="Further pairs to the wanted half-width, about.", null=True),
        ),
    ]

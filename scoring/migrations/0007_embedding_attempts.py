from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("scoring", "0006_guards_of_decisions")]
    operations = [
        migrations.AddField(
            model_name="embedding",
            name="attempts",
            field=models.PositiveSmallIntegerField(
                default=0, help_text="Claims, but for those that a worker lived to let go of without an outcome."
            ),
        ),
    ]

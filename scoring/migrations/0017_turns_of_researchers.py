from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("scoring", "0016_standing"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]
    operations = [
        migrations.AddField(
            model_name="scorejob",
            name="served_at",
            field=models.DateTimeField(
                blank=True, editable=False, help_text="The last claim. Who was served longest ago is next.", null=True
            ),
        ),
        migrations.AddIndex(
            model_name="scorejob",
            index=models.Index(fields=["user", "served_at"], name="score_job_served"),
        ),
    ]

"""The mark that there is becomes that of the device, as it always was; connection and network get marks of their own,
NULL in old rows."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("arena", "0013_excerpt_without_peaks")]

    operations = [
        migrations.RemoveIndex("arrival", "arrival_by_connection"),
        migrations.RenameField("arrival", "connection", "device"),
        migrations.AlterField(
            "arrival",
            "device",
            models.CharField(
                max_length=64, null=True, blank=True, help_text="Of the connection and the User-Agent."
            ),
        ),
        migrations.AddField(
            "arrival",
            "connection",
            models.CharField(max_length=64, null=True, blank=True, help_text="Of the address; of an IPv6 /64."),
        ),
        migrations.AddField(
            "arrival",
            "network",
            models.CharField(max_length=64, null=True, blank=True, help_text="Of the IPv4 /24 or the IPv6 /48."),
        ),
        migrations.AddField(
            "arrival",
            "is_forwarded",
            models.BooleanField(
                default=False, help_text="Whether a proxy forwarded the request, though TRUSTED_PROXIES is 0."
            ),
        ),
        migrations.AddIndex("arrival", models.Index(fields=["connection", "at"], name="arrival_by_connection")),
        migrations.AddIndex("arrival", models.Index(fields=["network", "at"], name="arrival_by_network")),
        migrations.AddIndex("arrival", models.Index(fields=["device", "at"], name="arrival_by_device")),
    ]

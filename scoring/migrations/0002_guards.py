"""Editions, ratings, rewards, anchors and releases are append-only."""

from django.db import migrations

TABLES = ("edition", "rating", "reward", "anchorfit", "anchorbias", "release")

FORWARD = "".join(
    f"CREATE TRIGGER {table}_never_changes BEFORE UPDATE OR DELETE ON scoring_{table}"
    f" FOR EACH ROW EXECUTE FUNCTION refuse_change();"
    for table in TABLES
)
BACKWARD = "".join(f"DROP TRIGGER {table}_never_changes ON scoring_{table};" for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("scoring", "0001_initial"), ("arena", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

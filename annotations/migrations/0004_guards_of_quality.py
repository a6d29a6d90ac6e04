"""What was once estimated of a rater never changes: boards may have been weighted by it."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER reliability_never_changes BEFORE UPDATE OR DELETE ON annotations_reliability
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = "DROP TRIGGER reliability_never_changes ON annotations_reliability;"


class Migration(migrations.Migration):
    dependencies = [("annotations", "0003_quality"), ("arena", "0004_guards_of_checks")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

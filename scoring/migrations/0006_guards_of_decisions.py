"""Decisions are append-only; vectors are floats, which do not compress: Postgres need not try."""

from django.db import migrations

FORWARD = """
CREATE TRIGGER decision_never_changes BEFORE UPDATE OR DELETE ON scoring_decision
  FOR EACH ROW EXECUTE FUNCTION refuse_change();
ALTER TABLE scoring_embedding ALTER COLUMN vector SET STORAGE EXTERNAL;
"""
BACKWARD = """
DROP TRIGGER decision_never_changes ON scoring_decision;
ALTER TABLE scoring_embedding ALTER COLUMN vector SET STORAGE EXTENDED;
"""


class Migration(migrations.Migration):
    dependencies = [("scoring", "0005_registry_and_jobs")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

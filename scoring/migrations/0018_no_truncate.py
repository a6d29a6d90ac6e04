"""TRUNCATE passes by the triggers of rows, so each append-only table of the project refuses it by one of its own."""

from django.db import migrations

TABLES = (
    "arena_again", "arena_battle",
    "annotations_flag", "annotations_ledger", "annotations_ledgerseal", "annotations_reliability", "annotations_vote",
    "scoring_anchorbias", "scoring_anchorfit", "scoring_categoryboards", "scoring_decision", "scoring_edition",
    "scoring_editionchange", "scoring_predictionpowered", "scoring_rating", "scoring_release",
    "scoring_reward", "scoring_robustnesscard", "scoring_trainingmark",
)

FORWARD = "".join(
    f"CREATE TRIGGER {table.partition('_')[2]}_is_not_emptied BEFORE TRUNCATE ON {table}"
    f" FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();"
    for table in TABLES
)
BACKWARD = "".join(f"DROP TRIGGER {table.partition('_')[2]}_is_not_emptied ON {table};" for table in TABLES)


class Migration(migrations.Migration):
    dependencies = [("scoring", "0017_turns_of_researchers"), ("annotations", "0007_ledger_seal"), ("arena", "0008_again")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

"""Votes and flags never change; each has its ledger entry from the moment it exists."""

from django.db import migrations

FORWARD = """
ALTER TABLE annotations_vote ADD CONSTRAINT vote_by_the_battles_rater
    FOREIGN KEY (battle_id, rater_id) REFERENCES arena_battle (id, rater_id);

CREATE TRIGGER vote_never_changes BEFORE UPDATE OR DELETE ON annotations_vote
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER flag_never_changes BEFORE UPDATE OR DELETE ON annotations_flag
    FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- An entry is numbered once; nothing else about it ever changes.
CREATE TRIGGER ledger_never_shrinks BEFORE DELETE ON annotations_ledger
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledger_is_numbered_once BEFORE UPDATE ON annotations_ledger
    FOR EACH ROW WHEN (OLD.seq IS NOT NULL OR (NEW.study_id, NEW.vote_id, NEW.flag_id)
                       IS DISTINCT FROM (OLD.study_id, OLD.vote_id, OLD.flag_id))
    EXECUTE FUNCTION refuse_change();

CREATE FUNCTION enter_vote_in_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO annotations_ledger (study_id, vote_id, digest)
        SELECT study_id, NEW.id, '' FROM arena_battle WHERE id = NEW.battle_id;
    RETURN NULL;
END $$;
CREATE TRIGGER vote_enters_ledger AFTER INSERT ON annotations_vote
    FOR EACH ROW EXECUTE FUNCTION enter_vote_in_ledger();

CREATE FUNCTION enter_flag_in_ledger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO annotations_ledger (study_id, flag_id, digest)
        SELECT battle.study_id, NEW.id, '' FROM annotations_vote AS vote
            JOIN arena_battle AS battle ON battle.id = vote.battle_id WHERE vote.id = NEW.vote_id;
    RETURN NULL;
END $$;
CREATE TRIGGER flag_enters_ledger AFTER INSERT ON annotations_flag
    FOR EACH ROW EXECUTE FUNCTION enter_flag_in_ledger();
"""

BACKWARD = """
DROP TRIGGER flag_enters_ledger ON annotations_flag;
DROP TRIGGER vote_enters_ledger ON annotations_vote;
DROP FUNCTION enter_flag_in_ledger();
DROP FUNCTION enter_vote_in_ledger();
DROP TRIGGER ledger_is_numbered_once ON annotations_ledger;
DROP TRIGGER ledger_never_shrinks ON annotations_ledger;
DROP TRIGGER flag_never_changes ON annotations_flag;
DROP TRIGGER vote_never_changes ON annotations_vote;
ALTER TABLE annotations_vote DROP CONSTRAINT vote_by_the_battles_rater;
"""


class Migration(migrations.Migration):
    dependencies = [("annotations", "0001_initial"), ("arena", "0002_guards")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

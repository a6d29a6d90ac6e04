"""What Django's constraints have no words for: composite foreign keys, and rows that never change."""

from django.db import migrations

FORWARD = """
-- A clip of a battle belongs to the battle's prompt and to the slot's system. A battle without clips (imported)
-- or without a prompt passes: a composite foreign key with a NULL is not checked.
ALTER TABLE arena_clip ADD CONSTRAINT clip_identity UNIQUE (id, prompt_id, system_id);
ALTER TABLE arena_battle
    ADD CONSTRAINT battle_clip_a_fits FOREIGN KEY (clip_a_id, prompt_id, system_a_id)
        REFERENCES arena_clip (id, prompt_id, system_id),
    ADD CONSTRAINT battle_clip_b_fits FOREIGN KEY (clip_b_id, prompt_id, system_b_id)
        REFERENCES arena_clip (id, prompt_id, system_id);

-- Both excerpts of a battle are cut from its clips, at its one length, in its one codec.
ALTER TABLE arena_excerpt ADD CONSTRAINT excerpt_identity UNIQUE (id, clip_id, length_ms, codec);
ALTER TABLE arena_battle
    ADD CONSTRAINT battle_excerpt_a_fits FOREIGN KEY (excerpt_a_id, clip_a_id, length_ms, codec)
        REFERENCES arena_excerpt (id, clip_id, length_ms, codec),
    ADD CONSTRAINT battle_excerpt_b_fits FOREIGN KEY (excerpt_b_id, clip_b_id, length_ms, codec)
        REFERENCES arena_excerpt (id, clip_id, length_ms, codec);

-- So that a vote can be held to be of its battle's own rater (annotations 0002).
ALTER TABLE arena_battle ADD CONSTRAINT battle_rater UNIQUE (id, rater_id);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER battle_as_drawn BEFORE DELETE OR UPDATE OF study_id, rater_id, kind, prompt_id, system_a_id,
    system_b_id, clip_a_id, clip_b_id, excerpt_a_id, excerpt_b_id, length_ms, codec, policy, pair_probability,
    clip_probability, served_at ON arena_battle FOR EACH ROW EXECUTE FUNCTION refuse_change();

-- Editions, releases and the answers to votes repeat these: a rename would make them untrue.
CREATE TRIGGER system_keeps_its_name BEFORE UPDATE OF name ON arena_system FOR EACH ROW
    WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER prompt_keeps_its_words BEFORE UPDATE OF text, lyrics ON arena_prompt FOR EACH ROW
    WHEN ((NEW.text, NEW.lyrics) <> (OLD.text, OLD.lyrics)) EXECUTE FUNCTION refuse_change();
CREATE TRIGGER study_keeps_its_name BEFORE UPDATE OF slug, is_simulated ON arena_study FOR EACH ROW
    WHEN ((NEW.slug, NEW.is_simulated) <> (OLD.slug, OLD.is_simulated)) EXECUTE FUNCTION refuse_change();
"""

BACKWARD = """
DROP TRIGGER study_keeps_its_name ON arena_study;
DROP TRIGGER prompt_keeps_its_words ON arena_prompt;
DROP TRIGGER system_keeps_its_name ON arena_system;
DROP TRIGGER battle_as_drawn ON arena_battle;
DROP FUNCTION refuse_change();
ALTER TABLE arena_battle DROP CONSTRAINT battle_rater, DROP CONSTRAINT battle_excerpt_a_fits,
    DROP CONSTRAINT battle_excerpt_b_fits, DROP CONSTRAINT battle_clip_a_fits, DROP CONSTRAINT battle_clip_b_fits;
ALTER TABLE arena_excerpt DROP CONSTRAINT excerpt_identity;
ALTER TABLE arena_clip DROP CONSTRAINT clip_identity;
"""


class Migration(migrations.Migration):
    dependencies = [("arena", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, BACKWARD)]

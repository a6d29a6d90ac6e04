"""What a check expects and what a repeat repeats never changes either; a repeat is the same rater's, slots swapped."""

from django.db import migrations

FORWARD = """
DROP TRIGGER battle_as_drawn ON arena_battle;
CREATE TRIGGER battle_as_drawn BEFORE DELETE OR UPDATE OF study_id, rater_id, kind, prompt_id, system_a_id,
    system_b_id, clip_a_id, clip_b_id, excerpt_a_id, excerpt_b_id, length_ms, codec, policy, pair_probability,
    clip_probability, served_at, expected, repeats_id ON arena_battle FOR EACH ROW EXECUTE FUNCTION refuse_change();

ALTER TABLE arena_battle ADD CONSTRAINT battle_swapped UNIQUE (id, rater_id, clip_b_id, clip_a_id);
ALTER TABLE arena_battle ADD CONSTRAINT battle_repeat_swaps FOREIGN KEY (repeats_id, rater_id, clip_a_id, clip_b_id)
    REFERENCES arena_battle (id, rater_id, clip_b_id, clip_a_id);
"""

BACKWARD = """
ALTER TABLE arena_battle DROP CONSTRAINT battle_repeat_swaps;
ALTER TABLE arena_battle DROP CONSTRAINT battle_swapped;
DROP TRIGGER battle_as_drawn ON arena_battle;
CREATE TRIGGER battle_as_drawn BEFORE DELETE OR UPDATE OF study_id, rater_id, kind, prompt_id, system_a_id,
    system_b_id, clip_a_id, clip_b_id, excerpt_a_id, excerpt_b_id, length_ms, codec, policy, pair_probability,
    clip_probability, served_at ON arena_battle FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


# MP3 excerpts cut before this carry an encoder's name in their padding, more often in some music than in other.
CUT_AGAIN = "UPDATE arena_excerpt SET status = 'pending', claimed_until = NULL WHERE codec = 'mp3' AND status = 'ready'"


class Migration(migrations.Migration):
    dependencies = [("arena", "0003_listening_tests")]
    operations = [
        migrations.RunSQL(FORWARD, BACKWARD),
        migrations.RunSQL(CUT_AGAIN, migrations.RunSQL.noop),
    ]

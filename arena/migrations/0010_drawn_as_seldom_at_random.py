"""New studies draw one pair in ten uniformly, and what a pair was drawn among never changes."""

from django.db import migrations, models

COLUMNS = """study_id, rater_id, kind, prompt_id, system_a_id, system_b_id, clip_a_id, clip_b_id, excerpt_a_id,
    excerpt_b_id, length_ms, codec, policy, pair_probability, clip_probability, served_at"""
TRIGGER = """
DROP TRIGGER battle_as_drawn ON arena_battle;
CREATE TRIGGER battle_as_drawn BEFORE DELETE OR UPDATE OF {columns} ON arena_battle
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0009_sings_lyrics'),
    ]

    operations = [
        migrations.AlterField(
            model_name='study',
            name='epsilon',
            field=models.FloatField(default=0.1, help_text='Share of pairs drawn uniformly, 0.1 to 1.'),
        ),
        migrations.RunSQL(TRIGGER.format(columns=COLUMNS + ", eligible_pairs"), TRIGGER.format(columns=COLUMNS)),
    ]

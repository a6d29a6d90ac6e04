"""The table that the policy `informative` draws from; how many pairs a battle's pair was drawn among, which never changes
either; and indexes by which what a pair has lately is found however many votes there are."""

import django.db.models.deletion
from django.db import migrations, models

TRIGGER = """
DROP TRIGGER battle_as_drawn ON arena_battle;
CREATE TRIGGER battle_as_drawn BEFORE DELETE OR UPDATE OF study_id, rater_id, kind, prompt_id, system_a_id,
    system_b_id, clip_a_id, clip_b_id, excerpt_a_id, excerpt_b_id, length_ms, codec, policy, pair_probability,
    clip_probability, {more}served_at, expected, repeats_id ON arena_battle FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
FORWARD, BACKWARD = TRIGGER.format(more="eligible_pairs, "), TRIGGER.format(more="")


class Migration(migrations.Migration):

    dependencies = [
        ('arena', '0005_how_it_ended'),
    ]

    operations = [
        migrations.CreateModel(
            name='PairingTable',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField(help_text='The number of the edition that it was made after.')),
                ('systems', models.JSONField(help_text='Their ids, ascending.')),
                ('cumulative', models.BinaryField(help_text='float64, little-endian, one for each pair.')),
                ('config', models.JSONField(default=dict, help_text='How it was computed.')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'ordering': ['study', '-version'],
            },
        ),
        migrations.RemoveIndex(
            model_name='battle',
            name='battle_of_pair',
        ),
        migrations.AddField(
            model_name='battle',
            name='eligible_pairs',
            field=models.PositiveIntegerField(blank=True, help_text='Pairs of systems that could have been drawn for this rater, where that was kept.', null=True),
        ),
        migrations.AlterField(
            model_name='study',
            name='pairing',
            field=models.CharField(choices=[('least-voted', 'Least Voted'), ('uniform', 'Uniform'), ('informative', 'informative: where a vote tells the board most')], default='least-voted', max_length=20),
        ),
        migrations.AddIndex(
            model_name='battle',
            index=models.Index(fields=['study', 'system_a', 'system_b', '-served_at'], name='battle_of_pair'),
        ),
        migrations.AddIndex(
            model_name='battle',
            index=models.Index(condition=models.Q(('close_reason', 'voted')), fields=['study', 'closed_at'], name='battle_voted'),
        ),
        migrations.AddIndex(
            model_name='battle',
            index=models.Index(condition=models.Q(('closed_at__isnull', True)), fields=['study', 'reserved_until'], name='battle_reserved'),
        ),
        migrations.AddConstraint(
            model_name='battle',
            constraint=models.CheckConstraint(condition=models.Q(('eligible_pairs__isnull', True), models.Q(('eligible_pairs__gte', 1), ('kind', 'ranked')), _connector='OR'), name='battle_eligible_only_if_drawn'),
        ),
        migrations.AddField(
            model_name='pairingtable',
            name='study',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='pairing_tables', to='arena.study'),
        ),
        migrations.AddConstraint(
            model_name='pairingtable',
            constraint=models.UniqueConstraint(fields=('study', 'version'), name='pairing_table_version'),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

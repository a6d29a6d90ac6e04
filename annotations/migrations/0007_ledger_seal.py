"""Links that cover what was compared and what was heard, and an entry that seals what earlier links left out."""

import django.db.models.deletion
from django.db import migrations, models

# A new entry's seal_id is as fixed as its vote; a seal never changes.
FORWARD = """
DROP TRIGGER ledger_is_numbered_once ON annotations_ledger;
CREATE TRIGGER ledger_is_numbered_once BEFORE UPDATE ON annotations_ledger
    FOR EACH ROW WHEN (OLD.seq IS NOT NULL OR (NEW.study_id, NEW.vote_id, NEW.flag_id, NEW.seal_id)
                       IS DISTINCT FROM (OLD.study_id, OLD.vote_id, OLD.flag_id, OLD.seal_id))
    EXECUTE FUNCTION refuse_change();
CREATE TRIGGER ledgerseal_never_changes BEFORE UPDATE OR DELETE ON annotations_ledgerseal
    FOR EACH ROW EXECUTE FUNCTION refuse_change();
"""
BACKWARD = """
DROP TRIGGER ledgerseal_never_changes ON annotations_ledgerseal;
DROP TRIGGER ledger_is_numbered_once ON annotations_ledger;
CREATE TRIGGER ledger_is_numbered_once BEFORE UPDATE ON annotations_ledger
    FOR EACH ROW WHEN (OLD.seq IS NOT NULL OR (NEW.study_id, NEW.vote_id, NEW.flag_id)
                       IS DISTINCT FROM (OLD.study_id, OLD.vote_id, OLD.flag_id))
    EXECUTE FUNCTION refuse_change();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('annotations', '0006_vote_blocks'),
        ('arena', '0010_drawn_as_seldom_at_random'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerSeal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('through_seq', models.BigIntegerField()),
                ('hashes', models.JSONField(help_text='SHA-256 in hex, one for every `ledger_links.SEAL_BLOCK` entries.')),
                ('created_at', models.DateTimeField()),
            ],
        ),
        migrations.RemoveConstraint(model_name='ledger', name='ledger_vote_or_flag'),
        migrations.AddField(
            model_name='ledger',
            name='seal',
            field=models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entry', to='annotations.ledgerseal'),
        ),
        migrations.AddField(
            model_name='ledger',
            name='link_version',
            field=models.PositiveSmallIntegerField(db_default=1, default=1, help_text='What the digest covers: see `ledger_links`.'),
        ),
        migrations.AlterField(
            model_name='ledger',
            name='study',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='arena.study'),
        ),
        migrations.AddConstraint(
            model_name='ledger',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('flag__isnull', False), ('seal__isnull', True), ('study__isnull', False), ('vote__isnull', True)), models.Q(('flag__isnull', True), ('seal__isnull', True), ('study__isnull', False), ('vote__isnull', False)), models.Q(('flag__isnull', True), ('seal__isnull', False), ('study__isnull', True), ('vote__isnull', True)), _connector='OR'), name='ledger_vote_or_flag_or_seal'),
        ),
        migrations.RunSQL(FORWARD, BACKWARD),
    ]

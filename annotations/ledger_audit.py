"""What `manage.py verify_ledger` looks for: signs that votes, flags or what they are about were changed past the code.

The chain of hashes shows what was changed, moved or removed in the middle. Votes without an entry, and entries without
a vote, are looked for both ways. What was cut off at the end, or computed anew from the first changed entry on, only a
head that was kept elsewhere can show.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import connection

from . import ledger_links
from .ledger_heads import BadHead, Head
from .ledger_links import GENESIS, SEAL_BLOCK, VERSION, SealHashes, link
from .models import Flag, Ledger, LedgerSeal

NAMED = 5  # of many rows in one sentence
MOST = 100  # sentences about single entries

# What each finds -> the SQL of the rows' names. A vote, its entry and its battle's end are committed together, so there
# is no moment at which one is without the other; only the number comes later. What constraints refuse is looked for
# too: the owner of the tables can drop them.
_UNMATCHED = {
    "votes without an entry in the ledger": """
        SELECT vote.id FROM annotations_vote AS vote
        WHERE NOT EXISTS (SELECT FROM annotations_ledger AS ledger WHERE ledger.vote_id = vote.id)""",
    "flags without an entry in the ledger": """
        SELECT flag.id FROM annotations_flag AS flag
        WHERE NOT EXISTS (SELECT FROM annotations_ledger AS ledger WHERE ledger.flag_id = flag.id)""",
    "seals without an entry in the ledger": """
        SELECT seal.id FROM annotations_ledgerseal AS seal
        WHERE NOT EXISTS (SELECT FROM annotations_ledger AS ledger WHERE ledger.seal_id = seal.id)""",
    "entries whose vote is gone": """
        SELECT ledger.seq FROM annotations_ledger AS ledger WHERE ledger.vote_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM annotations_vote AS vote WHERE vote.id = ledger.vote_id)""",
    "entries whose flag is gone": """
        SELECT ledger.seq FROM annotations_ledger AS ledger WHERE ledger.flag_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM annotations_flag AS flag WHERE flag.id = ledger.flag_id)""",
    "entries whose seal is gone": """
        SELECT ledger.seq FROM annotations_ledger AS ledger WHERE ledger.seal_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM annotations_ledgerseal AS seal WHERE seal.id = ledger.seal_id)""",
    "votes whose battle is gone": """
        SELECT vote.id FROM annotations_vote AS vote
        WHERE NOT EXISTS (SELECT FROM arena_battle AS battle WHERE battle.id = vote.battle_id)""",
    "flags whose vote is gone": """
        SELECT flag.id FROM annotations_flag AS flag
        WHERE NOT EXISTS (SELECT FROM annotations_vote AS vote WHERE vote.id = flag.vote_id)""",
    "votes with several entries in the ledger": """
        SELECT vote_id FROM annotations_ledger WHERE vote_id IS NOT NULL GROUP BY vote_id HAVING count(*) > 1""",
    "flags with several entries in the ledger": """
        SELECT flag_id FROM annotations_ledger WHERE flag_id IS NOT NULL GROUP BY flag_id HAVING count(*) > 1""",
    "battles with several votes": """
        SELECT battle_id FROM annotations_vote GROUP BY battle_id HAVING count(*) > 1""",
    "votes of another rater than their battle's": """
        SELECT vote.id FROM annotations_vote AS vote JOIN arena_battle AS battle ON battle.id = vote.battle_id
        WHERE vote.rater_id IS DISTINCT FROM battle.rater_id""",
    "votes of raters who withdrew that are not flagged as withdrawn": f"""
        SELECT vote.id FROM annotations_vote AS vote JOIN arena_rater AS rater ON rater.id = vote.rater_id
        WHERE rater.withdrawn_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM annotations_flag AS flag WHERE flag.vote_id = vote.id AND flag.rule = '{Flag.WITHDRAWN}')""",
    "battles that were voted on and have no vote": """
        SELECT battle.id FROM arena_battle AS battle WHERE battle.close_reason = 'voted'
            AND NOT EXISTS (SELECT FROM annotations_vote AS vote WHERE vote.battle_id = battle.id)""",
}
_WAITING = "SELECT count(*) FROM annotations_ledger WHERE seq IS NULL"


def audit(heads: Sequence[Head] = ()) -> list[str]:
    """A sentence for each sign of tampering; none where all holds. heads: those that the chain has to pass through,
    their signatures checked."""
    return [*_Walk(heads).findings(), *unmatched()]


def waiting() -> int:
    """How many entries have no seq yet: the sweep gives it to them within seconds, where it runs."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return cursor.fetchone()[0]


def unmatched() -> list[str]:
    """A sentence for each kind of row that is without what belongs to it."""
    sentences = []
    with connection.cursor() as cursor:
        for what, sql in _UNMATCHED.items():
            cursor.execute(f"SELECT count(*), (array_agg(name))[:{NAMED}] FROM ({sql}) AS rows (name)")
            count, names = cursor.fetchone()
            if count:
                more = ", ..." if count > NAMED else ""
                sentences.append(f"{count} {what}: {', '.join(map(str, names))}{more}")
    return sentences


def checked(heads: list[Head], public_key: str) -> tuple[list[Head], list[str]]:
    """(the heads that this key signed, a sentence for each of the others)"""
    signed, sentences = [], []
    for head in heads:
        try:
            head.check(public_key)
            signed.append(head)
        except BadHead as bad:
            sentences.append(str(bad))
    return signed, sentences


@dataclass
class _Walk:
    """Once along the chain, entry by entry."""

    heads: Sequence[Head]
    sentences: list[str] = field(default_factory=list)
    n_unsaid: int = 0
    previous: str = GENESIS
    expected: int = 1  # the seq to come
    old: SealHashes = field(default_factory=SealHashes)
    old_through: int = 0  # the last seq of a version 1 link
    is_new: bool = False  # whether an entry of the present version has been met

    def findings(self) -> list[str]:
        heads_at: dict[int | None, list[Head]] = {}
        for head in self.heads:
            heads_at.setdefault(head.seq, []).append(head)
        for entry in ledger_links.numbered(_last_seq()):
            self._look_at(entry)
            for head in heads_at.get(entry.seq, ()):
                if head.digest != entry.digest:
                    self._say(f"Entry {entry.seq} is not as it was signed at {head.at}: the ledger was rewritten.")
        self._look_at_end()
        if self.n_unsaid:
            self.sentences.append(f"... and {self.n_unsaid} more like these")
        return self.sentences

    def _say(self, sentence):
        if len(self.sentences) < MOST:
            self.sentences.append(sentence)
        else:
            self.n_unsaid += 1

    def _look_at(self, entry):
        if entry.seq < self.expected:
            self._say(f"{_named(entry)} has a number below 1, or one that another entry has.")
            return
        if entry.seq > self.expected:
            self._say(f"Entries {self.expected} to {entry.seq - 1} are missing.")
        elif not self._follows(entry):
            self._say(f"{_named(entry)} does not match its hash: it, or what it is about, was changed or moved.")
        if entry.study_id is not None and entry.in_other_study:
            self._say(f"{_named(entry)} is entered for study {entry.study_id}, and its battle is of another study.")
        self._look_at_version(entry)
        self.previous, self.expected = entry.digest, entry.seq + 1

    def _follows(self, entry):
        try:
            return entry.digest == link(self.previous, entry.seq, entry.content, entry.link_version)
        except ValueError:  # an unknown version
            return False

    def _look_at_version(self, entry):
        if entry.link_version == 1 and not self.is_new:
            self.old.add(entry)
            self.old_through = entry.seq
        elif entry.link_version == 1:
            self._say(f"{_named(entry)} is linked by version 1, after entries of version {VERSION}.")
        elif not self.is_new:
            self.is_new = True
            if self.old_through:
                self._look_at_seal(entry)

    def _look_at_seal(self, entry):
        """The first entry of the present version, where there are older ones."""
        seal = LedgerSeal.objects.filter(entry=entry.pk).first()
        if not seal or seal.through_seq != self.old_through:
            self._say(f"{_named(entry)} should seal entries 1 to {self.old_through}, and does not.")
            return
        hashes = self.old.hashes()
        sealed = seal.hashes if isinstance(seal.hashes, list) else []
        for n in range(max(len(hashes), len(sealed))):
            if hashes[n : n + 1] != sealed[n : n + 1]:
                first, last = n * SEAL_BLOCK + 1, min((n + 1) * SEAL_BLOCK, self.old_through)
                self._say(f"Of entries {first} to {last} something was changed after entry {entry.seq} sealed them.")

    def _look_at_end(self):
        end = self.expected - 1
        beyond = [head for head in self.heads if head.seq > end]
        if beyond:
            furthest = max(beyond, key=lambda head: head.seq)
            self._say(
                f"Entries {end + 1} to {furthest.seq} are gone from the end of the ledger: a head of entry "
                f"{furthest.seq} was signed at {furthest.at}."
            )


def _named(entry):
    kind_and_id = f"{entry}"
    return kind_and_id[0].upper() + kind_and_id[1:]


def _last_seq():
    return Ledger.objects.filter(seq__isnull=False).order_by("-seq").values_list("seq", flat=True).first() or 0

"""Check that no vote or flag, nor what it is about, was changed, lost or added without the ledger."""

import urllib.request
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations import ledger, ledger_audit, ledger_heads, vote_blocks
from annotations.ledger_heads import BadHead
from arena.models import Study

LARGEST_ANSWER = 10_000_000  # bytes


class Command(BaseCommand):
    help = (
        "Check the ledger's chain of hashes, that it passes through every head that was signed, that votes, flags and "
        "entries belong together, and that the blocks of votes match the ledger."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--against",
            action="append",
            default=[],
            metavar="HEAD",
            help="A head kept elsewhere: a file, a line of heads.jsonl, or the address of an exclusions page.",
        )
        parser.add_argument(
            "--key", help="The public key the heads have to be signed by, in hex. Default: that of this ARENA_HOME."
        )

    def handle(self, *args: Any, against: list[str], key: str | None = None, **options: Any) -> None:
        heads = ledger_heads.logged()
        for source in against:
            heads += _heads_from(source)
        heads, sentences = self._check_signatures(heads, key)
        sentences += ledger_heads.damage_to_log()
        sentences += ledger_audit.audit(heads)
        sentences = sentences or self._damaged_blocks()
        if sentences:
            sentences.append("Compare with a backup; what was computed from this may be wrong.")
            raise CommandError("\n".join(sentences))
        self._say_what_holds(heads)

    def _check_signatures(self, heads, key):
        key = key or ledger_heads.public_key() or ""
        if heads and not key:
            raise CommandError("This ARENA_HOME has no key of a ledger (ledger/key.pub): name the public key by --key.")
        return ledger_audit.checked(heads, key)

    def _damaged_blocks(self):
        """Blocks only repeat the entries, so they are looked at where these hold."""
        return [
            f"{study.slug}: the block of votes that begins at ledger entry {damaged} does not match the votes. Delete "
            "the study's blocks (table annotations_voteblock): they are rebuilt with the next vote."
            for study in Study.objects.order_by("slug")
            if (damaged := vote_blocks.damaged(study))
        ]

    def _say_what_holds(self, heads):
        self.stdout.write(f"All {ledger.head()} entries of the ledger follow from one another.")
        if heads:
            furthest = max(head.seq for head in heads)
            self.stdout.write(f"They pass through {len(heads)} signed heads, the last of entry {furthest}.")
        else:
            self.stdout.write("No head was signed yet: whether entries were cut off at the end cannot be told.")
        self.stdout.write("Every vote and flag has its entry, and every entry its vote or flag.")
        if n_waiting := ledger_audit.waiting():
            self.stdout.write(f"{n_waiting} entries wait for their number, which the sweep gives within seconds.")
        self.stdout.write("The blocks of votes match the ledger.")


def _heads_from(source):
    """The heads in a file, behind an address, or in the text itself."""
    try:
        if source.startswith(("http://", "https://")):
            with urllib.request.urlopen(source, timeout=20) as answer:
                text = answer.read(LARGEST_ANSWER).decode(errors="replace")
        elif source.lstrip().startswith(("{", "<")):
            text = source
        else:
            text = Path(source).read_text()
        return ledger_heads.parse(text)
    except OSError as error:
        raise CommandError(f"--against {source[:80]}: {error}") from None
    except (BadHead, ValueError) as error:  # also a path with a NUL, and text that is not UTF-8
        raise CommandError(f"--against {source[:80]}: {error}") from None

"""Check that no vote or flag was changed, lost or added without the ledger."""

from django.core.management.base import BaseCommand, CommandError

from annotations import ledger, vote_blocks
from arena.models import Study


class Command(BaseCommand):
    help = "Check the ledger's chain of hashes, and that the blocks of votes match the ledger."

    def handle(self, *args, **options):
        broken = ledger.verify()
        if broken:
            raise CommandError(
                f"Ledger entry {broken} does not follow from the one before it: the entry, or its vote or flag, was "
                "changed. Compare it with a backup; results computed from this entry on may be wrong."
            )
        self.stdout.write(f"All {ledger.head()} entries of the ledger follow from one another.")
        for study in Study.objects.order_by("slug"):
            if damaged := vote_blocks.damaged(study):
                raise CommandError(
                    f"{study.slug}: the block of votes that begins at ledger entry {damaged} does not match the votes."
                    " Delete the study's blocks (table annotations_voteblock): they are rebuilt with the next vote."
                )
        self.stdout.write("The blocks of votes match the ledger.")

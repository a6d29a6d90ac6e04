"""Check that no vote or flag was changed, lost or added behind the ledger's back."""

from django.core.management.base import BaseCommand, CommandError

from annotations import ledger, vote_blocks
from arena.models import Study


class Command(BaseCommand):
    help = "Check the ledger's chain of hashes, and that the votes kept in blocks are those of the ledger."

    def handle(self, *args, **options):
        broken = ledger.verify()
        if broken:
            raise CommandError(
                f"The entry {broken} of the ledger does not follow from the one before it: it, or the vote or flag "
                "that it names, was changed. Compare it with a backup; what is computed from there on may be untrue."
            )
        self.stdout.write(f"The ledger's {ledger.head()} entries follow from one another.")
        for study in Study.objects.order_by("slug"):
            if damaged := vote_blocks.damaged(study):
                raise CommandError(
                    f"{study.slug}: the block of votes that begins at {damaged} of the ledger is not what they say."
                    " Delete the study's blocks (table annotations_voteblock): they are made again with the next vote."
                )
        self.stdout.write("The votes kept in blocks are those of the ledger.")

from django.core.management.base import BaseCommand, CommandError

from annotations import ledger
from arena.models import Study
from scoring import boards, services
from scoring.bradley_terry import NotOffered


class Command(BaseCommand):
    help = "Write the next edition of a study's board now (default: of every study with votes)."

    def add_arguments(self, parser):
        parser.add_argument("study", nargs="*", help="slugs")
        parser.add_argument(
            "--treatment",
            choices=boards.TREATMENTS,
            help="of ties and votes BOTH_BAD, from this edition on (default: as the last edition)",
        )

    def handle(self, study, treatment=None, **options):
        if treatment and not study:
            raise CommandError("Name the studies whose boards are to change their treatment of ties.")
        studies = list(Study.objects.filter(slug__in=study) if study else Study.objects.all())
        if missing := set(study) - {one.slug for one in studies}:
            raise CommandError(f"There is no study {', '.join(sorted(missing))}.")
        ledger.catch_up()
        for one in studies:
            if study or one.battles.filter(close_reason="voted").exists():
                try:
                    edition = services.refit_board(one, treatment=treatment)
                except NotOffered as reason:
                    raise CommandError(f"{one.slug} keeps its board: {reason}.") from reason
                self.stdout.write(f"{edition}: {edition.n_votes} votes, excluded {edition.excluded}")

from django.core.management.base import BaseCommand, CommandError

from annotations import ledger
from arena.models import Study
from scoring import services


class Command(BaseCommand):
    help = "Write the next edition of a study's board now (default: of every study with votes)."

    def add_arguments(self, parser):
        parser.add_argument("study", nargs="*", help="slugs")

    def handle(self, study, **options):
        studies = list(Study.objects.filter(slug__in=study) if study else Study.objects.all())
        if missing := set(study) - {one.slug for one in studies}:
            raise CommandError(f"There is no study {', '.join(sorted(missing))}.")
        ledger.catch_up()
        for one in studies:
            if study or one.battles.filter(close_reason="voted").exists():
                edition = services.refit_board(one)
                self.stdout.write(f"{edition}: {edition.n_votes} votes, excluded {edition.excluded}")

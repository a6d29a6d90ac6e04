from django.core.management.base import BaseCommand, CommandError

from arena.refusals import NotFound
from arena.services import find_study
from scoring.boards.page import find_edition
from scoring.boards.robustness_cards import write_card


class Command(BaseCommand):
    help = (
        "Write the robustness card of an edition. Last editions get theirs by themselves; this is for one that the "
        "next came after too soon, or to judge an old one by the live model of today. Cards there are stay."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", help="slug")
        parser.add_argument("--edition", type=int, help="its number (default: the last)")

    def handle(self, study, edition, **options):
        try:
            study = find_study(study)
            found = find_edition(study, edition)
        except NotFound as missing:
            raise CommandError(missing.message) from missing
        if not found:
            raise CommandError(f"{study} has no edition yet.")
        write_card(study, found)
        self.stdout.write(f"{found}: /boards/{study.slug}/?edition={found.number}#robust")

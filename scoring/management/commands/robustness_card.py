from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena.refusals import NotFound
from arena.services import find_study
from scoring.boards.page import find_edition
from scoring.boards.robustness_cards import write_card


class Command(BaseCommand):
    help = (
        "Write the robustness card of an edition. A sweep writes those of last editions; this is for an edition that "
        "was soon followed by the next, or to judge an old one by the present live model. Existing cards are kept."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="slug")
        parser.add_argument("--edition", type=int, help="its number (default: the last)")

    def handle(self, study: Any, edition: int | None, **options: Any) -> None:
        try:
            study = find_study(study)
            chosen = find_edition(study, edition)
        except NotFound as missing:
            raise CommandError(missing.message) from missing
        if not chosen:
            raise CommandError(f"{study} has no edition yet.")
        write_card(study, chosen)
        self.stdout.write(f"{chosen}: {settings.PUBLIC_URL}/boards/{study.slug}/?edition={chosen.number}#robust")

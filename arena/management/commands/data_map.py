"""`manage.py data_map`: what is stored about people, and what happens to it, as the models declare it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from arena.personal.data_map import PLACE, data_map


class Command(BaseCommand):
    help = "Print the data map: every personal field and what a withdrawal does with it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--write", action="store_true", help=f"into docs/{PLACE.name} instead")

    def handle(self, write: bool, **options: Any) -> None:
        if not write:
            self.stdout.write(data_map(), ending="")
            return
        PLACE.write_text(data_map(), encoding="utf-8")
        self.stdout.write(f"Wrote {PLACE}.")

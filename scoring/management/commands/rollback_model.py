from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena.refusals import Refusal
from scoring.registry import live as registry


class Command(BaseCommand):
    help = "Make the reward model live again that the live one replaced. Run it again to go one model further back."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--force", action="store_true", help="even if its weights or encoders are not installed here"
        )

    def handle(self, force: bool, **options: Any) -> None:
        try:
            decision = registry.roll_back("manage.py rollback_model", force=force)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{decision.model} is live again; {decision.replaced} retires.")

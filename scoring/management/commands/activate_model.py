from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena.refusals import Refusal
from scoring.registry import live as registry


class Command(BaseCommand):
    help = "Make a reward model the live one. The gpu workers score every clip with it, without a restart."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--force", action="store_true", help="even if its weights or encoders are not installed here"
        )

    def handle(self, name: str, force: bool, **options: Any) -> None:
        try:
            model = registry.find_model(name)
            decision = registry.activate(model, "manage.py activate_model", force=force)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        if decision:
            self.stdout.write(f"{name} is live{f'; {decision.replaced} retires' if decision.replaced else ''}.")
        else:
            self.stdout.write(f"{name} is live already: nothing to do.")

from django.core.management.base import BaseCommand, CommandError

from arena.refusals import Refusal
from scoring.registry import live as registry


class Command(BaseCommand):
    help = "Make that reward model live again which the live one had replaced. Once more: one further back."

    def add_arguments(self, parser):
        parser.add_argument("--force", action="store_true", help="although its weights or encoders are not here")

    def handle(self, force, **options):
        try:
            decision = registry.roll_back("manage.py rollback_model", force=force)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{decision.model} is live again; {decision.replaced} retires.")

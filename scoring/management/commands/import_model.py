from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scoring.management.candidates import check_name, make_live
from scoring.reward.weights import WeightsError


class Command(BaseCommand):
    help = "Store a published head (.pt of weights only, or .safetensors) as a candidate reward model."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", type=Path)
        parser.add_argument(
            "--encoders",
            default="",
            help="keys of the encoders it reads, comma-separated and in order; text encoders may be left out: they "
            "come last. Default: as in its sidecar (NAME.json beside NAME.pt)",
        )
        parser.add_argument("--name", help="default: the name of the file")
        parser.add_argument("--activate", action="store_true", help="make it the live model")

    def handle(self, path: Path, encoders: str, name: str | None, activate: bool, **options: Any) -> None:
        from scoring.training.import_head import import_model

        keys = [key.strip() for key in encoders.split(",") if key.strip()]
        if name:
            check_name(name)
        try:
            model = import_model(path, encoder_keys=keys, name=name)
        except (ValueError, FileNotFoundError, WeightsError) as error:
            raise CommandError(str(error)) from error
        blocks = ", ".join(f"{block['key']} {block['dimension']} ({block['revision']})" for block in model.encoders)
        self.stdout.write(f"{model.name}: reads {blocks}, in this order. Imported, not measured here.")
        self.stdout.write(f"Licence of the head: {model.config['imported']['licence']}")
        if activate:
            make_live(model, by="manage.py import_model")
            self.stdout.write(f"{model.name} is live.")

"""`metrics STUDY`: the audio metrics of its systems, and which of them says what its listeners said."""

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena.refusals import Refusal
from arena.services import find_study
from scoring.evaluation.study_metrics import measure
from scoring.models import RewardModel
from scoring.reward.encoders import KEYS, Encoder, UnknownEncoder, get_encoder
from scoring.reward.weights import WeightsError


class Command(BaseCommand):
    help = (
        "Metrics of a study's systems from embeddings of their clips: Fréchet and kernel audio distance, MAUVE "
        "divergence, diversity, text-audio cosine, reward; and how each agrees with the study's votes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", help="its slug")
        parser.add_argument(
            "--encoder", action="append", choices=KEYS, metavar="KEY",
            help=f"one of {', '.join(KEYS)}; may be repeated (default: those of the live model)",
        )  # fmt: skip
        parser.add_argument(
            "--reference", metavar="SYSTEM", help="distances are to its clips (default: to all other systems together)"
        )
        parser.add_argument("--seed", type=int, default=0, help="of the bootstrap and the clusters (%(default)s)")
        parser.add_argument(
            "--json", dest="json_file", metavar="FILE", type=Path, help="write everything into this file"
        )

    def handle(
        self, study: str, encoder: list[str] | None, reference: str | None, seed: int, json_file: Path | None, **_: Any
    ) -> None:
        try:
            result = measure(find_study(study), self.encoders(encoder), reference, seed)
        except (Refusal, UnknownEncoder, WeightsError) as error:
            raise CommandError(str(error)) from error
        if json_file:
            json_file.write_text(json.dumps(result, indent=1, allow_nan=False) + "\n")
        self.print_systems(result)
        self.print_agreement(result)

    def encoders(self, keys: list[str] | None) -> list[Encoder]:
        if keys:
            return [get_encoder(key) for key in dict.fromkeys(keys)]
        live = RewardModel.live()
        if not live:
            raise CommandError("There is no live reward model whose encoders could be used: name some with --encoder.")
        return [get_encoder(block["key"], block["revision"]) for block in live.encoders]

    def print_systems(self, result: dict[str, Any]) -> None:
        self.stdout.write(f"{result['study']}: distances are to {result['reference']}.")
        for metric in result["metrics"]:
            self.stdout.write(f"\n{metric['name']} ({metric['better']} is better)")
            for system, value in metric["systems"].items():
                interval = "" if value["low"] is None else f"  [{value['low']:.4g}, {value['high']:.4g}]"
                self.stdout.write(f"  {system:30} {value['value']:10.4g}{interval}")
            for system, reason in metric["left_out"].items():
                self.stdout.write(f"  {system:30} left out: {reason}")

    def print_agreement(self, result: dict[str, Any]) -> None:
        if result["edition"] is None:
            self.stdout.write("\nThe board has no edition yet, so nothing is known of agreement with listeners.")
            return
        self.stdout.write(f"\nAgreement with the votes of edition {result['edition']}:")
        for name, found in result["agreement"].items():
            if "left_out" in found:
                self.stdout.write(f"  {name:36} left out: {found['left_out']}")
                continue
            accuracy, tau = found["accuracy"], found["by_system"]
            interval = "" if accuracy["low"] is None else f" [{accuracy['low']:.1%}, {accuracy['high']:.1%}]"
            ranks = "" if tau is None else f", rank correlation with the board {tau:+.2f}"
            self.stdout.write(f"  {name:36} {accuracy['value']:.1%}{interval} of {found['n_pairs']} pairs{ranks}")

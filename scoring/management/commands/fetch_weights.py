from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scoring.models import RewardModel
from scoring.reward import weights


class Command(BaseCommand):
    help = "Download a set of weights from its hub, or install its files from a folder. Without a name: list the sets."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", nargs="?", help=", ".join(weights.SETS))
        parser.add_argument("--from", dest="source", type=Path, metavar="DIR", help="a folder that has the files")

    def handle(self, name: str | None, source: Path | None, **options: Any) -> None:
        if not name:
            return self.list_sets()
        try:
            old = installed_or_none(name)
            new = weights.install(name, source) if source else weights.download(name, say=self.stdout.write)
        except weights.WeightsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{name} is in {new.path}, fingerprint {new.fingerprint}. Licence: {licences(new)}")
        if old and old.fingerprint != new.fingerprint:
            self.warn_of_another_revision(old.fingerprint, new.fingerprint)

    def list_sets(self) -> None:
        for weight_set in weights.SETS.values():
            try:
                state = f"installed, fingerprint {weights.installed(weight_set.name).fingerprint}"
            except weights.WeightsMissing:
                state = "not installed"
            except weights.BadWeights as damage:
                state = str(damage)
            gated = ", gated" if weight_set.gated else ""
            self.stdout.write(
                f"{weight_set.name}: {state}; {weight_set.size}, {weight_set.licence}{gated}\n    {weight_set.about}"
            )

    def warn_of_another_revision(self, old: str, new: str) -> None:
        """Embeddings are stored by revision, so that none are mixed up; but old heads cannot read new embeddings."""
        depend = [
            f"{model} ({model.status})"
            for model in RewardModel.objects.order_by("pk")
            if any(block["revision"].endswith(f"-{old}") for block in model.encoders)
        ]
        self.stdout.write(
            f"The earlier weights had fingerprint {old}: with {new} their encoders have another revision. Existing "
            "embeddings and rewards are kept; for models of the new revision, clips are embedded again."
        )
        if depend:
            self.stdout.write(
                f"These models need the old revision and cannot score further clips: {', '.join(depend)}. Train or "
                "import a model on the new revision, or install the old weights again with --from."
            )


def installed_or_none(name: str) -> weights.Installed | None:
    """The installed weights; None where they are damaged or missing: they are about to be replaced."""
    try:
        return weights.installed(name)
    except (weights.WeightsMissing, weights.BadWeights):
        return None


def licences(installed: weights.Installed) -> str:
    return ", ".join(sorted({file["licence"] for file in installed.files.values()}))

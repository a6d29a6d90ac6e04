from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from scoring.models import RewardModel
from scoring.reward import weights


class Command(BaseCommand):
    help = "Fetch a set of weights from its hub, or take its files from a folder. Without a name: lists the sets."

    def add_arguments(self, parser):
        parser.add_argument("name", nargs="?", help=", ".join(weights.SETS))
        parser.add_argument("--from", dest="source", type=Path, metavar="DIR", help="a folder that has the files")

    def handle(self, name, source, **options):
        if not name:
            return self.list_sets()
        try:
            before = installed_or_none(name)
            now = weights.install(name, source) if source else weights.download(name, say=self.stdout.write)
        except weights.WeightsError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{name} is in {now.path}, fingerprint {now.fingerprint}. Licence: {licences(now)}")
        if before and before.fingerprint != now.fingerprint:
            self.warn_of_another_revision(before.fingerprint, now.fingerprint)

    def list_sets(self):
        for each in weights.SETS.values():
            try:
                state = f"installed, fingerprint {weights.installed(each.name).fingerprint}"
            except weights.WeightsMissing:
                state = "not installed"
            except weights.BadWeights as damage:
                state = str(damage)
            gated = ", gated" if each.gated else ""
            self.stdout.write(f"{each.name}: {state}; {each.size}, {each.licence}{gated}\n    {each.about}")

    def warn_of_another_revision(self, before, now):
        """Embeddings are kept by revision, so that nothing is mixed; but old heads cannot read new embeddings."""
        depend = [
            f"{model} ({model.status})"
            for model in RewardModel.objects.order_by("pk")
            if any(block["revision"].endswith(f"-{before}") for block in model.encoders)
        ]
        self.stdout.write(
            f"The weights before had fingerprint {before}: with {now} their encoders are another revision. Embeddings "
            "and rewards that there are stay; clips are embedded anew for models of the new revision."
        )
        if depend:
            self.stdout.write(
                f"Made for the old revision, and without it unable to score more clips: {', '.join(depend)}. "
                "Train or import a model on the new one, or install the old weights again with --from."
            )


def installed_or_none(name):
    """What is installed, damaged or not there counting as nothing: it is about to be replaced."""
    try:
        return weights.installed(name)
    except (weights.WeightsMissing, weights.BadWeights):
        return None


def licences(installed):
    return ", ".join(sorted({file["licence"] for file in installed.files.values()}))

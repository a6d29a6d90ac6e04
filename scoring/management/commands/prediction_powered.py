from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from scoring.boards import prediction_powered
from scoring.management.studies import live_model, studies_with_edition
from scoring.models import PredictionPowered


class Command(BaseCommand):
    help = (
        "Compute prediction-powered ratings, from votes and from the live model's opinion of unvoted pairs, for the "
        "last edition of a study's board (default: of every study with an edition). A sweep does so, too; this does "
        "it now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", nargs="*", help="slugs")
        parser.add_argument(
            "--state-unseen",
            action="store_true",
            help="state that the live model was trained on no prompt of this arena, where that is not known, as of an "
            "imported model; if it is not true, the intervals are too narrow",
        )

    def handle(self, study: list[str], state_unseen: bool = False, **_: Any) -> None:
        model, studies = live_model(), studies_with_edition(study)
        if state_unseen:
            if prediction_powered.unseen(model) == "split":
                raise CommandError(f"It is recorded which prompts {model} was trained on: there is nothing to state.")
            prediction_powered.state_unseen(model, "manage.py")
        for each_study in studies:
            row = prediction_powered.compute(each_study, model)
            assert row, "it is computed whether it is due or not"
            self.stdout.write(self.describe(row))

    def describe(self, row: PredictionPowered) -> str:
        result = row.result
        if result["not_offered"]:
            return f"{row}: not offered, {result['not_offered']}"
        return (
            f"{row}: {result['n_votes']} votes, the model predicts {result['n_predicted']} of them and "
            f"{result['n_unvoted']} pairs without a vote; intervals {result['width_ratio']:.3f} times as wide"
        )

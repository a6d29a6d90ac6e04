from django.core.management.base import BaseCommand, CommandError

from scoring.boards import prediction_powered
from scoring.management.studies import live_model, studies_with_edition


class Command(BaseCommand):
    help = (
        "Compute ratings of votes and of the live model's opinion of unvoted pairs, beside the last edition of a "
        "study's board (default: of every study with an edition). They come by themselves; this does it now."
    )

    def add_arguments(self, parser):
        parser.add_argument("study", nargs="*", help="slugs")
        parser.add_argument(
            "--state-unseen",
            action="store_true",
            help="state that no prompt of this arena trained the live model, where that is not known of it, as of an "
            "imported one; if it is not true, the intervals are too narrow",
        )

    def handle(self, study, state_unseen=False, **_):
        model, studies = live_model(), studies_with_edition(study)
        if state_unseen:
            if prediction_powered.unseen(model) == "split":
                raise CommandError(f"{model} recorded which prompts trained it: there is nothing to state.")
            prediction_powered.state_unseen(model, "manage.py")
        for one in studies:
            self.stdout.write(self.said(prediction_powered.compute(one, model)))

    def said(self, row):
        result = row.result
        if result["not_offered"]:
            return f"{row}: not offered, {result['not_offered']}"
        return (
            f"{row}: {result['n_votes']} votes, the model speaks of {result['n_predicted']} of them and of "
            f"{result['n_unvoted']} pairs without one; intervals {result['width_ratio']:.3f} times as wide"
        )

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from annotations import ledger
from arena.refusals import Refusal
from scoring.jury.worker import score_pending
from scoring.models import RetrainingRun
from scoring.training import retraining
from scoring.wording.facts import facts


class Command(BaseCommand):
    help = (
        "Do one run of the retraining loop now, or complete the unfinished one: train a candidate, judge it, rescore, "
        "refit the anchors. However few new votes there are, and whether or not the loop is switched on."
    )

    def handle(self, **options: Any) -> None:
        ledger.catch_up()
        try:
            run = retraining.begin(anyway=True)
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        self.stdout.write(f"{run}: {self.describe(run.facts['votes'])}")
        while not run.ended_at:
            step = run.step
            if self.advance(run):
                self.stdout.write(f"  {RetrainingRun.Step(step).label}: {self.describe(run.facts[step])}")
            else:
                time.sleep(1)
                run.refresh_from_db()
        if run.error:
            raise CommandError(f"{run} failed: {run.error}")
        assert run.candidate, "a run that is done has one"
        self.stdout.write(f"{run} is done; {run.candidate} is {run.candidate.status}.")

    def advance(self, run: RetrainingRun) -> bool:
        if run.step == RetrainingRun.Step.RESCORE:
            score_pending()  # beside the gpu workers, or instead of them where none runs
        with tqdm(desc=run.get_step_display(), unit=" epochs", disable=run.step != RetrainingRun.Step.TRAIN) as bar:

            def show(epoch):
                bar.set_postfix(validation_loss=f"{epoch['validation_loss']:.4f}", refresh=False)
                bar.update()

            return retraining.do_step(run, progress=show)

    def describe(self, step: dict[str, Any]) -> str:
        """The facts of a step; of a judgement, its sentences."""
        if step.get("reasons"):
            outcome = "promoted" if step["promoted"] else "kept out"
            return "".join([outcome, *(f"\n    {sentence}" for sentence in step["reasons"])])
        return facts({name: value for name, value in step.items() if not name.endswith("_at")})

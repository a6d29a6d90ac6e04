import fcntl
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from arena.models import Study
from arena.refusals import Refusal
from scoring.jury import scorers
from scoring.management.candidates import check_name, make_live
from scoring.management.studies import studies_of
from scoring.models import RewardModel
from scoring.reward.splits import SIDES, SPLITS
from scoring.reward.weights import WeightsError

CHOICES = (  # two trainings with the same choices are the same
    "study", "up_to_seq", "from_export", "clips", "keep_flagged", "weight_by_reliability", "encoders", "blocks",
    "split", "leave_out", "seeds", "lapses", "threads",
)  # fmt: skip
PASSED_ON = ("name", "blocks", "split", "leave_out", "seeds", "lapses", "threads")
FIGURES = {"accuracy": "accuracy", "ece": "ECE", "log_loss": "log loss"}


class Command(BaseCommand):
    help = "Train a reward model on votes, live or exported, and store it as a candidate."

    def add_arguments(self, parser: CommandParser) -> None:
        votes = parser.add_argument_group("votes")
        votes.add_argument("--study", action="append", default=[], help="slug; may be repeated. Default: all")
        votes.add_argument("--up-to-seq", type=int, help="of the ledger; default: all votes so far")
        votes.add_argument("--from-export", type=Path, metavar="FILE", help="jsonl by `export votes` or `export pairs`")
        votes.add_argument("--clips", type=Path, metavar="FOLDER", help="by `export --clips`; with --from-export")
        votes.add_argument("--keep-flagged", action="store_true", help="with --from-export: flagged votes too")
        votes.add_argument("--weight-by-reliability", action="store_true", help="a vote weighs its rater's skill")
        head = parser.add_argument_group("head")
        head.add_argument("--encoders", type=_keys, default=scorers.DEFAULT_ENCODERS, help="keys, comma-separated")
        head.add_argument("--blocks", type=_keys, help="read only these of the encoders, on the same votes")
        head.add_argument("--name")
        training = parser.add_argument_group("training")
        training.add_argument("--split", choices=SPLITS, default="prompt", help="what no two sides share")
        training.add_argument("--leave-out", metavar="STUDY", help="test on this study, and train without it")
        training.add_argument("--seeds", type=_numbers, default=(0,), help="comma-separated; the best is kept")
        training.add_argument("--lapses", action="store_true", help="learn how many votes follow no preference")
        training.add_argument("--threads", type=int, default=1, help="2 is faster where two cores are idle")
        training.add_argument("--resume", action="store_true", help="continue where the same command was killed")
        parser.add_argument("--activate", action="store_true", help="make it the live model")

    def handle(self, *, activate: bool, resume: bool, **options: Any) -> None:
        if options["name"]:
            check_name(options["name"])
        with self.checkpoint(options, resume) as checkpoint:
            model = self.train(options, checkpoint)
            checkpoint.unlink(missing_ok=True)
        self.report(model)
        if activate:
            make_live(model, by="manage.py train_reward")
            self.stdout.write(f"{model.name} is live.")

    def train(self, options: dict[str, Any], checkpoint: Path) -> RewardModel:
        with tqdm(desc="epochs", unit=" epochs") as bar:

            def show(epoch):
                bar.set_postfix(
                    seed=epoch["seed"],
                    loss=_figure(epoch["train_loss"]),
                    validation_loss=_figure(epoch["validation_loss"]),
                    validation_accuracy=_figure(epoch["validation_accuracy"]),
                    refresh=False,
                )
                bar.update()

            training = {
                "encoder_keys": options["encoders"],
                "progress": show,
                "checkpoint": checkpoint,
                **{name: options[name] for name in PASSED_ON},
            }
            try:
                return self.from_export(options, training) if options["from_export"] else self.live(options, training)
            except (Refusal, ValueError, WeightsError) as error:
                raise CommandError(str(error)) from error

    def live(self, options: dict[str, Any], training: dict[str, Any]) -> RewardModel:
        from scoring.training.candidates import train_candidate

        if options["clips"] or options["keep_flagged"]:
            raise CommandError("--clips and --keep-flagged go with --from-export.")
        studies = studies_of(options["study"], otherwise=Study.objects.order_by("pk"))
        simulated = ", ".join(study.slug for study in studies if study.is_simulated)
        if simulated:
            self.stdout.write(f"Some of these votes are simulated: those of the studies {simulated}")
        return train_candidate(
            studies,
            up_to_seq=options["up_to_seq"],
            weight_by_reliability=options["weight_by_reliability"],
            **training,
        )

    def from_export(self, options: dict[str, Any], training: dict[str, Any]) -> RewardModel:
        from scoring.training.candidates import train_on_export

        for name in ("study", "up_to_seq", "weight_by_reliability"):
            if options[name]:
                raise CommandError(f"--{name.replace('_', '-')} goes with the votes of this arena, not --from-export.")
        if not options["clips"]:
            raise CommandError("--from-export needs --clips, the folder that `export --clips` made.")
        if not options["from_export"].is_file():
            raise CommandError(f"There is no file {options['from_export']}.")
        with tqdm(desc="clips", unit=" clips") as bar:
            model = train_on_export(
                options["from_export"],
                options["clips"],
                keep_flagged=options["keep_flagged"],
                embedded=bar.update,
                **training,
            )
        for file, reason in model.config["not_embedded"].items():
            self.stderr.write(f"{file} is left out: {reason}")
        return model

    @contextmanager
    def checkpoint(self, options: dict[str, Any], resume: bool) -> Iterator[Path]:
        """The path of the checkpoint of a training with these options: one file for each choice of options, for one
        process at a time."""
        choice = json.dumps({name: options[name] for name in CHOICES}, default=str)
        path = settings.ARENA_HOME / "training" / f"{hashlib.sha256(choice.encode()).hexdigest()[:16]}.pt"
        with _locked(path.with_suffix(".lock")):
            if resume and not path.exists():
                raise CommandError(
                    "No training with these options was interrupted after an epoch: start it without --resume."
                )
            if not resume:
                path.unlink(missing_ok=True)
            yield path

    def report(self, model: RewardModel) -> None:
        split, over_seeds = model.config["split"], model.metrics["over_seeds"]
        seeds = [run["seed"] for run in model.config["seeds"]]
        excluded = ", ".join(f"{n} {reason}" for reason, n in model.config["excluded"].items()) or "none"
        self.stdout.write(
            f"{model.name}: votes left out: {excluded}; dropped by the split by {split['by']}: {split['dropped']}"
        )
        self.stdout.write(
            f"The best of the seeds ({', '.join(map(str, seeds))}) is {model.config['seed']}, "
            f"at epoch {model.config['best_epoch']}."
        )
        self.stdout.write(f"  {'side':<11}{'votes':>8}" + "".join(f"{title:>20}" for title in FIGURES.values()))
        for side in SIDES:
            cells = []
            for figure in FIGURES:
                spread = over_seeds[side][figure]
                around = "" if spread["sd"] is None else f" ({_figure(spread['mean'])} ± {_figure(spread['sd'])})"
                cells.append(f"{_figure(model.metrics[side][figure])}{around}".rjust(20))
            self.stdout.write(f"  {side:<11}{model.metrics[side]['n']:>8}" + "".join(cells))
        if calibrated := model.metrics["test"]["calibrated"]:
            self.stdout.write(
                f"  Calibrated on the validation side (lapses {calibrated['rate']:.1%}, temperature "
                f"{calibrated['temperature']:.3f}), the test side has ECE {_figure(calibrated['ece'])}, log loss "
                f"{_figure(calibrated['log_loss'])}."
            )
        if len(seeds) > 1:
            self.stdout.write(f"  In brackets: mean ± standard deviation over {len(seeds)} seeds.")


@contextmanager
def _locked(path):
    """Hold a lock that ends with this process, however that ends. Its file is never deleted, or two processes could
    each hold the lock on a file of that name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise CommandError(
                f"Another process trains with these options (it holds {path}): wait for it, or end it and continue "
                "from its last epoch with --resume."
            ) from error
        yield


def _keys(text):
    return [key.strip() for key in text.split(",") if key.strip()]


def _numbers(text):
    return [int(number) for number in text.split(",")]


def _figure(value):
    return "none" if value is None else f"{value:.3f}"

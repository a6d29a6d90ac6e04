"""The loop that keeps the reward model up to date with the votes: train a candidate, judge it, promote it or not,
rescore, refit the anchors. One run at a time, one step at a time.

The run's row says what is left to do, so that any worker can continue it. A worker has a step as long as it renews its
claim; the claim of a killed worker expires. An outcome counts only while the claim is held, so that a step has one
outcome even where two workers do it.
"""

import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from annotations import ledger
from annotations.alarms import raise_alarm
from annotations.models import Ledger
from arena.locks import Lock, hold
from arena.models import Clip, Status, Study
from arena.refusals import Conflict
from scoring.anchors.refit import refit_anchors
from scoring.jury import claims, scorers
from scoring.jury.embedding import embed_all
from scoring.models import AnchorFit, Decision, Embedding, Retraining, RetrainingRun, RewardModel
from scoring.registry import live as registry
from scoring.workers.leases import renewed

from . import unseen

LEASE = timedelta(minutes=3)
PATIENCE = timedelta(hours=1)  # with clips that get no reward: no worker runs, or none has the model's encoders
SCREEN, GATE = "retraining", "the gate"
Step = RetrainingRun.Step
logger = logging.getLogger(__name__)


class NotDue(Conflict):
    """There is no reason to train a candidate yet; the message says what is missing."""


class ClaimLost(Exception):
    """Another worker has taken over the step: this one's outcome does not count."""


def turn() -> None:
    """Called by the scheduler: begin a run that is due, or do the next step of the unfinished one. Does nothing while
    the loop is switched off."""
    if not Retraining.load().is_on:
        return
    try:
        run = unfinished() or begin()
    except NotDue:
        return
    do_step(run)


def unfinished() -> RetrainingRun | None:
    """The run that has not ended, or None."""
    return RetrainingRun.objects.filter(ended_at=None).first()


# ---- the beginning ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """Which votes a run will use: those up to train_seq to train, the later ones up to judge_seq to judge."""

    live: RewardModel
    studies: list[Study]
    train_seq: int
    judge_seq: int
    n_new: int
    n_unseen: int
    n_judge: int


@transaction.atomic
def begin(*, anyway: bool = False) -> RetrainingRun:
    """Create a run, whose first step is to train; NotDue where there is no reason for one.

    anyway: also with few and old votes, if there are any that the live model has not seen.
    """
    hold(Lock.RETRAINING)
    if run := unfinished():
        return run
    row = Retraining.load()
    plan = make_plan(row, anyway=anyway)
    now = timezone.now()
    return RetrainingRun.objects.create(
        live_before=plan.live,
        train_seq=plan.train_seq,
        judge_seq=plan.judge_seq,
        config={
            "studies": [study.slug for study in plan.studies],
            "encoders": row.encoder_keys,
            "min_new_votes": row.min_new_votes,
            "judge_share": row.judge_share,
            "seeds": row.seeds,
            "lapses": plan.live.config.get("lapses", False),  # a choice for the live model holds for its successors
            "promotes": row.promotes,
        },
        facts={
            "votes": {
                "new": plan.n_new,
                "unseen": plan.n_unseen,
                "to_train": plan.n_unseen - plan.n_judge,
                "to_judge": plan.n_judge,
            }
        },
        started_at=now,
    )


def make_plan(row: Retraining, *, anyway: bool = False) -> Plan:
    """The Plan of a run that begins now under these settings; NotDue says what is missing.

    New votes are the decisive ones since the live model's place in the ledger, or since the last run's where that is
    later: after a run that failed or promoted no candidate, the next one waits for new votes, too. The candidate learns
    from, and is judged on, all votes that the live model has not seen.
    """
    live = RewardModel.live()
    if not live:
        raise NotDue("No reward model is live, so there is none that a candidate could be judged against.")
    studies = row.chosen_studies()
    if not studies:
        raise NotDue("There is no study whose votes could be used: none is chosen, and all are simulated.")
    last = RetrainingRun.objects.first()
    since = live.ledger_seq if anyway or not last else max(live.ledger_seq, last.judge_seq)
    n_needed = 2 if anyway else max(2, row.min_new_votes)
    head = ledger.head()
    in_ledger = Ledger.objects.filter(study__in=studies, vote__isnull=False, seq__gt=since, seq__lte=head).count()
    if in_ledger < n_needed:  # the cheap query first
        raise NotDue(f"There are {in_ledger} new votes; {n_needed} decisive ones are needed.")
    decisive = unseen.votes_between(studies, live.ledger_seq, head).decisive
    n_new = int((decisive > since).sum())
    if n_new < n_needed:
        raise NotDue(f"There are {n_new} new decisive votes that count; {n_needed} are needed.")
    n_judge = min(max(1, round(row.judge_share * len(decisive))), len(decisive) - 1)
    return Plan(live, studies, int(decisive[-n_judge - 1]), head, n_new, len(decisive), n_judge)


# ---- one step -----------------------------------------------------------------------------------------


def do_step(run: RetrainingRun, progress: Callable[[dict[str, Any]], object] | None = None) -> bool:
    """Do the run's next step. True where the run advanced or failed; False where the step has to wait, or another
    worker does it. A step that fails ends the run, with the reason, and raises an alarm.

    progress: called with each epoch's entry of the history.
    """
    claim = Claim.take(run)
    if not claim:
        return False
    step = run.step
    try:
        with claim.kept_alive():
            moved = STEPS[step](claim, progress) if step == Step.TRAIN else STEPS[step](claim)
    except ClaimLost:
        logger.warning("%s: another worker has taken over to %s", run, run.get_step_display())
        return False
    except Exception as error:  # any failure must raise an alarm, and must not repeat every few seconds
        logger.exception("%s cannot %s", run, run.get_step_display())
        claim.fail(f"{type(error).__name__}: {error}"[:2000])
        shutil.rmtree(_checkpoints(run), ignore_errors=True)
        return True
    logger.info("%s: %s", run, f"{step} is done" if moved else f"{step} waits")
    return moved


class Claim:
    """A worker's claim on the next step of a run."""

    def __init__(self, run: RetrainingRun, until: datetime) -> None:
        self.run, self.step, self.until = run, run.step, until
        self.lock = threading.Lock()  # between the step and the thread that renews its claim

    @classmethod
    def take(cls, run: RetrainingRun) -> "Claim | None":
        """Claim the step that is next according to `run`; None where it is done already, or another worker has it."""
        now = timezone.now()
        free = RetrainingRun.objects.filter(pk=run.pk, step=run.step, ended_at=None).filter(
            Q(claimed_until=None) | Q(claimed_until__lt=now)
        )
        if not free.update(claimed_until=now + LEASE):
            return None
        run.refresh_from_db()
        claim = cls(run, now + LEASE)
        claim.note(**({"taken_up_again_at": _iso(now)} if run.step in run.facts else {"began_at": _iso(now)}))
        return claim

    def note(self, **facts: Any) -> None:
        """Store facts about the step so far."""
        self._write(facts=self._facts(facts))

    def wait(self, **facts: Any) -> None:
        """The step cannot be done yet: release the claim."""
        self._write(facts=self._facts(facts), claimed_until=None)

    def advance(
        self, step: str, *, candidate: RewardModel | None = None, skipped: dict[str, str] | None = None, **facts: Any
    ) -> None:
        """The step is done, with these facts; `step` is next. skipped: {step: why} of the steps left out between."""
        now = timezone.now()
        left_out = {name: {"skipped": why} for name, why in (skipped or {}).items()}
        self._write(
            facts=self._facts({**facts, "ended_at": _iso(now)}) | left_out,
            candidate=candidate or self.run.candidate,
            step=step,
            ended_at=now if step == Step.DONE else None,
            claimed_until=None,
        )

    def fail(self, error: str) -> None:
        """End the run and raise an alarm in its studies; nothing where another worker has taken over."""
        now = timezone.now()
        message = f"{self.run} failed to {Step(self.step).label}: {error}"
        facts = self._facts({"failed_at": _iso(now)})
        try:
            with transaction.atomic():
                self._write(facts=facts, step=Step.FAILED, error=error, ended_at=now, claimed_until=None)
                for study in _studies(self.run):
                    raise_alarm(study, SCREEN, message, {}, now)
        except ClaimLost:
            logger.warning("%s goes on: another worker has taken over", self.run)

    def _facts(self, new):
        return {**self.run.facts, self.step: {**self.run.facts.get(self.step, {}), **new}}

    def _write(self, **fields):
        """Only once per transaction: the thread that renews the claim may hold the lock and wait for the row."""
        with self.lock:
            if self.until is None:  # released: renewing it now would claim a step that is free, or another worker's
                raise ClaimLost(str(self.run))
            if not RetrainingRun.objects.filter(pk=self.run.pk, claimed_until=self.until).update(**fields):
                raise ClaimLost(str(self.run))
            self.until = fields.get("claimed_until", self.until)
        for name, value in fields.items():
            setattr(self.run, name, value)

    def kept_alive(self) -> AbstractContextManager[Any]:
        """Renew the claim while the block runs, from a thread that dies with the worker."""
        return renewed(self._renew, LEASE)

    def _renew(self):
        try:
            self._write(claimed_until=timezone.now() + LEASE)
        except ClaimLost:  # the step will notice when it writes
            return False
        return True


# ---- the steps ----------------------------------------------------------------------------------------


def _train(claim, progress=None):
    from scoring.reward.training_checkpoint import BadTrainingCheckpoint

    from .candidates import train_candidate

    run = claim.run
    name = f"{'+'.join(run.config['encoders'])}-run-{run.pk}"
    candidate = RewardModel.objects.filter(name=name, created_at__gte=run.started_at).first()  # of a killed worker
    if not candidate:
        checkpoint = _checkpoints(run) / "training"
        train = partial(
            train_candidate,
            _studies(run),
            encoder_keys=run.config["encoders"],
            seeds=list(range(run.config["seeds"])),
            lapses=run.config.get("lapses", False),
            name=name,
            up_to_seq=run.train_seq,
            checkpoint=checkpoint,
            progress=partial(_show, claim, progress),
        )
        try:
            candidate = train()
        except BadTrainingCheckpoint as error:  # after an upgrade, or the file is damaged: there is nothing to repair
            logger.warning("%s trains from the start: %s", run, error)
            checkpoint.unlink(missing_ok=True)
            candidate = train()
    claim.advance(Step.JUDGE, candidate=candidate, test=_figures(candidate), pairs=candidate.config["split"]["pairs"])
    shutil.rmtree(_checkpoints(run), ignore_errors=True)
    return True


def _show(claim, progress, entry):
    """After an epoch: now and then store it for the admin to see, which also notices a lost claim."""
    if entry["epoch"] % 10 == 1:
        claim.note(epoch=entry["epoch"], seed=entry.get("seed"), validation_loss=entry["validation_loss"])
    if progress:
        progress(entry)


def _judge(claim):
    """The gate's verdict is stored as a Decision in one transaction with the step: it is never decided twice, even if
    the worker is killed."""
    run = claim.run
    live: Any = RewardModel.live()  # there is one: a run begins with it, and it is only ever replaced
    if live == run.candidate:
        claim.advance(Step.RESCORE, found="A person made the candidate live before it was judged.")
        return True
    embed_all(sorted({*scorers.encoders_in_use(run.candidate), *scorers.encoders_in_use(live)}))
    verdict, n_unembedded = unseen.judge(run.candidate, live, _studies(run), run.judge_seq)
    figures = {**asdict(verdict), "reasons": list(verdict.reasons), "n_unembedded": n_unembedded}
    promotes = verdict.promote and run.config["promotes"]
    if verdict.promote and not promotes:
        figures["reasons"].append("The settings leave it to a person to make it live.")
    try:
        with transaction.atomic():
            if promotes:
                registry.activate(run.candidate, GATE, Decision.Act.PROMOTED, figures, over=live)
                claim.advance(Step.RESCORE, promoted=True, against=live.name, **figures)
            else:
                registry.keep(run.candidate, live, GATE, figures)
                skipped = {Step.RESCORE.value: "The live model stays as it was."}
                claim.advance(Step.ANCHORS, skipped=skipped, promoted=False, against=live.name, **figures)
    except registry.LiveChanged:
        claim.wait(found="The live model changed while the candidate was judged; it is judged again.")
        return False
    return True


def _rescore(claim):
    """Wait until the gpu workers have scored every clip that can be scored, or no reward has come for PATIENCE."""
    live: Any = RewardModel.live()
    now = timezone.now()
    n_left, facts = unrewarded(live).count(), claim.run.facts[Step.RESCORE]
    since = facts["since"] if facts.get("left") == n_left else _iso(now)
    if n_left and datetime.fromisoformat(since) > now - PATIENCE:
        claim.wait(left=n_left, since=since, under=live.name)
        return False
    claim.advance(Step.ANCHORS, left=n_left, under=live.name, rewards=live.rewards.count())
    return True


def unrewarded(model: RewardModel) -> QuerySet[Clip]:
    """Ready clips that all of the model's encoders have embedded, and that have no reward under it."""
    clips = Clip.objects.filter(~Exists(claims.rewards_of(model, clip=OuterRef("pk"))), status=Status.READY)
    for key, revision in scorers.encoders_in_use(model):
        of_clip = Embedding.objects.filter(clip=OuterRef("pk"), encoder=key, revision=revision, vector__isnull=False)
        clips = clips.filter(Exists(of_clip))
    return clips


def _anchors(claim):
    live: Any = RewardModel.live()
    pairs = {}
    for study in Study.objects.filter(editions__isnull=False).distinct():
        refit_anchors(study, live, only_if_due=True)  # a sweep may have done it already
        fit = AnchorFit.objects.filter(study=study).newest_of(live)
        pairs[study.slug] = fit.n_pairs if fit else 0
    claim.advance(Step.DONE, under=live.name, pairs=pairs)
    return True


STEPS: dict[Any, Callable] = {Step.TRAIN: _train, Step.JUDGE: _judge, Step.RESCORE: _rescore, Step.ANCHORS: _anchors}


def _studies(run):
    return list(Study.objects.filter(slug__in=run.config["studies"]).order_by("pk"))


def _figures(model):
    test = model.metrics.get("test", {})
    return {name: test.get(name) for name in ("n", "n_decided", "accuracy", "ece", "log_loss")}


def _checkpoints(run):
    """The folder of the training's checkpoint, in the storage that the workers share."""
    return Path(settings.MEDIA_ROOT) / "training" / f"run-{run.pk}"


def _iso(moment):
    return moment.isoformat(timespec="seconds")

"""Serve battles: the rater's open one, else the next in the study's schedule; progress; skips."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random, SystemRandom
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from arena.limits import Marks, Proof, admit_battle, require_proof
from arena.models import Battle, Rater, Study
from arena.participants import schedule_seed
from arena.refusals import Conflict, NotFound, Refusal
from arena.serving import pools, schedule
from arena.serving.candidates import ready_checks, still_being_cut

from ..services.joining import require_ready
from ..study_settings import REPEAT_DISTANCE
from .again import draw_again
from .draw_pair import Offer
from .process_cache import forget
from .reservations import Places, held_until
from .stock import recent_stock

logger = logging.getLogger(__name__)

BATTLE_LIFETIME = timedelta(days=30)
SKIP_REASONS = ("cannot_play", "cannot_decide", "heard_before", "other")
MANY = 500  # a progress bar needs no larger total
# A rater's battles in the order of serving, with the columns that every turn reads.
PAST = """
    SELECT id, study_id, rater_id, kind, policy, clip_a_id, clip_b_id, repeats_id, served_at, closed_at, close_reason,
        expires_at
    FROM arena_battle WHERE rater_id = %s ORDER BY served_at"""


def not_ready() -> Conflict:
    return Conflict("Clips of this study are still being made ready. Try again soon.", code="not_ready")


@dataclass(frozen=True)
class Served:
    """A battle for a rater, whether it is new, and where the rater is now (see `progress`)."""

    battle: Any
    created: bool
    progress: dict[str, int]


def serve_battle(rater: Rater, study: Study, **options: Any) -> tuple[Any, bool]:
    """(battle, created) of `serve`, which takes the same options."""
    served = serve(rater, study, **options)
    return served.battle, served.created


@transaction.atomic
def serve(
    rater: Rater,
    study: Study,
    *,
    after: UUID | None = None,
    like: UUID | None = None,
    came_by: Marks | None = None,
    proof: Proof | None = None,
    now: datetime | None = None,
    rng: Random | None = None,
) -> Served:
    """The rater's oldest open battle, else a new one.

    With `after` (a battle id of theirs) the battle that follows that one, at most one ahead, so that a page
    can fetch the next while this one is heard. With `like` (an answered battle of theirs) a new one for the same
    prompt. came_by: from `limits.marks_of`; TooMany where too many battles went there; who comes so may have to bring a
    proof. The rater's row is locked: two tabs get the same battle.
    """
    now = now or timezone.now()
    rater = Rater.objects.locked(rater.pk)
    require_ready(rater, study)
    turn, prompt = _Turn(rater, study, now, rng, came_by), None
    if like is None:
        waiting = turn.waiting(now)
        if after is not None:
            waiting = _following(rater, study, after, waiting)
        if waiting:
            return Served(Battle.objects.get(pk=waiting[0].pk), False, turn.progress())
    else:
        prompt = _prompt_of(rater, study, like, now)
    if not study.accepts_battles:
        raise Conflict("This study is closed; no new battles are served.", code="closed")
    if came_by:
        require_proof(study, "battle", proof, now, str(rater.pk))
    battle = turn.draw(prompt)
    admit_battle(study, rater, came_by, now)
    return Served(battle, True, turn.progress())


def _following(rater, study, after, waiting):
    previous = rater.battles.filter(pk=after, study=study).first()
    if not previous:
        raise NotFound("You have no such battle in this study.")
    following = [battle for battle in waiting if battle.served_at > previous.served_at]
    if not following and len(waiting) >= 2:
        raise Conflict("One battle ahead is enough: answer the open one first.", code="too_far_ahead")
    return following


def _prompt_of(rater, study, like, now):
    """The prompt of an answered battle of which the rater wants more; Conflict where the study has checks, which must
    come unexpectedly, or reveals nothing: there the rater cannot choose the order of battles."""
    liked = rater.battles.filter(pk=like, study=study, close_reason="voted").first()
    if not liked:
        raise NotFound("You have answered no such battle in this study.")
    if study.has_checks or not study.reveal:
        raise Conflict("This study serves its battles in its own order.", code="none_left_like")
    if rater.battles.filter(study=study).open(now).count() >= 2:
        raise Conflict("One battle ahead is enough: answer the open ones first.", code="too_far_ahead")
    return liked.prompt_id


class _Turn:
    """One rater's turn: their past battles, and what comes next."""

    def __init__(self, rater, study, now, rng=None, came_by=None):
        self.rater, self.study, self.rng = rater, study, rng or SystemRandom()
        self.connection = came_by and came_by.connection
        self.offer: Offer | None = None  # what there is after all of `past`, once that was looked up
        everywhere = list(Battle.objects.raw(PAST, [rater.pk]))
        self.past = [battle for battle in everywhere if battle.study_id == study.pk]
        last = everywhere[-1].served_at if everywhere else now
        # Later than the last battle, so that served_at gives the order of serving.
        self.now = max(now, last + timedelta(microseconds=1)) if everywhere else now

    def waiting(self, now):
        """The battles that can still be answered, by the rule of `BattleQuerySet.open`."""
        if self.study.ends_at and self.study.ends_at <= now:
            return []
        return [battle for battle in self.past if battle.closed_at is None and battle.expires_at > now]

    def draw(self, prompt=None):
        kind = schedule.RANKED
        if self.study.has_checks or self.study.blocks:
            kind = schedule.Schedule.of(self.study).kind_at(len(self.past), schedule_seed(self.rater, self.study))
        if kind is None:
            raise Conflict("That was all. Thank you!", code="none_left")
        if kind in schedule.CHECKS and self.study.votes_per_pair:
            self._require_place()
        if kind == schedule.REPEAT:
            drawn = self._repeat()
        elif kind != schedule.RANKED:
            drawn = self._check(kind)
        else:
            drawn = None
        if kind == schedule.PRACTICE and not drawn:  # a battle announced as practice must not count
            raise not_ready()
        return drawn or self._ranked(prompt)  # where another check is not available, an ordinary battle takes its place

    def _require_place(self):
        """Refuse a check where an ordinary battle would find no place: what was served nonetheless would be known to be
        a check."""
        offer = Offer(self.rater, self.study, self.past, self.now)
        places = Places.of(self.study, offer.stock, self.now, self.connection)
        if offer.is_full_for_now(places.awaited):
            raise places.full_for_now()
        if not offer.is_empty:
            places.require_share(self.study, offer.counts)

    def _ranked(self, prompt):
        offer = Offer(self.rater, self.study, self.past, self.now, prompt)
        if not prompt and (again := draw_again(offer, self.past, self.rng)):
            return self._create_ranked(again, Battle.AGAIN)
        if offer.is_empty and prompt:
            raise Conflict("You have heard every pair for this prompt.", code="none_left_like")
        if offer.is_empty and still_being_cut(self.study):
            raise not_ready()
        places = Places.of(self.study, offer.stock, self.now, self.connection) if self.study.votes_per_pair else None
        if places and offer.is_full_for_now(places.awaited):
            raise places.full_for_now()
        if offer.is_empty:
            raise Conflict("You have heard every pair there is. Thank you!", code="none_left")
        if places:
            places.require_share(self.study, offer.counts)
        drawn = offer.draw(self.rng)
        self.offer = None if prompt else offer
        return self._create_ranked(drawn, f"{drawn.policy}{'+like' if prompt else ''}")

    def _create_ranked(self, drawn, policy):
        candidate, (a, b) = drawn.candidate, self._slots()
        return self._create(
            kind=Battle.Kind.RANKED,
            prompt_id=candidate.prompt_id,
            system_a_id=candidate.system_ids[a],
            system_b_id=candidate.system_ids[b],
            **self._pieces([(candidate.clip_ids[a], ""), (candidate.clip_ids[b], "")], candidate),
            policy=policy,
            pair_probability=drawn.pair.probability,
            clip_probability=drawn.clips.probability,
            eligible_pairs=drawn.pair.n_options,
        )

    def options(self, kind):
        """What a check of this kind can use now: clips that this rater has not heard in a check, with their variants;
        or, for a repeat, their answered battles from at least REPEAT_DISTANCE battles ago."""
        if kind != schedule.REPEAT:
            met = {battle.clip_a_id for battle in self.past if battle.kind in Battle.ONE_CLIP}
            ready = ready_checks(self.study, kind == schedule.TRAP)
            unmet = [check for check in ready if check.clip_id not in met]
            return unmet or (ready if kind == schedule.PRACTICE else [])
        repeated = {battle.repeats_id for battle in self.past}
        stock, long_ago = recent_stock(self.study), self.past[: max(0, len(self.past) - REPEAT_DISTANCE + 1)]
        return [
            battle
            for battle in long_ago
            if battle.kind == Battle.Kind.RANKED and battle.close_reason == "voted" and battle.pk not in repeated
            if stock.find(battle.clip_a_id, battle.clip_b_id)
        ]

    def _check(self, kind):
        """A clip against a variant of itself; None where there is none."""
        options = self.options(kind)
        if not options:
            return None
        check = self.rng.choice(options)
        tones = kind == schedule.TRAP
        variants = ("", check.variant)
        a, b = self._slots()
        # The right answer is the original clip, not its degraded copy; in a trap, the one with the tones.
        right = 1 if tones else 0
        return self._create(
            kind=kind,
            prompt_id=check.prompt_id,
            system_a_id=check.system_id,
            system_b_id=check.system_id,
            **self._pieces([(check.clip_id, variants[a]), (check.clip_id, variants[b])], check),
            policy=kind,
            expected="A" if a == right else "B",
        )

    def _repeat(self):
        """An earlier battle with its slots swapped; None where there is none."""
        options = self.options(schedule.REPEAT)
        if not options:
            return None
        first = Battle.objects.get(pk=self.rng.choice(options).pk)
        same_clips = recent_stock(self.study).find(first.clip_a_id, first.clip_b_id)
        return self._create(
            kind=Battle.Kind.REPEAT,
            prompt_id=first.prompt_id,
            system_a_id=first.system_b_id,
            system_b_id=first.system_a_id,
            **self._pieces([(first.clip_b_id, ""), (first.clip_a_id, "")], same_clips),
            policy=Battle.Kind.REPEAT,
            repeats=first,
        )

    def _pieces(self, clips, of):
        """The Battle's fields of what is played: an excerpt of each (clip, variant). of: a Candidate or a Check."""
        study = self.study
        pieces = pools.take(study.pk, self.rater.pk, clips, of.length_ms, study.codec, of.is_own)
        if not pieces:  # a pool has just been emptied: what can be served is read again
            for key in (("stock", study.pk), ("checks", study.pk, True), ("checks", study.pk, False)):
                forget(key)
            raise not_ready()
        (clip_a, _), (clip_b, _) = clips
        return {
            "clip_a_id": clip_a, "excerpt_a_id": pieces[0].pk, "start_a_ms": pieces[0].start_ms,
            "clip_b_id": clip_b, "excerpt_b_id": pieces[1].pk, "start_b_ms": pieces[1].start_ms,
            "length_ms": of.length_ms,
        }  # fmt: skip

    def _slots(self):
        return (0, 1) if self.rng.random() < 0.5 else (1, 0)

    def _create(self, **drawn):
        lasts_until = self.now + BATTLE_LIFETIME
        battle = Battle.objects.create(
            study=self.study,
            rater=self.rater,
            served_at=self.now,
            reserved_until=held_until(self.past, self.now),
            expires_at=min(lasts_until, self.study.ends_at or lasts_until),
            **{"codec": self.study.codec, **drawn},
        )
        self.past.append(battle)
        self.offer = self.offer and self.offer.after(battle)
        return battle

    def progress(self):
        """{"done": battles the rater has finished, "total": those and the ones still to come}."""
        study, past = self.study, self.past
        done = sum(battle.closed_at is not None for battle in past)
        live = done + sum(battle.closed_at is None and battle.expires_at > self.now for battle in past)
        # Of any pair: a total that moved with ordinary battles alone would tell them.
        left = (self.offer or Offer(self.rater, study, past, self.now)).n_left()
        ranked = sum(battle.kind == Battle.Kind.RANKED for battle in past)
        if study.battles_per_rater:
            left = max(0, min(left, study.battles_per_rater - ranked))
        if study.has_checks or study.blocks:
            left = self._scheduled(left)
        return {"done": done, "total": live + left}

    def _scheduled(self, ranked_left):
        """How many battles the schedule still has for the rater, of which at most `ranked_left` are ordinary. Only for
        the next battle is it known whether a check is available; if not, an ordinary one takes its place."""
        plan, seed = schedule.Schedule.of(self.study), schedule_seed(self.rater, self.study)
        for count in range(MANY):
            kind = plan.kind_at(len(self.past) + count, seed)
            if count == 0 and kind in schedule.CHECKS and not self.options(kind):
                kind = schedule.RANKED
            if kind is None or (kind == schedule.RANKED and not ranked_left):
                return count
            ranked_left -= kind == schedule.RANKED
        return MANY


def progress(rater: Rater, study: Study) -> dict[str, int]:
    """{"done": battles the rater has finished, "total": those and the ones still to come}."""
    so_far: dict[str, int] = _Turn(rater, study, timezone.now()).progress()
    return so_far


def waits_for_clips(rater: Rater, study: Study) -> bool:
    """Whether there may soon be more for the rater: their schedule goes on, and excerpts are being cut."""
    return _goes_on(rater, study, list(rater.battles.filter(study=study))) and still_being_cut(study)


def full_for_now(rater: Rater, study: Study, now: datetime) -> bool:
    """Whether there may soon be more for the rater: their schedule goes on, and all that is left is reserved."""
    turn = _Turn(rater, study, now)
    if not study.votes_per_pair or not _goes_on(rater, study, turn.past):
        return False
    offer = Offer(rater, study, turn.past, turn.now)
    return offer.is_full_for_now(Places.of(study, offer.stock, turn.now).awaited)


def _goes_on(rater, study, past):
    """Whether the rater's schedule has a battle after these."""
    ranked = sum(battle.kind == Battle.Kind.RANKED for battle in past)
    if study.battles_per_rater and ranked >= study.battles_per_rater:
        return False
    if study.has_checks or study.blocks:
        return schedule.Schedule.of(study).kind_at(len(past), schedule_seed(rater, study)) is not None
    return True


@transaction.atomic
def skip_battle(rater: Rater, battle_id: UUID, reason: str, now: datetime | None = None) -> Battle:
    """Close an open battle without an answer. Skipping it again is not an error."""
    if reason not in SKIP_REASONS:
        raise Refusal(f"reason is {reason!r}; it is one of {', '.join(SKIP_REASONS)}.")
    Rater.objects.select_for_update(no_key=True).get(pk=rater.pk)
    battle = Battle.objects.filter(pk=battle_id, rater=rater).first()
    if not battle:
        raise NotFound("You have no such battle.")
    if battle.close_reason == "voted":
        raise Conflict("This battle has been answered already.", code="already_voted")
    if not battle.closed_at:
        battle.closed_at, battle.close_reason, battle.skip_reason = now or timezone.now(), "skipped", reason
        battle.save(update_fields=["closed_at", "close_reason", "skip_reason"])
        if reason == "cannot_play":
            logger.warning("%s: clip %s or %s could not be played", battle, battle.clip_a_id, battle.clip_b_id)
    return battle

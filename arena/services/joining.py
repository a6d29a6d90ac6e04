"""Admit raters: consent, where they come from, and the checks before the first battle."""

from datetime import datetime, timedelta
from random import Random
from typing import Any

from django.db import transaction
from django.utils import timezone

from arena.limits import Marks, Proof, admit_rater, require_proof
from arena.models import Arrival, Consent, Participation, Rater, SpentProof, Study, Traffic
from arena.participants import schedule_seed
from arena.refusals import Conflict, Forbidden, NotFound, Refusal

HEADPHONE_ATTEMPTS = 2
ARRIVALS_KEPT = timedelta(days=2)
# Raw SQL: these run for every battle, and building them in the ORM takes longer than running them.
STUDY_BY_SLUG = "SELECT * FROM arena_study WHERE slug = %s"
DEFAULT_STUDY = "SELECT * FROM arena_study WHERE is_default"
AGREED = """
    SELECT participation.* FROM arena_participation AS participation
        JOIN arena_consent AS consent ON consent.rater_id = participation.rater_id
            AND consent.study_id = participation.study_id
    WHERE participation.rater_id = %s AND participation.study_id = %s AND consent.version = %s"""


def find_study(slug: str | None = None) -> Study:
    """The named study, or the one marked default."""
    for study in Study.objects.raw(STUDY_BY_SLUG, [slug]) if slug else Study.objects.raw(DEFAULT_STUDY):
        return study
    raise NotFound(f"There is no study called {slug!r}." if slug else "No study is marked as the default.")


@transaction.atomic
def give_consent(
    rater: Rater | None,
    study: Study,
    version: int,
    now: datetime | None = None,
    kind: str = "listener",
    participant: str | None = None,
    came_by: Marks | None = None,
    group: str = "",
    proof: Proof | None = None,
) -> Rater:
    """Record a rater's consent to the study's current text; without a rater, create one. Returns the rater.

    participant: from `participants.participant_of`. Each participant has a rater of its own, whatever the browser;
    coming back with it gives the same rater, and access only to what that rater did in this study. came_by: from
    `limits.marks_of`, stored when a rater is new in the study; TooMany where too many came from there. proof: what who
    is new and comes so may have to bring. group: one of the study's, as the rater states; only the first statement
    counts, because otherwise the boards of groups would move without a vote.
    """
    now = now or timezone.now()
    if version != study.consent_version:
        raise Conflict(
            f"The consent text of this study is now version {study.consent_version}; please read it again.",
            code="consent_outdated",
            consent_version=study.consent_version,
        )
    if group and group not in study.groups:
        raise Refusal(f"{group!r} is not one of this study's groups: {', '.join(study.groups) or 'it has none'}.")
    if participant:
        Study.objects.select_for_update(no_key=True).get(pk=study.pk)  # one person in two tabs is one rater
        known = Participation.objects.filter(study=study, participant=participant).first()
        rater = known and known.rater  # a rater of this study only: the browser may be shared
    if rater:  # a rater who has just withdrawn stays withdrawn, and a new one is created
        rater = Rater.objects.select_for_update(no_key=True).filter(pk=rater.pk, withdrawn_at=None).first()
    # Also for who is a rater already: raters made in another study, in any number, are new in this one.
    is_new_here = not (rater and Participation.objects.filter(rater=rater, study=study).exists())
    if came_by and is_new_here:
        require_proof(study, "join", proof, now)
    rater = rater or Rater.objects.create(kind=kind, created_at=now)
    if came_by and is_new_here:
        admit_rater(study, rater, came_by, now)
    Consent.objects.get_or_create(rater=rater, study=study, version=version, defaults={"given_at": now})
    Participation.objects.get_or_create(rater=rater, study=study, defaults={"started_at": now})
    if participant:
        Participation.objects.filter(rater=rater, study=study).update(participant=participant)
    if group:
        Participation.objects.filter(rater=rater, study=study, group="").update(group=group)
    return rater


def forget_arrivals(now: datetime | None = None) -> int:
    """Delete the arrivals, the counts of what came by them and the proofs of work, that are older than ARRIVALS_KEPT;
    returns how many rows."""
    until = (now or timezone.now()) - ARRIVALS_KEPT
    old: tuple[Any, ...] = (
        Arrival.objects.filter(at__lt=until),
        Traffic.objects.filter(hour__lt=until),
        SpentProof.objects.filter(at__lt=until),
    )
    return sum(rows.delete()[0] for rows in old)


# ---- before the first battle --------------------------------------------------------------------------


def participation_of(rater: Rater, study: Study) -> Participation:
    """The rater's participation in the study; Forbidden before they have agreed to its current text."""
    if known := list(Participation.objects.raw(AGREED, [rater.pk, study.pk, study.consent_version])):
        return known[0]
    if not Consent.objects.filter(rater=rater, study=study, version=study.consent_version).exists():
        raise Forbidden("Please agree to this study's consent text first: POST /api/raters/.", code="consent_needed")
    return Participation.objects.get_or_create(rater=rater, study=study)[0]


def _participation_to_change(rater, study):
    """The participation, locked; Forbidden after a withdrawal, and a later withdrawal erases what is written."""
    if not Rater.objects.select_for_update(no_key=True).filter(pk=rater.pk, withdrawn_at=None).exists():
        raise Forbidden("You have withdrawn.", code="consent_needed")
    return Participation.objects.select_for_update().get(pk=participation_of(rater, study).pk)


def require_ready(rater: Rater, study: Study) -> None:
    """Refuse a rater who still has something to do before a battle; the code says what."""
    participation = participation_of(rater, study)
    if not participation.participant and study.platform:
        raise Forbidden("This study is entered from its platform.", code="platform_needed")
    if not participation.participant and study.access == Study.Access.INVITED:
        raise Forbidden("This study is by invitation.", code="invitation_needed")
    if study.volume_check and participation.volume is None:
        raise Forbidden("Please set the volume first.", code="volume_needed")
    _require_headphones(participation, study)


def _require_headphones(participation, study):
    if study.headphones == Study.Headphones.OFF or participation.headphones in ("pass", "unknown"):
        return
    failed = participation.headphones == Participation.Headphones.FAIL
    if failed and study.headphones == Study.Headphones.RECOMMENDED:
        return
    if failed and participation.headphone_attempts >= HEADPHONE_ATTEMPTS:
        raise Conflict("This study needs headphones, and the check did not find any.", code="screened_out")
    raise Forbidden("Please do the headphone check first.", code="headphones_needed")


@transaction.atomic
def set_volume(rater: Rater, study: Study, level: float) -> None:
    """Store the volume, 0 to 1, at which the rater found the reference sound comfortable."""
    participation = _participation_to_change(rater, study)
    participation.volume = level
    participation.save(update_fields=["volume"])


@transaction.atomic
def begin_headphones(rater: Rater, study: Study) -> int:
    """Begin or continue an attempt, the second only after a failed first; returns its number."""
    participation = _participation_to_change(rater, study)
    failed_once = participation.headphones == "fail" and participation.headphone_attempts < HEADPHONE_ATTEMPTS
    if participation.headphones and not failed_once:
        raise Conflict("The headphone check is done.", code="headphones_done")
    if failed_once or not participation.headphone_attempts:
        participation.headphone_attempts += 1
        participation.headphones = ""
        participation.save(update_fields=["headphone_attempts", "headphones"])
    return participation.headphone_attempts


def headphone_targets(rater: Any, study: Study, attempt: int) -> list[tuple[int, int]]:
    """[(which interval holds the tone, seed of its noise)] of an attempt; the server's secret."""
    from arena.audio.headphones import N_TRIALS  # imports NumPy, which not every process needs

    rng = Random(f"{schedule_seed(rater, study)}:headphones:{attempt}")
    return [(rng.randint(1, 3), rng.getrandbits(32)) for _ in range(N_TRIALS)]


@transaction.atomic
def answer_headphones(rater: Rater, study: Study, attempt: int, answers: list[int] | None) -> dict[str, Any]:
    """Judge an attempt, once. answers: an interval (1 to 3) per trial, or None where it could not be played. At the
    first attempt None counts as unknown, which excludes nobody; after a failed attempt it counts as a failure. Returns
    {"result", "correct", "of", "attempts_left"}."""
    from arena.audio.headphones import PASS_AT

    participation = _participation_to_change(rater, study)
    if attempt != participation.headphone_attempts or participation.headphones:
        raise Conflict("This attempt is not open.", code="headphones_done")
    targets = [target for target, _ in headphone_targets(rater, study, attempt)]
    if answers is None:
        correct = None
        result = Participation.Headphones.UNKNOWN if attempt == 1 else Participation.Headphones.FAIL
    elif len(answers) != len(targets):
        raise Refusal(f"answers: {len(targets)} are needed, not {len(answers)}.")
    else:
        correct = sum(answer == target for answer, target in zip(answers, targets, strict=True))
        result = Participation.Headphones.PASS if correct >= PASS_AT else Participation.Headphones.FAIL
    participation.headphones = result
    participation.save(update_fields=["headphones"])
    left = HEADPHONE_ATTEMPTS - attempt if result == Participation.Headphones.FAIL else 0
    return {"result": str(result), "correct": correct, "of": len(targets), "attempts_left": left}

"""Raters in: consent, where they come from, and the checks before the first battle."""

from datetime import timedelta
from random import Random

from django.db import transaction
from django.utils import timezone

from arena.models import Arrival, Consent, Participation, Rater, Study
from arena.participants import schedule_seed
from arena.refusals import Conflict, Forbidden, NotFound, Refusal

HEADPHONE_ATTEMPTS = 2
ARRIVALS_KEPT = timedelta(days=2)
# By hand: every battle asks, and the ORM is slower to write it than the database to answer.
AGREED = """
    SELECT participation.* FROM arena_participation AS participation
        JOIN arena_consent AS consent ON consent.rater_id = participation.rater_id
            AND consent.study_id = participation.study_id
    WHERE participation.rater_id = %s AND participation.study_id = %s AND consent.version = %s"""


def find_study(slug=None):
    """The named study, or the one marked default."""
    study = Study.objects.filter(**({"slug": slug} if slug else {"is_default": True})).first()
    if not study:
        raise NotFound(f"There is no study called {slug!r}." if slug else "No study is marked as the default.")
    return study


@transaction.atomic
def give_consent(rater, study, version, now=None, kind="listener", participant=None, connection=None, group=""):
    """Record a rater's consent to the study's current text; without a rater, make one. Returns the rater.

    participant: of `participants.participant_of`. Each has a rater of its own, whatever the browser; who comes back
    with it is that rater, and gets at nothing but what that rater did in this study. connection: of
    `participants.connection_of`, noted when a rater is new. group: one of the study's, as the rater says; the first
    word stands, or the boards of groups would move without a vote.
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
        rater = known and known.rater  # a rater of this study alone: the browser may be somebody else's, or shared
    if rater:  # one who withdraws at this moment stays withdrawn, and a new one is made
        rater = Rater.objects.select_for_update(no_key=True).filter(pk=rater.pk, withdrawn_at=None).first()
    if not rater:
        rater = Rater.objects.create(kind=kind, created_at=now)
        if connection:
            Arrival.objects.create(rater=rater, connection=connection, at=now)
    Consent.objects.get_or_create(rater=rater, study=study, version=version, defaults={"given_at": now})
    Participation.objects.get_or_create(rater=rater, study=study, defaults={"started_at": now})
    if participant:
        Participation.objects.filter(rater=rater, study=study).update(participant=participant)
    if group:
        Participation.objects.filter(rater=rater, study=study, group="").update(group=group)
    return rater


def forget_arrivals(now=None):
    """Erase the marks of connections that are older than ARRIVALS_KEPT."""
    return Arrival.objects.filter(at__lt=(now or timezone.now()) - ARRIVALS_KEPT).delete()[0]


# ---- before the first battle --------------------------------------------------------------------------


def participation_of(rater, study):
    """The rater's participation in the study; Forbidden before they have agreed to its current text."""
    if known := list(Participation.objects.raw(AGREED, [rater.pk, study.pk, study.consent_version])):
        return known[0]
    if not Consent.objects.filter(rater=rater, study=study, version=study.consent_version).exists():
        raise Forbidden("Please agree to this study's consent text first: POST /api/raters/.", code="consent_needed")
    return Participation.objects.get_or_create(rater=rater, study=study)[0]


def _participation_to_change(rater, study):
    """The participation, locked; a withdrawal either comes first, and refuses this, or erases what is written here."""
    if not Rater.objects.select_for_update(no_key=True).filter(pk=rater.pk, withdrawn_at=None).exists():
        raise Forbidden("You have withdrawn.", code="consent_needed")
    return Participation.objects.select_for_update().get(pk=participation_of(rater, study).pk)


def require_ready(rater, study):
    """Refuse whoever still has something to do before a battle, with a code that says what."""
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
def set_volume(rater, study, level):
    """Note the volume, 0 to 1, at which the rater found the reference sound comfortable."""
    participation = _participation_to_change(rater, study)
    participation.volume = level
    participation.save(update_fields=["volume"])


@transaction.atomic
def begin_headphones(rater, study):
    """The number of the attempt that is open now: the first, or the second after a failed first."""
    participation = _participation_to_change(rater, study)
    failed_once = participation.headphones == "fail" and participation.headphone_attempts < HEADPHONE_ATTEMPTS
    if participation.headphones and not failed_once:
        raise Conflict("The headphone check is done.", code="headphones_done")
    if failed_once or not participation.headphone_attempts:
        participation.headphone_attempts += 1
        participation.headphones = ""
        participation.save(update_fields=["headphone_attempts", "headphones"])
    return participation.headphone_attempts


def headphone_targets(rater, study, attempt):
    """[(which interval holds the tone, seed of its noise)] of an attempt; the server's secret."""
    from arena.audio.headphones import N_TRIALS  # NumPy: not for every start of every process

    rng = Random(f"{schedule_seed(rater, study)}:headphones:{attempt}")
    return [(rng.randint(1, 3), rng.getrandbits(32)) for _ in range(N_TRIALS)]


@transaction.atomic
def answer_headphones(rater, study, attempt, answers):
    """Judge an attempt, once. answers: an interval (1 to 3) per trial, or None where it could not be played, which
    counts as unknown and excludes nobody; not after an attempt that could be, and failed.
    Returns {"result", "correct", "of", "attempts_left"}."""
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

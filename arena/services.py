"""Where several of the stage's models change together: registering, ingesting, cutting, serving, skipping."""

import hashlib
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from random import Random, SystemRandom

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.db.models import Count, Max
from django.utils import timezone

from . import audio
from .candidates import recent_candidates
from .models import Battle, Clip, Consent, Excerpt, Prompt, Rater, Status, Study, System
from .pairing import draw_least_voted, draw_uniform
from .refusals import Conflict, Forbidden, NotFound, Refusal

BATTLE_LIFETIME = timedelta(days=30)
RESERVATION = timedelta(minutes=30)
POLICY = "least-voted"
MAX_BYTES = 200_000_000
SKIP_REASONS = ("cannot_play", "cannot_decide", "heard_before", "other")


# ---- clips in -----------------------------------------------------------------------------------------


def register_clip(path, *, system, prompt, lyrics="", seed="", tags=(), licence=""):
    """Copy an audio file into the private originals and write its Clip down as pending.

    Idempotent by content: the same bytes for the same system and prompt are the same clip.
    Returns (clip, created).
    """
    path = Path(path)
    with path.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    system, _ = System.objects.get_or_create(name=system)
    prompt, _ = Prompt.objects.get_or_create(text=prompt, lyrics=lyrics, defaults={"tags": list(tags)})
    existing = Clip.objects.filter(system=system, prompt=prompt, sha256=sha256).first()
    if existing:
        return existing, False
    return Clip.objects.get_or_create(
        system=system,
        prompt=prompt,
        sha256=sha256,
        defaults={
            **_kept_original(path, sha256),
            "filename": path.name[:255],
            "seed": seed,
            "tags": list(tags),
            "licence": licence,
        },
    )


def _kept_original(path, sha256):
    """The original in private storage; one that is too large is not even copied."""
    if path.stat().st_size > MAX_BYTES:
        megabytes = path.stat().st_size / 1e6
        return {
            "status": Status.REJECTED,
            "reason": f"The file is {megabytes:,.0f} MB; the limit is {MAX_BYTES / 1e6:.0f} MB.",
        }
    name = f"originals/{sha256[:2]}/{sha256}{path.suffix.lower()[:10]}"
    if not default_storage.exists(name):
        with path.open("rb") as source:
            name = default_storage.save(name, File(source))
    return {"original": name}


def ingest_clip(clip_id):
    """Measure a pending clip's original: it becomes ready, or rejected with the reason. Idempotent."""
    clip = Clip.objects.get(pk=clip_id)
    if clip.status != Status.PENDING:
        return clip
    try:
        with local_copy(clip.original) as path:
            facts = audio.inspect(path)
    except (audio.AudioRejected, FileNotFoundError) as failure:
        outcome = _rejected(failure)
    else:
        outcome = {
            "status": Status.READY,
            "duration_ms": facts.duration_ms,
            "sample_rate": facts.sample_rate,
            "channels": facts.channels,
            "codec": facts.codec,
            "loudness_lufs": facts.loudness_lufs,
            "true_peak_dbtp": facts.true_peak_dbtp,
        }
    Clip.objects.filter(pk=clip_id, status=Status.PENDING).update(ingested_at=timezone.now(), **outcome)
    clip.refresh_from_db()
    return clip


def _rejected(failure):
    gone = isinstance(failure, FileNotFoundError)
    return {"status": Status.REJECTED, "reason": "The original is not in the storage." if gone else str(failure)}


def cut_excerpt(excerpt_id):
    """Make a pending excerpt's file; one that cannot be levelled is rejected with the reason. Idempotent."""
    excerpt = Excerpt.objects.select_related("clip").get(pk=excerpt_id)
    if excerpt.status != Status.PENDING:
        return
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / f"excerpt.{excerpt.codec}"
        try:
            with local_copy(excerpt.clip.original) as path:
                facts = audio.cut_excerpt(path, cut, length_ms=excerpt.length_ms, codec=excerpt.codec)
        except (audio.AudioRejected, audio.CannotLevel, FileNotFoundError) as failure:
            Excerpt.objects.filter(pk=excerpt_id, status=Status.PENDING).update(**_rejected(failure))
            return
        with cut.open("rb") as content:
            name = default_storage.save(
                f"excerpts/{excerpt.clip_id}/{excerpt.length_ms}.{excerpt.codec}", File(content)
            )
    stored = Excerpt.objects.filter(pk=excerpt_id, status=Status.PENDING).update(
        status=Status.READY,
        file=name,
        size=facts.bytes,
        gain_db=facts.gain_db,
        loudness_lufs=facts.loudness_lufs,
        true_peak_dbtp=facts.true_peak_dbtp,
        peaks=facts.peaks,
    )
    if not stored:  # another worker was first
        default_storage.delete(name)


class local_copy:
    """A stored file as a path: the file itself where storage is a folder, else a temporary copy."""

    def __init__(self, field_file):
        self.file, self.copy = field_file, None

    def __enter__(self):
        try:
            return Path(self.file.path)
        except NotImplementedError:  # a storage without local paths, such as S3
            self.copy = tempfile.NamedTemporaryFile(suffix=Path(self.file.name).suffix)
            with self.file.open("rb") as source:
                for chunk in source.chunks():
                    self.copy.write(chunk)
            self.copy.flush()
            return Path(self.copy.name)

    def __exit__(self, *exc):
        if self.copy:
            self.copy.close()


# ---- raters and battles -------------------------------------------------------------------------------


def find_study(slug=None):
    """The named study, or the one marked default."""
    study = Study.objects.filter(**({"slug": slug} if slug else {"is_default": True})).first()
    if not study:
        raise NotFound(f"There is no study called {slug!r}." if slug else "No study is marked as the default.")
    return study


@transaction.atomic
def give_consent(rater, study, version, now=None, kind="listener"):
    """Record a rater's consent to the study's current text; without a rater, make one. Returns the rater."""
    now = now or timezone.now()
    if version != study.consent_version:
        raise Conflict(
            f"The consent text of this study is now version {study.consent_version}; please read it again.",
            code="consent_outdated",
            consent_version=study.consent_version,
        )
    if rater:  # one who withdraws at this moment stays withdrawn, and a new one is made
        rater = Rater.objects.select_for_update(no_key=True).filter(pk=rater.pk, withdrawn_at=None).first()
    rater = rater or Rater.objects.create(kind=kind, created_at=now)
    Consent.objects.get_or_create(rater=rater, study=study, version=version, defaults={"given_at": now})
    return rater


@transaction.atomic
def serve_battle(rater, study, *, after=None, now=None, rng: Random | None = None):
    """The rater's oldest open battle, else a new one. Returns (battle, created).

    With `after` (a battle id of theirs) the battle that follows that one, at most one ahead, so that a page
    can fetch the next while this one is heard. The rater's row is locked: two tabs get the same battle.
    """
    now = now or timezone.now()
    rater = Rater.objects.select_for_update(no_key=True).get(pk=rater.pk)
    if not Consent.objects.filter(rater=rater, study=study, version=study.consent_version).exists():
        raise Forbidden("Please agree to this study's consent text first: POST /api/raters/.", code="consent_needed")
    waiting = list(rater.battles.filter(study=study, kind=Battle.Kind.RANKED).open(now).order_by("served_at"))
    if after is not None:
        waiting = _following(rater, study, after, waiting)
    if waiting:
        return waiting[0], False
    if not study.accepts_battles:
        raise Conflict("This study is closed; no new battles are served.", code="closed")
    return _draw_battle(rater, study, now, rng or SystemRandom()), True


def _following(rater, study, after, waiting):
    previous = rater.battles.filter(pk=after, study=study).first()
    if not previous:
        raise NotFound("You have no such battle in this study.")
    following = [battle for battle in waiting if battle.served_at > previous.served_at]
    if not following and len(waiting) >= 2:
        raise Conflict("One battle ahead is enough: answer the open one first.", code="too_far_ahead")
    return following


def _draw_battle(rater, study, now, rng):
    pairs = _unheard(rater, study)
    if not pairs:
        raise Conflict("You have heard every pair there is. Thank you!", code="none_left")
    systems = sorted(pairs)
    counts = _pair_counts(study, now)
    pair = draw_least_voted([counts[pair] for pair in systems], study.epsilon, rng)
    options = pairs[systems[pair.index]]
    chosen = draw_uniform(len(options), rng)
    candidate = options[chosen.index]
    last = rater.battles.aggregate(last=Max("served_at"))["last"]
    now = max(now, last + timedelta(microseconds=1)) if last else now  # their order is that of serving
    a, b = (0, 1) if rng.random() < 0.5 else (1, 0)
    return Battle.objects.create(
        study=study,
        rater=rater,
        prompt_id=candidate.prompt_id,
        system_a_id=candidate.system_ids[a],
        system_b_id=candidate.system_ids[b],
        clip_a_id=candidate.clip_ids[a],
        clip_b_id=candidate.clip_ids[b],
        excerpt_a_id=candidate.excerpt_ids[a],
        excerpt_b_id=candidate.excerpt_ids[b],
        length_ms=candidate.length_ms,
        codec=study.codec,
        policy=POLICY,
        pair_probability=pair.probability,
        clip_probability=chosen.probability,
        served_at=now,
        reserved_until=now + RESERVATION,
        expires_at=min(now + BATTLE_LIFETIME, study.ends_at or now + BATTLE_LIFETIME),
    )


def _pair_counts(study, now):
    """Votes had or expected of each system pair, as Counter({(low id, high id): n})."""
    counts = Counter()
    slots = Battle.objects.filter(study=study).counted(now).order_by().values_list("system_a_id", "system_b_id")
    for a, b, n in slots.annotate(n=Count("pk")):
        counts[min(a, b), max(a, b)] += n
    return counts


def _unheard(rater, study):
    """The candidates whose two clips this rater has not met in this study, while their quota lasts."""
    met = {frozenset(clips) for clips in rater.battles.filter(study=study).values_list("clip_a_id", "clip_b_id")}
    if study.battles_per_rater and len(met) >= study.battles_per_rater:
        return {}
    active = set(study.systems.filter(retired_at__isnull=True).values_list("pk", flat=True))
    unheard = {
        systems: [option for option in options if frozenset(option.clip_ids) not in met]
        for systems, options in recent_candidates(study).items()
        if active.issuperset(systems)
    }
    return {systems: options for systems, options in unheard.items() if options}


def progress(rater, study):
    """How many battles the rater has done of how many there are for them: {"done", "total"}."""
    done = rater.battles.filter(study=study, closed_at__isnull=False).count()
    total = done + rater.battles.filter(study=study).open(timezone.now()).count()
    total += sum(len(options) for options in _unheard(rater, study).values())
    return {"done": done, "total": min(total, study.battles_per_rater or total)}


@transaction.atomic
def skip_battle(rater, battle_id, reason, now=None):
    """Close an open battle without an answer. Skipping again is no error."""
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
    return battle

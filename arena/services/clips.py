"""Import clips: register the file, measure it, cut the excerpts that studies need."""

import hashlib
import secrets
import tempfile
from collections.abc import Collection, Iterable
from datetime import datetime
from os import PathLike
from pathlib import Path

from django.core.files import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from arena import audio
from arena.models import Clip, Excerpt, Prompt, Status, Study, System

from .leftovers import discard_original

MAX_BYTES = 200_000_000
GONE = "The original is not in the storage."  # it may come back, so the row keeps its name


@transaction.atomic
def register_clip(
    path: str | PathLike[str],
    *,
    system: str,
    prompt: str,
    lyrics: str = "",
    seed: str = "",
    tags: Iterable[str] = (),
    licence: str = "",
    sings_lyrics: bool | None = None,
) -> tuple[Clip, bool]:
    """Copy an audio file into the private originals and create its Clip as pending.

    sings_lyrics: whether the system sings the lyrics of prompts; None for unknown. ValueError where it contradicts
    what is stored.
    Idempotent by content: the same bytes for the same system and prompt are the same clip. One that was rejected is
    measured again.
    Returns (clip, created).
    """
    path = Path(path)
    with path.open("rb") as source:
        sha256 = hashlib.file_digest(source, "sha256").hexdigest()
    system = _system(system, sings_lyrics)
    prompt = Prompt.objects.made({(prompt, lyrics)}, tags=list(tags))[prompt, lyrics]
    existing = Clip.objects.filter(system=system, prompt=prompt, sha256=sha256).first()
    if existing:
        if existing.status == Status.REJECTED and not existing.original:  # its copy did not stay
            again = {"status": Status.PENDING, "reason": "", "claimed_until": None, **_kept_original(path, sha256)}
            Clip.objects.filter(pk=existing.pk).update(**again)
            existing.refresh_from_db()
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


def _system(name, sings_lyrics):
    """The system of that name, created if new. `sings_lyrics` is stored if unknown so far; ValueError if it differs."""
    system = System.objects.made({name})[name]
    if sings_lyrics is not None and system.sings_lyrics is None:
        System.objects.filter(pk=system.pk, sings_lyrics=None).update(sings_lyrics=sings_lyrics)
        system.refresh_from_db()
    if sings_lyrics not in (None, system.sings_lyrics):
        known = "sings lyrics" if system.sings_lyrics else "does not sing lyrics"
        raise ValueError(f"{name} {known}, as stored before; the admin can change that (Systems)")
    return system


def _kept_original(path, sha256):
    """The Clip's fields after copying its original to private storage; a file that is too large is rejected
    uncopied."""
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


def leave_out(study: Study, systems: Collection[System], prompts: Collection[Prompt]) -> None:
    """Take out of the study those of the systems and prompts of which no clip can be heard."""
    clips = Clip.objects.exclude(status=Status.REJECTED)
    heard = clips.filter(system__in=systems).values_list("system", flat=True)
    study.systems.remove(*{system.pk for system in systems}.difference(heard))
    heard = clips.filter(prompt__in=prompts).values_list("prompt", flat=True)
    study.prompts.remove(*{prompt.pk for prompt in prompts}.difference(heard))


@transaction.atomic
def undo_import(study: Study | None, clips: Collection[int], since: datetime) -> None:
    """Leave nothing of an import that brought in nothing: delete the clips (primary keys) that it made and their
    originals, the systems and prompts made `since` that have no other clip, and the study, if it made that."""
    if study and study.pk:
        study.delete()
    originals = set(Clip.objects.filter(pk__in=clips).exclude(original="").values_list("original", flat=True))
    systems, prompts = (
        set(Clip.objects.filter(pk__in=clips).values_list(name, flat=True)) for name in ("system", "prompt")
    )
    Clip.objects.filter(pk__in=clips).delete()
    unused = {"created_at__gte": since, "clips": None, "studies": None}
    System.objects.filter(pk__in=systems, **unused).delete()
    Prompt.objects.filter(pk__in=prompts, **unused).delete()
    for name in originals - set(Clip.objects.filter(original__in=originals).values_list("original", flat=True)):
        default_storage.delete(name)


def ingest_clip(clip_id: int) -> Clip:
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
    if clip.status == Status.REJECTED and clip.reason != GONE:
        discard_original(clip)
        clip.refresh_from_db()
    return clip


def _rejected(failure):
    gone = isinstance(failure, FileNotFoundError)
    return {"status": Status.REJECTED, "reason": GONE if gone else str(failure)}


def cut_excerpt(excerpt_id: int) -> None:
    """Make a pending excerpt's file; one that cannot be levelled is rejected with the reason. Idempotent."""
    excerpt = Excerpt.objects.select_related("clip").get(pk=excerpt_id)
    if excerpt.status != Status.PENDING:
        return
    with tempfile.TemporaryDirectory() as folder:
        cut = Path(folder) / f"excerpt.{excerpt.codec}"
        try:
            with local_copy(excerpt.clip.original) as path:
                facts = audio.cut_excerpt(
                    path, cut, length_ms=excerpt.length_ms, codec=excerpt.codec, variant=excerpt.variant,
                    start_ms=excerpt.start_ms, seed=secrets.randbits(64),
                )  # fmt: skip
        except (audio.AudioRejected, audio.CannotLevel, FileNotFoundError) as failure:
            Excerpt.objects.filter(pk=excerpt_id, status=Status.PENDING).update(**_rejected(failure))
            return
        with cut.open("rb") as content:
            name = default_storage.save(f"excerpts/{excerpt.clip_id}/{excerpt_id}.{excerpt.codec}", File(content))
    stored = Excerpt.objects.filter(pk=excerpt_id, status=Status.PENDING).update(
        status=Status.READY,
        file=name,
        size=facts.bytes,
        gain_db=facts.gain_db,
        loudness_lufs=facts.loudness_lufs,
        true_peak_dbtp=facts.true_peak_dbtp,
    )
    if not stored:  # another worker was first
        default_storage.delete(name)
    elif excerpt.file.name and excerpt.file.name != name:  # it was cut again
        default_storage.delete(excerpt.file.name)


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

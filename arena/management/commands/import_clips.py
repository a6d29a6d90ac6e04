"""`import_clips MANIFEST.csv`: register every row, then ingest, sharing the work with running workers."""

import csv
import re
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from arena import services
from arena.models import Clip, Excerpt, Status, Study
from arena.refusals import NotFound
from arena.serving.ingest import ingest

REQUIRED = ("path", "system", "prompt")
OPTIONAL = ("lyrics", "seed", "tags", "licence", "sings_lyrics")
YES_OR_NO = {"yes": True, "no": False, "": None}  # whether the row's system sings the lyrics of prompts


class Command(BaseCommand):
    help = (
        f"Import clips from a CSV with the columns {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)} "
        "(tags separated by ;; sings_lyrics, of the system: yes or no). Paths are relative to the manifest. "
        "Run it again to continue where it stopped."
    )

    def add_arguments(self, parser):
        parser.add_argument("manifest", type=Path)
        parser.add_argument("--study", help="the study that compares them, created if new; default: the default study")

    def handle(self, manifest, study, **options):
        rows = read_manifest(manifest)
        study = find_or_make_study(study, self.stdout)
        clips, failed = {}, []
        for line, row in tqdm(rows, desc="register", unit="clip"):
            try:
                clip = register(manifest, row)
            except (OSError, ValueError) as error:
                failed.append((line, row.get("path", ""), str(error)))
                continue
            study.systems.add(clip.system)
            if study.prompts.exists():
                study.prompts.add(clip.prompt)
            clips[clip.pk] = (line, row["path"])
        ingest(clips, study)
        rejected = Clip.objects.filter(pk__in=clips, status=Status.REJECTED)
        failed += [(*clips[clip.pk], clip.reason) for clip in rejected]
        self.report(study, clips, failed)

    def report(self, study, clips, failed):
        ready = Clip.objects.filter(pk__in=clips, status=Status.READY).count()
        self.stdout.write(f"study {study.slug}: {ready} clips ready, {len(failed)} rows failed")
        unplayable = Excerpt.objects.filter(clip__in=clips, codec=study.codec, status=Status.REJECTED)
        for excerpt in unplayable.select_related("clip"):
            self.stdout.write(f"  not paired: {clips[excerpt.clip_id][1]}: {excerpt.reason}")
        if failed:
            width = max(len(path) for _, path, _ in failed)
            table = "\n".join(f"  {line:>5}  {path:<{width}}  {reason}" for line, path, reason in sorted(failed))
            raise CommandError(f"{len(failed)} rows failed:\n   line  {'path':<{width}}  reason\n{table}")


def read_manifest(manifest):
    """[(line, row)] of the manifest; CommandError for a wrong header."""
    try:
        with manifest.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            header = reader.fieldnames or []
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{manifest}: {error}") from error
    missing = [name for name in REQUIRED if name not in header]
    unknown = [name for name in header if name not in REQUIRED + OPTIONAL]
    if missing or unknown:
        raise CommandError(
            f"{manifest}: columns missing: {', '.join(missing) or 'none'}; unknown: {', '.join(unknown) or 'none'}. "
            f"It needs {', '.join(REQUIRED)}; {', '.join(OPTIONAL)} are optional."
        )
    return rows


def find_or_make_study(slug, out):
    try:
        return services.find_study(slug)
    except NotFound as missing:
        if not slug:
            raise CommandError(f"{missing} Name one with --study.") from missing
        if not re.fullmatch(r"[a-z0-9_-]{1,50}", slug):
            raise CommandError(
                f"{slug!r} cannot name a study: write 1 to 50 of the characters a-z, 0-9, - and _."
            ) from missing
        out.write(f"There was no study {slug!r}: created it with the default settings.")
        return Study.objects.create(slug=slug, name=slug.replace("-", " ").capitalize())


def register(manifest, row):
    """The row's clip. ValueError or OSError, with a sentence, for a bad row."""
    if None in row or None in row.values():
        raise ValueError("the row does not have as many cells as the header")
    cells = {name: (row.get(name) or "").strip() for name in REQUIRED + OPTIONAL}
    if empty := [name for name in ("path", "system") if not cells[name]]:
        raise ValueError(f"{', '.join(empty)} is empty")
    if not cells["prompt"] and not cells["lyrics"]:
        raise ValueError("prompt is empty, and there are no lyrics either")
    if len(cells["system"]) > 100:
        raise ValueError("system is longer than 100 characters")
    if cells["sings_lyrics"].lower() not in YES_OR_NO:
        raise ValueError(f"sings_lyrics is {cells['sings_lyrics']!r}; it is yes, no, or empty for unknown")
    path = manifest.parent / cells["path"]
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    tags = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
    clip, _ = services.register_clip(
        path,
        system=cells["system"],
        prompt=cells["prompt"],
        lyrics=cells["lyrics"],
        seed=cells["seed"][:40],
        tags=tags,
        licence=cells["licence"][:100],
        sings_lyrics=YES_OR_NO[cells["sings_lyrics"].lower()],
    )
    return clip

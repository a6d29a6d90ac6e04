"""`import_clips MANIFEST.csv`: register every row, then ingest, sharing the work with running workers."""

import re
from pathlib import Path, PurePath
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from tqdm import tqdm

from arena import disk, services, tables
from arena.models import Clip, Excerpt, Prompt, Status, Study, System
from arena.named_files import ALLOW_OUTSIDE, HELP, Folders
from arena.refusals import NotFound
from arena.serving.ingest import ingest

REQUIRED = ("path", "system", "prompt")
OPTIONAL = ("lyrics", "seed", "tags", "licence", "sings_lyrics")
COLUMNS = tables.Columns(REQUIRED, OPTIONAL, is_row=lambda cells: bool(PurePath(cells["path"]).suffix))
YES_OR_NO = {"yes": True, "no": False, "": None}  # whether the row's system sings the lyrics of prompts
HOW_TO_OPEN = "set `is_open` in the admin (Studies), or `is_open: true` in its file for `manage.py study load`"


class Command(BaseCommand):
    help = (
        f"Import clips from a CSV with the columns {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)} "
        "(tags separated by ;; sings_lyrics, of the system: yes or no). Paths are relative to the manifest. "
        "Run it again to continue where it stopped."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("manifest", type=Path)
        parser.add_argument("--study", help="the study that compares them, created if new; default: the default study")

        parser.add_argument(ALLOW_OUTSIDE, type=Path, action="append", default=[], metavar="FOLDER", help=HELP)

    def handle(self, manifest: Path, study: Any, allow_outside: list[Path], **options: Any) -> None:
        if (space := disk.space()).is_low:
            raise CommandError(f"{space}: that is the reserve for votes. Free some, then import.")
        rows, folders = read_manifest(manifest), Folders(manifest.parent, allow_outside)
        study, is_new = find_or_new_study(study)
        started = timezone.now()
        clips, created, failed = {}, [], []
        for row in tqdm(rows, desc="register", unit="clip"):
            try:
                clip, is_new_clip = register(folders, row)
            except (OSError, ValueError) as error:
                failed.append((row.line, str(row.cells.get("path", "")), str(error)))
                continue
            clips[clip.pk] = (row.line, row.cells["path"])
            created += [clip.pk] if is_new_clip else []
        if clips:
            systems, prompts = join(study, clips)
            ingest(clips, study)
            services.leave_out(study, systems, prompts)
        rejected = Clip.objects.filter(pk__in=clips, status=Status.REJECTED)
        failed += [(*clips[clip.pk], clip.reason) for clip in rejected]
        n_ready = Clip.objects.filter(pk__in=clips, status=Status.READY).count()
        if n_ready:
            self.open(study, is_new)
        else:
            services.undo_import(study if is_new else None, created, started)
        self.report(study, clips, n_ready, failed)

    def open(self, study: Study, is_new: bool) -> None:
        """Open a study that was made for these clips; of an existing one that is closed, say how."""
        if is_new:
            Study.objects.filter(pk=study.pk).update(is_open=True)
            self.stdout.write(f"There was no study {study.slug!r}: created it with the default settings, and open.")
        elif not study.is_open:
            self.stdout.write(f"study {study.slug} is not open, so nobody is served. To open it: {HOW_TO_OPEN}.")

    def report(self, study: Study, clips: dict[int, Any], n_ready: int, failed: list[tuple[int, str, str]]) -> None:
        self.stdout.write(f"study {study.slug}: {n_ready} clips ready, {len(failed)} rows failed")
        unplayable = Excerpt.objects.filter(
            study__slug=study.slug, clip__in=clips, codec=study.codec, status=Status.REJECTED
        )
        for excerpt in unplayable.select_related("clip"):
            self.stdout.write(f"  not paired: {clips[excerpt.clip_id][1]}: {excerpt.reason}")
        if failed:
            width = max(len(path) for _, path, _ in failed)
            table = "\n".join(f"  {line:>5}  {path:<{width}}  {reason}" for line, path, reason in sorted(failed))
            nothing = "" if n_ready else "Nothing was imported, and nothing of it stays. "
            raise CommandError(f"{nothing}{len(failed)} rows failed:\n   line  {'path':<{width}}  reason\n{table}")


def read_manifest(manifest: Path) -> list[tables.Row]:
    """The rows of the manifest; CommandError for a file that cannot be used."""
    try:
        return list(tables.read(manifest, COLUMNS))
    except (OSError, tables.BadTable) as error:
        raise CommandError(f"{manifest}: {error}") from error


def find_or_new_study(slug: str | None) -> tuple[Study, bool]:
    """(study, whether it is new). A new one is not stored yet, and not open."""
    try:
        return services.find_study(slug), False
    except NotFound as missing:
        if not slug:
            raise CommandError(f"{missing} Name one with --study.") from missing
        if not re.fullmatch(r"[a-z0-9_-]{1,50}", slug):
            raise CommandError(
                f"{slug!r} cannot name a study: write 1 to 50 of the characters a-z, 0-9, - and _."
            ) from missing
        return Study(slug=slug, name=slug.replace("-", " ").capitalize(), is_open=False), True


def join(study: Study, clips: Any) -> tuple[set[System], set[Prompt]]:
    """Let the study compare the clips. Returns the systems and prompts that it did not have before."""
    if study.pk is None:
        study.save()
    clips = list(Clip.objects.filter(pk__in=clips).select_related("system", "prompt"))
    systems = {clip.system for clip in clips} - set(study.systems.all())
    study.systems.add(*systems)
    if not (chosen := set(study.prompts.all())):  # all that its systems have clips for
        return systems, set()
    prompts = {clip.prompt for clip in clips} - chosen
    study.prompts.add(*prompts)
    return systems, prompts


def register(folders: Folders, row: tables.Row) -> tuple[Clip, bool]:
    """(clip, whether it is new) of a row. ValueError or OSError, with a sentence, for a bad row."""
    if row.problem:
        raise ValueError(row.problem)
    cells = {name: tables.text(name, row.cells.get(name)) for name in REQUIRED + OPTIONAL}
    if empty := [name for name in ("path", "system") if not cells[name]]:
        raise ValueError(f"{', '.join(empty)} is empty")
    if not cells["prompt"] and not cells["lyrics"]:
        raise ValueError("prompt is empty, and there are no lyrics either")
    if len(cells["system"]) > 100:
        raise ValueError("system is longer than 100 characters")
    if cells["sings_lyrics"].lower() not in YES_OR_NO:
        raise ValueError(f"sings_lyrics is {cells['sings_lyrics']!r}; it is yes, no, or empty for unknown")
    path = folders.find(cells["path"])
    if not path.is_file():
        raise FileNotFoundError("there is no such file")
    tags = [tag.strip() for tag in cells["tags"].split(";") if tag.strip()]
    return services.register_clip(
        path,
        system=cells["system"],
        prompt=cells["prompt"],
        lyrics=cells["lyrics"],
        seed=cells["seed"][:40],
        tags=tags,
        licence=cells["licence"][:100],
        sings_lyrics=YES_OR_NO[cells["sings_lyrics"].lower()],
    )

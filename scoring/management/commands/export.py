import math
import shutil
import sys
from pathlib import Path
from typing import Any

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import Q

from annotations.exports import FORMATS
from arena.models import Battle, Clip, Study
from arena.refusals import Refusal
from scoring.management.studies import studies_of
from scoring.releases.numbered import release
from scoring.releases.pairs import clip_file


class Command(BaseCommand):
    help = "Write the votes, or the training pairs, as the next numbered release, to a file or standard output."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("content", choices=["votes", "pairs"])
        parser.add_argument("--format", choices=FORMATS, default="jsonl")
        parser.add_argument("--study", help="slug; default: all studies")
        parser.add_argument("--output", type=Path, help="default: standard output")
        parser.add_argument(
            "--clips", type=Path, help="also copy the clips of the rows into this folder, named by their ids"
        )
        parser.add_argument(
            "--min-margin", type=finite, metavar="M", help="pairs only: chosen minus rejected, under the live model"
        )
        parser.add_argument("--min-reward", type=finite, metavar="R", help="pairs only: of the chosen clip")

    def handle(
        self,
        content: str,
        format: str,
        study: str | None,
        output: Path | None,
        clips: Path | None,
        min_margin: float | None,
        min_reward: float | None,
        **options: Any,
    ) -> None:
        (only,) = studies_of([study], otherwise=None) if study else (None,)
        try:
            new_release = release(content, format, only, {"min_margin": min_margin, "min_reward": min_reward})
        except Refusal as refusal:
            raise CommandError(str(refusal)) from refusal
        with default_storage.open(str(new_release.file.name)) as source:
            if output:
                with output.open("wb") as target:
                    shutil.copyfileobj(source, target)
            else:
                shutil.copyfileobj(source, sys.stdout.buffer)
        if clips:
            copy_originals(clips, new_release.study)
        excluded = ", ".join(f"{n} {reason}" for reason, n in new_release.excluded.items()) or "none"
        self.stderr.write(
            f"release {new_release.number}: {new_release.n_rows} rows, left out: {excluded}; "
            f"ledger seq {new_release.ledger_seq}, sha256 {new_release.sha256}"
        )


def finite(text: str) -> float:
    """The finite number in the text; argparse adds the name of the option to the error."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is not finite")
    return value


def copy_originals(folder: Path, study: Study | None) -> None:
    """Copy the clips that were voted on, under the names that the rows give them; existing files are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    voted = Battle.objects.filter(close_reason="voted", **({"study": study} if study else {}))
    for clip in Clip.objects.filter(Q(pk__in=voted.values("clip_a")) | Q(pk__in=voted.values("clip_b"))):
        target = folder / clip_file(clip)
        if not target.exists():
            with clip.original.open("rb") as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)

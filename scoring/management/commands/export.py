import shutil
import sys
from pathlib import Path

from django.core.files.storage import default_storage
from django.core.management.base import BaseCommand, CommandError

from annotations.exports import FORMATS
from arena.models import Study
from scoring.releases import release


class Command(BaseCommand):
    help = "Write the votes, or the training pairs, as the next numbered release, to a file or standard output."

    def add_arguments(self, parser):
        parser.add_argument("content", choices=["votes", "pairs"])
        parser.add_argument("--format", choices=FORMATS, default="jsonl")
        parser.add_argument("--study", help="slug; default: all studies")
        parser.add_argument("--output", type=Path, help="default: standard output")

    def handle(self, content, format, study, output, **options):
        chosen = None
        if study:
            chosen = Study.objects.filter(slug=study).first()
            if not chosen:
                raise CommandError(f"There is no study {study!r}.")
        made = release(content, format, chosen)
        with default_storage.open(made.file.name) as source:
            if output:
                with output.open("wb") as target:
                    shutil.copyfileobj(source, target)
            else:
                shutil.copyfileobj(source, sys.stdout.buffer)
        excluded = ", ".join(f"{n} {reason}" for reason, n in made.excluded.items()) or "none"
        self.stderr.write(
            f"release {made.number}: {made.n_rows} rows, left out: {excluded}; ledger seq {made.ledger_seq}, "
            f"sha256 {made.sha256}"
        )

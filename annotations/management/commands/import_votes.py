import re
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations import ledger
from annotations.imports import OPTIONAL, REQUIRED, import_votes
from arena.refusals import Refusal


class Command(BaseCommand):
    help = (
        f"Import votes from CSV or JSONL with {', '.join(REQUIRED)} and optionally {', '.join(OPTIONAL)}. "
        "Times are ISO 8601, or seconds or milliseconds since 1970. Exits with status 1 if a row was rejected; the "
        "other rows are imported."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--study", help="slug of the study to import into; default: the file's name")

    def handle(self, file: Path, study: str | None, **options: Any) -> None:
        slug = study or re.sub(r"[^a-z0-9]+", "-", file.stem.lower()).strip("-")
        try:
            report = import_votes(file, slug)
        except (OSError, Refusal) as error:
            raise CommandError(f"{file}: {error}") from error
        ledger.catch_up()
        if report.ignored_columns:
            self.stdout.write(f"Ignored columns: {', '.join(report.ignored_columns)}")
        for line, reason in report.bad:
            self.stderr.write(f"{file}:{line}: {reason}")
        summary = (
            f"study {slug}: {report.imported} votes imported, {report.already_there} already stored, "
            f"{len(report.bad)} rows rejected"
        )
        if report.bad:
            raise CommandError(summary)
        self.stdout.write(summary)

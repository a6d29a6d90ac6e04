"""`manage.py study load|dump|invite|key`: listening tests as files, links for those invited, keys for platforms."""

import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from arena import study_file
from arena.models import Study
from arena.participants import new_invitation, return_key

LOAD = (
    "Create or change the studies that YAML files describe (- is the standard input; one file may hold several, "
    "separated by ---). A file describes the whole study: a setting that it leaves out gets its default, whatever it "
    "was before. If there are problems, all are reported with their lines and nothing is written. The slug of an "
    "existing study, and whether its votes are simulated, never change: boards and releases repeat them."
)
DUMP = "Write a study as a YAML file, with an explanation of every setting. Loading that file changes nothing."
INVITE = "Print links into a study by invitation, each for one person: whoever opens it again is the same rater."
KEY = "Print the secret key with which the study's return URLs are signed, for the platform that receives them."
HOW_TO_CHECK = (
    "Keep it secret. To check a return URL: the HMAC-SHA256, under this key (as bytes from hex), of the URL up to and "
    "including `signature=` is what follows that, in hex."
)
MOST_LINKS = 10_000
ON_THIS_MACHINE = ("127.0.0.1", "localhost", "::1")


class Command(BaseCommand):
    help = "Listening tests: load and dump their settings, invite raters, check who came back."

    def add_arguments(self, parser: CommandParser) -> None:
        commands = parser.add_subparsers(dest="command", required=True, metavar="load|dump|invite|key")
        load = commands.add_parser("load", help="load YAML files", description=LOAD)
        load.add_argument("files", nargs="+", metavar="FILE")
        dump = commands.add_parser("dump", help="write a YAML file", description=DUMP)
        dump.add_argument("slug")
        dump.add_argument("--output", type=Path, metavar="FILE", help="default: the standard output")
        invite = commands.add_parser("invite", help="links for raters", description=INVITE)
        invite.add_argument("slug")
        invite.add_argument("--count", type=int, default=1, help="how many; default: 1")
        invite.add_argument(
            "--base-url",
            default=settings.PUBLIC_URL,
            metavar="URL",
            help="where raters reach the arena; default: PUBLIC_URL, else the arena that runs here",
        )
        key = commands.add_parser("key", help="the key of return URLs", description=KEY)
        key.add_argument("slug")

    def handle(self, command: str, **options: Any) -> None:
        getattr(self, command)(**options)

    def load(self, files: list[str], **_: Any) -> None:
        try:
            loaded = study_file.load([_read(file) for file in files])
        except study_file.StudyFileRefused as refused:
            count = len(refused.problems)
            raise CommandError(
                f"Nothing was written: {count} problem{'' if count == 1 else 's'}.\n{refused}"
            ) from refused
        for result in loaded:
            for warning in result.warnings:
                self.stderr.write(f"{warning} (warning)")
            changes = f"changed: {', '.join(result.changed)}" if result.changed else "unchanged"
            self.stdout.write(f"{result.study.slug}: {'created' if result.is_new else changes}")

    def dump(self, slug: str, output: Path | None, **_: Any) -> None:
        text = study_file.dump(_find(slug))
        if not output:
            self.stdout.write(text, ending="")
            return
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}") from error
        self.stdout.write(f"{slug} is in {output}")

    def invite(self, slug: str, count: int, base_url: str, **_: Any) -> None:
        study = _find(slug)
        if study.access != Study.Access.INVITED:
            raise CommandError(f"{slug} is open to everybody; set its access to invited first.")
        if not 1 <= count <= MOST_LINKS:
            raise CommandError(f"--count {count} is not between 1 and {MOST_LINKS}.")
        host = urlsplit(base_url).hostname
        if not host or not base_url.startswith(("https://", "http://")):
            raise CommandError("Where do raters reach the arena? Give --base-url https://…, or set PUBLIC_URL.")
        if host in ON_THIS_MACHINE:
            self.stderr.write("These links open on this machine only: for others give --base-url, or set PUBLIC_URL.")
        for _number in range(count):
            self.stdout.write(f"{base_url.rstrip('/')}/listen/{slug}/?invite={new_invitation(study)}")

    def key(self, slug: str, **_: Any) -> None:
        self.stdout.write(return_key(_find(slug)))
        self.stderr.write(HOW_TO_CHECK)


def _find(slug):
    study = Study.objects.filter(slug=slug).first()
    if not study:
        slugs = ", ".join(Study.objects.values_list("slug", flat=True)) or "none yet"
        raise CommandError(f"There is no study {slug!r}; there are: {slugs}.")
    return study


def _read(file):
    if file == "-":
        return "standard input", sys.stdin.buffer.read()
    try:
        return file, Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}. Nothing was written.") from error

"""Have the ledger's head stamped by a time-stamping authority, without a connection to one."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations import ledger_heads, ledger_timestamps
from annotations.ledger_timestamps import BadToken


class Command(BaseCommand):
    help = (
        "Write the last signed head of the ledger, and a time-stamp request (RFC 3161) for it, to send to an authority "
        "by hand; with --check, say what an answer stamps."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="NAME.json will be the head, NAME.tsq the request; --check reads NAME.json.")
        parser.add_argument("--check", metavar="ANSWER", help="The authority's answer (.tsr).")

    def handle(self, *args: Any, name: str, check: str | None = None, **options: Any) -> None:
        head_file, request_file = Path(f"{name}.json"), Path(f"{name}.tsq")
        if check:
            self._check(head_file, Path(check))
            return
        head = ledger_heads.last_head()
        if not head:
            raise CommandError("No head of the ledger was signed yet: the sweep does it once there is a vote.")
        try:
            head_file.write_text(head.line + "\n")
            request_file.write_bytes(ledger_timestamps.request(head))
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        self.stdout.write(
            f"{head_file} is the head of entry {head.seq}; {request_file} asks for a time-stamp of it, for example:\n"
            f"    curl -H 'Content-Type: application/timestamp-query' --data-binary @{request_file} -o {name}.tsr URL\n"
            f"Keep {head_file} and the answer; `verify_ledger --against {head_file}` checks the ledger against it."
        )

    def _check(self, head_file, answer_file):
        try:
            (head, *_) = ledger_heads.parse(head_file.read_text())
            at = ledger_timestamps.stamped_at(head, answer_file.read_bytes())
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None
        except (ledger_heads.BadHead, BadToken) as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"{answer_file} stamps the head of entry {head.seq} at {at.isoformat()}. The authority's own signature: "
            f"openssl ts -verify -in {answer_file} -data FILE -CAfile ITS_CERTIFICATE, where FILE is the line of "
            f"{head_file} without its end."
        )

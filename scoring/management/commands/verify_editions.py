"""Is what was published what computing it again gives?"""

from collections import Counter
from collections.abc import Collection
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db.models import QuerySet
from tqdm import tqdm

from arena.models import Study
from scoring.management.studies import studies_of
from scoring.verification.comparison import Outcome, Verdict, verify
from scoring.verification.kinds import KINDS
from scoring.wording.tables import aligned

MOST_NAMED = 20  # rows that the last message names; all are listed above it


class Command(BaseCommand):
    help = (
        f"Compute again what was published ({', '.join(KINDS)}), from the ledger, the rewards and the recorded "
        "configuration, and compare. Names what differs and how, and then ends with status 1. What cannot be computed "
        "again, because its method is not in this code or a withdrawal erased what it rests on, is listed with the "
        "reason; it is no difference, unless --strict says so."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "study", nargs="*", help="slugs (default: all studies, and the releases that are of no single study)"
        )
        parser.add_argument(
            "--kind", action="append", choices=KINDS, help="only this kind; may be repeated (default: every kind)"
        )
        parser.add_argument(
            "--number",
            type=int,
            help="with --kind: only the edition of this number and what stands beside it, the release of this number, "
            "or the anchor fit of this id",
        )
        parser.add_argument(
            "--strict", action="store_true", help="end with status 1 also where something cannot be computed again"
        )

    def handle(
        self,
        study: list[str],
        kind: list[str] | None = None,
        number: int | None = None,
        strict: bool = False,
        **options: Any,
    ) -> None:
        if number is not None and not kind:
            raise CommandError("--number counts editions, releases or anchor fits: say with --kind which is meant.")
        studies = studies_of(study, otherwise=Study.objects.none())
        selected = {name: KINDS[name].rows(studies, number) for name in dict.fromkeys(kind or KINDS)}
        n_rows = sum(rows.count() for rows in selected.values())
        if number is not None and not n_rows:
            where = f" in {', '.join(study)}" if study else ""
            raise CommandError(f"There is no number {number} among the {', '.join(selected)}{where}.")
        counts, wrong = self.verify_all(selected, n_rows, _wrong(strict))
        self.stdout.write(_summary(counts))
        if wrong:
            n_wrong = sum(counts[name][outcome] for name in counts for outcome in _wrong(strict))
            named = "\n".join(str(verdict) for verdict in wrong)
            more = f"\nand {n_wrong - len(wrong)} more" if n_wrong > len(wrong) else ""
            raise CommandError(f"{n_wrong} of {n_rows} rows were not confirmed:\n{named}{more}")

    def verify_all(
        self, selected: dict[str, QuerySet[Any]], n_rows: int, wrong_outcomes: Collection[Outcome]
    ) -> tuple[dict[str, Counter[str]], list[Verdict]]:
        """({kind: Counter of outcomes}, the first verdicts of wrong outcomes). Lists what is not the same."""
        counts: dict[str, Counter[str]] = {name: Counter() for name in selected}
        wrong: list[Verdict] = []
        with tqdm(total=n_rows, desc="verify", unit="row") as bar:
            for name, rows in selected.items():
                for pk in rows.values_list("pk", flat=True).iterator():
                    verdict = verify(KINDS[name], pk)
                    counts[name][verdict.outcome] += 1
                    if verdict.outcome in wrong_outcomes and len(wrong) < MOST_NAMED:
                        wrong.append(verdict)
                    if verdict.outcome != Outcome.SAME:
                        with tqdm.external_write_mode():
                            self.stdout.write(str(verdict))
                    bar.update()
        return counts, wrong


def _wrong(strict):
    return (Outcome.DIFFERENT, Outcome.FAILED, *([Outcome.NOT_REBUILT] if strict else []))


def _summary(counts):
    """How many rows of each kind had which outcome, as a table."""
    rows = [
        [name, str(of_kind.total()), *(str(of_kind[outcome]) for outcome in Outcome)]
        for name, of_kind in counts.items()
    ]
    return aligned(["kind", "rows", *Outcome], rows)

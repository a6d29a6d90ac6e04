from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations import ledger
from arena.models import Study
from arena.refusals import Conflict
from scoring.boards.refit import refit_board
from scoring.inputs.covariates import COVARIATES
from scoring.management.studies import studies_of
from scoring.stats import board_method
from scoring.stats.pair_weights import WEIGHTINGS


class Command(BaseCommand):
    help = (
        "Write the next edition of a study's board now (default: of every study with votes). Where no vote counts, or "
        "nothing would differ from the last edition, there is none."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", nargs="*", help="slugs")
        parser.add_argument(
            "--treatment",
            choices=board_method.TREATMENTS,
            help="of ties and votes BOTH_BAD, from this edition on (default: as the last edition)",
        )
        parser.add_argument(
            "--covariates",
            help=f"adjust the ratings for these, from this edition on; 'none' for no more; of {', '.join(COVARIATES)}",
        )

        parser.add_argument(
            "--weighting",
            choices=WEIGHTINGS,
            help="uniform_pairs: as if every pair had been as likely as any other, from this edition on",
        )

    def handle(self, study: list[str], **options: Any) -> None:
        chosen = self.chosen(**options)
        if chosen and not study:
            raise CommandError("Name the studies for which these options are to be set.")
        studies = studies_of(study, otherwise=Study.objects.all())
        ledger.catch_up()
        for each_study in studies:
            if study or each_study.battles.filter(close_reason="voted").exists():
                try:
                    edition = refit_board(each_study, only_if_changed=True, **chosen)
                except (ValueError, Conflict) as reason:
                    raise CommandError(f"{each_study.slug} keeps its board: {str(reason).rstrip('.')}.") from reason
                self.stdout.write(_told(each_study, edition))

    def chosen(self, weighting: str | None = None, **options: Any) -> dict[str, Any]:
        return {**self.model(**options), **({"weighting": weighting} if weighting else {})}

    def model(self, treatment: str | None = None, covariates: str | None = None, **_: Any) -> dict[str, Any]:
        """The chosen settings of the model. Only half-ties allow covariates, so a choice of one replaces the other."""
        if covariates == "none":
            return {"treatment": treatment, "covariates": []} if treatment else {"covariates": []}
        if not covariates:
            return {"treatment": treatment, "covariates": []} if treatment else {}
        names = covariates.split(",")
        if unknown := set(names) - set(COVARIATES):
            raise CommandError(
                f"There is no covariate {', '.join(sorted(unknown))}; there are {', '.join(COVARIATES)}."
            )
        return {"treatment": treatment or board_method.HALF_TIE, "covariates": names}


def _told(study, edition):
    """What came of it, as a sentence; edition: None where none was written."""
    if edition:
        return f"{edition}: {edition.n_votes} votes, excluded {edition.excluded}"
    last = study.editions.newest()
    if not last:
        return f"{study.slug} has no edition: no vote counts yet"
    return f"{study.slug} keeps edition {last.number}: nothing would differ, or no vote counts any more"

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from annotations import ledger
from arena.models import Study
from scoring.anchors.refit import refit_anchors
from scoring.management.studies import live_model, studies_with_edition


class Command(BaseCommand):
    help = (
        "Fit the live model's per-system bias to a study's votes now (default: of every study with an edition). A "
        "sweep does so, too; the options set how it is done from now on."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("study", nargs="*", help="slugs")
        parser.add_argument(
            "--anchor-system",
            metavar="NAME",
            help="hold this system's bias at 0 and fit the others relative to it, without a ridge where there are "
            "enough votes; 'none': let the biases sum to 0 again",
        )
        parser.add_argument("--half-width", type=float, help="the target for the intervals, in logits")

    def handle(
        self, study: list[str], anchor_system: str | None = None, half_width: float | None = None, **_: Any
    ) -> None:
        if (anchor_system or half_width) and not study:
            raise CommandError("Name the studies for which these options are to be set.")
        if half_width is not None and not half_width > 0:
            raise CommandError(f"--half-width is a number of logits above 0, not {half_width}.")
        model, studies = live_model(), studies_with_edition(study)
        ledger.catch_up()
        for each_study in studies:
            fit = refit_anchors(each_study, model, **self.chosen(each_study, anchor_system, half_width))
            pinned = f", {fit.config['anchor_system']} held at 0" if fit.config.get("pinned") else ""
            self.stdout.write(f"{fit}: {fit.n_pairs} pairs, {fit.n_unscored} not scored yet{pinned}")

    def chosen(self, study: Study, anchor_system: str | None, half_width: float | None) -> dict[str, Any]:
        chosen = {} if half_width is None else {"half_width": half_width}
        if anchor_system == "none":
            return {**chosen, "anchor_system": None}
        if anchor_system is None:
            return chosen
        if not study.systems.filter(name=anchor_system).exists():
            names = ", ".join(study.systems.order_by("name").values_list("name", flat=True))
            raise CommandError(f"{study.slug} has no system {anchor_system!r}; it has {names}.")
        return {**chosen, "anchor_system": anchor_system}

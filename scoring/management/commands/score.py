"""`score MANIFEST.csv --output SCORES.csv`: rewards of files, or margins of pairs, that stay outside the arena."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from arena.named_files import ALLOW_OUTSIDE, HELP
from arena.refusals import Refusal
from scoring.file_scoring.manifest import BadManifest, Manifest, Results, read_manifest
from scoring.file_scoring.manifest_rows import keep, place, score_rows
from scoring.file_scoring.percentiles import Percentiles
from scoring.jury import scorers
from scoring.models import RewardModel
from scoring.registry.live import find_model

from .export import finite


class Command(BaseCommand):
    help = (
        "Score audio files under a reward model. The manifest is a CSV with the column path, or path_a and path_b for "
        "pairs, relative to it; optionally prompt; other columns are copied. Run it again to resume where it stopped: "
        "rows with the same paths, prompt and content are not scored again, failed ones are. The exit status is 1 if a "
        "row failed."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("manifest", type=Path)
        parser.add_argument("--output", type=Path, required=True, help="the CSV to write, or to continue")
        parser.add_argument("--model", metavar="NAME", help="default: the live model")
        parser.add_argument("--min-reward", type=finite, metavar="R", help="kept is True for rewards of at least R")
        parser.add_argument(
            "--top-share", type=share, metavar="S", help="kept is True for the best share S of the files"
        )
        parser.add_argument(
            "--min-margin", type=finite, metavar="M", help="pairs: kept is True for a |margin| of at least M"
        )

        parser.add_argument(ALLOW_OUTSIDE, type=Path, action="append", default=[], metavar="FOLDER", help=HELP)

    def handle(
        self,
        manifest: Path,
        output: Path,
        model: Any,
        min_reward: float | None,
        top_share: float | None,
        min_margin: float | None,
        allow_outside: list[Path],
        **options: Any,
    ) -> None:
        try:
            model = find_model(model)
            listed = read_manifest(manifest, allow_outside)
            filters = fitting_filters(listed, min_reward=min_reward, top_share=top_share, min_margin=min_margin)
            results = Results(output, listed.columns + listed.results)
        except (Refusal, BadManifest, OSError) as error:
            raise CommandError(str(error)) from error
        try:
            scorers.load_scorer(model.pk)
        except Exception as failure:  # of whatever kind: it names the file or encoder at fault, and concerns no row
            raise CommandError(f"{model.name} cannot be loaded: {failure}") from failure
        rows = self.score(listed, model, results)
        if not listed.is_of_pairs:
            place(rows, Percentiles(model))
        keep(rows, **filters)
        results.finish(rows)
        self.report(rows, output)

    def score(self, listed: Manifest, model: RewardModel, results: Results) -> list[dict[str, Any]]:
        rows, n_new = [], 0
        with tqdm(total=len(listed.rows), desc=model.name, unit="row") as bar:
            for batch, new in score_rows(listed, model, results.known):
                results.append(new)
                rows += batch
                n_new += len(new)
                bar.set_postfix(new=n_new, failed=sum(bool(row["error"]) for row in rows), refresh=False)
                bar.update(len(batch))
        return rows

    def report(self, rows: list[dict[str, Any]], output: Path) -> None:
        failed = [row for row in rows if row["error"]]
        n_kept = sum(row["kept"] for row in rows)
        self.stdout.write(f"{output}: {len(rows) - len(failed)} rows scored, {n_kept} kept, {len(failed)} failed")
        if failed:
            reasons = "\n".join(f"  {row.get('path') or row.get('path_a')}: {row['error']}" for row in failed[:20])
            more = f"\n  and {len(failed) - 20} more" if len(failed) > 20 else ""
            raise CommandError(f"{len(failed)} rows failed; the column error has the reasons:\n{reasons}{more}")


def fitting_filters(listed: Manifest, **filters: float | None) -> dict[str, float]:
    """The filters that are set; BadManifest for one that does not apply to this manifest's files or pairs."""
    fitting = {"min_margin"} if listed.is_of_pairs else {"min_reward", "top_share"}
    chosen = {name: value for name, value in filters.items() if value is not None}
    if others := sorted(set(chosen) - fitting):
        takes = "pairs: it takes --min-margin" if listed.is_of_pairs else "files: it takes --min-reward and --top-share"
        raise BadManifest(f"{', '.join(others)}: the manifest is of {takes}.")
    return chosen


def share(text: str) -> float:
    value = float(text)
    if not 0 < value <= 1:
        raise ValueError(f"{text} is no share: write a number above 0 and at most 1")
    return value

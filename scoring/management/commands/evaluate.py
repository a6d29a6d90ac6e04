"""`evaluate cmi-rewardbench DIR`: a public benchmark; `evaluate probes`: does the model prefer music to noise?"""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from arena import csv_files
from arena.audio import AudioUnavailable
from arena.refusals import Refusal
from scoring.evaluation import benchmark, probe_report, probing
from scoring.evaluation.rewardbench import report, rows
from scoring.jury import scorers
from scoring.jury.hearing import NoReward
from scoring.registry.live import find_model

SAMPLE = 16  # clips of the arena from which probes are made
SHOWN = 20  # files without a reward that are printed; all are in the JSON


class Command(BaseCommand):
    help = "Evaluate a reward model: on CMI-RewardBench, or with sanity probes."

    def add_arguments(self, parser: CommandParser) -> None:
        kinds = parser.add_subparsers(dest="kind", required=True)
        bench = kinds.add_parser("cmi-rewardbench", help="the benchmark of arXiv 2603.00610, downloaded to DIR")
        bench.add_argument("folder", metavar="DIR", type=Path, help="holds data/all_test.jsonl and the audio it names")
        bench.add_argument(
            "--csv",
            dest="csv_folder",
            metavar="FOLDER",
            type=Path,
            help="write tables and results.jsonl into this folder",
        )
        bench.add_argument("--limit", metavar="N", type=positive, help="at most N rows of each dataset")
        bench.add_argument(
            "--cache",
            metavar="FILE",
            type=Path,
            default=settings.ARENA_HOME / "evaluation" / "cmi-rewardbench.jsonl",
            help="rewards so far, with which a stopped run resumes (default: %(default)s)",
        )
        probes = kinds.add_parser("probes", help="damaged copies, noise and silence against the original")
        probes.add_argument("clips", metavar="CLIP", nargs="*", help="audio files; default: clips of the arena")
        probes.add_argument(
            "--sample", metavar="N", type=positive, default=SAMPLE, help="how many clips of the arena (%(default)s)"
        )
        for parser in (bench, probes):
            parser.add_argument("--model", metavar="NAME", help="default: the live one")
            parser.add_argument(
                "--prompt-protocol", choices=["with", "empty"], default="with", help="whether the model reads prompts"
            )
            parser.add_argument(
                "--json", dest="json_file", metavar="FILE", type=Path, help="write everything into this file"
            )

    def handle(self, kind: str, model: Any, prompt_protocol: str, **options: Any) -> None:
        runs: dict[str, Callable] = {"cmi-rewardbench": self.cmi_rewardbench, "probes": self.probes}
        try:
            model = find_model(model)
            scorer = scorers.load_scorer(model.pk)
            facts = {
                "model": model.name,
                "sha256": model.sha256,
                "prompt_protocol": prompt_protocol,
                "reads_prompts": scorer.reads_prompts,
            }
            runs[kind](scorer, facts, prompt_protocol == "with", **options)
        except (Refusal, ValueError, OSError, MemoryError, AudioUnavailable) as error:
            raise CommandError(str(error) or repr(error)) from error

    def cmi_rewardbench(
        self,
        scorer: Any,
        facts: dict[str, Any],
        with_prompt: bool,
        *,
        folder: Path,
        csv_folder: Path | None,
        json_file: Path | None,
        limit: int | None,
        cache: Path,
        **options: Any,
    ) -> None:
        data = folder / "data"
        lines = data / "all_test.jsonl"
        if not lines.is_file():
            raise CommandError(
                f"{lines} does not exist: DIR is the benchmark's folder, which holds data/all_test.jsonl."
            )
        benchmark_rows = rows.read(lines, limit=limit)
        keys = benchmark.wanted(benchmark_rows.rows, with_prompt=with_prompt)
        reward_cache = benchmark.RewardCache(cache, facts["sha256"])
        with tqdm(total=len(keys), desc="score", unit="clip") as bar:
            scored = benchmark.score(scorer, data, keys, reward_cache, bar.update)
        rewards = [
            tuple(reward_or_none(scored[key]) for key in benchmark.keys_of(row, with_prompt=with_prompt))
            for row in benchmark_rows.rows
        ]
        failed = {key: outcome.reason for key, outcome in scored.items() if isinstance(outcome, NoReward)}
        tables = report.make(facts["model"], benchmark_rows.rows, rewards, benchmark_rows.left_out)
        self.say(facts, f"CMI-RewardBench, {len(keys)} clips, {len(failed)} of them without a reward")
        self.stdout.write(report.as_text(tables))
        self.say_failures(failed)
        if json_file:
            failures = [{"file": path, "prompt": prompt, "reason": why} for (path, prompt), why in failed.items()]
            write_json(json_file, {**facts, **report.as_json(tables), "without_reward": failures})
        if csv_folder:
            write_tables(csv_folder, tables, report.results(benchmark_rows.rows, rewards), failed)

    def probes(
        self,
        scorer: Any,
        facts: dict[str, Any],
        with_prompt: bool,
        *,
        clips: list[str],
        sample: int,
        json_file: Path | None,
        **options: Any,
    ) -> None:
        originals = probing.files(clips) if clips else probing.sample_clips(sample, with_prompt=with_prompt)
        with tqdm(total=len(clips) or sample, desc="probe", unit="clip") as bar:
            probed = probing.probe(scorer, originals, bar.update)
        heard_as = "files, with an empty prompt" if clips else "clips of the arena"
        self.say(facts, f"sanity probes of {len(probed.names)} {heard_as}")
        self.stdout.write(probe_report.as_text(probed))
        if json_file:
            write_json(json_file, {**facts, **probe_report.as_json(probed)})

    def say(self, facts: dict[str, Any], text: str) -> None:
        prompts = {"with": "with prompts", "empty": "with empty prompts"}[facts["prompt_protocol"]]
        reads = prompts if facts["reads_prompts"] else "which reads no prompts"
        self.stdout.write(f"{facts['model']} (sha256 {facts['sha256'][:12]}), {reads}: {text}\n")

    def say_failures(self, failed: dict[tuple[str, str], str]) -> None:
        if not failed:
            return
        self.stdout.write(f"\n{len(failed)} clips without a reward; their rows are left out of all figures:")
        for (path, _), reason in list(failed.items())[:SHOWN]:
            self.stdout.write(f"  {path or '(no file)'}: {reason}")
        if len(failed) > SHOWN:
            self.stdout.write(f"  and {len(failed) - SHOWN} more, all of them in the file that --json names")


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is not 1 or more")
    return number


def reward_or_none(outcome: float | NoReward) -> float | None:
    return None if isinstance(outcome, NoReward) else outcome


def write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_tables(
    folder: Path, tables: report.Report, results: Iterable[dict[str, Any]], failed: dict[tuple[str, str], str]
) -> None:
    """The tables as CSV, and results.jsonl, which the benchmark's own evaluate_results.py reads."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "summary.csv", map(asdict, tables.summary))
    write_csv(folder / "detail.csv", map(asdict, tables.detail))
    write_csv(folder / "rows.csv", map(asdict, tables.coverage))
    write_csv(folder / "published.csv", report.published_rows())
    write_csv(folder / "without_reward.csv", ({"file": path, "reason": why} for (path, _), why in failed.items()))
    with (folder / "results.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in results)


def write_csv(path: Path, rows: Any) -> None:
    rows = list(rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(csv_files.lines(list(rows[0]) if rows else [], rows))

"""`evaluate cmi-rewardbench DIR`: a reward model elsewhere; `evaluate probes`: does it know noise from music?"""

import csv
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from arena.audio import AudioUnavailable
from arena.refusals import Refusal
from scoring.evaluation import benchmark, probe_report, probing
from scoring.evaluation.judge import Judge, NoReward
from scoring.evaluation.rewardbench import report, rows
from scoring.registry.live import find_model

SAMPLE = 16  # clips of the arena that probes are made of
SHOWN = 20  # files without a reward that are printed; all are in the JSON


class Command(BaseCommand):
    help = "Evaluate a reward model: on CMI-RewardBench, or with sanity probes."

    def add_arguments(self, parser):
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
            help="rewards so far, for a run that goes on (default: %(default)s)",
        )
        probes = kinds.add_parser("probes", help="damaged copies, noise and silence against the original")
        probes.add_argument("clips", metavar="CLIP", nargs="*", help="audio files; default: clips of the arena")
        probes.add_argument(
            "--sample", metavar="N", type=positive, default=SAMPLE, help="how many clips of the arena (%(default)s)"
        )
        for one in (bench, probes):
            one.add_argument("--model", metavar="NAME", help="default: the live one")
            one.add_argument(
                "--prompt-protocol", choices=["with", "empty"], default="with", help="whether the model reads prompts"
            )
            one.add_argument(
                "--json", dest="json_file", metavar="FILE", type=Path, help="write everything into this file"
            )

    def handle(self, kind, model, prompt_protocol, **options):
        runs: dict[str, Callable] = {"cmi-rewardbench": self.cmi_rewardbench, "probes": self.probes}
        try:
            judge = Judge(find_model(model))
            facts = {
                "model": judge.model.name,
                "sha256": judge.model.sha256,
                "prompt_protocol": prompt_protocol,
                "reads_prompts": judge.reads_prompts,
            }
            runs[kind](judge, facts, prompt_protocol == "with", **options)
        except (Refusal, ValueError, OSError, MemoryError, AudioUnavailable) as error:
            raise CommandError(str(error) or repr(error)) from error

    def cmi_rewardbench(self, judge, facts, with_prompt, *, folder, csv_folder, json_file, limit, cache, **options):
        data = folder / "data"
        lines = data / "all_test.jsonl"
        if not lines.is_file():
            raise CommandError(f"{lines} is not there: DIR is the benchmark's folder, which holds data/all_test.jsonl.")
        found = rows.read(lines, limit=limit)
        keys = benchmark.wanted(found.rows, with_prompt=with_prompt)
        kept = benchmark.RewardCache(cache, judge.model.sha256)
        with tqdm(total=len(keys), desc="score", unit="clip") as bar:
            scored = benchmark.score(judge, data, keys, kept, bar.update)
        given = [
            tuple(known(scored[key]) for key in benchmark.keys_of(row, with_prompt=with_prompt)) for row in found.rows
        ]
        failed = {key: reward.reason for key, reward in scored.items() if isinstance(reward, NoReward)}
        made = report.make(judge.model.name, found.rows, given, found.left_out)
        self.say(facts, f"CMI-RewardBench, {len(keys)} clips, {len(failed)} of them without a reward")
        self.stdout.write(report.as_text(made))
        self.say_failures(failed)
        if json_file:
            failures = [{"file": path, "prompt": prompt, "reason": why} for (path, prompt), why in failed.items()]
            write_json(json_file, {**facts, **report.as_json(made), "without_reward": failures})
        if csv_folder:
            write_tables(csv_folder, made, report.results(found.rows, given), failed)

    def probes(self, judge, facts, with_prompt, *, clips, sample, json_file, **options):
        originals = (
            probing.files(judge, clips) if clips else probing.sample_clips(judge, sample, with_prompt=with_prompt)
        )
        with tqdm(total=len(clips) or sample, desc="probe", unit="clip") as bar:
            found = probing.probe(judge, originals, bar.update)
        heard_as = "files, with an empty prompt" if clips else "clips of the arena"
        self.say(facts, f"sanity probes of {len(found.names)} {heard_as}")
        self.stdout.write(probe_report.as_text(found))
        if json_file:
            write_json(json_file, {**facts, **probe_report.as_json(found)})

    def say(self, facts, what):
        prompts = {"with": "with prompts", "empty": "with empty prompts"}[facts["prompt_protocol"]]
        reads = prompts if facts["reads_prompts"] else "which reads no prompts"
        self.stdout.write(f"{facts['model']} (sha256 {facts['sha256'][:12]}), {reads}: {what}\n")

    def say_failures(self, failed):
        if not failed:
            return
        self.stdout.write(f"\n{len(failed)} clips without a reward; their rows are in no figure:")
        for (path, _), reason in list(failed.items())[:SHOWN]:
            self.stdout.write(f"  {path or '(no file)'}: {reason}")
        if len(failed) > SHOWN:
            self.stdout.write(f"  and {len(failed) - SHOWN} more, all of them in the file that --json names")


def positive(text):
    number = int(text)
    if number < 1:
        raise ValueError(f"{text} is not 1 or more")
    return number


def known(reward):
    return None if isinstance(reward, NoReward) else reward


def write_json(path, content):
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_tables(folder, made, results, failed):
    """The tables as CSV, and results.jsonl, which the benchmark's own evaluate_results.py reads."""
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "summary.csv", map(asdict, made.summary))
    write_csv(folder / "detail.csv", map(asdict, made.detail))
    write_csv(folder / "rows.csv", map(asdict, made.coverage))
    write_csv(folder / "published.csv", report.published_rows())
    write_csv(folder / "without_reward.csv", ({"file": path, "reason": why} for (path, _), why in failed.items()))
    with (folder / "results.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in results)


def write_csv(path, lines):
    lines = list(lines)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, lines[0] if lines else [])
        writer.writeheader()
        writer.writerows(lines)

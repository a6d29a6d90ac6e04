"""`make bench`: every benchmark's table, and the same rows in bench-results.json."""

import json
import os
import platform
from pathlib import Path

from tests.bench import (
    anchors,
    attacks,
    categories,
    cycle,
    fit,
    identities,
    page,
    pairing,
    postgres,
    prediction_powered,
    raters,
    robustness,
    scoring,
    sweeps,
    training,
    votes,
)

BENCHMARKS = {
    "fit: the board's fit against evalica's point estimate and arena-rank's sandwich": fit,
    "postgres: a board from the database, and a hundred votes more": postgres,
    "votes: a battle and a vote": votes,
    "cycle: a battle and a vote over HTTP, beside bare psycopg with the same statements": cycle,
    "page: from the vote to the next sound": page,
    "sweeps: what a thousand idle studies cost, a minute of the schedule": sweeps,
    "identities: ten thousand raters behind one connection": identities,
    "attacks: a board attacked by 40, 300 and 600 raters, with and without the rules": attacks,
    "raters: 60 simulated raters, 15 of them bad, judged by the quality rules": raters,
    "prediction_powered: intervals of votes and rewards against those of votes alone, N = 10 n": prediction_powered,
    "anchors: coverage, and a planted drift undone by K anchor pairs": anchors,
    "robustness: an edition's card": robustness,
    "categories: the boards of all tags, beside the overall fit; do their intervals hold": categories,
    "pairing: votes until the order is right, under each policy; serving a battle": pairing,
    "training: a head on 17,500 pairs, to early stop": training,
    "scoring: clips in batches, cached clips under a new head, a worker's memory, a swap": scoring,
}


def main():
    results = {"python": platform.python_version(), "cpus": os.cpu_count()}
    for title, benchmark in BENCHMARKS.items():
        rows = results[benchmark.__name__.rpartition(".")[2]] = benchmark.run()
        print(f"\n{title}")
        print_table(rows)
    Path("bench-results.json").write_text(json.dumps(results, indent=1) + "\n")
    print("\nAlso in bench-results.json. Times are of this machine, now; compare only the ratios.")


def print_table(rows):
    columns = list(rows[0])
    cells = [
        [f"{row[column]:g}" if isinstance(row[column], float) else str(row[column]) for column in columns]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in (columns, *cells):
        print("  " + "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))


if __name__ == "__main__":
    main()

"""From the database: a board over many votes, and its ratings with a hundred votes more.

POSTGRES_VOTES=10000,100000 makes a quick table; laying down the million takes minutes.
"""

import os
import time
from statistics import median

VOTES = (10_000, 100_000, 1_000_000)
SYSTEMS, VOTES_PER_RATER = 200, 20
NEW, REPEATS = 100, 5

# Ratings from -1 to 1, one tie and one "both bad" in ten each; raters at random, so some hold several times the votes.
LAY_DOWN = """
CREATE TEMP TABLE rater AS SELECT row_number() OVER () AS n, id FROM arena_rater
    WHERE id IN (SELECT rater_id FROM arena_participation WHERE study_id = %(study)s);
CREATE TEMP TABLE drawn AS
    SELECT gen_random_uuid() AS id, i, floor(random() * %(n)s)::int AS a, floor(random() * (%(n)s - 1))::int AS other,
           1 + floor(random() * %(raters)s)::int AS rater, random() AS answer, random() AS chance
    FROM generate_series(1, %(votes)s) AS i;
UPDATE drawn SET other = other + 1 WHERE other >= a;
INSERT INTO arena_battle (id, study_id, rater_id, kind, system_a_id, system_b_id, codec, policy, served_at, closed_at,
                          close_reason, skip_reason, expected)
    SELECT drawn.id, %(study)s, rater.id, 'imported', %(first)s + a, %(first)s + other, '', '', now(), now(), 'voted',
           '', ''
    FROM drawn JOIN rater ON rater.n = drawn.rater ORDER BY i;
INSERT INTO annotations_vote (battle_id, rater_id, preference, degree, axes, tags, heard, first_played, received_at)
    SELECT drawn.id, rater.id,
           CASE WHEN answer < 0.1 THEN 'TIE' WHEN answer < 0.2 THEN 'BOTH_BAD'
                WHEN chance < 1 / (1 + exp(2.0 * (other - a) / %(n)s)) THEN 'A' ELSE 'B' END,
           '', '{}', '[]', '{}', '', now()
    FROM drawn JOIN rater ON rater.n = drawn.rater ORDER BY i;
DROP TABLE rater, drawn;
"""
NUMBER = """
UPDATE annotations_ledger AS ledger SET seq = new.seq, digest = 'bench', link_version = 2
    FROM (SELECT id, (SELECT coalesce(max(seq), 0) FROM annotations_ledger) + row_number() OVER (ORDER BY id) AS seq
          FROM annotations_ledger WHERE seq IS NULL) AS new
    WHERE ledger.id = new.id
"""


def run() -> list[dict]:
    """One row per number of votes: seconds to pack them, once; of an edition with clustered intervals, reading, fitting
    and writing included, and of its reading alone; milliseconds to move the ratings on by NEW votes, which should not
    grow; and how far those ratings are from the next edition's."""
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    sizes = os.environ.get("POSTGRES_VOTES")
    return [measure(n) for n in (map(int, sizes.split(",")) if sizes else VOTES)]


def measure(votes: int) -> dict:
    from annotations import ledger
    from scoring import inputs
    from scoring.boards import standings
    from scoring.boards.refit import refit_board

    study = make_study(votes)
    packing = timed(pack, study)[0]
    edition_s, edition = timed(refit_board, study)
    reading = timed(inputs.board_votes, study, ledger.head(), edition.config)[0]
    again = timed(refit_board, study)[0]
    moves = []
    for _ in range(REPEATS):
        lay_down(study, NEW)
        moves.append(timed(standings.move_on, study))
    standing = moves[-1][1]
    last = refit_board(study)
    rated = {row["system"]: row["rating"] for group in last.result["groups"] for row in group}
    return {
        "votes": votes, "systems": SYSTEMS, "raters": votes // VOTES_PER_RATER,
        "pack_s": round(packing, 2), "edition_s": round(min(edition_s, again), 2), "read_s": round(reading, 2),
        "move_on_100_ms": round(median(s for s, _ in moves) * 1000, 1),
        "furthest_from_edition": max(abs(standing.ratings[name] - rating) for name, rating in rated.items()),
        "same_votes": standing.n_votes == last.n_votes,
    }  # fmt: skip


def pack(study):
    """As many sweeps do it, for which the votes of a few seconds are new."""
    from annotations import vote_blocks

    before = -1
    while (n := study.vote_blocks.count()) != before:
        before = n
        vote_blocks.keep(study)


def timed(work, *arguments):
    began = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - began, result


def make_study(votes):
    from arena.models import Participation, Rater, Study, System

    study = Study.objects.create(slug=f"postgres-{votes}", name="Bench", excerpt_s=10)
    systems = System.objects.bulk_create(System(name=f"{study.slug} {i:03}") for i in range(SYSTEMS))
    study.systems.set(systems)
    raters = Rater.objects.bulk_create([Rater() for _ in range(votes // VOTES_PER_RATER)], batch_size=5000)
    Participation.objects.bulk_create([Participation(study=study, rater=rater) for rater in raters], batch_size=5000)
    lay_down(study, votes)
    return study


def lay_down(study, votes):
    """Votes with their places in the ledger. Its hashes, which no board reads, are left out."""
    from django.db import connection, transaction

    values = {
        "study": study.pk, "votes": votes, "raters": study.participations.count(), "n": SYSTEMS,
        "first": study.systems.order_by("pk").first().pk,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in (*LAY_DOWN.split(";\n"), NUMBER):
            if statement.strip():
                cursor.execute(statement, values)
    if votes > NEW:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

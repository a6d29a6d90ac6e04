"""What the bench `cycle` has done behind Django's models, in a process with the environment of its database."""

import json
import os
import sys
import threading
import time
import uuid
from multiprocessing import get_context

import django

VOTES_PER_RATER = 10
ANSWER = {"preference": "A", "heard": {"A": [[0, 1]], "B": [[0, 1]]}, "first_played": "A", "switches": 1}
# Votes on ranked battles, as they are stored, a second apart and all in the past.
FILL = """
CREATE TEMP TABLE rater AS SELECT n, gen_random_uuid() AS id FROM generate_series(1, %(raters)s) AS n;
INSERT INTO arena_rater (id, kind, created_at) SELECT id, 'listener', now() - interval '40 days' FROM rater;
INSERT INTO arena_consent (rater_id, study_id, version, given_at)
    SELECT id, %(study)s, 1, now() - interval '40 days' FROM rater;
INSERT INTO arena_participation (rater_id, study_id, headphones, headphone_attempts, "group", started_at, outcome)
    SELECT id, %(study)s, '', 0, '', now() - interval '40 days', '' FROM rater;
CREATE TEMP TABLE drawn AS
    SELECT gen_random_uuid() AS id, rater.id AS rater, a.prompt_id AS prompt, a.system_id AS system_a,
           b.system_id AS system_b, a.id AS clip_a, b.id AS clip_b, of_a.id AS excerpt_a, of_b.id AS excerpt_b,
           now() - interval '35 days' + i * interval '1 second' AS at
    FROM (SELECT i, floor(random() * %(clips)s)::int AS a, 1 + floor(random() * (%(systems)s - 1))::int AS further
          FROM generate_series(1, %(votes)s) AS i) AS vote
        JOIN clip_number AS na ON na.n = vote.a
        JOIN clip_number AS nb ON nb.n = (vote.a + vote.further * %(prompts)s) %% %(clips)s
        JOIN arena_clip AS a ON a.id = na.id JOIN arena_clip AS b ON b.id = nb.id
        JOIN arena_excerpt AS of_a ON of_a.clip_id = a.id JOIN arena_excerpt AS of_b ON of_b.clip_id = b.id
        JOIN rater ON rater.n = 1 + vote.i %% %(raters)s;
INSERT INTO arena_battle (id, study_id, rater_id, kind, prompt_id, system_a_id, system_b_id, clip_a_id, clip_b_id,
                          excerpt_a_id, excerpt_b_id, length_ms, codec, policy, pair_probability, clip_probability,
                          served_at, reserved_until, expires_at, closed_at, close_reason, skip_reason, expected)
    SELECT id, %(study)s, rater, 'ranked', prompt, system_a, system_b, clip_a, clip_b, excerpt_a, excerpt_b, 10000,
           'mp3', 'least-voted', 0.01, 0.1, at, at + interval '30 minutes', at + interval '30 days',
           at + interval '20 seconds', 'voted', '', '' FROM drawn ORDER BY at;
INSERT INTO annotations_vote (battle_id, rater_id, preference, degree, axes, tags, heard, first_played, received_at)
    SELECT id, rater, 'A', '', '{}', '[]', '{}', 'A', at + interval '20 seconds' FROM drawn ORDER BY at;
UPDATE annotations_ledger AS ledger SET seq = new.seq, digest = 'bench', link_version = 2
    FROM (SELECT id, (SELECT coalesce(max(seq), 0) FROM annotations_ledger) + row_number() OVER (ORDER BY id) AS seq
          FROM annotations_ledger WHERE seq IS NULL) AS new WHERE ledger.id = new.id;
DROP TABLE rater, drawn, clip_number;
"""


def main(command, *arguments):
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    django.setup()
    print(json.dumps({"make": make, "raters": raters, "fill": fill, "floor": floor}[command](*map(int, arguments))))


def the_study():
    from arena.models import Study

    return Study.objects.get(slug="bench")


def make():
    """The study; and how many statements a battle and a vote take, once a process has its caches."""
    from arena.models import Study
    from tests.bench.votes import make_study

    make_study()
    Study.objects.update(min_listen_ms=1)  # the clients listen no longer
    statements, of_battle, _ = record(raters(1), 3)[-1]
    return {"battle": of_battle, "vote": len(statements) - of_battle}


def raters(n):
    """n raters who agreed: [{"cookies": ..., "csrf": ..., "address": ...}], each at an address of its own."""
    from django.core import signing

    from arena.models import Consent, Participation, Rater
    from arena.rater_cookie import SALT

    study, new = the_study(), [Rater() for _ in range(n)]
    Rater.objects.bulk_create(new)
    Consent.objects.bulk_create(Consent(rater=rater, study=study, version=1) for rater in new)
    Participation.objects.bulk_create(Participation(rater=rater, study=study) for rater in new)
    signer, csrf = signing.get_cookie_signer(salt="rater" + SALT), "a" * 32
    return [
        {
            "cookies": f"rater={signer.sign(str(rater.pk))}; csrftoken={csrf}", "csrf": csrf,
            "address": f"{11 + rater.pk.bytes[0] % 80}.{rater.pk.bytes[1]}.{rater.pk.bytes[2]}.{rater.pk.bytes[3]}",
        }
        for rater in new
    ]  # fmt: skip


def fill(votes):
    """So many votes of a tenth as many raters, laid down by a few statements as the owner of the tables."""
    import psycopg

    from tests.bench.votes import PROMPTS, SYSTEMS

    values = {
        "study": the_study().pk, "votes": votes, "raters": votes // VOTES_PER_RATER, "systems": SYSTEMS,
        "prompts": PROMPTS, "clips": SYSTEMS * PROMPTS,
    }  # fmt: skip
    with psycopg.connect(os.environ["DATABASE_OWNER_URL"], autocommit=True) as database:
        with database.transaction():
            database.execute(
                "CREATE TEMP TABLE clip_number AS SELECT row_number() OVER (ORDER BY id) - 1 AS n, id FROM arena_clip"
            )
            for statement in filter(str.strip, FILL.split(";\n")):
                psycopg.ClientCursor(database).execute(statement, values)
        database.execute("VACUUM ANALYZE")
    return {"votes": votes}


# ---- the floor ----------------------------------------------------------------------------------------


def record(raters, cycles):
    """Cycles of each rater, rolled back: [(statements, how many of them are the battle's, the vote's id)], where
    statements are [(sql, parameters)]."""
    from django.db import connection, transaction
    from django.test import Client

    statements, recorded = [], []

    def note(execute, sql, params, many, context):
        kind = {"SAVEPOINT": "BEGIN", "RELEASE": "COMMIT"}.get(sql.split(" ", 1)[0])
        statements.append((kind or sql, params))
        return execute(sql, params, many, context)

    with transaction.atomic(), connection.execute_wrapper(note):
        for rater in raters:
            sent = {"host": "127.0.0.1", "x-forwarded-for": rater["address"], "x-csrftoken": rater["csrf"]}
            client = Client(headers=sent)
            client.cookies.load(rater["cookies"])
            for _ in range(cycles):
                statements.clear()
                battle = client.post("/api/battles/", {"study": "bench"}, "application/json").json()
                of_battle = len(statements)
                vote = client.post(
                    f"/api/battles/{battle['id']}/vote/", ANSWER, "application/json",
                    headers={"idempotency-key": str(uuid.uuid4())},
                ).json()  # fmt: skip
                recorded.append((list(statements), of_battle, vote["id"]))
        transaction.set_rollback(True)
    return recorded


def floor(listeners):
    """{"times": [(ms of the battle, ms of the vote)], "seconds": of all of it} of psycopg alone with the same
    statements, on as many connections as there are listeners, in as many processes as the web has."""
    cycles = [record(raters(15), VOTES_PER_RATER) for _ in range(listeners)]
    fork = get_context("fork")
    processes = min(2, listeners)
    ready, times = fork.Barrier(processes), fork.SimpleQueue()
    workers = [
        fork.Process(target=replay_all, args=(cycles[first::processes], ready, times)) for first in range(processes)
    ]
    for worker in workers:
        worker.start()
    parts = [times.get() for _ in workers]
    for worker in workers:
        worker.join()
    return {"times": [each for part, _ in parts for each in part], "seconds": max(seconds for _, seconds in parts)}


def replay_all(cycles, ready, results):
    times = []
    threads = [threading.Thread(target=replay, args=(mine, times)) for mine in cycles]
    ready.wait()
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((times, time.perf_counter() - began))


def replay(cycles, times):
    import psycopg

    # Parameters go into the text of a statement, as from Django: nothing of it is prepared.
    kind = psycopg.ClientCursor
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, cursor_factory=kind) as database:
        for statements, of_battle, vote in cycles:
            began = time.perf_counter()
            new_vote = None
            for number, (sql, params) in enumerate(statements):
                if number == of_battle:
                    between = time.perf_counter()
                if params and new_vote and not isinstance(params, dict):
                    params = [new_vote if value == vote else value for value in params]
                cursor = database.execute(sql, params)
                rows = cursor.fetchall() if cursor.description else []
                if sql.startswith('INSERT INTO "annotations_vote" '):
                    new_vote = rows[0][0]
            times.append(((between - began) * 1000, (time.perf_counter() - between) * 1000))


if __name__ == "__main__":
    main(*sys.argv[1:])

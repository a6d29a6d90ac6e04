"""From the database: a board over many votes, and its ratings with a hundred votes more.

POSTGRES_VOTES=10000,100000 makes a quick table; the million takes a minute to lay down.
"""

import os
import time
from statistics import median

VOTES = (10_000, 100_000, 1_000_000)
SYSTEMS, VOTES_PER_RATER = 200, 20
NEW, REPEATS = 100, 5

BATTLES = """
INSERT INTO arena_battle (id, study_id, rater_id, kind, system_a_id, system_b_id, codec, policy, served_at, closed_at,
                          close_reason, skip_reason, expected)
    SELECT gen_random_uuid(), %(study)s, (%(raters)s::uuid[])[1 + (i - 1) %% cardinality(%(raters)s::uuid[])], 'imported',
           %(systems)s::bigint[][1 + a], %(systems)s::bigint[][1 + (a + 1 + b) %% %(n)s], '', '', now(), now(),
           'voted', '', ''
    FROM (SELECT i, floor(random() * %(n)s)::int AS a, floor(random() * (%(n)s - 1))::int AS b
          FROM generate_series(1, %(votes)s) AS i) AS drawn"""

"""Opaque numbers for the groups in which a study's raters came, written before their marks are forgotten.

A rater is numbered when their first vote in the study gets its place in the ledger, and never later. So the raters who
have numbers follow from a ledger number alone, and an edition can be rebuilt from it. A group's number is the place of
its first rater in the order in which the study's raters first voted.
"""

from collections.abc import Collection, Iterable
from typing import Any

import numpy as np
from django.db import connection

from arena.models import Arrival, Study

from .models import GroupNumbers

MARKS = ("connection", "network", "device")  # of an Arrival, and the numbers that follow from them

# The raters of some entries who are new to their study, in the order of their entries, with how they came. Who has
# voted there before, and has no numbers, came without marks.
NEW_RATERS = """
    WITH new AS (
        SELECT ledger.study_id, vote.rater_id, min(ledger.id) AS entry
        FROM annotations_ledger AS ledger JOIN annotations_vote AS vote ON vote.id = ledger.vote_id
        WHERE ledger.id = ANY(%s) AND vote.rater_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM annotations_groupnumbers AS known
                            WHERE known.study_id = ledger.study_id AND known.rater_id = vote.rater_id)
            AND NOT EXISTS (SELECT FROM annotations_vote AS earlier
                            JOIN annotations_ledger AS numbered ON numbered.vote_id = earlier.id
                                AND numbered.study_id = ledger.study_id AND numbered.seq IS NOT NULL
                            WHERE earlier.rater_id = vote.rater_id)
        GROUP BY 1, 2
    )
    SELECT new.study_id, new.rater_id, came.connection, came.network, came.device
    FROM new CROSS JOIN LATERAL (
        SELECT * FROM arena_arrival AS arrival WHERE arrival.rater_id = new.rater_id ORDER BY at, id LIMIT 1
    ) AS came
    ORDER BY new.study_id, new.entry"""

NUMBER = np.dtype([("rater", "V16"), *((mark, ">i4") for mark in MARKS)])
READ = f"""
    SELECT string_agg(uuid_send(rater_id) || {" || ".join(f"int4send(coalesce({mark}, -1))" for mark in MARKS)}, ''
                      ORDER BY place)
    FROM annotations_groupnumbers WHERE study_id = %s"""


def assign(entries: Collection[int]) -> None:
    """Number the raters of these ledger entries that are about to get their place, in the transaction that gives it.
    The caller holds the ledger's lock."""
    with connection.cursor() as cursor:
        cursor.execute(NEW_RATERS, [list(entries)])
        rows = cursor.fetchall()
    by_study: dict[int, list[Any]] = {}
    for study, *row in rows:
        by_study.setdefault(study, []).append(row)
    for study, came in by_study.items():
        GroupNumbers.objects.bulk_create(_numbered(study, came), batch_size=2000)


def read(study: Study) -> np.ndarray:
    """NUMBER [R] of the study's raters who have numbers, in the order in which they first voted; -1 is unknown."""
    with connection.cursor() as cursor:
        cursor.execute(READ, [study.pk])
        return np.frombuffer(bytes(cursor.fetchone()[0] or b""), NUMBER)


def of_raters(numbers: np.ndarray, rater_id: np.ndarray, mark: str) -> np.ndarray:
    """int [V]: the number of each rater's group, -1 where it is unknown. rater_id: V16 [V]; numbers: of `read`."""
    known, sought = (np.frombuffer(np.ascontiguousarray(ids).tobytes(), "S16") for ids in (numbers["rater"], rater_id))
    if not known.size:
        return np.full(sought.size, -1)
    order = np.argsort(known)
    place = order[np.minimum(np.searchsorted(known[order], sought), known.size - 1)]
    return np.where(known[place] == sought, numbers[mark][place].astype(np.int64), -1)


def _numbered(study: int, came: Iterable[Any]) -> list[GroupNumbers]:
    came = list(came)
    known = [_known(study, mark, {row[place] for row in came}) for place, mark in enumerate(MARKS, start=1)]
    last = GroupNumbers.objects.filter(study=study).order_by("-place").values_list("place", flat=True).first()
    rows = []
    for place, (rater, *marks) in enumerate(came, start=0 if last is None else last + 1):
        groups = {
            name: None if mark is None else numbers.setdefault(mark, place)
            for name, mark, numbers in zip(MARKS, marks, known, strict=True)
        }
        rows.append(GroupNumbers(study_id=study, rater_id=rater, place=place, **groups))
    return rows


def _known(study: int, mark: str, values: set[str | None]) -> dict[str, int]:
    """{value of the mark: the number of its group} of those that a numbered rater of the study came with."""
    arrivals = Arrival.objects.filter(
        **{f"{mark}__in": values - {None}}, rater__group_numbers__study=study,
        **{f"rater__group_numbers__{mark}__isnull": False},
    ).order_by()  # fmt: skip
    found = arrivals.values_list(mark, f"rater__group_numbers__{mark}").distinct()
    known: dict[str, int] = {}
    for value, number in found:
        known[value] = min(number, known.get(value, number))
    return known

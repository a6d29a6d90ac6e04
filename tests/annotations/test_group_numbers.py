"""Raters of one connection share an opaque number, which outlives the marks that it came from."""

import numpy as np
import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from annotations import group_numbers, ledger
from annotations.models import GroupNumbers
from annotations.services import withdraw_rater
from arena.limits import Marks
from arena.models import Arrival, Study
from arena.services import forget_arrivals, give_consent
from tests.casts.clips import make_ready
from tests.casts.votes import cast, vote_at_once

HALL = Marks("hall", "campus", "hall and fox")


def comes(study, marks=HALL):
    return give_consent(None, study, study.consent_version, came_by=marks)


def numbers(study):
    return list(
        GroupNumbers.objects.filter(study=study).order_by("place").values_list("connection", "network", "device")
    )


def test_raters_are_numbered_in_the_order_of_their_first_votes(study):
    early, late, other = comes(study), comes(study), comes(study, Marks("home", "campus", "home and owl"))
    cast(study, "A", late)
    cast(study, "BA", early)
    cast(study, "A", other)
    cast(study, "A", late)
    assert list(GroupNumbers.objects.order_by("place").values_list("rater", flat=True)) == [late.pk, early.pk, other.pk]
    assert numbers(study) == [(0, 0, 0), (0, 0, 0), (2, 0, 2)]


def test_some_who_come_at_once_are_numbered_as_if_one_after_the_other(study):
    for _ in range(3):
        vote_at_once(study, comes(study))
    vote_at_once(study, comes(study, Marks("home", "elsewhere", "home and owl")))
    ledger.extend()
    assert numbers(study) == [(0, 0, 0)] * 3 + [(3, 3, 3)]


def test_numbers_are_of_one_study_and_say_nothing_of_another(study):
    other = Study.objects.create(slug="other", name="Other", excerpt_s=study.excerpt_s)
    other.systems.set(study.systems.all())
    make_ready(other)
    cast(study, "A", comes(study, Marks("home", "street", "home and owl")))
    rater = comes(study)
    give_consent(rater, other, other.consent_version)
    cast(study, "A", rater)
    cast(other, "A", rater)
    assert numbers(study) == [(0, 0, 0), (1, 1, 1)]
    assert numbers(other) == [(0, 0, 0)]


def test_a_rater_without_known_marks_is_in_no_group(study):
    cast(study, "A", comes(study, None))
    cast(study, "A", comes(study, Marks()))
    assert numbers(study) in ([], [(None, None, None)])
    read = group_numbers.read(study)
    assert (read["connection"] == -1).all()


def test_numbers_outlive_marks_and_withdrawals(study, time_passes):
    rater = comes(study)
    cast(study, "AB", rater)
    before = numbers(study)
    withdraw_rater(rater)
    ledger.extend()
    time_passes(3 * 86400)
    forget_arrivals()
    assert not Arrival.objects.exists()
    assert numbers(study) == before == [(0, 0, 0)]


def test_who_voted_before_without_marks_gets_none_later(study):
    """So what an edition counts follows from its ledger number."""
    rater = comes(study, None)
    cast(study, "A", rater)
    Arrival.objects.create(rater=rater, connection="hall", network="campus", device="fox", at=timezone.now())
    cast(study, "B", rater)
    assert numbers(study) == []


def test_numbers_never_change(study):
    cast(study, "A", comes(study))
    for statement in ("UPDATE annotations_groupnumbers SET connection = 7", "DELETE FROM annotations_groupnumbers"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_votes_find_the_numbers_of_their_raters(study):
    raters = [comes(study), comes(study, Marks("home", "street", "home and owl")), comes(study, None)]
    for rater in raters:
        cast(study, "A", rater)
    known = group_numbers.read(study)
    ids = known["rater"].tolist()
    sought = np.array([raters[1].pk.bytes, raters[2].pk.bytes, raters[0].pk.bytes], dtype="V16")
    assert group_numbers.of_raters(known, sought, "connection").tolist() == [1, -1, 0]
    assert group_numbers.of_raters(known[:0], sought, "connection").tolist() == [-1, -1, -1]
    assert len(ids) == 2

"""What a board is about to say: counted vote by vote since its edition, and the same as counting all of them."""

from datetime import timedelta

import numpy as np
import pytest
from django.utils import timezone

from annotations import ledger
from annotations.models import Alarm, Vote
from annotations.services import flag, withdraw_rater
from scoring import tasks
from scoring.boards import standings
from scoring.boards.refit import board_is_due, refit_board
from scoring.models import Standing
from scoring.stats import board_method, pair_counts
from tests.casts.votes import cast


def ratings_of(edition):
    return {row["system"]: row["rating"] for group in edition.result["groups"] for row in group}


def alarms():
    return Alarm.objects.filter(screen=standings.SCREEN)


@pytest.mark.parametrize("treatment", list(board_method.TREATMENTS))
def test_ratings_with_the_votes_since_are_those_of_the_next_edition(study, treatment):
    cast(study, ["A", "B", "TIE", "A", "BOTH_BAD", "B"])
    refit_board(study, treatment=treatment)
    cast(study, ["B", "TIE", "BOTH_BAD", "A", "A"])
    standing = standings.move_on(study)
    edition = refit_board(study)
    assert standing.ratings == pytest.approx(ratings_of(edition), abs=2e-6)
    assert standing.n_votes == edition.n_votes
    assert not alarms()


def test_a_vote_that_is_withdrawn_flagged_or_cleared_since_is_counted_out_or_in_again(study):
    stays, leaves = cast(study, "AABB"), cast(study, "BABA")
    caught = Vote.objects.filter(rater=stays).order_by("pk")
    flag(caught[0], "too_fast", 1)
    ledger.catch_up()
    assert refit_board(study).n_votes == 7
    withdraw_rater(leaves)
    flag(caught[0], "cleared", 1)
    flag(caught[1], "too_fast", 1)
    flag(caught[1], "late", 1)  # which excludes nothing
    cast(study, "AB", stays)
    flag(Vote.objects.order_by("-pk").first(), "too_fast", 1)  # of the new ones
    ledger.catch_up()
    standing = standings.move_on(study)
    edition = refit_board(study)
    assert standing.n_votes == edition.n_votes == 4
    assert standing.ratings == pytest.approx(ratings_of(edition), abs=2e-6)
    assert not alarms()


def test_moving_on_in_many_steps_is_moving_on_at_once(study):
    rng = np.random.default_rng(1)
    rater = cast(study, "AB")
    refit_board(study)
    for step in range(6):
        cast(study, rng.choice(["A", "B", "TIE", "BOTH_BAD"], 2).tolist(), rater if step < 2 else None)
        flag(Vote.objects.order_by("?").first(), rng.choice(["too_fast", "cleared"]), int(rng.integers(1000)))
        ledger.catch_up()
        standings.move_on(study)
    in_steps = bytes(Standing.objects.get().counts)
    refit_board(study)
    assert bytes(Standing.objects.get().counts) == in_steps
    assert not alarms()


def test_an_edition_raises_an_alarm_where_the_counts_are_inconsistent_and_corrects_them(study):
    cast(study, "ABAB")
    refit_board(study)
    standing = Standing.objects.get()
    counts = np.frombuffer(bytes(standing.counts), pair_counts.COUNTS).copy()
    counts["low_won"][0] += 1
    standing.counts = counts.tobytes()
    standing.save()
    cast(study, "A")
    edition = refit_board(study)
    assert [alarm.detail for alarm in alarms()] == [{"edition": 2}]
    assert Standing.objects.get().n_votes == edition.n_votes == 5


def test_an_edition_checks_counts_that_a_sweep_has_moved_on_while_it_was_computed(study, monkeypatch):
    cast(study, "ABAB")
    refit_board(study)
    start = standings.start

    def after_a_sweep(edition, votes):
        cast(study, "AB")
        standings.move_on(study)
        return start(edition, votes)

    monkeypatch.setattr(standings, "start", after_a_sweep)
    edition = refit_board(study)
    standing = Standing.objects.get()
    assert (edition.n_votes, standing.n_votes, standing.ledger_seq) == (4, 6, 6)
    assert not alarms()
    Standing.objects.update(counts=b"")
    refit_board(study)
    assert alarms().count() == 1
    assert Standing.objects.get().n_votes == 8


def test_inconsistent_counts_raise_an_alarm_and_do_not_hold_up_the_other_boards(study):
    rater = cast(study, "ABAB")
    refit_board(study)
    Standing.objects.update(counts=b"")
    withdraw_rater(rater)
    ledger.catch_up()
    tasks.move_standings_on()
    assert "inconsistent" in alarms().get().message
    assert not Standing.objects.exists()
    refit_board(study)
    assert Standing.objects.get().n_votes == 0


def test_a_board_whose_votes_weigh_differently_has_no_standing(study):
    cast(study, "ABAB")
    refit_board(study)
    assert Standing.objects.exists()
    refit_board(study, weighting="uniform_pairs")
    assert not Standing.objects.exists()
    assert standings.move_on(study) is None


def test_a_treatment_that_the_votes_no_longer_bear_leaves_no_ratings(study):
    leaves = cast(study, ["TIE"])
    cast(study, "ABAB")
    refit_board(study, treatment="davidson")
    withdraw_rater(leaves)
    ledger.catch_up()
    assert standings.move_on(study).ratings == {}
    assert standings.since(study.editions.get()) is None


def test_the_sweep_moves_on_what_is_behind_and_leaves_the_rest(study):
    cast(study, "ABAB")
    refit_board(study)
    before = Standing.objects.get().moved_at
    tasks.move_standings_on()
    assert Standing.objects.get().moved_at == before
    cast(study, "A")
    tasks.move_standings_on()
    assert Standing.objects.get().n_votes == 5


def test_the_board_and_its_api_say_what_the_votes_since_have_changed(study, client):
    cast(study, "ABAB")
    refit_board(study)
    fresh = client.get("/api/leaderboard/", {"study": "open"}).json()
    assert fresh["since"] is None
    assert {row["now"] for group in fresh["groups"] for row in group} == {None}
    assert "New votes have arrived since" not in client.get("/boards/open/").content.decode()
    cast(study, "AAA")
    standing = standings.move_on(study, now=timezone.now())
    found = client.get("/api/leaderboard/", {"study": "open"}).json()
    assert found["n_votes"] == 4
    assert found["since"] == {"ledger_seq": 7, "n_votes": 7, "at": standing.moved_at.isoformat()}
    assert {row["system"]: row["now"] for group in found["groups"] for row in group} == standing.ratings
    assert "New votes have arrived since this edition" in client.get("/boards/open/").content.decode()
    refit_board(study)
    old = client.get("/api/leaderboard/", {"study": "open", "edition": 1}).json()
    assert old["since"] is None


def test_what_an_edition_counted_and_left_out_are_all_the_votes_of_before(study):
    cast(study, ["A", "BOTH_BAD", "B"])
    edition = refit_board(study)
    assert edition.n_votes + sum(edition.excluded.values()) == 3
    later = edition.created_at + timedelta(minutes=1)
    assert not board_is_due(study, later)
    cast(study, "A")
    assert board_is_due(study, later)


def test_counts_add_up_and_are_never_below_zero():
    one = pair_counts.count(np.array([1, 2, 2]), np.array([2, 1, 3]), np.array([1.0, 1.0, -1.0]))
    assert one.tolist() == [(1, 2, 1, 1, 0, 0), (2, 3, 0, 0, 0, 1)]
    assert pair_counts.added(one, one).tolist() == [(1, 2, 2, 2, 0, 0), (2, 3, 0, 0, 0, 2)]
    assert pair_counts.added(one, pair_counts.taken_away(one)).size == 0
    assert pair_counts.n_votes(one) == 3
    with pytest.raises(ValueError, match="taken away"):
        pair_counts.added(one, pair_counts.taken_away(one), pair_counts.taken_away(one))

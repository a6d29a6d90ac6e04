"""From votes to editions: what a board counts, when it moves, and that it can be rebuilt."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from annotations import ledger
from annotations.models import Flag, Vote
from annotations.services import flag, withdraw_rater
from arena.models import Clip, Prompt, Rater, Study, System
from scoring.anchors.refit import anchors_are_due, refit_anchors
from scoring.boards import refit, standings
from scoring.boards.refit import board_is_due, rebuild_edition, refit_board
from scoring.inputs import rewards
from scoring.jury.rewards import store_rewards
from scoring.models import AnchorFit, Edition, RewardModel
from scoring.stats import board_method
from tests.casts.clips import make_clip, make_ready
from tests.casts.votes import cast


def test_a_board_counts_ties_half_and_leaves_both_bad_out(study):
    cast(study, ["A", "B", "TIE", "TIE", "BOTH_BAD"])
    edition = refit_board(study)
    assert edition.n_votes == 4
    assert edition.excluded == {"both_bad": 1}
    ratings = [rating for group in edition.result["groups"] for rating in group]
    assert sum(rating["ties"] for rating in ratings) == 4
    assert sum(rating["wins"] for rating in ratings) == sum(rating["losses"] for rating in ratings) == 2
    assert edition.config["tie"] == "half a win each way"


def test_editions_are_numbered_and_rebuild_to_the_same_json(study):
    rater = cast(study, "ABAB")
    first = refit_board(study)
    cast(study, "BBA")
    second = refit_board(study)
    withdraw_rater(rater)
    ledger.extend()
    third = refit_board(study)
    assert [first.number, second.number, third.number] == [1, 2, 3]
    assert third.excluded == {"withdrawn": 4}
    assert third.n_votes == 3
    for edition in Edition.objects.all():
        assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_an_edition_never_changes(study):
    cast(study, "AB")
    edition = refit_board(study)
    edition.n_votes = 99
    with pytest.raises(Exception, match="append-only"):
        edition.save()


def test_a_system_keeps_its_name_so_that_editions_stay_true(study):
    cast(study, "AB")
    refit_board(study)
    with pytest.raises(Exception, match="append-only"):
        System.objects.filter(name="alder").update(name="Alder 2")


def test_two_workers_at_once_write_one_edition(study):
    cast(study, "AB")
    assert refit_board(study, only_if_due=True).number == 1
    assert refit_board(study, only_if_due=True) is None


def test_a_late_vote_counts(study):
    cast(study, "AB")
    flag(Vote.objects.first(), Flag.LATE, 1)
    ledger.extend()
    assert refit_board(study).n_votes == 2


def test_systems_that_never_met_stand_in_groups_of_their_own(study):
    third = Prompt.objects.create(text="Only for two of them")
    for name in ("dogwood", "elm"):
        make_clip(System.objects.create(name=name), third)
    apart = Study.objects.create(slug="apart", name="Apart", excerpt_s=10)
    apart.systems.set(System.objects.filter(name__in=["alder", "birch", "dogwood", "elm"]))
    make_ready(apart)
    cast(apart, "ABA")
    groups = refit_board(apart).result["groups"]
    assert [sorted(rating["system"] for rating in group) for group in groups] == [
        ["alder", "birch"],
        ["dogwood", "elm"],
    ]


@pytest.mark.parametrize(
    ("situation", "due"),
    [
        ({"n_counted": 10, "n_new_entries": 0, "n_votes": 10}, False),
        ({"n_counted": 10, "n_votes": 11}, True),
        ({"n_counted": 999, "n_votes": 1000, "oldest_wait_s": 29}, False),
        ({"n_counted": 2000, "n_votes": 2019, "oldest_wait_s": 31}, False),
        ({"n_counted": 2000, "n_votes": 2020, "oldest_wait_s": 29}, False),
        ({"n_counted": 2000, "n_votes": 2020, "oldest_wait_s": 30}, True),
        ({"n_counted": 2000, "n_votes": 2001, "since_last_s": 3600}, True),
    ],
)
def test_a_board_is_due_by_the_rule(situation, due):
    usual = {"n_new_entries": 1, "oldest_wait_s": 0.0, "since_last_s": 60.0}
    assert refit.is_worth_an_edition(**{**usual, **situation}) is due


def test_a_board_is_due_once_the_ledger_has_something_new(study):
    assert not board_is_due(study)
    cast(study, "A")
    assert board_is_due(study)
    refit_board(study)
    assert not board_is_due(study, a_minute_later())
    flag(Vote.objects.get(), Flag.WITHDRAWN, 1)
    ledger.extend()
    assert board_is_due(study, a_minute_later())


def a_minute_later():
    return timezone.now() + timedelta(seconds=61)


def sweep_at(moment):
    for pk in refit.due_studies(moment):
        refit_board(Study.objects.get(pk=pk), moment, only_if_due=True)


def test_a_board_has_at_most_one_edition_a_minute(study):
    began = timezone.now()
    for second in range(0, 181, 5):
        cast(study, "A")
        sweep_at(began + timedelta(seconds=second))
    moments = list(study.editions.order_by("number").values_list("created_at", flat=True))
    assert moments == [began + timedelta(seconds=second) for second in (0, 60, 120, 180)]


@pytest.mark.parametrize("case", ["nobody voted for a system", "all was taken back"])
def test_votes_that_do_not_count_make_no_edition_and_are_not_counted_again_and_again(study, case, monkeypatch):
    rater = cast(study, ["BOTH_BAD"] if case.startswith("nobody") else "AB")
    if case.startswith("all"):
        withdraw_rater(rater)
        ledger.catch_up()
    assert refit.due_studies() == [study.pk]
    sweep_at(timezone.now())
    assert not study.editions.exists()
    assert refit.due_studies(a_minute_later()) == [] and not board_is_due(study, a_minute_later())
    cast(study, "A")
    sweep_at(timezone.now())
    assert study.editions.get().n_votes == 1


def test_when_all_votes_of_an_edition_are_taken_back_there_is_no_empty_one_and_the_board_says_so(study, client):
    rater = cast(study, "AB")
    sweep_at(timezone.now())
    withdraw_rater(rater)
    ledger.catch_up()
    sweep_at(a_minute_later())
    standings.move_on(study)
    assert study.editions.get().n_votes == 2
    assert client.get("/api/leaderboard/").json()["since"]["n_votes"] == 0
    assert "None of its votes counts any more" in client.get("/boards/open/").content.decode()


def test_what_changes_nothing_on_a_board_makes_no_edition(study):
    cast(study, "AB")
    sweep_at(timezone.now())
    flag(Vote.objects.first(), Flag.LATE, 1)  # which excludes nothing
    ledger.extend()
    assert refit.due_studies(a_minute_later()) == [study.pk]
    sweep_at(a_minute_later())
    assert study.editions.count() == 1
    assert refit.due_studies(a_minute_later()) == []
    Study.objects.update(exclude_flagged=not study.exclude_flagged)
    sweep_at(a_minute_later())
    assert study.editions.count() == 2, "another method is a change"


# ---- what readers see ----


def test_the_leaderboard_has_no_edition_before_the_first(study, client):
    board = client.get("/api/leaderboard/").json()
    assert (board["study"], board["edition"], board["n_votes"], board["groups"]) == ("open", None, 0, [])
    assert [row["system"] for row in board["not_yet_rated"]] == ["alder", "birch", "cedar"]


def test_the_leaderboard_shows_the_last_edition_or_the_one_asked_for(study, client):
    cast(study, "AB")
    refit_board(study)
    cast(study, "A")
    refit_board(study)
    assert client.get("/api/leaderboard/", {"study": "open"}).json()["edition"] == 2
    older = client.get("/api/leaderboard/", {"study": "open", "edition": 1}).json()
    assert (older["edition"], older["n_votes"]) == (1, 2)
    for rating in (rating for group in older["groups"] for rating in group):
        assert rating["low"] < rating["rating"] < rating["high"]


def test_parameters_left_empty_ask_for_the_default(study, client):
    assert client.get("/api/leaderboard/?study=&category=&edition=").json()["study"] == "open"


@pytest.mark.parametrize("query", [{"study": "none"}, {"edition": 9}, {"category": "jazz"}])
def test_what_is_not_there_is_a_404_that_names_it(study, client, query):
    answer = client.get("/api/leaderboard/", query)
    assert answer.status_code == 404
    assert str(next(iter(query.values()))) in json.dumps(answer.json())


def test_the_pages_answer(study, client):
    cast(study, "AB")
    refit_board(study)
    assert "csrftoken" in client.get("/").cookies
    for page in ("/", "/boards/open/", "/boards/open/?edition=1", "/listen/open/", "/healthz", "/readyz"):
        assert client.get(page).status_code == 200, page
    assert client.get("/boards/open/?edition=7").status_code == 404
    assert client.get("/boards/nosuch/").status_code == 404


@pytest.mark.parametrize("number", ["abc", "-1", "1.5", "9" * 30])
@pytest.mark.parametrize(
    "address",
    [
        "/boards/open/?edition={}",
        "/boards/open/plots/wins.csv?category=tag:x&edition={}",
        "/boards/open/exclusions/?before={}",
        "/boards/open/editions/?before={}",
        "/boards/open/compare/?from={}&to=2",
    ],
)
def test_what_is_no_number_in_the_address_of_a_page_is_a_404(client, study, address, number):
    assert client.get(address.format(number)).status_code == 404


def test_the_oldest_uncounted_vote_decides_for_a_large_board(study, monkeypatch):
    """The rule is asked with figures from the ledger: here it only looks at the ages."""
    cast(study, "AB")
    edition = refit_board(study, now=timezone.now() - timedelta(minutes=10))
    cast(study, "A", rater=Rater.objects.first())
    asked = {}
    monkeypatch.setattr(refit, "is_worth_an_edition", lambda **figures: asked.update(figures) or True)
    board_is_due(study, now=timezone.now() + timedelta(seconds=40))
    assert (asked["n_counted"], asked["n_new_entries"], asked["n_votes"]) == (2, 1, 3)
    assert 40 <= asked["oldest_wait_s"] < 45
    assert asked["since_last_s"] >= 640
    assert edition.number == 1


# ---- anchors ----


def test_anchors_are_fitted_to_scored_clips_and_again_when_more_are_scored(study):
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    cast(study, "ABAB")
    refit_board(study)
    assert anchors_are_due(study, model)
    first = refit_anchors(study, model)
    assert (first.n_pairs, first.n_unscored) == (0, 4)
    assert not anchors_are_due(study, model)
    store_rewards(model, {clip.pk: clip.pk / 10 for clip in Clip.objects.all()})
    assert anchors_are_due(study, model)
    second = refit_anchors(study, model)
    assert (second.n_pairs, second.n_unscored) == (4, 0)
    assert sum(second.biases.values_list("bias", flat=True)) == pytest.approx(0)
    assert not anchors_are_due(study, model)


def test_a_fit_from_before_fits_had_intervals_is_made_again(study):
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    cast(study, "AB")
    edition = refit_board(study)
    store_rewards(model, {clip.pk: clip.pk / 10 for clip in Clip.objects.all()})
    of_then = {"l2": 1.0, "excluded_flags": edition.config["excluded_flags"], "n_rewards": model.rewards.count()}
    AnchorFit.objects.create(
        study=study, reward_model=model, ledger_seq=2, config=of_then, n_pairs=2, n_unscored=0,
        created_at=timezone.now(),
    )  # fmt: skip
    assert anchors_are_due(study, model)
    refit_anchors(study, model)
    assert not anchors_are_due(study, model)


def test_rewards_that_come_while_the_anchors_are_fitted_are_not_missed(study, monkeypatch):
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    cast(study, "AB")
    refit_board(study)
    read = rewards.clip_rewards

    def and_then_more_come(*arguments):
        found = read(*arguments)
        store_rewards(model, {clip.pk: 1.0 for clip in Clip.objects.all()})
        return found

    monkeypatch.setattr(rewards, "clip_rewards", and_then_more_come)
    refit_anchors(study, model)
    assert anchors_are_due(study, model)

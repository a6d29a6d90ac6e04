"""Every edition can be asked: how sure, and what moved it."""

import json

import pytest
from django.core.management import CommandError, call_command

from annotations import ledger
from annotations.models import Flag, Vote
from annotations.services import flag, withdraw_rater
from arena.models import Clip, System
from scoring import tasks
from scoring.anchors.refit import refit_anchors
from scoring.boards import changelog, explanations, robustness_cards
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import EditionChange, RewardModel, RobustnessCard
from scoring.stats import board_method, edition_difference
from tests.casts.votes import cast


def fill_with_rewards(study):
    """A live model with an opinion of every clip."""
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    store_rewards(model, {clip.pk: clip.pk % 5 / 10 for clip in Clip.objects.all()})
    return model


def explain_all():
    for edition in explanations.unexplained():
        explanations.explain(edition)


def rows(difference):
    return {row["system"]: row for row in difference["systems"]}


def assert_parts_add_up(difference):
    for row in difference["systems"]:
        for figure in ("rating", "rank"):
            assert sum(part[figure] for part in row["parts"].values()) == pytest.approx(row["move"][figure], abs=1e-9)


@pytest.fixture
def history(study):
    """Four editions: of votes, more votes, a withdrawal with new votes beside it, and another treatment."""
    leaver = cast(study, ["A", "B", "TIE", "A"])
    cast(study, ["A", "B", "TIE", "A", "B", "A"])
    refit_board(study)
    cast(study, ["B", "TIE", "A"])
    refit_board(study)
    withdraw_rater(leaver)
    cast(study, ["A", "A", "TIE"])
    refit_board(study)
    refit_board(study, treatment="davidson")
    explain_all()
    return study


# ---- what moved an edition ----


def test_new_votes_alone_are_the_whole_move(history):
    told = changelog.difference(history, 1, 2)
    assert told["facts"] == {"new_votes": 3, "withdrawn": 0, "flagged": 0, "readmitted": 0}
    assert_parts_add_up(told)
    for row in told["systems"]:
        assert row["parts"]["new_votes"] == row["move"]
        assert row["parts"]["exclusions"] == row["parts"]["method"] == {"rating": 0.0, "rank": 0}


def test_a_withdrawal_beside_new_votes_is_told_apart_from_them(history):
    told = changelog.difference(history, 2, 3)
    assert told["facts"] == {"new_votes": 3, "withdrawn": 4, "flagged": 0, "readmitted": 0}
    assert_parts_add_up(told)
    assert any(row["parts"]["exclusions"]["rating"] for row in told["systems"])
    assert any(row["parts"]["new_votes"]["rating"] for row in told["systems"])
    assert not any(row["parts"]["method"]["rating"] for row in told["systems"])


def test_the_part_of_new_votes_is_what_a_board_with_them_and_without_the_withdrawal_says(study):
    """Counterfactual held against fact: the same votes, and nobody withdraws."""
    leaver = cast(study, ["A", "B", "TIE", "A"])
    cast(study, ["A", "B", "A", "B"])
    first = refit_board(study)
    cast(study, ["B", "B", "A"])
    nobody_left = refit_board(study)
    withdraw_rater(leaver)
    ledger.extend()
    then = refit_board(study)
    stages, _ = explanations._stages(first, then, True)
    assert edition_difference.placements(stages[1]) == edition_difference.placements(nobody_left.result)


def test_another_treatment_is_the_method(history):
    told = changelog.difference(history, 3, 4)
    assert told["facts"]["new_votes"] == 0
    assert set(told["settings"]) == {"treatment", "tie"}
    assert_parts_add_up(told)
    assert all(row["parts"]["method"] == row["move"] for row in told["systems"])


def test_between_distant_editions_the_parts_are_those_of_every_step_between(history):
    whole = rows(changelog.difference(history, 1, 4))
    assert_parts_add_up(changelog.difference(history, 1, 4))
    first, second = rows(changelog.difference(history, 1, 2)), rows(changelog.difference(history, 2, 4))
    for name, row in whole.items():
        for part in edition_difference.PARTS:
            both = first[name]["parts"][part]["rating"] + second[name]["parts"][part]["rating"]
            assert row["parts"][part]["rating"] == pytest.approx(both, abs=1e-9)


def board_of(**ratings):
    """A result with these ratings, in one group."""
    order = sorted(ratings, key=lambda name: -ratings[name])
    return {"groups": [[{"system": name, "rating": ratings[name]} for name in order]]}


def test_a_system_has_parts_where_it_was_on_every_board_between():
    first, second, third = board_of(x=1.0, y=-1.0), board_of(x=2.0, z=0.0, y=-2.0), board_of(x=1.5, z=-1.5)
    steps = [
        edition_difference.split([first, second, second, second]),
        edition_difference.split([second, second, third, third]),
    ]
    whole = edition_difference.chain(steps)
    assert whole["x"]["parts"]["new_votes"] == {"rating": 1.0, "rank": 0}
    assert whole["x"]["parts"]["exclusions"] == {"rating": -0.5, "rank": 0}
    assert (whole["y"]["to"], whole["y"]["parts"]) == (None, None)
    assert (whole["z"]["from"], whole["z"]["parts"]) == (None, None)
    assert edition_difference.split([first, None, None, second])["x"]["parts"] is None


def test_a_stage_that_has_no_fit_leaves_the_parts_unknown_and_the_move_known(study):
    """The only tie is withdrawn, so Davidson's model has no board of what is left: the next edition goes back."""
    tied = cast(study, ["TIE"])
    cast(study, ["A", "B", "A", "B"])
    refit_board(study, treatment="davidson")
    withdraw_rater(tied)
    ledger.extend()
    assert refit_board(study).config["treatment"] == "half_tie"
    explain_all()
    told = changelog.difference(study, 1, 2)
    assert told["complete"] and told["facts"]["withdrawn"] == 1
    assert all(row["move"] and row["parts"] is None for row in told["systems"] if row["from"] and row["to"])


def test_flags_that_exclude_and_votes_that_are_cleared_are_counted(study):
    study.exclude_flagged = True
    study.save()
    cast(study, ["A", "B", "A", "B", "A"])
    refit_board(study)
    vote = Vote.objects.first()
    flag(vote, "risk", 1)
    ledger.extend()
    refit_board(study)
    flag(vote, Flag.CLEARED, 1)
    ledger.extend()
    refit_board(study)
    explain_all()
    assert changelog.difference(study, 1, 2)["facts"]["flagged"] == 1
    assert changelog.difference(study, 2, 3)["facts"]["readmitted"] == 1
    told = changelog.difference(study, 1, 3)
    assert all(row["move"]["rating"] == 0 for row in told["systems"])
    assert any(row["parts"] and row["parts"]["exclusions"]["rating"] == 0 for row in told["systems"])


def test_counting_flagged_votes_again_is_a_setting_not_an_exclusion(study):
    cast(study, ["A", "B", "A", "B", "A"])
    for vote in Vote.objects.all()[:2]:
        flag(vote, "risk", 1)
    ledger.extend()
    study.exclude_flagged = True
    study.save()
    refit_board(study)
    study.exclude_flagged = False
    study.save()
    refit_board(study)
    explain_all()
    told = changelog.difference(study, 1, 2)
    assert set(told["settings"]) == {"excluded_flags"}
    assert told["facts"] == {"new_votes": 0, "withdrawn": 0, "flagged": 0, "readmitted": 0}
    assert any(row["move"] and row["parts"]["method"] == row["move"] for row in told["systems"])


def test_a_change_never_changes_and_rebuilds_to_the_same_json(history):
    assert EditionChange.objects.count() == 3
    for change in EditionChange.objects.all():
        assert explanations.rebuild_change(change) == board_method.canonical_json(change.result)
    with pytest.raises(Exception, match="append-only"):
        change.save()


def test_two_workers_at_once_explain_an_edition_once(study):
    cast(study, "AB")
    refit_board(study)
    cast(study, "AB")
    edition = refit_board(study)
    assert explanations.explain(edition)
    assert explanations.explain(edition) is None
    assert not explanations.unexplained().exists()


def test_a_retired_system_stays_on_every_edition_and_in_their_difference(history):
    system = history.systems.get(name="birch")
    before = changelog.difference(history, 1, 4)
    history.systems.remove(system)
    System.objects.filter(pk=system.pk).update(retired_at="2026-01-01T00:00Z")
    for edition in history.editions.all():
        assert rebuild_edition(edition) == board_method.canonical_json(edition.result)
    assert changelog.difference(history, 1, 4) == before
    latest = refit_board(history)
    assert "birch" in {row["system"] for group in latest.result["groups"] for row in group}


# ---- cards ----


def test_a_card_is_written_once_for_the_last_edition_and_rebuilds_to_the_same_json(history):
    assert robustness_cards.card_is_due(history)
    tasks.write_cards()
    card = RobustnessCard.objects.get()
    assert card.edition.number == 4
    assert not robustness_cards.card_is_due(history)
    assert robustness_cards.write_card(history, only_if_due=True) is None
    assert robustness_cards.rebuild_card(card) == board_method.canonical_json(card.result)
    with pytest.raises(Exception, match="append-only"):
        card.save()


def test_new_anchors_make_another_card_but_not_at_once(history, time_passes):
    robustness_cards.write_card(history)
    model = fill_with_rewards(history)
    refit_anchors(history, model)
    assert not robustness_cards.card_is_due(history)
    time_passes(11 * 60)
    card = robustness_cards.write_card(history, only_if_due=True)
    assert card.result["reward_model"]["n"] > 0
    assert robustness_cards.rebuild_card(card) == board_method.canonical_json(card.result)


def test_rewards_that_come_later_do_not_change_what_a_card_rebuilds_to(history):
    model = fill_with_rewards(history)
    refit_anchors(history, model)
    card = robustness_cards.write_card(history)
    cast(history, "ABAB")
    withdraw_rater(cast(history, "A"))
    refit_board(history)
    refit_anchors(history, model)
    assert robustness_cards.rebuild_card(card) == board_method.canonical_json(card.result)


@pytest.mark.parametrize("leaves_out", [True, False])
def test_flagged_votes_are_on_the_card_whether_the_board_counts_them_or_not(study, leaves_out):
    study.exclude_flagged = leaves_out
    study.save()
    cast(study, ["A", "B", "A", "B", "A"])
    for vote in Vote.objects.all()[:2]:
        flag(vote, "risk", 1)
    ledger.extend()
    refit_board(study)
    flagged = robustness_cards.write_card(study).result["flagged"]
    assert (flagged["flagged"], flagged["edition_counts_them"]) == (2, not leaves_out)
    assert flagged["votes"] == {"with": 5, "without": 3}


# ---- what readers see ----


def test_the_history_is_there_as_a_page_and_as_json(history, client):
    page = " ".join(client.get("/boards/open/editions/").content.decode().split())
    assert "Edition 4" in page and "The first edition." in page
    assert "3 new votes, 4 withdrawn" in page
    assert "treatment of ties" in page
    told = client.get("/api/editions/").json()
    assert [one["number"] for one in told["editions"]] == [4, 3, 2, 1]
    assert told["editions"][3]["changes"] is None
    assert told["editions"][0]["changes"]["leader"][1]
    assert client.get("/api/editions/", {"before": 3}).json()["editions"][0]["number"] == 2


def test_the_difference_is_there_as_a_page_and_as_json(history, client):
    page = client.get("/boards/open/compare/?from=1&to=4").content.decode()
    assert "From edition 1 to 4" in page and "Exclusions" in page
    assert "From edition 3 to 4" in client.get("/boards/open/compare/").content.decode()
    told = client.get("/api/editions/compare/?from=2&to=3").json()
    assert told == json.loads(json.dumps(changelog.difference(history, 2, 3)))


@pytest.mark.parametrize("asked", ["from=4&to=1", "from=2&to=2", "from=1&to=99", "from=x&to=2", "from=0&to=1"])
def test_a_difference_that_cannot_be_is_not_found(history, client, asked):
    assert client.get(f"/boards/open/compare/?{asked}").status_code == 404
    assert client.get(f"/api/editions/compare/?{asked}").status_code in (400, 404)


def test_of_one_edition_there_is_nothing_to_compare_yet_and_the_page_says_so(study, client):
    cast(study, "AB")
    refit_board(study)
    asked = client.get("/boards/open/compare/")
    assert asked.status_code == 200 and "has one edition so far" in asked.content.decode()


def test_what_is_left_out_is_linked_from_the_board_and_from_its_history(study, client):
    for path in ("/boards/open/", "/boards/open/editions/"):
        assert 'href="/boards/open/exclusions/"' in client.get(path).content.decode(), path


def test_before_the_sweep_has_been_there_the_move_is_known_and_its_parts_are_not(study, client):
    cast(study, "ABTT".replace("T", "A"))
    refit_board(study)
    cast(study, "BB")
    refit_board(study)
    told = client.get("/api/editions/compare/?from=1&to=2").json()
    assert told["complete"] is False and told["facts"] is None
    assert all(row["move"] and row["parts"] is None for row in told["systems"] if row["from"])
    assert "has not yet been computed" in client.get("/boards/open/compare/").content.decode()
    assert "has not been computed yet" in client.get("/boards/open/editions/").content.decode()


def test_the_board_shows_its_card_and_nothing_is_computed_in_the_web_process(history, client, monkeypatch):
    assert "Not computed yet for this edition." in client.get("/boards/open/").content.decode()
    fill_with_rewards(history)
    robustness_cards.write_card(history)
    monkeypatch.setattr(robustness_cards, "compute", None)
    page = client.get("/boards/open/").content.decode()
    assert "How sure is the order?" in page and "would lead instead of" in page
    assert "Most active listeners" in page and "Slot B won" in page
    told = client.get("/api/robustness/").json()
    assert (told["edition"], told["method_version"]) == (4, 1)
    assert told["card"]["ranks"]["draws"] == 10_000
    earlier = client.get("/api/robustness/?edition=1").json()
    assert (earlier["card"], earlier["pending"]) == (None, False)
    assert "a newer one came first" in client.get("/boards/open/?edition=1").content.decode()


def test_an_older_edition_keeps_its_card_and_one_that_never_had_any_gets_it_by_command(history, client, admin_client):
    robustness_cards.write_card(history)
    cast(history, "A")
    refit_board(history)
    assert "would lead instead of" in client.get("/boards/open/?edition=4").content.decode()
    assert "Not computed yet" in client.get("/boards/open/").content.decode()
    listed = client.get("/boards/open/editions/").content.decode()
    assert "?edition=4#robust" in listed and "?edition=2#robust" not in listed

    command = "manage.py robustness_card open --edition 2"
    assert command in admin_client.get("/boards/open/?edition=2").content.decode()
    assert command not in client.get("/boards/open/?edition=2").content.decode()
    call_command("robustness_card", "open", "--edition", "2")
    card = RobustnessCard.objects.get(edition__number=2)
    assert robustness_cards.rebuild_card(card) == board_method.canonical_json(card.result)
    assert "How sure is the order?" in (page := client.get("/boards/open/?edition=2").content.decode())
    assert "Not computed" not in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere"], "no study called 'nowhere'"),
        (["open"], "open has no edition yet"),
        (["open", "--edition", "9"], "open has no edition 9"),
    ],
)
def test_a_card_of_no_edition_is_refused_with_a_sentence(study, arguments, sentence):
    with pytest.raises(CommandError, match=sentence):
        call_command("robustness_card", *arguments)


def test_a_study_without_votes_has_an_empty_history_and_no_card(study, client):
    assert "No edition yet" in client.get("/boards/open/editions/").content.decode()
    assert client.get("/api/robustness/").json()["card"] is None
    assert "has no edition yet" in client.get("/boards/open/compare/").content.decode()
    assert not robustness_cards.card_is_due(study)
    assert "How sure is the order?" not in client.get("/boards/open/").content.decode()


# ---- boards without votes ----


def test_what_moved_a_board_that_had_no_votes_before_is_told_without_parts(study):
    """All its votes had been taken back: nobody was placed, so nobody has moved from anywhere."""
    leaver = cast(study, "AB")
    withdraw_rater(leaver)
    ledger.extend()
    refit_board(study)
    cast(study, ["A", "B", "TIE"])
    refit_board(study)
    explain_all()
    change = EditionChange.objects.get()
    assert change.result["facts"]["new_votes"] == 3
    assert {row["from"] for row in change.result["systems"].values()} == {None}
    assert {row["parts"] for row in change.result["systems"].values()} == {None}
    assert changelog.difference(study, 1, 2)["systems"]

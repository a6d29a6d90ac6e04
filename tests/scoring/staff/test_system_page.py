"""What staff sees of a system: the numbers, and what listeners said."""

import csv
import io
import json
import re

import pytest
from django.contrib.auth.models import User

from annotations import ledger
from annotations.models import Flag
from annotations.services import flag, withdraw_rater
from arena.models import Prompt, Rater, System
from arena.refusals import NotFound
from arena.services import give_consent
from scoring.staff import system_report
from scoring.stats.board_method import GROUNDED
from scoring.templatetags.staff import rating_history_plot, reward_plot
from scoring.wording.numbers import DASH
from tests.casts.clips import make_clip
from tests.casts.staff import clip_of, edition, live_model, logged_in, vote


def report_of(study, name="alder", with_comments=True):
    return system_report.report(study, System.objects.get(name=name), with_comments)


# ---- a system: the numbers ------------------------------------------------------------------------------


def test_wins_losses_and_ties_are_by_opponent_from_the_systems_own_side_whatever_its_slot(study):
    vote(study, "alder", "birch", "AAABTN")
    vote(study, "birch", "alder", "AB")
    vote(study, "cedar", "alder", "AA")
    vote(study, "cedar", "birch", "A")
    edition(study)
    rows = {row["opponent"]: row for row in report_of(study)["opponents"]}
    birch = rows["birch"]
    assert [birch[name] for name in ("n", "wins", "losses", "ties", "both_bad")] == [7, 4, 2, 1, 0]
    assert birch["share"] == pytest.approx(4.5 / 7, abs=1e-6)
    assert birch["low"] < birch["share"] < birch["high"]
    assert [rows["cedar"][name] for name in ("n", "wins", "losses")] == [2, 0, 2]
    assert [row["opponent"] for row in report_of(study)["opponents"]] == ["cedar", "birch"]
    assert report_of(study)["total"]["n"] == 9


def test_the_page_agrees_with_the_board_and_reads_no_vote_after_the_edition(study):
    vote(study, "alder", "birch", "AAB")
    found = edition(study)
    vote(study, "alder", "birch", "BBBB")
    ledger.catch_up()
    report = report_of(study)
    (board,) = (row for group in found.result["groups"] for row in group if row["system"] == "alder")
    assert (report["total"]["wins"], report["total"]["losses"]) == (board["wins"], board["losses"]) == (2, 1)
    assert report["rating"]["low"] == board["low"]
    assert report["edition"]["ledger_seq"] == found.ledger_seq


def test_both_bad_is_counted_where_the_board_counts_it(study):
    vote(study, "alder", "birch", "AABBTTNN")
    edition(study, treatment=GROUNDED)
    (row,) = report_of(study)["opponents"]
    assert (row["n"], row["both_bad"]) == (6, 2)
    assert row["expected"] == pytest.approx(0.5, abs=0.02)


def test_the_worst_prompt_is_the_one_with_many_losses_not_the_one_with_a_single_one(study):
    vote(study, "alder", "birch", "B" * 12 + "A" * 4, prompt=0)
    vote(study, "alder", "cedar", "B", prompt=1)
    vote(study, "alder", "birch", "A" * 14, prompt=1)
    study.systems.add(dogwood := System.objects.create(name="dogwood"))
    third = Prompt.objects.create(text="A single vote")
    for system in (dogwood, System.objects.get(name="alder")):
        make_clip(system, third)
    vote(study, "alder", "dogwood", "B", prompt=2)
    edition(study)
    worst, *_ = rows = report_of(study)["prompts"]
    assert worst["prompt"] == "A calm piano ballad"
    single = next(row for row in rows if row["prompt"] == "A single vote")
    assert single["share"] == 0
    assert worst["excess"] < single["excess"] < 0
    assert worst["excess"] == pytest.approx((4 - 16 * worst["expected"]) / 26, abs=1e-5)


def test_its_history_has_every_edition_and_at_most_two_hundred_rows(study, monkeypatch):
    for answers in ("AB", "A", "B"):
        vote(study, "alder", "birch", answers)
        edition(study)
    assert [(row["edition"], row["n"]) for row in report_of(study)["history"]] == [(1, 2), (2, 3), (3, 4)]
    monkeypatch.setattr(system_report, "MOST_EDITIONS", 2)
    assert [row["edition"] for row in report_of(study)["history"]] == [1, 3]


def test_neighbours_say_how_many_votes_would_tell_them_apart(study):
    vote(study, "alder", "birch", "AAAAAB")
    vote(study, "birch", "cedar", "AAAAAABBB")
    found = edition(study)
    first, *_ = found.result["groups"][0]
    assert first["system"] == "alder"
    (below,) = report_of(study)["neighbours"]
    assert (below["system"], below["place"], below["n"]) == ("birch", "below", 6)
    assert below["low"] < 0 < below["difference"] < below["high"]
    assert below["still_needed"] > 0
    assert [row["place"] for row in report_of(study, "birch")["neighbours"]] == ["above", "below"]


def test_rewards_and_bias_come_with_counts_and_intervals(study):
    clips = {clip_of("alder", 0): 1.0, clip_of("alder", 1): 2.0, clip_of("birch", 0): 9.0}
    live_model(study, clips, {"alder": (0.5, 0.1, 0.18, 0.82), "birch": (0.1, 0.1)})
    report = report_of(study)
    assert report["rewards"] == {
        "mean": 1.5, "n": 2, "deviation": pytest.approx(0.707107), "stderr": pytest.approx(0.5)
    }  # fmt: skip
    assert sum(row["n"] for row in report["reward_bins"]) == 2
    assert report["bias"]["n_pairs"] == 9
    assert (report["bias"]["low"], report["bias"]["high"]) == (0.18, 0.82)  # as it was stored, by Student's t
    assert report_of(study, "birch")["bias"]["low"] is None  # of a fit before intervals were kept
    rewards = {row["clip"]: row["reward"] for row in report["clips"]}
    assert rewards == {clip_of("alder", 0).pk: 1.0, clip_of("alder", 1).pk: 2.0}


def test_before_any_vote_and_any_model_there_is_nothing_and_no_zero(study, staff):
    report = report_of(study)
    assert (report["edition"], report["rating"], report["rewards"], report["bias"]) == (None,) * 4
    assert report["opponents"] == report["history"] == report["reward_bins"] == []
    assert [row["share"] for row in report["clips"]] == [None, None]
    page = staff.get("/boards/open/systems/alder/").content.decode()
    assert "has no edition yet" in page and len(re.findall(rf"<dd>\s*{DASH}", page)) == 4


def test_every_table_has_the_columns_it_declares(study):
    rater = Rater.objects.create(kind="imported")
    vote(study, "alder", "birch", "AB", rater=rater, tags=["melody"], comment="Nice")
    live_model(study, {clip_of("alder"): 1.0}, {"alder": (0.5, 0.1)})
    edition(study)
    report = report_of(study)
    for table, columns in system_report.TABLES.items():
        assert report[table], table
        assert all(set(row) == set(columns) for row in report[table]), table


def test_a_system_of_another_study_has_no_page_here_and_a_retired_one_keeps_it(study, staff):
    System.objects.create(name="stranger")
    assert staff.get("/boards/open/systems/stranger/").status_code == 404
    with pytest.raises(NotFound):
        system_report.find_system(study, "stranger")
    vote(study, "alder", "birch", "A")
    edition(study)
    study.systems.remove(System.objects.get(name="alder"))
    assert staff.get("/boards/open/systems/alder/").status_code == 200


# ---- what listeners said --------------------------------------------------------------------------------


def test_comments_and_reasons_are_those_of_standing_votes_and_name_nobody(study):
    stays, leaves, flagged = (give_consent(None, study, 1) for _ in range(3))
    vote(study, "alder", "birch", "AB", rater=stays, tags=["melody", "voice"], comment="Warm <b>bass</b>")
    vote(study, "birch", "alder", "N", rater=leaves, tags=["noise"], comment="My name is Bea")
    (bad,) = vote(study, "birch", "alder", "A", rater=flagged, tags=["spam"], comment="buy this")
    flag(bad, "too_fast", 1)
    edition(study)
    withdraw_rater(leaves)
    report = report_of(study)
    assert [(row["comment"], row["outcome"], row["slot"]) for row in report["comments"]] == [
        ("Warm <b>bass</b>", "lost", "A"), ("Warm <b>bass</b>", "won", "A")
    ]  # fmt: skip
    assert [(row["tag"], row["said"], row["wins"], row["losses"]) for row in report["tags"]] == [
        ("melody", 2, 1, 1), ("voice", 2, 1, 1)
    ]  # fmt: skip
    text = json.dumps(report)
    for secret in (str(stays.pk), "rare browser", "My name is Bea"):
        assert secret not in text


def test_a_vote_that_a_person_cleared_speaks_again(study):
    (one,) = vote(study, "alder", "birch", "A", comment="Careful listening")
    flag(one, "too_fast", 1)
    flag(one, Flag.CLEARED, 1)
    edition(study)
    assert len(report_of(study)["comments"]) == 1


def test_free_text_is_escaped_on_the_page_and_harmless_in_a_spreadsheet(study, staff):
    vote(study, "alder", "birch", "A", comment="=HYPERLINK(<script>alert(1)</script>)")
    edition(study)
    page = staff.get("/boards/open/systems/alder/").content.decode()
    assert "<script>alert" not in page and "&lt;script&gt;alert" in page
    table = staff.get("/boards/open/systems/alder/data.csv", {"table": "comments"}).content.decode()
    (row,) = csv.DictReader(io.StringIO(table))
    assert row["comment"].startswith("'=")


def test_comments_are_for_who_may_read_vote_details(study):
    vote(study, "alder", "birch", "A", comment="Lovely")
    edition(study)
    plain = logged_in("view_clip")
    assert b"Lovely" not in plain.get("/boards/open/systems/alder/").content
    assert plain.get("/boards/open/systems/alder/data.json").json()["comments"] is None
    assert plain.get("/boards/open/systems/alder/data.csv?table=comments").status_code == 403
    User.objects.all().delete()
    reader = logged_in("view_votedetails")
    assert b"Lovely" in reader.get("/boards/open/systems/alder/").content


# ---- plots ----------------------------------------------------------------------------------------------


def test_bars_reach_over_the_whole_width_and_are_as_high_as_they_count():
    bins = [{"low": 0.0, "high": 1.0, "n": 2}, {"low": 1.0, "high": 2.0, "n": 4}]
    plot = reward_plot(bins, {"mean": 1.5, "n": 6})
    one, other = plot["bars"]
    assert float(other["height"]) == 2 * float(one["height"])
    assert plot["mean_x"] == "75.00%"
    assert reward_plot([{"low": 1.0, "high": 1.0, "n": 3}], {"mean": 1.0, "n": 3})["mean_x"] == "50.00%"
    assert reward_plot([], None) == {"bins": []}


def test_a_history_is_a_line_in_a_band_that_encloses_it():
    rows = [{"edition": n, "rating": n, "low": n - 1, "high": n + 1} for n in (1, 2, 3)]
    plot = rating_history_plot(rows)
    assert plot["line"].count("L") == 2 and plot["band"].count("L") == 5
    assert "line" not in rating_history_plot(rows[:1])

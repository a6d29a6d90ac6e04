"""What staff sees of a system and of disagreements: the numbers, who may see them, and what the buttons do."""

import csv
import io
import json
import re
from datetime import UTC, datetime

import numpy as np
import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.test import Client

from annotations import ledger
from annotations.models import Flag, Vote, VoteDetails
from annotations.services import flag, withdraw_rater
from arena.models import Again, Battle, Clip, Excerpt, Prompt, Rater, System
from arena.refusals import NotFound, Refusal
from arena.services import ask_again, give_consent, serve_battle
from scoring import inputs, review, services, system_page
from scoring.boards import GROUNDED
from scoring.models import AnchorBias, AnchorFit, Embedding, RewardModel, TrainingMark
from scoring.staff_views import QUEUE_COLUMNS
from scoring.templatetags.boards import DASH
from scoring.templatetags.staff import rating_history_plot, reward_plot
from scoring.training import _now

from .conftest import Listener, make_clip

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HERE = "/boards/open/systems/alder/"
PAGES = (HERE, f"{HERE}data.json", f"{HERE}data.csv?table=clips", "/review/", "/review/data.json", "/review/data.csv")


def clip_of(system, prompt=0):
    return Clip.objects.filter(system__name=system, prompt=Prompt.objects.order_by("pk")[prompt]).first()


def vote(study, a, b, answers, prompt=0, rater=None, **said):
    """A vote per letter of `answers` on the clips of two systems: A, B, T(IE) or N(either)."""
    one, other = clip_of(a, prompt), clip_of(b, prompt)
    votes = []
    for letter in answers:
        battle = Battle.objects.create(
            study=study, kind="imported", rater=rater, prompt=one.prompt, system_a=one.system, system_b=other.system,
            clip_a=one, clip_b=other, served_at=NOW, closed_at=NOW, close_reason="voted",
        )  # fmt: skip
        preference = {"T": "TIE", "N": "BOTH_BAD"}.get(letter, letter)
        tags = said.get("tags", [])
        votes.append(Vote.objects.create(battle=battle, rater=rater, preference=preference, tags=tags, received_at=NOW))
        if "comment" in said:
            VoteDetails.objects.create(vote=votes[-1], comment=said["comment"], user_agent="a very rare browser")
    return votes


def edition(study, **chosen):
    ledger.catch_up()
    return services.refit_board(study, **chosen)


def live_model(study, rewards, biases=None, ledger_seq=0):
    """A live model that gives {clip: reward}, with {system name: (bias, stderr)} or (bias, stderr, low, high)."""
    model = RewardModel.objects.create(
        name="ear", status="live", encoders=[], weights="weights/none", sha256="0", ledger_seq=ledger_seq
    )
    services.store_rewards(model, {clip.pk: value for clip, value in rewards.items()})
    if biases is not None:
        fit = AnchorFit.objects.create(
            study=study, reward_model=model, ledger_seq=1, config={}, n_pairs=9, n_unscored=0, created_at=NOW
        )
        for name, figures in biases.items():
            columns = dict(zip(("bias", "stderr", "low", "high"), figures, strict=False))
            AnchorBias.objects.create(fit=fit, system=System.objects.get(name=name), n_pairs=9, **columns)
    return model


def report_of(study, name="alder", with_comments=True):
    return system_page.report(study, System.objects.get(name=name), with_comments)


def logged_in(*permissions, staff=True, superuser=False):
    user = User.objects.create(username="ada", is_staff=staff, is_superuser=superuser)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(db):
    return logged_in(superuser=True)


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
    monkeypatch.setattr(system_page, "MOST_EDITIONS", 2)
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
    assert "has no edition yet" in page and page.count(f"<dd>{DASH}") == 4


def test_every_table_has_the_columns_it_declares(study):
    rater = Rater.objects.create(kind="imported")
    vote(study, "alder", "birch", "AB", rater=rater, tags=["melody"], comment="Nice")
    live_model(study, {clip_of("alder"): 1.0}, {"alder": (0.5, 0.1)})
    edition(study)
    report = report_of(study)
    for table, columns in system_page.TABLES.items():
        assert report[table], table
        assert all(set(row) == set(columns) for row in report[table]), table


def test_a_system_of_another_study_has_no_page_here_and_a_retired_one_keeps_it(study, staff):
    System.objects.create(name="stranger")
    assert staff.get("/boards/open/systems/stranger/").status_code == 404
    with pytest.raises(NotFound):
        system_page.find_system(study, "stranger")
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


# ---- who may see it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES)
def test_everybody_else_is_sent_to_log_in(page, study, listener):
    edition(study)
    for client in (Client(), listener.client, logged_in(staff=False)):
        answer = client.get(page)
        assert answer.status_code == 302 and answer["Location"].startswith("/admin/login/")
        assert b"alder" not in answer.content


@pytest.mark.parametrize("page", PAGES)
def test_staff_sees_it_and_no_cache_keeps_it(page, study, staff):
    vote(study, "alder", "birch", "AB")
    edition(study)
    answer = staff.get(page)
    assert answer.status_code == 200
    assert answer["Cache-Control"] == "private, no-store"


def test_the_board_leads_staff_there_and_shows_nobody_else(study, staff, listener):
    vote(study, "alder", "birch", "AB")
    edition(study)
    for client, seen in ((staff, True), (listener.client, False), (Client(), False)):
        assert ("/boards/open/systems/alder/" in client.get("/boards/open/").content.decode()) is seen


def test_the_admin_leads_there(study, staff):
    assert "/boards/open/systems/alder/" in staff.get("/admin/arena/system/").content.decode()
    assert "/review/?study=open" in staff.get("/admin/arena/study/").content.decode()


def test_the_queues_actions_need_their_permissions(study):
    client = logged_in("view_clip")
    form = {"study": "open", "clip": clip_of("alder").pk, "other": clip_of("birch").pk, "wanted": 3, "weight": 3}
    assert client.post("/review/again/", form).status_code == 403
    assert client.post("/review/mark/", form).status_code == 403
    assert client.get("/review/again/").status_code == 405
    assert Client().post("/review/again/", form).status_code == 302
    assert not Again.objects.exists() and not TrainingMark.objects.exists()


# ---- clips ----------------------------------------------------------------------------------------------


@pytest.fixture
def audio(study):
    """The address of a clip whose excerpt is there: 100 bytes."""
    piece = clip_of("alder").excerpts.get()
    name = default_storage.save(f"excerpts/{piece.clip_id}.mp3", ContentFile(bytes(range(100))))
    Excerpt.objects.filter(pk=piece.pk).update(size=100, file=name)
    return f"/audio/clips/{piece.clip_id}"


def test_staff_hears_a_clip_whole_or_in_part(audio, staff):
    whole = staff.get(audio)
    assert (whole.status_code, whole.content, whole["Accept-Ranges"]) == (200, bytes(range(100)), "bytes")
    assert whole["Cache-Control"] == "private, no-store" and whole["Content-Type"] == "audio/mpeg"
    part = staff.get(audio, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part["Content-Range"] == "bytes 10-19/100"
    last = staff.get(audio, headers={"Range": "bytes=-5"})
    assert last.content == bytes(range(95, 100))
    assert staff.get(audio, headers={"Range": "bytes=200-"}).status_code == 416


def test_to_all_others_the_clip_is_not_there(audio, listener):
    for client in (Client(), listener.client, logged_in("view_clip", staff=False)):
        assert client.get(audio).status_code == 404
    User.objects.all().delete()
    assert logged_in().get(audio).status_code == 404  # staff that may not see clips
    User.objects.all().delete()
    assert logged_in("view_clip").get(audio).status_code == 200


def test_a_clip_without_a_playable_excerpt_is_not_there(audio, staff):
    Excerpt.objects.update(status="pending")
    assert staff.get(audio).status_code == 404
    assert staff.get("/audio/clips/987654321").status_code == 404


# ---- disagreements --------------------------------------------------------------------------------------


def queue(study, **chosen):
    return review.queue([study], **chosen)


def logit(p):
    return float(np.log(p / (1 - p)))


def test_the_queue_begins_with_the_winner_whom_the_model_believed_in_least(study):
    """One vote each: birch won at 20 %, cedar at 10 %; where the model was right there is no row."""
    zero, one = clip_of("alder", 0), clip_of("alder", 1)
    live_model(
        study,
        {zero: 0.0, clip_of("birch", 0): logit(0.2), one: 0.0, clip_of("cedar", 1): logit(0.1), clip_of("birch", 1): 3},
    )
    vote(study, "alder", "birch", "B", prompt=0)
    vote(study, "cedar", "alder", "A", prompt=1)
    vote(study, "birch", "alder", "A", prompt=1)
    edition(study)
    rows = queue(study)
    assert [(row["winner"]["system"], row["probability"]) for row in rows] == [
        ("cedar", pytest.approx(0.1)), ("birch", pytest.approx(0.2))
    ]  # fmt: skip
    assert rows[0]["surprise"] == pytest.approx(np.log(9), abs=1e-5)
    assert rows[0]["low"] is None  # without anchors nobody knows how unsure the biases are


def test_votes_on_one_clip_pair_are_pooled_and_agreeing_ones_come_first(study):
    live_model(study, {clip_of("alder", p): 0.0 for p in (0, 1)} | {clip_of("birch", p): logit(0.3) for p in (0, 1)})
    vote(study, "alder", "birch", "BBT", prompt=0)
    vote(study, "birch", "alder", "A", prompt=0)
    vote(study, "alder", "birch", "BA", prompt=1)  # no winner
    edition(study)
    (row,) = queue(study)
    assert (row["winner"]["votes"], row["loser"]["votes"], row["ties"]) == (3, 0, 1)
    assert row["surprise"] == pytest.approx(3 * np.log(7 / 3), abs=1e-5)


def test_probabilities_are_calibrated_by_the_anchors_with_what_these_leave_unsure(study):
    """The rewards favour alder, but its bias explains more than that: birch's win is no surprise; cedar's is."""
    live_model(
        study,
        {clip_of("alder"): 2.0, clip_of("birch"): 0.0, clip_of("cedar"): 0.0},
        {"alder": (3.0, 0.1), "birch": (0.0, 0.1), "cedar": (0.0, 0.2)},
    )
    vote(study, "alder", "birch", "B")
    vote(study, "alder", "cedar", "A")
    edition(study)
    (row,) = queue(study)
    assert (row["winner"]["system"], row["loser"]["system"]) == ("alder", "cedar")
    assert row["probability"] == pytest.approx(1 / (1 + np.e), abs=1e-5)
    assert row["low"] < row["probability"] < row["high"]


def test_flagged_withdrawn_and_check_votes_are_not_in_the_queue(study):
    live_model(study, {clip_of("alder"): 0.0, clip_of("birch"): -2.0})
    rater = give_consent(None, study, 1)
    vote(study, "alder", "birch", "B", rater=rater)
    (bad,) = vote(study, "alder", "birch", "B")
    flag(bad, "too_fast", 1)
    withdraw_rater(rater)
    edition(study)
    assert queue(study) == []


def test_the_queue_is_narrowed_by_study_and_system(study, staff):
    live_model(study, {clip_of("alder"): 0.0, clip_of("birch"): -2.0, clip_of("cedar"): -2.0})
    vote(study, "alder", "birch", "B")
    vote(study, "alder", "cedar", "B")
    edition(study)
    assert {row["winner"]["system"] for row in queue(study)} == {"birch", "cedar"}
    assert [row["winner"]["system"] for row in queue(study, system="cedar")] == ["cedar"]
    page = staff.get("/review/", {"study": "open", "system": "cedar"}).content.decode()
    assert f"/audio/clips/{clip_of('cedar').pk}" in page and f"/audio/clips/{clip_of('birch').pk}" not in page
    assert staff.get("/review/", {"study": "nowhere"}).status_code == 404
    rows = staff.get("/review/data.json", {"study": "open"}).json()["rows"]
    table = list(csv.DictReader(io.StringIO(staff.get("/review/data.csv").content.decode())))
    assert len(rows) == len(table) == 2 and tuple(table[0]) == QUEUE_COLUMNS


def test_without_a_live_model_nobody_disagrees_with_it(study, staff):
    vote(study, "alder", "birch", "B")
    edition(study)
    assert queue(study) == []
    assert "no model is live" in staff.get("/review/").content.decode()


def test_a_row_says_which_votes_the_model_cannot_have_learnt_from(study):
    vote(study, "alder", "birch", "B")
    ledger.catch_up()
    live_model(study, {clip_of("alder"): 0.0, clip_of("birch"): -2.0}, ledger_seq=ledger.head())
    vote(study, "alder", "birch", "BB")
    edition(study)
    assert queue(study)[0]["unseen"] == 2


# ---- served again, and marked ---------------------------------------------------------------------------


def disagree(study):
    live_model(study, {clip_of("alder"): 0.0, clip_of("birch"): -2.0})
    vote(study, "alder", "birch", "B")
    edition(study)
    return {"study": "open", "clip": clip_of("alder").pk, "other": clip_of("birch").pk}


def test_a_pair_is_served_again_from_the_queue_and_the_page_says_how_far_it_is(study, staff):
    form = disagree(study)
    answer = staff.post("/review/again/", {**form, "wanted": 2, "in_study": "open"}, follow=True)
    assert answer.redirect_chain[0][0] == "/review/?study=open"
    assert "They will be served again" in answer.content.decode()
    assert Again.objects.get().by == "ada"
    battle, _ = serve_battle(give_consent(None, study, 1), study)
    assert battle.policy == "again"
    assert "Served again 1 of 2 times, 0 answered, 1 to come" in staff.get("/review/").content.decode()
    refused = staff.post("/review/again/", {**form, "wanted": 2}, follow=True).content.decode()
    assert "being served again already" in refused


@pytest.mark.parametrize("wrong", [{"wanted": "51"}, {"wanted": "many"}, {"study": "nowhere"}, {"other": "0"}])
def test_what_cannot_be_served_again_is_said_and_not_done(wrong, study, staff):
    form = disagree(study)
    answer = staff.post("/review/again/", {**form, "wanted": 2, **wrong}, follow=True)
    assert answer.status_code == 200 and 'class="notice"' in answer.content.decode()
    assert not Again.objects.exists()


def test_votes_on_what_was_served_again_move_the_queue_but_not_the_board_nor_the_anchors(study):
    form = disagree(study)
    ask_again(study, (form["clip"], form["other"]), 5, "ada")
    for _ in range(2):  # these side with the model
        rater = give_consent(None, study, 1)
        battle, _ = serve_battle(rater, study)
        preference = "A" if battle.system_a.name == "alder" else "B"
        Battle.objects.filter(pk=battle.pk).update(closed_at=NOW, close_reason="voted")
        Vote.objects.create(battle=battle, rater=rater, preference=preference, received_at=NOW)
    assert len(queue(study)) == 1
    found = edition(study)
    assert found.n_votes == 1 and found.excluded == {"again": 2}
    assert queue(study) == []
    assert services.refit_anchors(study, RewardModel.live()).n_pairs == 1


def embed_all():
    for number, clip in enumerate(Clip.objects.order_by("pk")):
        vector = np.array([number, 1], dtype="<f4").tobytes()
        Embedding.objects.create(clip=clip, encoder="ears", revision="1", vector=vector)


def training(study, last_mark=None):
    ears = {"key": "ears", "revision": "1", "dimension": 2}
    return inputs.training_set([study], ledger.head(), [ears], last_mark=last_mark)


def test_marked_votes_weigh_more_in_the_next_training_set_and_a_mark_can_be_taken_back(study, staff):
    form = disagree(study)
    vote(study, "birch", "alder", "A")
    vote(study, "alder", "cedar", "A")
    ledger.catch_up()
    embed_all()
    assert training(study).weight.tolist() == [1, 1, 1]
    assert "Marked" in staff.post("/review/mark/", {**form, "weight": 3}, follow=True).content.decode()
    first = TrainingMark.objects.get()
    assert training(study, first.pk).weight.tolist() == [3, 3, 1]
    assert "Weighs 3 times in training" in staff.get("/review/").content.decode()
    staff.post("/review/mark/", {**form, "weight": 1})
    last = TrainingMark.objects.first()
    assert _now([study], None, False)["last_mark"] == last.pk  # what a training honours, and writes down
    assert training(study, last.pk).weight.tolist() == [1, 1, 1]
    assert training(study, first.pk).weight.tolist() == [3, 3, 1]  # as it was, for who trained then
    with pytest.raises(Refusal):
        review.mark(study, (form["clip"], form["other"]), "ada", 0)


def test_a_mark_of_one_study_is_nothing_to_another_and_marks_never_change(study):
    form = disagree(study)
    mark = review.mark(study, (form["clip"], form["other"]), "ada")
    with pytest.raises(Exception, match="append-only"):
        mark.delete()


def test_votes_on_what_was_served_again_are_in_the_training_set(study):
    ask_again(study, (clip_of("alder").pk, clip_of("birch").pk), 5, "ada")
    rater = give_consent(None, study, 1)
    battle, _ = serve_battle(rater, study)
    Battle.objects.filter(pk=battle.pk).update(closed_at=NOW, close_reason="voted")
    Vote.objects.create(battle=battle, rater=rater, preference="A", received_at=NOW)
    ledger.catch_up()
    embed_all()
    data = training(study)
    assert len(data.target) == 1 and data.excluded == {}


# ---- the listener learns nothing ------------------------------------------------------------------------


def test_before_the_vote_a_listener_receives_the_same_of_a_pair_served_again(study):
    """Field by field, headers and their order included, but for what differs between any two battles."""
    ask_again(study, (clip_of("alder").pk, clip_of("birch").pk), 5, "ada")
    answers = {}
    for _ in range(2):
        listener = Listener().agree()
        answer = listener.post("/api/battles/", {})
        policy = Battle.objects.get(pk=answer.json()["id"]).policy
        answers[policy] = answer
        Again.objects.update(left=0)
    again, plain = answers["again"], answers["least-voted"]
    shape = [
        re.sub(r"[0-9a-f-]{36}|\d+", "x", json.dumps(a.json()["clips"]) + a.json()["expires_at"])
        for a in (again, plain)
    ]
    assert shape[0] == shape[1]
    assert list(again.headers) == list(plain.headers)
    assert {k: type(v) for k, v in again.json().items()} == {k: type(v) for k, v in plain.json().items()}
    assert again.json()["progress"] == plain.json()["progress"]
    assert "again" not in again.content.decode()


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

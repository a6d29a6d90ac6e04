"""Where people and the model disagree: the queue, and what its buttons do."""

import csv
import io
import json
import re

import numpy as np
import pytest
from scipy.special import expit

from annotations import ledger
from annotations.models import Vote
from annotations.services import flag, withdraw_rater
from arena.models import Again, Battle, Clip, System
from arena.refusals import Refusal
from arena.services import give_consent
from arena.serving import ask_again, serve_battle
from scoring.anchors.refit import refit_anchors
from scoring.models import Embedding, RewardModel, TrainingMark
from scoring.pages.staff import QUEUE_COLUMNS
from scoring.staff import disagreements
from scoring.training import from_ledger
from scoring.training.candidates import _now
from tests.casts.clips import make_clip
from tests.casts.listener import Listener
from tests.casts.score import measured_and_calibrated
from tests.casts.staff import NOW, clip_of, edition, live_model, vote


def queue(study, **chosen):
    return disagreements.queue([study], **chosen)


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


def test_with_lapses_probabilities_and_surprise_saturate_whatever_the_margin(study):
    """Margins of 20 and of 1 against the winner; with lapses in 40 % of the votes nobody has less than 20 %."""
    biases = dict.fromkeys(("alder", "birch", "cedar"), (0.0, 0.1))
    model = live_model(study, {clip_of("alder"): 0.0, clip_of("birch"): -20.0, clip_of("cedar"): -1.0}, biases)
    model.metrics = measured_and_calibrated(0.4)
    model.save()
    vote(study, "alder", "birch", "B")
    vote(study, "alder", "cedar", "B")
    edition(study)
    far, near = queue(study)
    assert (far["winner"]["system"], near["winner"]["system"]) == ("birch", "cedar")
    assert far["probability"] == far["low"] == far["high"] == pytest.approx(0.2, abs=1e-6)
    assert far["surprise"] == pytest.approx(np.log(0.8 / 0.2), abs=1e-5)
    half = 1.959964 * np.hypot(0.1, 0.1)
    for name, margin in (("probability", -1), ("low", -1 - half), ("high", -1 + half)):
        assert near[name] == pytest.approx(0.2 + 0.6 * expit(margin / 0.5), abs=1e-5)
    assert near["surprise"] == pytest.approx(-logit(near["probability"]), abs=1e-4)


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


def test_the_queue_as_csv_is_harmless_in_a_spreadsheet_and_its_rewards_stay_numbers(study, staff):
    elder = System.objects.create(name="@elder")
    make_clip(elder, clip_of("alder").prompt)
    study.systems.add(elder)
    live_model(study, {clip_of("alder"): 0.0, clip_of("@elder"): -2.0})
    vote(study, "alder", "@elder", "B")
    edition(study)
    (row,) = csv.DictReader(io.StringIO(staff.get("/review/data.csv").content.decode()))
    assert (row["winner_system"], row["winner_reward"]) == ("'@elder", "-2.0")


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
    assert "The pair will be served again" in answer.content.decode()
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
    assert refit_anchors(study, RewardModel.live()).n_pairs == 1


def embed_all():
    for number, clip in enumerate(Clip.objects.order_by("pk")):
        vector = np.array([number, 1], dtype="<f4").tobytes()
        Embedding.objects.create(clip=clip, encoder="ears", revision="1", vector=vector)


def training(study, last_mark=None):
    ears = {"key": "ears", "revision": "1", "dimension": 2}
    return from_ledger.training_set([study], ledger.head(), [ears], last_mark=last_mark)


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
    assert "Counts 3 times in training" in staff.get("/review/").content.decode()
    staff.post("/review/mark/", {**form, "weight": 1})
    last = TrainingMark.objects.first()
    assert _now([study], None, False)["last_mark"] == last.pk  # what a training honours, and writes down
    assert training(study, last.pk).weight.tolist() == [1, 1, 1]
    assert training(study, first.pk).weight.tolist() == [3, 3, 1]  # as it was, for who trained then
    with pytest.raises(Refusal):
        disagreements.mark(study, (form["clip"], form["other"]), "ada", 0)


def test_a_mark_of_one_study_is_nothing_to_another_and_marks_never_change(study):
    form = disagree(study)
    mark = disagreements.mark(study, (form["clip"], form["other"]), "ada")
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

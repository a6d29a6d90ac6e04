"""A listener at the headphone check: trials, attempts, and what follows from passing, failing or neither."""

import io
import wave

import numpy as np
import pytest

from arena.models import Participation, Rater
from arena.services import headphone_targets
from tests.casts.joining import begin, hear
from tests.casts.listener import Listener


@pytest.fixture
def with_headphones(study):
    study.headphones = "required"
    study.save()
    return study


def test_in_each_trial_the_ears_differ_in_the_interval_that_is_right(with_headphones, listener):
    trials = begin(listener)["trials"]
    targets = [target for target, _ in headphone_targets(Rater.objects.get(), with_headphones, 1)]
    assert len(trials) == 6
    for trial, target in zip(trials, targets, strict=True):
        answer = listener.get(trial["url"])
        assert (answer.status_code, answer["Content-Type"]) == (200, "audio/wav")
        with wave.open(io.BytesIO(answer.content)) as file:
            rate, samples = file.getframerate(), np.frombuffer(file.readframes(-1), "<i2").reshape(-1, 2)
        between = samples[:, 0] != samples[:, 1]
        starts = [int(1.5 * rate * interval) for interval in range(3)]
        differing = [between[start : start + rate].mean() for start in starts]
        assert np.argmax(differing) + 1 == target
        assert sorted(differing)[1] == 0


def test_all_trials_right_is_a_pass_and_done(with_headphones, listener):
    assert hear(listener, with_headphones) == {"result": "pass", "correct": 6, "of": 6, "attempts_left": 0}
    assert listener.post("/api/studies/open/headphones/").json()["code"] == "headphones_done"
    assert listener.battle()


def test_who_fails_has_a_second_attempt_with_other_trials(with_headphones, listener):
    first = begin(listener)
    sounds = {listener.get(trial["url"]).content for trial in first["trials"]}
    assert hear(listener, with_headphones, right=False) == {"result": "fail", "correct": 0, "of": 6, "attempts_left": 1}
    assert listener.post("/api/battles/").json()["code"] == "headphones_needed"
    second = begin(listener)
    assert second["attempt"] == 2
    assert not sounds & {listener.get(trial["url"]).content for trial in second["trials"]}
    assert hear(listener, with_headphones)["result"] == "pass"
    assert listener.battle()


def test_who_fails_twice_is_screened_out_where_headphones_are_required(with_headphones, listener):
    hear(listener, with_headphones, right=False)
    assert hear(listener, with_headphones, right=False)["attempts_left"] == 0
    refused = listener.post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (409, "screened_out")
    assert listener.post("/api/studies/open/headphones/").json()["code"] == "headphones_done"


def test_where_they_are_recommended_who_fails_may_go_on_at_once(study, listener):
    study.headphones = "recommended"
    study.save()
    assert listener.post("/api/battles/").json()["code"] == "headphones_needed"
    hear(listener, study, right=False)
    assert listener.battle()
    assert Participation.objects.get().headphones == "fail"


def test_what_cannot_be_played_is_unknown_and_excludes_nobody(with_headphones, listener):
    begin(listener)
    answer = listener.post("/api/studies/open/headphones/1/", {"unplayable": True})
    assert answer.json() == {"result": "unknown", "correct": None, "of": 6, "attempts_left": 0}
    assert listener.battle()


def test_beginning_again_takes_up_the_open_attempt(with_headphones, listener):
    assert begin(listener) == begin(listener)
    assert Participation.objects.get().headphone_attempts == 1


def test_an_attempt_is_answered_once(with_headphones, listener):
    assert listener.post("/api/studies/open/headphones/1/", {"answers": [1] * 6}).json()["code"] == "headphones_done"
    hear(listener, with_headphones)
    again = listener.post("/api/studies/open/headphones/1/", {"answers": [1] * 6})
    assert (again.status_code, again.json()["code"]) == (409, "headphones_done")


@pytest.mark.parametrize(
    "body",
    [{}, {"answers": [1] * 5}, {"answers": [0] + [1] * 5}, {"answers": [1] * 6, "unplayable": True}, {"answers": "1"}],
)
def test_answers_that_are_none_are_a_400_and_the_attempt_stays_open(with_headphones, listener, body):
    begin(listener)
    assert listener.post("/api/studies/open/headphones/1/", body).status_code == 400
    assert hear(listener, with_headphones)["result"] == "pass"


def test_trials_are_the_raters_own_and_of_the_open_attempt(with_headphones, listener):
    url = begin(listener)["trials"][0]["url"]
    other = Listener().agree()
    assert other.get(url).status_code == 404
    begin(other)
    assert other.get(url).content != listener.get(url).content
    assert listener.get("/audio/headphones/open/2/1").status_code == 404
    assert listener.get("/audio/headphones/open/1/7").status_code == 404
    assert listener.get("/audio/headphones/open/1/0").status_code == 404

"""A study under attack asks a new rater's browser for a sum, and takes each once."""

from datetime import timedelta

import pytest
from django.utils import timezone

from arena.models import Rater, SpentProof, Study
from arena.services import forget_arrivals
from tests.casts.listener import Listener
from tests.casts.proofs import solved


@pytest.fixture
def guarded(study):
    study.proof_of_work, study.proof_bits = "on", 8
    study.save()
    return study


def join(listener=None, **body):
    return (listener or Listener()).post("/api/raters/", {"consent_version": 1, **body})


def assert_asked_again(answer, words):
    assert (answer.status_code, answer.json()["code"]) == (403, "proof_needed")
    assert words in answer.json()["detail"]
    assert (answer.json()["bits"], answer.json()["parts"]) == (8, 8)


def test_who_brings_the_sum_joins(guarded):
    asked = join()
    assert_asked_again(asked, "a small calculation first")
    assert not Rater.objects.exists()
    assert join(proof=solved(asked.json())).status_code == 201


def test_a_sum_counts_once(guarded):
    proof = solved(join().json())
    assert join(proof=proof).status_code == 201
    again = join(proof=proof)
    assert_asked_again(again, "used before")
    assert join(proof=solved(again.json())).status_code == 201
    assert Rater.objects.count() == 2


def test_a_wrong_sum_is_refused(guarded):
    proof = solved(join().json())
    for wrong in (
        [number + 1 for number in proof["numbers"]],
        proof["numbers"][:-1],
        [*proof["numbers"], 0],
        [],
    ):
        assert_asked_again(join(proof={**proof, "numbers": wrong}), "is not right")
    assert not Rater.objects.exists() and not SpentProof.objects.exists()


def test_a_challenge_that_nobody_was_given_is_refused(guarded):
    proof = solved(join().json())
    purpose, at, _, rest = proof["challenge"].split(".", 3)
    easier = f"{purpose}.{at}.1.{rest}"
    for forged in (easier, proof["challenge"][:-1], "", "....", "ä.1.1.x." + "0" * 64):
        refused = join(proof={**proof, "challenge": forged})
        assert refused.status_code in (400, 403) and not Rater.objects.exists()


def test_a_challenge_of_another_study_or_an_old_one_is_refused(guarded, time_passes):
    Study.objects.create(slug="other", name="Other", proof_of_work="on", proof_bits=8)
    assert_asked_again(join(study="other", proof=solved(join().json())), "for something else")
    old = solved(join().json())
    time_passes(601)
    assert_asked_again(join(proof=old), "took too long")


@pytest.mark.parametrize("numbers", [[-1] * 8, [2**32] * 8, ["x"], [0] * 65, None])
def test_numbers_that_cannot_be_are_a_bad_request(guarded, numbers):
    challenge = join().json()["challenge"]
    assert join(proof={"challenge": challenge, "numbers": numbers}).status_code == 400


def test_who_has_joined_already_is_asked_for_nothing(study):
    listener = Listener().agree()
    Study.objects.update(proof_of_work="on", consent_version=2)
    assert listener.post("/api/raters/", {"consent_version": 2}).status_code == 201
    assert listener.battle()


def test_who_is_a_rater_of_another_study_is_asked_all_the_same(guarded):
    Study.objects.create(slug="other", name="Other")
    listener = Listener().agree(study="other")
    asked = join(listener)
    assert_asked_again(asked, "a small calculation first")
    assert join(listener, proof=solved(asked.json())).status_code == 201
    assert Rater.objects.count() == 1


def test_a_study_can_ask_for_the_sum_for_each_battle_of_a_rater(guarded):
    Study.objects.update(proof_for_battles=True)
    listener, other = Listener(), Listener()
    for each in (listener, other):
        assert join(each, proof=solved(join().json())).status_code == 201
    asked = listener.post("/api/battles/")
    assert_asked_again(asked, "a small calculation first")
    proof = solved(asked.json())
    assert_asked_again(other.post("/api/battles/", {"proof": proof}), "for something else")
    battle = listener.battle(proof=proof)
    assert listener.battle()["id"] == battle["id"], "the open one for nothing"
    assert listener.post("/api/battles/", {"after": battle["id"], "proof": proof}).json()["code"] == "proof_needed"


def test_auto_asks_only_while_it_is_switched_on(guarded, time_passes):
    Study.objects.update(proof_of_work="auto")
    assert join().status_code == 201
    Study.objects.update(proof_until=timezone.now() + timedelta(hours=1))
    assert join().status_code == 403
    time_passes(3601)
    assert join().status_code == 201


def test_spent_challenges_are_forgotten(guarded, time_passes):
    assert join(proof=solved(join().json())).status_code == 201
    time_passes(3 * 86400)
    forget_arrivals()
    assert not SpentProof.objects.exists()

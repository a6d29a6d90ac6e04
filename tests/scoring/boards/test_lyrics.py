"""Which systems sing lyrics: from the manifest and the admin to what it does to a vote."""

from datetime import timedelta
from itertools import combinations

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotations import ledger
from annotations.models import Vote
from arena.models import Battle, Prompt, Study, System
from scoring import inputs
from scoring.boards.refit import board_is_due, rebuild_edition, refit_board
from scoring.stats import board_method
from scoring.stats.bradley_terry import BadCovariate
from tests.casts.admin_forms import as_sent

SINGERS = {"alder": True, "birch": True, "cedar": False, "dogwood": False}
RATING = {"alder": 0.6, "birch": -0.4, "cedar": 0.3, "dogwood": -0.5}
EFFECT = 0.8  # logits, for whoever alone sings


@pytest.fixture
def sung(db):
    """A study of four systems, two of which sing, a prompt with lyrics and one without."""
    study = Study.objects.create(slug="open", name="Open", is_default=True)
    for name, sings in SINGERS.items():
        study.systems.add(System.objects.create(name=name, sings_lyrics=sings))
    Prompt.objects.create(text="A ballad", lyrics="La la la")
    Prompt.objects.create(text="An étude")
    return study


def vote(study, n, seed=0, prompts=None):
    """n decided votes that follow RATING and, where there are lyrics, EFFECT."""
    rng, now = np.random.default_rng(seed), timezone.now()
    systems = {system.name: system for system in System.objects.all()}
    prompts = prompts or [*Prompt.objects.order_by("pk")]
    battles, votes = [], []
    for _ in range(n):
        a, b = rng.permutation(list(combinations(SINGERS, 2))[rng.integers(6)])
        prompt = prompts[rng.integers(len(prompts))]
        margin = RATING[a] - RATING[b]
        if prompt and prompt.lyrics:
            margin += EFFECT * (SINGERS[a] - SINGERS[b])
        battles.append(
            Battle(
                study=study, kind="imported", prompt=prompt, system_a=systems[a], system_b=systems[b],
                served_at=now, closed_at=now, close_reason="voted",
            )
        )  # fmt: skip
        votes.append(Vote(battle=battles[-1], preference="A" if rng.logistic() < margin else "B", received_at=now))
    Battle.objects.bulk_create(battles)
    Vote.objects.bulk_create(votes)
    ledger.catch_up()


def say(name, sings):
    System.objects.filter(name=name).update(sings_lyrics=sings)


# ---- what it does to a vote ----


def test_what_singing_is_worth_where_there_are_lyrics_comes_back_and_so_do_the_ratings(sung):
    vote(sung, 3000)
    plain = refit_board(sung).result
    result = refit_board(sung, covariates=["lyrics", "slot"]).result
    effect, slot = result["effects"]["lyrics"], result["effects"]["slot"]
    assert effect["low"] < EFFECT < effect["high"]
    assert effect["high"] - effect["low"] < 0.6
    assert slot["low"] < 0 < slot["high"]
    mean = sum(RATING.values()) / len(RATING)
    for row in result["groups"][0]:
        assert row["low"] < RATING[row["system"]] - mean < row["high"]
    alder = next(row for row in plain["groups"][0] if row["system"] == "alder")
    assert alder["low"] > RATING["alder"] - mean  # rated for the lyrics there happened to be among the prompts


def test_the_sign_is_of_the_slot_and_only_prompts_with_lyrics_have_it(sung):
    vote(sung, 200)
    config = refit_board(sung, covariates=["lyrics", "slot"]).config
    votes = inputs.board_votes(sung, ledger.head(), config)
    sings = np.array([SINGERS[name] for name in votes.systems], dtype=float)
    with_lyrics = votes.prompt == Prompt.objects.get(text="A ballad").pk
    assert votes.covariates["lyrics"].tolist() == (with_lyrics * (sings[votes.a] - sings[votes.b])).tolist()
    assert {-1, 0, 1} == set(votes.covariates["lyrics"])


def test_a_vote_on_lyrics_with_a_system_of_which_it_is_not_known_is_left_out_and_others_stay(sung):
    vote(sung, 300)
    say("cedar", None)
    edition = refit_board(sung, covariates=["lyrics"])
    asked = Battle.objects.filter(prompt__lyrics__gt="")
    unknown = (asked.filter(system_a__name="cedar") | asked.filter(system_b__name="cedar")).count()
    assert edition.excluded == {"covariate_unknown": unknown}
    assert edition.config["sings_lyrics"] == {"alder": True, "birch": True, "dogwood": False}


def test_a_vote_that_came_without_its_prompt_may_have_had_lyrics(sung):
    vote(sung, 300)
    vote(sung, 10, seed=1, prompts=[None])
    assert refit_board(sung, covariates=["lyrics"]).excluded == {"covariate_unknown": 10}


def test_where_only_lyrics_were_asked_for_it_is_part_of_the_ratings(sung):
    vote(sung, 300, prompts=list(Prompt.objects.filter(lyrics__gt="")))
    with pytest.raises(BadCovariate, match="differences between systems"):
        refit_board(sung, covariates=["lyrics"])
    assert not sung.editions.exists()


# ---- editions ----


def test_an_edition_rebuilds_after_an_admin_has_learned_better(sung):
    vote(sung, 300)
    first = refit_board(sung, covariates=["lyrics"])
    later = first.created_at + timedelta(minutes=1)
    assert not board_is_due(sung, later)
    say("cedar", True)
    assert board_is_due(sung, later)
    second = refit_board(sung, later, only_if_due=True)
    assert second.config["sings_lyrics"] == {**SINGERS, "cedar": True}
    assert second.result != first.result
    say("alder", None)
    for edition in (first, second):
        edition.refresh_from_db()
        assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_boards_that_are_not_adjusted_for_it_do_not_mind_what_is_said_of_systems(sung):
    vote(sung, 50)
    edition = refit_board(sung)
    say("cedar", True)
    assert "sings_lyrics" not in edition.config
    assert not board_is_due(sung, edition.created_at + timedelta(minutes=1))


def test_what_is_said_of_systems_of_other_studies_moves_no_board(sung):
    vote(sung, 300)
    System.objects.create(name="elm", sings_lyrics=True)
    assert refit_board(sung, covariates=["lyrics"]).config["sings_lyrics"] == SINGERS


def test_a_system_that_left_the_study_keeps_what_was_known_of_it(sung):
    vote(sung, 300)
    refit_board(sung)
    sung.systems.remove(System.objects.get(name="cedar"))
    assert refit_board(sung, covariates=["lyrics"]).config["sings_lyrics"] == SINGERS


def test_the_page_says_what_singing_is_worth(sung, client):
    vote(sung, 300)
    refit_board(sung, covariates=["lyrics"])
    said = client.get("/boards/open/").content.decode()
    assert "Singing the requested lyrics" in said
    assert "Known to sing lyrics: alder, birch. Known not to: cedar, dogwood." in said


# ---- where it is said ----


def test_a_manifest_may_say_which_systems_sing(manifest):
    rows = ("a.wav,alder,a song,yes", "b.wav,birch,a song,No", "c.wav,cedar,a song,", "a2.wav,alder,another song,")
    call_command("import_clips", manifest(*rows, header="path,system,prompt,sings_lyrics"))
    assert dict(System.objects.values_list("name", "sings_lyrics")) == {"alder": True, "birch": False, "cedar": None}


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("a.wav,alder,a song,perhaps", "'perhaps'; it is yes, no, or empty"),
        ("a.wav,alder,a song,no", "alder sings lyrics, as stored before; the admin can change"),
    ],
)
def test_a_row_that_says_something_else_of_a_system_fails_with_a_sentence(manifest, row, sentence):
    System.objects.create(name="alder", sings_lyrics=True)
    with pytest.raises(CommandError, match=sentence):
        call_command("import_clips", manifest(row, header="path,system,prompt,sings_lyrics"))
    assert System.objects.get().sings_lyrics is True


def test_a_manifest_fills_in_what_was_not_known(manifest):
    System.objects.create(name="alder")
    call_command("import_clips", manifest("a.wav,alder,a song,yes", header="path,system,prompt,sings_lyrics"))
    assert System.objects.get().sings_lyrics is True


def test_the_admin_says_yes_no_or_unknown(sung, admin_client):
    cedar = System.objects.get(name="cedar")
    page = f"/admin/arena/system/{cedar.pk}/change/"
    for said, known in (("true", True), ("unknown", None), ("false", False)):
        form = as_sent(admin_client.get(page).context["adminform"].form)
        assert admin_client.post(page, {**form, "sings_lyrics": said}).status_code == 302
        cedar.refresh_from_db()
        assert cedar.sings_lyrics is known

"""Boards of categories: which votes are in which, that small ones do not shout, what can be rebuilt, who may see."""

import re

import pytest
from django.utils import timezone

from annotations import ledger
from annotations.models import Vote, VoteDetails
from annotations.services import withdraw_rater
from arena.models import Battle, Participation, Prompt
from arena.services import give_consent
from scoring import tasks
from scoring.boards import categories
from scoring.boards.categories import language_of
from scoring.boards.refit import refit_board
from scoring.models import CategoryBoards
from scoring.stats import board_method, category_method
from scoring.stats.rebuilding import CannotBeRebuilt
from tests.casts.listener import Listener
from tests.casts.votes import cast


@pytest.fixture
def tagged(study):
    """The study's two prompts: one is tagged ballad and slow, the other rock."""
    Prompt.objects.filter(text="A calm piano ballad").update(tags=["ballad", "slow"])
    Prompt.objects.filter(text="Driving rock").update(tags=["rock"])
    return study


SMALL_AND_LARGE = ("tag:rock", "tag:ballad")


def computed(study):
    refit_board(study)
    return categories.compute_categories(study)


def crowd(study, n, language="", group="", preferences="AB"):
    """n raters, each with these votes on the first two systems; imported, since nothing is served here."""
    a, b, _ = study.systems.order_by("name")
    now, prompts = timezone.now(), list(Prompt.objects.order_by("pk"))
    raters = [give_consent(None, study, 1, group=group) for _ in range(n)]
    for rater in raters:
        for preference, prompt in zip(preferences, prompts, strict=False):
            battle = Battle.objects.create(
                study=study, kind="imported", rater=rater, prompt=prompt, system_a=a, system_b=b, served_at=now,
                closed_at=now, close_reason="voted",
            )  # fmt: skip
            vote = Vote.objects.create(battle=battle, rater=rater, preference=preference, received_at=now)
            VoteDetails.objects.create(vote=vote, language=language)
    ledger.extend()
    return raters


def test_every_tag_has_a_board_of_the_votes_on_its_prompts(tagged, client):
    cast(tagged, ["A", "B", "A", "B", "TIE", "A"])
    row = computed(tagged)
    votes = {one["category"]: one["n_votes"] for one in row.summary}
    by_prompt = {
        text: Vote.objects.filter(battle__prompt__text__startswith=text).exclude(preference="BOTH_BAD").count()
        for text in ("A calm", "Driving")
    }
    assert votes == {
        "tag:ballad": by_prompt["A calm"],
        "tag:slow": by_prompt["A calm"],
        "tag:rock": by_prompt["Driving"],
    }
    board = client.get("/api/leaderboard/", {"category": "tag:rock"}).json()
    assert (board["category"], board["edition"], board["n_votes"]) == ("tag:rock", 1, by_prompt["Driving"])
    overall = {r["system"]: r["rating"] for r in client.get("/api/leaderboard/").json()["groups"][0]}
    for rating in board["groups"][0]:
        assert rating["low"] < rating["rating"] < rating["high"]
        assert rating["overall"] == pytest.approx(overall[rating["system"]], abs=1e-6)
        assert 0 < rating["own_share"] < 1
    assert board["pooling"]["spread"]["value"] > 0


def test_a_small_category_does_not_shout(tagged):
    """Thirty listeners prefer birch on ballads; the one vote on rock is for alder."""
    crowd(tagged, 30, preferences=["B"])
    crowd(tagged, 1, preferences=["B", "A"])
    row = computed(tagged)
    small, large = ({r["system"]: r for r in row.result["categories"][key]["groups"][0]} for key in SMALL_AND_LARGE)
    assert small["birch"]["rating"] > 0 > small["alder"]["rating"]  # as the board has them, not as its vote
    assert small["birch"]["rating"] < small["birch"]["overall"]  # which is heard all the same
    assert small["birch"]["stderr"] > large["birch"]["stderr"]
    assert small["birch"]["own_share"] < 0.2 < large["birch"]["own_share"]


def test_what_is_not_there_is_a_404_that_names_what_is(tagged, client):
    answer = client.get("/api/leaderboard/", {"category": "tag:rock"})
    assert answer.status_code == 404 and "no edition" in answer.json()["detail"]
    cast(tagged, "ABABAB")  # each clip pair once, so votes on either prompt
    refit_board(tagged)
    answer = client.get("/api/leaderboard/", {"category": "tag:rock"})
    assert answer.status_code == 404 and "being computed" in answer.json()["detail"]
    categories.compute_categories(tagged)
    for category in ("jazz", "tag:jazz", "0"):
        answer = client.get("/api/leaderboard/", {"category": category})
        assert answer.status_code == 404 and "it has overall, tag:" in answer.json()["detail"]
        assert client.get("/boards/open/", {"category": category}).status_code == 404


def test_the_sweep_computes_each_last_edition_once(tagged):
    cast(tagged, "AB")
    refit_board(tagged)
    tasks.compute_categories()
    tasks.compute_categories()
    assert CategoryBoards.objects.count() == 1
    assert categories.compute_categories(tagged) is None


def test_a_category_is_asked_of_the_last_edition_that_has_it(tagged, client):
    cast(tagged, "ABAB")
    computed(tagged)
    cast(tagged, "AB")
    refit_board(tagged)
    assert client.get("/api/leaderboard/", {"category": "tag:rock"}).json()["edition"] == 1
    assert client.get("/api/leaderboard/").json()["edition"] == 2
    assert client.get("/api/leaderboard/").json()["categories"] == []


def test_tags_edited_later_do_not_change_what_was_computed(tagged):
    cast(tagged, "ABABAB")
    row = computed(tagged)
    Prompt.objects.update(tags=["other"])
    rebuilt = categories.rebuild(row)
    assert rebuilt.lost == {}
    assert rebuilt.json == categories.stored(row) == board_method.canonical_json(row.result)


def test_a_row_of_a_former_method_is_shown_and_says_why_it_is_not_rebuilt(tagged, client, monkeypatch):
    cast(tagged, "ABAB")
    with monkeypatch.context() as then:
        then.setattr(category_method, "METHOD_VERSION", 1)
        row = computed(tagged)
    board = client.get("/api/leaderboard/", {"category": "tag:rock"}).json()
    assert board["about"]["method"] == "pooled-bradley-terry 1" and board["groups"]
    with pytest.raises(CannotBeRebuilt, match=r"pooled-bradley-terry 1.*not in this code.*stays as published"):
        categories.rebuild(row)


def test_categories_never_change(tagged):
    cast(tagged, "AB")
    row = computed(tagged)
    row.result = {}
    with pytest.raises(Exception, match="append-only"):
        row.save()


# ---- what listeners are ----


@pytest.mark.parametrize(
    ("accepted", "language"),
    [("de-CH,de;q=0.9,en;q=0.8", "de"), ("EN", "en"), ("fil", "fil"), ("*", ""), ("", ""), ("english", "")],
)
def test_the_first_language_of_a_browser_counts(accepted, language):
    assert language_of(accepted) == language


def test_a_language_has_a_board_from_twenty_listeners_on(study):
    crowd(study, 19, "de-DE,de;q=0.9")
    crowd(study, 20, "fr")
    crowd(study, 1, preferences="A")
    crowd(study, 21, "*")  # any, so none in particular
    row = computed(study)
    assert [(one["category"], one["n_raters"], one["n_votes"]) for one in row.summary] == [("language:fr", 20, 40)]
    assert row.result["too_small"]["language"] == 1
    assert row.result["unknown"]["language"] == 1 + 42
    assert '"de"' not in board_method.canonical_json(row.result)


def test_listeners_say_once_which_group_they_belong_to(study):
    study.groups = ["musician", "listener"]
    study.save()
    assert Listener().post("/api/raters/", {"consent_version": 1, "group": "drummer"}).status_code == 400
    listener = Listener().agree(group="musician")
    listener.agree(group="listener")
    assert Participation.objects.get().group == "musician"
    Listener().agree()
    assert sorted(Participation.objects.values_list("group", flat=True)) == ["", "musician"]
    assert listener.get("/api/raters/me/history/").json()["studies"][0]["group"] == "musician"


def test_a_group_has_a_board_from_twenty_listeners_on(study):
    study.groups = ["musician", "listener"]
    crowd(study, 20, group="musician")
    crowd(study, 3, group="listener")
    row = computed(study)
    assert [one["category"] for one in row.summary] == ["group:musician"]
    assert categories.rebuild(row).json == board_method.canonical_json(row.result)


def test_after_a_withdrawal_the_rest_is_rebuilt_and_it_is_said_what_cannot_be(tagged):
    raters = crowd(tagged, 21, "de")
    crowd(tagged, 2, "fr")
    row = computed(tagged)
    assert "language:de" in row.result["categories"]
    withdraw_rater(raters[0])
    ledger.extend()
    rebuilt = categories.rebuild(row)
    assert rebuilt.lost == {"language": 2}
    assert rebuilt.json == categories.stored(row, rebuilt.lost)
    assert "tag:rock" in rebuilt.json and "language:de" not in rebuilt.json
    assert row.result == CategoryBoards.objects.get().result  # what was published stays
    again = computed(tagged)
    assert again.result["categories"]["language:de"]["n_raters"] == 20
    withdraw_rater(raters[1])
    ledger.extend()
    assert "language:de" not in computed(tagged).result["categories"]


# ---- the page ----


def test_the_page_of_a_category_says_which_part_it_is_and_offers_its_data(tagged, client):
    crowd(tagged, 6, preferences="AB")
    crowd(tagged, 5, preferences="BA")
    computed(tagged)
    page = client.get("/boards/open/", {"category": "tag:ballad"}).content.decode()
    assert re.search(r">\s*<bdi>ballad</bdi>\s*</span>", page) and "Compared with the overall board" in page
    assert "11 votes" in page
    for name in ("intervals", "wins"):
        address = f"/boards/open/plots/{name}.csv?category=tag%3Aballad&amp;edition=1"
        assert address in page
        answer = client.get(address.replace("&amp;", "&"))
        assert answer["Content-Disposition"] == f'attachment; filename="open-{name}-tag-ballad-edition-1.csv"'
        assert answer.content.decode().splitlines()[1].split(",")[-1].isdecimal()
    row = client.get("/boards/open/plots/wins.json?category=tag:ballad").json()["rows"][0]
    assert (row["a"], row["n"], row["wins"]) == ("alder", 11, 6)
    assert row["low"] < row["share"] < row["high"]
    about = client.get("/api/leaderboard/", {"category": "tag:ballad"}).json()["about"]
    assert about["method"] == "pooled-bradley-terry 2" and about["n_raters"] == 11 and "tags" not in about["config"]

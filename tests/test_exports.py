import csv
import hashlib
import io
import json

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.core.management import call_command
from rest_framework.authtoken.models import Token

from annotations import ledger
from annotations.exports import VOTE_COLUMNS
from annotations.services import withdraw_rater
from arena.models import Clip
from scoring.exports import PAIR_COLUMNS
from scoring.models import Release, Reward, RewardModel
from scoring.releases import rebuild, release, release_new_pairs
from scoring.services import store_rewards

from .conftest import make_clip
from .test_boards import cast


@pytest.fixture
def live_model(study):
    model = RewardModel.objects.create(
        name="jury",
        encoders=[{"key": "spectral", "revision": "1", "dimension": 2}],
        weights="w",
        sha256="s",
        status="live",
    )
    for clip in Clip.objects.all():
        Reward.objects.create(clip=clip, reward_model=model, value=clip.pk / 10)
    return model


def exported(*arguments, tmp_path):
    output = tmp_path / "out"
    call_command("export", *arguments, "--output", str(output))
    return output.read_text()


def test_votes_come_with_everything_needed_to_filter_and_nothing_personal(study, listener, time_passes, tmp_path):
    battle = listener.battle()
    time_passes(9)
    listener.vote(battle, "B", comment="my name is Ada")
    text = exported("votes", tmp_path=tmp_path)
    (row,) = map(json.loads, text.splitlines())
    assert row["preference"] == "B"
    assert row["battle"] == battle["id"]
    assert row["heard_a_ms"] == 4000
    assert 0 < row["pair_probability"] <= 1
    assert row["system_a"] != row["system_b"]
    assert "Ada" not in text


def test_the_same_votes_as_csv(study, tmp_path):
    cast(study, "AB")
    rows = list(csv.DictReader(io.StringIO(exported("votes", "--format", "csv", tmp_path=tmp_path))))
    assert [row["preference"] for row in rows] == ["A", "B"]
    assert rows[0]["tags"] == "[]"


def test_pairs_are_the_decisive_votes_with_chosen_rejected_and_margin(study, live_model, tmp_path):
    cast(study, ["A", "B", "TIE", "BOTH_BAD"])
    rows = [json.loads(line) for line in exported("pairs", tmp_path=tmp_path).splitlines()]
    assert len(rows) == 2
    for row in rows:
        chosen, rejected = row["chosen"]["clip"], row["rejected"]["clip"]
        assert row["margin"] == pytest.approx((chosen - rejected) / 10)
        assert Clip.objects.get(pk=chosen).prompt.text == row["prompt"]
        assert row["chosen"]["system"] != row["rejected"]["system"]
    assert Release.objects.get().excluded == {"both_bad": 1, "tie": 1}


def test_the_clips_of_the_pairs_are_copied_under_the_names_the_rows_give(study, tmp_path):
    for clip in Clip.objects.all():
        clip.original.save(f"originals/{clip.pk}.wav", ContentFile(f"audio {clip.pk}".encode()))
    cast(study, "A")
    row = json.loads(exported("pairs", "--clips", str(tmp_path / "clips"), tmp_path=tmp_path))
    for side in ("chosen", "rejected"):
        assert (tmp_path / "clips" / row[side]["file"]).read_text() == f"audio {row[side]['clip']}"
    assert len(list((tmp_path / "clips").iterdir())) == 2


def test_a_pair_without_rewards_has_no_margin(study, tmp_path):
    cast(study, "A")
    assert json.loads(exported("pairs", tmp_path=tmp_path))["margin"] is None


def test_a_release_is_numbered_hashed_and_leaves_withdrawn_votes_out(study):
    rater = cast(study, "AB")
    cast(study, "A")
    first = release("votes")
    withdraw_rater(rater)
    second = release("votes")
    assert (first.number, first.n_rows, second.number, second.n_rows) == (1, 3, 2, 1)
    assert second.excluded == {"withdrawn": 2}
    with first.file.open("rb") as file:
        assert hashlib.sha256(file.read()).hexdigest() == first.sha256


def test_a_release_can_be_made_again_byte_by_byte_whatever_came_since(study, live_model):
    rater = cast(study, "AB")
    made = [release("votes", "csv"), release("pairs")]
    cast(study, "BA")
    withdraw_rater(rater)
    late = make_clip(study.systems.first(), study.systems.first().clips.first().prompt)
    store_rewards(live_model, {late.pk: 0.5})
    for one in made:
        assert rebuild(one, io.BytesIO()) == one.sha256


def test_a_reward_that_came_after_a_release_does_not_change_it(study):
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    cast(study, "AB")
    made = release("pairs")
    store_rewards(model, {clip.pk: 1.0 for clip in Clip.objects.all()})
    assert rebuild(made, io.BytesIO()) == made.sha256
    assert release("pairs").sha256 != made.sha256


def test_an_export_without_rows_still_has_its_header(study, tmp_path):
    assert exported("votes", "--format", "csv", tmp_path=tmp_path) == ",".join(VOTE_COLUMNS) + "\n"
    assert exported("pairs", "--format", "csv", tmp_path=tmp_path) == ",".join(PAIR_COLUMNS) + "\n"


def test_new_pairs_are_released_once(study):
    cast(study, ["TIE"])
    assert release_new_pairs() is None
    cast(study, "AB")
    assert release_new_pairs().n_rows == 2
    assert release_new_pairs() is None
    cast(study, "A")
    assert release_new_pairs().n_rows == 3


def test_what_an_export_says_of_a_seq_never_changes(study):
    from annotations.exports import vote_rows

    cast(study, "AB")
    seq = ledger.head()
    before = list(vote_rows(seq))
    cast(study, "BA")
    assert list(vote_rows(seq)) == before


# ---- over HTTP ----


@pytest.fixture
def researcher(db):
    user = User.objects.create_user("rosa")
    user.groups.add(Group.objects.get_or_create(name="researchers")[0])
    return {"Authorization": f"Token {Token.objects.create(user=user).key}"}


def test_exports_need_a_researchers_token(study, client, researcher):
    assert client.get("/api/exports/votes/").status_code == 401
    other = Token.objects.create(user=User.objects.create_user("eve"))
    assert client.get("/api/exports/votes/", headers={"Authorization": f"Token {other.key}"}).status_code == 403
    assert client.get("/api/exports/votes/", headers=researcher).status_code == 200


@pytest.mark.parametrize("content", ["votes", "pairs"])
def test_a_researcher_downloads_votes_and_pairs(study, client, researcher, content):
    cast(study, "AB")
    answer = client.get(f"/api/exports/{content}/", {"format": "jsonl", "study": "open"}, headers=researcher)
    assert len([json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]) == 2


def test_an_unknown_format_is_named(study, client, researcher):
    answer = client.get("/api/exports/votes/", {"format": "xml"}, headers=researcher)
    assert answer.status_code == 400
    assert "xml" in answer.content.decode()

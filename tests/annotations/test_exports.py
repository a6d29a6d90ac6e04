import csv
import hashlib
import io
import json
import math

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.base import ContentFile
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotations import ledger
from annotations.exports import VOTE_COLUMNS
from annotations.services import withdraw_rater
from arena import csv_files
from arena.models import ApiToken, Battle, Clip, Prompt
from scoring.jury.rewards import store_rewards
from scoring.models import Release, Reward, RewardModel
from scoring.releases import numbered
from scoring.releases.numbered import COLUMNS, METHOD_VERSION, rebuild, release, release_new_pairs
from scoring.releases.pairs import PAIR_COLUMNS
from tests.casts.clips import make_clip
from tests.casts.score import MEASURED, measured_and_calibrated
from tests.casts.votes import cast


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


def only_prompt(study, **fields):
    """From now on the study's battles are for this prompt alone."""
    prompt = Prompt.objects.create(**fields)
    for system in study.systems.all():
        make_clip(system, prompt)
    study.prompts.set([prompt])


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


def test_a_prompt_that_a_spreadsheet_would_run_is_marked_as_text_in_csv_alone(study, tmp_path):
    only_prompt(study, text='=HYPERLINK("x")', lyrics="la\rla")
    cast(study, "A")
    exported("votes", "--format", "csv", tmp_path=tmp_path)
    (row,) = csv.DictReader(io.StringIO((tmp_path / "out").read_bytes().decode(), newline=""))
    assert (row["prompt"], row["lyrics"]) == ('\'=HYPERLINK("x")', "la\rla")
    assert csv_files.unguarded(row["prompt"]) == '=HYPERLINK("x")'
    assert json.loads(exported("votes", tmp_path=tmp_path))["prompt"] == '=HYPERLINK("x")'


def test_a_csv_release_from_before_the_guard_is_made_again_without_it(study):
    only_prompt(study, text="=1+1", lyrics="la\rla")
    cast(study, "A")
    facts = {"seq": ledger.head(), "study": None, "config": {}, "excluded": None}
    text = "".join(piece for _, piece in numbered.content_of("votes", "csv", **facts, version=4))
    assert ",=1+1,la\rla," in text
    made = Release.objects.create(
        number=1, content="votes", format="csv", method_version=4, config={}, ledger_seq=ledger.head(), n_rows=1,
        excluded={}, sha256=hashlib.sha256(text.encode()).hexdigest(), created_at=timezone.now(),
    )  # fmt: skip
    assert rebuild(made, io.BytesIO()) == made.sha256


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


# ---- pairs that the model judges ----


@pytest.fixture
def measured(live_model):
    live_model.metrics = MEASURED
    live_model.save()
    return live_model


@pytest.fixture
def judged(study, measured):
    """Twelve votes of two raters, who have preferred better and worse clips by the model's lights."""
    cast(study, "AAAAAA")
    cast(study, "BBBBBB")
    return measured


def test_a_pair_says_how_probable_the_vote_was_to_the_calibrated_model(study, measured, tmp_path):
    cast(study, "AB")
    for row in map(json.loads, exported("pairs", tmp_path=tmp_path).splitlines()):
        assert row["margin"] == pytest.approx(row["chosen_reward"] - row["rejected_reward"], abs=2e-6)
        assert row["probability"] == pytest.approx(1 / (1 + math.exp(-row["margin"] / 2.0)), abs=1e-6)


def test_a_model_that_was_not_measured_gives_margins_without_probability(study, live_model, tmp_path):
    cast(study, "A")
    row = json.loads(exported("pairs", tmp_path=tmp_path))
    assert row["margin"] is not None
    assert row["probability"] is None


def test_pairs_below_a_margin_or_a_reward_are_left_out_and_counted(judged, tmp_path):
    every = [json.loads(line) for line in exported("pairs", tmp_path=tmp_path).splitlines()]
    for option, column, reason in (
        ("--min-margin", "margin", "below_min_margin"),
        ("--min-reward", "chosen_reward", "below_min_reward"),
    ):
        least = max(row[column] for row in every)
        kept = [json.loads(line) for line in exported("pairs", option, str(least), tmp_path=tmp_path).splitlines()]
        assert kept == [row for row in every if row[column] == least]
        assert Release.objects.first().excluded == {reason: len(every) - len(kept)}
        assert len(kept) < len(every)


def test_a_filter_takes_no_pair_that_it_cannot_judge(study, tmp_path):
    RewardModel.objects.create(name="new", encoders=[], weights="w", sha256="s", status="live", metrics=MEASURED)
    cast(study, "AB")
    assert exported("pairs", "--min-margin", "-100", tmp_path=tmp_path) == ""
    assert Release.objects.get().excluded == {"no_reward": 2}


def test_a_release_with_lapses_says_so_and_is_made_again_whatever_the_model_is_believed_to_be_later(study, judged):
    plain = release("pairs")
    judged.metrics = measured_and_calibrated(0.4)
    judged.save()
    lapsing = release("pairs")
    assert "lapses" not in plain.config
    assert lapsing.config["lapses"] == {"rate": 0.4, "temperature": 0.5}
    judged.metrics = measured_and_calibrated(0)
    judged.save()
    of_validation = release("pairs")
    assert (plain.config["temperature"], of_validation.config["temperature"]) == (2.0, 0.5)
    for made in (plain, lapsing, of_validation):
        assert rebuild(made, io.BytesIO()) == made.sha256
    assert plain.sha256 != lapsing.sha256


def test_a_filtered_release_is_made_again_byte_by_byte_and_says_how_it_was_filtered(study, judged):
    made = release("pairs", filters={"min_margin": 0.1})
    assert made.config["min_margin"] == 0.1
    assert made.config["temperature"] == 2.0
    assert made.n_rows + made.excluded["below_min_margin"] == 12
    judged.metrics = {}  # what the release was made with stands in the release
    judged.save()
    store_rewards(judged, {make_clip(study.systems.first(), study.systems.first().clips.first().prompt).pk: 9.0})
    cast(study, "AB")
    assert rebuild(made, io.BytesIO()) == made.sha256


def test_the_columns_of_a_method_version_never_change():
    """If this fails: raise METHOD_VERSION, keep the columns of the version before under a name, and add the line of the
    new version here."""
    known = {
        1: "c9d431659f458a99",
        2: "26ddd74c8d472563",
        3: "83a09b3222406afe",
        4: "714a5c4e5526af88",
        5: "714a5c4e5526af88",  # the same; its CSV is guarded against formulas
    }
    columns = {version: json.dumps(of, sort_keys=True) for version, of in COLUMNS.items()}
    hashes = {version: hashlib.sha256(text.encode()).hexdigest()[:16] for version, text in columns.items()}
    assert {version: hashes[version] for version in known} == known, "the columns of a version have changed"
    assert hashes == known, f"a line is missing: {hashes}"
    assert max(COLUMNS) == METHOD_VERSION


def test_releases_of_the_method_before_are_made_again_as_they_were(study, live_model):
    from scoring.releases import numbered as releases

    cast(study, "AB")
    config = {"reward_model": "jury", "last_reward": releases.last_reward()}
    pieces = releases.content_of("pairs", "csv", seq=ledger.head(), study=None, config=config, excluded=None, version=2)
    text = "".join(piece for _, piece in pieces)
    assert text.startswith("seq,study,simulated,battle,rater,prompt_id,prompt,lyrics,chosen,rejected,degree,flags,")
    assert text.splitlines()[0].endswith(",margin,reward_model")
    made = Release.objects.create(
        number=1, content="pairs", format="csv", method_version=2, config=config, ledger_seq=ledger.head(), n_rows=2,
        excluded={}, sha256=hashlib.sha256(text.encode()).hexdigest(), created_at=timezone.now(),
    )  # fmt: skip
    cast(study, "BA")
    assert rebuild(made, io.BytesIO()) == made.sha256


def test_votes_say_among_how_many_pairs_theirs_was_drawn(study, tmp_path):
    cast(study, "AB")
    rows = [json.loads(line) for line in exported("votes", tmp_path=tmp_path).splitlines()]
    drawn = Battle.objects.order_by("vote__pk").values_list("pair_probability", "eligible_pairs")
    assert [(row["pair_probability"], row["eligible_pairs"]) for row in rows] == list(drawn)
    assert all(pairs == 3 for _, pairs in drawn)
    columns = exported("votes", "--format", "csv", tmp_path=tmp_path).splitlines()[0]
    assert ",pair_probability,eligible_pairs,clip_probability," in columns


@pytest.mark.parametrize("version", sorted(COLUMNS)[:-1])
def test_votes_of_the_methods_before_are_made_again_as_they_were(study, version):
    from scoring.releases import numbered as releases

    cast(study, "AB")
    facts = {"seq": ledger.head(), "study": None, "config": {}, "excluded": None}
    text = "".join(piece for _, piece in releases.content_of("votes", "csv", **facts, version=version))
    assert text.splitlines()[0] == ",".join(COLUMNS[version]["votes"])
    made = Release.objects.create(
        number=1, content="votes", format="csv", method_version=version, config={}, ledger_seq=ledger.head(), n_rows=2,
        excluded={}, sha256=hashlib.sha256(text.encode()).hexdigest(), created_at=timezone.now(),
    )  # fmt: skip
    cast(study, "BA")
    assert rebuild(made, io.BytesIO()) == made.sha256


def test_a_filtered_release_does_not_stand_for_that_of_all_pairs(study, measured):
    cast(study, "AB")
    release("pairs", filters={"min_margin": -100.0})
    assert release_new_pairs().n_rows == 2


def test_filters_that_cannot_work_are_refused(study, tmp_path):
    with pytest.raises(CommandError, match="no live reward model"):
        exported("pairs", "--min-margin", "0", tmp_path=tmp_path)
    with pytest.raises(CommandError, match="min_reward: only pairs"):
        exported("votes", "--min-reward", "0", tmp_path=tmp_path)
    with pytest.raises(CommandError, match="min-margin"):
        exported("pairs", "--min-margin", "nan", tmp_path=tmp_path)


# ---- over HTTP ----


@pytest.fixture
def researcher(db):
    user = User.objects.create_user("rosa")
    user.groups.add(Group.objects.get_or_create(name="researchers")[0])
    return {"Authorization": f"Token {ApiToken.issue(user, 'for a test')[1]}"}


def test_exports_need_a_researchers_token(study, client, researcher):
    assert client.get("/api/exports/votes/").status_code == 401
    _, other = ApiToken.issue(User.objects.create_user("eve"), "of nobody in particular")
    assert client.get("/api/exports/votes/", headers={"Authorization": f"Token {other}"}).status_code == 403
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


def test_pairs_are_filtered_over_http(judged, client, researcher):
    def rows(**query):
        answer = client.get("/api/exports/pairs/", query, headers=researcher)
        return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]

    every = rows()
    for column, name in (("margin", "min_margin"), ("chosen_reward", "min_reward")):
        least = max(row[column] for row in every)
        assert rows(**{name: least}) == [row for row in every if row[column] == least] != every


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("votes", {"min_margin": "0"}, 400),
        ("pairs", {"min_margin": "nan"}, 400),
        ("pairs", {"min_reward": "much"}, 400),
        ("pairs", {"min_margin": "0"}, 409),
    ],
)
def test_a_filter_that_cannot_work_is_refused_over_http(study, client, researcher, path, query, status):
    assert client.get(f"/api/exports/{path}/", query, headers=researcher).status_code == status

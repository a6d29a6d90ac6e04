"""Real answers of every operation of the API, by its operationId, each with every status that it declares."""

import uuid

import pytest
from django.utils import timezone

from annotations.models import Screening, Vote
from arena.models import Clip, Rater, Study
from arena.security import throttles
from arena.services import headphone_targets
from scoring import tasks
from scoring.api import score as score_api
from scoring.file_scoring import jobs
from scoring.jury.rewards import store_rewards
from scoring.models import RewardModel
from tests.casts.clips import make_ready
from tests.casts.joining import begin
from tests.casts.listener import Listener
from tests.casts.score import Researcher, make_model, measured_and_calibrated, not_audio, sound
from tests.casts.votes import cast

NOWHERE = uuid.UUID(int=0)


@pytest.fixture
def model(db):
    return make_model()


@pytest.fixture
def rosa(db):
    return Researcher()


@pytest.fixture
def worker(monkeypatch):
    """A gpu worker that gets to run while a request waits."""
    monkeypatch.setattr(score_api, "pause", tasks.work_off_score_jobs)


@pytest.fixture
def stranger(study):
    """Has been on the page, and agreed to nothing."""
    return Listener()


def answer_all(listener, time_passes, n=1, **more):
    """n battles, answered; the last of them."""
    for _ in range(n):
        battle = listener.battle()
        time_passes(9)
        assert listener.vote(battle, key=battle["id"], **more).status_code == 201
    return battle


def over_the_limit(study, **limit):
    """A listener of an address from which the study takes nothing."""
    Study.objects.filter(pk=study.pk).update(**limit)
    return Listener("93.184.215.14")


# ---- joining ------------------------------------------------------------------------------------------


@pytest.fixture
def answers_to_raters_create(study, listener, stranger):
    return [
        stranger.post("/api/raters/", {"consent_version": 1}),
        stranger.post("/api/raters/", {"consent_version": "one", "colour": "red"}),
        stranger.post("/api/raters/", {"consent_version": 1, "platform": {"PID": "x" * 999}}),
        stranger.post("/api/raters/", {"consent_version": 1, "group": "nobody"}),
        stranger.client.post("/api/raters/", "{", content_type="application/json"),
        listener.post("/api/raters/", {"consent_version": 1}, csrf=False),
        stranger.post("/api/raters/", {"consent_version": 1, "study": "nowhere"}),
        stranger.post("/api/raters/", {"consent_version": 2}),
        over_the_limit(study, raters_per_connection=0).post("/api/raters/", {"consent_version": 1}),
        over_the_limit(study, proof_of_work="on").post("/api/raters/", {"consent_version": 1}),
    ]


@pytest.fixture
def answers_to_studies_decline_create(ending, stranger):
    Study.objects.create(slug="paid", name="Paid", platform={"participant": "PID"})
    unfilled = {"reason": "no_consent", "platform": {"PID": "{{%PID%}}"}}
    return [
        stranger.post("/api/studies/paid/decline/", unfilled),
        stranger.post("/api/studies/open/decline/", {"reason": "no_consent"}),
        stranger.post("/api/studies/open/decline/", {"reason": "incompatible_device"}),
        stranger.post("/api/studies/open/decline/", {"reason": "bored"}),
        stranger.post("/api/studies/nowhere/decline/", {"reason": "no_consent"}),
    ]


@pytest.fixture
def answers_to_studies_volume_create(listener, stranger):
    path = "/api/studies/open/volume/"
    return [
        listener.post(path, {"level": 0.5}),
        listener.post(path, {"level": 11}),
        stranger.post(path, {"level": 0.5}),
        listener.post(path, {"level": 0.5}, csrf=False),
        listener.post("/api/studies/nowhere/volume/", {"level": 0.5}),
    ]


@pytest.fixture
def answers_to_studies_headphones_create(study, listener, stranger):
    path = "/api/studies/open/headphones/"
    answers = [listener.post(path), stranger.post(path), listener.post(path, csrf=False)]
    listener.post(f"{path}1/", {"unplayable": True})
    return [*answers, listener.post("/api/studies/nowhere/headphones/"), listener.post(path)]


@pytest.fixture
def answers_to_studies_headphones_answer(study, listener, stranger):
    attempt = begin(listener)["attempt"]
    path = f"/api/studies/open/headphones/{attempt}/"
    targets = [target for target, _ in headphone_targets(Rater.objects.get(), study, attempt)]
    return [
        listener.post(path, {}),
        listener.post(path, {"answers": [9]}),
        stranger.post(path, {"unplayable": True}),
        listener.post(path, {"unplayable": True}, csrf=False),
        listener.post("/api/studies/nowhere/headphones/1/", {"unplayable": True}),
        listener.post(path, {"answers": targets}),
        listener.post(path, {"answers": targets}),
    ]


@pytest.fixture
def ending(study):
    """One battle, then a code and a way back."""
    study.battles_per_rater = 1
    study.completion = {
        "message": "Thank you.",
        "codes": {"completed": "C-DONE", "no_consent": "C-NO"},
        "return_url": "https://panel.example/back?cc={code}&o={outcome}",
    }
    study.save()
    return study


@pytest.fixture
def answers_to_studies_completion_create(ending, listener, stranger, time_passes):
    path = "/api/studies/open/completion/"
    refused = [
        listener.post(path, {"platform": 5}),
        stranger.post(path),
        listener.post(path, csrf=False),
        listener.post("/api/studies/nowhere/completion/"),
        listener.post(path),
    ]
    answer_all(listener, time_passes)
    return [*refused, listener.post(path)]


# ---- battles and votes --------------------------------------------------------------------------------


@pytest.fixture
def answers_to_battles_create(study, listener, stranger):
    path = "/api/battles/"
    answers = [
        listener.post(path),
        listener.post(path),
        listener.post(path, {"after": "yesterday"}),
        stranger.post(path),
        listener.post(path, csrf=False),
        listener.post(path, {"study": "nowhere"}),
        Listener().agree().post(path, {"after": str(NOWHERE)}),
        over_the_limit(study, battles_per_connection=0).agree().post(path),
    ]
    study.is_open = False
    study.save()
    return [*answers, Listener().agree().post(path)]


@pytest.fixture
def answers_to_battles_skip_create(listener, stranger, time_passes):
    voted = answer_all(listener, time_passes)["id"]
    battle = listener.battle()["id"]

    def skip(battle, listener=listener, reason="cannot_play", **more):
        return listener.post(f"/api/battles/{battle}/skip/", {"reason": reason}, **more)

    return [
        skip(battle, reason="bored"),
        skip(battle, stranger),
        skip(battle, csrf=False),
        skip(NOWHERE),
        skip(voted),
        skip(battle),
    ]


@pytest.fixture
def answers_to_battles_listening_create(listener, stranger):
    path = f"/api/battles/{listener.battle()['id']}/listening/"
    elsewhere = f"/api/battles/{NOWHERE}/listening/"
    return [listener.post(path), stranger.post(path), listener.post(path, csrf=False), listener.post(elsewhere)]


@pytest.fixture
def answers_to_battles_vote_create(checked, listener, stranger, time_passes):
    practice = listener.battle()
    refused = [
        listener.vote(practice, heard={"A": [[0, 1]], "B": []}),  # not heard enough
        listener.vote(practice, "MAYBE"),
        listener.vote(practice, degree="much"),
        listener.vote(practice, key=" "),
        listener.post(f"/api/battles/{practice['id']}/vote/", {"tags": [{}], "axes": {"mood": []}}),
        stranger.vote(practice),
        listener.post(f"/api/battles/{practice['id']}/vote/", csrf=False),
        listener.vote({"id": NOWHERE}),
    ]
    time_passes(9)
    answers = [listener.vote(practice), listener.vote(practice), listener.vote(practice, "B")]
    answers += [answer for *_, answer in _voted_to_the_end(listener, time_passes)]
    late = Listener().agree()
    battle = late.battle()
    time_passes(31 * 24 * 3600)
    return [*refused, *answers, late.vote(battle)]


def _voted_to_the_end(listener, time_passes):
    while (served := listener.post("/api/battles/")).status_code != 409:
        battle = served.json()
        time_passes(9)
        yield battle, listener.vote(battle, key=battle["id"])


@pytest.fixture
def answers_to_battles_vote_destroy(listener, stranger, time_passes):
    first = answer_all(listener, time_passes)["id"]
    time_passes(11)  # too late to take it back
    second = answer_all(listener, time_passes)["id"]
    path = f"/api/battles/{second}/vote/"
    return [
        listener.delete(path),
        listener.delete(path),
        listener.delete(f"/api/battles/{first}/vote/"),
        stranger.delete(path),
        listener.delete(path, csrf=False),
        listener.delete(f"/api/battles/{NOWHERE}/vote/"),
    ]


@pytest.fixture
def answers_to_raters_me_destroy(listener, stranger):
    path = "/api/raters/me/"
    return [stranger.delete(path), listener.delete(path, csrf=False), listener.delete(path)]


@pytest.fixture
def answers_to_raters_me_withdraw_create(listener, stranger):
    path = "/api/raters/me/withdraw/"
    return [stranger.post(path), listener.post(path, csrf=False), listener.post(path)]


# ---- a listener's own ---------------------------------------------------------------------------------


@pytest.fixture
def judged(study):
    """A live model that has scored every clip."""
    juror = RewardModel.objects.create(name="juror", encoders=[], weights="w", sha256="s", status="live")
    store_rewards(juror, {clip.pk: clip.pk % 7 / 5 for clip in Clip.objects.all()})
    return juror


@pytest.fixture
def answers_to_battles_insight_retrieve(study, judged, listener, stranger, time_passes):
    cast(study, "ABABA")
    cast(study, "ABABA")
    answer_all(listener, time_passes, 2)
    battle = answer_all(listener, time_passes)["id"]
    unrevealed = Study.objects.create(slug="quiet", name="Quiet", excerpt_s=10, reveal=False)
    unrevealed.systems.set(study.systems.all())
    make_ready(unrevealed)
    quiet = listener.agree(study="quiet").battle(study="quiet")
    time_passes(9)
    listener.vote(quiet, key="quiet")
    return [
        listener.get(f"/api/battles/{battle}/insight/"),
        listener.get(f"/api/battles/{quiet['id']}/insight/"),
        stranger.get(f"/api/battles/{battle}/insight/"),
        listener.get(f"/api/battles/{NOWHERE}/insight/"),
    ]


@pytest.fixture
def answers_to_raters_me_history_retrieve(checked, judged, stranger, time_passes):
    cast(checked, "ABABABABAB")
    checked.questions = {"degree": True, "axes": ["mood"], "tags": ["bass"], "comment": True}
    checked.groups = ["musician"]
    checked.save()
    listener = Listener().agree(group="musician")
    listener.post("/api/studies/open/volume/", {"level": 0.5})
    begin(listener)
    listener.post("/api/studies/open/headphones/1/", {"unplayable": True})
    events = [
        {"t": 100, "kind": "volume", "value": 0.8},
        *({"t": 200, "kind": kind} for kind in ("play", "pause", "hidden", "opened")),
        {"t": 9000, "kind": "decided"},
    ]
    said = {"degree": "much", "axes": {"mood": "A"}, "tags": ["bass"], "comment": "nice", "events": events}
    battle = listener.battle()
    time_passes(9)
    assert listener.vote(battle, key="first", **said).status_code == 201
    *_, (last, _) = _voted_to_the_end(listener, time_passes)
    assert listener.delete(f"/api/battles/{last['id']}/vote/").status_code == 200
    Screening.objects.create(
        rater=Vote.objects.order_by("-pk").first().rater, study=checked, screen="too_fast", version=1, result="pass",
        score=0.5, n_votes=9, at=timezone.now(),
    )  # fmt: skip
    return [listener.get("/api/raters/me/history/"), stranger.get("/api/raters/me/history/")]


# ---- researchers --------------------------------------------------------------------------------------


@pytest.fixture
def eve(db):
    """Has a token, and is no researcher."""
    return Researcher("eve", group=None)


@pytest.fixture
def too_often():
    """too_often(limit, researcher, path): the answer when they have used up a limit."""

    def ask(limit, researcher, path):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(limit, "most", 0)
            return researcher.get(path)

    return ask


@pytest.fixture
def answers_to_exports_retrieve(study, judged, rosa, eve, client, too_often):
    cast(study, "AB")
    answers = [
        rosa.get("/api/exports/votes/"),
        rosa.get("/api/exports/pairs/", format="csv", min_margin="-9"),
        rosa.get("/api/exports/votes/", format="xml"),
        client.get("/api/exports/votes/"),
        eve.get("/api/exports/votes/"),
        rosa.get("/api/exports/votes/", study="nowhere"),
        too_often(throttles.EXPORTS, rosa, "/api/exports/votes/"),
    ]
    RewardModel.objects.update(status="retired")
    return [*answers, rosa.get("/api/exports/pairs/", min_margin="0")]


@pytest.fixture
def answers_to_models_live_calibration_retrieve(model, rosa, eve, client, too_often):
    path = "/api/models/live/calibration/"
    answers = [rosa.get(path), client.get(path), eve.get(path), too_often(throttles.READING, rosa, path)]
    for metrics in (measured_and_calibrated(0.2), {}):
        RewardModel.objects.update(metrics=metrics)
        answers.append(rosa.get(path))
    RewardModel.objects.update(status="retired")
    return [*answers, rosa.get(path)]


@pytest.fixture
def files(model, study, tmp_path):
    """Two songs, and a file that is none. The live model has lapses."""
    RewardModel.objects.update(metrics=measured_and_calibrated(0.2))
    store_rewards(model, {clip.pk: 0.0 for clip in Clip.objects.all()})
    return sound(tmp_path), sound(tmp_path, "other.wav", seed=1), not_audio(tmp_path)


@pytest.fixture
def refusals_of_files(rosa, eve, client, files, monkeypatch):
    """What POST answers to files that are not to be scored."""

    def refusals(path):
        answers = [rosa.send(path), client.post(path), eve.send(path), rosa.send(f"{path}?study=nowhere", *files)]
        with monkeypatch.context() as patch:
            for limit in ("MAX_FILE", "MAX_REQUEST", "AROUND"):
                patch.setattr(score_api, limit, 1)
            answers.append(rosa.send(path, *files))
            patch.setattr(jobs, "UNFINISHED_EACH", 0)
            answers.append(rosa.send(path, *files))
        RewardModel.objects.update(status="retired")
        return [*answers, rosa.send(path, *files)]

    return refusals


@pytest.fixture
def answers_to_score_create(files, rosa, worker, refusals_of_files, monkeypatch):
    song, _, bad = files
    answers = [rosa.send("/api/score/?study=open", song), rosa.send("/api/score/", song), rosa.send("/api/score/", bad)]
    monkeypatch.setattr(score_api, "WAIT_S", 0)
    return [*answers, rosa.send("/api/score/", song), *refusals_of_files("/api/score/")]


@pytest.fixture
def answers_to_best_of_n_create(files, rosa, worker, refusals_of_files, monkeypatch):
    song, other, bad = files
    answers = [rosa.send("/api/best-of-n/", *files), rosa.send("/api/best-of-n/", bad, bad)]
    monkeypatch.setattr(score_api, "WAIT_S", 0)
    return [*answers, rosa.send("/api/best-of-n/", song, other), *refusals_of_files("/api/best-of-n/")]


@pytest.fixture
def answers_to_score_retrieve(files, rosa, eve, worker, client, too_often, monkeypatch):
    song, _, bad = files
    urls = [
        f"/api/score/{answer.json()['id']}/"
        for answer in (
            rosa.send("/api/score/", song),
            rosa.send("/api/best-of-n/", *files),
            rosa.send("/api/score/", bad),
        )
    ]
    monkeypatch.setattr(score_api, "WAIT_S", 0)
    waiting = rosa.send("/api/score/", song).json()["url"]
    return [
        rosa.get(urls[0], study="open"),
        *map(rosa.get, urls),
        rosa.get(waiting),
        rosa.get(waiting, study="not a slug"),
        client.get(waiting),
        eve.get(waiting),
        rosa.get(f"/api/score/{NOWHERE}/"),
        too_often(throttles.SCORING, rosa, waiting),
    ]

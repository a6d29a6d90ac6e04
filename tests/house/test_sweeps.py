"""Every sweep goes on past what fails, tells staff once, and pauses before it tries again.

A failure is planted in each sweep of the schedule: a new sweep has to be added here.
"""

from datetime import timedelta
from importlib import import_module

import pytest
from django.conf import settings
from django.utils import timezone

from annotations.models import Alarm
from arena import sweeps
from arena.models import Clip, Excerpt, Prompt, Study, Sweep, SweepFailure, System
from scoring.boards.refit import refit_board
from scoring.models import RewardModel
from tests.casts.votes import cast

# Sweeps over studies: where to ask which are due, and what is done to one.
STUDIES = {
    "requests": ("arena.serving.excerpts_due", "due_studies", "request"),
    "identities": ("annotations.identity", "due_studies", "screen_identities"),
    "bursts": ("annotations.bursts", "due_studies", "ask_for_proof"),
    "pass rates": ("annotations.alarms", "studies_with_news", "watch_pass_rates"),
    "boards": ("scoring.boards.refit", "due_studies", "refit_board"),
    "standings": ("scoring.boards.standings", "due_studies", "move_on"),
    "robustness": ("scoring.boards.robustness_cards", "due_studies", "write_card"),
    "categories": ("scoring.boards.categories", "due_studies", "compute_categories"),
    "figures": ("scoring.boards.figures.data", "due_studies", "draw_figures"),
    "prediction-powered": ("scoring.boards.prediction_powered", "due_studies", "compute_due"),
    "anchors": ("scoring.anchors.refit", "due_studies", "refit_anchors"),
    "groups": ("scoring.screening.coordinated", "due_studies", "screen_groups"),
    "raters": ("scoring.screening.sweep", "due_studies", "screen_if_due"),
}
EXCERPTS = {"tidy": ("arena.serving.spent_excerpts", "due", "tidy")}
EDITIONS = {"editions": ("scoring.boards.explanations", "explain_by_key")}
# Sweeps over claims on rows.
CLAIMS = {"ingest": ("arena.services", "ingest_clip"), "excerpts": ("arena.services", "cut_excerpt")}
# Sweeps that look for their own rows.
WHOLE = {
    "ledger": ("annotations.ledger", "extend"),
    "watch": ("arena.sweeps", "watch"),
    "proxies": ("annotations.proxies", "watch_proxies"),
    "arrivals": ("arena.services", "forget_arrivals"),
    "leftovers": ("arena.services", "tidy"),
    "sign-ins": ("arena.security.forgetting", "forget"),
    "rewards": ("scoring.jury.worker", "score_pending"),
    "score jobs": ("scoring.file_scoring.jobs", "work_off"),
    "erasures": ("scoring.file_scoring.jobs", "erase"),
    "releases": ("scoring.releases.numbered", "release_new_pairs"),
    "retraining": ("scoring.training.retraining", "turn"),
}


class PlantedFailure(Exception):
    pass


class Work:
    """Stands for a sweep's work: it notes the rows, and fails on one of them."""

    def __init__(self, fails_on):
        self.fails_on, self.rows = fails_on, []

    def __call__(self, row=None, **_):
        self.rows.append(getattr(row, "pk", row))
        if self.rows[-1] == self.fails_on:
            raise PlantedFailure("as planned")
        return 0

    def taken(self):
        rows, self.rows = self.rows, []
        return rows


def call(name):
    module, _, task = settings.CELERY_BEAT_SCHEDULE[name]["task"].rpartition(".")
    getattr(import_module(module), task)()


def pause_s(name):
    return max(10, settings.CELERY_BEAT_SCHEDULE[name]["schedule"])


def assert_told_once(name, study=None):
    alarm = Alarm.objects.get()
    assert alarm.study == study and alarm.detail["sweep"] == name
    assert "PlantedFailure: as planned" in alarm.detail["traceback"] and __file__ in alarm.detail["traceback"]


def test_a_failure_is_planted_in_every_sweep_of_the_schedule():
    assert {*STUDIES, *EXCERPTS, *EDITIONS, *CLAIMS, *WHOLE} == set(settings.CELERY_BEAT_SCHEDULE)


@pytest.fixture
def two(study):
    return study, Study.objects.create(slug="next", name="Next")


def fails_on_the_first(name, work, first, second, time_passes):
    """The sweep fails on the first row, does the second, and tries the first again after a pause, then a longer one."""
    call(name)
    assert work.taken() == [first, second], "it went on"
    call(name)
    assert first not in work.taken(), "not again at once"
    time_passes(pause_s(name) + 1)
    call(name)
    assert first in work.taken(), "again after a pause"
    if 2 * pause_s(name) <= sweeps.LONGEST_PAUSE.total_seconds():
        time_passes(pause_s(name) + 1)
        call(name)
        assert first not in work.taken(), "the pause has doubled"
    assert SweepFailure.objects.get().n_failures == 2
    time_passes(pause_s(name) + 1)
    work.fails_on = None
    call(name)
    assert first in work.taken() and not SweepFailure.objects.exists(), "what succeeds is forgotten"
    assert Sweep.objects.get(name=name).finished_at


@pytest.mark.parametrize("name", STUDIES)
def test_a_sweep_goes_on_past_a_study_that_fails(two, name, monkeypatch, time_passes):
    module, due, work_name = STUDIES[name]
    module = import_module(module)
    RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    work = Work(two[0].pk)
    monkeypatch.setattr(module, due, lambda *_: [study.pk for study in two])
    monkeypatch.setattr(module, work_name, work)
    if name == "figures":
        monkeypatch.setattr(module, "figures_are_due", lambda _: True)
    fails_on_the_first(name, work, two[0].pk, two[1].pk, time_passes)
    assert_told_once(name, two[0])


def test_a_sweep_goes_on_past_an_edition_that_fails(study, monkeypatch, time_passes):
    for _ in range(3):
        cast(study, "AB")
        refit_board(study)
    _, first, second = study.editions.order_by("number").values_list("pk", flat=True)
    work = Work(first)
    monkeypatch.setattr("scoring.boards.explanations.explain_by_key", work)
    fails_on_the_first("editions", work, first, second, time_passes)
    assert_told_once("editions", study)


@pytest.mark.parametrize("name", EXCERPTS)
def test_a_sweep_goes_on_past_an_excerpt_that_fails(study, name, monkeypatch, time_passes):
    module, due, work_name = EXCERPTS[name]
    first, second = Excerpt.objects.order_by("pk").values_list("pk", flat=True)[:2]
    work = Work(first)
    monkeypatch.setattr(f"{module}.{due}", lambda: {first: study.pk, second: study.pk})
    monkeypatch.setattr(f"{module}.{work_name}", work)
    fails_on_the_first(name, work, first, second, time_passes)
    assert_told_once(name, study)


@pytest.mark.parametrize("name", CLAIMS)
def test_a_sweep_goes_on_past_a_file_that_fails(db, name, monkeypatch, time_passes):
    system, prompt = System.objects.create(name="alder"), Prompt.objects.create(text="rock")
    rows = [Clip.objects.create(system=system, prompt=prompt, sha256=str(n), original="none") for n in range(2)]
    if name == "excerpts":
        rows = [Excerpt.objects.create(clip=clip, length_ms=1000, codec="mp3") for clip in rows]
    work = Work(rows[0].pk)
    monkeypatch.setattr(import_module(CLAIMS[name][0]), CLAIMS[name][1], work)
    call(name)
    assert work.taken() == [row.pk for row in rows]
    type(rows[0]).objects.update(claimed_until=None)
    call(name)
    assert work.taken() == [rows[1].pk], "it would be free, and has failed"
    time_passes(pause_s(name) + 1)
    type(rows[0]).objects.update(claimed_until=None)
    call(name)
    assert rows[0].pk in work.taken()
    assert SweepFailure.objects.get().n_failures == 2
    assert_told_once(name)


@pytest.mark.parametrize("name", WHOLE)
def test_a_sweep_that_fails_as_a_whole_pauses_and_begins_again(db, name, monkeypatch, time_passes):
    work = Work(None)
    monkeypatch.setattr(import_module(WHOLE[name][0]), WHOLE[name][1], lambda *_, **__: failing())
    state = {"fails": True}

    def failing():
        work(len(work.rows))
        if state["fails"]:
            raise PlantedFailure("as planned")
        return 0

    call(name)
    call(name)
    assert len(work.taken()) == 1, "not again at once"
    time_passes(pause_s(name) + 1)
    call(name)
    assert len(work.taken()) == 1
    assert Sweep.objects.get(name=name).n_failures == 2
    assert_told_once(name)
    time_passes(2 * pause_s(name) + 1)
    state["fails"] = False
    call(name)
    row = Sweep.objects.get(name=name)
    assert (row.n_failures, row.next_try_at) == (0, None) and row.finished_at >= timezone.now() - timedelta(seconds=60)
    assert "as planned" in row.error, "staff can still read what it was"

"""When a study is screened, by whom and at what cost: one look at the end, one worker, and no failure in silence."""

import threading
from datetime import timedelta
from random import Random

import pytest
from django.db import connection
from django.utils import timezone

from annotations import ledger, quality
from annotations.models import Alarm, Reliability, Screening, Vote
from annotations.services import withdraw_rater
from arena.models import Battle, Rater, Study, System
from scoring import tasks
from scoring.boards.refit import board_is_due, refit_board
from scoring.models import QualityReport
from scoring.screening import answers as rater_answers
from scoring.screening import sweep as screening
from scoring.screening.sweep import screen_study, screening_is_due
from tests.casts.screening import flagged, listens, rate

LATER = timedelta(days=7)


@pytest.fixture
def people(study):
    """Fourteen who listen, and six who toss coins, which only the look at the end can tell."""
    rng, began = Random(11), timezone.now() - timedelta(minutes=30)
    for _ in range(14):
        rate(study, 36, listens(rng), rng, began=began)
    for _ in range(6):
        rate(study, 36, lambda _: rng.choice("AB"), rng, began=began)
    ledger.catch_up()


def close(study):
    Study.objects.filter(pk=study.pk).update(is_open=False)
    study.refresh_from_db()


def failed():
    return set(Screening.objects.filter(result="fail").values_list("rater", flat=True))


def break_the_rules(monkeypatch, error="no rule today"):
    def broken(*_, **__):
        raise ValueError(error)

    monkeypatch.setattr(quality, "screen", broken)


# ---- the look at the end ----


def test_the_look_at_the_end_is_taken_though_no_more_votes_come_and_only_once(study, people):
    now = timezone.now()
    screen_study(study, now)
    before = flagged(study)
    assert not screening_is_due(study, now + timedelta(hours=1))
    assert screening_is_due(study, now + LATER), "they have been silent for a day"
    screen_study(study, now + LATER)
    assert flagged(study) > before
    assert not screening_is_due(study, now + 2 * LATER)


def test_who_was_caught_by_the_look_at_the_end_stays_out_of_the_board_that_others_are_judged_by(
    study,
    people,
    monkeypatch,
):
    close(study)
    screen_study(study)
    caught, seen = failed(), []
    real = quality.screen

    def watched(*args, **options):
        seen.append(real(*args, **options))
        return seen[-1]

    monkeypatch.setattr(quality, "screen", watched)
    screen_study(study)
    assert caught and failed() == caught == flagged(study)
    assert int(seen[0].flagged.sum()) == len(caught)


def test_an_outage_forgets_no_look_and_is_tried_again(study, people, monkeypatch):
    close(study)
    now = timezone.now()
    screen_study(study, now)
    with monkeypatch.context() as patch:
        break_the_rules(patch)
        screen_study(study, now + LATER)
    assert set(Screening.objects.values_list("result", flat=True)) == {"unknown"}
    assert Screening.objects.filter(looked_at_end=True).count() == 20
    first = failed()
    screen_study(study, now + 2 * LATER)
    assert failed() > first and failed() == flagged(study)


def test_after_an_outage_a_study_is_due_again_but_not_at_once(study, people, monkeypatch):
    now = timezone.now()
    break_the_rules(monkeypatch)
    screen_study(study, now)
    assert not screening_is_due(study, now + screening.EVERY)
    assert screening_is_due(study, now + screening.AFTER_OUTAGE)


def test_nobody_has_finished_while_a_check_is_still_to_come(study):
    study.blocks, study.block_length, study.golds, study.repeats = 1, 10, 3, 3
    study.save()
    rate(study, 10, listens(Random(2)), Random(2), began=timezone.now() - timedelta(minutes=5))
    ledger.catch_up()
    (answers,) = rater_answers.standing(study, ledger.head())
    assert not rater_answers.is_through(answers, study)
    study.golds = study.repeats = 0
    study.save()
    assert rater_answers.is_through(answers, study)


# ---- cost ----


def test_who_has_not_voted_since_is_not_judged_again_while_the_board_stays(study, people, monkeypatch):
    now = timezone.now()
    screen_study(study, now)
    rng = Random(3)
    newcomer = rate(study, 3, listens(rng), rng, began=now)
    ledger.catch_up()
    judged = []
    real = quality.screen
    monkeypatch.setattr(
        quality, "screen", lambda *args, **options: judged.append(options["judged"]) or real(*args, **options)
    )
    monkeypatch.setattr(screening, "MOVED", 9.0)
    screen_study(study, now)
    assert judged[0].sum() == 1
    assert Screening.objects.get(rater=newcomer).n_votes == 3


def test_a_costly_study_is_screened_less_often(study, raters):
    report = screen_study(study)
    assert report.report["seconds"] > 0
    report.report["seconds"] = 60
    assert screening._pause(report) == timedelta(minutes=20)


# ---- failures ----


def test_verdicts_stand_and_an_alarm_rings_where_the_agreement_cannot_be_computed(
    study,
    raters,
    monkeypatch,
):
    def broken(*_):
        raise MemoryError("too large")

    monkeypatch.setattr(quality, "krippendorff", broken)
    report = screen_study(study)
    assert flagged(study) == {raters[1].pk}
    assert report.report["krippendorff_alpha"]["reason"] == "too large"
    assert "too large" in Alarm.objects.get().message


def test_one_study_that_cannot_be_screened_does_not_stop_the_next(study, raters, monkeypatch):
    before = Study.objects.create(slug="before", name="Before", pk=study.pk - 1 or 10**6)
    monkeypatch.setattr(screening, "due_studies", lambda: [before.pk, study.pk])
    real = screening.screening_is_due

    def broken(one, *args):
        if one.pk != study.pk:
            raise RuntimeError("no such rows")
        return real(one, *args)

    monkeypatch.setattr(screening, "screening_is_due", broken)
    tasks.screen_raters()
    assert flagged(study) == {raters[1].pk}
    assert "no such rows" in Alarm.objects.get().message


def test_a_study_with_only_imported_votes_has_an_empty_report_and_is_not_read_again(study):
    rater = Rater.objects.create(kind="imported")
    a, b = System.objects.all()[:2]
    now = timezone.now()
    battle = Battle.objects.create(
        study=study, kind="imported", rater=rater, system_a=a, system_b=b, served_at=now, closed_at=now,
        close_reason="voted", external_id="1",
    )  # fmt: skip
    Vote.objects.create(battle=battle, rater=rater, preference="A", received_at=now)
    ledger.catch_up()
    assert screening_is_due(study)
    assert screen_study(study).report["raters"] == 0
    assert not screening_is_due(study, now + LATER)


def test_a_study_where_everything_is_bad_has_a_report_too(study):
    rate(study, 20, lambda _: "BOTH_BAD", Random(1))
    ledger.catch_up()
    report = screen_study(study).report
    assert (report["raters"], report["board"], report["rules"]) == (1, {}, {})
    assert not screening_is_due(study, timezone.now() + LATER)


# ---- at the same time ----


def test_a_withdrawal_while_raters_are_judged_leaves_no_screening(study, raters, monkeypatch):
    real, (_, bad) = quality.screen, raters

    def meanwhile(*args, **options):
        withdraw_rater(bad)
        return real(*args, **options)

    monkeypatch.setattr(quality, "screen", meanwhile)
    screen_study(study)
    assert not Screening.objects.filter(rater=bad).exists()
    assert Screening.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_while_one_worker_screens_a_study_another_passes_on(study, raters, monkeypatch):
    real, second = quality.screen, []

    def other_worker():
        try:
            second.append(screen_study(study))
        finally:
            connection.close()

    def meanwhile(*args, **options):
        worker = threading.Thread(target=other_worker)
        worker.start()
        worker.join(timeout=20)
        return real(*args, **options)

    monkeypatch.setattr(quality, "screen", meanwhile)
    assert screen_study(study, only_if_due=True)
    assert second == [None]
    assert screen_study(study, only_if_due=True) is None, "it has just been done"
    assert QualityReport.objects.count() == 1


# ---- what boards make of it ----


def test_new_reliabilities_and_new_settings_make_a_board_due(study, people):
    Study.objects.update(weight_by_reliability=True)
    study.refresh_from_db()
    later = refit_board(study).created_at + timedelta(minutes=1)
    assert not board_is_due(study, later)
    screen_study(study)
    assert Reliability.objects.exists(), "flags have no place in the ledger yet"
    assert board_is_due(study, later)
    later = refit_board(study).created_at + timedelta(minutes=1)
    assert not board_is_due(study, later)
    Study.objects.update(exclude_flagged=False)
    study.refresh_from_db()
    assert board_is_due(study, later)

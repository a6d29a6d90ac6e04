"""Raters are judged by what they answer; what is found is flagged, never deleted, and an outage excludes nobody."""

from datetime import timedelta
from random import Random

from django.utils import timezone

from annotations import identity, ledger, quality
from annotations.alarms import watch_pass_rates
from annotations.models import Alarm, Flag, Reliability, Screening, Vote
from annotations.services import Answer, cast_vote, clear, flag, withdraw_rater
from arena.models import Battle, Participation, Study
from arena.services import give_consent
from arena.serving import serve_battle
from scoring.boards.exclusions import exclusions
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.screening.sweep import screen_study, screening_is_due
from scoring.stats import board_method
from tests.casts.screening import HEARD, contrary, flagged, listens, rate


def test_a_rater_who_contradicts_everybody_is_flagged_with_rule_and_version_and_the_good_ones_are_not(study, raters):
    _, bad = raters
    report = screen_study(study)
    assert flagged(study) == {bad.pk}
    assert Vote.objects.count() == 11 * 24, "nothing is deleted"
    assert set(Flag.objects.values_list("rule", flat=True)) <= set(quality.RULES)
    assert Flag.objects.filter(vote__rater=bad).values("vote").distinct().count() == 24
    assert report.report["results"] == {"fail": 1, "pass": 10}


def test_the_board_leaves_flagged_votes_out_by_reason_and_an_admin_may_count_them_after_all(study, raters):
    _, bad = raters
    before = refit_board(study)
    screen_study(study)
    ledger.catch_up()
    after = refit_board(study)
    (reason,) = after.excluded
    assert (before.n_votes, after.n_votes, after.excluded[reason]) == (264, 240, 24)
    assert Flag.objects.filter(rule=reason).count() == 24

    clear(Vote.objects.filter(rater=bad), by="ada")
    ledger.catch_up()
    assert refit_board(study).n_votes == 264
    assert [rebuild_edition(edition) for edition in (before, after)] == [
        board_method.canonical_json(edition.result) for edition in (before, after)
    ], "old editions are what they were"


def test_a_study_may_count_flagged_votes(study, raters):
    screen_study(study)
    ledger.catch_up()
    Study.objects.update(exclude_flagged=False)
    study.refresh_from_db()
    assert refit_board(study).n_votes == 264


def test_what_a_rater_was_flagged_for_holds_for_their_later_votes_until_a_person_clears_them(study, raters):
    _, bad = raters
    screen_study(study)
    rules = set(Flag.objects.values_list("rule", flat=True))
    battle, _ = serve_battle(bad, study)
    later = timezone.now() + timedelta(seconds=10)
    vote, _ = cast_vote(bad, battle.pk, Answer("A", HEARD, first_played="A"), "later", now=later)
    ledger.catch_up()
    screen_study(study)
    assert set(vote.flags.values_list("rule", flat=True)) >= rules


def test_a_person_clears_all_votes_of_a_rater_who_is_not_flagged_again(study, raters):
    _, bad = raters
    screen_study(study)
    flags = Flag.objects.count()
    assert clear(Vote.objects.filter(rater=bad)[:1], by="ada") == 24
    battle, _ = serve_battle(bad, study)
    vote, _ = cast_vote(
        bad, battle.pk, Answer("A", HEARD, first_played="A"), "on", timezone.now() + timedelta(seconds=9)
    )
    ledger.catch_up()
    screen_study(study)
    assert (Flag.objects.count(), vote.flags.count()) == (flags + 24, 0)
    assert Screening.objects.get(rater=bad).result == "pass"
    assert refit_board(study).n_votes == 265


def test_clearing_what_no_quality_rule_has_flagged_does_nothing(study, raters):
    _, bad = raters
    vote = Vote.objects.filter(rater=bad).first()
    flag(vote, Flag.LATE, 1)
    assert clear([vote], by="ada") == 0
    screen_study(study)
    assert flagged(study) == {bad.pk}


def test_the_report_says_how_well_raters_agree(study, raters):
    report = screen_study(study).report
    alpha = report["krippendorff_alpha"]
    assert -1 <= alpha["low"] < alpha["value"] < alpha["high"] <= 1
    assert report["intra_rater"]["value"] is None and report["intra_rater"]["reason"]


def test_reliability_is_written_down_once_and_weighs_votes_where_the_study_says_so(study, raters):
    good, bad = raters
    screen_study(study)
    skill = dict(Reliability.objects.values_list("rater", "skill"))
    assert min(skill[rater.pk] for rater in good) > skill[bad.pk]
    screen_study(study)
    assert Reliability.objects.count() == 11, "what has not moved is not written again"

    Study.objects.update(exclude_flagged=False)
    study.refresh_from_db()
    plain = refit_board(study)
    Study.objects.update(weight_by_reliability=True)
    study.refresh_from_db()
    weighted = refit_board(study)
    assert weighted.config["reliability"] == Reliability.objects.latest("pk").pk
    best = [edition.result["groups"][0][0]["rating"] for edition in (plain, weighted)]
    assert best[1] > best[0], "the contrary rater pulls less"
    assert rebuild_edition(weighted) == board_method.canonical_json(weighted.result)


def test_an_outage_of_the_rules_is_unknown_and_rings_an_alarm(study, raters, monkeypatch):
    def broken(*_, **__):
        raise ValueError("no rule today")

    monkeypatch.setattr(quality, "screen", broken)
    report = screen_study(study)
    assert report.report == {"outage": "no rule today"}
    assert set(Screening.objects.values_list("result", flat=True)) == {"unknown"}
    assert not Flag.objects.exists()
    assert "no rule today" in Alarm.objects.get().message


def test_screening_waits_for_new_votes(study, raters):
    assert screening_is_due(study)
    screen_study(study)
    tomorrow = timezone.now() + timedelta(days=1)
    assert not screening_is_due(study, tomorrow)
    battle, _ = serve_battle(raters[0][0], study)
    cast_vote(raters[0][0], battle.pk, Answer("A", HEARD, first_played="A"), "more", now=tomorrow)
    ledger.catch_up()
    assert not screening_is_due(study), "it has just run"
    assert screening_is_due(study, tomorrow)


def test_a_study_without_votes_has_no_report(study):
    assert screen_study(study) is None


# ---- the public ledger of exclusions ----


def test_exclusions_are_public_by_reason_and_name_no_rater(study, raters, client):
    _, bad = raters
    screen_study(study)
    ledger.catch_up()
    found = client.get("/api/exclusions/", {"study": "open"}).json()
    assert {(rule["votes"], rule["raters"], rule["excludes"]) for rule in found["rules"]} == {(24, 1, True)}
    assert len(found["flags"]) == min(100, Flag.objects.count())
    page = client.get("/boards/open/exclusions/").content.decode()
    assert "24" in page and str(bad.pk) not in page


def test_exclusions_say_what_the_last_edition_leaves_out_not_what_the_settings_would(study, raters):
    screen_study(study)
    ledger.catch_up()
    refit_board(study)
    Study.objects.update(exclude_flagged=False)
    study.refresh_from_db()
    assert all(rule["excludes"] for rule in exclusions(study)["rules"])
    refit_board(study)
    assert not any(rule["excludes"] for rule in exclusions(study)["rules"])


def test_exclusions_are_paged(study, raters):
    for number, rule in enumerate(("late", "one", "two", "three", "four")):
        for vote in Vote.objects.filter(rater=raters[0][number]):
            Flag.objects.create(vote=vote, rule=rule, rule_version=1, created_at=timezone.now())
    ledger.catch_up()
    first = exclusions(study)
    second = exclusions(study, first["next_before"])
    assert (len(first["flags"]), len(second["flags"]), second["next_before"]) == (100, 20, None)
    assert len({flag["seq"] for flag in first["flags"] + second["flags"]}) == 120


# ---- who is who ----


def test_many_alike_from_one_connection_at_a_programs_pace_are_flagged_and_a_classroom_is_not(study):
    rng, now = Random(1), timezone.now()
    came = {"began": now - timedelta(minutes=30), "connection": "same"}
    by_number = lambda battle: "A" if battle.clip_a_id < battle.clip_b_id else "B"  # noqa: E731
    bots = [rate(study, 36, by_number, rng, pace_s=8.5, hesitates_ms=50, **came) for _ in range(3)]
    honest = rate(study, 36, listens(rng), rng, **came)
    results = identity.screen_identities(study)
    assert results == {**{bot.pk: "fail" for bot in bots}, honest.pk: "pass"}
    assert set(Flag.objects.values_list("rule", "vote__rater")) == {("risk", bot.pk) for bot in bots}


def test_a_rater_whose_connection_is_not_known_is_unknown(study):
    rater = rate(study, 3, contrary, Random(2), began=timezone.now() - timedelta(minutes=10))
    assert identity.screen_identities(study) == {rater.pk: "unknown"}
    assert not Flag.objects.exists()


def test_a_screen_of_identities_that_fails_is_unknown_and_rings(study, monkeypatch):
    def broken(**_):
        raise ValueError("no arrivals today")

    monkeypatch.setattr(quality, "risk", broken)
    rater = rate(study, 3, contrary, Random(2), began=timezone.now() - timedelta(minutes=10))
    assert identity.screen_identities(study) == {rater.pk: "unknown"}
    assert "no arrivals today" in Alarm.objects.get().message


def test_who_has_withdrawn_is_not_screened_and_nothing_of_theirs_comes_back(study):
    rater = rate(study, 3, contrary, Random(2), began=timezone.now() - timedelta(minutes=10))
    withdraw_rater(rater)
    assert identity.screen_identities(study) == {}
    assert not Screening.objects.exists()


def test_a_withdrawal_while_identities_are_screened_leaves_nothing(study, monkeypatch):
    rater = rate(study, 3, contrary, Random(2), began=timezone.now() - timedelta(minutes=10))
    real = quality.risk

    def meanwhile(**facts):
        withdraw_rater(rater)
        return real(**facts)

    monkeypatch.setattr(quality, "risk", meanwhile)
    identity.screen_identities(study)
    assert not Screening.objects.exists()


def test_a_twin_is_found_beside_a_stranger_who_agreed_once(study):
    rng = Random(1)
    came = {"began": timezone.now() - timedelta(minutes=30), "connection": "same"}
    by_number = lambda battle: "A" if battle.clip_a_id < battle.clip_b_id else "B"  # noqa: E731
    answered = iter(range(36))
    nearly = lambda battle: by_number(battle) if next(answered) else contrary(battle)  # noqa: E731
    twins = [rate(study, 36, by_number, rng, **came), rate(study, 36, nearly, rng, **came)]
    stranger = rate(study, 1, by_number, rng, **came)
    identity.screen_identities(study)
    signals = dict(Screening.objects.values_list("rater", "detail"))
    assert all("twins" in signals[twin.pk] for twin in twins) and "twins" not in signals[stranger.pk]


# ---- alarms ----


def test_an_alarm_rings_once_when_a_pass_rate_moves(study):
    now = timezone.now()
    for number in range(120):
        recent = number >= 60
        rater = give_consent(None, study, 1, now=now - timedelta(hours=3 if recent else 72))
        Participation.objects.filter(rater=rater).update(headphones="fail" if recent and number % 3 else "pass")
    (alarm,) = watch_pass_rates(study)
    assert alarm.screen == "headphones" and "33%" in alarm.message
    assert watch_pass_rates(study) == [], "one alarm a day is enough"


def test_no_alarm_rings_while_pass_rates_stay(study):
    now = timezone.now()
    for number in range(40):
        rater = give_consent(None, study, 1, now=now - timedelta(hours=3 if number % 2 else 72))
        Participation.objects.filter(rater=rater).update(headphones="fail" if number % 8 < 2 else "pass")
    assert watch_pass_rates(study) == []
    assert not Battle.objects.exists()


def test_an_alarm_rings_when_a_screen_no_longer_finds_results(study):
    now = timezone.now()
    for number in range(80):
        recent = number >= 40
        Screening.objects.create(
            rater=give_consent(None, study, 1), study=study, screen="risk", version=1, n_votes=20,
            result="unknown" if recent else "pass", at=now - timedelta(hours=2 if recent else 72),
        )  # fmt: skip
    (alarm,) = watch_pass_rates(study)
    assert "0% had a result" in alarm.message


def test_an_admin_sees_how_well_raters_agree(study, raters, admin_client):
    report = screen_study(study).report
    page = admin_client.get("/admin/scoring/qualityreport/").content.decode()
    assert f"{report['krippendorff_alpha']['value']:.2f} [" in page
    assert "1 fail, 10 pass" in page
    assert report["intra_rater"]["reason"] in page

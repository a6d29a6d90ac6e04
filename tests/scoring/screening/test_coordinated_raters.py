"""Raters who came together and vote for one system are flagged together; honest company is not."""

from datetime import timedelta
from random import Random

import pytest
from django.utils import timezone

from annotations import ledger, quality
from annotations.models import Alarm, Flag, Vote
from annotations.services import clear, withdraw_rater
from arena.limits import Marks
from arena.services import give_consent
from scoring.boards.exclusions import exclusions
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.models import GroupScreening
from scoring.screening import coordinated
from scoring.screening.sweep import screen_study
from scoring.stats import board_method
from tests.casts.screening import flagged, listens, rate


def votes_for(name, rng):
    """For the system whenever it is there, and honestly otherwise."""
    honest = listens(rng)

    def decide(battle):
        if name in (battle.system_a.name, battle.system_b.name):
            return "A" if battle.system_a.name == name else "B"
        return honest(battle)

    return decide


@pytest.fixture
def attacked(study):
    """Fourteen who listen, each at home, and forty behind one address who vote for the worst system."""
    rng = Random(3)
    good = [rate(study, 20, listens(rng), rng, connection=f"home {number}") for number in range(14)]
    bad = [rate(study, 6, votes_for("elder", rng), rng, connection="hall") for _ in range(40)]
    ledger.catch_up()
    return good, bad


def test_raters_of_one_connection_who_vote_for_one_system_are_flagged_and_nobody_else(study, attacked):
    good, bad = attacked
    screening = coordinated.screen_groups(study)
    found = flagged(study)
    assert not found & {rater.pk for rater in good}
    assert len(found) > 0.8 * len(bad)
    flags = Flag.objects.all()
    assert set(flags.values_list("rule", "rule_version")) == {(quality.COORDINATED, 1)}
    assert flags.count() == 6 * len(found), "all votes of theirs"
    assert {one["system"] for one in screening.findings} == {"elder"}
    assert flags[0].detail["direction"] == "for"


def test_the_finding_is_in_the_ledger_on_the_page_of_exclusions_and_off_the_board(study, attacked):
    before = refit_board(study)
    coordinated.screen_groups(study)
    ledger.catch_up()
    after = refit_board(study)
    n_flags = Flag.objects.count()
    assert after.excluded == {"coordinated": n_flags}
    (rule,) = exclusions(study)["rules"]
    assert (rule["rule"], rule["votes"], rule["excludes"]) == ("coordinated", n_flags, True)
    assert after.result["groups"][0][-1]["system"] == "elder"
    wins = [{row["system"]: row["wins"] for row in edition.result["groups"][0]} for edition in (before, after)]
    assert wins[1]["elder"] < wins[0]["elder"] / 2
    for edition in (before, after):
        assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_a_second_look_changes_nothing_and_is_due_only_with_new_votes(study, attacked):
    coordinated.screen_groups(study)
    n_flags = Flag.objects.count()
    later = timezone.now() + timedelta(hours=1)
    assert study.pk not in coordinated.due_studies(later)
    coordinated.screen_groups(study)
    assert Flag.objects.count() == n_flags
    rng = Random(4)
    rate(study, 6, votes_for("elder", rng), rng, connection="hall")
    ledger.catch_up()
    assert study.pk in coordinated.due_studies(later)
    assert study.pk not in coordinated.due_studies(timezone.now() - timedelta(minutes=1)), "it has just been judged"
    coordinated.screen_groups(study)
    assert Flag.objects.count() == n_flags + 6


def test_whom_a_person_has_cleared_is_not_flagged_again(study, attacked):
    coordinated.screen_groups(study)
    one = Flag.objects.order_by("pk")[0].vote.rater
    clear(Vote.objects.filter(rater=one), by="ada")
    ledger.catch_up()
    rng = Random(4)
    rate(study, 6, votes_for("elder", rng), rng, connection="hall")
    ledger.catch_up()
    coordinated.screen_groups(study)
    ledger.catch_up()
    assert refit_board(study).n_votes == 14 * 20 + 6 + 6 * (40 - (len(flagged(study)) - 1))


def test_the_other_screen_keeps_the_flags_and_its_own_peace(study, attacked):
    good, _ = attacked
    coordinated.screen_groups(study)
    ledger.catch_up()
    screen_study(study)
    assert not flagged(study) & {rater.pk for rater in good}


def test_staff_are_told_once(study, attacked):
    for _ in range(2):
        coordinated.screen_groups(study)
    (alarm,) = Alarm.objects.all()
    assert alarm.screen == "coordinated" and "vote for elder" in alarm.message


def test_withdrawn_votes_and_unknown_connections_are_no_evidence(study):
    rng = Random(3)
    for number in range(14):
        rate(study, 20, listens(rng), rng, connection=f"home {number}")
    unknown = [rate(study, 6, votes_for("elder", rng), rng) for _ in range(20)]
    gone = [rate(study, 6, votes_for("elder", rng), rng, connection="hall") for _ in range(20)]
    ledger.catch_up()
    for rater in gone:
        withdraw_rater(rater)
    ledger.catch_up()
    coordinated.screen_groups(study)
    assert not Flag.objects.filter(rule="coordinated").exists()
    assert not Flag.objects.filter(vote__rater__in=unknown).exists()


def test_a_study_without_votes_that_count_has_no_findings(study):
    give_consent(None, study, 1, came_by=Marks("a", "b", "c"))
    assert coordinated.screen_groups(study).findings == []
    assert GroupScreening.objects.get().ledger_seq == 0

"""One network decides only so much of a board, whatever it sends, and old editions stay what they were."""

import pytest

from annotations import ledger
from annotations.services import withdraw_rater
from arena.limits import Marks
from arena.services import give_consent
from scoring import inputs
from scoring.boards import standings
from scoring.boards.refit import rebuild_edition, refit_board
from scoring.models import Edition
from scoring.stats import board_method
from tests.casts.votes import cast


def comes(study, place):
    return give_consent(None, study, study.consent_version, came_by=Marks(place, f"around {place}", f"{place} and fox"))


@pytest.fixture
def crowded(study):
    """One rater each over eleven connections, and six over one more, with a vote each."""
    for number in range(11):
        cast(study, "A", comes(study, f"home {number}"))
    for _ in range(6):
        cast(study, "B", comes(study, "hall"))
    return study


def test_a_crowded_network_counts_less_and_the_edition_says_so(crowded):
    edition = refit_board(crowded)
    (network,) = edition.result["influence"]["capped"]
    assert edition.method_version == 3
    assert (network["network"], network["votes"], network["raters"]) == (11, 6, 6)
    assert network["counts_as"] < network["share"] == pytest.approx(6 / 17, abs=1e-6)
    assert edition.result["influence"]["busiest"]["connection"] == 11
    assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_editions_rebuild_after_those_who_were_capped_have_gone_and_others_have_come(crowded):
    first = refit_board(crowded)
    for rater in list(crowded.participations.values_list("rater", flat=True)[:14]):
        withdraw_rater(crowded.participations.model.objects.filter(rater=rater)[0].rater)
    cast(crowded, "AB", comes(crowded, "hall"))
    cast(crowded, "A", comes(crowded, "elsewhere"))
    ledger.catch_up()
    second = refit_board(crowded)
    for edition in (first, second):
        assert rebuild_edition(edition) == board_method.canonical_json(edition.result)


def test_editions_of_version_2_rebuild_without_a_cap(crowded):
    edition = refit_board(crowded)
    config = {name: value for name, value in edition.config.items() if name != "influence"}
    votes = inputs.board_votes(crowded, edition.ledger_seq, config)
    old = Edition.objects.create(
        study=crowded, number=2, method="bradley-terry", method_version=2, config=config,
        ledger_seq=edition.ledger_seq, input_hash=votes.input_hash, n_votes=edition.n_votes,
        excluded=edition.excluded, result=board_method.compute(votes, config), created_at=edition.created_at,
    )  # fmt: skip
    assert "influence" not in old.result
    assert old.result != edition.result
    assert old.input_hash != edition.input_hash
    assert rebuild_edition(old) == board_method.canonical_json(old.result)


def test_a_board_with_a_cap_has_no_preview_and_one_without_has(crowded, study):
    edition = refit_board(crowded)
    assert standings.move_on(crowded) is None
    cast(crowded, "A", comes(crowded, "hall"))
    assert standings.since(edition) is None


def test_the_preview_ends_where_new_votes_may_reach_the_cap(study):
    for number in range(30):
        cast(study, "A", comes(study, f"home {number}"))
    edition = refit_board(study)
    assert edition.result["influence"]["capped"] == []
    cast(study, "A", comes(study, "home 30"))
    standings.move_on(study)
    assert standings.since(edition)["n_votes"] == 31
    for _ in range(4):
        cast(study, "A", comes(study, "hall"))
    standings.move_on(study)
    assert standings.since(edition) is None

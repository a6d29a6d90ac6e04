"""What the owner of the tables could do without their constraints too, and values that no code writes."""

import pytest

from annotations import ledger, ledger_heads
from annotations.services import withdraw_rater
from tests.casts.tampering import THIRD, cast, finds, recompute, six_entries, tamper, verify, without_constraints


@pytest.fixture
def votes(study, rater):
    return six_entries(study, rater)


def test_an_entry_below_the_first_is_found_though_boards_would_count_it(study, rater, votes):
    cast(study, rater)
    without_constraints()
    tamper("UPDATE annotations_ledger SET seq = -1, digest = 'x' WHERE seq IS NULL")
    finds(r"Entry -1 \(vote \d+\) has a number below 1")


def test_an_entry_far_beyond_the_last_is_found_at_once(study, rater, votes):
    cast(study, rater)
    tamper("UPDATE annotations_ledger SET seq = 9e18, digest = 'x' WHERE seq IS NULL")
    finds("Entries 7 to 8999999999999999999 are missing")


def test_a_vote_that_is_entered_twice_is_found_though_the_chain_holds(votes):
    without_constraints()
    tamper(
        "INSERT INTO annotations_ledger (study_id, vote_id, digest) SELECT study_id, vote_id, '' "
        "FROM annotations_ledger WHERE seq = 3"
    )
    ledger.extend()
    finds(f"1 votes with several entries in the ledger: {votes[2].pk}")


def test_two_entries_of_one_number_are_found(votes):
    without_constraints()
    tamper("UPDATE annotations_ledger SET seq = 3 WHERE seq = 4")
    finds(r"Entry 3 \(vote \d+\) has a number below 1, or one that another entry has(.|\n)*Entries 4 to 4 are missing")


def test_a_second_vote_on_a_battle_is_found(votes):
    without_constraints()
    columns = "rater_id, preference, degree, axes, tags, heard, first_played, received_at"
    tamper(
        "ALTER TABLE annotations_vote ENABLE TRIGGER vote_enters_ledger",
        f"INSERT INTO annotations_vote (battle_id, {columns}) SELECT battle_id, {columns} FROM annotations_vote "
        f"WHERE id = {THIRD}",
    )
    ledger.extend()
    finds("1 battles with several votes")


def test_a_withdrawal_that_is_taken_back_is_found(rater, votes):
    withdraw_rater(rater)
    ledger.extend()
    assert "All 11 entries" in verify()
    tamper(
        "DELETE FROM annotations_ledger WHERE seq > 10",
        "DELETE FROM annotations_flag WHERE id NOT IN (SELECT flag_id FROM annotations_ledger WHERE flag_id > 0)",
    )
    finds("1 votes of raters who withdrew that are not flagged as withdrawn")


@pytest.mark.parametrize(
    "change",
    [
        "received_at = 'infinity'", "received_at = '294276-12-31'", "tags = '5'", "tags = '[1, \"a\"]'",
        "heard = '{\"A\": 1e5000}'", "axes = '[]'", "volume = 'NaN'",
    ],
)  # fmt: skip
@pytest.mark.parametrize("version", [1, 2])
def test_values_that_no_code_writes_are_found_and_named(votes, change, version):
    recompute(version)
    ledger_heads.log_file().unlink()
    tamper(f"UPDATE annotations_vote SET {change} WHERE id = {THIRD}")
    if version == 1 and not change.startswith(("received", "tags", "axes")):
        return  # what version 1 did not cover
    finds(r"Entry 3 \(vote \d+\) does not match its hash")

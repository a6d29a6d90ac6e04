"""Votes read in blocks: the same as joined, however many blocks, and never a vote twice or missing."""

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from annotations import ledger, vote_blocks
from annotations.models import Vote
from annotations.services import flag, withdraw_rater
from arena.models import ANSWERS, Battle
from scoring import inputs
from scoring.stats.clusters import clusters_of
from tests.casts.clips import make_ready
from tests.casts.votes import cast


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(vote_blocks, "SIZE", 3)


def told(records):
    return [
        (int(r["seq"]), int(r["vote"]), bytes(r["rater"]), ANSWERS[r["answer"]], vote_blocks.KINDS[r["kind"]])
        for r in records
    ]


def told_by_the_rows(study):
    votes = Vote.objects.filter(battle__study=study, entry__seq__isnull=False).order_by("entry__seq")
    return [(v.entry.seq, v.pk, v.rater_id.bytes, v.preference, v.battle.kind) for v in votes]


def test_a_record_names_every_kind_of_battle_and_every_answer():
    assert set(vote_blocks.KINDS) == set(Battle.Kind.values)


def test_blocks_and_the_rest_are_read_as_one(study, small):
    for answers in (["A"], ["B", "TIE"], ["BOTH_BAD", "A"], ["A"], ["B", "B"]):
        cast(study, answers)
        assert told(vote_blocks.read(study, ledger.head())) == told_by_the_rows(study)
    assert study.vote_blocks.count() == 2  # of 8 votes
    assert vote_blocks.damaged(study) is None


def test_every_column_is_what_the_battle_says(study, small):
    cast(study, ["A", "B", "TIE", "A"])
    records = vote_blocks.read(study, ledger.head())
    battles = [Vote.objects.get(pk=int(pk)).battle for pk in records["vote"]]
    for name in ("system_a", "system_b", "clip_a", "clip_b", "prompt"):
        assert records[name].tolist() == [getattr(battle, f"{name}_id") for battle in battles]
    for name in ("pair_probability", "eligible_pairs"):
        assert records[name].tolist() == [getattr(battle, name) for battle in battles]
    assert not records["again"].any()


@pytest.mark.parametrize(("after", "up_to"), [(0, 2), (0, 3), (2, 3), (2, 7), (3, 6), (5, 5), (7, 7), (0, 0), (4, 99)])
def test_any_stretch_of_the_ledger_can_be_read(study, small, after, up_to):
    cast(study, "ABAB")
    cast(study, "ABA")
    assert [seq for seq, *_ in told(vote_blocks.read(study, up_to, after))] == list(range(after + 1, min(up_to, 7) + 1))


def test_votes_that_lie_between_those_of_another_study_and_flags_are_not_missed(study, small):
    from arena.models import Study

    other = Study.objects.create(slug="other", name="Other", excerpt_s=10)
    other.systems.set(study.systems.all())
    make_ready(other)
    for answers in ("AB", "BA", "AAB", "B"):
        cast(study, answers)
        flag(Vote.objects.order_by("-pk").first(), "too_fast", 1)
        cast(other, answers)
    for one in (study, other):
        assert told(vote_blocks.read(one, ledger.head())) == told_by_the_rows(one)
        assert one.vote_blocks.count() == 2


def test_votes_of_before_there_were_blocks_are_packed_with_the_next(study, monkeypatch):
    cast(study, "ABABA")
    assert study.vote_blocks.count() == 0
    monkeypatch.setattr(vote_blocks, "SIZE", 2)
    cast(study, "A")
    assert study.vote_blocks.count() == 3
    assert told(vote_blocks.read(study, ledger.head())) == told_by_the_rows(study)


def test_a_block_that_is_added_while_votes_are_read_hides_none(study, monkeypatch):
    cast(study, "ABABA")
    monkeypatch.setattr(vote_blocks, "SIZE", 2)
    swept = []

    def sweep_after_the_blocks_were_read(execute, sql, params, many, context):
        found = execute(sql, params, many, context)
        if not swept and "annotations_voteblock" in sql:
            swept.append(sql)
            with CaptureQueriesContext(connection):  # a cursor of its own: the answer above stays to be fetched
                vote_blocks.keep(study)
        return found

    with connection.execute_wrapper(sweep_after_the_blocks_were_read):
        read = vote_blocks.read(study, ledger.head())
    assert told(read) == told_by_the_rows(study)
    assert study.vote_blocks.count() == 2


def test_a_long_past_is_packed_some_blocks_at_a_time(study, monkeypatch):
    for _ in range(3):
        cast(study, "ABABAB")
    monkeypatch.setattr(vote_blocks, "SIZE", 2)
    monkeypatch.setattr(vote_blocks, "AT_ONCE", 4)
    for n_blocks in (4, 8, 9, 9):
        vote_blocks.keep(study)
        assert study.vote_blocks.count() == n_blocks
        assert told(vote_blocks.read(study, ledger.head())) == told_by_the_rows(study)


def test_a_block_that_does_not_say_what_the_rows_say_is_found(study, small):
    cast(study, "ABABAB")
    block = study.vote_blocks.last()
    wrong = bytearray(block.records)
    wrong[100] ^= 1
    block.records = bytes(wrong)
    block.save()
    assert vote_blocks.damaged(study) == 4
    with pytest.raises(CommandError, match="open: the block of votes that begins at ledger entry 4"):
        call_command("verify_ledger")


def test_a_block_that_is_gone_is_missed_by_who_checks(study, small):
    for _ in range(2):
        cast(study, "ABABAB")
    study.vote_blocks.all()[1].delete()
    assert vote_blocks.damaged(study) == study.vote_blocks.all()[1].first_seq == 7
    study.vote_blocks.all().delete()
    vote_blocks.keep(study)
    assert vote_blocks.damaged(study) is None
    assert study.vote_blocks.count() == 4


def test_verify_ledger_says_what_it_found_in_order(study, small, capsys):
    cast(study, "ABAB")
    call_command("verify_ledger")
    assert "All 4 entries of the ledger follow from one another." in capsys.readouterr().out
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE annotations_ledger DISABLE TRIGGER ledger_is_numbered_once")
        cursor.execute("UPDATE annotations_ledger SET digest = repeat('0', 64) WHERE seq = 3")
    with pytest.raises(CommandError, match=r"Entry 3 \(vote \d+\) does not match its hash"):
        call_command("verify_ledger")


def test_some_votes_can_be_read_by_their_ids_without_those_that_have_no_place_yet(study, small):
    cast(study, "ABAB")
    votes = list(Vote.objects.order_by("pk"))
    assert told(vote_blocks.read_votes(study, [votes[3].pk, votes[1].pk])) == [
        row for row in told_by_the_rows(study) if row[1] in (votes[1].pk, votes[3].pk)
    ]
    assert vote_blocks.read_votes(study, []).size == 0


def test_a_board_counts_the_same_votes_whatever_the_blocks(study, monkeypatch):
    """Withdrawn and flagged votes included."""
    leaves = cast(study, "ABAB")
    cast(study, ["A", "TIE", "BOTH_BAD", "B"])
    flag(Vote.objects.order_by("-pk").first(), "too_fast", 1)
    withdraw_rater(leaves)
    ledger.catch_up()
    joined = inputs.study_votes(study, ledger.head(), ["withdrawn", "too_fast"])
    assert joined.excluded == {"both_bad": 1, "too_fast": 1, "withdrawn": 4}
    monkeypatch.setattr(vote_blocks, "SIZE", 2)
    vote_blocks.keep(study)
    assert study.vote_blocks.count() == 4
    packed = inputs.study_votes(study, ledger.head(), ["withdrawn", "too_fast"])
    assert (packed.input_hash, packed.excluded) == (joined.input_hash, joined.excluded)
    assert packed.outcome.tolist() == joined.outcome.tolist() == [1.0, 0.5]


def test_the_input_hash_is_of_what_the_votes_say_and_why_some_do_not_count(study):
    cast(study, "ABAB")
    hashes = [inputs.study_votes(study, 3).input_hash, inputs.study_votes(study, 4).input_hash]
    flag(Vote.objects.order_by("pk").first(), "too_fast", 1)
    ledger.catch_up()
    hashes.append(inputs.study_votes(study, 5, ["too_fast"]).input_hash)
    assert len(set(hashes)) == 3
    assert inputs.study_votes(study, 5).input_hash == hashes[1]


def test_raters_are_numbered_as_they_come_and_a_vote_without_one_stands_alone():
    ids = [b"b" * 16, bytes(16), b"a" * 16, b"b" * 8 + b"c" * 8, b"b" * 16, bytes(16)]
    assert clusters_of(np.array(ids, dtype="V16")).tolist() == [0, -2, 1, 2, 0, -6]
    assert clusters_of(np.array([], dtype="V16")).tolist() == []


def test_votes_name_their_raters_as_exports_do(study):
    first, second = cast(study, "AB"), cast(study, "A")
    assert inputs.study_votes(study, 3).rater.tolist() == [str(first.pk), str(first.pk), str(second.pk)]


def test_reading_asks_no_more_of_the_database_with_many_blocks(study, small, django_assert_num_queries):
    for _ in range(4):
        cast(study, "ABABAB")
    head = ledger.head()
    with django_assert_num_queries(2):
        vote_blocks.read(study, head)

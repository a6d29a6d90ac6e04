"""What the owner of the tables could do past every trigger, and that `verify_ledger` names it."""

import hashlib
import json

import pytest
from django.db import connection

from annotations import ledger, ledger_heads, ledger_links
from annotations.models import Flag, Ledger, LedgerSeal, Vote
from annotations.services import flag
from arena.models import Battle, Study, System
from tests.casts.tampering import ITS_BATTLE, THIRD, cast, finds, recompute, six_entries, tamper, verify


@pytest.fixture
def votes(study, rater):
    return six_entries(study, rater)


def test_an_honest_ledger_holds(votes):
    assert "All 6 entries" in verify() and "pass through 1 signed head" in verify()


# ---- what was compared, and what was heard ------------------------------------------------------------

SWAPPED = "system_a_id = system_b_id, system_b_id = system_a_id"


@pytest.mark.parametrize(
    "change",
    [
        SWAPPED, "clip_a_id = clip_b_id, clip_b_id = clip_a_id", "prompt_id = (SELECT max(id) + 1 FROM arena_prompt)",
        "kind = 'practice'", "policy = 'again'", "pair_probability = pair_probability / 2", "clip_probability = 0.01",
        "eligible_pairs = 77", "served_at = served_at - interval '1 second'", "rater_id = gen_random_uuid()",
        "length_ms = length_ms + 1", "expected = 'A'",
    ],
)  # fmt: skip
def test_a_changed_battle_is_found(votes, change):
    check = "ALTER TABLE arena_battle DROP CONSTRAINT battle_probability_only_if_drawn, DROP CONSTRAINT "
    rules = "battle_check_expects, DROP CONSTRAINT battle_eligible_only_if_drawn"
    tamper(check + rules, f"UPDATE arena_battle SET {change} WHERE id = {ITS_BATTLE}")
    finds(r"Entry 3 \(vote \d+\) does not match its hash")


@pytest.mark.parametrize(
    "change",
    [
        "preference = 'B'", """heard = '{"A": [[0, 9000]], "B": [[0, 9000]]}'""", "heard_a_ms = 9000", "heard_b_ms = 1",
        "first_played = 'B'", "switches = 9", "first_play_ms = 1", "opened_ms = 1", "decided_ms = 1", "pauses = 1",
        "hidden = 1", "volume = 0.51", "rater_id = gen_random_uuid()", "idempotency_key = 'x'",
        "received_at = received_at + interval '1 microsecond'", "tags = '[\"x\"]'",
    ],
)  # fmt: skip
def test_a_changed_vote_is_found(votes, change):
    tamper(f"UPDATE annotations_vote SET {change} WHERE id = {THIRD}")
    finds(r"Entry 3 \(vote \d+\) does not match its hash")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE arena_clip SET system_id = (SELECT max(id) FROM arena_system)",
        "UPDATE arena_clip SET prompt_id = (SELECT max(id) FROM arena_prompt)",
        "UPDATE arena_prompt SET text = 'Another song'", "UPDATE arena_prompt SET lyrics = 'la'",
        "UPDATE arena_clip SET sha256 = md5(sha256)", "UPDATE arena_study SET is_simulated = true",
        "UPDATE arena_study SET slug = 'renamed'",
    ],
)  # fmt: skip
def test_other_names_and_other_audio_for_what_was_compared_are_found(votes, change):
    tamper("DROP INDEX prompt_once", change)
    finds(r"\(vote \d+\) does not match its hash")


def test_systems_that_swap_their_names_are_found(votes):
    swapped = "CASE name WHEN 'alder ' THEN 'birch' WHEN 'birch ' THEN 'alder' ELSE 'cedar' END"
    tamper("UPDATE arena_system SET name = name || ' '", f"UPDATE arena_system SET name = {swapped}")
    finds(r"\(vote \d+\) does not match its hash")


def test_a_changed_flag_is_found(votes):
    tamper('UPDATE annotations_flag SET detail = \'{"by": "somebody"}\'')
    finds(r"Entry 6 \(flag \d+\) does not match its hash")


def test_entries_moved_between_studies_are_found(votes):
    other = Study.objects.create(slug="other", name="Other")
    tamper(f"UPDATE annotations_ledger SET study_id = {other.pk} WHERE seq = 3")
    finds(rf"Entry 3 \(vote \d+\) is entered for study {other.pk}, and its battle is of another study")


def test_a_battle_that_moves_with_its_entries_is_found(votes):
    other = Study.objects.create(slug="other", name="Other")
    tamper(
        f"UPDATE annotations_ledger SET study_id = {other.pk} WHERE seq = 3",
        f"UPDATE arena_battle SET study_id = {other.pk} WHERE id = {ITS_BATTLE}",
    )
    finds(r"Entry 3 \(vote \d+\) does not match its hash")


# ---- without its other half ---------------------------------------------------------------------------


def test_a_vote_without_an_entry_is_found(study, rater, votes):
    tamper()
    vote = cast(study, rater)
    finds(f"1 votes without an entry in the ledger: {vote.pk}")


def test_a_flag_without_an_entry_is_found(votes):
    tamper()
    late = flag(votes[1], Flag.LATE, 1)
    finds(f"1 flags without an entry in the ledger: {late.pk}")


def test_entries_without_their_vote_or_flag_are_found(votes):
    tamper(f"DELETE FROM annotations_vote WHERE id = {votes[3].pk}", "DELETE FROM annotations_flag")
    finds("1 entries whose vote is gone: 4(.|\n)*1 entries whose flag is gone: 6")


def test_a_vote_that_waits_for_its_number_is_no_finding(study, rater, votes):
    cast(study, rater)
    assert "1 entries wait for their number" in verify()


def test_entries_that_lost_their_number_are_found(votes):
    tamper("UPDATE annotations_ledger SET seq = NULL, digest = '' WHERE seq BETWEEN 3 AND 4")
    finds("Entries 3 to 4 are missing")


# ---- the end, and all of it ---------------------------------------------------------------------------

LAST_THREE = "DELETE FROM annotations_ledger WHERE seq > 3"
ITS_FLAG = "DELETE FROM annotations_flag WHERE id NOT IN (SELECT flag_id FROM annotations_ledger WHERE flag_id > 0)"
ITS_VOTES = "DELETE FROM annotations_vote WHERE id NOT IN (SELECT vote_id FROM annotations_ledger WHERE vote_id > 0)"
ITS_BATTLES = "DELETE FROM arena_battle WHERE id NOT IN (SELECT battle_id FROM annotations_vote)"


def test_the_last_votes_gone_are_found_by_the_battles_that_they_leave(votes):
    tamper(LAST_THREE, ITS_FLAG, ITS_VOTES)
    ledger_heads.log_file().unlink()
    finds("2 battles that were voted on and have no vote")


def test_the_last_votes_gone_with_all_that_refers_to_them_are_found_by_a_signed_head(votes):
    tamper(LAST_THREE, ITS_FLAG, ITS_VOTES, ITS_BATTLES)
    finds("Entries 4 to 6 are gone from the end of the ledger: a head of entry 6 was signed at")


def test_a_head_kept_elsewhere_shows_it_where_the_log_is_gone_too(votes):
    head = ledger_heads.log_file().read_text()
    tamper(LAST_THREE, ITS_FLAG, ITS_VOTES, ITS_BATTLES)
    ledger_heads.log_file().unlink()
    finds(r"heads\.jsonl holds no head, though this arena has a key to sign them: they were taken away")
    (ledger_heads.folder() / "key.pub").rename(ledger_heads.folder() / "kept elsewhere")
    assert "cannot be told" in verify()
    key = (ledger_heads.folder() / "kept elsewhere").read_text().strip()
    finds("Entries 4 to 6 are gone", "--against", head, "--key", key)


def test_truncated_tables_are_found(votes):
    tamper("TRUNCATE annotations_vote, annotations_flag, annotations_ledger CASCADE")
    finds("Entries 1 to 6 are gone(.|\n)*5 battles that were voted on")


def test_a_chain_computed_anew_is_found_by_a_signed_head(votes):
    tamper(f"UPDATE annotations_vote SET preference = 'B' WHERE id = {THIRD}")
    recompute()
    finds(r"Entry 6 is not as it was signed at .*: the ledger was rewritten")


def test_going_back_to_the_older_links_is_found(votes):
    recompute(version=1)
    finds("was signed at")
    tamper("UPDATE annotations_ledger SET link_version = 2 WHERE seq < 4")
    finds(r"Entry 4 \(vote \d+\) is linked by version 1, after entries of version 2")


@pytest.mark.parametrize("table", ["annotations_vote", "annotations_ledger", "arena_battle", "scoring_edition"])
def test_truncate_is_refused(db, table):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE annotations_vote ENABLE TRIGGER vote_is_not_emptied")
        cursor.execute("ALTER TABLE annotations_ledger ENABLE TRIGGER ledger_is_not_emptied")
        cursor.execute("ALTER TABLE arena_battle ENABLE TRIGGER battle_is_not_emptied")
        cursor.execute("ALTER TABLE scoring_edition ENABLE TRIGGER edition_is_not_emptied")
        with pytest.raises(Exception, match=f"{table} is append-only: TRUNCATE refused|append-only"):
            cursor.execute(f"TRUNCATE {table} CASCADE")


def test_every_append_only_table_refuses_to_be_emptied(db):
    """Those whose rows can never be deleted, by a trigger."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT tgrelid::regclass::text, bool_or(tgtype & 32 > 0) "
            "FROM pg_trigger JOIN pg_proc ON tgfoid = pg_proc.oid WHERE proname = 'refuse_change' "
            "GROUP BY 1 HAVING bool_or(tgtype & 8 > 0)"
        )
        tables = dict(cursor.fetchall())
    assert len(tables) > 15
    assert [table for table, refuses in tables.items() if not refuses] == []


# ---- entries from before ------------------------------------------------------------------------------


@pytest.fixture
def old_votes(study, rater):
    """Five votes, linked as they were before version 2; then sealed, with one more behind the seal."""
    votes = [cast(study, rater) for _ in range(5)]
    ledger.extend()
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE annotations_ledger DISABLE TRIGGER ledger_is_numbered_once")
        digest = ledger_links.GENESIS
        for entry in list(ledger_links.numbered(5)):
            digest = old_link(digest, entry.seq, Vote.objects.get(entry__seq=entry.seq))
            cursor.execute(
                "UPDATE annotations_ledger SET digest = %s, link_version = 1 WHERE seq = %s", [digest, entry.seq]
            )
        cursor.execute("ALTER TABLE annotations_ledger ENABLE TRIGGER ledger_is_numbered_once")
    return votes


def old_link(previous, seq, vote):
    """As the project computed it up to version 0.1."""
    content = ["vote", vote.pk, str(vote.battle_id), vote.answer, vote.received_at.isoformat()]
    text = json.dumps([seq, *content], separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(f"{previous}{text}".encode()).hexdigest()


def test_old_hashes_stay_and_one_entry_seals_what_they_left_out(study, rater, old_votes):
    before = list(Ledger.objects.filter(seq__lte=5).values_list("seq", "digest"))
    assert "All 5 entries" in verify()
    assert ledger.extend() == 0  # the seal is no vote
    cast(study, rater)
    assert ledger.extend() == 1
    assert list(Ledger.objects.filter(seq__lte=5).values_list("seq", "digest")) == before
    after = Ledger.objects.filter(seq__gte=6)
    assert [(entry.seq, entry.seal_id is not None, entry.link_version) for entry in after] == [
        (6, True, 2),
        (7, False, 2),
    ]
    assert LedgerSeal.objects.get().through_seq == 5
    assert "All 7 entries" in verify()


@pytest.mark.parametrize(
    "change",
    [f"UPDATE arena_battle SET {SWAPPED} WHERE id = {ITS_BATTLE}",
     f"UPDATE annotations_vote SET heard_a_ms = 9000 WHERE id = {THIRD}"],
)  # fmt: skip
def test_what_old_links_did_not_cover_is_found_once_it_is_sealed(old_votes, change):
    ledger.extend()
    tamper(change)
    finds("Of entries 1 to 5 something was changed after entry 6 sealed them")


def test_what_old_links_covered_is_still_found(old_votes):
    tamper(f"UPDATE annotations_vote SET preference = 'B' WHERE id = {THIRD}")
    finds(r"Entry 3 \(vote \d+\) does not match its hash")


def test_a_seal_that_is_changed_or_taken_away_is_found(study, rater, old_votes):
    ledger.extend()
    cast(study, rater)
    ledger.extend()
    tamper("UPDATE annotations_ledgerseal SET hashes = '[]'")
    finds(r"Entry 6 \(seal \d+\) does not match its hash")
    tamper("DELETE FROM annotations_ledger WHERE seq = 6", "DELETE FROM annotations_ledgerseal",
           "UPDATE annotations_ledger SET seq = 6 WHERE seq = 7")  # fmt: skip
    finds("should seal entries 1 to 5, and does not")


def test_the_tampering_in_these_tests_is_what_it_says(votes):
    """A battle's systems are really swapped, and not refused."""
    before = Battle.objects.get(vote__entry__seq=3)
    tamper(f"UPDATE arena_battle SET {SWAPPED} WHERE id = {ITS_BATTLE}")
    after = Battle.objects.get(pk=before.pk)
    assert (after.system_a_id, after.system_b_id) == (before.system_b_id, before.system_a_id)
    assert System.objects.count() == 3


def test_a_seal_of_another_shape_or_version_is_found(old_votes):
    ledger.extend()
    tamper("UPDATE annotations_ledgerseal SET hashes = '5'")
    finds(r"Entry 6 \(seal \d+\) does not match its hash(.|\n)*Of entries 1 to 5 something was changed")
    tamper("UPDATE annotations_ledger SET link_version = 1 WHERE seq = 6")
    finds(r"Entry 6 \(seal \d+\) does not match its hash")

import threading

import pytest
from django.db import connection, transaction

from annotations import ledger, ledger_audit
from annotations.models import Flag, Ledger
from annotations.services import flag
from arena.locks import Lock, hold
from tests.casts.votes import vote_at_once


def test_every_vote_and_flag_gets_the_next_seq(study, rater):
    first, second = vote_at_once(study, rater), vote_at_once(study, rater)
    flag(first, Flag.WITHDRAWN, 1)
    assert ledger.extend() == 3
    assert list(Ledger.objects.values_list("seq", "vote_id")) == [(1, first.pk), (2, second.pk), (3, None)]
    assert ledger.head() == 3
    third = vote_at_once(study, rater)
    assert ledger.extend() == 1
    assert third.entry.seq == 4


def test_the_chain_of_hashes_holds_and_shows_where_it_was_broken(study, rater):
    for _ in range(4):
        vote_at_once(study, rater)
    ledger.extend()
    assert ledger_audit.audit() == []
    with connection.cursor() as cursor:  # as the owner of the database might
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE annotations_vote DISABLE TRIGGER vote_never_changes")
        third = "(SELECT vote_id FROM annotations_ledger WHERE seq = 3)"
        cursor.execute(f"UPDATE annotations_vote SET preference = 'B' WHERE id = {third}")
    (sentence,) = ledger_audit.audit()
    assert sentence.startswith("Entry 3 ")


@pytest.mark.django_db(transaction=True)
def test_catching_up_waits_for_a_sweep_that_is_at_it(study, rater):
    vote_at_once(study, rater)
    held, go_on = threading.Event(), threading.Event()

    def sweep():
        with transaction.atomic():
            hold(Lock.LEDGER)
            held.set()
            go_on.wait(10)
        connection.close()

    holder = threading.Thread(target=sweep)
    holder.start()
    held.wait(10)
    assert ledger.extend() == 0
    threading.Timer(0.3, go_on.set).start()
    ledger.catch_up()
    holder.join()
    assert ledger.head() == 1


def test_a_numbered_entry_never_changes(study, rater):
    vote_at_once(study, rater)
    ledger.extend()
    with pytest.raises(Exception, match="append-only"):
        Ledger.objects.update(seq=7)


@pytest.mark.django_db(transaction=True)
def test_two_sweeps_at_once_number_nothing_twice(study, rater):
    for _ in range(5):
        vote_at_once(study, rater)
    threads = [threading.Thread(target=sweep) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger.extend()
    assert sorted(Ledger.objects.values_list("seq", flat=True)) == [1, 2, 3, 4, 5]
    assert ledger_audit.audit() == []


def sweep():
    try:
        ledger.extend()
    finally:
        connection.close()

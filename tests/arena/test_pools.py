"""The excerpts of a study are its own: a few of each clip, fresh for each battle, replaced, and deleted when done."""

from datetime import timedelta
from threading import Thread

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from annotations.models import Alarm
from arena import tasks
from arena.models import Battle, Clip, Excerpt, ExcerptRequest, Study
from arena.services import give_consent
from arena.serving import excerpts_due, pools, serve_battle, skip_battle, spent_excerpts
from arena.serving.candidates import SPREAD_MS, clips_by_prompt, common_length
from arena.serving.process_cache import forget
from tests.casts.clips import make_excerpt


def cut_pending(study, of=None):
    """What workers do, without audio: every pending excerpt becomes ready."""
    pending = Excerpt.objects.filter(study=study, status="pending")
    for piece in pending if of is None else pending.filter(clip=of):
        name = default_storage.save(f"excerpts/{piece.pk}.mp3", ContentFile(b"music"))
        Excerpt.objects.filter(pk=piece.pk).update(status="ready", file=name, size=40 * piece.length_ms)
    forget()


@pytest.fixture
def stocked(study):
    """The study with full pools of its own and nothing else."""
    Excerpt.objects.all().delete()
    excerpts_due.request(study)
    cut_pending(study)
    return study


def a_rater(study):
    return give_consent(None, study, 1)


def answered(rater, study):
    battle, _ = serve_battle(rater, study)
    Battle.objects.filter(pk=battle.pk).update(closed_at=timezone.now(), close_reason="voted")
    return battle


def pieces_of(battle):
    return {battle.excerpt_a_id, battle.excerpt_b_id}


# ---- filling ----


def test_a_pool_holds_three_excerpts_that_begin_at_different_places(study):
    Excerpt.objects.all().delete()
    assert excerpts_due.due_studies() == [study.pk]
    excerpts_due.request(study)
    rows = Excerpt.objects.filter(study=study)
    assert rows.count() == 3 * Clip.objects.count() and set(rows.values_list("length_ms", flat=True)) == {10_000}
    starts = list(rows.values_list("start_ms", flat=True))
    assert all(0 <= start <= SPREAD_MS for start in starts) and len(set(starts)) > 10
    assert excerpts_due.due_studies() == []
    assert sorted(rows.values_list("n_before", flat=True)) == [0] * 6 + [1] * 6 + [2] * 6


def test_workers_cut_the_first_excerpt_of_every_clip_before_the_second_of_any(study):
    Excerpt.objects.all().delete()
    excerpts_due.request(study)
    claimed = [Excerpt.objects.get(pk=Excerpt.objects.all().claim()) for _ in range(7)]
    assert [piece.n_before for piece in claimed] == [0] * 6 + [1]
    assert len({piece.clip_id for piece in claimed[:6]}) == 6


def test_clips_of_a_prompt_are_heard_at_the_length_of_the_shortest_less_the_spread(study):
    clip = Clip.objects.first()
    Clip.objects.filter(pk=clip.pk).update(duration_ms=8_000)
    grouped = clips_by_prompt(study)
    assert common_length(grouped[clip.prompt_id]) == 8_000 - SPREAD_MS
    assert {common_length(clips) for clips in grouped.values()} == {7_700, 10_000}


def test_in_full_length_every_excerpt_begins_at_the_beginning(study):
    Excerpt.objects.all().delete()
    Clip.objects.filter(pk=Clip.objects.first().pk).update(duration_ms=8_000)
    study.full_length = True
    study.save()
    excerpts_due.request(study)
    assert set(Excerpt.objects.values_list("start_ms", "length_ms")) == {(0, 8_000), (0, 10_000)}


def test_what_was_served_is_replaced_by_a_fresh_one(stocked):
    battle = answered(a_rater(stocked), stocked)
    assert excerpts_due.due_studies() == [stocked.pk]
    excerpts_due.request(stocked)
    assert set(Excerpt.objects.filter(status="pending").values_list("clip", flat=True)) == {
        battle.clip_a_id,
        battle.clip_b_id,
    }
    assert Excerpt.objects.filter(status="pending").count() == 2 and excerpts_due.due_studies() == []


def test_what_is_served_while_the_pools_are_counted_is_replaced_the_next_time(stocked, monkeypatch):
    count = pools._pools

    def count_and_serve(study):
        counted = count(study)
        answered(a_rater(stocked), stocked)
        return counted

    monkeypatch.setattr(pools, "_pools", count_and_serve)
    excerpts_due.request(stocked)
    monkeypatch.undo()
    assert excerpts_due.due_studies() == [stocked.pk]
    excerpts_due.request(stocked)
    assert Excerpt.objects.filter(status="pending").count() == 2


def test_a_place_that_cannot_be_levelled_does_not_end_the_pool_but_a_clip_that_cannot_is_left(stocked):
    first = Excerpt.objects.first()
    Excerpt.objects.filter(pk=first.pk).update(status="rejected", reason="It is silent there.")
    assert pools.request_excerpts(stocked) == (1, False)
    of_clip = Excerpt.objects.filter(clip=first.clip)
    of_clip.update(status="rejected", reason="It is silent.")
    assert pools.request_excerpts(stocked) == (0, False)


# ---- the ceiling ----


def test_under_the_ceiling_every_clip_keeps_one_excerpt_and_staff_are_told_once(study, time_passes):
    Excerpt.objects.all().delete()
    Study.objects.update(excerpts_mb=3)  # 7.5 excerpts of 10 s
    tasks.request_excerpts()
    rows = Excerpt.objects.filter(study=study)
    assert sorted(rows.values_list("n_before", flat=True)) == [0] * 6 + [1]
    assert "3 MB" in Alarm.objects.get().message
    cut_pending(study)
    answered(a_rater(study), study)
    assert excerpts_due.due_studies() == [], "there was no room: it is looked at again later"
    time_passes(61)
    assert excerpts_due.due_studies() == [study.pk]
    tasks.request_excerpts()
    assert rows.count() == 7 and Alarm.objects.count() == 1
    assert not Excerpt.objects.filter(n_served__gt=0, is_replaced=True, clip__excerpts__n_before=1).exists()
    Study.objects.update(excerpts_mb=100)
    tasks.request_excerpts()
    assert ExcerptRequest.objects.get().full_since is None
    assert rows.filter(n_served=0).count() == 18


# ---- serving ----


def test_a_battle_stores_what_it_served_and_where_that_began(stocked):
    battle, _ = serve_battle(a_rater(stocked), stocked)
    for slot in "ab":
        piece = getattr(battle, f"excerpt_{slot}")
        assert (piece.study, piece.n_served) == (stocked, 1)
        assert getattr(battle, f"start_{slot}_ms") == piece.start_ms
    with pytest.raises(IntegrityError), transaction.atomic():
        Battle.objects.filter(pk=battle.pk).update(start_a_ms=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Excerpt.objects.filter(pk=battle.excerpt_a_id).update(start_ms=battle.start_a_ms + 1)


def test_no_two_battles_play_the_same_excerpt_while_workers_keep_up(stocked):
    heard = []
    for _ in range(12):
        heard += pieces_of(answered(a_rater(stocked), stocked))
        excerpts_due.request(stocked)
        cut_pending(stocked)
    assert len(set(heard)) == 24


def test_where_workers_lag_the_least_used_is_served_and_to_each_rater_another(stocked):
    rater = a_rater(stocked)
    heard = [piece for _ in range(6) for piece in pieces_of(answered(rater, stocked))]
    assert len(set(heard)) == 12, "each clip is in two of a rater's battles, and has three excerpts"
    for _ in range(3):
        another = a_rater(stocked)
        for _ in range(6):
            answered(another, stocked)
    served = Excerpt.objects.values_list("n_served", flat=True)
    assert sum(served) == 48 and max(served) - min(served) <= 1
    for rater in Battle.objects.values_list("rater", flat=True).distinct():
        of_rater = [pk for b in Battle.objects.filter(rater=rater) for pk in pieces_of(b)]
        assert len(set(of_rater)) == 12


def test_nothing_of_one_study_is_served_in_another(stocked):
    other = Study.objects.create(slug="other", name="Other", excerpt_s=10)
    other.systems.set(stocked.systems.all())
    excerpts_due.request(other)
    cut_pending(other)
    for study in (stocked, other):
        rater = a_rater(study)
        assert all(Excerpt.objects.filter(pk__in=pieces_of(answered(rater, study)), study=study).count() == 2
                   for _ in range(6))  # fmt: skip
    battle = Battle.objects.filter(study=other).first()
    foreign = Excerpt.objects.filter(study=stocked, clip=battle.clip_a).first()
    values = {f.attname: getattr(battle, f.attname) for f in Battle._meta.concrete_fields if not f.primary_key}
    with pytest.raises(IntegrityError, match="cut for another study"), transaction.atomic():
        Battle.objects.create(**values | {"excerpt_a_id": foreign.pk})


@pytest.mark.django_db(transaction=True)
def test_a_rater_waits_for_nobody_who_is_being_served_the_same_clips(stocked):
    clips = [(clip.pk, "") for clip in Clip.objects.filter(prompt=Clip.objects.first().prompt)[:2]]
    found = []

    def take():
        try:
            found.append(pools.take(stocked.pk, "00000000-0000-0000-0000-000000000000", clips, 10_000, "mp3", True))
        finally:
            connection.close()

    with transaction.atomic():
        for _ in range(3):  # all of both pools
            assert pools.take(stocked.pk, "00000000-0000-0000-0000-000000000000", clips, 10_000, "mp3", True)
        other = Thread(target=take)
        other.start()
        other.join(timeout=20)
        assert not other.is_alive() and len(found[0]) == 2
    assert sorted(Excerpt.objects.filter(n_served__gt=0).values_list("n_served", flat=True)) == [1] * 6


# ---- tidying ----


def test_a_replaced_excerpt_is_deleted_once_no_battle_needs_it(stocked, time_passes):
    rater = a_rater(stocked)
    battle, _ = serve_battle(rater, stocked)
    files = {piece.file.name for piece in Excerpt.objects.filter(pk__in=pieces_of(battle))}
    excerpts_due.request(stocked)
    cut_pending(stocked)
    assert spent_excerpts.due() == {}, "the battle is open"
    skip_battle(rater, battle.pk, "other")
    assert spent_excerpts.due() == {}, "the page may still play it"
    time_passes(spent_excerpts.KEPT.total_seconds() + 1)
    assert set(spent_excerpts.due()) == pieces_of(battle)
    tasks.tidy_excerpts()
    assert set(Excerpt.objects.filter(pk__in=pieces_of(battle)).values_list("status", "file")) == {("spent", "")}
    assert not any(default_storage.exists(name) for name in files)
    assert spent_excerpts.due() == {} and pools.request_excerpts(stocked) == (0, False)


def test_the_excerpts_of_an_abandoned_battle_go_when_it_expires(stocked, time_passes):
    battle, _ = serve_battle(a_rater(stocked), stocked)
    excerpts_due.request(stocked)
    cut_pending(stocked)
    time_passes(timedelta(days=29).total_seconds())
    assert spent_excerpts.due() == {}
    time_passes(timedelta(days=1, seconds=1).total_seconds())
    assert set(spent_excerpts.due()) == pieces_of(battle)


def test_nothing_is_deleted_that_is_just_being_served_again(stocked, time_passes):
    answered(a_rater(stocked), stocked)
    excerpts_due.request(stocked)
    cut_pending(stocked)
    time_passes(spent_excerpts.KEPT.total_seconds() + 1)
    (first, _) = spent_excerpts.due()
    piece = Excerpt.objects.get(pk=first)
    Excerpt.objects.filter(study=stocked, clip=piece.clip).exclude(pk=first).update(status="pending")
    spent_excerpts.tidy(first)
    piece.refresh_from_db()
    assert piece.status == "ready", "it is all that can be served of this clip"


def test_a_file_that_could_not_be_deleted_is_deleted_the_next_time(stocked, time_passes, monkeypatch):
    answered(a_rater(stocked), stocked)
    excerpts_due.request(stocked)
    cut_pending(stocked)
    time_passes(spent_excerpts.KEPT.total_seconds() + 1)
    (first, _) = spent_excerpts.due()
    name = Excerpt.objects.get(pk=first).file.name
    with monkeypatch.context() as patch:
        patch.setattr(default_storage, "delete", lambda _: (_ for _ in ()).throw(OSError("the disk is read-only")))
        with pytest.raises(OSError):
            spent_excerpts.tidy(first)
    assert first in spent_excerpts.due()
    spent_excerpts.tidy(first)
    assert first not in spent_excerpts.due() and not default_storage.exists(name)


def test_what_no_pair_needs_any_more_is_deleted_once_the_new_length_is_there(stocked):
    Study.objects.update(excerpt_s=5)
    stocked.refresh_from_db()
    excerpts_due.request(stocked)
    assert answered(a_rater(stocked), stocked).length_ms == 10_000, "nobody waits for the workers"
    cut_pending(stocked)
    assert answered(a_rater(stocked), stocked).length_ms == 5_000
    excerpts_due.request(stocked)
    unused = Excerpt.objects.filter(length_ms=10_000, n_served=0)
    assert set(spent_excerpts.due()) == set(unused.values_list("pk", flat=True))


def test_what_is_needed_again_before_it_was_deleted_is_cut_anew(stocked):
    systems = list(stocked.systems.all())
    stocked.systems.clear()
    excerpts_due.request(stocked)
    stocked.systems.set(systems)
    assert pools.request_excerpts(stocked) == (18, False)
    cut_pending(stocked)
    tasks.tidy_excerpts()
    assert Excerpt.objects.filter(status="ready", n_served=0).count() == 18


# ---- a database from before ----


@pytest.fixture
def old(study):
    """A study with one excerpt of each clip that is of no study, as an earlier version cut them."""
    Excerpt.objects.all().delete()
    for clip in Clip.objects.all():
        name = default_storage.save(f"excerpts/{clip.pk}/10000.mp3", ContentFile(b"music"))
        make_excerpt(clip, None, file=name)
    return study


def test_an_old_database_goes_on_serving_and_moves_to_excerpts_of_its_own(old, time_passes):
    shared = set(Excerpt.objects.values_list("pk", flat=True))
    before, _ = serve_battle(a_rater(old), old)
    assert pieces_of(before) <= shared, "nobody waits for the workers"
    assert excerpts_due.due_studies() == [old.pk]
    excerpts_due.request(old)
    first, *others = Clip.objects.filter(prompt=before.prompt_id)
    cut_pending(old, of=first)
    meanwhile = answered(a_rater(old), old)
    assert pieces_of(meanwhile) <= shared, "a battle is not of one's own and an old one"
    for clip in others:
        cut_pending(old, of=clip)
    for _ in range(6):
        battle = answered(a_rater(old), old)
        assert bool(pieces_of(battle) & shared) == (battle.prompt_id != before.prompt_id)
    cut_pending(old)
    assert not pieces_of(answered(a_rater(old), old)) & shared
    time_passes(spent_excerpts.KEPT.total_seconds() + 1)
    assert set(spent_excerpts.due()) == shared - pieces_of(before), "the open battle keeps its own"
    tasks.tidy_excerpts()
    assert default_storage.exists(Excerpt.objects.get(pk=before.excerpt_a_id).file.name)


def test_an_old_clip_that_cannot_be_levelled_keeps_nobody_at_the_old_excerpts(old):
    shared = set(Excerpt.objects.values_list("pk", flat=True))
    excerpts_due.request(old)
    loud = Clip.objects.first()
    Excerpt.objects.filter(study=old, clip=loud).update(status="rejected", reason="It is silent.")
    cut_pending(old)
    rater = a_rater(old)
    battles = [answered(rater, old) for _ in range(4)]
    assert not any(pieces_of(battle) & shared or loud.pk in (battle.clip_a_id, battle.clip_b_id) for battle in battles)

"""A study with practice, golds, traps and repeats over HTTP, and what a battle's order, quotas and checks promise."""

from collections import Counter

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from annotations.models import Flag, Vote
from arena.models import Battle, Excerpt, Prompt, System
from arena.services import give_consent
from arena.serving import candidates, serve_battle
from arena.serving.candidates import DEGRADED
from arena.serving.pools import request_excerpts
from arena.serving.schedule import REPEAT_DISTANCE
from tests.casts.clips import make_clip
from tests.casts.listener import Listener
from tests.casts.sitting import Sitting, right, wrong

ONE_CLIP = {"practice", "gold", "trap"}


# ---- the order ----


def test_a_study_is_practice_then_its_block_then_the_end(checked, sitting):
    sitting.to_the_end()
    kinds = [battle.kind for battle in sitting.battles]
    assert kinds[:2] == ["practice"] * 2
    assert Counter(kinds[2:]) == {"ranked": 6, "gold": 1, "trap": 1, "repeat": 1}


def test_progress_counts_every_battle_and_its_total_never_moves(checked, sitting):
    sitting.to_the_end()
    assert [served["progress"] for _, served, _ in sitting.told] == [{"done": done, "total": 11} for done in range(11)]


def test_raters_have_their_checks_at_different_places(checked, time_passes):
    orders = {tuple(b.kind for b in Sitting(time_passes).to_the_end().battles) for _ in range(3)}
    assert len(orders) > 1


def test_the_next_battle_fetched_ahead_follows_the_same_schedule(checked, sitting):
    first = sitting.listener.battle()
    ahead = sitting.listener.battle(after=first["id"])
    assert {Battle.objects.get(pk=battle["id"]).kind for battle in (first, ahead)} == {"practice"}
    assert ahead["progress"] == {"done": 0, "total": 11}


def test_blocks_end_a_study_without_checks_too(study, sitting):
    study.block_length, study.blocks = 2, 2
    study.save()
    assert [b.kind for b in sitting.to_the_end().battles] == ["ranked"] * 4
    assert sitting.told[0][1]["progress"]["total"] == 4


def test_a_check_that_cannot_be_had_gives_way_to_an_ordinary_battle(study, sitting):
    study.block_length, study.blocks, study.golds = 2, 1, 1
    study.save()
    assert [b.kind for b in sitting.to_the_end().battles] == ["ranked"] * 3


# ---- what is right ----


def test_right_in_a_gold_is_the_clip_as_it_is_and_in_a_trap_the_one_with_the_tones(checked, time_passes):
    battles = [b for _ in range(4) for b in Sitting(time_passes).to_the_end().battles if b.kind in ONE_CLIP]
    for battle in battles:
        wrong = "B" if battle.expected == "A" else "A"
        right, other = battle.excerpt(battle.expected), battle.excerpt(wrong)
        assert right.clip == other.clip == battle.clip_a == battle.clip_b
        assert right.length_ms == other.length_ms == battle.length_ms
        if battle.kind == "trap":
            assert (right.variant, other.variant) == ("tones", "")
        else:
            assert right.variant == ""
            assert other.variant in DEGRADED
    assert {battle.expected for battle in battles} == {"A", "B"}


def test_what_is_heard_in_a_slot_is_what_the_expected_answer_says(checked, sitting):
    for piece in Excerpt.objects.all():
        default_storage.save(piece.file.name, ContentFile(f"{piece.clip_id} {piece.variant or 'plain'}".encode()))
    sitting.to_the_end()
    for battle, served, _ in sitting.of_kind(*ONE_CLIP):
        heard = {}
        for slot, clip in served["clips"].items():
            heard[slot] = sitting.listener.get(clip["url"]).content.decode().split()
        wrong = "B" if battle.expected == "A" else "A"
        assert heard["A"][0] == heard["B"][0]
        assert (heard[battle.expected][1], heard[wrong][1]) in (
            [("tones", "plain")] if battle.kind == "trap" else [("plain", variant) for variant in DEGRADED]
        )


def test_nobody_meets_a_clip_in_two_checks(checked, sitting):
    clips = [battle.clip_a_id for battle in sitting.to_the_end().battles if battle.kind in ONE_CLIP]
    assert len(set(clips)) == len(clips) == 4


def test_a_repeat_is_an_answered_battle_of_at_least_five_before_with_its_slots_swapped(checked, time_passes):
    for _ in range(2):
        battles = Sitting(time_passes).to_the_end().battles
        (repeat,) = [battle for battle in battles if battle.kind == "repeat"]
        first = repeat.repeats
        assert battles.index(repeat) - battles.index(first) >= REPEAT_DISTANCE
        assert (first.kind, first.close_reason, first.rater_id) == ("ranked", "voted", repeat.rater_id)
        assert (repeat.excerpt_a_id, repeat.excerpt_b_id) == (first.excerpt_b_id, first.excerpt_a_id)
        assert (repeat.system_a_id, repeat.system_b_id) == (first.system_b_id, first.system_a_id)


def test_what_was_skipped_is_not_repeated(checked, sitting):
    while True:
        answer = sitting.listener.post("/api/battles/")
        if answer.status_code == 409:
            break
        sitting.listener.post(f"/api/battles/{answer.json()['id']}/skip/", {"reason": "other"})
    assert not Battle.objects.filter(kind="repeat").exists()


def test_one_clip_battles_have_no_probability_and_no_place_in_a_quota(checked, sitting):
    checked.votes_per_pair = 2
    checked.save()
    sitting.to_the_end()
    for battle in sitting.battles:
        assert (battle.pair_probability is None) == (battle.kind != "ranked")
    assert sum(battle.kind == "ranked" for battle in sitting.battles) == 6  # 3 pairs of systems, 2 each


# ---- what a listener is told ----


@pytest.mark.parametrize(("choose", "passed"), [(right, True), (wrong, False)])
def test_after_a_check_the_listener_is_told_whether_they_heard_it(checked, sitting, choose, passed):
    sitting.to_the_end(choose)
    for battle, _, told in sitting.of_kind(*ONE_CLIP):
        assert told["check"] == {"kind": battle.kind, "expected": battle.expected, "passed": passed}
    for _, _, told in sitting.of_kind("ranked"):
        assert "check" not in told


@pytest.mark.parametrize(
    ("answers", "consistent"),
    [
        (("A", "B"), True),
        (("A", "A"), False),
        (("TIE", "TIE"), True),
    ],
)
def test_a_repeat_is_passed_by_the_answer_of_before_with_its_slots_swapped(checked, sitting, answers, consistent):
    first, again = answers
    sitting.to_the_end(lambda battle: again if battle.kind == "repeat" else first)
    ((_, _, told),) = sitting.of_kind("repeat")
    assert told["check"] == {"kind": "repeat", "expected": None, "passed": consistent}


def test_a_first_answer_taken_back_is_nothing_to_be_consistent_with(checked, sitting):
    def take_back_all(battle):
        for vote in Vote.objects.filter(battle__kind="ranked"):
            Flag.objects.get_or_create(
                vote=vote, rule=Flag.WITHDRAWN, rule_version=1, defaults={"created_at": vote.received_at}
            )
        return "A"

    sitting.to_the_end(take_back_all)
    ((_, _, told),) = sitting.of_kind("repeat")
    assert told["check"]["passed"] is None


def test_a_study_that_does_not_reveal_tells_only_of_practice(checked, sitting):
    checked.reveal = False
    checked.save()
    sitting.to_the_end(right)
    for battle, served, told in sitting.told:
        assert told["systems"] == {"A": None, "B": None}
        assert ("check" in told) == (battle.kind == "practice")
        insight = sitting.listener.get(f"/api/battles/{battle.pk}/insight/").json()
        assert insight == {"model": None, "crowd": None, "agreement": {"with_model": None, "with_crowd": None}}
        assert sitting.listener.get(served["clips"]["A"]["url"] + "/download").status_code == 404


def test_before_the_vote_every_kind_looks_the_same(checked, sitting):
    def shape(value):
        return {k: shape(v) for k, v in value.items()} if isinstance(value, dict) else type(value).__name__

    sitting.to_the_end()
    shapes = [shape(served) for _, served, _ in sitting.told]
    assert all(one == shapes[0] for one in shapes)
    for _, served, _ in sitting.told:
        text = str(served).lower()
        assert not any(word in text for word in ("gold", "trap", "repeat", "practice", "tones", *DEGRADED))


# ---- downloads ----


def test_an_excerpt_can_be_downloaded_after_the_vote_under_its_systems_name(study, sitting):
    for piece in Excerpt.objects.all():
        default_storage.save(piece.file.name, ContentFile(b"music"))
    served = sitting.listener.battle()
    url = served["clips"]["B"]["url"] + "/download"
    assert sitting.listener.get(url).status_code == 404
    sitting.answer()
    answer = sitting.listener.get(url)
    name = Battle.objects.get(pk=served["id"]).system_b.name
    assert answer["Content-Disposition"] == f'attachment; filename="{name}-B.mp3"'
    assert answer.content == b"music"
    assert Listener().agree().get(url).status_code == 404


def test_a_skipped_battle_has_no_download(sitting):
    served = sitting.listener.battle()
    sitting.listener.post(f"/api/battles/{served['id']}/skip/", {"reason": "cannot_play"})
    assert sitting.listener.get(served["clips"]["A"]["url"] + "/download").status_code == 404


# ---- quotas and policies ----


def test_a_pair_that_has_enough_votes_is_served_no_more(study, time_passes):
    study.votes_per_pair = 1
    study.save()
    first = Sitting(time_passes).to_the_end()
    assert len(first.told) == 3
    refused = Listener().agree().post("/api/battles/")
    assert (refused.status_code, refused.json()["code"]) == (409, "none_left")


def test_a_battle_that_is_open_elsewhere_counts_as_a_vote_to_come_until_its_reservation_ends(study, time_passes):
    study.votes_per_pair = 1
    study.systems.set(study.systems.exclude(name="cedar"))
    study.save()
    Listener().agree().battle()
    late = Listener().agree()
    assert late.post("/api/battles/").json()["code"] == "full_for_now"
    time_passes(31 * 60)
    assert late.battle()["progress"]["total"] == 1


def test_a_rater_gets_no_more_than_their_quota(study, sitting):
    study.battles_per_rater = 2
    study.save()
    sitting.to_the_end()
    assert [served["progress"] for _, served, _ in sitting.told] == [{"done": 0, "total": 2}, {"done": 1, "total": 2}]


def test_checks_do_not_count_towards_a_raters_quota(checked, sitting):
    checked.battles_per_rater = 6
    checked.save()
    sitting.to_the_end()
    assert len(sitting.told) == 11


def test_uniform_pairing_does_not_look_at_the_votes_there_are(study):
    study.pairing = "uniform"
    study.save()
    for _ in range(12):
        battle, _ = serve_battle(give_consent(None, study, 1), study)
        assert battle.pair_probability == pytest.approx(1 / 3)
        assert battle.policy == "uniform"


# ---- more like this ----


@pytest.fixture
def more_prompts(study):
    """A third prompt, so that `like` has something to choose against."""
    third = Prompt.objects.create(text="A waltz")
    for system in study.systems.all():
        make_clip(system, third)
    return study


def test_more_like_this_is_another_pair_for_the_same_prompt(more_prompts, sitting):
    liked = sitting.answer().told[0][1]
    for _ in range(2):
        served = sitting.listener.battle(like=liked["id"])
        assert served["prompt"] == liked["prompt"]
        battle = Battle.objects.get(pk=served["id"])
        assert battle.policy == "least-voted+like"
        assert 0 < battle.pair_probability <= 1
        sitting.answer()
    assert len({frozenset((b.clip_a_id, b.clip_b_id)) for b in sitting.battles}) == 3
    refused = sitting.listener.post("/api/battles/", {"like": liked["id"]})
    assert (refused.status_code, refused.json()["code"]) == (409, "none_left_like")
    assert sitting.answer().told[-1][1]["prompt"] != liked["prompt"]


def test_more_like_what_is_not_answered_yet_is_a_404(study, sitting):
    served = sitting.listener.battle()
    assert sitting.listener.post("/api/battles/", {"like": served["id"]}).status_code == 404


def test_where_checks_are_to_come_the_order_is_not_the_raters_to_choose(checked, sitting):
    sitting.answer()
    refused = sitting.listener.post("/api/battles/", {"like": str(sitting.battles[0].pk)})
    assert refused.json()["code"] == "none_left_like"


def test_where_nothing_is_revealed_there_is_no_more_like_this(study, sitting):
    study.reveal = False
    study.save()
    sitting.answer()
    refused = sitting.listener.post("/api/battles/", {"like": str(sitting.battles[0].pk)})
    assert refused.json()["code"] == "none_left_like"


# ---- an offline queue arriving at once ----


def test_two_battles_heard_offline_and_arriving_together_are_both_accepted(sitting):
    first = sitting.listener.battle()
    second = sitting.listener.battle(after=first["id"])
    sitting.time_passes(16)
    assert sitting.listener.vote(first, key="one").status_code == 201
    assert sitting.listener.vote(second, key="two").status_code == 201


def test_they_are_accepted_in_whatever_order_they_arrive(sitting):
    first = sitting.listener.battle()
    second = sitting.listener.battle(after=first["id"])
    sitting.time_passes(16)
    assert sitting.listener.vote(second, key="two").status_code == 201
    assert sitting.listener.vote(first, key="one").status_code == 201


def test_but_not_where_there_was_no_time_to_hear_both(sitting):
    first = sitting.listener.battle()
    second = sitting.listener.battle(after=first["id"])
    sitting.time_passes(12)
    assert sitting.listener.vote(first, key="one").status_code == 201
    refused = sitting.listener.vote(second, key="two")
    assert (refused.status_code, refused.json()["code"]) == (422, "heard_too_much")
    sitting.time_passes(4)
    assert sitting.listener.vote(second, key="two").status_code == 201


# ---- which clips become checks ----


def test_checks_are_asked_for_on_a_few_clips_twice_what_one_rater_needs(study):
    study.practice, study.golds, study.traps, study.blocks = 1, 1, 1, 1
    study.save()
    request_excerpts(study)
    wanted = Counter(Excerpt.objects.exclude(variant="").values_list("variant", flat=True))
    clips = Excerpt.objects.exclude(variant="").values_list("variant", "clip").distinct()
    assert wanted["tones"] == 2 * 3, "two clips, each with three"
    assert all(wanted[variant] == 3 for variant in DEGRADED), "two clips for the gold and one for practice"
    assert len(clips) == 2 + 3 * 3
    assert request_excerpts(study) == (0, False)


def test_a_variant_that_would_not_be_heard_makes_room_for_another_clips(study):
    study.golds, study.blocks = 1, 1
    study.save()
    request_excerpts(study)
    degraded = Excerpt.objects.exclude(variant="")
    first = degraded.first().clip
    degraded.filter(clip=first).update(status="rejected", reason="It would not be heard.")
    request_excerpts(study)
    assert degraded.exclude(status="rejected").values("clip").distinct().count() == 2
    one = degraded.exclude(status="rejected").first()
    Excerpt.objects.filter(pk=one.pk).update(status="rejected", reason="It would not be heard.")
    assert request_excerpts(study) == (0, False), "the other kinds are enough"


def test_a_retired_systems_clips_are_in_no_new_check(checked):
    System.objects.filter(name="alder").update(retired_at="2026-01-01T00:00Z")
    systems = {check.system_id for tones in (True, False) for check in candidates.ready_checks(checked, tones)}
    assert systems == set(System.objects.exclude(name="alder").values_list("pk", flat=True))

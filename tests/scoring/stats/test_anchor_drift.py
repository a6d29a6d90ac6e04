"""Biases by time: intervals that hold, drift that raises an alarm, calm that does not, how many pairs it takes."""

import numpy as np
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from annotations.models import Alarm
from arena.models import Clip, System
from scoring.anchors.refit import rebuild_fit, refit_anchors, stored
from scoring.boards.refit import refit_board
from scoring.jury.rewards import store_rewards
from scoring.models import AnchorFit, RewardModel
from scoring.stats import anchor_drift
from scoring.stats.anchor_drift import AnchorPairs
from tests.casts import simulated_arena

SYSTEMS = 8
NAMES = np.array([f"system {n}" for n in range(SYSTEMS)])
BOARDS = 500


def pairs(rng, n, bias, n_raters=40, first_seq=1):
    """n decided votes by raters whose rewards carry the bias [SYSTEMS], on clips of widely spread quality."""
    a = rng.integers(SYSTEMS, size=n)
    b = (a + rng.integers(1, SYSTEMS, size=n)) % SYSTEMS
    quality = 1.5 * rng.normal(size=(2, n))
    wins = rng.random(n) < 1 / (1 + np.exp(quality[1] - quality[0]))
    rater = rng.integers(n_raters, size=n)
    return AnchorPairs(
        quality[0] + bias[a],
        quality[1] + bias[b],
        NAMES[a],
        NAMES[b],
        wins.astype(float),
        rater,
        first_seq + np.arange(n),
    )


def joined(*parts):
    return AnchorPairs(
        *(np.concatenate(columns) for columns in zip(*(vars(one).values() for one in parts), strict=True))
    )


def drawn_bias(rng):
    bias = rng.normal(scale=np.sqrt(0.5), size=SYSTEMS)
    return bias - bias.mean()


def covered(anchors, bias, systems):
    interval = anchors.interval()
    return np.mean([interval[NAMES[i]][0] <= bias[i] <= interval[NAMES[i]][1] for i in systems])


@pytest.mark.slow
def test_intervals_of_biases_pinned_to_a_system_cover_in_93_to_97_percent():
    bias, share = np.linspace(-0.8, 0.8, SYSTEMS), 0.0
    for seed in range(BOARDS):
        anchors, l2, pinned = anchor_drift.fit(pairs(np.random.default_rng(seed), 400, bias), NAMES[2])
        assert (l2, pinned) == (0, True)
        others = [i for i in range(SYSTEMS) if i != 2]
        share += covered(anchors, bias - bias[2], others) / BOARDS
    assert 0.93 <= share <= 0.97, f"covered {share:.3f}"


@pytest.mark.slow
def test_intervals_of_centred_biases_under_the_ridge_cover_in_93_to_97_percent():
    share = 0.0
    for seed in range(BOARDS):
        rng = np.random.default_rng(seed)
        bias = drawn_bias(rng)
        anchors, l2, pinned = anchor_drift.fit(pairs(rng, 400, bias))
        assert (l2, pinned) == (1, False)
        share += covered(anchors, bias, range(SYSTEMS)) / BOARDS
    assert 0.93 <= share <= 0.97, f"covered {share:.3f}"


def test_where_wins_do_not_settle_pinned_biases_the_ridge_does():
    few = pairs(np.random.default_rng(0), 6, np.zeros(SYSTEMS))
    anchors, l2, pinned = anchor_drift.fit(few, few.system_a[0])
    assert (l2, pinned, anchors.bias[few.system_a[0]]) == (1, True, 0)
    _, l2, pinned = anchor_drift.fit(few, "a system without pairs")
    assert (l2, pinned) == (1, False)


def test_parts_follow_one_another_and_hold_enough_pairs_each():
    many = pairs(np.random.default_rng(0), 1000, np.zeros(SYSTEMS))
    parts = anchor_drift.parts(many)
    assert len(parts) == 6
    assert [seq for part in parts for seq in part.seq.tolist()] == many.seq.tolist()
    assert len(anchor_drift.parts(many[:130])) == 2
    assert len(anchor_drift.parts(many[:100])) == 1
    assert anchor_drift.changes(anchor_drift.parts(many[:100])) == []


def test_large_biases_that_stay_are_no_change():
    """Though a ridge shrinks those of a small part more than those of all others together."""
    rang = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = anchor_drift.changes(anchor_drift.parts(pairs(rng, 800, 2.5 * drawn_bias(rng))))
        assert len(found) == SYSTEMS
        rang += any(one.moved for one in found)
    assert rang <= 5


def test_a_planted_drift_is_found_in_its_system():
    found = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        before, after = np.zeros(SYSTEMS), np.zeros(SYSTEMS)
        after[3] = 1.5
        parts = anchor_drift.parts(joined(pairs(rng, 2500, before), pairs(rng, 500, after, first_seq=2501)))
        moved = [one for one in anchor_drift.changes(parts) if one.moved]
        found += [one.system for one in moved] == [NAMES[3]] and moved[0].change > 0.7
    assert found >= 34


def test_a_drift_of_the_pinned_system_is_the_others_the_other_way():
    rng, before, after = np.random.default_rng(0), np.zeros(SYSTEMS), np.zeros(SYSTEMS)
    after[3] = 2.0
    parts = anchor_drift.parts(joined(pairs(rng, 2500, before), pairs(rng, 500, after, first_seq=2501)))
    found = anchor_drift.changes(parts, NAMES[3])
    assert len(found) == SYSTEMS - 1
    assert max(one.change for one in found) < 0


@pytest.mark.parametrize("anchor_system", [None, "system 0"])
def test_with_as_many_pairs_as_are_still_needed_intervals_are_as_narrow_as_wanted(anchor_system):
    reached, bias = [], drawn_bias(np.random.default_rng(1))
    for seed in range(40):
        rng = np.random.default_rng(seed)
        so_far = pairs(rng, 200, bias)
        anchors, l2, _ = anchor_drift.fit(so_far, anchor_system)
        needed = anchor_drift.pairs_needed(anchors, 0.2, l2)
        assert needed.get(anchor_system, 0) == 0
        factor = 1 + sum(needed.values()) / sum(anchors.n_pairs[s] for s in needed if s != anchor_system)
        more = anchor_drift.fit(pairs(rng, int(200 * factor), bias, int(40 * factor)), anchor_system)[0]
        reached += [(high - low) / 2 for system, (low, high) in more.interval().items() if system != anchor_system]
    assert np.mean(reached) == pytest.approx(0.2, rel=0.06)
    assert set(anchor_drift.pairs_needed(more, 1.0, l2).values()) == {0}


# ---- in the arena ----


@pytest.fixture
def arena(db, monkeypatch):
    monkeypatch.setattr(simulated_arena, "PROMPTS", 40)
    return simulated_arena.make_arena()


def scored(bias=(0, 0, 0, 0)):
    """A live model whose rewards are what listeners like, and a bias by system."""
    RewardModel.objects.update(status="retired")
    model = RewardModel.objects.create(name="jury", encoders=[], weights="w", sha256="s", status="live")
    liking, order = simulated_arena.taste(), list(System.objects.order_by("pk").values_list("pk", flat=True))
    system = dict(Clip.objects.values_list("pk", "system_id"))
    store_rewards(model, {pk: liking[pk] + bias[order.index(system[pk])] for pk in liking})
    return model


def voted(study, n, liking=None, seed=0):
    simulated_arena.vote(study, n, liking or simulated_arena.taste(), seed=seed)
    refit_board(study)


def test_a_fit_keeps_its_intervals_its_parts_and_what_is_still_needed(arena):
    voted(arena, 300)
    fit = refit_anchors(arena, scored((0.5, 0, 0, -0.5)))
    for row in fit.biases.all():
        assert row.low < row.bias < row.high
        assert row.n_needed > 0
    assert len(fit.slices) == 6
    assert sum(part["n_pairs"] for part in fit.slices) == fit.n_pairs == 300
    assert fit.slices[-1]["to_seq"] == fit.ledger_seq
    assert (fit.config["l2"], fit.config["pinned"], fit.config["half_width"]) == (1.0, False, 0.25)
    assert not Alarm.objects.exists()


def test_an_anchor_system_is_chosen_by_command_and_stays_chosen(arena, capsys):
    voted(arena, 300)
    model = scored()
    call_command("refit_anchors", "open", anchor_system="system 1", half_width=0.5)
    assert "system 1 held at 0" in capsys.readouterr().out
    fit = refit_anchors(arena, model)
    held = fit.biases.get(system__name="system 1")
    assert (held.bias, held.low, held.high, held.n_needed) == (0, 0, 0, 0)
    assert (fit.config["l2"], fit.config["half_width"]) == (0, 0.5)
    call_command("refit_anchors", "open", anchor_system="none")
    assert AnchorFit.objects.latest("pk").config["anchor_system"] is None
    with pytest.raises(CommandError, match="no system 'theremin'; it has system 0"):
        call_command("refit_anchors", "open", anchor_system="theremin")
    with pytest.raises(CommandError, match="Name the studies"):
        call_command("refit_anchors", anchor_system="system 1")


def test_a_drift_rings_once_and_only_after_enough_new_votes(arena):
    voted(arena, 400)
    model = scored()
    refit_anchors(arena, model)
    assert not Alarm.objects.exists()
    system = dict(Clip.objects.values_list("pk", "system__name"))
    fallen = {pk: liking - 4 * (system[pk] == "system 2") for pk, liking in simulated_arena.taste().items()}
    voted(arena, 20, fallen, seed=1)
    assert refit_anchors(arena, model).config["looked_at"] == 400
    assert not Alarm.objects.exists()
    voted(arena, 80, fallen, seed=2)
    fit = refit_anchors(arena, model)
    assert fit.config["looked_at"] == 500
    alarm = Alarm.objects.get()
    assert (alarm.screen, alarm.study) == ("bias", arena)
    assert "system 2 by +" in alarm.message
    assert max(fit.changes, key=lambda one: abs(one["change"]))["system"] == "system 2"
    assert {"change", "low", "high", "before"} <= alarm.detail["changes"][0].keys()
    refit_anchors(arena, model)
    assert Alarm.objects.count() == 1


def test_fits_are_computed_again_with_their_parts_their_changes_and_when_a_drift_was_looked_for(arena):
    model, other_taste = scored(), {pk: -liking for pk, liking in simulated_arena.taste().items()}
    for n, seed, chosen in ((300, 0, {}), (10, 1, {}), (200, 2, {"anchor_system": "system 1"})):
        voted(arena, n, other_taste if seed else None, seed=seed)
        refit_anchors(arena, model, **chosen)
    fits = list(AnchorFit.objects.order_by("pk"))
    assert [fit.config["looked_at"] for fit in fits] == [300, 300, 510]
    assert all(fit.changes and len(fit.slices) == 6 for fit in fits)
    assert [rebuild_fit(fit) for fit in fits] == [stored(fit) for fit in fits]


def test_readers_see_the_biases_over_time(arena, client):
    assert client.get("/api/anchors/").json()["fit"] is None
    voted(arena, 200)
    model = scored((1, 0, 0, -1))
    refit_anchors(arena, model)
    voted(arena, 50, seed=1)
    refit_anchors(arena, model)
    answer = client.get("/api/anchors/", {"study": "open"}).json()
    assert answer["reward_model"] == "jury"
    assert answer["fit"]["biases"][0]["system"] == "system 0"
    assert [one["n_pairs"] for one in answer["history"]] == [200, 250]
    assert answer["fit"]["slices"][0]["from"] <= answer["fit"]["slices"][-1]["to"]
    page = client.get("/boards/open/").content.decode()
    assert "bias over time" in page
    assert page.count('class="history"') == 4
    assert page.count('class="point"') >= 4 * len(answer["fit"]["slices"])
    german = client.get("/boards/open/", headers={"accept-language": "de"}).content.decode()
    assert 'cx="' in german and not any("," in x.split('"')[0] for x in german.split('cx="')[1:])


def test_a_fit_from_before_intervals_were_kept_has_none_and_is_shown(arena, client):
    model, system = scored(), arena.systems.first()
    voted(arena, 20)
    fit = AnchorFit.objects.create(
        study=arena,
        reward_model=model,
        ledger_seq=1,
        config={"l2": 1.0},
        n_pairs=3,
        n_unscored=0,
        created_at=timezone.now(),
    )
    fit.biases.create(system=system, bias=0.3, stderr=0.1, n_pairs=3)
    assert client.get("/api/anchors/").json()["fit"]["biases"][0]["low"] is None
    assert client.get("/boards/open/").status_code == 200

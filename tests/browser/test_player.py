"""The player's own graph, rendered sample by sample by a real Chromium in an OfflineAudioContext."""

import base64
import math

import numpy as np
import pytest

RATE = 48_000
CROSSFADE, EDGE = 0.015, 0.008  # seconds, as in fades.js
START = 480  # frames from play() to the first sample: what the player schedules ahead

# Renders a player: `actions` are [second, method or property, value]; what its listener was told becomes `heard`.
RENDER = """async ({ clips, seconds, mode, actions, duration }) => {
    const { Player } = await import('/static/js/player.js');
    const { Listening } = await import('/static/js/listening.js');
    const rate = 48000;
    const context = new OfflineAudioContext(1, seconds * rate, rate);
    const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
    const buffers = Object.fromEntries(Object.entries(clips).map(([slot, text]) => {
        const samples = floats(text);
        const buffer = new AudioBuffer({ length: samples.length, sampleRate: rate });
        buffer.copyToChannel(samples, 0);
        return [slot, buffer];
    }));
    const listening = new Listening(0);
    const told = [];
    const player = new Player(context, buffers, duration ?? buffers.A.duration, {
        audible: (slot, at) => { told.push([slot, at]); listening.audible(slot, at); },
        silent: (at) => { told.push(['', at]); listening.silent(at); },
        changed() {},
    }, { mode });
    const act = ([, name, value]) => {
        if (typeof player[name] === 'function') player[name](value);
        else player[name] = value;
    };
    const faults = [];
    for (const action of actions.filter(([at]) => at === 0)) act(action);
    for (const at of new Set(actions.map(([second]) => second).filter((second) => second > 0))) {
        context.suspend(at).then(() => {
            try {
                for (const action of actions.filter(([second]) => second === at)) act(action);
            } catch (error) {
                faults.push(String(error));
            }
            context.resume();
        });
    }
    const samples = (await context.startRendering()).getChannelData(0);
    let text = '';
    const bytes = new Uint8Array(samples.buffer);
    for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
    const { position, positions } = player;
    return { samples: btoa(text), heard: listening.heard(position), position, positions, told, faults };
}"""


@pytest.fixture(scope="module")
def page(chromium, static_address):
    page = chromium.new_page()
    page.goto(f"{static_address}/static/css/")
    return page


class Rendering:
    def __init__(self, answer):
        assert answer["faults"] == []
        self.samples = np.frombuffer(base64.b64decode(answer["samples"]), dtype="<f4").astype(float)
        self.heard, self.told = answer["heard"], answer["told"]
        self.position, self.positions = answer["position"], answer["positions"]

    @property
    def steepest(self):
        return np.abs(np.diff(self.samples)).max()


@pytest.fixture
def render(page):
    def render(a, b, seconds, *actions, mode="sync", duration=None):
        clips = {slot: base64.b64encode(clip.astype("<f4").tobytes()).decode() for slot, clip in (("A", a), ("B", b))}
        stretch = [[round(at * RATE / 128) * 128 / RATE, *rest] for at, *rest in actions]  # where rendering can pause
        return Rendering(
            page.evaluate(
                RENDER,
                {"clips": clips, "seconds": seconds, "mode": mode, "actions": stretch, "duration": duration},
            )
        )

    return render


def rising(seconds):
    """Its value tells the place in the clip, so that playing on from another place is a jump."""
    return np.linspace(0.1, 0.9, round(seconds * RATE), endpoint=False)


def steepest_fade(seconds, amplitude):
    return amplitude * math.pi / 2 / (seconds * RATE)


MODES = ("sync", "restart", "resume")


# ---- without a gap, without a click ----


@pytest.mark.parametrize("mode", MODES)
def test_no_switch_seek_loop_or_pause_makes_a_jump(render, mode):
    """Two slow ramps of opposite sign: anything but a fade would be a step of a hundred times what is allowed."""
    clip = rising(2)
    actions = [
        (0, "play"), (0.2, "switchTo", "B"), (0.204, "switchTo", "A"), (0.21, "switchTo", "B"), (0.5, "seek", 1.2),
        (0.504, "seek", 0.3), (0.508, "seek", 1.4), (0.7, "switchTo", "A"), (0.8, "loop", {"start": 0.4, "end": 0.95}),
        (1.7, "switchTo", "B"), (2.6, "seek", 0.1), (2.9, "loop", None), (3.1, "pause"), (3.104, "play"),
        (3.2, "pause"), (3.4, "play"), (3.402, "pause"), (3.5, "play"), (3.6, "seek", 1.9), (3.9, "play"),
    ]  # fmt: skip
    rendering = render(clip, -clip, 6.2, *actions, mode=mode)
    own = 2 * 0.8 / clip.size
    allowed = own + steepest_fade(CROSSFADE, 2 * 0.9) + steepest_fade(EDGE, 0.9)
    assert rendering.steepest <= allowed < 0.01
    assert np.abs(rendering.samples).max() > 0.85, "the clips were played"


@pytest.mark.parametrize("mode", MODES)
def test_the_loudness_of_two_unlike_sounds_stays_through_a_switch(render, mode):
    noise = np.random.default_rng(5)
    a, b = (0.1 * noise.standard_normal(8 * RATE) for _ in range(2))
    switches = [(0.3 + 0.1 * i, "switchTo", "BA"[i % 2]) for i in range(60)]
    rendering = render(a, b, 7, (0, "play"), *switches, mode=mode)
    windows = 5
    during = np.zeros((windows, 0))
    for at, *_ in switches:
        first = round(at * RATE / 128) * 128 + START
        fade = rendering.samples[first : first + round(CROSSFADE * RATE)]
        during = np.hstack([during, fade.reshape(windows, -1)])
    level = 20 * np.log10(np.sqrt((during**2).mean(axis=1)) / 0.1)
    assert np.abs(level).max() < 1, level


def test_in_sync_the_other_clip_goes_on_at_the_very_same_sample(render):
    a, b = rising(2), -rising(2)
    rendering = render(a, b, 1.5, (0, "play"), (0.4, "switchTo", "B"), (0.9, "switchTo", "A"), (1.1, "switchTo", "B"))
    for clip, start, end in ((a, 0.03, 0.4), (b, 0.45, 0.9), (a, 0.95, 1.1), (b, 1.15, 1.5)):
        n = np.arange(round(start * RATE), round(end * RATE))
        np.testing.assert_allclose(rendering.samples[n], clip[n - START], atol=1e-6)
    assert rendering.positions["A"] == rendering.positions["B"] == rendering.position


def settled(rendering, second):
    """The place (in seconds, of a rising clip of 2 s) that is heard at `second`, and of which clip."""
    value = rendering.samples[round(second * RATE)]
    return "AB"[int(value < 0)], (abs(value) - 0.1) / 0.8 * 2


def test_restart_begins_the_other_clip_anew_or_at_the_start_of_the_loop(render):
    clip = rising(2)
    actions = [(0, "play"), (0.4, "switchTo", "B"), (0.8, "switchTo", "A"), (1.2, "loop", {"start": 0.3, "end": 1.2}),
               (1.4, "switchTo", "B")]  # fmt: skip
    rendering = render(clip, -clip, 1.6, *actions, mode="restart")
    assert settled(rendering, 0.5) == ("B", pytest.approx(0.5 - 0.41, abs=0.003))
    assert settled(rendering, 0.9) == ("A", pytest.approx(0.9 - 0.81, abs=0.003))
    assert settled(rendering, 1.5) == ("B", pytest.approx(0.3 + 1.5 - 1.41, abs=0.003))


def test_resume_goes_on_where_each_clip_was_left(render):
    clip = rising(2)
    actions = [(0, "play"), (0.4, "switchTo", "B"), (0.6, "switchTo", "A"), (1.0, "switchTo", "B"), (1.2, "pause")]
    rendering = render(clip, -clip, 1.5, *actions, mode="resume")
    assert settled(rendering, 0.7) == ("A", pytest.approx(0.4 + 0.7 - 0.61, abs=0.003))
    assert settled(rendering, 1.1) == ("B", pytest.approx(0.2 + 1.1 - 1.01, abs=0.003))
    assert rendering.positions == {"A": pytest.approx(0.8, abs=0.003), "B": pytest.approx(0.4, abs=0.003)}
    assert rounded(rendering.heard) == {"A": [[0, 40], [40, 80]], "B": [[0, 20], [20, 40]]}


def rounded(heard):
    """To 10 ms: rendering pauses only at every 128th sample."""
    return {slot: [[round(ms / 10) for ms in interval] for interval in found] for slot, found in heard.items()}


# ---- loops ----


def test_a_loop_repeats_exactly_however_long_it_runs(render):
    a = rising(2)
    rendering = render(a, -a, 20, (0, "loop", {"start": 0.5, "end": 1.1}), (0, "play"), (10, "switchTo", "B"))
    n = np.arange(round(0.02 * RATE), 20 * RATE)
    raw = n - START
    start, end = round(0.5 * RATE), round(1.1 * RATE)
    place = np.where(raw < end, raw, start + (raw - end) % (end - start))
    clip = np.where(n < 10 * RATE, a[place], -a[place])
    edge = round(EDGE * RATE)
    seam = (raw >= end - edge) & ((place < start + edge) | (place >= end - edge))
    switching = (n > 9.99 * RATE) & (n < 10.03 * RATE)
    assert seam.mean() < 0.03
    settled = ~seam & ~switching
    np.testing.assert_allclose(rendering.samples[n][settled], clip[settled], atol=1e-6)


def test_what_is_heard_of_a_loop_is_every_pass_of_it(render):
    a = rising(2)
    rendering = render(a, -a, 3.5, (0, "loop", {"start": 0.5, "end": 1.0}), (0, "play"))
    *passes, unfinished = rendering.heard["A"]
    assert passes == [[0, 1000], [500, 1000], [500, 1000], [500, 1000], [500, 1000]]
    assert unfinished == [500, round(rendering.position * 1000)]
    assert rendering.position == pytest.approx(0.99, abs=128 / RATE)


def test_a_switch_within_a_loop_shares_out_what_is_heard(render):
    a = rising(2)
    actions = [(0, "loop", {"start": 0.5, "end": 1.0}), (0, "play"), (2.2, "switchTo", "B")]
    rendering = render(a, -a, 3, *actions)
    assert rounded(rendering.heard) == {
        "A": [[0, 100], [50, 100], [50, 100], [50, 70]],
        "B": [[70, 100], [50, 99]],
    }


def test_a_playhead_beyond_the_loop_jumps_to_its_start_and_one_before_it_plays_into_it(render):
    a = rising(2)
    loop = {"start": 0.5, "end": 1.0}
    beyond = render(a, -a, 1.6, (0, "seek", 1.5), (0, "play"), (0.2, "loop", loop))
    assert rounded(beyond.heard)["A"] == [[150, 170], [50, 100], [50, 100], [50, 89]]
    assert settled(beyond, 0.3)[1] == pytest.approx(0.5 + 0.3 - 0.21, abs=0.003)
    before = render(a, -a, 1.6, (0, "seek", 0.2), (0, "play"), (0.1, "loop", loop))
    assert rounded(before.heard)["A"] == [[20, 100], [50, 100], [50, 79]]


def test_setting_and_clearing_a_loop_on_the_way_is_not_heard(render):
    a = 0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * RATE) / RATE)
    actions = [(0, "play"), (0.3, "loop", {"start": 0.1, "end": 1.5}), (0.6, "loop", None)]
    rendering = render(a, -a, 1.5, *actions)
    n = np.arange(round(0.05 * RATE), round(1.4 * RATE))
    np.testing.assert_allclose(rendering.samples[n], a[n - START], atol=1e-5)
    assert rounded(rendering.heard) == {"A": [[0, 149]], "B": []}, "it was one stretch of sound"


def test_a_loop_keeps_to_the_clip_and_to_half_a_second(page):
    regions = page.evaluate("""async () => {
        const { region } = await import('/static/js/looping.js');
        const of = (start, end, duration) => Object.values(region({ start, end }, duration, 48000));
        return [of(1, 1.1, 10), of(9.8, 9.9, 10), of(-3, 4, 10), of(2, 30, 10), of(0.1, 0.2, 0.3)];
    }""")
    assert regions == [[1, 1.5], [9.5, 10], [0, 7], [0, 10], [0, 0.3]]


# ---- what is heard ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("seed", range(3))
def test_what_is_reported_as_heard_is_what_sounded(render, mode, seed):
    """Whatever a listener does, and although nobody asks the player before the end: decoded from the samples."""
    rng = np.random.default_rng(seed)
    actions, n_actions, seconds = [(0, "play")], 30, 12
    for at in np.sort(rng.uniform(0.1, seconds - 0.3, n_actions)):
        start = rng.uniform(0, 1.4)
        choice = [("switchTo", "A"), ("switchTo", "B"), ("seek", rng.uniform(0, 2)), ("pause",), ("play",), ("play",),
                  ("loop", {"start": start, "end": start + 0.5}), ("loop", None)]  # fmt: skip
        actions.append((at, *choice[rng.integers(len(choice))]))
    clip = rising(2)
    rendering = render(clip, -clip, seconds, *actions, mode=mode)
    reported, sounded = np.zeros((2, 200)), np.zeros((2, 200))  # seconds heard of each 10 ms
    for row, slot in enumerate("AB"):
        for start, end in rendering.heard[slot]:
            cell = np.arange(200) * 10
            reported[row] += np.clip(np.minimum(end, cell + 10) - np.maximum(start, cell), 0, None) / 1000
        heard = rendering.samples[(rendering.samples > 0) == (row == 0)]
        heard = heard[np.abs(heard) > 0.099]
        places = np.clip((np.abs(heard) - 0.1) / 0.8 * 200, 0, 199).astype(int)
        np.add.at(sounded[row], places, 1 / RATE)
    seams = sum(1 for slot, _ in rendering.told if slot == "") + n_actions
    assert reported.sum() > 4
    assert np.abs(reported - sounded).sum() < 0.03 * seams
    assert np.abs(reported.sum() - sounded.sum()) < 0.012 * seams


def test_the_end_of_the_clip_is_the_end_of_what_is_heard(render):
    a = rising(1)
    rendering = render(a, -a, 2, (0, "play"))
    assert rendering.heard["A"] == [[0, 1000]]


def test_the_volume_is_a_factor_that_changes_smoothly(render):
    a = np.full(2 * RATE, 0.8)
    rendering = render(a, a, 1.5, (0, "volume", 0.5), (0, "play"), (0.5, "volume", 0.1), (1, "volume", 1))
    levels = [rendering.samples[round(second * RATE)] for second in (0.4, 0.53, 0.9, 1.03)]
    assert levels == pytest.approx([0.4, 0.08, 0.08, 0.8], abs=0.01)
    assert rendering.steepest < 0.8 / (0.005 * RATE) + 1e-4


def test_a_disconnected_player_is_silent_and_does_nothing_more(render):
    a = rising(2)
    rendering = render(a, -a, 1, (0, "play"), (0.3, "disconnect"), (0.5, "play"), (0.6, "switchTo", "B"))
    assert np.abs(rendering.samples[round(0.35 * RATE) :]).max() == 0
    assert rounded(rendering.heard) == {"A": [[0, 30]], "B": []}
    assert rendering.steepest < 0.01

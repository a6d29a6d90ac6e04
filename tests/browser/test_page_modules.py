"""The small modules of the listening page, each by itself in a real Chromium: no server, no database."""

import pytest

from tests.casts import audio_files


@pytest.fixture
def page(open_page):
    return open_page()


# ---- listening ----


def listening(page, script):
    module = "const { Listening } = await import('/static/js/listening.js'); const it = new Listening(1000);"
    return page.evaluate(f"async () => {{ {module} {script} }}")


def test_sound_that_goes_on_is_one_interval_and_a_repeat_is_another(page):
    heard = listening(
        page,
        """it.audible('A', 0); it.silent(0.4); it.audible('A', 0.4); it.silent(0.9);
        it.audible('A', 0.4); it.silent(0.9); it.audible('B', 0.9); it.silent(1); it.audible('A', 0.9);
        return [it.heard(1.2), it.missing(1.2)];""",
    )
    assert heard == [{"A": [[0, 900], [400, 900], [900, 1200]], "B": [[900, 1000]]}, {"A": 0, "B": 900}]


def test_a_pause_parts_two_intervals(page):
    heard = listening(
        page,
        """it.audible('A', 0); it.silent(0.4); await new Promise((done) => setTimeout(done, 60));
        it.audible('A', 0.4); return it.heard(0.9).A;""",
    )
    assert heard == [[0, 400], [400, 900]]


def test_a_report_stays_small_and_never_claims_more_than_was_heard(page):
    looped, fragments = listening(
        page,
        """for (let i = 0; i < 20000; i += 1) { it.audible('A', 1); it.silent(1.5); }
        for (let i = 0; i < 12000; i += 1) { it.audible('B', i * 0.007); it.silent(i * 0.007 + 0.001 * (1 + i % 3)); }
        const { A, B } = it.heard(0);
        return [A, B];""",
    )
    assert len(looped) <= 5000 and set(map(tuple, looped)) == {(1000, 1500)}
    assert 2500 <= len(fragments) <= 5000
    assert all(end - start == 1 + (start // 7) % 3 and start % 7 == 0 for start, end in fragments)


def test_the_decision_is_kept_however_much_happened_before(page):
    events = listening(
        page,
        """it.note('play'); it.note('switch', 'B');
        for (let i = 0; i < 5000; i += 1) it.note('seek', i);
        it.note('decided', 'A'); it.note('decided', 'TIE');
        return it.events;""",
    )
    assert len(events) == 2000
    assert [(event["kind"], event.get("value")) for event in (*events[:2], events[-1])] == [
        ("play", None), ("switch", "B"), ("decided", "TIE"),
    ]  # fmt: skip
    assert events[0].keys() == {"t", "kind"} and events[0]["t"] <= events[-1]["t"]


# ---- preferences ----

PREFERENCES = "const { get, set } = await import('/static/js/preferences.js');"


def test_a_preference_lasts_and_what_is_not_one_is_refused(page):
    page.evaluate(f"async () => {{ {PREFERENCES} set('volume', 0.5); set('shortcuts', false); }}")
    page.evaluate("localStorage.setItem('arena.preference.autoplay', '\"yes\"')")
    page.reload()
    read = f"async () => {{ {PREFERENCES} return ['shortcuts', 'autoplay', 'volume'].map(get); }}"
    assert page.evaluate(read) == [False, False, 0.5]
    for wrong in ("get('colour')", "set('volume', '1')"):
        assert page.evaluate(f"async () => {{ {PREFERENCES} try {{ {wrong}; }} catch {{ return true; }} }}")


def test_where_nothing_is_stored_a_preference_lasts_as_long_as_the_page(page):
    assert page.evaluate(f"""async () => {{
        Storage.prototype.setItem = Storage.prototype.getItem = () => {{ throw new Error('blocked'); }};
        {PREFERENCES}
        const before = get('volume');
        set('volume', 0.25);
        return [before, get('volume')];
    }}""") == [1, 0.25]


# ---- keys ----

CONTROLS = """<p tabindex=0 id=plain>text</p><button id=button>b</button>
    <div class=clips><button id=clip>A</button></div>
    <input id=text><textarea id=area></textarea><input type=range id=range><input type=radio id=radio>
    <div role=slider tabindex=0 id=slider></div><dialog id=dialog><button>x</button></dialog>"""
BIND = """async () => {
    const { bindKeys } = await import('/static/js/keys.js');
    Object.assign(window, { pressed: [], on: true });
    const names = ['a', '1', '?', 'Space', 'Enter', 'ArrowLeft', 'Home', 'Escape'];
    const bindings = Object.fromEntries(names.map((name) => [name, () => { pressed.push(name); }]));
    bindKeys(bindings, { enabled: () => window.on });
}"""


@pytest.fixture
def press(open_page):
    page = open_page(CONTROLS)
    page.evaluate(BIND)

    def press(focus, *keys):
        page.evaluate("(id) => { pressed.length = 0; document.getElementById(id).focus(); }", focus)
        for key in keys:
            page.keyboard.press(key)
        return page.evaluate("pressed")

    press.page = page
    return press


def test_keys_work_wherever_they_mean_nothing_else(press):
    every = ("a", "1", "Shift+?", "Space", "Enter", "ArrowLeft", "Home")
    assert press("plain", *every) == ["a", "1", "?", "Space", "Enter", "ArrowLeft", "Home"]
    assert press("button", *every) == ["a", "1", "?", "ArrowLeft", "Home"]
    press.page.evaluate("clip.onclick = () => pressed.push('clicked')")
    assert press("clip", "Space", "Enter") == ["clicked", "clicked"], "to hear that clip"
    assert press("range", "Space") == ["Space"]
    assert press("slider", "a", "ArrowLeft", "Home") == ["a"]
    assert press("range", "a", "ArrowLeft", "Home") == ["a"]
    assert press("radio", "1", "ArrowLeft", "Space") == ["1"]


def test_keys_are_off_while_typing_in_a_dialog_and_with_modifiers(press):
    assert press("text", "a", "1", "Shift+?", "ArrowLeft", "Enter") == []
    assert press("area", "a", "Space") == []
    assert press("plain", "Control+a", "Alt+1", "Meta+a") == []
    press.page.evaluate("document.getElementById('dialog').showModal()")
    assert press("dialog", "a", "1") == []


def test_switched_off_only_escape_is_left_and_controls_do_what_they_do(press):
    press.page.evaluate("window.on = false; clip.onclick = () => pressed.push('clicked')")
    assert press("plain", "a", "1", "Shift+?", "Space", "ArrowLeft", "Escape") == ["Escape"]
    assert press("clip", "Space") == ["clicked"]


# ---- excerpts ----

LOAD = """async (url) => {
    const { load } = await import('/static/js/excerpts.js');
    const battle = { id: url, clips: { A: { url }, B: { url } } };
    try {
        const { buffers } = await load(battle);
        return buffers.A.duration;
    } catch ({ name, stage, cause, constructor }) {
        return [constructor.name, stage, cause instanceof Error];
    }
}"""


def test_it_says_at_which_stage_an_excerpt_cannot_be_had(page):
    answers = {"gone": {"status": 404}, "refused": {"status": 403}, "noise": {"status": 200, "body": "not audio"}}
    for name, answer in answers.items():
        page.route(f"**/{name}", lambda route, *, answer=answer: route.fulfill(**answer))
    assert page.evaluate(LOAD, "/gone") == ["CannotPlay", "gone", True]
    assert page.evaluate(LOAD, "/refused") == ["CannotPlay", "fetch", True]
    assert page.evaluate(LOAD, "/noise") == ["CannotPlay", "decode", True]


def test_the_buffers_of_two_battles_live_and_these_are_not_fetched_again(page, tmp_path):
    file = tmp_path / "clip.wav"
    audio_files.write(file, audio_files.music(0.5), 48_000, "pcm_s16le")
    fetched = []

    def answer(route):
        fetched.append(route.request.url.rpartition("/")[2])
        route.fulfill(body=file.read_bytes(), content_type="audio/wav")

    page.route("**/audio-*", answer)
    alive = page.evaluate("""async () => {
        const { load } = await import('/static/js/excerpts.js');
        const loaded = [];
        for (const n of [1, 2, 2, 3]) {
            loaded.push(await load({ id: n, clips: { A: { url: `/audio-${n}` }, B: { url: `/audio-${n}` } } }));
        }
        return loaded.map(({ battle, buffers }) => [battle.id, Object.keys(buffers).length]);
    }""")
    assert alive == [[1, 0], [2, 2], [2, 2], [3, 2]]
    assert sorted(fetched) == ["audio-1"] * 2 + ["audio-2"] * 2 + ["audio-3"] * 2


KEEPING = """async () => {
    const { audioContext, keep, load } = await import('/static/js/excerpts.js');
    const { Player } = await import('/static/js/player.js');
    const battle = (n) => ({ id: n, clips: { A: { url: `/audio-${n}` }, B: { url: `/audio-${n}` } } });
    const first = await load(battle(1));
    keep(first.battle);
    const second = await load(battle(2));
    await load(battle(3));
    const told = [];
    const listener = { audible: (slot) => told.push(slot), silent: () => {}, changed: () => {} };
    const played = [first, second].map(({ buffers }) => {
        const player = new Player(audioContext(), buffers, 0.5, listener);
        player.play();
        player.switchTo('B');
        return [player.playing, Object.keys(buffers).length];
    });
    return [played, told];
}"""


def test_the_battle_on_the_page_keeps_its_clips_and_one_without_them_is_not_played(page, tmp_path):
    file = tmp_path / "clip.wav"
    audio_files.write(file, audio_files.music(0.5), 48_000, "pcm_s16le")
    page.route("**/audio-*", lambda route: route.fulfill(body=file.read_bytes(), content_type="audio/wav"))
    played, told = page.evaluate(KEEPING)
    assert played == [[True, 2], [False, 0]]
    assert told == ["A", "B"], "silence is not reported as heard"


def test_a_battle_fetched_ahead_whose_clips_were_let_go_gets_them_again(page, tmp_path):
    file = tmp_path / "clip.wav"
    audio_files.write(file, audio_files.music(0.5), 48_000, "pcm_s16le")
    page.route("**/audio-*", lambda route: route.fulfill(body=file.read_bytes(), content_type="audio/wav"))

    def serve(route):
        n = {"after": 2, "like": 3}.get(next((key for key in route.request.post_data_json if key != "study"), ""), 1)
        clips = {slot: {"url": f"/audio-{n}"} for slot in "AB"}
        route.fulfill(status=201, json={"id": n, "clips": clips, "prompt": {"text": f"prompt {n}", "lyrics": ""}})

    page.route("**/api/battles/", serve)
    assert page.evaluate("""async () => {
        const { keep } = await import('/static/js/excerpts.js');
        const { Supply } = await import('/static/js/supply.js');
        const supply = new Supply('stage', () => {});
        const nothing = () => {};
        const first = await supply.next(nothing);
        keep(first.battle);
        supply.prefetch(first.battle);
        await supply.ahead;
        const liked = await supply.like(first.battle, nothing);
        keep(liked.battle);
        const wasReady = supply.ready;
        const next = await supply.next(nothing);
        const alive = [next, liked].map(({ buffers }) => Object.keys(buffers).length);
        return [wasReady, next.battle.id, next.prefetched, ...alive];
    }""") == [False, 2, True, 2, 2]

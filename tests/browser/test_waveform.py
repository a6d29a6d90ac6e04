"""The waveform on its canvas, in a real Chromium: what is drawn, and what a finger and the keys do to it."""

import pytest

WAVE = """<style>:root { --a: rgb(0, 100, 100); --b: rgb(160, 60, 20); --edge: rgb(139, 130, 117);
    --ink: rgb(30, 27, 23); --paper: rgb(255, 255, 255) } body { margin: 0; height: 3000px }
    canvas { display: block; width: 326px; height: 120px }</style>
    <canvas id=wave role=slider tabindex=0></canvas>"""
DRAW = """async (change) => {
    const { Waveform } = await import('/static/js/waveform.js');
    const peaks = Array.from({ length: 1000 }, (_, i) => 0.3 + 0.7 * Math.abs(Math.sin(i / 40)));
    window.sought = [];
    window.drawing ??= new Waveform(document.getElementById('wave'), (at, { began }) => sought.push([at, began]));
    drawing.draw({ peaks: { A: peaks, B: peaks }, heard: { A: [[0, 5000], [4000, 6000]], B: [] },
                   slot: 'A', position: 6, duration: 10, ...change });
}"""
# How many pixels of row `y` (shares of the height) between two shares of the bars' width are painted.
PAINTED = """([y, from, to]) => {
    const canvas = document.getElementById('wave');
    const left = 26 * devicePixelRatio, width = canvas.width - left;
    const [x, wide] = [Math.round(left + from * width), Math.round((to - from) * width)];
    const { data } = canvas.getContext('2d').getImageData(x, Math.round(y * canvas.height), wide, 1);
    let painted = 0;
    for (let i = 3; i < data.length; i += 4) painted += data[i] > 0;
    return painted / wide;
}"""


@pytest.mark.parametrize("scale", [1, 1.5, 2, 3])
def test_what_was_heard_is_drawn_in_broader_bars_and_crisp(open_page, scale):
    page = open_page(WAVE, device_scale_factor=scale)
    page.evaluate(DRAW, {})
    heard, unheard = page.evaluate(PAINTED, [0.25, 0.02, 0.58]), page.evaluate(PAINTED, [0.25, 0.62, 0.98])
    assert heard > 1.4 * unheard > 0.3
    size, blurred = page.evaluate("""() => {
        const canvas = document.getElementById('wave');
        const left = Math.round(30 * devicePixelRatio);
        const { data } = canvas.getContext('2d').getImageData(left, 0, 200, canvas.height / 2);
        let blurred = 0;
        for (let i = 3; i < data.length; i += 4) blurred += data[i] > 0 && data[i] < 255;
        return [[canvas.width, canvas.height], blurred];
    }""")
    assert size == [326 * scale, 120 * scale] and blurred == 0


def test_the_bars_are_painted_once_per_size(open_page):
    page = open_page(WAVE)
    page.evaluate(DRAW, {})
    page.wait_for_timeout(50)
    made = """async (width) => {
        const create = document.createElement;
        let made = 0;
        document.createElement = (...what) => { made += 1; return create.apply(document, what); };
        if (width) document.getElementById('wave').style.width = width;
        for (let i = 0; i < 20; i += 1) {
            drawing.draw({ ...drawing.state, position: i / 4, heard: { A: [[0, 250 * i]], B: [] } });
            await new Promise(requestAnimationFrame);
        }
        document.createElement = create;
        return made;
    }"""
    assert page.evaluate(made, "") == 0
    assert page.evaluate(made, "200px") == 4


def test_a_loop_has_brackets_and_each_clip_its_own_playhead_if_asked(open_page):
    page = open_page(WAVE)
    columns = """() => {
        const canvas = document.getElementById('wave');
        const paint = canvas.getContext('2d');
        const red = (x, top) => paint.getImageData(x, top, 1, 50).data.filter((_, i) => i % 4 === 0);
        const inked = (x, top) => red(x, top).filter((value) => value === 30).length > 40;
        const columns = Array.from({ length: canvas.width }, (_, x) => x);
        return [0, 70].map((top) => columns.filter((x) => inked(x, top)));
    }"""
    page.evaluate(DRAW, {"position": 6})
    assert page.evaluate(columns) == [[205, 206], [205, 206]]
    page.evaluate(DRAW, {"positions": {"A": 6, "B": 3}})
    assert page.evaluate(columns) == [[205, 206], [116]]
    page.evaluate(DRAW, {"position": 6, "loop": {"start": 2, "end": 8}})
    assert page.evaluate(columns) == [[86, 87, 205, 206, 264, 265]] * 2


def test_the_picture_is_drawn_from_the_decoded_samples_of_both_ears(open_page):
    page = open_page()
    first, middle, last = page.evaluate("""async () => {
        const { pictureOf } = await import('/static/js/picture.js');
        const buffer = new AudioBuffer({ length: 48000, numberOfChannels: 2, sampleRate: 48000 });
        buffer.getChannelData(0).subarray(0, 12000).fill(-0.5);
        buffer.getChannelData(1).subarray(36000).fill(0.25);
        const picture = pictureOf(buffer);
        const share = (from, to) => [...new Set(picture.subarray(from * picture.length, to * picture.length))];
        return [share(0, 0.25), share(0.25, 0.75), share(0.75, 1)];
    }""")
    assert (first, middle, last) == ([0.5], [0], [0.25])


def test_dragging_scrubs_and_the_sliders_keys_seek(open_page):
    page = open_page(WAVE)
    page.evaluate(DRAW, {"duration": 30})
    page.mouse.move(26 + 150, 60)
    page.mouse.down()
    page.mouse.move(26 + 200, 60)
    page.mouse.up()
    page.mouse.move(26 + 250, 60)
    assert page.evaluate("sought") == [[15, True], [20, False]]
    page.evaluate("sought.length = 0")
    page.locator("#wave").focus()
    for key in ("ArrowLeft", "ArrowRight", "Home", "End", "a"):
        page.keyboard.press(key)
    assert page.evaluate("sought") == [[1, True], [11, True], [0, True], [30, True]]


def swipe(page, *points):
    client = page.context.new_cdp_session(page)
    for kind, (x, y) in zip(["touchStart"] + ["touchMove"] * (len(points) - 1), points, strict=True):
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(100)


def test_a_finger_scrubs_sideways_taps_and_still_scrolls_the_page(open_page):
    page = open_page(WAVE, has_touch=True, is_mobile=True, viewport={"width": 360, "height": 600})
    page.evaluate(DRAW, {})
    swipe(page, (176, 60))
    assert page.evaluate("sought") == [[pytest.approx(5, abs=0.01), True]]
    page.evaluate("sought.length = 0")
    swipe(page, (100, 60), (130, 60), (180, 60), (236, 60))
    sought = page.evaluate("sought")
    assert [began for _, began in sought] == [True] + [False] * (len(sought) - 1)
    assert sought[-1][0] == pytest.approx(7, abs=0.01) and page.evaluate("scrollY") == 0
    page.evaluate("sought.length = 0")
    swipe(page, (176, 100), (176, 80), (176, 50), (176, 20))
    assert page.evaluate("sought") == [] and page.evaluate("scrollY") > 0


def test_where_the_system_prescribes_colours_the_waveform_uses_them(open_page):
    page = open_page(WAVE, forced_colors="active")
    page.evaluate(DRAW, {})
    colours = page.evaluate("""() => {
        const canvas = document.getElementById('wave');
        const { data } = canvas.getContext('2d').getImageData(26, 0, 300, 120);
        const found = new Set();
        for (let i = 0; i < data.length; i += 4) {
            if (data[i + 3] === 255) found.add(data.slice(i, i + 3).join());
        }
        return [...found];
    }""")
    assert colours and "0,100,100" not in colours and "139,130,117" not in colours

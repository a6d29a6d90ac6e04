"""A real Chromium for the tests that need one, and a small stage whose excerpts can really be played."""

import os
import shutil
from contextlib import contextmanager

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

from arena import audio
from arena.models import Clip, Excerpt, Prompt, Study, System
from tests.casts import audio_files

SYSTEMS = ("marbeck", "quillon", "zephyrine")  # names that nothing else on a page contains
LENGTH_MS = 2000
GATE_MS = 300

SWITCHES = [
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


POLICY = "Content Security Policy"  # in what the browser says of a page that breaks its own

# What is wider than the screen, or holds more than its width while it cuts off or scrolls what overflows it.
TOO_WIDE = """() => {
    const cuts = (e) => getComputedStyle(e).overflowX !== 'visible' && !e.matches('input, .visually-hidden');
    const outside = ({ left, right }) => left < 0 || right > innerWidth;
    const root = document.documentElement;
    return [root, ...document.querySelectorAll('body, body *')]
        .filter((e) => e.checkVisibility() && ((e === root || cuts(e)) && e.scrollWidth > e.clientWidth + 1
            || e.matches('dialog[open]') && outside(e.getBoundingClientRect())))
        .map((e) => `${e.tagName} ${e.id || e.className}: ${e.scrollWidth} in ${e.clientWidth}`);
}"""


def find_chromium():
    """The machine's Chromium. Without one the test is skipped with the reason; under CI=true it fails."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    reason = "There is no Chromium here; `apt-get install chromium` brings one."
    return pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


@contextmanager
def chromium():
    """Playwright keeps an event loop in this thread: Django is told that queries beside it are fine."""
    path = find_chromium()
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=path, args=SWITCHES + sandbox)
            yield browser
            browser.close()
    finally:
        del os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"]


def cut_excerpts(folder):
    """{system name: (file, facts)}: real excerpts of synthetic music, made once and used by every test."""
    excerpts = {}
    for seed, name in enumerate(SYSTEMS):
        original, cut = folder / f"{name}.wav", folder / f"{name}-cut.wav"
        audio_files.write(original, audio_files.music(2.5, seed=seed), 48_000, "pcm_s16le")
        excerpts[name] = (cut, audio.cut_excerpt(original, cut, length_ms=LENGTH_MS, codec="wav"))
    return excerpts


def build_study(excerpts, media):
    """The default study: one prompt, a clip of each system, so three battles for a rater."""
    study = Study.objects.create(
        slug="stage", name="The stage", is_default=True, min_listen_ms=GATE_MS, excerpt_s=2, codec="wav"
    )
    prompt = Prompt.objects.create(text="A calm piano ballad", lyrics="Here comes the night,\nand there it goes.")
    (media / "excerpts").mkdir(parents=True)
    for number, (name, (file, facts)) in enumerate(excerpts.items()):
        system = System.objects.create(name=name)
        study.systems.add(system)
        clip = Clip.objects.create(
            system=system, prompt=prompt, sha256=f"{number:064}", status="ready",
            duration_ms=2500, sample_rate=48_000, channels=2, loudness_lufs=-20.0, true_peak_dbtp=-6.0,
        )  # fmt: skip
        shutil.copy(file, media / "excerpts" / f"{number}.wav")
        Excerpt.objects.create(
            study=study, clip=clip, length_ms=LENGTH_MS, codec="wav", status="ready", file=f"excerpts/{number}.wav",
            size=facts.bytes, gain_db=facts.gain_db, loudness_lufs=facts.loudness_lufs,
            true_peak_dbtp=facts.true_peak_dbtp,
        )  # fmt: skip
    return study


def add_checks(study, media):
    """A degraded and a signalling variant of every clip: the same sound, for who looks and does not listen."""
    for excerpt in Excerpt.objects.filter(variant=""):
        for variant in ("lowpass", "tones"):
            name = f"excerpts/{excerpt.clip_id}-{variant}.wav"
            shutil.copy(media / excerpt.file.name, media / name)
            Excerpt.objects.create(
                study=study, clip=excerpt.clip, length_ms=LENGTH_MS, codec="wav", variant=variant, status="ready",
                file=name, size=excerpt.size, gain_db=excerpt.gain_db, loudness_lufs=excerpt.loudness_lufs,
                true_peak_dbtp=excerpt.true_peak_dbtp,
            )  # fmt: skip


class Visitor:
    """Somebody at the listening page: does what a hand does, and knows what the page should then show."""

    def __init__(self, page, address):
        self.page, self.address = page, address
        self.faults = []
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", lambda said: self.faults.append(said.text) if POLICY in said.text else None)

    def open(self, path="/listen/stage/"):
        self.page.goto(self.address + path)
        return self

    def agree(self):
        self.page.get_by_role("button", name="Agree and start listening").click()
        return self.wait_for_battle()

    def wait_for_battle(self):
        """Until its clips can be played."""
        self.page.get_by_text("Which one is better?").wait_for()
        self.page.locator('#deck[aria-busy="false"]').wait_for()
        return self

    def press(self, key, then_wait_ms=0):
        self.page.keyboard.press(key)
        self.page.wait_for_timeout(then_wait_ms)
        return self

    def tab_to(self, name):
        """Press Tab until the control of that name has the focus."""
        focused = "(({ ariaLabel, textContent }) => (ariaLabel ?? textContent).trim())(document.activeElement)"
        for _ in range(40):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(focused) == name:
                return self
        return pytest.fail(f"Tab does not reach {name!r}")

    def click(self, name):
        self.page.get_by_role("button", name=name).click()
        return self

    def hear_both(self):
        self.press("1").heard("A").press("2")
        return self.sees("You have heard both.")

    def heard(self, slot):
        self.page.locator(f'[data-clip="{slot}"] .gate', has_text="heard").wait_for()
        return self

    def answer(self, name):
        return self.page.get_by_role("group", name="Which one is better?").get_by_role("button", name=name)

    def sees(self, text):
        self.page.get_by_text(text).filter(visible=True).first.wait_for()
        return self

    def battle_id(self):
        """Of the battle that the server would give this browser now, as the page asks for it."""
        return self.page.evaluate(
            """async () => {
                const { call } = await import('/static/js/api.js');
                return (await call('POST', '/api/battles/', { study: 'stage' })).body.id;
            }"""
        )

    def axe(self):
        """What axe-core finds that is serious or worse: [(rule, element), ...]."""
        self.page.wait_for_timeout(200)  # fading in is no lack of contrast
        found = Axe().run(self.page).response["violations"]
        return [
            (violation["id"], node["html"][:200])
            for violation in found
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]

    def small_targets(self):
        """What is to be touched but smaller than a finger, 44 px either way."""
        return self.page.evaluate(
            """() => [...document.querySelectorAll(
                    'a, button, input, label:has(input), summary, textarea, [role=slider]')]
                .filter((e) => e.checkVisibility() && !e.classList.contains('skip-link'))
                .map((e) => [e.id || e.textContent.trim() || e.type, e.getBoundingClientRect()])
                .filter(([, box]) => box.height < 44 || box.width < 44).map(([name]) => name)"""
        )

    def fits_phones(self):
        """Whether on a small and on a usual phone nothing makes the page or an open dialog scroll sideways, and nothing
        is cut off at its side."""
        for width in (320, 360):
            self.page.set_viewport_size({"width": width, "height": 700})
            self.page.wait_for_timeout(100)  # what is drawn is drawn anew
            if wide := self.page.evaluate(TOO_WIDE):
                print(f"too wide at {width} px: {wide}")
                return False
        return True

"""Before the first battle and after the last, in a real Chromium: volume, headphones, the signal, the outcome."""

import base64
import io
import json
import wave

import numpy as np
import pytest
from django.template.loader import render_to_string

from arena.audio import headphones, loudness
from arena.models import Participation, Study
from tests.casts import browser as stage

SETTINGS = {"slug": "stage", "name": "The stage", "traps": True, "headphones": "recommended", "platform": {}}


def page_of(study):
    """A page with the partials and nothing else, which does with them what the listening page does."""
    sections = [
        f'<section data-state="{state}" class="stack">{render_to_string(template, {"study": study})}</section>'
        for state, template in (("before", "arena/_before.html"), ("finished", "arena/_completion.html"))
    ]
    sections.append('<section data-state="loading" hidden><p id="loading-text" tabindex="-1"></p></section>')
    styles = [f'<link rel="stylesheet" href="/static/css/{name}.css">' for name in ("base", "listen", "before")]
    return (
        '<!doctype html><html lang="en"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>Before</title>{"".join(styles)}<main class="listen"><h1>The stage</h1>{"".join(sections)}</main>'
        "<script>document.querySelector('[data-state=finished]').hidden = true;</script></html>"
    )


class Guest(stage.Visitor):
    """Somebody who has agreed, at a page with nothing but what comes before and after."""

    def arrive(self, study):
        self.settings = dict(SETTINGS)
        self.page.route("**/partials/", lambda route: route.fulfill(content_type="text/html", body=page_of(study)))
        return self.open("/partials/")

    def agree(self):
        self.open("/").page.evaluate(
            """async () => {
                const { call } = await import('/static/js/api.js');
                await call('POST', '/api/raters/', { study: 'stage', consent_version: 1 });
            }"""
        )
        return self.open("/partials/")

    def is_answered(self, address, status=200, **body):
        """The server is not there: this is what it would say."""
        self.page.route(address, lambda route: route.fulfill(status=status, body=json.dumps(body)))
        return self

    def begins(self, code):
        self.page.evaluate(
            """async ([code, settings]) => {
                const { before } = await import('/static/js/before.js');
                window.result = null;
                before(code, settings).then((result) => { window.result = result; });
            }""",
            [code, self.settings],
        )
        return self

    def finishes(self, call, *arguments):
        self.page.evaluate(
            """async ([call, args]) => {
                document.querySelector('[data-state=before]').hidden = true;
                document.querySelector('[data-state=finished]').hidden = false;
                (await import('/static/js/completion.js'))[call](...args);
            }""",
            [call, arguments],
        )
        return self

    def result(self):
        return self.page.wait_for_function("window.result").json_value()

    def hears_short_sounds(self, seconds=0.05):
        """Real trials last four seconds."""
        self.page.route("**/audio/**", lambda route: route.fulfill(content_type="audio/wav", body=silence(seconds)))
        return self

    def answers(self, choices):
        for number, choice in enumerate(choices, start=1):
            self.sees(f"Sound {number} of 6").press("Space").sees("Which of the three").press(str(choice))
        return self


def silence(seconds):
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(bytes(4 * round(24_000 * seconds)))
    return content.getvalue()


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1024, "height": 900})
    yield context.new_page()
    context.close()


@pytest.fixture
def study(transactional_db):
    return Study.objects.create(
        slug="stage", name="The stage", is_default=True, volume_check=True, headphones="recommended"
    )


@pytest.fixture
def guest(page, study, live_server):
    """At a page of the real server, and known to it."""
    guest = Guest(page, live_server.url).arrive(study).agree()
    yield guest
    assert guest.faults == [], "the page raised errors"


@pytest.fixture
def reader(page, static_address):
    """At the same page with no server behind it."""
    reader = Guest(page, static_address).arrive(Study(slug="stage", name="The stage"))
    yield reader
    assert reader.faults == [], "the page raised errors"


@pytest.fixture
def targets(monkeypatch):
    """Where the tone is, in each of the six trials."""
    targets = [1, 3, 2, 2, 1, 3]
    monkeypatch.setattr("arena.services.joining.headphone_targets", lambda *_: [(target, 1) for target in targets])
    return targets


def trials_are_given(reader):
    return reader.is_answered("**/headphones/", status=201, attempt=1, trials=[{"url": "/audio/headphones"}] * 6)


def participation():
    return Participation.objects.get()


# ---- volume ----


def test_the_volume_is_set_by_a_sound_and_told_to_the_server(guest):
    guest.begins("volume_needed").sees("Set your volume")
    guest.click("This is comfortable").sees("Play the sound first")
    guest.click("Play the sound").sees("Stop the sound")
    guest.page.get_by_label("Volume of this page").press("ArrowLeft")
    guest.sees("99 %").click("This is comfortable")
    assert guest.result() == "continue"
    assert participation().volume == 0.99
    assert guest.page.evaluate("import('/static/js/preferences.js').then((all) => all.get('volume'))") == 0.99


def test_a_page_that_was_silent_is_as_loud_as_the_slider_says(reader):
    level = "(await import('/static/js/volume.js')).level()"
    reader.page.evaluate("import('/static/js/volume.js').then((volume) => volume.setLevel(0))")
    reader.begins("volume_needed").sees("5 %")
    assert reader.page.evaluate(f"(async () => {level})()") == 0.05


def test_the_reference_sound_is_as_loud_as_the_excerpts_and_loops_without_a_seam(reader):
    encoded = reader.page.evaluate(
        """async () => {
            const { referenceSound } = await import('/static/js/volume.js');
            const sound = await referenceSound();
            const bytes = new Uint8Array(sound.length * 8);
            bytes.set(new Uint8Array(sound.getChannelData(0).buffer));
            bytes.set(new Uint8Array(sound.getChannelData(1).buffer), sound.length * 4);
            let text = '';
            for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
            return btoa(text);
        }"""
    )
    sound = np.frombuffer(base64.b64decode(encoded), "<f4").reshape(2, -1)
    levels = loudness.measure(np.ascontiguousarray(sound.T), 48_000, "stereo")
    assert abs(levels.loudness_lufs + 23) < 0.3
    assert levels.true_peak_dbtp < -6
    steps = np.abs(np.diff(sound, axis=1))
    assert (np.abs(sound[:, 0] - sound[:, -1]) < steps.max(axis=1)).all()


# ---- headphones ----


def test_who_hears_the_tone_goes_on(guest, targets):
    guest.hears_short_sounds().begins("headphones_needed").sees("Put on headphones")
    guest.click("My headphones are on").answers(targets)
    guest.sees("Your headphones work").sees("You found the tone in 6 of 6.").click("Continue")
    assert guest.result() == "continue"
    assert (participation().headphones, participation().headphone_attempts) == ("pass", 1)


def test_an_answer_counts_only_after_the_whole_sound_which_may_be_repeated_once(reader):
    trials_are_given(reader).hears_short_sounds(1.2).begins("headphones_needed")
    reader.click("My headphones are on").sees("Sound 1 of 6")
    reader.press("1").sees("Not yet: listen to all three noises first.")
    reader.press("Space").sees("Playing…").press("1").sees("Not yet: listen to all three noises first.")
    reader.sees("Play once more").press("Space").sees("Playing…").sees("Played twice")
    reader.press("Space", 100).sees("Played twice").press("1").sees("Sound 2 of 6")


def test_an_answer_during_the_replay_leaves_the_next_sound_as_it_was(reader):
    trials_are_given(reader).hears_short_sounds(0.8).begins("headphones_needed")
    reader.click("My headphones are on").sees("Sound 1 of 6")
    reader.press("Space").sees("Play once more").press("Space").sees("Playing…").press("2").sees("Sound 2 of 6")
    reader.page.wait_for_timeout(1200)  # the replay has ended
    reader.sees("Press Play, then choose").press("1").sees("Not yet: listen to all three noises first.")
    reader.press("Space").sees("Playing…").sees("Play once more")


def test_the_number_whose_noise_sounds_is_marked_not_by_colour_alone(reader):
    trials_are_given(reader).hears_short_sounds(1.8).begins("headphones_needed")
    reader.click("My headphones are on").sees("Sound 1 of 6")
    reader.page.evaluate(
        """() => {
            window.marked = [];
            const note = () => {
                const button = document.querySelector('.choice.sounding');
                const mark = button ? button.dataset.choice + getComputedStyle(button, '::after').content : '';
                if (mark !== window.marked.at(-1)) window.marked.push(mark);
            };
            new MutationObserver(note).observe(document.querySelector('.choices'), { subtree: true, attributes: true });
        }"""
    )
    reader.press("Space").sees("Which of the three").page.wait_for_selector(".choice.sounding", state="detached")
    assert reader.page.evaluate("window.marked.filter((mark) => mark)") == ['1")))"', '2")))"']


def test_who_fails_may_try_once_more_and_then_go_on_where_headphones_are_recommended(guest, targets):
    wrong = [target % 3 + 1 for target in targets]
    guest.hears_short_sounds().begins("headphones_needed").click("My headphones are on").answers(wrong)
    guest.sees("Not quite yet").sees("What often helps").sees("Continue anyway").click("Try again").answers(wrong)
    guest.sees("The tone stayed hidden").click("Continue")
    assert guest.result() == "continue"
    assert (participation().headphones, participation().headphone_attempts) == ("fail", 2)


def test_where_headphones_are_required_a_second_failure_ends_it(guest, targets, study):
    Study.objects.update(headphones="required", completion={"codes": {"screened_out": "SCR-1"}})
    guest.settings["headphones"] = "required"
    wrong = [target % 3 + 1 for target in targets]
    guest.hears_short_sounds().begins("headphones_needed").click("My headphones are on").answers(wrong)
    assert not guest.sees("Not quite yet").page.get_by_role("button", name="Continue anyway").is_visible()
    guest.click("Try again").answers(wrong)
    assert guest.result() == "ended"
    Study.objects.update(volume_check=False)
    guest.finishes("showCompletion", guest.settings, {}).sees("Thank you for trying")
    assert guest.page.get_by_label("Your completion code").input_value() == "SCR-1"


def test_who_has_no_headphones_says_so(guest, targets):
    guest.begins("headphones_needed").click("I have no headphones here")
    assert guest.result() == "continue"
    assert participation().headphones == "unknown"


def test_who_has_no_headphones_where_they_are_required_gets_the_code_for_that(guest, study):
    Study.objects.update(
        headphones="required", volume_check=False, completion={"codes": {"incompatible_device": "DEV-1"}}
    )
    guest.settings["headphones"] = "required"
    guest.begins("headphones_needed").sees("without them it ends here").click("I have no headphones here")
    assert guest.result() == "ended"
    assert participation().headphones == "", "nobody said that the check was done"
    guest.finishes("showCompletion", guest.settings, {}).sees("This study needs another device")
    assert guest.page.get_by_label("Your completion code").input_value() == "DEV-1"


def test_a_check_that_cannot_be_played_excludes_nobody(guest, targets):
    guest.page.route("**/audio/**", lambda route: route.fulfill(content_type="audio/wav", body=b"not audio"))
    guest.begins("headphones_needed").click("My headphones are on")
    guest.sees("The check could not be played here").click("Continue")
    assert guest.result() == "continue"
    assert participation().headphones == "unknown"


def test_the_servers_trials_are_the_sounds_the_page_expects(guest):
    lengths = guest.page.evaluate(
        """async () => {
            const { bytes, call } = await import('/static/js/api.js');
            const { body } = await call('POST', '/api/studies/stage/headphones/', {});
            const context = new AudioContext();
            const buffers = await Promise.all(
                body.trials.map(async ({ url }) => context.decodeAudioData(await bytes(url))));
            return buffers.map(({ duration, numberOfChannels }) => [Math.round(duration * 1000), numberOfChannels]);
        }"""
    )
    whole = 3 * headphones.INTERVAL_MS + 2 * headphones.PAUSE_MS
    assert lengths == [[whole, 2]] * headphones.N_TRIALS
    assert (headphones.INTERVAL_MS, headphones.INTERVAL_MS + headphones.PAUSE_MS) == (1000, 1500), "headphones.js"


# ---- the signal ----


def test_the_signal_is_heard_once_before_the_first_battle(reader):
    reader.hears_short_sounds()
    needed = "import('/static/js/before.js').then((all) => all.needsTrapInstructions({ slug: 'stage', traps: %s }))"
    assert reader.page.evaluate(needed % "true") and not reader.page.evaluate(needed % "false")
    reader.page.evaluate(
        "import('/static/js/before.js').then((all) => { all.trapInstructions({ slug: 'stage', traps: true }); })"
    )
    reader.sees("Listen for the signal").click("I know the signal").sees("Play the signal first")
    reader.click("Play the signal").sees("That was the signal.").click("I know the signal")
    reader.page.get_by_text("Listen for the signal").wait_for(state="hidden")
    reader.open("/partials/")
    assert not reader.page.evaluate(needed % "true")


# ---- the outcome ----


def test_a_code_is_shown_copied_and_leads_back(reader):
    reader.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    url = "https://platform.example/back?cc=C-42"
    reader.is_answered("**/completion/", outcome="completed", message="Well done.", code="C-42", url=url)
    reader.finishes("showCompletion", reader.settings, {}).sees("Thank you.").sees("Well done.")
    assert reader.page.get_by_label("Your completion code").input_value() == "C-42"
    reader.click("Copy").sees("Copied")
    assert reader.page.evaluate("navigator.clipboard.readText()") == "C-42"
    back = reader.page.get_by_role("link", name="Return to the platform")
    assert back.get_attribute("href") == url


def test_without_settings_of_its_own_a_study_just_says_thanks(reader):
    reader.is_answered("**/completion/", outcome="completed", message="", code=None, url=None)
    reader.finishes("showCompletion", reader.settings, {}).sees("Thank you. That was all of them.")
    assert reader.page.get_by_role("link", name="See the board").is_visible()
    for name in ("Return to the platform", "Copy", "Your completion code"):
        assert not reader.page.get_by_text(name).is_visible()


def test_every_outcome_has_its_own_words(reader):
    for outcome, words in {
        "failed_checks": "too many of yours were different",
        "screened_out": "Thank you for trying",
        "full": "Full for the moment",
        "no_consent": "You have not agreed, and that is fine",
        "incompatible_device": "This study needs another device",
    }.items():
        reader.finishes("renderOutcome", {"outcome": outcome, "message": "", "code": "X", "url": None}).sees(words)


def test_open_pairs_are_named_and_led_back_to(reader):
    reader.is_answered("**/completion/", status=409, code="not_finished", detail="…", open=2)
    reader.finishes("showCompletion", reader.settings, {}).sees("2 pairs are still open.")
    reader.click("Back to the pairs").page.wait_for_url("**/partials/")


def test_the_last_answers_are_sent_from_here_before_the_code_is_asked_for(reader):
    asked = []
    reader.page.route(
        "**/completion/", lambda route: (asked.append(1), route.fulfill(status=409, body='{"code": "x"}'))
    )
    reader.page.evaluate(
        "import('/static/js/outbox.js').then((outbox) => outbox.put('some-battle', 'stage', { preference: 'A' }))"
    )
    reader.page.route("**/vote/", lambda route: route.abort())
    reader.finishes("showCompletion", reader.settings, {}).sees("1 answer is on its way.")
    assert not asked
    reader.page.unroute("**/vote/")
    reader.page.route("**/vote/", lambda route: route.fulfill(status=404, body='{"code": "not_found"}'))
    reader.sees("We cannot tell yet how it ended")
    assert asked


# ---- for everybody ----


def test_no_step_is_wider_than_a_phone_nor_smaller_than_a_finger_nor_hard_to_read(reader):
    reader.page.evaluate(
        """() => {
            for (const hidden of document.querySelectorAll('[hidden]')) hidden.hidden = false;
            for (const button of document.querySelectorAll('button:empty')) button.textContent = 'Continue anyway';
            document.querySelector('#outcome-code').value = 'A-LONG-COMPLETION-CODE-1234';
        }"""
    )
    assert reader.fits_phones()
    assert reader.small_targets() == []
    for scheme in ("light", "dark"):
        reader.page.emulate_media(color_scheme=scheme)
        assert reader.axe() == []

"""The demo's music: it obeys its prompt, each system has its planted flaw, and the good ones are clean."""

import wave
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from scoring.demo.composer import compose, read_brief
from scoring.demo.instruments import VOICES, plucked_guitar, ring
from scoring.demo.styles import INSTRUMENTS, PLAIN, STYLES
from scoring.demo.synth import PROMPTS, SYSTEMS, DemoPrompt, generate, write_wav

RATE = 22_050  # enough for these questions, and fast
FUNK, TRANCE, LOFI, ROCK = PROMPTS[1], PROMPTS[2], PROMPTS[3], PROMPTS[6]


@cache
def clip(slug, prompt, seed=1):
    return generate(slug, prompt, seed, seconds=12.0, sample_rate=RATE)


def onset_strength(audio, hop=220):
    """Half-wave rectified rise of the log spectrum every 10 ms, zero mean."""
    mono = audio.mean(axis=0)
    frames = np.lib.stride_tricks.sliding_window_view(mono, 880)[::hop] * np.hanning(880)
    rise = np.maximum(np.diff(np.log1p(np.abs(np.fft.rfft(frames))), axis=0), 0).sum(axis=1)
    return rise - rise.mean(), RATE / hop


def pulse(audio, bpm):
    """Autocorrelation of the onsets at one to four beats of a tempo, relative to that at lag 0."""
    onsets, per_second = onset_strength(audio)
    lags = 60 * per_second / np.atleast_1d(bpm)
    spectrum = np.abs(np.fft.rfft(onsets, 2 * onsets.size)) ** 2
    echo = np.fft.irfft(spectrum)[: onsets.size]
    return sum(np.interp(k * lags, np.arange(echo.size), echo) for k in (1, 2, 4)) / (3 * echo[0])


def tempo(audio, low, high):
    """The tempo in bpm, between two bounds, at which the onsets repeat most."""
    candidates = np.arange(low, high, 0.5)
    return candidates[np.argmax(pulse(audio, candidates))]


def pitch_classes(score):
    """Seconds of sound per semitone above the tonic."""
    weights = np.zeros(12)
    for notes in score.parts.values():
        for note in notes:
            weights[round(note.pitch - score.key.tonic) % 12] += note.beats
    return weights


def written(text, seed=0, seconds=14.0):
    return compose(read_brief(text), seconds, np.random.default_rng(seed))


def test_the_same_request_gives_the_same_samples_and_another_seed_gives_other_music():
    first = generate("hazel", FUNK, 7, seconds=5.0, sample_rate=RATE)
    assert np.array_equal(first, generate("hazel", FUNK, 7, seconds=5.0, sample_rate=RATE))
    assert not np.allclose(first, generate("hazel", FUNK, 8, seconds=5.0, sample_rate=RATE), atol=0.01)


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.slug)
@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.tags[0])
def test_every_clip_is_finite_stereo_without_dc_clicks_at_its_ends_or_silence(system, prompt):
    audio = clip(system.slug, prompt)
    assert audio.dtype == np.float32 and audio.shape == (2, 12 * RATE)
    assert np.isfinite(audio).all() and np.abs(audio).max() <= 1
    assert np.abs(audio.mean(axis=1)).max() < 1e-3
    assert np.abs(audio[:, [0, -1]]).max() < 1e-3
    body = audio[:, : 10 * RATE].reshape(2, 10, -1)
    assert 20 * np.log10(body.std(axis=2).min()) > -45  # no second of it is silent


@pytest.mark.parametrize("prompt", (FUNK, TRANCE, LOFI, ROCK), ids=lambda p: p.tags[0])
@pytest.mark.parametrize("slug", ("hazel", "cedar", "rowan"))
def test_drums_keep_the_tempo_that_the_prompt_states(slug, prompt):
    asked = read_brief(prompt.text).bpm
    assert tempo(clip(slug, prompt), 0.72 * asked, 1.4 * asked) == pytest.approx(asked, rel=0.015)


def test_another_tempo_in_the_same_prompt_is_another_tempo_in_the_music():
    slower = DemoPrompt(FUNK.text.replace("112", "92"), FUNK.tags)
    assert tempo(clip("hazel", slower), 66, 129) == pytest.approx(92, rel=0.015)


def test_the_written_tempo_is_the_stated_one_for_every_prompt():
    asked = [read_brief(prompt.text).bpm for prompt in PROMPTS]
    assert asked == [70, 112, 138, 84, 150, 60, 140, 120]


@pytest.mark.parametrize(
    ("words", "bpm"), [("slow strings", 66), ("driving rock", 140), ("a song", 100), ("rock at 97 BPM", 97)]
)
def test_without_a_number_the_tempo_follows_the_words(words, bpm):
    assert read_brief(words).bpm == bpm


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.tags[0])
@pytest.mark.parametrize("seed", range(5))
def test_the_third_above_the_tonic_is_minor_in_minor_prompts_and_major_in_major_ones(prompt, seed):
    minor_third, major_third = pitch_classes(written(prompt.text, seed))[[3, 4]]
    asked = "minor" if "minor" in prompt.tags else "major"
    assert ("minor" if minor_third > major_third else "major") == asked
    assert {"minor", "major"} & set(prompt.tags) <= {asked}


def test_a_stated_key_is_the_key():
    assert read_brief("rock in E minor").tonic == 4
    assert read_brief("a waltz in B-flat major").tonic == 10
    assert written("ambient pads in F# major").key.tonic % 12 == 6


def test_a_stated_mode_outranks_the_mood():
    assert read_brief("a cheerful tune in a minor key").mode == "minor"
    assert read_brief("dark trance with bright drums").mode == "minor"


@pytest.mark.parametrize(
    ("text", "role", "voice"),
    [
        (PROMPTS[0].text, "chords", "piano"),
        (PROMPTS[0].text, "pad", "strings"),
        (PROMPTS[1].text, "bass", "slap bass"),
        (PROMPTS[2].text, "arpeggio", "plucked arpeggio"),
        (PROMPTS[3].text, "chords", "electric piano"),
        (PROMPTS[5].text, "lead", "bells"),
        (PROMPTS[7].text, "lead", "flute"),
        ("rock with piano and flute", "lead", "flute"),
        ("rock with piano and flute", "chords", "piano"),
        ("a waltz with an arpeggio", "arpeggio", "plucked arpeggio"),
    ],
)
def test_a_named_instrument_plays(text, role, voice):
    assert read_brief(text).voices[role] == voice
    assert written(text).parts[role]


def test_an_electric_piano_is_not_also_a_piano():
    assert "piano" not in read_brief("lo-fi with electric piano").voices.values()


def test_every_style_and_instrument_word_has_a_voice_and_patterns_that_fill_its_bar():
    for style in (*STYLES, PLAIN):
        patterns = [style.chords, style.bass, style.arpeggio, *style.melody, *style.drums.values()]
        assert all(len(pattern) in (0, 4 * style.beats) for pattern in patterns), style.words
        assert all(voice in VOICES for role, voice in style.voices.items() if role != "drums")
    assert all(voice in VOICES or "drums" in roles for _, roles, voice in INSTRUMENTS)


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.tags[0])
def test_a_piece_ends_on_its_tonic_after_a_melody_that_repeats_its_motif(prompt):
    score = written(prompt.text, seed=4)
    lead, bass = score.parts["lead"], score.parts["bass"]
    assert {round(part[-1].pitch - score.key.tonic) % 12 for part in (lead, bass)} == {0}
    assert lead[-1].beat == bass[-1].beat == score.ending < score.beats
    beats = score.brief.style.beats
    rhythm = [[n.beat - bar * beats for n in lead if bar * beats <= n.beat < (bar + 1) * beats] for bar in (0, 1)]
    assert rhythm[0] == rhythm[1]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda p: p.tags[0])
def test_the_melody_stands_on_chord_tones_at_every_beat_it_sounds(prompt):
    score = written(prompt.text, seed=2)
    slot = score.brief.style.beats / score.brief.style.chords_per_bar
    for note in score.parts["lead"]:
        if note.beat % 1 == 0:
            chord = score.chords[min(int(note.beat / slot), len(score.chords) - 1)]
            tones = {score.key.midi(d, chord.raised) % 12 for d in chord.degrees}
            assert round(note.pitch) % 12 in tones


def test_voices_lead_smoothly_from_chord_to_chord():
    for prompt in PROMPTS:
        pad = written(prompt.text, seed=3).parts.get("pad", ())
        voicings = [[n.pitch for n in pad if n.beat == beat] for beat in sorted({n.beat for n in pad})]
        for before, after in pairwise(voicings):
            assert np.abs(np.subtract(before, after)).mean() <= 3.5


def test_the_planted_order_is_complete_and_balanced():
    assert len({system.quality for system in SYSTEMS}) == 6 and len({system.slug for system in SYSTEMS}) == 6
    assert sum(system.quality for system in SYSTEMS) == pytest.approx(0)
    assert max(SYSTEMS, key=lambda system: system.quality).slug == "hazel"


def test_clean_systems_leave_headroom_and_the_clipped_one_has_none():
    for prompt in PROMPTS:
        assert np.abs(clip("hazel", prompt)).max() < 10 ** (-1 / 20)
        crest = {
            slug: np.abs(clip(slug, prompt)).max() / clip(slug, prompt).std() for slug in ("hazel", "cedar", "birch")
        }
        assert min(crest["hazel"], crest["cedar"]) > 3.5 > 3.0 > crest["birch"]


def test_the_unsteady_system_blurs_the_pulse():
    steadier = [
        float(pulse(clip("cedar", p), read_brief(p.text).bpm)[0] - pulse(clip("alder", p), read_brief(p.text).bpm)[0])
        for p in (FUNK, TRANCE, LOFI, ROCK)
    ]
    assert min(steadier) > 0.05


def test_the_untuned_system_strays_from_the_semitones():
    def strayed(slug):
        """Mean distance in cents of strong spectral peaks from equal temperament, energy-weighted."""
        mono = clip(slug, PROMPTS[4]).mean(axis=0)
        spectrum = np.abs(np.fft.rfft(mono * np.hanning(mono.size)))
        hertz = np.fft.rfftfreq(mono.size, 1 / RATE)
        band = (hertz > 220) & (hertz < 900)
        cents = 1200 * np.log2(hertz[band] / 440)
        off = np.abs((cents + 50) % 100 - 50)
        return np.average(off, weights=spectrum[band] ** 2)

    assert strayed("hazel") < 8 and strayed("cedar") < 8
    assert strayed("elm") > 16


def test_the_bare_system_is_mono_and_the_full_one_is_wide():
    left, right = clip("rowan", LOFI)
    assert np.array_equal(left, right)
    left, right = clip("hazel", LOFI)
    assert (left - right).std() > 0.1 * (left + right).std()


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda s: s.slug)
def test_a_system_plays_at_its_natural_sample_rate(system):
    audio = generate(system.slug, TRANCE, 0, seconds=4.0, sample_rate=system.sample_rate)
    assert audio.shape == (2, 4 * system.sample_rate) and np.isfinite(audio).all()


def test_ring_is_the_sum_of_its_sinusoids():
    freq, decay, amp, phase = [220.0, 451.3], [1.0, 7.5], [1.0, 0.4], [0.0, 0.9]
    t = np.arange(3000) / 44_100
    terms = zip(freq, decay, amp, phase, strict=True)
    expected = sum(a * np.exp(-d * t) * np.sin(2 * np.pi * f * t + p) for f, d, a, p in terms)
    assert np.allclose(ring(freq, decay, amp, 3000, 44_100, phase), expected, atol=2e-5)


def test_ring_leaves_out_what_would_alias():
    assert not ring([21_000.0], [0.0], [1.0], 1000, 44_100).any()


def test_a_plucked_string_loses_its_harmonics_as_the_karplus_strong_loop_does():
    period = 100  # the loop sounds at rate / (period + 1/2); the closed form is asked for the same pitch
    f0, rate, n = 44_100 / (period + 0.5), 44_100, 44_100
    loop = np.zeros(n)
    loop[:period] = plucked_guitar(f0, period, rate, None)
    for i in range(period + 1, n):
        loop[i] += 0.5 * (loop[i - period] + loop[i - period - 1])
    tone = plucked_guitar(f0, n, rate, None)

    def fall(signal, k):
        """Decibels that harmonic k loses from 0.1 s to 0.4 s."""
        at = np.exp(-2j * np.pi * k * f0 * np.arange(4020) / rate) * np.hanning(4020)
        early, late = (abs(signal[s : s + 4020] @ at) for s in (4410, 17_640))
        return 20 * np.log10(early / late)

    damped = 20 * np.log10(np.e) * 1.0 * 0.3  # the even loss of 1/s that our string adds
    for k in (3, 6, 11):
        assert fall(tone, k) - damped == pytest.approx(fall(loop, k), rel=0.05, abs=0.2)


def test_an_unknown_system_a_clip_too_short_or_a_rate_too_low_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'oak'.*hazel"):
        generate("oak", FUNK, 0)
    with pytest.raises(ValueError, match=r"at least 3\.1 s"):
        generate("hazel", FUNK, 0, seconds=1.0)
    with pytest.raises(ValueError, match="22050 Hz or more"):
        generate("hazel", FUNK, 0, sample_rate=16_000)


def test_a_wav_file_holds_the_samples_as_16_bit_stereo(tmp_path):
    audio = clip("cedar", LOFI)
    write_wav(tmp_path / "x.wav", audio, RATE)
    with wave.open(str(tmp_path / "x.wav")) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2).T
    assert np.allclose(read / 32767, audio, atol=1 / 32767)

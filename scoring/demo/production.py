"""Production: a score becomes sound. Arrangement, performance, mix, room and master of one `DemoSystem`."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.signal import butter, sosfilt

from scoring.demo import drums
from scoring.demo.composer import Hit, Note, Score
from scoring.demo.instruments import VOICES, Voice, noise
from scoring.demo.systems import DemoSystem

# Where each role sits: pan (-1 left, 1 right) and level in dB.
ROLES = {
    "bass": (0.0, -3.0),
    "chords": (-0.35, -8.0),
    "lead": (0.12, -4.0),
    "arpeggio": (0.4, -8.0),
    "pad": (0.0, -4.0),
}
DRUM_PANS = defaultdict(float, {"hat": 0.3, "open": 0.3, "shaker": 0.35, "rim": -0.2, "crash": -0.3, "tom": -0.25})
DRUMS_DB, DRUMS_REVERB = -3.0, 0.2
CORE = {"bass", "chords", "lead", "drums"}  # what even a simple arrangement plays
TONE_LEVEL = 0.25  # root mean square of the loudest 50 ms of a note
BUS_LEVEL = 0.14  # root mean square of the mix as it enters the master's soft knee
FADE_IN, FADE_OUT = 0.004, 0.9  # seconds


@dataclass
class Mix:
    """The two buses: `dry` float32 [2, n] and `send` float32 [n], which feeds the room."""

    dry: np.ndarray
    send: np.ndarray

    def add(self, sound: np.ndarray, start: int, gain: float, pan: float, reverb: float) -> None:
        """Place mono [m] or stereo [2, m] sound, at constant power over the pan; cut what falls outside."""
        skip, room = max(0, -start), self.send.size - max(0, start)
        sound = np.atleast_2d(sound)[:, skip : skip + max(0, room)]
        here = slice(max(0, start), max(0, start) + sound.shape[1])
        angle = (1 + pan) * np.pi / 4
        self.dry[0, here] += np.float32(np.sqrt(2) * np.cos(angle) * gain) * sound[0]
        self.dry[1, here] += np.float32(np.sqrt(2) * np.sin(angle) * gain) * sound[-1]
        if reverb:
            self.send[here] += np.float32(0.5 * gain * reverb) * (sound[0] + sound[-1])


def arrange(system: DemoSystem, score: Score) -> Score:
    """Leave out the ornaments a simple system does not play; what the prompt names always stays."""
    if system.full:
        return score
    roles = CORE | score.brief.named
    if not roles & {"chords", "pad", "arpeggio"} & score.parts.keys():
        roles |= {"pad"}  # some part has to play the harmony
    return replace(score, parts={role: notes for role, notes in score.parts.items() if role in roles})


def perform(system: DemoSystem, score: Score, seconds: float, rate: int, rng: np.random.Generator) -> Mix:
    """Play every part onto the two buses, with the skill of the system."""
    n = round(seconds * rate)
    mix = Mix(np.zeros((2, n), np.float32), np.zeros(n, np.float32))
    pump = _pump(score, n, rate)
    for role, notes in score.parts.items():
        voice = VOICES[score.brief.voices[role]]
        pan, level_db = ROLES[role]
        part = _play(system, score, notes, voice, n, rate, rng)
        if voice.drive:
            part = _amplifier(part, voice.drive, rate)
        if voice.pumped:
            part *= pump
        mix.add(part, 0, _gain(level_db + voice.gain_db), pan, voice.reverb)
    if score.hits:
        _drum(system, score, mix, rate, rng)
    return mix


def _play(
    system: DemoSystem,
    score: Score,
    notes: tuple[Note, ...],
    voice: Voice,
    n: int,
    rate: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """One part, float32 [2, n]. Each pitch is synthesised once, at its longest, and cut to each of its notes."""
    starts = _timing(system, score, notes, rng)
    tuning = rng.normal(0, 0.6 * system.detune_cents / 100)
    by_pitch: dict[float, list[Note]] = defaultdict(list)
    for note in notes:
        by_pitch[note.pitch].append(note)
    release = np.exp(-np.arange(int(5 * voice.release * rate)) / (voice.release * rate)).astype(np.float32)
    release *= np.linspace(1, 0, release.size, dtype=np.float32)
    part = np.zeros((2, n), np.float32)
    second = 60 / score.brief.bpm
    for pitch, uses in by_pitch.items():
        played = pitch + tuning + rng.normal(0, system.detune_cents / 100)
        held = [int(note.beats * second * rate) for note in uses]
        tone = _level(np.atleast_2d(voice.tone(_hertz(played), max(held) + release.size, rate, rng)), rate)
        for note, length in zip(uses, held, strict=True):
            start = round(starts[note.beat] * rate)
            end = min(n, start + length + release.size)
            sound = tone[:, : end - start] * np.float32(_loudness(system, note.velocity, rng))
            tail = sound[:, length:]
            tail *= release[: tail.shape[1]]
            part[:, start:end] += sound
    return part


def _drum(system: DemoSystem, score: Score, mix: Mix, rate: int, rng: np.random.Generator) -> None:
    kit = score.brief.voices["drums"]
    starts = _timing(system, score, score.hits, rng)
    for drum in sorted({hit.drum for hit in score.hits}):
        sound = drums.strike(kit, drum, rate, rng)
        if sound is None:
            continue
        for hit in score.hits:
            if hit.drum == drum:
                gain = _gain(DRUMS_DB) * _loudness(system, hit.velocity, rng)
                reverb = DRUMS_REVERB if drum != "kick" else 0.0
                mix.add(sound, round(starts[hit.beat] * rate), gain, DRUM_PANS[drum], reverb)


def _timing(
    system: DemoSystem, score: Score, events: Iterable[Note | Hit], rng: np.random.Generator
) -> dict[float, float]:
    """{beat: second}, with the style's swing, the player's lag and random errors; never before 0."""
    second = 60 / score.brief.bpm
    lag = rng.normal(0, 0.4 * system.timing_ms / 1000)
    starts = {}
    for beat in sorted({event.beat for event in events}):
        swung = beat + (score.brief.style.swing / 4 if round(4 * beat) % 2 else 0)
        starts[beat] = max(0.0, swung * second + lag + rng.normal(0, system.timing_ms / 1000))
    return starts


def _loudness(system: DemoSystem, velocity: float, rng: np.random.Generator) -> float:
    """A velocity as gain; with `dynamics` 0 all notes have the same gain."""
    touched = velocity * (1 + 0.06 * system.dynamics * rng.standard_normal())
    return float(np.clip(0.75 + system.dynamics * (touched - 0.75), 0.08, 1.1)) ** 1.5


def _pump(score: Score, n: int, rate: int) -> np.ndarray:
    """The gain by which sustained parts give way to the kick: float32 [n]."""
    gain = np.ones(n, np.float32)
    depth = score.brief.style.pump
    if depth:
        length = int(0.4 * rate)
        dip = 1 - depth * np.exp(-np.arange(length) / (0.13 * rate)) * np.linspace(1, 0, length) ** 0.5
        dip[: rate // 200] = np.linspace(1, dip[rate // 200], rate // 200)
        for hit in score.hits:
            if hit.drum == "kick":
                start = round(hit.beat * 60 / score.brief.bpm * rate)
                here = gain[start : start + length]
                np.minimum(here, dip[: here.size], out=here)
    return gain


def _amplifier(part: np.ndarray, drive: float, rate: int) -> np.ndarray:
    """Overdrive, then the band of a guitar cabinet."""
    cabinet = butter(2, (90, 4200), "band", fs=rate, output="sos")
    return sosfilt(cabinet, np.tanh(drive * part)).astype(np.float32)


def _level(tone: np.ndarray, rate: int) -> np.ndarray:
    """Bring the loudest 50 ms of a tone [C, m] to TONE_LEVEL."""
    size = rate // 20
    blocks = tone[:, : max(size, tone.shape[1] // size * size)]
    power = np.square(blocks).mean(axis=0).reshape(-1, min(size, blocks.shape[1])).mean(axis=1)
    return tone * np.float32(TONE_LEVEL / np.sqrt(power.max()))


def master(system: DemoSystem, mix: Mix, room: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Room, width, tone, saturation, flaws, fades and final level: float32 [2, n]. `room` is in seconds."""
    out = mix.dry
    if system.reverb:
        out = out + system.reverb * _reverberate(mix.send, room, rate, rng)
    middle = out.mean(axis=0)
    out = middle + np.float32(system.width) * (out - middle)
    if system.low_pass:
        out = sosfilt(butter(2, system.low_pass, fs=rate, output="sos"), out)
    if system.air_db:
        treble = sosfilt(butter(1, 3000, "high", fs=rate, output="sos"), out)
        out = out + (_gain(system.air_db) - 1) * treble
    out = (out * BUS_LEVEL / np.sqrt(np.square(out).mean())).astype(np.float32)
    if system.drive_db:
        out = np.tanh(_gain(system.drive_db) * out)
    if system.clip_db:
        out = np.clip(_gain(system.clip_db) * out, -1, 1)
    out = sosfilt(butter(2, 28, "high", fs=rate, output="sos"), out).astype(np.float32)  # saturation makes DC
    out *= np.float32(1 / np.abs(out).max())
    if system.noise_db is not None:
        hiss = rng.standard_normal(out.shape, np.float32)
        out = np.clip(out + np.float32(_gain(system.noise_db)) * hiss, -1, 1)
    return _gain(system.gain_db) * _fade(out, rate)


def _reverberate(send: np.ndarray, room: float, rate: int, rng: np.random.Generator) -> np.ndarray:
    """Convolve with two independent tails of decaying noise, whose treble decays sooner: float32 [2, n]."""
    length = int(room * rate)
    t = np.arange(length, dtype=np.float32) / rate
    low, high = noise(2 * length, rate, (180, 2500), rng), noise(2 * length, rate, (2500, 7000), rng)
    tail = low.reshape(2, -1) * np.exp(-6.9 * t / room) + 0.5 * high.reshape(2, -1) * np.exp(-11 * t / room)
    tail = np.pad(tail, ((0, 0), (int(0.018 * rate), 0)))  # the walls are some metres away
    tail /= np.sqrt(np.square(tail).sum(axis=1, keepdims=True))
    size = next_fast_len(send.size + tail.shape[1], real=True)
    wet = irfft(rfft(send, size) * rfft(tail.astype(np.float32), size), size)
    return wet[:, : send.size]


def _fade(out: np.ndarray, rate: int) -> np.ndarray:
    rise, fall = int(FADE_IN * rate), int(FADE_OUT * rate)
    out[:, :rise] *= np.linspace(0, 1, rise, dtype=np.float32)
    out[:, -fall:] *= 0.5 + 0.5 * np.cos(np.linspace(0, np.pi, fall, dtype=np.float32))
    return out


def _hertz(pitch: float) -> float:
    return 440.0 * 2 ** ((pitch - 69) / 12)


def _gain(decibels: float) -> float:
    return 10 ** (decibels / 20)

"""The demo's six systems and eight prompts, as data.

The systems share one composer and differ only in the fields below, so the planted order of quality can be read from
them: a full production, a simpler one, a bare one, one off the beat, one out of tune, one clipped.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class DemoSystem:
    """One system under test. `quality` is the planted worth in logits; only simulated raters may read it."""

    slug: str
    name: str
    description: str
    quality: float
    gain_db: float  # of the finished clip's peak; systems differ as they do in the wild
    sample_rate: int  # by default; callers may ask for another
    full: bool = False  # plays every role of the style, not just bass, drums, lead, chords and what the prompt names
    dynamics: float = 1.0  # 0: every note equally loud
    timing_ms: float = 0.0  # standard deviation of note onsets
    detune_cents: float = 0.0  # standard deviation of a note's, and of a whole part's, tuning
    reverb: float = 0.0
    width: float = 1.0  # 0: mono
    low_pass: float | None = None  # Hz
    air_db: float = 0.0  # lift above 3 kHz
    drive_db: float = 0.0  # into the soft knee of the bus
    clip_db: float = 0.0  # into hard clipping
    noise_db: float | None = None  # hiss, relative to full scale


@dataclass(frozen=True)
class DemoPrompt:
    """What the systems are asked for."""

    text: str
    tags: tuple[str, ...]
    lyrics: str | None = None


SYSTEMS = (
    DemoSystem(
        "alder",
        "Alder",
        "Procedural: a simple arrangement whose players come in early or late, with a little hiss.",
        quality=-0.6,
        gain_db=-3.0,
        sample_rate=44_100,
        timing_ms=70.0,
        dynamics=0.8,
        reverb=0.12,
        width=0.6,
        drive_db=2.0,
        low_pass=9000.0,
        noise_db=-56.0,
    ),
    DemoSystem(
        "birch",
        "Birch",
        "Procedural: clipped hard, noisy and dry.",
        quality=-2.0,
        gain_db=-0.1,
        sample_rate=32_000,
        dynamics=0.2,
        width=0.3,
        clip_db=20.0,
        noise_db=-30.0,
    ),
    DemoSystem(
        "cedar",
        "Cedar",
        "Procedural: a simpler arrangement, cleanly played, in a small room.",
        quality=1.2,
        gain_db=-4.0,
        sample_rate=44_100,
        timing_ms=4.0,
        dynamics=0.8,
        reverb=0.12,
        width=0.7,
        drive_db=3.0,
        air_db=2.0,
    ),
    DemoSystem(
        "elm",
        "Elm",
        "Procedural: a simple arrangement played out of tune, recorded dully and with hiss.",
        quality=-1.2,
        gain_db=-6.0,
        sample_rate=48_000,
        timing_ms=6.0,
        dynamics=0.8,
        detune_cents=38.0,
        reverb=0.2,
        width=0.5,
        drive_db=2.0,
        low_pass=5000.0,
        noise_db=-48.0,
    ),
    DemoSystem(
        "hazel",
        "Hazel",
        "Procedural: a full arrangement, played with expression, in a hall, gently mastered.",
        quality=2.0,
        gain_db=-1.5,
        sample_rate=48_000,
        full=True,
        timing_ms=6.0,
        reverb=0.22,
        drive_db=4.0,
        air_db=5.0,
    ),
    DemoSystem(
        "rowan",
        "Rowan",
        "Procedural: a bare arrangement, mechanical, dry and dull, in mono.",
        quality=0.6,
        gain_db=-9.0,
        sample_rate=44_100,
        dynamics=0.0,
        width=0.0,
        low_pass=4500.0,
    ),
)

PROMPTS = (
    DemoPrompt("A calm piano ballad at 70 bpm in a minor key, with soft strings", ("ballad", "calm", "minor")),
    DemoPrompt("Upbeat funk with slap bass and bright drums at 112 bpm", ("funk", "upbeat", "major")),
    DemoPrompt("Dark trance at 138 bpm with a rolling bass and plucked arpeggio", ("electronic", "dark", "minor")),
    DemoPrompt("Warm lo-fi hip hop at 84 bpm, electric piano, brushed drums", ("hip hop", "warm", "major")),
    DemoPrompt("Cheerful acoustic waltz at 150 bpm with plucked guitar", ("waltz", "cheerful", "major")),
    DemoPrompt("Slow ambient pads and distant bells at 60 bpm in D major", ("ambient", "slow", "major")),
    DemoPrompt(
        "Driving rock in E minor at 140 bpm with distorted guitar and loud drums",
        ("rock", "driving", "minor"),
    ),
    DemoPrompt("Sunny bossa nova at 120 bpm with nylon guitar, flute and shaker", ("bossa nova", "sunny", "major")),
)

"""What the words of a prompt mean in music: genres as patterns, moods as modes, instrument words as voices.

Everything here is data. A pattern has one character per sixteenth note of a bar:

- drums       a digit is a hit and its velocity, 1 to 9
- bass        r root, f fifth, o octave, t third, a the scale step that leads to the next root
- chords      X the whole chord, x the same softly, a to h one note of it counted upwards
- melody      x a new note, - it goes on, . silence
"""

from dataclasses import dataclass, field

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}


@dataclass(frozen=True)
class Style:
    """One genre. `voices` play where the prompt names nothing; progressions are scale degrees 1 to 7."""

    words: tuple[str, ...]
    voices: dict[str, str]
    melody: tuple[str, ...]
    chords: str = ""
    bass: str = ""
    arpeggio: str = ""
    drums: dict[str, str] = field(default_factory=dict)
    fill: dict[str, str] = field(default_factory=dict)
    major: tuple[str, ...] = ("1564", "1645", "1425")
    minor: tuple[str, ...] = ("1637", "1465", "1745")
    scales: tuple[str, str] = ("major", "minor")  # for a major and for a minor mood
    default_mode: str = "major"
    cadence: tuple[int, int] = (5, 5)  # the degree before the last tonic, in major and in minor
    beats: int = 4
    chords_per_bar: int = 1
    sevenths: bool = False
    chord_gate: float = 0.95  # how much of the way to the next note a note is held
    bass_gate: float = 0.9
    swing: float = 0.0  # delay of odd sixteenths, in sixteenths
    room: float = 1.4  # seconds in which its reverberation falls by 60 dB
    pump: float = 0.0  # how far the kick pushes the sustained parts down, 0 to 1


STYLES = (
    Style(
        words=("ballad",),
        voices={"chords": "piano", "lead": "piano", "pad": "strings", "bass": "round bass"},
        chords="a.b.c.d.a.b.c.d.",
        bass="r.......r.....f.",
        melody=("x-----x-x---x---", "x---x---x-----x-", "x-------x-x-x---"),
        major=("156415", "164534"),
        minor=("164547", "174637"),
        chords_per_bar=2,
        chord_gate=1.9,
        room=1.9,
    ),
    Style(
        words=("funk",),
        voices={
            "chords": "muted guitar",
            "lead": "brass",
            "bass": "slap bass",
            "drums": "bright drums",
            "pad": "strings",
        },
        chords="..X..x.X..x..Xx.",
        bass="r..ro..r..fr.o.a",
        melody=("x-.x-.x-....x-x-", "....x-x-x-.x-.x-", "x-x-..x-.x--...."),
        drums={
            "kick": "9..5..6...8..5..",
            "snare": "....9..2.2..9..3",
            "hat": "7363736373637353",
            "open": "..............6.",
        },
        fill={"snare": "....9..4.5.79689", "kick": "9.......8.8.....", "hat": "7363736........."},
        major=("1414", "1144"),
        minor=("1414", "1147"),
        scales=("mixolydian", "dorian"),
        sevenths=True,
        chord_gate=0.45,
        bass_gate=0.6,
        swing=0.12,
    ),
    Style(
        words=("trance",),
        voices={
            "lead": "saw lead",
            "pad": "pads",
            "bass": "rolling bass",
            "arpeggio": "plucked arpeggio",
            "drums": "electronic drums",
        },
        bass=".rrr.rrr.rrr.rro",
        arpeggio="acebdfcegbdfaceg",
        melody=("x--x--x-x--x--x-", "x-----x-x---x---", "x--x--x---x-x---"),
        drums={
            "kick": "9...9...9...9...",
            "clap": "....8.......8...",
            "open": "..7...7...7...7.",
            "hat": "3.3.3.3.3.3.3.35",
        },
        fill={"kick": "9...9...9.......", "clap": "....8.......8.88", "snare": "........5.6.7889"},
        minor=("1637", "1673", "1465"),
        default_mode="minor",
        cadence=(5, 7),
        bass_gate=0.8,
        room=1.8,
        pump=0.6,
    ),
    Style(
        words=("lo-fi", "hip hop", "hip-hop"),
        voices={
            "chords": "electric piano",
            "lead": "electric piano",
            "bass": "round bass",
            "drums": "brushed drums",
            "pad": "pads",
        },
        chords="X.....x.....X...",
        bass="r......r..f...a.",
        melody=("..x-x---x-x-----", "x---..x-x---....", "....x-x-x---x-x-"),
        drums={"kick": "9......5..8.....", "snare": "....8.......8..2", "hat": "6.4.6.43" * 2},
        fill={"kick": "9......5..8.....", "snare": "....8.....4.8.46", "hat": "6.4.6.43........"},
        major=("2516", "4536", "1625"),
        minor=("1465", "1647"),
        sevenths=True,
        swing=0.3,
    ),
    Style(
        words=("waltz",),
        voices={"chords": "plucked guitar", "lead": "plucked guitar", "bass": "round bass", "pad": "strings"},
        chords="a...X...x...",
        bass="r...........",
        melody=("x-------x---", "x---x---x---", "x-------x-x-", "x-----x-x---"),
        major=("14151625", "16251451"),
        minor=("14151647", "16751451"),
        beats=3,
        chord_gate=0.9,
    ),
    Style(
        words=("ambient",),
        voices={"pad": "pads", "lead": "bells", "bass": "round bass", "arpeggio": "electric piano"},
        arpeggio="....a...c...d.b.",
        bass="r...............",
        melody=("....x-------x---", "x---------x-----", "..x-----x-------"),
        major=("1643", "1426"),
        minor=("1637", "1647"),
        chords_per_bar=1,
        sevenths=True,
        bass_gate=1.0,
        room=3.0,
    ),
    Style(
        words=("rock",),
        voices={
            "chords": "distorted guitar",
            "lead": "lead guitar",
            "bass": "picked bass",
            "drums": "drums",
            "pad": "strings",
        },
        chords="X.x.X.x.X.x.X.X.",
        bass="r.r.r.r.r.r.r.a.",
        melody=("x---x-x-x---x---", "x-----x-x-x-x---", "x-x-x---..x-x-x-"),
        drums={"kick": "9.....7.9.7.....", "snare": "....9.......9...", "hat": "8.5.8.5.8.5.8.5."},
        fill={"kick": "9.....7.9.......", "snare": "....9...7.77", "tom": "............9.98"},
        major=("1564", "1454", "1645"),
        minor=("1637", "1767", "1647"),
        default_mode="minor",
        chord_gate=0.92,
    ),
    Style(
        words=("bossa",),
        voices={
            "chords": "nylon guitar",
            "lead": "flute",
            "bass": "round bass",
            "drums": "shaker and rim",
            "pad": "strings",
        },
        chords="X..x..X...x..X..",
        bass="r.....ff......ra",
        melody=("x---x-x---x-x---", "..x-x---x---x-x-", "x-----x---x-----"),
        drums={"rim": "7..6..7...6..6..", "kick": "6.....36......3.", "shaker": "5353635353536353"},
        fill={"rim": "7..6..7...6.7.6.", "kick": "6.....36........", "shaker": "5353635353536353"},
        major=("1625", "1251", "1425"),
        minor=("1425", "1625"),
        sevenths=True,
        chord_gate=0.8,
    ),
)

# For a prompt without a known genre: quiet pop.
PLAIN = Style(
    words=(),
    voices={"chords": "piano", "lead": "flute", "bass": "round bass", "drums": "drums", "pad": "strings"},
    chords="X.....x.X.....x.",
    bass="r.....r.f.....a.",
    melody=("x---x-x-x-------", "x-x-x---x---x---"),
    drums={"kick": "9.....5.8.......", "snare": "....8.......8...", "hat": "6.4.6.4.6.4.6.4."},
    fill={"kick": "9.......8.......", "snare": "....8.....5.7.78"},
)

# Instrument words, the more specific first, with the roles they may take and the voice that plays them.
INSTRUMENTS = (
    ("arpeggio", ("arpeggio",), "plucked arpeggio"),
    ("distorted guitar", ("chords",), "distorted guitar"),
    ("electric piano", ("chords", "lead"), "electric piano"),
    ("plucked guitar", ("chords", "lead"), "plucked guitar"),
    ("brushed drums", ("drums",), "brushed drums"),
    ("electronic drums", ("drums",), "electronic drums"),
    ("bright drums", ("drums",), "bright drums"),
    ("nylon guitar", ("chords",), "nylon guitar"),
    ("rolling bass", ("bass",), "rolling bass"),
    ("picked bass", ("bass",), "picked bass"),
    ("lead guitar", ("lead",), "lead guitar"),
    ("slap bass", ("bass",), "slap bass"),
    ("shaker", ("drums",), "shaker and rim"),
    ("strings", ("pad",), "strings"),
    ("guitar", ("chords",), "plucked guitar"),
    ("piano", ("chords", "lead"), "piano"),
    ("drums", ("drums",), "drums"),
    ("flute", ("lead",), "flute"),
    ("brass", ("lead",), "brass"),
    ("bells", ("lead",), "bells"),
    ("pads", ("pad",), "pads"),
    ("bass", ("bass",), "round bass"),
)

TEMPO_WORDS = (("slow", 66), ("calm", 72), ("fast", 150), ("driving", 140), ("upbeat", 116))
PLAIN_BPM = 100
MINOR_WORDS = ("minor", "dark", "sad", "melancholy", "melancholic", "brooding")
MAJOR_WORDS = ("major", "cheerful", "happy", "bright", "sunny", "warm", "upbeat")

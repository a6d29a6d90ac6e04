"""A study of systems as different as they come, and a browser that keeps everything it receives of it."""

import http.client
import itertools
import json
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import numpy as np

from arena.audio.loudness import measure
from arena.models import Clip, Excerpt, Study, System
from arena.services import cut_excerpt, ingest_clip, register_clip
from arena.serving import candidates, excerpts_due
from tests.casts.audio_files import music, write, write_plain_wav

EXCERPT_S = 3
GATE_MS = 200
PROMPTS = ["A calm piano ballad", "Driving rock"]


# ---- systems as different as they come ------------------------------------------------------------------


def make_clips(folder):
    """Four systems that differ in loudness, length, rate, channels, brightness, format and file name."""
    for number, prompt in enumerate(PROMPTS):
        loud = sounding(12, 44_100, 1, -10, bright=True, seed=number)
        register(write_plain_wav(folder / f"granite_{number}.wav", loud, 44_100), "granite", prompt)
        soft = sounding(20, 48_000, 2, -18, bright=False, seed=number + 10)
        register(write(folder / f"W {number}.mp3", soft, 48_000, "libmp3lame"), "willow", prompt)
        faint = sounding(45, 96_000, 2, -30, bright=False, seed=number + 20)
        tagged = {"title": "Harbour", "artist": "harbour v2"}
        register(write(folder / f"h{number}.flac", faint, 96_000, "flac", metadata=tagged), "harbour", prompt)
        usual = sounding(20, 48_000, 2, -18, bright=True, seed=number + 30)
        register(write(folder / f"{number}-meadow-final-mix.ogg", usual, 48_000, "vorbis"), "meadow", prompt)


def sounding(seconds, rate, channels, lufs, *, bright, seed):
    """Music at that loudness: dull as it is, or with its treble up and hiss on the beat."""
    samples = np.tile(music(min(seconds, 6), rate, channels, seed), (-(-seconds * 10 // 60), 1))[: seconds * rate]
    if bright:
        samples = np.diff(samples, axis=0, prepend=samples[:1]) * (rate / 8000) + 0.3 * samples
    level = measure(samples[: 6 * rate], rate, "mono" if channels == 1 else "stereo").loudness_lufs
    return np.tanh(samples * 10 ** ((lufs - level) / 20)).astype(np.float32)


def register(path, system, prompt):
    clip, _ = register_clip(path, system=system, prompt=prompt)
    clip = ingest_clip(clip.pk)
    assert clip.status == "ready", clip.reason


def make_study():
    """Every clip has its excerpts and a variant for each kind of check, so that having one tells nothing."""
    study = Study.objects.create(
        slug="blind", name="Blind", is_default=True, excerpt_s=EXCERPT_S, min_listen_ms=GATE_MS, pairing="uniform"
    )
    study.systems.set(System.objects.all())
    work()
    for clip in Clip.objects.all():
        assert is_ready(study, clip, "tones")
        assert any(is_ready(study, clip, variant) for variant in candidates.DEGRADED)
    Study.objects.update(block_length=12, blocks=1, golds=1, traps=1, repeats=1)


def work():
    """Fill the pools, as workers do."""
    excerpts_due.request(Study.objects.get())
    for piece in Excerpt.objects.filter(status="pending"):
        cut_excerpt(piece.pk)
        piece.refresh_from_db()
        assert piece.status == "ready" or piece.variant, piece.reason


def is_ready(study, clip, variant):
    """Cut a variant; not every one would be heard on every clip."""
    fields = {"length_ms": EXCERPT_S * 1000, "codec": "mp3", "start_ms": clip.pk % 300}
    piece = Excerpt.objects.create(study=study, clip=clip, variant=variant, **fields)
    cut_excerpt(piece.pk)
    piece.refresh_from_db()
    return piece.status == "ready"


# ---- what a browser receives ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Answer:
    """One response as it came over the wire."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes
    first_byte_s: float
    whole_s: float


@dataclass
class Record:
    """What one listener received of one battle before they answered it; and the truth, which they did not."""

    page: Answer
    api: Answer
    whole: dict[str, Answer]
    part: dict[str, Answer]
    listener: int = 0
    position: int = 0
    kind: str = ""
    systems: dict[str, str] = field(default_factory=dict)


class Wire:
    """A browser that keeps everything: one connection, cookies, a CSRF token."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
        self.cookies = SimpleCookie()
        self.page, self.n_battles = None, 0

    def send(self, method, path, body=None, **headers):
        headers["Cookie"] = "; ".join(f"{name}={cookie.value}" for name, cookie in self.cookies.items())
        if body is not None:
            headers |= {"Content-Type": "application/json", "X-CSRFToken": self.cookies["csrftoken"].value}
        started = time.perf_counter()
        self.connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self.connection.getresponse()
        first_byte = time.perf_counter()
        content = response.read()
        ended = time.perf_counter()
        for name, value in response.getheaders():
            if name.lower() == "set-cookie":
                self.cookies.load(value)
        assert response.status < 300, content
        return Answer(response.status, response.getheaders(), content, first_byte - started, ended - started)

    def take_in(self):
        """The next battle, as far as it can be known before the answer, and its JSON; the page anew now and then."""
        if self.n_battles % 3 == 0:
            self.page = self.send("GET", "/listen/blind/")
        self.n_battles += 1
        api = self.send("POST", "/api/battles/", {})
        battle = json.loads(api.body)
        urls = {slot: clip["url"] for slot, clip in battle["clips"].items()}
        whole = {slot: self.send("GET", url) for slot, url in urls.items()}
        part = {slot: self.send("GET", url, Range="bytes=960-2879") for slot, url in urls.items()}
        return Record(self.page, api, whole, part), battle


def listen(address, number, time_passes):
    """All battles of one listener, answered in turn."""
    wire = Wire(address)
    wire.send("GET", "/listen/blind/")
    wire.send("POST", "/api/raters/", {"consent_version": 1})
    for position in itertools.count():
        record, battle = wire.take_in()
        record.listener, record.position = number, position
        yield battle["id"], record
        time_passes(2)
        heard = {slot: [[0, GATE_MS]] for slot in "AB"}
        answer = {"preference": "AB"[position % 2], "heard": heard, "first_played": "A", "switches": 1}
        wire.send("POST", f"/api/battles/{battle['id']}/vote/", answer, **{"Idempotency-Key": battle["id"]})
        if position + 1 == battle["progress"]["total"]:
            return wire.connection.close()

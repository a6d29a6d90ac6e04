"""Before the vote nothing tells the systems apart, nor a check from an ordinary battle: an attacker tries.

Really different originals are really ingested, cut and served over HTTP, over 200 ordinary battles and their checks.
The attacker gets everything that a browser received before each vote: page, headers with their order, JSON, sizes,
URLs, timings, order, and the bytes of the excerpts as far as they are not the music. Not in the claim, because a
listener has them anyway by listening:

- the decoded samples, and what follows from them alone: the peaks (and their share of the JSON's length), the length
  of each MP3 frame's main data, and that two playings of one excerpt are the same bytes;
- what a revealed answer teaches about the battles that are left.

Times are looked at like all else, but on a busy machine only the large differences stand out of the noise: the
control for the excerpts is 20 ms, that for drawing a check half a second.

Where a system's clips are shorter than the study's excerpt, the common length of a battle tells that a short clip is
in it, but not in which slot; so here, as in any study that minds, the excerpt is as short as the shortest clip.
"""

import hashlib
import http.client
import itertools
import json
import re
import time
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cache
from http.cookies import SimpleCookie
from socketserver import StreamRequestHandler
from urllib.parse import urlsplit

import numpy as np
import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from arena import candidates
from arena.audio.loudness import measure
from arena.models import Battle, Excerpt, Study, System
from arena.services import cut_excerpt, ingest_clip, register_clip

from .audio_files import music, write, write_plain_wav
from .leak_classifier import tell

N_LISTENERS = 17
EXCERPT_S = 3
GATE_MS = 200
N_SHUFFLES = 1000
ALPHA = 0.001
KINDS = ["ranked", "gold", "trap", "repeat"]
pytestmark = pytest.mark.django_db(transaction=True)  # so that there is a database, which this module leaves empty
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
    """Every clip has its excerpt and a variant for each kind of check, so that having one tells nothing."""
    study = Study.objects.create(
        slug="blind", name="Blind", is_default=True, excerpt_s=EXCERPT_S, min_listen_ms=GATE_MS, pairing="uniform"
    )
    study.systems.set(System.objects.all())
    candidates.request_excerpts(study)
    for plain in Excerpt.objects.all():
        cut_excerpt(plain.pk)
        assert is_ready(plain.clip, "tones")
        assert any(is_ready(plain.clip, variant) for variant in candidates.DEGRADED)
    Study.objects.update(block_length=12, blocks=1, golds=1, traps=1, repeats=1)


def is_ready(clip, variant):
    """Cut a variant; not every one would be heard on every clip."""
    piece = Excerpt.objects.create(clip=clip, length_ms=EXCERPT_S * 1000, codec="mp3", variant=variant)
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


@pytest.fixture(scope="module")
def records(django_db_setup, django_db_blocker, tmp_path_factory):
    """Everything that N_LISTENERS received in a whole study each. Only this is left when the tests begin."""
    moved, real_now = [timedelta()], timezone.now

    def time_passes(seconds):
        moved[0] += timedelta(seconds=seconds)

    folder = tmp_path_factory.mktemp("blindness")
    with django_db_blocker.unblock(), override_settings(MEDIA_ROOT=folder / "media"), pytest.MonkeyPatch.context() as m:
        m.setattr(timezone, "now", lambda: real_now() + moved[0])
        m.setattr(StreamRequestHandler, "disable_nagle_algorithm", True)  # else most answers wait 40 ms for an ACK
        server = LiveServer("localhost")
        try:
            make_clips(folder)
            make_study()
            received = {pk: r for n in range(N_LISTENERS) for pk, r in listen(server.url, n, time_passes)}
            for battle in Battle.objects.select_related("system_a", "system_b"):
                record = received[str(battle.pk)]
                record.kind = battle.kind
                record.systems = {"A": battle.system_a.name, "B": battle.system_b.name}
        finally:
            server.stop()
            call_command("flush", verbosity=0, interactive=False)
    return list(received.values())


# ---- what the attacker makes of it ----------------------------------------------------------------------


def observed_of_battle(record):
    """{name: text or number}: the page and the API's answer, without the peaks."""
    battle = json.loads(record.api.body)
    peaks = [clip.pop("peaks") for clip in battle["clips"].values()]
    size = sum(len(json.dumps(one, separators=(",", ":"))) for one in peaks)
    headers = [(k, str(int(v) - size) if k == "Content-Length" else v) for k, v in record.api.headers]
    api = replace(record.api, headers=headers, body=json.dumps(battle).encode())
    seen = observed_of_answer("page", record.page) | observed_of_answer("api", api)
    seen["page text"] = hashlib.sha256(record.page.body).hexdigest()
    seen["order of the JSON"] = ",".join(flat(battle))
    return seen | {f"json {path}": value for path, value in flat(battle).items()}


def observed_of_slot(record, slot, called):
    """{name: text or number}: the two answers that brought the excerpt of a slot, but not its music."""
    seen = observed_of_answer(f"{called} whole", record.whole[slot])
    seen |= observed_of_answer(f"{called} part", record.part[slot])
    return seen | {f"{called} mp3 {name}": value for name, value in outside_the_music(record.whole[slot].body).items()}


def observed_of_answer(called, answer):
    seen = {
        f"{called} status": str(answer.status),
        f"{called} order of headers": ",".join(name for name, _ in answer.headers),
        f"{called} size": len(answer.body),
        f"{called} first byte": answer.first_byte_s,
        f"{called} whole": answer.whole_s,
    }
    return seen | {f"{called} {name}": value for name, value in answer.headers}


def flat(value, path=""):
    """{path: text or number} of JSON."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        return {k: v for key, inside in items for k, v in flat(inside, f"{path}/{key}").items()}
    return {path: float(value) if isinstance(value, int | float) else str(value)}


@cache
def outside_the_music(mp3):
    """What an MP3 file says beside its main data: frame headers, how many, and what is written after the data."""
    whole = len(mp3) // 960 * 960
    frames = [mp3[start : start + 960] for start in range(0, whole, 960)]
    after = b"".join(ancillary(frame) for frame in frames)
    return {
        "headers": ",".join(sorted({frame[:4].hex() for frame in frames})),
        "private bits": ",".join(sorted({str(frame[5] >> 4 & 7) for frame in frames})),
        "frames": len(frames),
        "after the frames": mp3[whole:].hex(),
        "written after the data": sum(byte != 0 for byte in after),
        "words after the data": len(re.findall(rb"[ -~]{4}", after)),
    }


def ancillary(frame):
    """The whole bytes after a frame's main data (ISO 11172-3, 2.4.1.7: side information of 32 bytes for two channels,
    each granule's part2_3_length being 12 bits, 59 bits apart)."""
    side = int.from_bytes(frame[4:36], "big")
    lengths = [side >> (256 - 20 - 59 * n - 12) & 0xFFF for n in range(4)]
    return frame[36 + -(-sum(lengths) // 8) :]


# ---- the two questions ----------------------------------------------------------------------------------


def tell_system(records, rng):
    """Which system is in a slot: every slot of every ordinary battle.

    If nothing tells, each listener's battles could as well have had any other system pair for each pair (pairs are
    drawn uniformly, so their names are exchangeable), and each battle's slots could have been swapped.
    """
    records = [record for record in records if record.kind == "ranked"]
    names = sorted({name for record in records for name in record.systems.values()})
    pairs = list(itertools.combinations(range(len(names)), 2))
    in_slots = np.array([[names.index(record.systems[slot]) for slot in "AB"] for record in records])
    pair = np.array([pairs.index(tuple(sorted(both))) for both in in_slots])
    listener = np.array([record.listener for record in records])
    shuffles = []
    for _ in range(N_SHUFFLES):
        renamed = np.array([rng.permutation(len(pairs)) for _ in range(listener.max() + 1)])[listener, pair]
        shuffles.append(rng.permuted(np.array(pairs)[renamed], axis=1).ravel())
    observations = []
    for record in records:
        of_battle = observed_of_battle(record)
        for slot, other in ("AB", "BA"):
            of_slots = observed_of_slot(record, slot, "this") | observed_of_slot(record, other, "other")
            observations.append(of_battle | of_slots | {"this slot": slot})
    return tell(observations, in_slots.ravel(), np.repeat(listener, 2), shuffles)


def tell_checks(records, rng):
    """Whether a battle is ordinary, a gold, a trap or a repeat.

    If nothing tells, one listener could as well have had another's schedule: each is drawn by the same rule. What
    the position itself tells (no repeat among the first five) it tells everybody.
    """
    kind = np.array([KINDS.index(record.kind) for record in records])
    listener = np.array([record.listener for record in records])
    of_listener = np.array([kind[listener == number] for number in range(N_LISTENERS)])  # in the order of serving
    assert (np.diff(listener) >= 0).all()
    shuffles = [rng.permutation(of_listener).ravel() for _ in range(N_SHUFFLES)]
    observations = [
        observed_of_battle(record) | observed_of_slot(record, "A", "A") | observed_of_slot(record, "B", "B")
        for record in records
    ]
    return tell(observations, kind, listener, shuffles)


def test_the_originals_differ_and_over_200_battles_were_served(records):
    ranked = [record for record in records if record.kind == "ranked"]
    assert len(ranked) == 12 * N_LISTENERS > 200
    assert {record.kind for record in records} == set(KINDS)
    assert {name for record in ranked for name in record.systems.values()} == {"granite", "harbour", "meadow", "willow"}
    assert len({record.whole["A"].body for record in records}) > 8


def test_nothing_before_the_vote_tells_the_system(records):
    verdict = tell_system(records, np.random.default_rng(1))
    assert verdict.p >= ALPHA, f"the system is told: {verdict}"


def test_nothing_before_the_vote_tells_a_check_from_an_ordinary_battle(records):
    verdict = tell_checks(records, np.random.default_rng(2))
    assert verdict.p >= ALPHA, f"checks are told: {verdict}"


# ---- and that it would have been told -------------------------------------------------------------------


def planted(records, plant):
    """Copies of the records in which the server leaks: `plant(record, rng)` changes one in place."""
    rng = np.random.default_rng(3)
    records = [replace(record, whole=dict(record.whole), part=dict(record.part)) for record in records]
    for record in records:
        plant(record, rng)
    return records


def with_json(answer, **changes):
    body = json.dumps({**json.loads(answer.body), **changes}, separators=(",", ":"), ensure_ascii=False).encode()
    return replace(answer, body=body, headers=with_header(answer, "Content-Length", len(body)))


def with_header(answer, name, value):
    return [(k, v) for k, v in answer.headers if k != name] + [(name, str(value))]


def slower(answer, seconds):
    return replace(answer, first_byte_s=answer.first_byte_s + seconds, whole_s=answer.whole_s + seconds)


def number_of(system):
    return ["granite", "harbour", "meadow", "willow"].index(system)


def size_by_system(record, rng):
    for slot, system in record.systems.items():
        body = record.whole[slot].body + bytes(number_of(system))
        headers = with_header(record.whole[slot], "Content-Length", len(body))
        record.whole[slot] = replace(record.whole[slot], body=body, headers=headers)


def header_on_one_system(record, rng):
    for slot, system in record.systems.items():
        if system == "harbour":
            answer = record.part[slot]
            record.part[slot] = replace(answer, headers=with_header(answer, "Last-Modified", "Sat"))


def headers_in_another_order(record, rng):
    for slot, system in record.systems.items():
        if system == "meadow":
            record.whole[slot] = replace(record.whole[slot], headers=record.whole[slot].headers[::-1])


def ids_in_the_order_of_systems(record, rng):
    place = 10 * number_of(record.systems["A"]) + number_of(record.systems["B"])
    record.api = with_json(record.api, id=f"{place:02d}{rng.integers(10**9):09d}")


def twenty_ms_more_for_one_system(record, rng):
    for slot, system in record.systems.items():
        if system == "granite":  # whose originals lie on a slower disk
            record.whole[slot], record.part[slot] = slower(record.whole[slot], 0.02), slower(record.part[slot], 0.02)


def file_name_in_the_url(record, rng):
    clips = json.loads(record.api.body)["clips"]
    for slot, system in record.systems.items():
        name = {"granite": "granite_0.wav", "willow": "W 0.mp3", "harbour": "h0.flac"}.get(system, "0-final.ogg")
        clips[slot]["url"] += f"?name={name}"
    record.api = with_json(record.api, clips=clips)


def filler_as_often_as_the_music_leaves_room(record, rng):
    """LAME's name after the data of as many frames as there is room in: about as many for one system's clips."""
    for slot, system in record.systems.items():
        body = record.whole[slot].body
        n = 20 + 15 * number_of(system) + int(rng.integers(-8, 9))
        frames = [body[start : start + 960] for start in range(0, len(body), 960)]
        room = [number for number, frame in enumerate(frames) if len(ancillary(frame)) >= 9][:n]
        for number in room:
            frames[number] = frames[number][:-9] + b"LAME3.100"
        record.whole[slot] = replace(record.whole[slot], body=b"".join(frames))


def two_headers_that_tell_only_together(record, rng):
    for slot, system in record.systems.items():
        one = int(rng.integers(2))
        other = one ^ (system in ("granite", "harbour"))
        record.whole[slot] = replace(record.whole[slot], headers=with_header(record.whole[slot], "X-One", one))
        record.part[slot] = replace(record.part[slot], headers=with_header(record.part[slot], "X-Other", other))


@pytest.mark.parametrize(
    "plant",
    [size_by_system, header_on_one_system, headers_in_another_order, ids_in_the_order_of_systems,
     twenty_ms_more_for_one_system, file_name_in_the_url, filler_as_often_as_the_music_leaves_room,
     two_headers_that_tell_only_together],
)  # fmt: skip
def test_a_server_that_leaked_the_system_would_be_found_out(records, plant):
    assert tell_system(planted(records, plant), np.random.default_rng(4)).p < ALPHA


def a_field_for_golds(record, rng):
    if record.kind == "gold":
        record.api = with_json(record.api, expected=None)


def size_by_kind(record, rng):
    if record.kind == "trap":
        slot = "AB"[rng.integers(2)]
        body = record.whole[slot].body + b"\0"
        record.whole[slot] = replace(record.whole[slot], body=body)


def half_a_second_more_for_checks(record, rng):
    if record.kind != "ranked":
        record.api = slower(record.api, 0.5)


def repeats_at_the_url_of_before(record, rng):
    clips = json.loads(record.api.body)["clips"]
    for slot, clip in clips.items():
        clip["url"] = f"/audio/{'1' if record.kind == 'repeat' else rng.integers(10**6)}/{slot}"
    record.api = with_json(record.api, clips=clips)


@pytest.mark.parametrize(
    "plant", [a_field_for_golds, size_by_kind, half_a_second_more_for_checks, repeats_at_the_url_of_before]
)
def test_a_server_that_leaked_what_is_a_check_would_be_found_out(records, plant):
    assert tell_checks(planted(records, plant), np.random.default_rng(5)).p < ALPHA

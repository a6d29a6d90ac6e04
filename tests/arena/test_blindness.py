"""Before the vote nothing tells the systems apart, nor a check from an ordinary battle: an attacker tries.

Really different originals are really ingested, cut and served over HTTP, over 200 ordinary battles and their checks.
The attacker gets everything that a browser received before each vote: page, headers with their order, JSON, sizes,
URLs, timings, order, and the bytes of the excerpts as far as they are not the music. Not in the claim, because a
listener has them anyway by listening:

- the decoded samples, and what follows from them alone, such as the length of each MP3 frame's main data.

What revealed answers teach about other battles is tried in `test_recognition`.

Times are looked at like all else, but on a busy machine only the large differences stand out of the noise. So the
controls, 20 ms for the excerpts and half a second for drawing a check, are added to the times of a quiet machine.

All clips of a prompt are heard at one length, so that no length tells of a short clip.
"""

import itertools
import json
from dataclasses import replace
from datetime import timedelta
from socketserver import StreamRequestHandler

import numpy as np
import pytest
from django.core.management import call_command
from django.test import override_settings
from django.utils import timezone
from pytest_django.live_server_helper import LiveServer

from arena import audio
from arena.models import Battle
from tests.casts.audio_files import cut_here
from tests.casts.blind_attacker import KINDS, ancillary, tell_checks, tell_system
from tests.casts.blind_study import listen, make_clips, make_study, work
from tests.casts.seeded import seed_draws

N_LISTENERS = 17
ALPHA = 0.001  # and again on fresh battles, so that one run in a million is red for nothing
pytestmark = [
    pytest.mark.slow,
    pytest.mark.django_db(transaction=True),  # so that there is a database, which this module leaves empty
]


@pytest.fixture(scope="module")
def record(django_db_setup, django_db_blocker, tmp_path_factory):
    """Function to everything that N_LISTENERS received in a whole study each. Only this is left when it returns."""

    seeds = itertools.count()

    def recorded():
        with django_db_blocker.unblock():
            return everything_received(tmp_path_factory.mktemp("blindness"), next(seeds))

    return recorded


@pytest.fixture(scope="module")
def records(record):
    return record()


def everything_received(folder, seed):
    moved, real_now = [timedelta()], timezone.now

    def time_passes(seconds):
        moved[0] += timedelta(seconds=seconds)

    with override_settings(MEDIA_ROOT=folder / "media"), pytest.MonkeyPatch.context() as m:
        seed_draws(m, seed)
        m.setattr(audio, "cut_excerpt", cut_here)
        m.setattr(timezone, "now", lambda: real_now() + moved[0])
        m.setattr(StreamRequestHandler, "disable_nagle_algorithm", True)  # else most answers wait 40 ms for an ACK
        server = LiveServer("localhost")
        try:
            make_clips(folder)
            make_study()
            received = {}
            for number in range(N_LISTENERS):
                work()
                received |= listen(server.url, number, time_passes)
            for battle in Battle.objects.select_related("system_a", "system_b"):
                record = received[str(battle.pk)]
                record.kind = battle.kind
                record.systems = {"A": battle.system_a.name, "B": battle.system_b.name}
        finally:
            server.stop()
            call_command("flush", verbosity=0, interactive=False)
    return list(received.values())


def is_told(tell, records, record, seed):
    """The verdict on these battles, and on fresh ones if it is that something tells; False where either finds
    nothing."""
    verdicts = [tell(records, np.random.default_rng(seed))]
    if verdicts[0].p < ALPHA:
        verdicts.append(tell(record(), np.random.default_rng(seed)))
    return verdicts if all(verdict.p < ALPHA for verdict in verdicts) else False


def test_the_originals_differ_and_over_200_battles_were_served(records):
    ranked = [record for record in records if record.kind == "ranked"]
    assert len(ranked) == 12 * N_LISTENERS > 200
    assert {record.kind for record in records} == set(KINDS)
    assert {name for record in ranked for name in record.systems.values()} == {"granite", "harbour", "meadow", "willow"}
    assert len({record.whole["A"].body for record in records}) > 8


def test_nothing_before_the_vote_tells_the_system(records, record):
    assert not is_told(tell_system, records, record, seed=1)


def test_nothing_before_the_vote_tells_a_check_from_an_ordinary_battle(records, record):
    assert not is_told(tell_checks, records, record, seed=2)


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


def on_a_quiet_machine(record, rng):
    def quick(answer):
        first_byte = 0.002 + rng.exponential(0.002)
        return replace(answer, first_byte_s=first_byte, whole_s=first_byte + rng.exponential(0.001))

    record.page, record.api = quick(record.page), quick(record.api)
    for slot in "AB":
        record.whole[slot], record.part[slot] = quick(record.whole[slot]), quick(record.part[slot])


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
    on_a_quiet_machine(record, rng)
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
    on_a_quiet_machine(record, rng)
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

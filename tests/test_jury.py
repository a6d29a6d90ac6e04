"""The gpu worker: what it embeds and rewards, what it makes of bad clips and of a machine in trouble."""

import logging
import threading
import time
import wave
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from django.core.files.storage import default_storage
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from arena import audio
from scoring import claims, jury, registry, rescoring, tasks
from scoring.models import Embedding, Reward, RewardModel
from scoring.reward import weights
from scoring.reward.encoders.mert import Mert330m
from scoring.reward.encoders.spectral import SpectralEncoder
from scoring.reward.head import RankNetHead, save_head
from scoring.reward.scorer import encoder_metadata
from scoring.services import activate_model, store_rewards

from . import tiny_networks
from .audio_files import write
from .jury_cast import RATE, make_clip, make_clips, music, start_worker, written
from .reward_models import make_model

THREE_BLOCKS = ("clap-music", "mert-330m", "clap-music-text")


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        tiny_networks.install_all(folder / "published")
    return folder / "weights"


@pytest.fixture
def networks(tiny_weights, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tiny_weights))


@pytest.fixture(autouse=True)
def nothing_said_before(monkeypatch):
    monkeypatch.setattr(jury, "complaints", jury.Complaints())


@pytest.fixture
def clips(db, tmp_path):
    return make_clips(tmp_path, range(4))


@pytest.fixture
def model(clips):
    return activate_model(make_model("first"))


def failed():
    """{clip id: {encoder: error}} of what could not be embedded."""
    errors = {}
    for row in Embedding.objects.exclude(error=""):
        errors.setdefault(row.clip_id, {})[row.encoder] = row.error
    return errors


def scored_alone(model, clip):
    """The clip's reward by the scorer's public call."""
    samples, rate = audio.decode_once(clip.original.path)
    return jury.load_scorer(model.pk).score([samples], [rate], [clip.prompt.text])[0]


# ---- embed and reward ----


def test_every_clip_gets_one_reward_under_the_live_model(model, clips):
    assert jury.score_pending() == 4
    assert jury.score_pending() == 0
    assert Embedding.objects.count() == 4
    for clip in clips:
        assert clip.rewards.get(reward_model=model).value == pytest.approx(scored_alone(model, clip), abs=1e-4)


def test_three_networks_share_one_decode_and_give_what_the_scorer_gives(networks, clips, monkeypatch):
    model = activate_model(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    decoded = []
    monkeypatch.setattr(audio, "decode_once", lambda path, f=audio.decode_once: decoded.append(path) or f(path))
    assert jury.score_pending() == 4
    assert len(decoded) == 4
    assert Embedding.objects.count() == 12
    for clip in clips:
        assert clip.rewards.get(reward_model=model).value == pytest.approx(scored_alone(model, clip), abs=1e-4)


def test_a_new_live_model_rewards_again_without_audio_and_old_rewards_stay(model, clips):
    jury.score_pending()
    before = list(Reward.objects.order_by("pk").values_list("pk", "value"))
    second = activate_model(make_model("second", seed=1))
    for clip in clips:
        default_storage.delete(clip.original.name)
    assert jury.score_pending() == 4
    assert list(model.rewards.order_by("pk").values_list("pk", "value")) == before
    assert second.rewards.count() == Embedding.objects.count() == 4


def test_only_the_default_encoder_runs_while_no_model_is_live(clips):
    assert jury.score_pending() == 0
    assert list(Embedding.objects.values_list("encoder", flat=True)) == ["spectral"] * 4


def test_a_model_of_one_more_encoder_needs_only_that_one(networks, model):
    jury.score_pending()
    made = dict(Embedding.objects.values_list("pk", "created_at"))
    activate_model(make_model("two blocks", encoder_keys=("spectral", "mert-330m")))
    assert jury.score_pending() == 4
    assert dict(Embedding.objects.filter(encoder="spectral").values_list("pk", "created_at")) == made


def test_a_sweep_goes_on_with_the_model_that_went_live_meanwhile(model, monkeypatch):
    second = make_model("second", seed=1)
    embed = SpectralEncoder.embed

    def and_activate(self, batch):
        activate_model(second)
        return embed(self, batch)

    monkeypatch.setattr(SpectralEncoder, "embed", and_activate)
    assert jury.score_pending() == 4
    assert (model.rewards.count(), second.rewards.count()) == (0, 4)


def test_rescoring_stops_between_chunks_when_another_model_goes_live(model, monkeypatch):
    jury.score_pending()
    second, third = make_model("second", seed=1), make_model("third", seed=2)
    activate_model(second)
    monkeypatch.setattr(rescoring, "CHUNK", 2)
    scorer = jury.load_scorer(second.pk)
    score = scorer.score_embeddings
    monkeypatch.setattr(scorer, "score_embeddings", lambda x: activate_model(third) and score(x))
    assert rescoring.reward_embedded(second, scorer, pytest.fail) == 2
    assert jury.score_pending() == 4
    assert (second.rewards.count(), third.rewards.count()) == (2, 4)


def test_rewards_come_in_chunks_without_a_gap(model, monkeypatch):
    monkeypatch.setattr(rescoring, "CHUNK", 3)
    assert jury.score_pending() == 4
    activate_model(make_model("second", seed=1))
    assert jury.score_pending() == 4


def test_a_clip_keeps_the_reward_it_has(model, clips):
    assert store_rewards(model, {clips[0].pk: 1.0}) == 1
    assert store_rewards(model, {clips[0].pk: 2.0, clips[1].pk: 3.0}) == 1
    assert dict(Reward.objects.values_list("clip_id", "value")) == {clips[0].pk: 1.0, clips[1].pk: 3.0}


# ---- bad clips ----


def test_clips_that_cannot_be_read_carry_the_reason_for_every_encoder_and_the_others_are_scored(
    networks, clips, tmp_path
):
    not_finite = np.full((RATE, 1), np.nan, np.float32)
    bad = {
        make_clip(write(tmp_path / "nan.wav", not_finite, RATE, "pcm_f32le")).pk: "not a finite number",
        make_clip(written(tmp_path / "nothing.wav", np.empty((2, 0), "f4"))).pk: "holds no samples",
        make_clip(three_hours(tmp_path / "long.wav")).pk: "longer than 10 minutes",
        make_clip(written(tmp_path / "gone.wav", music(9))).pk: "FileNotFoundError",
    }
    default_storage.delete("originals/gone.wav")
    activate_model(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    assert jury.score_pending() == 4
    errors = failed()
    assert errors.keys() == bad.keys()
    for clip, sentence in bad.items():
        assert errors[clip].keys() == set(THREE_BLOCKS)
        assert all(sentence in error for error in errors[clip].values())
    assert jury.score_pending() == 0
    assert not Embedding.objects.filter(vector__isnull=True, error="").exists()


def three_hours(path):
    """A WAV of 8 bit at 8 kHz, as sparse on the disk as its sound is dull."""
    n = 3 * 3600 * 8000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(8000)
        file.setnframes(n)
        file.writeframes(bytes(8000))
    with path.open("r+b") as file:
        file.truncate(44 + n)
        for at in (4, 40):  # the sizes that the header states
            file.seek(at)
            file.write((n + (36 if at == 4 else 0)).to_bytes(4, "little"))
    return path


def test_a_clip_too_short_for_one_network_is_that_ones_story(networks, clips, tmp_path):
    blip = make_clip(written(tmp_path / "blip.wav", music(9, seconds=0.01)))
    activate_model(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    assert jury.score_pending() == 4
    assert failed().keys() == {blip.pk}
    assert failed()[blip.pk].keys() == {"mert-330m"}
    assert "hears nothing shorter" in failed()[blip.pk]["mert-330m"]


@pytest.mark.parametrize("how", [ValueError("waveform 1 of the batch: cannot"), ZeroDivisionError("oops"), "nan"])
def test_a_clip_on_which_an_encoder_fails_does_not_take_the_batch_down(model, tmp_path, monkeypatch, how):
    embed = SpectralEncoder.embed
    odd = make_clip(written(tmp_path / "odd.wav", music(7, seconds=1.5)))

    def fails(self, batch):
        rows = embed(self, batch)
        for place, waveform in enumerate(batch):
            if len(waveform) > 24_000:
                if how != "nan":
                    raise how
                rows[place] = np.nan
        return rows

    monkeypatch.setattr(SpectralEncoder, "embed", fails)
    assert jury.score_pending() == 4
    assert failed().keys() == {odd.pk}
    assert ("NaN" if how == "nan" else str(how)) in failed()[odd.pk]["spectral"]


def test_a_stored_embedding_that_is_misshapen_or_not_finite_becomes_the_reason_and_can_be_tried_again(
    model, clips, caplog
):
    jury.score_pending()
    rows = Embedding.objects.order_by("clip_id")
    rows.filter(clip=clips[0]).update(vector=bytes(4 * 7))
    rows.filter(clip=clips[1]).update(vector=np.full(451, np.nan, "<f4").tobytes())
    second = activate_model(make_model("second", seed=1))
    assert jury.score_pending() == 2
    assert {clip for (clip,) in second.rewards.values_list("clip_id")} == {clips[2].pk, clips[3].pk}
    for _ in range(2):
        jury.score_pending()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == [
        f"the embeddings of clips [{clips[0].pk}] by spectral are not of 1804 bytes",
        f"the embeddings of clips [{clips[1].pk}] by spectral are NaN or infinite in places",
    ]
    assert failed() == {
        clips[0].pk: {"spectral": "The stored embedding was not of 1804 bytes."},
        clips[1].pk: {"spectral": "The stored embedding was NaN or infinite in places."},
    }
    Embedding.objects.exclude(error="").delete()  # as the admin's action does
    assert jury.score_pending() == 2
    assert second.rewards.count() == 4


def test_a_good_embedding_that_came_in_the_place_of_a_damaged_one_stays(model, clips):
    jury.score_pending()
    good = bytes(Embedding.objects.get(clip=clips[0]).vector)
    claims.condemn("spectral", "1", {clips[0].pk: bytes(28)}, "it was damaged")
    row = Embedding.objects.get(clip=clips[0])
    assert (bytes(row.vector), row.error) == (good, "")


# ---- encoders and models that do not fit ----


def test_an_embedding_of_another_revision_is_never_read(model, clips):
    Embedding.objects.bulk_create(
        Embedding(clip=clip, encoder="spectral", revision="0", vector=np.ones(451, "<f4").tobytes()) for clip in clips
    )
    assert jury.score_pending() == 4
    assert Embedding.objects.filter(revision="1", vector__isnull=False).count() == 4
    for clip in clips:
        assert clip.rewards.get().value == pytest.approx(scored_alone(model, clip), abs=1e-4)


def test_a_model_of_another_revision_is_named_once_and_the_worker_lives(model, tmp_path, caplog):
    jury.score_pending()
    other = make_model("other")
    RewardModel.objects.filter(pk=other.pk).update(encoders=[{"key": "spectral", "revision": "0", "dimension": 451}])
    other.refresh_from_db()
    saved_for_revision(other, "0")
    registry.activate(other, "ada", force=True)
    for _ in range(3):
        assert jury.score_pending() == 0
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 2  # it cannot score, and its clips are not embedded
    assert all("revision '1' here, but revision '0' is wanted" in text and "other" in text for text in said)
    assert not other.rewards.exists()
    activate_model(model)
    make_clip(written(tmp_path / "new.wav", music(8)))
    assert jury.score_pending() == 1


def saved_for_revision(model, revision):
    block = SimpleNamespace(key="spectral", revision=revision, dimension=451)
    save_head(RankNetHead(451, (8,)), model.weights.path, encoder_metadata([block]))


def test_a_model_whose_file_is_damaged_is_named_and_clips_are_still_embedded(model, caplog):
    Path(model.weights.path).write_bytes(b"not a head")
    jury.load_scorer.cache_clear()
    assert jury.score_pending() == 0
    assert Embedding.objects.filter(vector__isnull=False).count() == 4
    assert [r.getMessage() for r in caplog.records if "first cannot score here" in r.getMessage()]


def test_weights_that_are_missing_are_asked_for_once_and_other_encoders_go_on(networks, clips, caplog, monkeypatch):
    model = activate_model(make_model("two blocks", encoder_keys=("spectral", "mert-330m")))
    here = weights.folder()
    monkeypatch.setenv("WEIGHTS_DIR", str(here.parent / "nothing"))
    for _ in range(3):
        assert jury.score_pending() == 0
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 2
    assert all("run `manage.py fetch_weights mert-330m`" in text for text in said)
    assert Embedding.objects.filter(encoder="spectral", vector__isnull=False).count() == 4
    assert not failed()
    monkeypatch.setenv("WEIGHTS_DIR", str(here))  # somebody fetches them: no restart
    assert jury.score_pending() == 4
    assert model.rewards.count() == 4


# ---- a machine in trouble ----


@pytest.mark.parametrize(
    "trouble", [MemoryError("no memory"), OSError(28, "No space left"), audio.AudioUnavailable("x")]
)
def test_trouble_while_reading_a_clip_is_no_fault_of_the_clip(model, clips, monkeypatch, caplog, trouble):
    decode = audio.decode_once

    def sometimes(path):
        if path.name == "1.wav":
            raise trouble
        return decode(path)

    monkeypatch.setattr(audio, "decode_once", sometimes)
    assert jury.score_pending() == 3
    assert not failed()
    assert [r.getMessage() for r in caplog.records].count(
        f"scoring stops until a later sweep: {type(trouble).__name__}: {trouble}"
    ) == 1
    monkeypatch.undo()
    assert jury.score_pending() == 0  # its claim has not run out yet
    Embedding.objects.update(claimed_until=timezone.now())
    assert jury.score_pending() == 1


@pytest.mark.parametrize("trouble", [torch.OutOfMemoryError("CUDA out of memory"), OSError("disk")])
def test_trouble_with_the_device_marks_no_clip_and_other_encoders_go_on(networks, clips, monkeypatch, trouble):
    activate_model(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    monkeypatch.setattr(Mert330m, "embed", lambda *_: (_ for _ in ()).throw(trouble))
    assert jury.score_pending() == 0
    assert not failed()
    done = Embedding.objects.filter(vector__isnull=False).values_list("encoder", flat=True)
    assert sorted(done) == ["clap-music"] * 4 + ["clap-music-text"] * 4


def test_a_device_that_fails_ends_the_worker_once_the_other_encoders_are_done(networks, clips, monkeypatch):
    """After such an error CUDA refuses all further work to the process; the supervisor starts another."""
    activate_model(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    monkeypatch.setattr(Mert330m, "embed", lambda *_: (_ for _ in ()).throw(torch.AcceleratorError("CUDA error")))
    ended = worker_ends(monkeypatch)
    tasks.score_clips()
    assert ended == [1]
    assert not failed()
    done = Embedding.objects.filter(vector__isnull=False).values_list("encoder", flat=True)
    assert sorted(done) == ["clap-music"] * 4 + ["clap-music-text"] * 4


@pytest.mark.parametrize(
    ("trouble", "ends"), [(torch.AcceleratorError("CUDA error"), [1]), (torch.OutOfMemoryError("no memory"), [])]
)
def test_the_head_is_on_the_device_too(model, monkeypatch, caplog, trouble, ends):
    ended = worker_ends(monkeypatch)
    monkeypatch.setattr(RankNetHead, "forward", lambda *_: (_ for _ in ()).throw(trouble))
    tasks.score_clips()
    assert ended == ends
    assert [r.getMessage() for r in caplog.records if "scoring stops until a later sweep" in r.getMessage()]
    assert not Reward.objects.exists() and not failed()


def worker_ends(monkeypatch):
    ended = []
    monkeypatch.setattr(tasks.os, "_exit", ended.append)
    return ended


def test_memory_that_runs_out_halves_the_batch_and_goes_on(networks, clips, monkeypatch):
    """The device holds one window at a time; that it ran out is known only by its exception."""
    model = activate_model(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    alone = {clip.pk: scored_alone(model, clip) for clip in clips}
    network = Mert330m().network()
    forward = type(network).forward

    def small(self, windows):
        if len(windows) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, windows)

    monkeypatch.setattr(type(network), "forward", small)
    assert jury.score_pending() == 4
    assert dict(model.rewards.values_list("clip_id", "value")) == pytest.approx(alone, abs=1e-4)


# ---- claims ----


def test_a_clip_lacks_nothing_once_the_model_has_rewarded_it_whatever_other_models_have(model, clips):
    store_rewards(model, {clips[0].pk: 1.0})
    store_rewards(make_model("other", seed=1), {clips[1].pk: 1.0})
    blocks, rest = [("spectral", "1")], [clip.pk for clip in clips[1:]]
    assert [clip for clip, _ in claims.lacking(blocks, model=model)] == rest
    assert [clip for clip, _ in claims.lacking(blocks)] == [clips[0].pk, *rest]
    assert take(limit=4, model=model) == rest


def take(blocks=(("spectral", "1"),), limit=2, **options):
    found, _ = claims.claim(blocks, limit=limit, max_seconds=1000, **options)
    return [one.clip.pk for one in found]


def test_clips_that_are_claimed_are_nobody_elses_until_the_claim_runs_out(clips, time_passes):
    ids = [clip.pk for clip in clips]
    assert take() == ids[:2]
    assert take() == ids[2:]
    assert take() == []
    time_passes(claims.LEASE.total_seconds() - 1)
    assert take() == []
    time_passes(2)
    assert take() == ids[:1]  # alone, for a worker seems to have ended with it


def test_of_two_workers_who_want_the_same_clip_one_gets_all_its_blocks(clips):
    assert take([("mert-330m", "1"), ("clap-music", "1")], limit=1) == [clips[0].pk]
    assert take([("clap-music", "1"), ("mert-330m", "1")], limit=1) == [clips[1].pk]


def test_a_batch_is_bounded_by_its_seconds_of_audio_but_has_one_clip_at_least(clips):
    clips[1].duration_ms = 600_000
    clips[1].save()
    blocks = [("spectral", "1")]
    lengths = []
    while (batch := claims.claim(blocks, limit=32, max_seconds=320))[1]:
        lengths.append(len(batch[0]))
    assert lengths == [1, 1, 2]


def test_the_first_outcome_of_a_claim_stands(clips):
    take(limit=4)
    first, second = np.ones(3, "f4"), np.zeros(3, "f4")
    claims.settle("spectral", "1", {clips[0].pk: first, clips[1].pk: "cannot be"})
    claims.settle("spectral", "1", {clips[0].pk: second, clips[1].pk: second})
    rows = {row.clip_id: row for row in Embedding.objects.all()}
    np.testing.assert_array_equal(rows[clips[0].pk].array, first)
    assert (rows[clips[1].pk].vector, rows[clips[1].pk].error) == (None, "cannot be")


@pytest.mark.django_db(transaction=True)
def test_a_claim_does_not_run_out_while_its_worker_lives(tmp_path, monkeypatch):
    make_clips(tmp_path, range(2))
    monkeypatch.setattr(claims, "LEASE", timedelta(seconds=0.6))
    taken = []

    def somebody_else():
        for _ in range(8):
            time.sleep(0.2)
            taken.extend(take())
        connection.close()

    def slow(self, batch, embed=SpectralEncoder.embed):
        other = threading.Thread(target=somebody_else)
        other.start()
        other.join()
        return embed(self, batch)

    monkeypatch.setattr(SpectralEncoder, "embed", slow)
    jury.score_pending()
    assert taken == []
    assert Embedding.objects.filter(vector__isnull=False).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_worker_killed_in_a_batch_loses_nothing_and_scores_nothing_twice(tmp_path, monkeypatch):
    make_clips(tmp_path, range(6))
    model = activate_model(make_model("first"))
    stuck = "SpectralEncoder.embed = lambda *_: (print('computing', flush=True), time.sleep(600))\njury.score_pending()"
    worker = start_worker(tmp_path, stuck)
    assert worker.stdout.readline() == "computing\n"
    assert jury.score_pending() == 0  # all claimed
    worker.kill()
    worker.wait()
    assert Embedding.objects.filter(claimed_until__gt=timezone.now()).count() == 6
    assert Embedding.objects.filter(claimed_until__gt=timezone.now() + claims.LEASE).count() == 0
    Embedding.objects.update(claimed_until=timezone.now())  # a minute passes
    assert jury.score_pending() == 6
    assert sorted(model.rewards.values_list("clip_id", flat=True)) == sorted(
        Embedding.objects.values_list("clip_id", flat=True)
    )


KILLS = """
import os
real = SpectralEncoder.embed
def embed(self, batch):
    if any(len(waveform) > 24_000 for waveform in batch):
        os.kill(os.getpid(), 9)
    return real(self, batch)
SpectralEncoder.embed = embed
jury.score_pending()
"""


@pytest.mark.django_db(transaction=True)
def test_a_clip_that_kills_its_workers_takes_its_neighbours_along_once_and_is_given_up_in_the_end(
    tmp_path, admin_client
):
    before = make_clips(tmp_path, range(2))
    killer = make_clip(written(tmp_path / "killer.wav", music(7, seconds=1.5)))
    after = make_clips(tmp_path, range(2, 4))
    activate_model(make_model("first"))

    def attempts():
        rows = dict(Embedding.objects.values_list("clip_id", "attempts"))
        return [rows[clip.pk] for clip in (*before, killer, *after)]

    for expected in ([1, 1, 1, 1, 1], [2, 2, 2, 1, 1], [2, 2, 3, 1, 1]):
        assert start_worker(tmp_path, KILLS).wait() == -9
        assert attempts() == expected
        Embedding.objects.update(claimed_until=timezone.now())  # a minute passes
    assert Reward.objects.count() == 2  # those before it
    assert start_worker(tmp_path, KILLS).wait() == 0
    assert failed() == {killer.pk: {"spectral": claims.GAVE_UP}}
    assert Reward.objects.count() == 4

    row = Embedding.objects.get(clip=killer)
    asked = {"action": "try_again", "_selected_action": [row.pk]}
    admin_client.post(reverse("admin:scoring_embedding_changelist"), asked)
    assert jury.score_pending() == 1  # it does not kill here
    assert Embedding.objects.get(clip=killer).attempts == 1


class Device:
    """The encoder's device: sound over 1.5 s breaks it for good, as far as this process goes. A broken one does nothing
    for any process."""

    def __init__(self, monkeypatch):
        self.fails, self.is_broken, self.embed = False, False, SpectralEncoder.embed
        self.ended = worker_ends(monkeypatch)
        monkeypatch.setattr(SpectralEncoder, "embed", lambda encoder, batch: self.compute(encoder, batch))

    def compute(self, encoder, batch):
        self.fails |= self.is_broken or any(len(waveform) > 1.5 * encoder.sample_rate for waveform in batch)
        if self.fails:
            raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")
        return self.embed(encoder, batch)

    def next_worker_ends(self):
        """Whether it does, at its device's failure; a minute later what it has left behind is free."""
        self.fails, ended = False, len(self.ended)
        tasks.score_clips()
        Embedding.objects.update(claimed_until=timezone.now())
        return len(self.ended) > ended


def test_a_clip_that_fails_the_device_of_every_worker_is_given_up_and_the_others_are_scored(tmp_path, monkeypatch, db):
    first = make_clips(tmp_path, range(2))
    breaks = make_clip(written(tmp_path / "breaks.wav", music(7, seconds=2.0)))
    rest = make_clips(tmp_path, range(2, 4))
    model = activate_model(make_model("first"))
    device = Device(monkeypatch)
    assert [device.next_worker_ends() for _ in range(4)] == [True, True, True, False]
    assert failed() == {breaks.pk: {"spectral": claims.GAVE_UP}}
    assert set(model.rewards.values_list("clip_id", flat=True)) == {clip.pk for clip in (*first, *rest)}


def test_a_device_that_fails_at_everything_has_no_clip_given_up(model, clips, monkeypatch):
    device = Device(monkeypatch)
    device.is_broken = True
    assert all(device.next_worker_ends() for _ in range(claims.MAX_ATTEMPTS + 2))
    assert not failed()
    device.is_broken = False  # somebody mends it
    assert not device.next_worker_ends()
    assert model.rewards.count() == 4


def test_a_suspect_is_for_a_worker_that_has_nothing_else(clips, time_passes):
    ids = [clip.pk for clip in clips]
    assert take(limit=2) == ids[:2]
    time_passes(claims.LEASE.total_seconds() + 1)
    Embedding.objects.filter(clip=ids[0]).delete()
    assert take(limit=4, is_idle=False) == ids[:1]  # up to the suspect
    assert take(limit=4, is_idle=False) == []
    assert take(limit=4) == ids[1:2]
    assert take(limit=4, is_idle=False) == ids[2:]


def test_trouble_of_the_machine_that_passes_makes_no_suspect(model, clips, monkeypatch):
    monkeypatch.setattr(SpectralEncoder, "embed", lambda *_: (_ for _ in ()).throw(MemoryError("no memory")))
    for _ in range(claims.MAX_ATTEMPTS + 1):
        assert jury.score_pending() == 0
        assert Embedding.objects.filter(claimed_until__gt=timezone.now(), attempts=0).count() == 4
        Embedding.objects.update(claimed_until=timezone.now())  # a minute passes
    monkeypatch.undo()
    assert take(limit=4) == [clip.pk for clip in clips]
    assert not failed()

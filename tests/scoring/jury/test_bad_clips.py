"""What the gpu worker makes of clips that cannot be read or embedded, and of stored embeddings that are damaged."""

import logging
import wave

import numpy as np
import pytest
from django.core.files.storage import default_storage

from scoring.jury import claims
from scoring.jury.worker import score_pending
from scoring.models import Embedding
from scoring.reward.encoders.spectral import SpectralEncoder
from tests.casts.audio_files import write
from tests.casts.jury import RATE, THREE_BLOCKS, failed, make_clip, music, written
from tests.casts.reward_models import make_live, make_model


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
    make_live(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    assert score_pending() == 4
    errors = failed()
    assert errors.keys() == bad.keys()
    for clip, sentence in bad.items():
        assert errors[clip].keys() == set(THREE_BLOCKS)
        assert all(sentence in error for error in errors[clip].values())
    assert score_pending() == 0
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


def test_a_clip_too_short_to_be_heard_is_embedded_by_no_network_and_stops_no_other(networks, clips, tmp_path):
    blip = make_clip(written(tmp_path / "blip.wav", music(9, seconds=0.01)))
    make_live(make_model("three blocks", encoder_keys=THREE_BLOCKS))
    assert score_pending() == 4
    assert failed().keys() == {blip.pk}
    assert failed()[blip.pk].keys() == set(THREE_BLOCKS)
    assert all("at least 1 s is needed" in reason for reason in failed()[blip.pk].values())


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
    assert score_pending() == 4
    assert failed().keys() == {odd.pk}
    assert ("NaN" if how == "nan" else str(how)) in failed()[odd.pk]["spectral"]


def test_a_stored_embedding_that_is_misshapen_or_not_finite_becomes_the_reason_and_can_be_tried_again(
    model, clips, caplog
):
    score_pending()
    rows = Embedding.objects.order_by("clip_id")
    rows.filter(clip=clips[0]).update(vector=bytes(4 * 7))
    rows.filter(clip=clips[1]).update(vector=np.full(451, np.nan, "<f4").tobytes())
    second = make_live(make_model("second", seed=1))
    assert score_pending() == 2
    assert {clip for (clip,) in second.rewards.values_list("clip_id")} == {clips[2].pk, clips[3].pk}
    for _ in range(2):
        score_pending()
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
    assert score_pending() == 2
    assert second.rewards.count() == 4


def test_a_good_embedding_that_came_in_the_place_of_a_damaged_one_stays(model, clips):
    score_pending()
    good = bytes(Embedding.objects.get(clip=clips[0]).vector)
    claims.condemn("spectral", "1", {clips[0].pk: bytes(28)}, "it was damaged")
    row = Embedding.objects.get(clip=clips[0])
    assert (bytes(row.vector), row.error) == (good, "")

"""What encoders with networks share: windows, memory that runs out, weights that change, one network per process."""

import threading

import numpy as np
import pytest
import torch
from torch import nn

from scoring.reward import weights
from scoring.reward.encoders import clap_network, get_encoder
from scoring.reward.encoders.mert import Mert330m
from scoring.reward.encoders.network import cut
from tests.casts.tiny_networks import CLAP_FILE, install_tiny_clap, install_tiny_mert
from tests.goldens.inputs import music

RATE = 24_000


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mert")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        install_tiny_mert(folder / "published")
        yield folder


def clips(*seconds):
    return [music(round(s * RATE), seed, RATE) for seed, s in enumerate(seconds)]


# --- windows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 99, 100, 101, 150, 199, 200, 201, 250, 999, 1000, 1001])
def test_windows_are_of_one_length_evenly_spaced_and_cover_the_clip(n):
    windows = cut(n, 100)
    assert windows[0][0] == 0
    assert windows[-1][1] == n
    assert {stop - start for start, stop in windows} == {min(n, 100)}
    steps = np.diff([start for start, _ in windows])
    assert not steps.size or (steps.max() <= 100 and np.ptp(steps) <= 1)
    assert len(windows) == -(-n // 100)


# --- memory -------------------------------------------------------------------------------------------------


class SmallDevice(nn.Module):
    """The network on a device that holds `most` windows at once."""

    def __init__(self, network, most):
        super().__init__()
        self.network, self.most, self.tried = network, most, []

    def forward(self, windows):
        self.tried.append(len(windows))
        if len(windows) > self.most:
            raise torch.OutOfMemoryError("tried to allocate 2 GiB")
        return self.network(windows)


def on_a_device_for(most):
    encoder = Mert330m()
    device = SmallDevice(encoder.network(), most)
    device.shortest = device.network.shortest
    encoder.network = lambda: device
    return encoder, device


def test_a_batch_that_does_not_fit_in_memory_is_halved_until_it_does():
    encoder, device = on_a_device_for(2)
    batch = clips(*[0.5] * 7)
    np.testing.assert_allclose(encoder.embed(batch), Mert330m().embed(batch), atol=1e-5)
    assert device.tried == [7, 3, 1, 1, 1, 1, 1, 1, 1]


def test_the_clip_that_does_not_fit_alone_is_named():
    encoder, device = on_a_device_for(0)
    with pytest.raises(MemoryError, match=r"waveform 0 of the batch, 0\.5 s of it through mert-330m: .* even alone"):
        encoder.embed(clips(0.5, 0.5))
    assert device.tried == [2, 1]


def test_long_windows_go_through_fewer_at_once():
    encoder, device = on_a_device_for(99)
    encoder.batch_s = encoder.batch_s_on_cpu = 2.0
    encoder.embed(clips(0.5, 1.0, 0.5, 0.5, 1.0, 0.5, 0.5, 1.0))
    assert device.tried == [4, 1, 2, 1]


# --- clips --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (np.zeros(0, np.float32), r"has shape \[0\]"),
        (np.zeros((2, 100), np.float32), r"has shape \[2, 100\]"),
        (np.array([0.0, np.nan] * 400, np.float32), "holds NaN or infinite samples"),
    ],
)
def test_what_cannot_be_embedded_is_refused_with_its_place_in_the_batch(bad, says):
    with pytest.raises(ValueError, match=rf"waveform 1 of the batch: {says}"):
        Mert330m().embed([*clips(0.5), bad])


class Breaking(nn.Module):
    """The network, but for windows that start with 0.5."""

    def __init__(self, network):
        super().__init__()
        self.network, self.shortest = network, network.shortest

    def forward(self, windows):
        return torch.where(windows[:, :1] == 0.5, torch.nan, self.network(windows))


def test_a_clip_of_which_the_network_makes_nan_is_named():
    encoder = Mert330m()
    network = Breaking(encoder.network())
    encoder.network = lambda: network
    with pytest.raises(ValueError, match="waveform 1 of the batch: mert-330m makes NaN or infinite numbers of it"):
        encoder.embed([*clips(0.5), np.full(RATE, 0.5, np.float32)])


def test_arrays_as_decoders_make_them_are_taken_read_only_strided_or_of_doubles():
    x = clips(0.5)[0]
    frozen = np.frombuffer(x.tobytes(), np.float32)
    strided = np.stack([x, x], axis=1)[:, 0]
    rows = Mert330m().embed([x, frozen, strided, x.astype(np.float64)])
    np.testing.assert_allclose(rows, rows[[0] * 4], atol=1e-6)


# --- weights ------------------------------------------------------------------------------------------------


def test_a_file_that_changed_since_it_was_installed_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    installed = install_tiny_clap(tmp_path / "published")
    with (installed.path / CLAP_FILE).open("ab") as file:
        file.write(b"one more")
    with pytest.raises(weights.BadWeights, match=rf"{CLAP_FILE}.*sha256"):
        get_encoder("clap-music").embed(clips(1))


def test_without_weights_the_message_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(weights.WeightsMissing, match="fetch_weights mert-330m"):
        Mert330m().embed(clips(1))


def test_other_weights_are_another_revision_and_another_network(tmp_path, monkeypatch):
    before, x = Mert330m().revision, Mert330m().embed(clips(1))
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    install_tiny_mert(tmp_path / "published", layer_norm=False)
    assert Mert330m().revision != before
    assert np.abs(Mert330m().embed(clips(1)) - x).max() > 0.1


def test_threads_that_ask_together_get_one_network_loaded_once(tmp_path, monkeypatch):
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    install_tiny_clap(tmp_path / "published")
    load, loaded, got = clap_network.load, [], []
    monkeypatch.setattr(clap_network, "load", lambda folder: loaded.append(folder) or load(folder))
    keys = ["clap-music", "clap-music-text"] * 4
    threads = [threading.Thread(target=lambda key=key: got.append(get_encoder(key).network())) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loaded) == 1
    assert len(got) == 8
    assert len(set(map(id, got))) == 1

"""laion_clap itself, by CLAP_ENGINE=laion_clap, and transformers' networks: one checkpoint, the same embeddings.

`make test-clap` runs this in .venv-clap, where the package is. The checkpoint has the published size and random
weights; where the published ones are installed (WEIGHTS_DIR, else var/weights), all of it runs on them as well.
"""

import shutil
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import pytest

from scoring.reward import weights
from scoring.reward.encoders import get_encoder, resample, to_mono
from scoring.reward.torchvision_operators import declare_missing
from tests.casts.tiny_networks import CLAP_FILE, install_tiny_mert, write_clap
from tests.goldens.inputs import TEXTS, music
from tests.goldens.inputs import waveforms as golden_waveforms

if find_spec("laion_clap") is None:
    pytest.skip("laion_clap is not installed here; `make test-clap` has it", allow_module_level=True)

TOLERANCE = 1e-5  # of vectors of norm 1, in float32; leaving out laion_clap's 16 bits moves them by 1e-4
RATE = 48_000
ENGINES = ("transformers", "laion_clap")


def published():
    """Where the published weights are installed, or None."""
    homes = (weights.folder(), weights.CHECKOUT / "var" / "weights")
    return next((home for home in homes if (home / "clap-music" / weights.MANIFEST).is_file()), None)


def stereo(n, rate):
    return np.stack([music(n, 11, rate), 0.5 * music(n, 12, rate)])


def recordings():
    """Name -> (samples [n] or [channels, n], Hz)."""
    clips = {name: (samples, RATE) for name, samples in golden_waveforms().items()}
    return clips | {
        "three samples": (np.array([0.7, -0.4, 0.1], np.float32), RATE),
        "one sample over 10 s": (music(10 * RATE + 1, 7), RATE),
        "23.4 s": (music(int(23.4 * RATE), 8), RATE),
        "4 s at 44.1 kHz": (music(4 * 44_100, 9, 44_100), 44_100),
        "2 s at 8 kHz": (music(2 * 8000, 10, 8000), 8000),
        "stereo, 12 s at 44.1 kHz": (stereo(12 * 44_100, 44_100), 44_100),
    }


PROMPTS = [
    *TEXTS,
    "",
    "  \n",
    "x",
    "CALM PIANO",
    "línea de bajo 🎸\tand\nnew lines",
    "<s> </s> <pad> <mask>",
    "\u200b\u0000zero width, and NUL",
    "a" * 5000,
]


@pytest.fixture(scope="module", params=["random", *(["published"] if published() else [])])
def installed(request, tmp_path_factory):
    declare_missing()
    folder = tmp_path_factory.mktemp("clap")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "published":
            patch.setenv("WEIGHTS_DIR", str(published()))
        else:
            patch.setenv("WEIGHTS_DIR", str(folder))
            write_clap(folder / "written", full_size=True)
            weights.install("clap-music", folder / "written")
            shutil.rmtree(folder / "written")
        yield weights.installed("clap-music")
    shutil.rmtree(folder)  # 0.8 GB, which pytest would keep for three runs


@pytest.fixture(scope="module")
def embedded(installed):
    """Engine -> what it makes of every recording, every prompt, and a gradient."""
    clips = [resample(to_mono(samples), rate, RATE) for samples, rate in recordings().values()]
    results = {}
    for engine in ENGINES:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CLAP_ENGINE", engine)
            audio, text = get_encoder("clap-music"), get_encoder("clap-music-text")
            results[engine] = {
                "network": type(audio.network()).__name__,
                "audio": dict(zip(recordings(), audio.embed(clips), strict=True)),
                "text": dict(zip(PROMPTS, text.embed(PROMPTS), strict=True)),
                "gradient": gradient(audio),
            }
    return results


def gradient(audio):
    """Of a sum of the embedding with fixed weights, at a clip of 3 s, float32 [1, n]."""
    import torch

    waveform = torch.from_numpy(music(3 * RATE, 1)[None]).requires_grad_()
    direction = torch.from_numpy(np.random.RandomState(0).standard_normal(512).astype(np.float32))
    (audio.forward(waveform) @ direction.to(next(audio.network().parameters()).device)).sum().backward()
    return waveform.grad.numpy()


@pytest.fixture
def reference(installed, monkeypatch):
    """laion_clap's own CLAP_Module, as the engine has loaded it."""
    monkeypatch.setenv("CLAP_ENGINE", "laion_clap")
    return get_encoder("clap-music").network().module


def test_each_engine_ran_its_own_network(embedded):
    assert [embedded[engine]["network"] for engine in ENGINES] == ["Clap", "LaionClap"]


@pytest.mark.parametrize("name", recordings())
def test_a_clip_has_the_same_embedding(embedded, name):
    ours, theirs = (embedded[engine]["audio"][name] for engine in ENGINES)
    assert (ours.shape, theirs.shape) == ((512,), (512,))
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


@pytest.mark.parametrize("prompt", PROMPTS, ids=range(len(PROMPTS)))
def test_a_prompt_has_the_same_embedding(embedded, prompt):
    ours, theirs = (embedded[engine]["text"][prompt] for engine in ENGINES)
    assert ours.any() == bool(prompt.strip())
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE)


def test_the_embeddings_tell_clips_and_prompts_apart_by_far_more_than_the_tolerance(embedded):
    for kind in ("audio", "text"):
        rows = [row for row in embedded["laion_clap"][kind].values() if row.any()]
        distances = [np.abs(a - b).max() for i, a in enumerate(rows) for b in rows[:i]]
        assert np.median(distances) > 1000 * TOLERANCE
        assert min(distances) > 10 * TOLERANCE


def test_a_gradient_is_the_same(embedded):
    ours, theirs = (embedded[engine]["gradient"] for engine in ENGINES)
    assert np.abs(theirs).max() > 0
    np.testing.assert_allclose(ours, theirs, atol=1e-4 * np.abs(theirs).max())


def test_a_long_clip_is_the_mean_of_evenly_spaced_windows_and_no_random_crop(reference, embedded):
    clip = recordings()["23.4 s"][0]
    n, window = len(clip), 10 * RATE
    parts = [clip[start : start + window] for start in (0, (n - window) // 2, n - window)]
    mean = reference.get_audio_embedding_from_data(x=parts).mean(axis=0)
    np.testing.assert_allclose(embedded["laion_clap"]["audio"]["23.4 s"], mean, atol=TOLERANCE)


def test_short_and_loud_clips_and_prompts_are_what_the_package_makes_of_them_by_itself(reference, embedded):
    result = embedded["laion_clap"]
    names = ("0.02 s", "10 s, too loud")
    rows = reference.get_audio_embedding_from_data(x=[recordings()[name][0] for name in names])
    np.testing.assert_allclose([result["audio"][name] for name in names], rows, atol=TOLERANCE)
    by_itself = reference.get_text_embedding([TEXTS[0]])[0]
    np.testing.assert_allclose(result["text"][TEXTS[0]], by_itself, atol=TOLERANCE)


def test_every_tensor_is_what_the_package_reads_by_itself(installed, reference):
    from clap_module.factory import load_state_dict

    here = reference.model.state_dict()
    by_itself = load_state_dict(str(installed.path / CLAP_FILE))
    assert here.keys() == by_itself.keys()
    for name, tensor in by_itself.items():
        assert tensor.equal(here[name].cpu()), name


def test_nothing_of_what_was_replaced_while_it_loaded_stays_replaced(reference):
    import transformers

    for name in ("RobertaModel", "RobertaTokenizer", "BertTokenizer", "BartTokenizer"):
        method = getattr(transformers, name).from_pretrained
        assert method.__module__.startswith("transformers."), name


def test_a_worker_in_this_environment_runs_the_other_encoders_too(tmp_path, monkeypatch):
    """transformers imports the torchvision that laion_clap needs, which may not fit torch: mert-330m loads all the
    same, in a process that has not loaded clap-music before.
    """
    declare_missing()
    monkeypatch.setenv("WEIGHTS_DIR", str(tmp_path / "weights"))
    install_tiny_mert(tmp_path / "published")
    code = (
        "import numpy as np\n"
        "from scoring.reward.encoders import get_encoder\n"
        "print(get_encoder('mert-330m').embed([np.ones(24_000, np.float32)]).shape)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "(1, 1024)\n", ran.stderr

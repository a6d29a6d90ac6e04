"""CLAP_ENGINE chooses whose network runs clap-music, by name, and says what to do where it cannot be had.

What the network of laion_clap computes is in test_laion_clap, which `make test-clap` runs where the package is.
"""

import re
import sys

import pytest
import torch

from scoring.reward import torchvision_operators
from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.encoders import clap, get_encoder
from scoring.reward.weights import PackageMissing, WeightsError
from tests.casts.tiny_networks import install_tiny_clap

KEYS = ("clap-music", "clap-music-text")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clap")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEIGHTS_DIR", str(folder / "weights"))
        yield install_tiny_clap(folder / "published")


@pytest.fixture
def package_is_here(monkeypatch):
    monkeypatch.setattr(clap, "find_spec", lambda name: object())


@pytest.mark.parametrize("unset", [None, ""])
def test_without_a_choice_transformers_runs_it(monkeypatch, unset):
    if unset is None:
        monkeypatch.delenv("CLAP_ENGINE", raising=False)
    else:
        monkeypatch.setenv("CLAP_ENGINE", unset)
    assert [get_encoder(key).engine for key in KEYS] == ["transformers", "transformers"]


@pytest.mark.parametrize("key", KEYS)
def test_an_engine_that_does_not_exist_is_named_with_those_that_do(tiny, monkeypatch, key):
    monkeypatch.setenv("CLAP_ENGINE", "laion-clap")
    says = r"CLAP_ENGINE is 'laion-clap'.*: set it to transformers or laion_clap"
    with pytest.raises(WeightsError, match=says):
        get_encoder(key, "1-00000000")
    with pytest.raises(WeightsError, match=says):
        get_encoder(key).network()


@pytest.mark.parametrize("key", KEYS)
def test_without_the_package_its_revision_says_what_to_do(tiny, monkeypatch, key):
    monkeypatch.setenv("CLAP_ENGINE", "laion_clap")
    monkeypatch.setattr(clap, "find_spec", lambda name: None)
    with pytest.raises(PackageMissing, match=r"laion_clap, which is not installed here: `make test-clap` .* unset"):
        get_encoder(key, "1-00000000")


def test_a_package_that_does_not_load_says_why(tiny, monkeypatch):
    (tiny.path / "config.json").rename(tiny.path / "config.json.away")  # without it, the network is the published one
    monkeypatch.setenv("CLAP_ENGINE", "laion_clap")
    monkeypatch.setitem(sys.modules, "laion_clap", None)
    try:
        with pytest.raises(PackageMissing, match=r"does not load here \(.*laion_clap.*\): `make test-clap`"):
            get_encoder("clap-music").load(tiny.path)
    finally:
        (tiny.path / "config.json.away").rename(tiny.path / "config.json")


def test_both_engines_are_of_one_revision_so_that_stored_embeddings_and_heads_serve_with_either(
    tiny, monkeypatch, package_is_here
):
    revisions = set()
    for engine in clap.ENGINES:
        monkeypatch.setenv("CLAP_ENGINE", engine)
        revisions |= {get_encoder(key).revision for key in KEYS}
    assert revisions == {f"1-{tiny.fingerprint}"}


def test_laion_clap_refuses_settings_of_a_network_that_it_does_not_know(tiny, monkeypatch):
    monkeypatch.setenv("CLAP_ENGINE", "laion_clap")
    with pytest.raises(BadCheckpoint, match=r"config\.json: describes another network .* unset CLAP_ENGINE"):
        get_encoder("clap-music").load(tiny.path)


def test_a_process_that_changes_the_engine_does_not_go_on_with_the_other_ones_network(tiny, monkeypatch):
    network = get_encoder("clap-music").network()
    assert get_encoder("clap-music-text").network() is network
    monkeypatch.setenv("CLAP_ENGINE", "laion_clap")
    with pytest.raises(BadCheckpoint, match="CLAP_ENGINE=laion_clap"):  # so it was asked to load
        get_encoder("clap-music").network()


# ---- torchvision -------------------------------------------------------------------------------------------


@pytest.fixture
def torchvision(tmp_path, monkeypatch):
    """A package of that name with that content, in the place of an installed one."""

    def install(content):
        (tmp_path / "torchvision.py").write_text(content)
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "torchvision", raising=False)

    yield install
    sys.modules.pop("torchvision", None)


def test_a_torchvision_that_does_not_load_at_all_is_the_machines_fault(torchvision):
    torchvision("raise RuntimeError('compiled with another CUDA')")
    says = re.escape(f"beside torch {torch.__version__} (compiled with another CUDA): install")
    with pytest.raises(PackageMissing, match=says):
        torchvision_operators.declare_missing()


def test_a_torchvision_that_loads_is_left_alone(torchvision):
    torchvision("")
    torchvision_operators.declare_missing()
    assert not torchvision_operators._declared

"""The head and its files: what is saved is what loads, and a file that does not fit is refused by name."""

import pickle

import pytest
import torch

from scoring.reward.checkpoints import BadCheckpoint
from scoring.reward.head import RankNetHead, load_head, read_metadata, save_head
from scoring.reward.weights import sha256_of
from tests.casts.heads import Malicious, replaced, trained_looking, without


def rewards(head, n=5, width=12):
    with torch.no_grad():
        return head(torch.randn(n, width, generator=torch.Generator().manual_seed(1)))


def test_the_published_architecture_has_the_published_size():
    head = RankNetHead(2048)
    assert [tuple(m.weight.shape) for m in head.modules() if isinstance(m, torch.nn.Linear)] == [
        (1024, 2048),
        (512, 1024),
        (256, 512),
        (128, 256),
        (1, 128),
    ]
    assert sum(p.numel() for p in head.parameters()) == 2_791_169  # "2.8M parameters", model card of TuneJury
    assert head.eval()(torch.zeros(3, 2048)).shape == (3,)


def test_a_saved_head_loads_to_exactly_the_same_rewards(tmp_path):
    head = trained_looking()
    digest = save_head(head, tmp_path / "head.safetensors", {"encoders": "[1]", "note": "ü"})
    loaded = load_head(tmp_path / "head.safetensors")
    assert torch.equal(rewards(loaded), rewards(head))
    assert not loaded.training
    assert (loaded.input_width, loaded.hidden) == (12, (8, 6))
    assert all(torch.equal(a, b) for a, b in zip(head.state_dict().values(), loaded.state_dict().values(), strict=True))
    assert read_metadata(tmp_path / "head.safetensors") == {"encoders": "[1]", "note": "ü"}
    assert digest == sha256_of(tmp_path / "head.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["head.safetensors"]


def nested(state):
    return {"epoch": 7, "state_dict": state}


def under_model_state_dict(state):
    return {"optimizer": {"lr": 1e-4}, "model_state_dict": state}


def in_two_lists(state):
    """Linears and batch norms kept apart and numbered from 1, as some training scripts have them."""
    linears = sorted({k.split(".")[1] for k, v in state.items() if v.ndim == 2}, key=int)
    return {
        (f"module.fc{linears.index(n) + 1}.{leaf}" if n in linears else f"module.bn{int(n) // 4 + 1}.{leaf}"): tensor
        for (_, n, leaf), tensor in ((k.split("."), v) for k, v in state.items())
    }


@pytest.mark.parametrize("layout", [dict, nested, under_model_state_dict, in_two_lists])
def test_a_pt_file_loads_whatever_its_prefix_nesting_and_widths(tmp_path, layout):
    hidden = tuple(range(16, 5, -1))  # more than ten layers: natural, not alphabetical, order
    head = trained_looking(12, hidden)
    torch.save(layout(head.state_dict()), tmp_path / "head.pt")
    loaded = load_head(tmp_path / "head.pt")
    assert loaded.hidden == hidden
    assert torch.equal(rewards(loaded), rewards(head))


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path, monkeypatch, write):
    monkeypatch.setenv("TRAP", str(tmp_path / "sprung"))
    write({"net.0.weight": Malicious()}, tmp_path / "evil.pt")
    with pytest.raises(BadCheckpoint, match=r"evil\.pt: refused.*code"):
        load_head(tmp_path / "evil.pt")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (without("net.4.bias"), r"missing tensor net\.4\.bias"),
        (without("net.4.weight"), r"missing tensor net\.4\.weight"),
        (without("net.1.running_mean"), r"missing tensor net\.1\.running_mean"),
        (without("net.5.weight"), r"missing tensor net\.5\.weight"),
        (replaced("net.0.scale", torch.ones(8)), r"extra tensor net\.0\.scale"),
        (replaced("temperature", torch.ones(())), r"extra tensor temperature"),
        (replaced("net.12.weight", torch.ones(1, 1)), r"missing tensor net\.12\.bias"),
        (
            replaced("net.4.weight", torch.ones(6, 9)),
            r"tensor net\.4\.weight has shape \[6, 9\], expected \[6, 8\]",
        ),
        (replaced("net.0.bias", torch.ones(7)), r"tensor net\.0\.bias has shape \[7\], expected \[8\]"),
        (
            replaced("net.5.running_var", torch.ones(1)),
            r"tensor net\.5\.running_var has shape \[1\], expected \[6\]",
        ),
        (
            replaced("net.8.weight", torch.ones(2, 6)),
            r"tensor net\.8\.weight has shape \[2, 6\], expected \[1, 6\]",
        ),
        (replaced("net.0.weight", torch.ones(8, 12, 1)), r"tensor net\.0\.weight has 3 axes"),
        (replaced("net.0.weight", torch.full((8, 12), float("nan"))), r"tensor net\.0\.weight holds NaN"),
        (
            replaced("net.0.weight", torch.ones(8, 12, dtype=torch.int64)),
            r"tensor net\.0\.weight is torch\.int64",
        ),
        (replaced("net.0.weight", "a word"), r"entry 'net\.0\.weight' is a str"),
    ],
)
def test_a_tensor_that_is_missing_extra_or_misshapen_is_named(tmp_path, spoil, says):
    state = dict(trained_looking().state_dict())
    spoil(state)
    torch.save(state, tmp_path / "head.pt")
    with pytest.raises(BadCheckpoint, match=r"head\.pt: .*" + says):
        load_head(tmp_path / "head.pt")


def test_a_whole_layer_missing_is_told_with_the_layers_that_are_there(tmp_path):
    state = {k: v for k, v in trained_looking().state_dict().items() if not k.startswith("net.8.")}
    torch.save(state, tmp_path / "head.pt")
    with pytest.raises(BadCheckpoint, match=r"linear net\.0, net\.4 and batch norm net\.1, net\.5"):
        load_head(tmp_path / "head.pt")


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x02]q\x00."])
def test_a_damaged_file_is_a_bad_checkpoint(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadCheckpoint, match=name):
        load_head(tmp_path / name)


def test_a_truncated_checkpoint_is_refused(tmp_path):
    for name, save in (
        ("x.pt", torch.save),
        ("x.safetensors", lambda state, path: save_head(trained_looking(), path, {})),
    ):
        save(trained_looking().state_dict(), tmp_path / name)
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(BadCheckpoint, match=name):
            load_head(tmp_path / name)


def test_a_file_that_is_not_there_says_so(tmp_path):
    for read in (load_head, read_metadata):
        with pytest.raises(FileNotFoundError, match=r"gone\.safetensors"):
            read(tmp_path / "gone.safetensors")


def test_only_safetensors_carry_metadata(tmp_path):
    torch.save(trained_looking().state_dict(), tmp_path / "head.pt")
    with pytest.raises(BadCheckpoint, match=r"head\.pt: not a safetensors file"):
        read_metadata(tmp_path / "head.pt")

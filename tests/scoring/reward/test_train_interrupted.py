"""A training that was killed goes on from its checkpoint to the same head, and from no other."""

import numpy as np
import pytest
import torch

from scoring.reward.train import train
from scoring.reward.training_checkpoint import BadTrainingCheckpoint
from tests.casts.linear_votes import planted


class Killed(Exception):
    pass


def killed_after(n):
    left = [n]

    def progress(entry):
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    return progress


@pytest.mark.parametrize(("epochs", "lapses"), [(0, False), (3, False), (7, False), (7, True), (11, False)])
def test_a_training_that_was_killed_goes_on_to_the_head_it_would_have_had(tmp_path, epochs, lapses):
    settings = {"seeds": (0, 1), "hidden": (32, 16), "learning_rate": 3e-3, "max_epochs": 8, "patience": 4}
    settings |= {"batch_size": 65, "lapses": lapses}  # 65 leaves one pair for the batch before
    uninterrupted = train(*planted(votes=400), **settings)
    assert uninterrupted.split["pairs"]["train"] % 65 == 1
    with pytest.raises(Killed):
        train(*planted(votes=400), **settings, checkpoint=tmp_path / "c", progress=killed_after(epochs))
    seen = []
    result = train(*planted(votes=400), **settings, checkpoint=tmp_path / "c", progress=seen.append)
    assert seen == result.history == uninterrupted.history
    for name, tensor in uninterrupted.head.state_dict().items():
        assert torch.equal(result.head.state_dict()[name], tensor), name
    assert (result.metrics, result.seeds) == (uninterrupted.metrics, uninterrupted.seeds)
    assert not list(tmp_path.glob(".*"))


def test_a_training_that_had_ended_is_not_done_again(tmp_path):
    first = train(*planted(votes=300), hidden=(8,), max_epochs=3, checkpoint=tmp_path / "c")
    written = (tmp_path / "c").read_bytes()
    second = train(*planted(votes=300), hidden=(8,), max_epochs=3, checkpoint=tmp_path / "c")
    assert second.history == first.history
    assert (tmp_path / "c").read_bytes() == written


@pytest.mark.parametrize(
    "other", [{"seeds": (1,)}, {"learning_rate": 1e-3}, {"fractions": (0.5, 0.25, 0.25)}, {"weight": np.full(300, 2.0)}]
)
def test_a_checkpoint_of_other_settings_or_votes_is_refused(tmp_path, other):
    train(*planted(votes=300), hidden=(8,), max_epochs=1, checkpoint=tmp_path / "c")
    if "weight" in other:  # all the same weight is no weight at all
        other["weight"][0] = 1.0
    with pytest.raises(BadTrainingCheckpoint, match="other votes, features or settings"):
        train(*planted(votes=300), hidden=(8,), max_epochs=2, checkpoint=tmp_path / "c", **other)


def test_a_file_that_is_no_checkpoint_is_named(tmp_path):
    (tmp_path / "c").write_bytes(b"holiday photo")
    with pytest.raises(BadTrainingCheckpoint, match=f"{tmp_path}/c: not a checkpoint"):
        train(*planted(votes=300), hidden=(8,), max_epochs=1, checkpoint=tmp_path / "c")

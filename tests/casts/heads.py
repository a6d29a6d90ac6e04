"""Small heads, and ways to spoil their files."""

import torch

from scoring.reward.head import RankNetHead


def trained_looking(input_width=12, hidden=(8, 6), seed=0):
    """A head whose batch norms have seen data, so that running statistics matter."""
    torch.manual_seed(seed)
    head = RankNetHead(input_width, hidden)
    for _ in range(3):
        head(torch.randn(32, input_width) * 3 + 1)
    return head.eval()


class Malicious:
    def __reduce__(self):
        return (exec, ("import pathlib, os; pathlib.Path(os.environ['TRAP']).touch()",))


def without(name):
    return lambda state: state.pop(name)


def replaced(name, tensor):
    return lambda state: state.update({name: tensor})

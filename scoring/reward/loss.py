"""The loss of a margin under a vote: RankNet's, and RankNet's for raters of whom some toss a coin."""

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, logsigmoid

FIRST = -3.0  # logit of the rate before the first vote: 0.05
STEP = 1e-2  # of that logit; a head's own steps would take hundreds of epochs


def ranknet_loss(margin: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of w (-t log sigmoid(m) - (1 - t) log sigmoid(-m)), in nats (Burges et al. 2005, equation 3).

    margin, target, weight: float [N]; margin = reward(a) - reward(b).
    """
    return binary_cross_entropy_with_logits(margin, target, weight)


class LapsingRankNet(nn.Module):
    """RankNet's loss of P = rate / 2 + (1 - rate) sigmoid(m) instead of sigmoid(m), its rate learnt with the head: the
    forward correction of Patrini et al. 2017 (theorem 2) for labels flipped in rate / 2 of all pairs.

    A vote against a large margin then costs at most -log(rate / 2): it is a lapse, and no reason to bend the reward.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logit_rate = nn.Parameter(torch.tensor(FIRST))

    @property
    def rate(self) -> float:
        return float(torch.sigmoid(self.logit_rate.detach()))

    def forward(self, margin: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        coin = logsigmoid(self.logit_rate) - torch.log(torch.tensor(2.0))
        heard = logsigmoid(-self.logit_rate)
        log_p, log_not = (torch.logaddexp(coin, heard + logsigmoid(m)) for m in (margin, -margin))
        loss = -target * log_p - (1 - target) * log_not
        return (loss if weight is None else weight * loss).mean()

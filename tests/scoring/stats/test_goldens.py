"""Other people's libraries on the same votes, to 1e-6 where the models coincide.

arena-rank pins a NumPy of its own and brings JAX, so it is not among our requirements; where it is installed, its
sandwich is compared too.
"""

import choix
import evalica
import numpy as np
import pytest

from scoring.stats.bradley_terry import fit
from tests.casts.simulated_votes import simulate

CLOSE = 1e-6


def test_ratings_are_evalicas():
    a, b, outcome, _ = simulate(n=12, size=3000)
    winner = {1.0: evalica.Winner.X, 0.0: evalica.Winner.Y, 0.5: evalica.Winner.Draw}
    theirs = evalica.bradley_terry(a.tolist(), b.tolist(), [winner[y] for y in outcome], tolerance=1e-13, limit=10_000)
    log_scores = np.log(theirs.scores.sort_index().to_numpy())
    assert fit(a, b, outcome, 12).theta == pytest.approx(log_scores - log_scores.mean(), abs=CLOSE)


@pytest.mark.parametrize("l2", [0.05, 1.0])
def test_ratings_under_a_ridge_are_choixs(l2):
    a, b, outcome, _ = simulate(n=12, size=3000, ties=0)
    wins = [(i, j) if y == 1 else (j, i) for i, j, y in zip(a, b, outcome, strict=True)]
    theirs = choix.opt_pairwise(12, wins, alpha=l2, method="Newton-CG", tol=1e-12)
    assert fit(a, b, outcome, 12, l2=l2).theta == pytest.approx(theirs, abs=CLOSE)


def test_ratings_without_a_ridge_are_choixs():
    a, b, outcome, _ = simulate(n=12, size=3000, ties=0)
    wins = [(i, j) if y == 1 else (j, i) for i, j, y in zip(a, b, outcome, strict=True)]
    theirs = choix.ilsr_pairwise(12, wins, max_iter=1000, tol=1e-12)
    assert fit(a, b, outcome, 12).theta == pytest.approx(theirs, abs=CLOSE)


def test_ratings_and_variances_are_arena_ranks_where_each_vote_is_its_own_cluster():
    """Theirs leaves out G/(G-1), and inverts the Hessian with a ridge on it, here too small to matter."""
    pandas = pytest.importorskip("pandas")
    arena_rank = pytest.importorskip("arena_rank.models.bradley_terry")
    data = pytest.importorskip("arena_rank.utils.data_utils")
    a, b, outcome, _ = simulate(n=12, size=3000)
    name = {1.0: "model_a", 0.0: "model_b", 0.5: "tie"}
    frame = pandas.DataFrame({"model_a": a, "model_b": b, "winner": [name[y] for y in outcome]})
    votes = data.PairDataset.from_pandas(frame)
    model = arena_rank.BradleyTerry(12, scale=1.0, base=np.e, init_rating=0.0, hessian_reg=1e-7, ftol=0, gtol=1e-12)
    theirs = model.compute_ratings_and_cis(votes)
    ours = fit(a, b, outcome, 12)
    assert ours.theta == pytest.approx(np.asarray(theirs["ratings"]), abs=CLOSE)
    variance = np.diagonal(ours.covariance) * 2999 / 3000
    assert variance == pytest.approx(np.asarray(theirs["variances"]), abs=CLOSE)

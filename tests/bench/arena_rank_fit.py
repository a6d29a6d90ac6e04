"""arena-rank's ratings and sandwich, timed, on votes in a file: python arena_rank_fit.py VOTES.npz REPEATS.

For an interpreter that has arena-rank; `fit.py` beside this starts it. The table of votes is made before the clock
starts, and the first repeat, in which JAX compiles, is not counted where there are more.
"""

import json
import sys
import time

import numpy as np
import pandas as pd
from arena_rank.models.bradley_terry import BradleyTerry
from arena_rank.utils.data_utils import PairDataset


def main(path: str, repeats: int) -> None:
    votes = np.load(path)
    name = np.select([votes["outcome"] == 1, votes["outcome"] == 0], ["model_a", "model_b"], "tie")
    frame = pd.DataFrame({"model_a": votes["a"], "model_b": votes["b"], "winner": name})
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        counted = PairDataset.from_pandas(frame)
        model = BradleyTerry(len(counted.competitors), scale=1.0, base=float(np.e), init_rating=0.0)
        result = model.compute_ratings_and_cis(counted)
        ratings = np.asarray(result["ratings"]), np.asarray(result["variances"])
        seconds.append(time.perf_counter() - start)
    print(json.dumps({"seconds": min(seconds[1:] or seconds), "ratings": ratings[0].tolist()}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))

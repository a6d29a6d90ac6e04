"""The interval of a proportion."""

import numpy as np
from scipy.special import ndtri


def wilson(successes: float, n: float, level: float = 0.95) -> tuple[float, float] | None:
    """Interval of a proportion, inside [0, 1] (Wilson 1927, JASA 22); None where n is 0. Successes may be half ones,
    and n an effective number.
    """
    if n == 0:
        return None
    z = float(ndtri((1 + level) / 2))
    share, scale = successes / n, 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    reach = z / scale * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return float(max(middle - reach, 0.0)), float(min(middle + reach, 1.0))

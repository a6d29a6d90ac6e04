"""How different clips are from each other, and how close to their prompts. NumPy only."""

import numpy as np

from .embedding_sets import checked_pair, checked_set, unit_rows


def mean_pairwise_cosine_distance(embeddings: np.ndarray) -> float:
    """MPCD: the mean of 1 - cos over all pairs of different rows, in [0, 2]; 0 where all point the same way.

    As TuneJury reports it for best-of-N (arXiv 2606.17006, applications). embeddings: [N, D], N >= 2. Of unit rows u
    the sum of all cosines is |sum u|^2, so that no pair is looked at.
    """
    units = unit_rows(checked_set(embeddings, "the embeddings"), "the embeddings")
    n, total = len(units), units.sum(axis=0)
    return float(1 - (total @ total - n) / (n * (n - 1)))


def vendi_score(embeddings: np.ndarray) -> float:
    """The number of different clips that a set is worth, in [1, N]: exp of the entropy of the eigenvalues of K / N,
    with K the cosines of its rows (Friedman & Dieng 2023, arXiv 2210.02410, eq. 1). embeddings: [N, D], N >= 2."""
    units = unit_rows(checked_set(embeddings, "the embeddings"), "the embeddings")
    gram = units @ units.T if len(units) <= units.shape[1] else units.T @ units  # the same eigenvalues, but for zeros
    values = np.linalg.eigvalsh(gram / len(units))
    values = values[values > 0]
    return float(np.exp(-np.sum(values * np.log(values))))


def text_audio_cosine(audio: np.ndarray, text: np.ndarray) -> np.ndarray:
    """float [N]: the cosine of each clip with its own prompt, the "CLAP score". audio, text: [N, D], the vectors of one
    joint space (LAION-CLAP or MuQ-MuLan), row by row."""
    audio, text = checked_pair(audio, text, at_least=1)
    if len(audio) != len(text):
        raise ValueError(f"{len(audio)} clips beside {len(text)} prompts: give one prompt per clip")
    return (unit_rows(audio, "the clips") * unit_rows(text, "the prompts")).sum(axis=1)


def inception_score(probabilities: np.ndarray) -> float:
    """exp of the mean KL(p(class | clip) | p(class)), in [1, K]: high where a classifier is sure of each clip, and
    names all classes (Salimans et al. 2016, arXiv 1606.03498, section 4). probabilities: [N, K], rows of sum 1."""
    table = checked_set(probabilities, "the probabilities")
    if table.min() < 0 or np.abs(table.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError("the probabilities of each clip must be 0 or more, with the sum 1")
    overall = table.mean(axis=0)
    ratio = np.divide(table, overall, out=np.ones_like(table), where=table > 0)
    return float(np.exp(np.sum(table * np.log(ratio), axis=1).mean()))

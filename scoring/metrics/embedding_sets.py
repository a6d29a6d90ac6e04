"""What every measure of a set of embeddings asks of it."""

import numpy as np


def checked_set(embeddings: np.ndarray, name: str, at_least: int = 2) -> np.ndarray:
    """float64 [N, D]. ValueError where it is not a finite table, or has fewer than `at_least` rows."""
    table = np.asarray(embeddings, dtype=float)
    if table.ndim != 2:
        raise ValueError(f"{name} have the shape {list(table.shape)}: give one row per clip")
    if len(table) < at_least:
        raise ValueError(f"{name}: {len(table)} rows, but this measure needs {at_least} or more")
    if not np.isfinite(table).all():
        raise ValueError(f"{name} have values that are NaN or infinite")
    return table


def checked_pair(a: np.ndarray, b: np.ndarray, at_least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both sets, as `checked_set`. ValueError where they differ in width."""
    a, b = checked_set(a, "the embeddings", at_least), checked_set(b, "the reference's embeddings", at_least)
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"embeddings of width {a.shape[1]} beside a reference of width {b.shape[1]}")
    return a, b


def unit_rows(table: np.ndarray, name: str) -> np.ndarray:
    """The rows at length 1. ValueError for a row of zeros, which has no direction."""
    length = np.linalg.norm(table, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"{name}: row {int(np.argmin(length))} is all zeros")
    return table / length

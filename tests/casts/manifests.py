"""A manifest of clips on disk, with the files that it names."""

import numpy as np

from scoring.demo.synth import write_wav

RATE = 16_000


def tone(pitch, seconds=2.0, level=0.3):
    """A little two-channel music: a tone with a beat."""
    t = np.arange(int(RATE * seconds)) / RATE
    return np.tile((level * np.sin(2 * np.pi * pitch * t) * (1 + np.sin(2 * np.pi * 2 * t)) / 2).astype("f4"), (2, 1))


def write_manifest(folder, *rows, header="path,system,prompt"):
    """A manifest of rows `file,system,prompt`; each WAV file is made if it is not there."""
    for number, row in enumerate(rows):
        name = row.split(",")[0]
        if name.endswith(".wav") and not (folder / name).exists():
            write_wav(folder / name, tone(220 + 40 * number), RATE)
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path

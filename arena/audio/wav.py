"""Write minimal WAV files: 44 bytes of header, 16-bit samples, no other chunk."""

from __future__ import annotations

import io
import wave
from typing import IO

import numpy as np


def write(out: str | IO[bytes], samples: np.ndarray, rate: int) -> None:
    """Samples [n, channels], full scale at +-1, rounded to 16 bit."""
    with wave.open(out, "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())


def to_bytes(samples: np.ndarray, rate: int) -> bytes:
    out = io.BytesIO()
    write(out, samples, rate)
    return out.getvalue()

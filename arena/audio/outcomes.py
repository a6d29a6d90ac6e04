"""The outcomes of an operation on an audio file: facts, or an exception."""

from __future__ import annotations

from dataclasses import dataclass


class AudioError(Exception):
    """Base of all outcomes but success. `reason` is one plain sentence for a person."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


class AudioRejected(AudioError):
    """The file is at fault: it cannot be measured or played."""


class CannotLevel(AudioError):
    """The clip is fine, but no gain gives it the loudness of an excerpt: do not pair it."""


class CannotDegrade(CannotLevel):
    """The clip is fine, but this degradation would not be heard on it: use another variant."""


class AudioUnavailable(AudioError):
    """This machine is at fault (PyAV missing, disk full), so nothing is known about the file: try again later."""


# How a child names the exception that its parent raises.
REFUSALS: dict[str, type[AudioError]] = {
    "rejected": AudioRejected,
    "cannot_level": CannotLevel,
    "cannot_degrade": CannotDegrade,
    "unavailable": AudioUnavailable,
}


@dataclass(frozen=True)
class ClipFacts:
    """A whole clip as decoded, whatever its header says.

    loudness_lufs is the integrated loudness of ITU-R BS.1770-4 with the file's own channels, so a mono file
    measures 3 LU less than its two-channel copy. true_peak_dbtp is the maximum over channels (annex 2).
    """

    duration_ms: int
    sample_rate: int
    channels: int
    format: str
    codec: str
    loudness_lufs: float
    true_peak_dbtp: float
    sha256: str


@dataclass(frozen=True)
class ExcerptFacts:
    """A blinded excerpt, measured on what a player decodes from it.

    bytes: size of the file. gain_db: applied to the 48 kHz stereo form of the clip, once degraded.
    """

    bytes: int
    gain_db: float
    loudness_lufs: float
    true_peak_dbtp: float

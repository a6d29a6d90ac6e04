"""Read untrusted files as blocks of finite float32 samples, one frame at a time, or raise AudioRejected."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any

import av
import numpy as np

from arena.audio import containers
from arena.audio.outcomes import AudioRejected

# FFmpeg also reads playlists, which name other files and hosts: only these containers, only this file.
OPTIONS = {"format_whitelist": "wav,flac,mp3,ogg,mov,aac", "protocol_whitelist": "file"}
NOT_AUDIO = "This is not a WAV, FLAC, MP3, OGG, Opus or AAC/M4A file."
CUT_OFF = "The file is cut off: its audio ends before the file says it does."
MIN_RATE, MAX_RATE, MAX_CHANNELS = 8_000, 192_000, 8
CODEC_PADDING_S = 0.1
# A lost MP3 or AAC frame is 20 to 130 ms and encoders round up to frames; lossless formats count exactly.
SLACK_S, LOSSLESS_SLACK_S = 0.2, 0.005
# The order of WAVE_FORMAT_EXTENSIBLE, for files that do not state their channel layout.
USUAL_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")


@contextmanager
def open_audio(path: str, *, max_seconds: float = float("inf")) -> Iterator[AudioSource]:
    """The first audio stream of a file. Raises AudioRejected, here or while its blocks are read."""
    av.logging.set_level(av.logging.PANIC)
    with open(path, "rb") as file:
        if not file.read(1):
            raise AudioRejected("The file is empty (0 bytes).")
        try:
            container = av.open(f"file:{path}", options=OPTIONS, metadata_errors="replace")
        except av.FFmpegError as error:
            raise _refusal(error, NOT_AUDIO) from error
        with container:
            if not container.streams.audio:
                raise AudioRejected("The file has no audio stream.")
            if containers.ends_too_early(file, container.format.name):
                raise AudioRejected(CUT_OFF)
            stated = container.format.name != "mp3" or containers.states_mp3_length(file)
            yield AudioSource(container, max_seconds, stated_length=stated)


class AudioSource:
    """A stream of one sample rate and layout. Iterate `blocks()` once: float32 [n, channels], all finite."""

    def __init__(self, container: av.container.InputContainer, max_seconds: float, *, stated_length: bool):
        self._container = container
        self._stream = container.streams.audio[0]
        self._max_seconds = max_seconds
        self.format = container.format.name.split(",")[0].replace("mov", "m4a")
        self.codec = self._stream.codec_context.name.removesuffix("float")
        # ADTS has no header; its duration is FFmpeg's guess from the bit rate.
        self._stated_length = stated_length and self.format != "aac"
        self._frames = self._decode()
        first = next(self._frames, None)
        if first is None:
            undecodable = self._stream.duration
            raise AudioRejected("None of the audio can be decoded." if undecodable else "The file holds no samples.")
        self._first = first
        self.sample_rate, self.channels = self._first.sample_rate, self._first.layout.nb_channels
        self._check_shape()
        self.layout = layout_name(self._first.layout)
        self.samples = 0

    @property
    def seconds(self) -> float:
        """Duration read so far."""
        return self.samples / self.sample_rate

    def blocks(self) -> Iterator[np.ndarray]:
        to_float = av.AudioResampler(format="flt")
        shape = (self._first.sample_rate, self._first.layout.nb_channels, self._first.format.name)
        yield from self._converted(to_float, self._first)
        for frame in self._frames:
            if (frame.sample_rate, frame.layout.nb_channels, frame.format.name) != shape:
                raise AudioRejected(f"The sample rate or channels change after {self.seconds:.1f} s.")
            yield from self._converted(to_float, frame)
        self._check_length()

    def _converted(self, to_float: av.AudioResampler, frame: av.AudioFrame) -> Iterator[np.ndarray]:
        for converted in to_float.resample(frame):
            block = converted.to_ndarray().reshape(-1, self.channels)
            if not np.isfinite(block).all():
                raise AudioRejected(f"A sample after {self.seconds:.1f} s is not a finite number.")
            self.samples += len(block)
            if self.seconds > self._max_seconds + CODEC_PADDING_S:
                raise AudioRejected(f"The audio is longer than {self._max_seconds / 60:g} minutes.")
            yield block

    def _decode(self) -> Iterator[av.AudioFrame]:
        """All frames. A packet that fails means damage if audio follows it, and truncation if none does."""
        decoded, failed, last = 0, None, None
        for packet in self._packets():
            try:
                frames: list[Any] = packet.decode()  # of audio: only that stream is demuxed
            except av.FFmpegError as error:
                failed = _refusal(error, f"The audio is damaged after {decoded:.1f} s."), packet
                continue
            if frames and failed:
                raise failed[0]
            last = packet if packet.size else last
            for frame in frames:
                decoded += frame.samples / frame.sample_rate
                yield frame
        if failed and not self._is_trailing_tag(failed[1]):
            raise AudioRejected(CUT_OFF) if decoded else failed[0]
        if last and self.codec == "mp3" and (containers.mp3_frame_size(bytes(last)) or 0) > last.size:
            raise AudioRejected(CUT_OFF)

    def _packets(self) -> Iterator[av.Packet[Any]]:
        try:
            for packet in self._container.demux(self._stream):
                # FFmpeg marks the last packet of any WAV written to a pipe as corrupt; its header was checked.
                if packet.is_corrupt and self.format != "wav":
                    raise AudioRejected(CUT_OFF)
                yield packet
        except av.FFmpegError as error:
            raise _refusal(error, "The file is damaged: its audio cannot be read to the end.") from error

    def _is_trailing_tag(self, packet: av.Packet[Any]) -> bool:
        """Whether the packet is a tag at the end of an MP3 file, which FFmpeg mistakes for a last frame."""
        return self.codec == "mp3" and containers.mp3_frame_size(bytes(packet)) is None

    def _check_shape(self) -> None:
        if not MIN_RATE <= self.sample_rate <= MAX_RATE:
            raise AudioRejected(f"The sample rate is {self.sample_rate:,} Hz, not 8,000 to 192,000 Hz.")
        if not 1 <= self.channels <= MAX_CHANNELS:
            raise AudioRejected(f"The file has {self.channels} channels, not 1 to {MAX_CHANNELS}.")

    def _check_length(self) -> None:
        if not self._stated_length or self._stream.duration is None or self._stream.time_base is None:
            return
        lossless = self.codec == "flac" or self.codec.startswith("pcm_")
        stated = float(self._stream.duration * self._stream.time_base)
        if self.seconds < stated - (LOSSLESS_SLACK_S if lossless else SLACK_S):
            raise AudioRejected(
                f"The file is cut off or damaged: it says {stated:.1f} s but holds {self.seconds:.1f} s."
            )


class Resampler:
    """Converts float32 blocks [n, channels] to another rate and layout, by FFmpeg's swresample."""

    def __init__(self, rate: int, layout: str, to_rate: int, to_layout: str):
        self._from = rate, layout
        self._channels = av.AudioLayout(to_layout).nb_channels
        self._resampler = av.AudioResampler(format="flt", layout=to_layout, rate=to_rate)

    def push(self, block: np.ndarray | None) -> list[np.ndarray]:
        """The blocks that are ready; None flushes."""
        frame = None if block is None else frame_of(block, *self._from)
        return [out.to_ndarray().reshape(-1, self._channels) for out in self._resampler.resample(frame)]


def frame_of(block: np.ndarray, rate: int, layout: str, pts: int | None = None) -> av.AudioFrame:
    """A packed frame, because PyAV 18 reads past the end of planar frames with eight channels."""
    packed = np.ascontiguousarray(block, dtype=np.float32).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, format="flt", layout=layout)
    frame.sample_rate, frame.time_base, frame.pts = rate, Fraction(1, rate), pts
    return frame


def layout_name(layout: av.AudioLayout) -> str:
    named = "channels" not in layout.name and "ambisonic" not in layout.name
    return layout.name if named else USUAL_LAYOUTS[layout.nb_channels - 1]


def _refusal(error: av.FFmpegError, sentence: str) -> Exception:
    """MemoryError unchanged; any other error as AudioRejected with `sentence`."""
    return error if isinstance(error, MemoryError) else AudioRejected(sentence)

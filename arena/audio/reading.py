"""Read untrusted files as blocks of finite float32 samples, one frame at a time, or raise AudioRejected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import BinaryIO, cast

import av
import numpy as np

from arena.audio import containers, mpeg_frames, pcm
from arena.audio.outcomes import AudioRejected
from arena.audio.pcm import CUT_OFF
from arena.audio.source import Source

# FFmpeg also reads playlists, which name other files and hosts: only these containers, only this file.
OPTIONS = {"format_whitelist": "wav,w64,flac,mp3,ogg,mov,aac", "protocol_whitelist": "none"}
NOT_AUDIO = "This is not a WAV, AIFF, FLAC, MP3, OGG, Opus or AAC/M4A file."
MIN_RATE, MAX_RATE, MAX_CHANNELS = 8_000, 192_000, 8
CODEC_PADDING_S = 0.1
# What is decoded of one file: ten minutes in stereo at 96 kHz, or as many samples otherwise. A small file may unfold to
# hours of silence in eight channels. Whoever reads it holds the mean of the channels, so mono counts as two.
MOST_SAMPLES = 2 * 96_000 * 601
LOSSLESS = ("flac", "alac")
# A lost MP3 or AAC frame is 20 to 130 ms and encoders round up to frames; lossless formats count exactly.
SLACK_S, LOSSLESS_SLACK_S = 0.2, 0.005
# The order of WAVE_FORMAT_EXTENSIBLE, for files that do not state their channel layout.
USUAL_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")


@contextmanager
def open_audio(source: Source, *, max_seconds: float = float("inf")) -> Iterator[AudioSource]:
    """The first audio stream of a file. Raises AudioRejected, here or while its blocks are read."""
    av.logging.set_level(av.logging.PANIC)
    if not source.file.seek(0, os.SEEK_END):
        raise AudioRejected("The file is empty (0 bytes).")
    header = pcm.read_header(source.file)
    if isinstance(header, pcm.Pcm):
        _check_amount(header.n_bytes // header.block, header.rate, header.channels, max_seconds)
        yield AudioSource(header.format, header.codec, _uncompressed(source.file, header), max_seconds)
        return
    with _demuxed(source) as container:
        if not container.streams.audio:
            raise AudioRejected("The file has no audio stream.")
        stream = Stream(container, header)
        stream.check_amount(max_seconds)
        yield AudioSource(stream.format, stream.codec, stream.frames(), max_seconds, stream.stated_seconds)


@contextmanager
def _demuxed(source: Source) -> Iterator[av.container.InputContainer]:
    """The file as FFmpeg takes it apart; of an MP3, ADTS or Ogg file only its frames or pages."""
    file = source.file
    file.seek(0)
    try:
        container = av.open(file, "r", options=OPTIONS, metadata_errors="replace")
    except av.FFmpegError as error:
        raise _refusal(error, containers.not_read(file) or NOT_AUDIO) from error
    with container:
        name = container.format.name
        stretches = _stretches(source, name)
        if stretches is None:
            yield container
            return
    try:
        only_audio = mpeg_frames.Stretches(file, stretches)
        container = av.open(only_audio, "r", format=name, options=OPTIONS, metadata_errors="replace")
    except av.FFmpegError as error:
        raise _refusal(error, NOT_AUDIO) from error
    with container:
        yield container


def _stretches(source: Source, format_name: str) -> list[tuple[int, int]] | None:
    """[start, end) of the stretches that FFmpeg is to read; None for the whole file."""
    if format_name == "ogg":
        end = containers.ogg_end(source.file)
        if end is None:
            raise AudioRejected(CUT_OFF)
        return [(0, end)]
    frames = mpeg_frames.find_frames(source.data, format_name) if format_name in ("mp3", "aac") else None
    return None if frames is None else frames.stretches


def _uncompressed(file: BinaryIO, header: pcm.Pcm) -> Iterator[av.AudioFrame]:
    """The samples of a WAV or AIFF file, a second at a time, as its header says they are written."""
    _check_shape(header.rate, header.channels)
    decoder = cast(av.AudioCodecContext, av.CodecContext.create(header.codec, "r"))
    decoder.sample_rate = header.rate
    decoder.layout = header.layout or USUAL_LAYOUTS[header.channels - 1]
    file.seek(header.start)
    left = header.n_bytes
    while left:
        data = file.read(min(left, header.rate * header.block))
        if not data:
            raise AudioRejected(CUT_OFF)
        left -= len(data)
        yield from decoder.decode(av.Packet(data))


class AudioSource:
    """A stream of one sample rate and layout. Iterate `blocks()` once: float32 [n, channels], all finite."""

    def __init__(
        self,
        format_name: str,
        codec: str,
        frames: Iterator[av.AudioFrame],
        max_seconds: float,
        stated_seconds: float | None = None,
    ):
        self.format, self.codec = format_name, codec
        self._frames, self._max_seconds, self._stated_seconds = frames, max_seconds, stated_seconds
        first = next(self._frames, None)
        if first is None:
            raise AudioRejected("None of the audio can be decoded." if stated_seconds else "The file holds no samples.")
        self._first = first
        self.sample_rate, self.channels = first.sample_rate, first.layout.nb_channels
        _check_shape(self.sample_rate, self.channels)
        self.layout = layout_name(first.layout)
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
                bad = self.samples + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                raise AudioRejected(f"A sample after {bad / self.sample_rate:.1f} s is not a finite number.")
            self.samples += len(block)
            _check_amount(self.samples, self.sample_rate, self.channels, self._max_seconds)
            yield block

    def _check_length(self) -> None:
        if self._stated_seconds is None:
            return
        slack = LOSSLESS_SLACK_S if self.codec in LOSSLESS or self.codec.startswith("pcm_") else SLACK_S
        if self.seconds < self._stated_seconds - slack:
            raise AudioRejected(
                f"The file is cut off or damaged: it says {self._stated_seconds:.1f} s but holds {self.seconds:.1f} s."
            )


class Stream:
    """The first audio stream of a container. codec: the decoder's name; stated_seconds: its length as the container
    says, None where FFmpeg would only guess it."""

    def __init__(self, container: av.container.InputContainer, header: pcm.Coded | None):
        self._container = container
        self._stream = container.streams.audio[0]
        self.format = container.format.name.split(",")[0].replace("mov", "m4a")
        if self._stream.codec_context is None:
            raise AudioRejected(f"The file's audio is compressed as {_codec_name(header)}, which is not read.")
        self.codec = self._stream.codec_context.name.removesuffix("float")
        duration, unit = self._stream.duration, self._stream.time_base
        self.stated_seconds: float | None = None
        if duration is not None and unit is not None and self.format not in ("mp3", "aac"):
            self.stated_seconds = float(duration * unit)

    def check_amount(self, max_seconds: float) -> None:
        """AudioRejected, before anything is decoded, for more than is read."""
        rate, channels = self._stream.codec_context.sample_rate, self._stream.codec_context.channels
        if rate > MAX_RATE or channels > MAX_CHANNELS:
            _check_shape(rate, channels)
        _check_amount(int((self.stated_seconds or 0) * rate), rate, channels, max_seconds)

    def frames(self) -> Iterator[av.AudioFrame]:
        """All frames. A packet that fails means damage if audio follows it, and truncation if none does."""
        decoded, failed = 0, None
        for packet in self._packets():
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                failed = _refusal(error, f"The audio is damaged after {decoded:.1f} s.")
                continue
            if frames and failed:
                raise failed
            for frame in frames:
                decoded += frame.samples / frame.sample_rate
                yield frame
        if failed:
            raise AudioRejected(CUT_OFF) if decoded else failed

    def _packets(self) -> Iterator[av.Packet[av.AudioStream]]:
        try:
            for packet in self._container.demux(self._stream):
                # FFmpeg marks the last packet of any WAV written to a pipe as corrupt; its header was checked.
                if packet.is_corrupt and self.format not in ("wav", "w64"):
                    raise AudioRejected(CUT_OFF)
                yield packet
        except av.FFmpegError as error:
            raise _refusal(error, "The file is damaged: its audio cannot be read to the end.") from error


def _codec_name(header: pcm.Coded | None) -> str:
    return f"WAV format {header.tag}" if header else "something that has no decoder here"


def _check_shape(sample_rate: int, channels: int) -> None:
    if not MIN_RATE <= sample_rate <= MAX_RATE:
        raise AudioRejected(f"The sample rate is {sample_rate:,} Hz, not 8,000 to 192,000 Hz.")
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioRejected(f"The file has {channels} channels, not 1 to {MAX_CHANNELS}.")


def _check_amount(samples: int, rate: int, channels: int, max_seconds: float) -> None:
    """samples: of each channel."""
    if rate and samples / rate > max_seconds + CODEC_PADDING_S:
        raise AudioRejected(f"The audio is longer than {max_seconds / 60:g} minutes.")
    if samples * max(2, channels) > MOST_SAMPLES:
        raise AudioRejected(
            f"The audio unfolds to more than {MOST_SAMPLES / 1e6:.0f} million samples, all channels together. Send a "
            "shorter file, or one with a lower sample rate or fewer channels."
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

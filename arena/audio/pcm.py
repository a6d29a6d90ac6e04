"""Uncompressed samples in WAV and AIFF files: where they are, and how each is written.

FFmpeg takes 20 bits in a container of 32 for 24, RIFX for little-endian and 24-bit `sowt` for 16-bit, and plays noise.
So the header is read here, and FFmpeg's decoders of single samples are told what to do. Read are RIFF, RIFX
(big-endian), RF64, BW64 and W64 files ("Multiple channel audio data and WAVE files", Microsoft 2001; EBU Tech 3306;
Sony Wave64), AIFF and AIFC ("Audio Interchange File Format AIFF-C", Apple 1991).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from uuid import UUID

from arena.audio import plausible
from arena.audio.outcomes import AudioRejected
from arena.audio.plausible import integers

CUT_OFF = "The file is cut off: its audio ends before the file says it does."
UNKNOWN_SIZE = 0x7FFF0000  # writers to a pipe put this or more (usually all ones) for an unknown size
EXTENSIBLE = 0xFFFE
# How sub-formats of WAVE_FORMAT_EXTENSIBLE end that begin with a format tag: those of Microsoft, and of Ambisonics.
TAG_GUIDS = ("-0000-0010-8000-00aa00389b71", "-0721-11d3-8644-c8c1ca000000")
W64_RIFF, W64_TAIL = bytes.fromhex("726966662e91cf11a5d628db04c10000"), bytes.fromhex("f3acd3118cd100c04f8edb8a")
FAMILIES = {1: "integer", 3: "float", 6: "A-law", 7: "mu-law"}
DECODERS = {
    **{("integer", size): f"pcm_s{8 * size}" for size in (2, 3, 4, 8)},
    **{("unsigned", size): f"pcm_u{8 * size}" for size in (2, 3, 4)},
    **{("float", size): f"pcm_f{8 * size}" for size in (4, 8)},
}
ONE_BYTE = {"integer": "pcm_s8", "unsigned": "pcm_u8", "A-law": "pcm_alaw", "mu-law": "pcm_mulaw"}
# Compression types of AIFC: family, byte order, bits where the type fixes them.
AIFC = {
    b"NONE": ("integer", ">", None), b"twos": ("integer", ">", None), b"sowt": ("integer", "<", None),
    b"raw ": ("unsigned", ">", None), b"in24": ("integer", ">", 24), b"in32": ("integer", ">", 32),
    b"42ni": ("integer", "<", 24), b"23ni": ("integer", "<", 32),
    b"fl32": ("float", ">", 32), b"FL32": ("float", ">", 32), b"fl64": ("float", ">", 64), b"FL64": ("float", ">", 64),
    b"alaw": ("A-law", ">", 8), b"ALAW": ("A-law", ">", 8), b"ulaw": ("mu-law", ">", 8), b"ULAW": ("mu-law", ">", 8),
}  # fmt: skip
TRAILERS = (b"TAG", b"APETAGEX", b"ID3", b"LYRICSBEGIN")
SCANNED = 1 << 18  # samples that are looked at in one go
FAR_TOO_QUIET = 8  # bits: no music has its peak at -48 dBFS
MOST_CHECKED = 8  # channels; more are refused later


@dataclass(frozen=True)
class Pcm:
    """codec: FFmpeg's name of what decodes one sample. layout: of the channels, as a hexadecimal mask; "" where the
    file does not say. block: bytes of one sample of each channel. The samples are the `n_bytes` after `start`."""

    format: str
    codec: str
    rate: int
    channels: int
    layout: str
    block: int
    start: int
    n_bytes: int


@dataclass(frozen=True)
class Coded:
    """Compressed samples in a WAV file, for FFmpeg to demux. tag: the number of the format."""

    tag: str


@dataclass(frozen=True)
class _Samples:
    """How one sample is written. size: its bytes; bits: how many of its bits, from the top, hold it."""

    family: str
    order: str
    size: int
    bits: int

    @property
    def codec(self) -> str | None:
        if self.size == 1:
            return ONE_BYTE.get(self.family)
        stem = DECODERS.get((self.family, self.size))
        return stem and stem + {"<": "le", ">": "be"}[self.order]


def read_header(file: BinaryIO) -> Pcm | Coded | None:
    """How the samples of a WAV or AIFF file are written; None for another kind of file. AudioRejected, with the name of
    the format, for what cannot be read, contradicts itself or is cut off."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(40)
    try:
        if start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:12] == b"WAVE":
            return _wav(file, size, "wav", _riff_chunks(file, size, ">" if start[:4] == b"RIFX" else "<"), start[:4])
        if start[:16] == W64_RIFF and start[24:28] == b"wave":
            return _wav(file, size, "w64", _w64_chunks(file, size), b"RIFF")
        if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
            return _aiff(file, size, start[8:12] == b"AIFC")
    except struct.error as error:
        raise AudioRejected("The file's header is damaged: one of its chunks is too short.") from error
    return None


# ---- chunks ---------------------------------------------------------------------------------------------


def _riff_chunks(file: BinaryIO, size: int, order: str) -> Iterator[tuple[bytes, int, int]]:
    """(name, start, stated length) of each chunk after the first 12 bytes."""
    at = 12
    while at + 8 <= size:
        file.seek(at)
        name, length = struct.unpack(order + "4sI", file.read(8))
        yield name, at + 8, length
        at += 8 + length + length % 2


def _w64_chunks(file: BinaryIO, size: int) -> Iterator[tuple[bytes, int, int]]:
    at = 40
    while at + 24 <= size:
        file.seek(at)
        name, length = struct.unpack("<16sQ", file.read(24))
        if length < 24:
            return
        yield name[:4] if name[4:] == W64_TAIL else b"?", at + 24, length - 24
        at += length + -length % 8


# ---- WAV ------------------------------------------------------------------------------------------------


def _wav(file: BinaryIO, size: int, name: str, chunks: Iterator[tuple[bytes, int, int]], magic: bytes) -> Pcm | Coded:
    order = ">" if magic == b"RIFX" else "<"
    fmt: bytes | None = None
    long_size: int | None = None
    for chunk, start, length in chunks:
        if chunk == b"fmt ":
            file.seek(start)
            fmt = file.read(min(length, 64))
        elif chunk == b"ds64":
            file.seek(start)
            long_size = struct.unpack("<8xQ", file.read(16))[0]
        elif chunk == b"data":
            if fmt is None:
                raise AudioRejected("The WAV header does not say how its samples are written: no fmt chunk.")
            stated = long_size if long_size and length == 0xFFFFFFFF else length
            known = name == "w64" or stated == long_size or stated < UNKNOWN_SIZE
            described = _described(file, size, name, order, fmt, start, stated if known else None)
            if any(name == b"data" and length for name, _, length in chunks):
                raise AudioRejected("The WAV file holds its audio in several data chunks, which is not read.")
            return described
    raise AudioRejected("The WAV file has no data chunk: it holds no samples.")


def _described(
    file: BinaryIO, size: int, name: str, order: str, fmt: bytes, start: int, stated: int | None
) -> Pcm | Coded:
    tag, channels, rate, bytes_a_second, block = struct.unpack(order + "HHIIH", fmt[:14])
    bits = struct.unpack(order + "H", fmt[14:16])[0] if len(fmt) >= 16 else 0
    valid, layout = bits, ""
    if tag == EXTENSIBLE:
        tag, valid, layout = _extension(fmt, order, channels, bits)
    n_bytes = _length(file, size, start, stated, order)
    if tag not in FAMILIES:
        if order == ">":
            raise AudioRejected(f"This is a big-endian WAV file (RIFX) in format 0x{tag:04X}, which is not read.")
        return Coded(f"0x{tag:04X}")
    if not channels or not rate:
        raise AudioRejected(f"The WAV header says {channels} channels at {rate} Hz.")
    sample = _sample(FAMILIES[tag], order, channels, rate, bytes_a_second, block, valid or bits)
    assert sample.codec, "there is a decoder, or it was rejected"
    block = sample.size * channels
    pcm = Pcm(name, sample.codec, rate, channels, layout, block, start, n_bytes // block * block)
    _check_samples(file, pcm, sample)
    return pcm


def _extension(fmt: bytes, order: str, channels: int, bits: int) -> tuple[int, int, str]:
    """(format tag, bits that hold the sample, layout) of WAVE_FORMAT_EXTENSIBLE."""
    if len(fmt) < 40:
        raise AudioRejected("The WAV header says WAVE_FORMAT_EXTENSIBLE and lacks what that needs.")
    valid, mask = struct.unpack(order + "HI", fmt[18:24])
    guid = str(UUID(bytes_le=fmt[24:40]) if order == "<" else UUID(bytes=fmt[24:40]))
    if not guid.startswith("0000") or not guid.endswith(TAG_GUIDS):
        raise AudioRejected(f"The WAV file is in the format {guid}, which is not read.")
    if not 0 < valid <= bits:
        valid = bits
    return int(guid[:8], 16), valid, hex(mask) if mask.bit_count() == channels else ""


def _sample(family: str, order: str, channels: int, rate: int, bytes_a_second: int, block: int, bits: int) -> _Samples:
    """The sample that two of three agree on: bits, bytes of a block, bytes of a second."""
    packed = channels * -(-bits // 8)
    if packed and (block % channels or not block or bytes_a_second == packed * rate):
        block = packed
    size = block // channels
    if family == "integer" and size == 1:
        family = "unsigned"  # WAV's samples of one byte are, the wider ones are signed
    sample = _Samples(family, order, size, bits or 8 * size)
    if not size or block % channels or sample.bits > 8 * size or sample.codec is None:
        raise AudioRejected(
            f"The WAV header says {family} samples of {bits} bits, {channels} channels and blocks of {block} bytes, "
            "which is no format that is read."
        )
    return sample


def _check_samples(file: BinaryIO, pcm: Pcm, sample: _Samples) -> None:
    """AudioRejected where the samples contradict what the header says of them."""
    _check_padding(file, pcm, sample)
    if sample.family not in ("integer", "unsigned") or sample.size > 4 or pcm.channels > MOST_CHECKED:
        return
    looked_at = plausible.BLOCKS * pcm.channels  # in the middle: a beginning is often silent
    file.seek(pcm.start + max(0, pcm.n_bytes - looked_at) // (2 * 12 * pcm.channels) * 12 * pcm.channels)
    is_signed = sample.family == "integer"
    plausible.check(file.read(looked_at), pcm.channels, size=sample.size, order=sample.order, signed=is_signed)


def _check_padding(file: BinaryIO, pcm: Pcm, sample: _Samples) -> None:
    """Samples of fewer bits than their container stand at its top and leave zeros below. AudioRejected if these stand
    at the bottom: played as they are, they would be far too quiet."""
    spare = 8 * sample.size - sample.bits
    if not spare or sample.family not in ("integer", "unsigned") or sample.size not in (2, 3, 4):
        return
    lowest, used_below, is_heard, remaining = 1 << (sample.bits - 1), False, False, pcm.n_bytes
    file.seek(pcm.start)
    while remaining and (data := file.read(min(remaining, SCANNED * sample.size))):
        remaining -= len(data)
        values = integers(data, sample.size, sample.order)
        used_below = used_below or bool((values & ((1 << spare) - 1)).any())
        is_heard = is_heard or bool(values.any())
        if values.size and (values.max() >= lowest or values.min() < -lowest):
            return
    if used_below or (is_heard and spare >= FAR_TOO_QUIET):
        raise AudioRejected(
            f"The file holds {sample.bits}-bit samples at the lower end of {8 * sample.size} bits; "
            "the format wants them at the upper end."
        )


def _length(file: BinaryIO, size: int, start: int, stated: int | None, order: str) -> int:
    """Bytes of samples from `start`. `stated` None: unknown, so to the end of the file."""
    held = size - start
    if stated is None or (stated == 0 and not _is_trailer(file, start, size, order)):
        return held  # a recording that was never finished says 0
    if stated > held + start:  # some writers count the header
        raise AudioRejected(CUT_OFF)
    stated = min(stated, held)
    ends = {start + stated + padding for padding in (0, stated % 2, -stated % 8)}  # as it should be, or left out
    if not any(_is_trailer(file, end, size, order) for end in ends):
        raise AudioRejected(
            f"The file's header says that its audio ends after {stated:,} bytes, but {held - stated:,} more bytes "
            "follow that are no chunks: one of its sizes is wrong."
        )
    return stated


def _is_trailer(file: BinaryIO, at: int, size: int, order: str) -> bool:
    """Whether what follows from `at` is chunks, a tag, padding, or nothing."""
    file.seek(at)
    head = file.read(12)
    if size - at < 8 or head.startswith(TRAILERS) or not head.strip(b"\0"):
        return True
    for byte_order in {order, "<"}:
        name, length = struct.unpack(byte_order + "4sI", head[:8])
        if all(32 <= letter < 127 for letter in name) and length <= size - at:
            return True
    return head[4:16] == W64_TAIL[:8]


# ---- AIFF -----------------------------------------------------------------------------------------------


def _aiff(file: BinaryIO, size: int, compressed: bool) -> Pcm:
    common = None
    sound = None
    for chunk, start, length in _riff_chunks(file, size, ">"):
        file.seek(start)
        if chunk == b"COMM":
            common = file.read(min(length, 64))
        elif chunk == b"SSND":
            offset = struct.unpack(">I4x", file.read(8))[0]
            sound = start + 8 + offset, length - 8 - offset
        if common is not None and sound:
            break
    if common is None or sound is None:
        raise AudioRejected("The AIFF file has no COMM or no SSND chunk: it holds no samples.")
    channels, frames, bits = struct.unpack(">hIh", common[:8])
    rate = _extended(common[8:18])
    kind = common[18:22] if compressed else b"NONE"
    if kind not in AIFC:
        raise AudioRejected(f"The AIFC file is compressed as {kind.decode('latin-1')!r}, which is not read.")
    family, order, fixed = AIFC[kind]
    bits = fixed or bits
    sample = _Samples(family, order, -(-bits // 8), bits)
    if channels < 1 or rate < 1 or bits < 1 or sample.codec is None:
        raise AudioRejected(f"The AIFF header says {channels} channels at {rate} Hz and samples of {bits} bits.")
    block = sample.size * channels
    start, stated = sound
    held = size - start
    if not frames and 0 < stated < UNKNOWN_SIZE:
        frames = stated // block
    if frames * block > held:
        raise AudioRejected(CUT_OFF)
    if 0 < stated < UNKNOWN_SIZE and abs(stated - frames * block) >= block + 2:
        raise AudioRejected(f"The AIFF header says {frames:,} samples in one place and {stated // block:,} in another.")
    pcm = Pcm("aiff", sample.codec, rate, channels, "", block, start, frames * block)
    _check_samples(file, pcm, sample)
    return pcm


def _extended(number: bytes) -> int:
    """The whole part of an 80-bit IEEE 754 extended number; 0 where it is none that a sample rate could be."""
    exponent, mantissa = struct.unpack(">HQ", number)
    shift = 16383 + 63 - (exponent & 0x7FFF)
    return mantissa >> shift if exponent < 0x8000 and 0 <= shift < 64 else 0

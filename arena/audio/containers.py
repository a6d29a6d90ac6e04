"""Whether a file is complete by its own structure, where FFmpeg plays a truncated one without complaint."""

from __future__ import annotations

import os
from typing import BinaryIO

OGG_PAGE_MAX = 65307
OGG_LAST_PAGE = 0x04
MPEG_LAYER_3 = 1
MPEG_1 = 3
BITRATES_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def mp3_frame_size(packet: bytes) -> int | None:
    """The size in bytes that an MPEG layer III frame header (ISO 11172-3, 2.4.2.3) states; None if none."""
    if len(packet) < 4 or packet[0] != 0xFF or packet[1] & 0xE0 != 0xE0:
        return None
    version, layer = packet[1] >> 3 & 3, packet[1] >> 1 & 3
    bitrate, rate, padding = packet[2] >> 4, packet[2] >> 2 & 3, packet[2] >> 1 & 1
    if layer != MPEG_LAYER_3 or version not in SAMPLE_RATES or rate == 3 or bitrate in (0, 15):
        return None
    first = version == MPEG_1
    bits_per_second = 1000 * BITRATES_KBPS[first][bitrate]
    return (144 if first else 72) * bits_per_second // SAMPLE_RATES[version][rate] + padding


def ogg_end(file: BinaryIO) -> int | None:
    """Where the last page of an Ogg file ends; something else may follow. None for a truncated file: the last page has
    the end-of-stream flag, and must be complete (RFC 3533, section 6)."""
    size = file.seek(0, os.SEEK_END)
    tail, start = b"", -1
    while start < 0 and size > 0:
        begin = max(0, size - 2 * OGG_PAGE_MAX)
        file.seek(begin)
        tail, size = file.read(size - begin) + tail[: 2 * OGG_PAGE_MAX], begin
        start = tail.rfind(b"OggS")
    page = tail[start:] if start >= 0 else b""
    if len(page) < 27 or len(page) < 27 + page[26]:
        return None
    page_size = 27 + page[26] + sum(page[27 : 27 + page[26]])
    complete = page[5] & OGG_LAST_PAGE and len(page) >= page_size
    return size + start + page_size if complete else None


# How files of other kinds begin, or what they hold at 4 or 8 bytes, so that a refusal can name them.
OTHER_KINDS = (
    (0, b"caff", "a Core Audio file (CAF)"),
    (0, b".snd", "an AU file"),
    (0, b"wvpk", "a WavPack file"),
    (0, b"\x1aE\xdf\xa3", "a Matroska or WebM file"),
    (0, b"MThd", "a MIDI file"),
    (0, b"MAC ", "a Monkey's Audio file"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "a Windows Media file (WMA, ASF)"),
    (0, b"#!AMR", "an AMR file"),
    (0, b"DSD ", "a DSF file"),
    (0, b"FRM8", "a DSDIFF file"),
    (0, b"TTA1", "a True Audio file"),
    (0, b"ADIF", "an AAC file in ADIF"),
    (8, b"AVI ", "an AVI film"),
    (8, b"8SVX", "an 8SVX file"),
    (0, b"Creative Voice", "a VOC file"),
    (0, b"NIST_1A", "a SPHERE file"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"%PDF", "a PDF"),
    (0, b"FLV", "a Flash video"),
)


def not_read(file: BinaryIO) -> str:
    """A refusal that names the kind of the file; "" for one that is not known."""
    file.seek(0)
    head = file.read(32)
    for at, mark, name in OTHER_KINDS:
        if head[at : at + len(mark)] == mark:
            return f"This is {name}, not a WAV, AIFF, FLAC, MP3, OGG, Opus or AAC/M4A file."
    return ""

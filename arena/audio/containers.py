"""Whether a file is complete by its own structure, where FFmpeg plays a truncated one without complaint."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

UNKNOWN_SIZE = 0x7FFF0000  # writers to a pipe put this or more (usually all ones) for an unknown size
OGG_PAGE_MAX = 65307
OGG_LAST_PAGE = 0x04
MPEG_LAYER_3 = 1
MPEG_1 = 3
BITRATES_KBPS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),  # MPEG-1
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),  # MPEG-2 and 2.5
}
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}


def ends_too_early(file: BinaryIO, format_name: str) -> bool:
    """Whether a WAV or Ogg file is truncated. Other formats show it by a failing packet or their duration."""
    size = file.seek(0, os.SEEK_END)
    if format_name == "wav":
        return _wav_data_end(file) > size
    if format_name == "ogg":
        return not _ogg_ends_with_last_page(file, size)
    return False


def states_mp3_length(file: BinaryIO) -> bool:
    """Whether the first MP3 frame is a header that counts the frames; if not, a duration is only a guess."""
    file.seek(0)
    tag = file.read(10)
    skip = 0
    if tag[:3] == b"ID3" and len(tag) == 10:
        skip = 10 + sum((byte & 0x7F) << shift for byte, shift in zip(tag[6:], (21, 14, 7, 0), strict=True))
    file.seek(skip)
    start = file.read(256)
    return any(name in start for name in (b"Xing", b"Info", b"VBRI"))


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


def _wav_data_end(file: BinaryIO) -> int:
    """Where the samples should end, from the RIFF or RF64 chunk sizes; 0 if the header does not say."""
    file.seek(12)
    long_size = None
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"ds64":
            long_size = struct.unpack("<8xQ", file.read(16))[0]
            file.seek(size - 16, os.SEEK_CUR)
        elif name == b"data":
            size = long_size if long_size and size == 0xFFFFFFFF else size
            known = size == long_size or size < UNKNOWN_SIZE
            return file.tell() + size if known else 0
        else:
            file.seek(size + size % 2, os.SEEK_CUR)
    return 0


def _ogg_ends_with_last_page(file: BinaryIO, size: int) -> bool:
    """RFC 3533, section 6: the last page has the end-of-stream flag, and must be complete."""
    file.seek(max(0, size - 2 * OGG_PAGE_MAX))
    tail = file.read()
    start = tail.rfind(b"OggS")
    page = tail[start:] if start >= 0 else b""
    if len(page) < 27 or len(page) < 27 + page[26]:
        return False
    page_size = 27 + page[26] + sum(page[27 : 27 + page[26]])
    return bool(page[5] & OGG_LAST_PAGE) and len(page) >= page_size

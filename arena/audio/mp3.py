"""What LAME leaves in an MP3 frame besides music, and its removal.

An encoder fills the space that is left in a frame of constant size after its Huffman-coded data (ISO 11172-3, 2.4.1.7,
ancillary data). LAME writes its name there, as often as there is room, so counting the name would reveal something
about a clip without decoding it. Players skip these bits.
"""

from __future__ import annotations

from arena.audio.containers import MPEG_1, mp3_frame_size

HEADER_BYTES, CRC_BYTES, SIDE_BYTES = 4, 2, 32  # the side information of two channels
MONO = 3
GRANULES_AND_CHANNELS = 4
GRANULE_BITS, LENGTH_BITS = 59, 12
RESERVOIR_BITS, SHARED_BITS = 9, 20  # main_data_begin; it, private_bits and scfsi come before the granules


def without_filler(frame: bytes) -> bytes:
    """The same stereo MPEG-1 layer III frame with zeros after its main data; it decodes to the same samples.

    Raises ValueError for anything but one complete frame that contains all its data (no bit reservoir).
    """
    start = _main_data_start(frame)
    side = int.from_bytes(frame[start - SIDE_BYTES : start], "big")
    if _bits(side, 0, RESERVOIR_BITS):
        raise ValueError("This MP3 frame begins in an earlier one: write it without a bit reservoir.")
    used = sum(_bits(side, SHARED_BITS + GRANULE_BITS * n, LENGTH_BITS) for n in range(GRANULES_AND_CHANNELS))
    spare = 8 * (len(frame) - start) - used
    if spare < 0:
        raise ValueError(f"This MP3 frame says that its data need {-spare} bits more than it has.")
    data = int.from_bytes(frame[start:], "big") >> spare << spare
    return frame[:start] + data.to_bytes(len(frame) - start, "big")


def _main_data_start(frame: bytes) -> int:
    size = mp3_frame_size(frame)
    if size is None or size != len(frame):
        raise ValueError(f"These {len(frame)} bytes are not one whole MP3 frame.")
    if frame[1] >> 3 & 3 != MPEG_1 or frame[3] >> 6 == MONO:
        raise ValueError("This MP3 frame is not MPEG-1 in stereo, as excerpts are.")
    unprotected = frame[1] & 1
    return HEADER_BYTES + (0 if unprotected else CRC_BYTES) + SIDE_BYTES


def _bits(side: int, start: int, count: int) -> int:
    """`count` bits of the side information, the first bit being number 0."""
    return side >> (8 * SIDE_BYTES - start - count) & ((1 << count) - 1)

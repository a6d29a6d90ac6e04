"""The frames of an MP3 or ADTS file, without what stands around them: tags, pictures, padding.

FFmpeg takes a tag at the end for more audio, estimates the length from the size of the file, and plays a truncated file
without complaint. So the frames are walked here, from each to where the next must begin, and FFmpeg is handed these
alone. The headers: ISO 11172-3, 2.4.2.3, and ISO 13818-7, 6.2. The tags: id3.org (ID3v1, ID3v2, Lyrics3), APEv2 of
wiki.hydrogenaud.io.
"""

from __future__ import annotations

import io
import mmap
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from arena.audio.containers import mp3_frame_size
from arena.audio.outcomes import AudioRejected
from arena.audio.pcm import CUT_OFF

SIDE_BYTES = {(3, True): 17, (3, False): 32, (2, True): 9, (2, False): 17, (0, True): 9, (0, False): 17}
MPEG_1 = 3
COUNT_SLACK = 1  # some writers count the header's own frame
LYRICS_3_MAX = 5120  # with its marks
RESYNC_FRAMES = 3  # so many in a row are frames and no chance
HEADER_BYTES, HEAD = 7, 200  # of ADTS, the longer one; what may hold the count of a first MP3 frame
SEARCHED = 2_000_000  # bytes in which the next frame is looked for
BLOCK = 65536


@dataclass(frozen=True)
class Frames:
    """Where the frames are: [start, end) of each stretch, in bytes."""

    stretches: list[tuple[int, int]]


def find_frames(data: mmap.mmap | bytes, format_name: str) -> Frames | None:
    """The frames of a file that FFmpeg takes for "mp3" or "aac"; None where there is no first frame (MPEG layer I or
    II, free format). AudioRejected for a truncated file, or one with something else between its frames."""
    size_of = {"mp3": mp3_frame_size, "aac": adts_frame_size}[format_name]
    return _Walk(data, size_of).frames()


def adts_frame_size(header: bytes) -> int | None:
    """The size in bytes that an ADTS header states; None if it is none."""
    if len(header) < 7 or header[0] != 0xFF or header[1] & 0xF6 != 0xF0 or header[2] >> 2 & 15 > 12:
        return None
    size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
    return size if size >= 7 else None


class _Walk:
    def __init__(self, data: mmap.mmap | bytes, size_of: Callable[[bytes], int | None]):
        self.data, self.size_of = data, size_of
        self.end = _end_of_audio(data)
        self.stretches: list[tuple[int, int]] = []
        self.n = 0  # frames since the last header that counts them
        self.stated: int | None = None  # what that says
        self.first_header: int | None = None  # where the first of these ends, if the file begins with it
        self.is_first, self.is_short_count = True, False  # whether the first says fewer than there are

    def frames(self) -> Frames | None:
        at = self._next_start(0)
        if at is None:
            return None
        while at < self.end:
            size = self._size(at)
            if size and at + size > self.end:
                raise AudioRejected(CUT_OFF)
            at = self._take(at, at + size) if size else self._after_gap(at)
        self._check_count()
        if self.is_short_count and self.first_header:  # FFmpeg would cut samples out where the count ends
            self.stretches[0] = (self.first_header, self.stretches[0][1])
        return Frames(self.stretches)

    def _size(self, at: int) -> int | None:
        return self.size_of(self.data[at : at + HEADER_BYTES]) if at < self.end else None

    def _take(self, at: int, end: int) -> int:
        """Add a frame, unless it is the header of a file that was joined to another: that is no sound."""
        stated = frame_count(self.data[at : min(end, at + HEAD)]) if self.size_of is mp3_frame_size else None
        if stated is not None:
            if self.stretches:
                self._check_count()
            self.n, self.stated = 0, stated
            if self.stretches:
                return end
            self.first_header = end
        else:
            self.n += 1
        if self.stretches and self.stretches[-1][1] == at:
            at = self.stretches.pop()[0]
        self.stretches.append((at, end))
        return end

    def _after_gap(self, at: int) -> int:
        """Where the frames go on after a tag, or the end of the audio."""
        after = _after_tags(self.data, at, self.end)
        if after == at:
            after = _after_zeros(self.data, at, self.end)
            is_joined = after < self.end and (_after_tags(self.data, after, self.end) > after or self._counts(after))
            after = after if after >= self.end or is_joined else at
        if after > at:
            return after
        if self.end - at < HEADER_BYTES and self.data[at] == 0xFF:
            raise AudioRejected(CUT_OFF)
        start = self._next_start(at + 1)
        if start is None:
            return self.end  # a tag that is not known here
        raise AudioRejected(f"The audio is damaged after frame {self.n:,}: {start - at:,} bytes there are no audio.")

    def _counts(self, at: int) -> bool:
        """Whether a frame that counts others begins here."""
        return bool(self._size(at)) and frame_count(self.data[at : at + HEAD]) is not None

    def _next_start(self, at: int) -> int | None:
        """The next place from which several frames follow one another, to the end if there are fewer."""
        last = min(self.end, at + SEARCHED)
        while (at := self.data.find(b"\xff", at, last)) >= 0:
            if self._follow(at):
                return at
            at += 1
        return None

    def _follow(self, at: int) -> bool:
        for _ in range(RESYNC_FRAMES):
            size = self._size(at)
            if not size:
                return False
            at += size
            if at >= self.end:
                return True
        return True

    def _check_count(self) -> None:
        if self.stated is not None and self.n < self.stated - COUNT_SLACK:
            raise AudioRejected(f"{CUT_OFF[:-1]}: {self.stated:,} frames, and it holds {self.n:,}.")
        if self.is_first and self.stated and self.n > self.stated + COUNT_SLACK:
            self.is_short_count = True
        self.is_first = False


def frame_count(frame: bytes) -> int | None:
    """How many frames follow, as an MP3's first frame may say (Xing, Info, VBRI): 0 if it does not say, None if this is
    no such frame."""
    mono = frame[3] >> 6 == 3
    side = SIDE_BYTES.get((frame[1] >> 3 & 3, mono), 0)
    for start in (4 + side, 6 + side):
        if frame[start : start + 4] in (b"Xing", b"Info") and len(frame) >= start + 12:
            flags, count = struct.unpack(">II", frame[start + 4 : start + 12])
            return count if flags & 1 else 0
    if frame[36:40] == b"VBRI" and len(frame) >= 54:
        return struct.unpack(">I", frame[50:54])[0]
    return None


# ---- tags -----------------------------------------------------------------------------------------------


def _end_of_audio(data: mmap.mmap | bytes) -> int:
    """Where the tags at the end begin. Zeros without a tag before them stay: they may belong to the last frame."""
    end = len(data)
    while end > 0:
        start = _start_of_last_tag(data, end)
        if start is None:
            start = _start_of_last_tag(data, _before_zeros(data, end))
        if start is None:
            return end
        end = start
    return end


def _start_of_last_tag(data: mmap.mmap | bytes, end: int) -> int | None:
    if data[max(0, end - 128) : end][:3] == b"TAG":
        return end - 128 - 227 if data[max(0, end - 355) : end][:4] == b"TAG+" else end - 128
    if end >= 32 and data[end - 32 : end - 24] == b"APETAGEX":
        size, _, flags = struct.unpack("<III", data[end - 20 : end - 8])
        if not flags & 0x80000000:
            return max(0, end - size)
        return _marked(b"APETAGEX", data, end - size - 32, end - 32)
    if end >= 10 and data[end - 10 : end - 7] == b"3DI":
        return max(0, end - 20 - _synchsafe(data[end - 4 : end]))
    if end >= 15 and data[end - 9 : end] == b"LYRICS200" and data[end - 15 : end - 9].isdigit():
        return _marked(b"LYRICSBEGIN", data, end - 15 - int(data[end - 15 : end - 9]), end)
    if end >= 9 and data[end - 9 : end] == b"LYRICSEND":
        return _marked(b"LYRICSBEGIN", data, end - LYRICS_3_MAX, end)
    return None


def _marked(mark: bytes, data: mmap.mmap | bytes, start: int, end: int) -> int | None:
    """Where the mark of a tag's beginning is: at `start`, or, as sizes of tags are often wrong, before `end`."""
    start = max(0, start)
    if data[start : start + len(mark)] == mark:
        return start
    found = data.rfind(mark, max(0, start - BLOCK), end)
    return found if found >= 0 else None


def _before_zeros(data: mmap.mmap | bytes, end: int) -> int:
    """Where the zeros before `end` begin."""
    while end > 0:
        block = data[max(0, end - BLOCK) : end]
        left = block.rstrip(b"\0")
        end -= len(block) - len(left)
        if left:
            break
    return end


def _after_zeros(data: mmap.mmap | bytes, at: int, end: int) -> int:
    while at < end:
        block = data[at : min(end, at + BLOCK)]
        left = block.lstrip(b"\0")
        at += len(block) - len(left)
        if left:
            break
    return at


def _after_tags(data: mmap.mmap | bytes, at: int, end: int) -> int:
    """The end of the tags that begin here; `at` where there are none."""
    while at < end:
        head = data[at : at + 32]
        if head[:3] == b"ID3" and len(head) >= 10:
            at += 10 + _synchsafe(head[6:10]) + (10 if head[5] & 0x10 else 0)
        elif head[:8] == b"APETAGEX" and len(head) == 32:
            size, _, flags = struct.unpack("<III", head[12:24])
            at += 32 + (size if flags & 0x20000000 else 0)
        elif head[:4] == b"TAG+":
            at += 227
        elif head[:3] == b"TAG":
            at += 128
        elif head[:11] == b"LYRICSBEGIN":
            stop = min((n for mark in (b"LYRICS200", b"LYRICSEND") if (n := data.find(mark, at, end)) >= 0), default=-1)
            if stop < 0:
                return at
            at = stop + 9
        else:
            return at
    return at


def _synchsafe(digits: bytes) -> int:
    return sum((digit & 0x7F) << shift for digit, shift in zip(digits, (21, 14, 7, 0), strict=True))


class Stretches(io.RawIOBase):
    """The stretches of a file as one file, for FFmpeg to read."""

    def __init__(self, file: BinaryIO, stretches: list[tuple[int, int]]):
        self._file, self._stretches, self._at = file, stretches, 0
        self._size = sum(end - start for start, end in stretches)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def read(self, n: int = -1) -> bytes:
        """At most n bytes, of one stretch; b"" at the end."""
        before = 0
        for start, end in self._stretches:
            if self._at < before + end - start:
                self._file.seek(start + self._at - before)
                data = self._file.read(min(n if n >= 0 else end, before + end - start - self._at))
                self._at += len(data)
                return data
            before += end - start
        return b""

"""How much space is left where the arena writes, and who gives way when it is little.

Two marks, as of the fullest of the disks concerned. Below the first, "low", whatever can wait stops writing: clips,
excerpts, sent files, plots, releases. Staff are told. What is left is the votes' reserve. Below the second, "full",
nothing is accepted any more, in words, before PostgreSQL finds no place for its log and ends; pages are still read.
"""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render

from .addresses import API
from .refusals import Unavailable

LOW_SHARE, LOW_BYTES = 0.05, 10**9  # whichever is less,
LEAST_LOW_BYTES = 150_000_000  # but not less than this
FULL_BYTES = 48 * 2**20  # PostgreSQL writes its log in files of 16 MB
RETRY_S = 30
READS = ("GET", "HEAD", "OPTIONS")
FULL = "The server's disk is full. Nothing is lost; try again later."
LOW = "The server's disk is almost full, so no files are taken at the moment. Try again later."


@dataclass(frozen=True)
class Space:
    """In bytes, of one disk."""

    path: Path
    free: int
    total: int

    @property
    def is_low(self) -> bool:
        return self.free < max(min(LOW_SHARE * self.total, LOW_BYTES), LEAST_LOW_BYTES)

    @property
    def is_full(self) -> bool:
        return self.free < FULL_BYTES

    @property
    def state(self) -> str:
        return "full" if self.is_full else "low" if self.is_low else "ok"

    def __str__(self) -> str:
        return f"{self.free / 1e6:,.0f} MB of {self.total / 1e6:,.0f} MB are free on the disk of {self.path}"


def space() -> Space:
    """Of the disk with the least space among those of ARENA_HOME, of the media and of the embedded database."""
    home = Path(settings.ARENA_HOME)
    places = [home, Path(settings.MEDIA_ROOT), home / "postgres"]
    return min((_space_of(place) for place in places), key=lambda space: space.free)


def _space_of(place: Path) -> Space:
    """The database's folder may be a link, and out of reach of the web's account: then what counts is its parent."""
    for path in (place, *place.parents):
        try:
            usage = shutil.disk_usage(os.path.realpath(path))
        except OSError:
            continue
        return Space(path, usage.free, usage.total)
    raise FileNotFoundError(place)


def check_room_for_files() -> None:
    """Raises Unavailable where files may not be taken any more."""
    if space().is_low:
        raise Unavailable(LOW, code="disk_full", retry_after_s=RETRY_S)


def refuse_writes_when_full(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: 503 to whatever would be stored, in time to keep the database running. Pages are still read."""

    def respond(request: HttpRequest) -> HttpResponse:
        if request.method in READS or not space().is_full:
            return get_response(request)
        if request.path_info.startswith(API):
            answer: HttpResponse = JsonResponse(
                {"code": "disk_full", "detail": FULL, "retry_after_s": RETRY_S}, status=503
            )
        else:
            answer = render(None, "503.html", status=503)
        answer["Retry-After"] = str(RETRY_S)
        return answer

    return respond

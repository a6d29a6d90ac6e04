"""Pages and files of `arena`: the listening page, the excerpts, and the health checks."""

import re
from typing import Any

from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from . import audio, disk, participants, services
from .models import Battle, Excerpt, Status, Study
from .rater_cookie import read_rater
from .serving import note_listening

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$", re.ASCII)


@require_safe
@ensure_csrf_cookie
def listen(request: HttpRequest, slug: str) -> HttpResponse:
    study = get_object_or_404(Study.objects.with_content(), slug=slug)
    unfilled = participants.unfilled(study, request.GET) is not None
    settings = {**page_settings(study), "unfilled": unfilled}
    return render(request, "arena/listen.html", {"study": study, "settings": settings})


def page_settings(study: Study) -> dict[str, Any]:
    """What the listening page must know of its study before there is a battle."""
    return {
        "slug": study.slug,
        "name": study.name,
        "open": study.accepts_battles,
        "consent_version": study.consent_version,
        "switching": study.switching,
        "reveal": study.reveal,
        "practice": study.practice,
        "traps": study.traps > 0,
        "volume_check": study.volume_check,
        "headphones": study.headphones,
        "platform": study.platform,
        "access": study.access,
        "has_checks": study.has_checks,
    }


@require_safe
def excerpt(request: HttpRequest, battle_id: str, slot: str) -> HttpResponse:
    """The excerpt of one slot, for the battle's own rater. Nothing in the response identifies the file: no name, no
    ETag, no Last-Modified. Range requests are supported because Safari sends nothing else."""
    battle = _battle_of(request, battle_id, slot)
    note_listening(battle, timezone.now())
    return _part_of(battle.excerpt(slot), request)


def _part_of(piece, request):
    """The excerpt, or the range of it that was asked for."""
    start, end = _wanted_range(request.headers.get("Range", ""), piece.size)
    if start is None:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{piece.size}"})
    response = _private(_read(piece, start, end), audio.mime_type(piece.codec))
    if end - start < piece.size:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{piece.size}"
    response["Accept-Ranges"] = "bytes"
    return response


@require_safe
def clip_audio(request: HttpRequest, clip_id: int) -> HttpResponse:
    """A clip for staff, at any time, as listeners hear it: the longest excerpt. 404 for everybody else."""
    if not (request.user.is_staff and request.user.has_perm("arena.view_clip")):
        raise Http404("There is no such page.")
    pieces = Excerpt.objects.filter(clip=clip_id, variant=Excerpt.Variant.PLAIN, status=Status.READY)
    piece = pieces.order_by("-length_ms", "codec").first()
    if not piece:
        raise Http404("This clip has no excerpt that can be played.")
    return _part_of(piece, request)


@require_safe
def download(request: HttpRequest, battle_id: str, slot: str) -> HttpResponse:
    """After the vote, where the study reveals: the excerpt, under its system's name."""
    battle = _battle_of(request, battle_id, slot)
    if battle.close_reason != "voted" or not battle.study.reveal:
        raise Http404("There is nothing to download before the answer.")
    piece = battle.excerpt(slot)
    system = battle.system_a if slot == "A" else battle.system_b
    response = _private(_read(piece, 0, piece.size), audio.mime_type(piece.codec))
    response["Content-Disposition"] = content_disposition_header(True, f"{slugify(system.name)}-{slot}.{piece.codec}")
    return response


def _battle_of(request, battle_id, slot):
    rater = read_rater(request)
    battle = rater and Battle.objects.select_related("study", f"excerpt_{slot.lower()}").filter(
        pk=battle_id, rater=rater, excerpt_a__isnull=False
    ).first()  # fmt: skip
    if not battle:
        raise Http404("You have no such battle.")
    return battle


def _read(piece, start, end):
    if not piece.file:
        raise Http404("This excerpt is no longer there.")
    try:
        with default_storage.open(piece.file.name) as file:
            file.seek(start)
            return file.read(end - start)
    except FileNotFoundError as gone:  # the page then skips the battle as not playable
        raise Http404("This excerpt is no longer there.") from gone


def _private(content, content_type):
    return HttpResponse(content, content_type=content_type, headers={"Cache-Control": "private, no-store"})


@require_safe
def headphone_trial(request: HttpRequest, slug: str, attempt: int, trial: int) -> HttpResponse:
    """One trial of the rater's open headphone attempt."""
    rater = read_rater(request)
    participation = rater and rater.participations.filter(study__slug=slug, headphone_attempts=attempt).first()
    if not participation:
        raise Http404("You have no such headphone check.")
    targets = services.headphone_targets(rater, participation.study, attempt)
    if not 1 <= trial <= len(targets):
        raise Http404(f"There are {len(targets)} trials.")
    from .audio import headphones  # imports NumPy, which not every process needs

    target, seed = targets[trial - 1]
    return _private(headphones.trial_wav(target, seed), "audio/wav")


@require_safe
def tones(request: HttpRequest) -> HttpResponse:
    """The tones of the attention traps without music, for the instructions."""
    return HttpResponse(audio.tones_wav(), content_type="audio/wav", headers={"Cache-Control": "public, max-age=86400"})


def _wanted_range(header, size):
    """[start, end) of a Range header; the whole file for none or one that may be ignored (RFC 9110, 14.2); (None, None)
    for one that cannot be satisfied."""
    match = RANGE.match(header)
    if not match or match.groups() == ("", ""):
        return 0, size
    first, last = match.groups()
    if first and last and int(last) < int(first):
        return 0, size
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    return (start, end) if start < end else (None, None)


@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """The process is alive."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request: HttpRequest) -> JsonResponse:
    """The process can do its work: the database answers, and there is space for votes."""
    space = disk.space()
    facts = {"disk": space.state, "disk_free_bytes": space.free}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "the database does not answer", **facts}, status=503)
    if space.is_full:
        return JsonResponse({"status": "the disk is full", **facts}, status=503)
    return JsonResponse({"status": "ok", **facts})

"""The stage's pages and files: the listening page, the excerpts, and the health checks."""

import re

from django.core.files.storage import default_storage
from django.db import DatabaseError, connection
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe

from . import audio
from .models import Battle, Study
from .rater_cookie import read_rater

RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})$", re.ASCII)


@require_safe
@ensure_csrf_cookie
def listen(request, slug):
    study = get_object_or_404(Study, slug=slug)
    return render(request, "arena/listen.html", {"study": study})


@require_safe
def excerpt(request, battle_id, slot):
    """The excerpt of one slot, to the battle's own rater. Nothing in the answer is the file's own: no name,
    no ETag, no Last-Modified. Ranges are answered because Safari asks for nothing else."""
    rater = read_rater(request)
    battle = rater and Battle.objects.select_related(f"excerpt_{slot.lower()}").filter(
        pk=battle_id, rater=rater, kind=Battle.Kind.RANKED
    ).first()  # fmt: skip
    if not battle:
        raise Http404("You have no such battle.")
    piece = battle.excerpt(slot)
    start, end = _wanted_range(request.headers.get("Range", ""), piece.size)
    if start is None:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{piece.size}"})
    try:
        with default_storage.open(piece.file.name) as file:
            file.seek(start)
            response = HttpResponse(file.read(end - start), content_type=audio.mime_type(piece.codec))
    except FileNotFoundError as gone:  # for the page: cannot be played, skip it
        raise Http404("This excerpt is no longer there.") from gone
    if end - start < piece.size:
        response.status_code = 206
        response["Content-Range"] = f"bytes {start}-{end - 1}/{piece.size}"
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, no-store"
    return response


def _wanted_range(header, size):
    """[start, end) of a Range header; all of it for none or one we need not understand (RFC 9110, 14.2);
    (None, None) for one that cannot be satisfied."""
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
def healthz(request):
    """The process is alive."""
    return JsonResponse({"status": "ok"})


@require_safe
def readyz(request):
    """The process can do its work: the database answers."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError:
        return JsonResponse({"status": "the database does not answer"}, status=503)
    return JsonResponse({"status": "ok"})

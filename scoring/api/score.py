"""The jury as a service: files in, rewards out, at once or by polling. This process stores files and decodes none."""

import time
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any
from uuid import UUID

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework import serializers
from rest_framework.decorators import (
    api_view,
    authentication_classes,
    parser_classes,
    permission_classes,
    throttle_classes,
)
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from arena.api import StrictSerializer, answer, refusals, validated
from arena.models import Scope
from arena.refusals import NotFound, Refusal, TooLarge, Unavailable
from arena.security import throttles
from arena.security.throttles import by_account
from arena.security.tokens import Tokens, needs
from arena.services import find_study
from scoring.file_scoring import jobs as score_jobs
from scoring.file_scoring.answers import best_of_n_json, score_json
from scoring.models import ScoreJob

from .access import IsResearcher, given
from .shapes.files import BestOfN, Score, ScoreWaiting

MAX_FILE, MAX_REQUEST = 200_000_000, 2_000_000_000  # bytes
AROUND = 1_000_000  # bytes of a request beside its files
MAX_FILES = 64
MAX_PROMPT = 10_000
WAIT_S, LOOK_S = 5.0, 0.1
SHORT_QUEUE = 2  # turns before the one that ends its job that a request still waits for
# Of the 8 threads of a web process this many may receive files or wait for rewards; the others are the listeners'.
SLOTS = BoundedSemaphore(4)


class ScoreRequest(StrictSerializer):
    audio = serializers.FileField(
        allow_empty_file=True, help_text="WAV, AIFF, FLAC, MP3, OGG, Opus or AAC; 1 s to 10 min."
    )
    prompt = serializers.CharField(
        required=False, allow_blank=True, default="", max_length=MAX_PROMPT, help_text="What the audio was made for."
    )


class BestOfNRequest(StrictSerializer):
    audio = serializers.ListField(
        child=serializers.FileField(allow_empty_file=True), min_length=2, max_length=MAX_FILES
    )
    prompt = serializers.CharField(required=False, allow_blank=True, default="", max_length=MAX_PROMPT)


class StudyQuery(StrictSerializer):
    study = serializers.SlugField(required=False, help_text="Also the position among the clips of its systems.")


STUDY = OpenApiParameter("study", OpenApiTypes.STR, description="Also the position among the clips of its systems.")
REFUSALS = refusals(400, 401, 403, 404, 413, 422, 429, 503)
TOKEN: Any = [{"tokenAuth": []}]


@extend_schema(
    request={"multipart/form-data": ScoreRequest},
    parameters=[STUDY],
    responses={200: Score, 202: ScoreWaiting, **REFUSALS},
    auth=TOKEN,
)
@api_view(["POST"])
@authentication_classes([Tokens])
@permission_classes([IsResearcher, needs(Scope.SCORE)])
@throttle_classes([by_account(throttles.SCORING)])
@parser_classes([MultiPartParser])
def score(request: Request) -> Response:
    """The reward of one audio file under the live model; 202 and where to ask again if that takes longer."""
    return _receive(request, ScoreRequest, MAX_FILE)


@extend_schema(
    request={"multipart/form-data": BestOfNRequest},
    responses={200: BestOfN, 202: ScoreWaiting, **REFUSALS},
    auth=TOKEN,
)
@api_view(["POST"])
@authentication_classes([Tokens])
@permission_classes([IsResearcher, needs(Scope.SCORE)])
@throttle_classes([by_account(throttles.SCORING)])
@parser_classes([MultiPartParser])
def best_of_n(request: Request) -> Response:
    """Several audio files for one prompt, ranked by reward; those that cannot be scored come last, with the reason."""
    return _receive(request, BestOfNRequest, MAX_REQUEST)


@extend_schema(
    parameters=[STUDY],
    responses={
        200: PolymorphicProxySerializer("ScoreOrBestOfN", [Score, BestOfN], resource_type_field_name=None),
        202: ScoreWaiting,
        **refusals(400, 401, 403, 404, 422, 429),
    },
    auth=TOKEN,
)
@api_view(["GET"])
@authentication_classes([Tokens])
@permission_classes([IsResearcher, needs(Scope.SCORE)])
@throttle_classes([by_account(throttles.SCORING)])
def scored(request: Any, job_id: UUID) -> Response:
    """What POST /api/score/ or /api/best-of-n/ would have answered, had it waited. Kept for a day."""
    job = ScoreJob.objects.filter(pk=job_id, user=request.user).first()
    if not job:
        raise NotFound("There is no such job of yours. A job is forgotten a day after it was scored.")
    return _answer(job, _study_of(request))


def _receive(request, request_class, max_bytes):
    study = _study_of(request)
    score_jobs.check_open(request.user)
    _check_length(request, max_bytes)
    with _slot():
        if request_class is ScoreRequest and len(request.data.getlist("audio")) > 1:
            raise Refusal("Send one `audio` to be scored; several go to /api/best-of-n/.")
        asked = validated(request_class, request.data)
        uploads = asked["audio"] if isinstance(asked["audio"], list) else [asked["audio"]]
        for upload in uploads:
            if upload.size > MAX_FILE:
                raise TooLarge(f"{upload.name} is {upload.size / 1e6:,.0f} MB; the limit is {MAX_FILE / 1e6:.0f} MB.")
        job = score_jobs.submit(request.user, asked["prompt"], uploads)
        _wait_for(job)
    return _answer(job, study)


def _study_of(request):
    asked = validated(StudyQuery, given(request.query_params))
    return find_study(asked["study"]) if "study" in asked else None


def _check_length(request, max_bytes):
    """Before anything is read: Django takes files of any size."""
    length = int(request.headers.get("Content-Length") or 0)
    if length > max_bytes + AROUND:
        raise TooLarge(f"The request is {length / 1e6:,.0f} MB; the limit is {max_bytes / 1e6:,.0f} MB.")


@contextmanager
def _slot():
    if not SLOTS.acquire(blocking=False):
        raise Unavailable("Too many files are coming in at once: send this again in a moment.", retry_after_s=5)
    try:
        yield
    finally:
        SLOTS.release()


def _wait_for(job):
    """For a short time, and only where the result may come in it: this thread is one of few."""
    if score_jobs.ahead_of(job) > SHORT_QUEUE:
        return
    deadline = time.monotonic() + WAIT_S
    while not job.done_at and time.monotonic() < deadline:
        pause()
        job.refresh_from_db()


def pause() -> None:
    time.sleep(LOOK_S)


def _answer(job, study):
    if not job.done_at:
        return _waiting(job, study)
    return answer(Score, score_json(job, study)) if job.items.count() == 1 else answer(BestOfN, best_of_n_json(job))


def _waiting(job, study):
    url = reverse("scored", args=[job.pk]) + (f"?study={study.slug}" if study else "")
    ahead = score_jobs.ahead_of(job)
    headers = {"Location": url, "Retry-After": str(min(1 + ahead, 60))}
    waiting = {"id": job.pk, "url": url, "queue_position": ahead + 1}
    return answer(ScoreWaiting, waiting, status=202, headers=headers)

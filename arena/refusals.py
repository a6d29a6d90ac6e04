"""How services refuse: one exception per HTTP status, with a code for programs and a sentence for people."""

import errno
import logging
from typing import TYPE_CHECKING, Any

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError

if TYPE_CHECKING:
    from rest_framework.response import Response

TOO_LARGE = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)
DATABASE_AWAY = "The arena cannot reach its data right now. Send this again in a moment."
RETRY_S = 5
logger = logging.getLogger(__name__)


class Refusal(Exception):
    status = 400
    code = "bad_request"

    def __init__(self, message, code=None, **facts):
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.facts = facts


class Unauthenticated(Refusal):
    status, code = 401, "not_authenticated"


class Forbidden(Refusal):
    status, code = 403, "forbidden"


class NotFound(Refusal):
    status, code = 404, "not_found"


class Conflict(Refusal):
    status, code = 409, "conflict"


class Gone(Refusal):
    status, code = 410, "gone"


class TooLarge(Refusal):
    status, code = 413, "too_large"


class NotHeard(Refusal):
    status, code = 422, "not_heard"


class BadAudio(Refusal):
    status, code = 422, "bad_audio"


class TooMany(Refusal):
    status, code = 429, "too_many"


class Unavailable(Refusal):
    status, code = 503, "unavailable"


def is_database_away(exc: BaseException | None) -> bool:
    """Whether the database did not answer, or could not take the request for reasons that pass: it starts, its disk is
    full, it has too many connections, it broke a deadlock. Or there was no space for a file."""
    no_space = isinstance(exc, OSError) and exc.errno in (errno.ENOSPC, errno.EDQUOT)
    return no_space or isinstance(exc, OperationalError | InterfaceError)


def exception_handler(exc: Exception, context: dict[str, Any]) -> "Response | None":
    """REST framework's handler, with {"code", "detail", ...facts} for a Refusal and a code for its own; 503 while the
    database is away, 413 for what Django finds too large. Everything else is for arena/failures.py.

    The fact `retry_after_s` is also the header Retry-After.
    """
    from rest_framework.response import Response
    from rest_framework.views import exception_handler as rest_handler

    if is_database_away(exc):
        logger.error("The database is away: %s", context["request"].path, exc_info=exc)
        exc = Unavailable(DATABASE_AWAY, retry_after_s=RETRY_S)
    elif isinstance(exc, TOO_LARGE):
        exc = TooLarge(f"The request is too large. {exc}")
    if isinstance(exc, Refusal):
        wait = exc.facts.get("retry_after_s")
        headers = {} if wait is None else {"Retry-After": str(wait)}
        if isinstance(exc, Unauthenticated):
            headers["WWW-Authenticate"] = "Cookie"
        return Response({"code": exc.code, "detail": exc.message, **exc.facts}, status=exc.status, headers=headers)
    response = rest_handler(exc, context)
    if response is not None and "detail" in response.data:  # otherwise it names the invalid fields
        response.data["code"] = response.data["detail"].code
        if "Retry-After" in response.headers:
            response.data["retry_after_s"] = int(response.headers["Retry-After"])
    return response

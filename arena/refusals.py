"""How a service says no: one exception per HTTP status, with a code for programs and a sentence for people."""


class Refusal(Exception):
    status = 400
    code = "bad_request"

    def __init__(self, message, code=None, **facts):
        super().__init__(message)
        self.message = message
        self.code = code or self.code
        self.facts = facts


class Forbidden(Refusal):
    status, code = 403, "forbidden"


class NotFound(Refusal):
    status, code = 404, "not_found"


class Conflict(Refusal):
    status, code = 409, "conflict"


class Gone(Refusal):
    status, code = 410, "gone"


class NotHeard(Refusal):
    status, code = 422, "not_heard"


def exception_handler(exc, context):
    """REST framework's handler, with {"code", "detail", ...facts} for a Refusal and a code for its own."""
    from rest_framework.response import Response
    from rest_framework.views import exception_handler as rest_handler

    if isinstance(exc, Refusal):
        return Response({"code": exc.code, "detail": exc.message, **exc.facts}, status=exc.status)
    response = rest_handler(exc, context)
    if response is not None and "detail" in response.data:  # else it names the fields that do not fit
        response.data["code"] = response.data["detail"].code
    return response

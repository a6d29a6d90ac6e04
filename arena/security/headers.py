"""What browsers may do with our pages: Content-Security-Policy, Permissions-Policy, and who may frame them.

No page has an inline script or style, so the policy allows none. Only listeners' pages may be framed, and only by the
sites that FRAME_ANCESTORS names. A browser treats the cookies of a framed page as those of another site: then they are
SameSite=None and Partitioned, that is, kept apart for each site that frames us.
"""

from collections.abc import Callable
from http import cookies

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self'; connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; "
)
# Of what a page can ask for, the arena uses sound alone; a framed page needs its frame's leave to play.
UNUSED = ("camera", "display-capture", "geolocation", "hid", "microphone", "midi", "payment", "serial", "usb")
PERMISSIONS = ", ".join([*(f"{name}=()" for name in UNUSED), "autoplay=(self)"])
FRAMEABLE = ("/listen/", "/me/")

# Python knows this attribute of a cookie from 3.14 on.
cookies.Morsel._reserved.setdefault("partitioned", "Partitioned")  # type: ignore[attr-defined]  # not public
cookies.Morsel._flags.add("partitioned")  # type: ignore[attr-defined]  # not public


def policies(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware, inside XFrameOptionsMiddleware and outside of all that sets cookies."""
    closed = f"{POLICY}frame-ancestors 'none'"
    framed = f"{POLICY}frame-ancestors 'self' {' '.join(settings.FRAME_ANCESTORS)}"

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        response.headers.setdefault("Permissions-Policy", PERMISSIONS)
        if settings.FRAME_ANCESTORS:
            if request.path_info.startswith(FRAMEABLE):
                response.xframe_options_exempt = True  # type: ignore[attr-defined]  # it cannot name sites
                response.headers.setdefault("Content-Security-Policy", framed)
            partition(response)
        response.headers.setdefault("Content-Security-Policy", closed)
        return response

    return answer


def partition(response: HttpResponseBase) -> None:
    for cookie in response.cookies.values():
        if cookie["samesite"] == "None":
            cookie["partitioned"] = True

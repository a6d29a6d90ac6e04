"""Over which connections a request may come: whether it is HTTPS, or never left this machine."""

from collections.abc import Callable
from ipaddress import ip_address

from django.conf import settings
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from arena.addresses import API

Answer = Callable[[HttpRequest], HttpResponseBase]
FORWARDING = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP")


def is_private(request: HttpRequest) -> bool:
    """Whether nobody on a network can read along: HTTPS, or a program on this machine. A request that a proxy on this
    machine handed on came from elsewhere, and says so in its headers."""
    return request.is_secure() or (_is_loopback(request) and not any(name in request.headers for name in FORWARDING))


def _is_loopback(request):
    try:
        return ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


def api_over_https(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Middleware: under HTTPS=true the API refuses plain HTTP, where pages redirect. A program that followed a redirect
    would send its secrets in clear every time, unnoticed."""

    def answer(request: HttpRequest) -> HttpResponseBase:
        if settings.HTTPS and request.path_info.startswith(API) and not is_private(request):
            return JsonResponse({"code": "https_needed", "detail": "The API is served over https:// only."}, status=403)
        return get_response(request)

    return answer

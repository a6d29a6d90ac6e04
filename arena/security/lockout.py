"""After five failures to sign in, that account is locked for that connection for a quarter of an hour.

For that connection alone: otherwise anybody could keep an admin out. django-axes counts, in the database; the settings
AXES_... say what.
"""

import logging
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from arena.limits import client_address

logger = logging.getLogger(__name__)


def connection(request: HttpRequest) -> str | None:
    """The address to count by; of IPv6 the /64, which one machine may be given whole. Where a proxy on this machine
    handed the request on, which settings.TRUSTED_PROXIES does not name, what it says of its client: its own address is
    everybody's, and one client would lock out all."""
    seen = _address(client_address(request))
    if seen is None or seen.is_loopback:
        seen = _address(request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()) or seen
    if isinstance(seen, IPv6Address):
        return str(ip_network((seen, 64), strict=False).network_address)
    return str(seen) if seen else None


def locked_out(request: HttpRequest, response: HttpResponse, credentials: dict[str, Any] | None) -> HttpResponse:
    """What settings.AXES_LOCKOUT_CALLABLE names."""
    seconds = int(settings.AXES_COOLOFF_TIME.total_seconds())
    username = (credentials or {}).get("username")
    logger.warning("Locked out for %d s after failures to sign in: %r from %s", seconds, username, connection(request))
    return wait(request, seconds)


def wait(request: HttpRequest, seconds: int) -> HttpResponse:
    """The page that asks to come back later."""
    answer = render(request, "admin/locked_out.html", {"minutes": -(-seconds // 60), "title": "Locked"}, status=429)
    answer["Retry-After"] = str(seconds)
    answer["Cache-Control"] = "private, no-store"
    return answer


def _address(text):
    try:
        ip = ip_address(text)
    except ValueError:
        return None
    # On a socket of both kinds every IPv4 address begins alike, and all would be one /64.
    return getattr(ip, "ipv4_mapped", None) or ip

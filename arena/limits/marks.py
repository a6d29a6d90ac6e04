"""The marks of a request's origin: HMACs under keys that change every day, which two visits from one place share on one
day (UTC) and from which nobody can tell the place.

Three marks, from narrow to wide. The device is the connection with the browser's name, which anybody can change. The
connection is the address alone; of IPv6 the /64, since that is what one household or one machine is given. The network
is what one subscriber with several connections, or an institution, is often given: the IPv4 /24 or the IPv6 /48.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

from arena.participants import keyed_hash


@dataclass(frozen=True)
class Marks:
    """Each None where the address is not public: behind a proxy or in a lab everybody would look alike.

    is_forwarded: a proxy forwarded the request, though the arena was told of none.
    """

    connection: str | None = None
    network: str | None = None
    device: str | None = None
    is_forwarded: bool = False


def marks_of(request: HttpRequest, now: datetime) -> Marks:
    """The marks of a request."""
    is_forwarded = not settings.TRUSTED_PROXIES and bool(_forwarded(request))
    return marks_of_address(client_address(request), request.headers.get("User-Agent", ""), now, is_forwarded)


def marks_of_address(address: str, user_agent: str, now: datetime, is_forwarded: bool = False) -> Marks:
    """The marks of an address, as text, and a browser's name."""
    try:
        ip = ip_address(address)
    except ValueError:
        return Marks(is_forwarded=is_forwarded)
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        ip = ip.ipv4_mapped
    if not ip.is_global:
        return Marks(is_forwarded=is_forwarded)
    of_connection, of_network = (64, 48) if ip.version == 6 else (32, 24)
    origin = str(ip) if ip.version == 4 else str(ip_network((ip, of_connection), strict=False))
    network = str(ip_network((ip, of_network), strict=False))
    purpose = f"connection:{now.astimezone(UTC).date().isoformat()}"
    return Marks(
        connection=keyed_hash(purpose, origin),
        network=keyed_hash(purpose, network),
        device=keyed_hash(purpose, f"{origin}\n{user_agent}"),
        is_forwarded=is_forwarded,
    )


def client_address(request: HttpRequest) -> str:
    """The address seen by the outermost of settings.TRUSTED_PROXIES trusted proxies, else the peer's."""
    forwarded = _forwarded(request)
    if settings.TRUSTED_PROXIES and len(forwarded) >= settings.TRUSTED_PROXIES:
        return forwarded[-settings.TRUSTED_PROXIES]
    return request.META.get("REMOTE_ADDR", "")


def _forwarded(request):
    return [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]

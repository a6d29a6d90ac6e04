"""A warning where listeners come through a proxy of which the arena was not told: all of them then seem to come from
one address, or from none that is public, and neither limits nor screens can tell connections apart."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Count, Q
from django.utils import timezone

from arena.models import Arrival

from .alarms import raise_alarm
from .models import Alarm

SCREEN = "proxies"
LATELY = timedelta(days=1)
SAID_FOR = timedelta(days=30)  # the same is not said again for so long
MANY = 20  # raters without a public address: more than a test of one's own


def watch_proxies(now: datetime | None = None) -> Alarm | None:
    """Raise the alarm where it is due. Returns it."""
    now = now or timezone.now()
    came = Arrival.objects.filter(at__gt=now - LATELY).aggregate(
        raters=Count("rater", distinct=True),
        known=Count("rater", distinct=True, filter=Q(connection__isnull=False)),
        forwarded=Count("rater", distinct=True, filter=Q(is_forwarded=True)),
    )
    message = _message(**came)
    if not message or Alarm.objects.filter(screen=SCREEN, raised_at__gt=now - SAID_FOR).exists():
        return None
    return raise_alarm(None, SCREEN, message, {**came, "trusted_proxies": settings.TRUSTED_PROXIES}, now)


def _message(raters, known, forwarded):
    if forwarded and not settings.TRUSTED_PROXIES:
        return (
            f"{forwarded} of the {raters} raters of the last day came with the header X-Forwarded-For, but "
            "TRUSTED_PROXIES is 0: if the arena is behind a proxy, set TRUSTED_PROXIES to the number of proxies, or "
            "limits and screens take the proxy for all listeners' connection. If it is not, they made the header up."
        )
    if raters >= MANY and not known:
        return (
            f"All {raters} raters of the last day came from addresses that are not public: limits and screens of "
            "connections do not work for them. If the arena is behind a proxy, set TRUSTED_PROXIES to the number of "
            "proxies; if all listen in your own network, nothing is wrong."
        )
    return None

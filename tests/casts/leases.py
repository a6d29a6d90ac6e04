"""Claims that outlive their lease, on a clock that the test moves: no machine is too slow for it."""

from datetime import timedelta

from django.utils import timezone

from arena.run.processes import wait_until
from scoring.workers.leases import renewed


def renew_often(monkeypatch, module):
    """The module's claims are renewed every 20 ms instead of three times in a lease."""
    monkeypatch.setattr(module, "renewed", lambda renew, lease: renewed(renew, timedelta(seconds=0.06)))


def lasts(lease, claimed_until, time_passes):
    """Whether a claim is renewed whenever half of its lease has passed, three leases long.

    claimed_until: a function to the time at which the claim would run out.
    """

    def is_fresh():
        return claimed_until() - timezone.now() > 0.9 * lease

    for _ in range(6):
        time_passes(lease.total_seconds() / 2)
        if not wait_until(is_fresh, 60):
            return False
    return True

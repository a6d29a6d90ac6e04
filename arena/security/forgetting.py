"""What is not kept of signing in: failures after a day, sessions that have run out."""

from datetime import timedelta

from axes.models import AccessAttempt
from django.contrib.sessions.models import Session
from django.utils import timezone

KEPT = timedelta(days=1)  # longer than a lock


def forget() -> None:
    now = timezone.now()
    AccessAttempt.objects.filter(attempt_time__lt=now - KEPT).delete()
    Session.objects.filter(expire_date__lt=now).delete()

"""What the accounts of staff need beside Django's own table."""

from django.conf import settings
from django.db import models


class GivenPassword(models.Model):
    """Somebody else has set this account's password: until its owner chooses another, two people know it."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="given_password"
    )
    at = models.DateTimeField(auto_now=True)

    class Personal:
        user = "user"
        deleted = {"at": "that somebody else has set the password, and when: to be changed at the next sign-in"}

    def __str__(self) -> str:
        return f"the password of {self.user}"

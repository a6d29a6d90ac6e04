"""The keys of researchers' programs. Only a hash is stored, so that a copy of the database opens nothing."""

import hashlib
import secrets
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone

KEPT_DAYS = 365
SHOWN = 8  # letters of a key by which its owner recognises it


class Scope(models.TextChoices):
    """What a token may do. Its user's own rights bound it, too."""

    READ = "read", "read: boards of everybody, what margins mean"
    EXPORT = "export", "export: votes and training pairs"
    SCORE = "score", "score: have files scored"
    ADMIN = "admin", "admin: what only staff may see"


def every_scope() -> list[str]:
    return [*Scope.values]


def in_a_year() -> datetime:
    return timezone.now() + timedelta(days=KEPT_DAYS)


class ApiTokenQuerySet(models.QuerySet["ApiToken"]):
    def valid(self) -> Self:
        """Neither expired nor revoked, of a user who may still sign in."""
        now = timezone.now()
        return self.filter(revoked_at__isnull=True, expires_at__gt=now, user__is_active=True)

    def of_key(self, key: str) -> "ApiToken | None":
        """The valid token of that key, with its user."""
        return self.valid().select_related("user").filter(digest=digest_of(key)).first()


class ApiToken(models.Model):
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, help_text="What it is for, such as: notebook, nightly export.")
    shown = models.CharField(max_length=SHOWN, editable=False, help_text="How the token begins.")
    digest = models.CharField(max_length=64, unique=True, editable=False, help_text="SHA-256 of the token.")
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope.choices), default=every_scope)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(default=in_a_year)
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="To the minute.")

    objects = ApiTokenQuerySet.as_manager()

    class Personal:
        user = "user"
        deleted = {
            "name, shown, digest, scopes": "what a researcher's program may do, and a hash of its key",
            "created_at, expires_at, revoked_at, last_used_at": "when the key was made, ends, and was last used",
        }

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=Q(scopes__contained_by=Scope.values, scopes__len__gt=0), name="token_has_known_scopes"
            )
        ]

    def __str__(self) -> str:
        return f"{self.shown}… ({self.name})"

    @classmethod
    def issue(cls, user: models.Model, name: str, **more: object) -> tuple["ApiToken", str]:
        """(a new token, its key). The key is nowhere else: who loses it makes a new one."""
        key = secrets.token_hex(20)
        return cls.objects.create(user=user, name=name, shown=key[:SHOWN], digest=digest_of(key), **more), key

    @property
    def is_valid(self) -> bool:
        return self.revoked_at is None and self.expires_at > timezone.now()

    def mark_used(self) -> None:
        """At most once a minute: a program that asks often shall not write as often."""
        now = timezone.now()
        if self.last_used_at is None or now - self.last_used_at > timedelta(minutes=1):
            type(self).objects.filter(pk=self.pk).update(last_used_at=now)


def digest_of(key: str) -> str:
    """A key has 160 random bits: nobody can try them all, so its hash needs no salt and need not be slow."""
    return hashlib.sha256(key.encode()).hexdigest()

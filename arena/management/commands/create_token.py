from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from arena.models import ApiToken
from arena.models.tokens import KEPT_DAYS, Scope, every_scope


class Command(BaseCommand):
    help = "Make an API token for an account and print it, once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument("--name", default="made by create_token", help="what it is for")
        parser.add_argument("--scope", action="append", choices=Scope.values, help="may be repeated; default: all")
        parser.add_argument("--days", type=int, default=KEPT_DAYS, help=f"until it expires (default: {KEPT_DAYS})")

    def handle(self, *, username: str, name: str, scope: list[str] | None, days: int, **options: Any) -> None:
        user = get_user_model().objects.filter(username=username).first()
        if not user:
            raise CommandError(f"There is no account {username!r}: make it in the admin, in the group `researchers`.")
        if days < 1:
            raise CommandError(f"--days {days}: write 1 or more.")
        expires_at = timezone.now() + timedelta(days=days)
        _, key = ApiToken.issue(user, name[:100], scopes=scope or every_scope(), expires_at=expires_at)
        self.stdout.write(key)

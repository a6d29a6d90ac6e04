from argparse import ArgumentParser
from typing import Any

from axes.utils import reset
from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from arena.security.second_factor import remove


class Command(BaseCommand):
    help = "Let an account sign in again: forget its failures and, if its app is lost, its second factor."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("username")
        parser.add_argument(
            "--second-factor", action="store_true", help="take its app and its codes on paper away, too"
        )

    def handle(self, *, username: str, second_factor: bool, **options: Any) -> None:
        user = get_user_model().objects.filter(username=username).first()
        if not user:
            raise CommandError(f"There is no account {username!r}.")
        reset(username=username)
        if second_factor:
            remove(user)
        self.stdout.write(f"{username} may sign in{' without a second factor' if second_factor else ''}.")

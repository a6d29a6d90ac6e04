"""What a password may not be, beside too short, common, or alike to what is known of the account (Django's rules)."""

from typing import Any

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ValidationError

SHORTEST_NAME = 4  # shorter ones stand in many words by chance


class NotTheName:
    """No password holds the name of its account, forwards or backwards."""

    def validate(self, password: str, user: Any = None) -> None:
        name = (user.get_username() if user else "").casefold()
        typed = password.casefold()
        if len(name) >= SHORTEST_NAME and (name in typed or name[::-1] in typed):
            raise ValidationError("The password holds the name of the account.", code="password_holds_the_name")

    def get_help_text(self) -> str:
        return "Your password cannot hold the name of the account."


class NotTooLong:
    """Long passwords are welcome, books are not: each is hashed by a slow function."""

    MOST = 128

    def validate(self, password: str, user: Any = None) -> None:
        if len(password) > self.MOST:
            raise ValidationError(f"The password has more than {self.MOST} characters.", code="password_too_long")

    def get_help_text(self) -> str:
        return f"Your password may have {self.MOST} characters."


class NotTheSame:
    """A new password is another one: what somebody else has set is not kept as one's own."""

    def validate(self, password: str, user: Any = None) -> None:
        if user and user.password and check_password(password, user.password):
            raise ValidationError("This is the password that the account has.", code="password_is_the_same")

    def get_help_text(self) -> str:
        return "Your password cannot be the one that you have."

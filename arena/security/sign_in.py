"""Signing in: password and, where the account has one, second factor, in one form that does not say which was wrong."""

from typing import Any

from django import forms
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth.signals import user_login_failed
from django.core.exceptions import ValidationError

from . import second_factor


class SignInForm(AdminAuthenticationForm):
    code = forms.CharField(
        required=False, max_length=20, label="Code, if you have set one up",
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code"}),
    )  # fmt: skip
    error_messages = {
        **AdminAuthenticationForm.error_messages,
        "invalid_login": "Please enter the correct %(username)s and password for a staff account, and the code of your "
        "app if you have set it up. Mind upper and lower case.",
    }

    def confirm_login_allowed(self, user: Any) -> None:
        super().confirm_login_allowed(user)
        if second_factor.has_one(user) and not second_factor.verify(user, self.cleaned_data.get("code", "")):
            # A wrong code counts as a wrong password: django-axes listens for this.
            credentials = {"username": user.get_username()}
            user_login_failed.send(sender=__name__, credentials=credentials, request=self.request)
            raise ValidationError(
                self.error_messages["invalid_login"],
                code="invalid_login",
                params={"username": self.username_field.verbose_name},
            )

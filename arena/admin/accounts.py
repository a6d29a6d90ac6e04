"""Accounts of staff and researchers. Who gets a password from somebody else chooses their own at the next sign-in."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from arena.models import GivenPassword

admin.site.unregister(User)


@admin.register(User)
class AccountAdmin(UserAdmin):
    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            GivenPassword.objects.create(user=obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        found = self.get_object(request, unquote(id))
        answer = super().user_change_password(request, id, form_url)
        user = User.objects.filter(pk=found.pk).first() if found else None
        if found and user and user.password != found.password:
            if user == request.user:
                GivenPassword.objects.filter(user=user).delete()
            else:
                GivenPassword.objects.update_or_create(user=user)
        return answer

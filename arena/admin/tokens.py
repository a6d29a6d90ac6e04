"""Tokens of researchers' programs: made here, shown once, revoked here."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone

from arena.models import ApiToken
from arena.models.tokens import Scope, every_scope


class TokenForm(forms.ModelForm):
    scopes = forms.MultipleChoiceField(
        choices=Scope.choices, widget=forms.CheckboxSelectMultiple, initial=every_scope,
        help_text="What the token may do. What its user may do bounds it, too.",
    )  # fmt: skip

    class Meta:
        model = ApiToken
        fields = ["user", "name", "scopes", "expires_at"]

    def clean_expires_at(self) -> Any:
        expires_at = self.cleaned_data["expires_at"]
        if expires_at <= timezone.now():
            raise forms.ValidationError("This is over already.")
        return expires_at


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):
    form = TokenForm
    list_display = ["shown", "name", "user", "scopes", "valid", "expires_at", "last_used_at", "created_at"]
    list_filter = ["expires_at", "revoked_at"]
    list_select_related = ["user"]
    search_fields = ["name", "shown", "user__username"]
    autocomplete_fields = ["user"]
    actions = ["revoke"]

    @admin.display(boolean=True, description="valid")
    def valid(self, obj: ApiToken) -> bool:
        return obj.is_valid and obj.user.is_active

    @admin.action(description="Revoke the selected tokens, for good", permissions=["delete"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[ApiToken]) -> None:
        count = queryset.filter(revoked_at__isnull=True).update(revoked_at=timezone.now())
        self.message_user(request, f"{count} revoked.")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """Who may make tokens makes them for themselves and for people without rights here: a token of an admin would
        lend them rights that they do not have."""
        if not request.user.is_superuser:
            options["queryset"] = User.objects.filter(Q(is_staff=False) | Q(pk=request.user.pk))
        return super().formfield_for_foreignkey(db_field, request, **options)

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:
        made, request.made_key = ApiToken.issue(**form.cleaned_data)  # type: ignore[attr-defined]  # ours
        obj.__dict__.update(made.__dict__)

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:
        """The only page that shows the key; nobody keeps it, no browser either."""
        key = request.made_key  # type: ignore[attr-defined]  # ours
        shown = {**self.admin_site.each_context(request), "token": obj, "key": key, "opts": self.opts}
        answer = render(request, "admin/arena/apitoken/made.html", {**shown, "title": "The token"})
        answer["Cache-Control"] = "private, no-store"
        return answer

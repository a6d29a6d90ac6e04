"""Clip pairs that are served again: requested on the page of disagreements, listed and stopped here."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from arena.models import Again
from arena.serving.again import stop

from .links import link_to
from .read_only import ReadOnlyAdmin


@admin.register(Again)
class AgainAdmin(ReadOnlyAdmin):
    list_display = ["id", "study_link", "low_link", "high_link", "wanted", "left", "by", "asked_at", "stopped_at"]
    list_filter = ["study", "stopped_at"]
    list_select_related = ["study", "clip_low__system", "clip_high__system"]
    search_fields = ["=clip_low__id", "=clip_high__id", "by"]
    actions = ["stop"]
    study_link, low_link, high_link = link_to("study"), link_to("clip_low"), link_to("clip_high")

    @admin.action(description="Stop serving the selected clip pairs", permissions=["stop"])
    def stop(self, request: HttpRequest, queryset: QuerySet[Again]) -> None:
        self.message_user(request, f"{stop(queryset)} clip pairs will not be served again.")

    def has_stop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("arena.change_again")

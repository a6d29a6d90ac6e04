"""What runs by itself: when each sweep last began and finished, and what fails."""

from typing import Any

from django.contrib import admin
from django.db.models import F, QuerySet
from django.http import HttpRequest

from arena.models import Sweep, SweepFailure

from .links import link_to, list_of
from .read_only import ReadOnlyAdmin


@admin.register(Sweep)
class SweepAdmin(ReadOnlyAdmin):
    list_display = ["name", "begun_at", "finished_at", "position", "n_failures", "next_try_at", "failures"]
    search_fields = ["name"]
    actions = ["try_now"]
    failures = list_of("failures", "sweep__id__exact", "arena", "sweepfailure")

    @admin.action(description="Try the selected sweeps again at once", permissions=["try"])
    def try_now(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        queryset.update(next_try_at=None)

    def has_try_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("arena.change_sweep")


@admin.register(SweepFailure)
class SweepFailureAdmin(ReadOnlyAdmin):
    list_display = ["sweep", "what", "row", "study_link", "n_failures", "failed_at", "next_try_at"]
    list_filter = ["sweep", "what", "study"]
    list_select_related = ["sweep", "study"]
    search_fields = ["=row", "error"]
    actions = ["try_now"]
    study_link = link_to("study")

    @admin.action(description="Try the selected rows again at once", permissions=["try"])
    def try_now(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        queryset.update(next_try_at=F("failed_at"))

    def has_try_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("arena.change_sweepfailure")

"""Score jobs in the admin: which files are waiting, being scored or done, and with what result."""

from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Case, Count, Q, QuerySet, Value, When
from django.http import HttpRequest
from django.utils import timezone

from arena.admin import ReadOnlyAdmin, link_to, list_of
from scoring.models import ScoreItem, ScoreJob

QUEUED, CLAIMED, DONE, FAILED = "queued", "claimed", "done", "failed"


def state_of_jobs(prefix: str = "") -> Case:
    """The state of a job as a database expression; `prefix` is the lookup that leads to it from another model."""
    return Case(
        When(**{f"{prefix}done_at__isnull": False, "then": Value(DONE)}),
        When(**{f"{prefix}claimed_until__gte": timezone.now(), "then": Value(CLAIMED)}),
        default=Value(QUEUED),
    )


def state_of_items() -> Case:
    """The state of a file as a database expression; a waiting file has the state of its job."""
    return Case(
        When(reward__isnull=False, then=Value(DONE)),
        When(~Q(error=""), then=Value(FAILED)),
        default=state_of_jobs("job__"),
    )


class StateFilter(admin.SimpleListFilter):
    title = parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(state, state) for state in model_admin.states]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.display(description="state", ordering="state")
def state(obj: Any) -> str:
    return obj.state


@admin.register(ScoreJob)
class ScoreJobAdmin(ReadOnlyAdmin):
    states = [QUEUED, CLAIMED, DONE]
    list_display = [
        "id", state, "user_link", "files", "waiting", "failed", "attempts", "created_at", "done_at",
        "reward_model_link", "items",
    ]  # fmt: skip
    list_filter = [StateFilter, "reward_model"]
    list_select_related = ["user", "reward_model"]
    search_fields = ["=id", "user__username", "prompt"]
    fields: ClassVar[Any] = [  # functions, too, as these are `readonly_fields`
        state, "user_link", "prompt", "files", "waiting", "failed", "attempts", "claimed_until", "created_at",
        "done_at", "reward_model_link", "items",
    ]  # fmt: skip
    user_link, reward_model_link = link_to("user"), link_to("reward_model")
    items = list_of("list of files", "job__id__exact", "scoring", "scoreitem")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        waiting = Q(items__reward=None, items__error="")
        return (
            super()
            .get_queryset(request)
            .annotate(
                state=state_of_jobs(),
                n_files=Count("items"),
                n_waiting=Count("items", filter=waiting),
                n_failed=Count("items", filter=~Q(items__error="")),
            )
        )

    @admin.display(description="files", ordering="n_files")
    def files(self, obj: Any) -> int:
        return obj.n_files

    @admin.display(description="waiting", ordering="n_waiting")
    def waiting(self, obj: Any) -> int:
        return obj.n_waiting

    @admin.display(description="failed", ordering="n_failed")
    def failed(self, obj: Any) -> int:
        return obj.n_failed


@admin.register(ScoreItem)
class ScoreItemAdmin(ReadOnlyAdmin):
    states = [QUEUED, CLAIMED, DONE, FAILED]
    list_display = ["__str__", state, "job_link", "position", "reward", "error", "created_at"]
    list_filter = [StateFilter]
    list_select_related = ["job"]
    search_fields = ["=job__id", "filename", "sha256", "error"]
    fields: ClassVar[Any] = [
        "filename",
        state,
        "job_link",
        "position",
        "sha256",
        "stored",
        "reward",
        "error",
        "created_at",
    ]
    job_link = link_to("job")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return super().get_queryset(request).annotate(state=state_of_items())

    @admin.display(description="sent", ordering="job__created_at")
    def created_at(self, obj: ScoreItem) -> datetime:
        return obj.job.created_at

    @admin.display(description="file in the storage")
    def stored(self, obj: ScoreItem) -> str:
        return obj.file.name or "erased"

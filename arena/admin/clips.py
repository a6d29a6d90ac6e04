"""What is compared: systems, prompts, clips, excerpts."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join

from arena.models import Clip, Excerpt, Prompt, System

from .links import file_of, link_to, list_of
from .read_only import NamedAdmin, ReadOnlyAdmin


class IngestAdmin(ReadOnlyAdmin):
    """Clips and excerpts: rejected ones can be tried again, once the cause is removed."""

    actions = ["try_again"]

    @admin.action(description="Try the selected rejected ones again", permissions=["try"])
    def try_again(self, request: HttpRequest, queryset: Any) -> None:
        self.message_user(request, f"{self.with_file(queryset).try_again()} will be tried again.")

    def with_file(self, queryset: Any) -> Any:
        """Those that can be tried again."""
        return queryset

    def has_try_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("arena.change_clip")


@admin.register(System)
class SystemAdmin(NamedAdmin):
    written_once = ["name"]
    list_display = [
        "name", "description", "sings_lyrics", "created_at", "retired_at", "clips", "ratings", "biases", "reports",
    ]  # fmt: skip
    list_filter = ["studies", "sings_lyrics", "retired_at"]
    search_fields = ["name", "description"]
    clips = list_of("clips", "system__id__exact", "arena", "clip")
    ratings = list_of("ratings", "system__id__exact", "scoring", "rating")
    biases = list_of("biases", "system__id__exact", "scoring", "anchorbias")

    def get_queryset(self, request: HttpRequest) -> QuerySet[System]:
        return super().get_queryset(request).prefetch_related("studies")

    @admin.display(description="report, by study")
    def reports(self, obj: System) -> str:
        pages = ((reverse("system", args=[study.slug, obj.name]), study.slug) for study in obj.studies.all())
        return format_html_join(", ", '<a href="{}">{}</a>', pages) or "-"


@admin.register(Prompt)
class PromptAdmin(NamedAdmin):
    written_once = ["text", "lyrics"]
    list_display = ["__str__", "tags", "created_at", "clips"]
    search_fields = ["text", "lyrics"]
    clips = list_of("clips", "prompt__id__exact", "arena", "clip")


@admin.register(Clip)
class ClipAdmin(IngestAdmin):
    """The copy of a rejected file does not stay: import it again to have it measured again."""

    list_display = [
        "id", "system_link", "prompt_link", "status", "reason", "duration_ms", "loudness_lufs", "true_peak_dbtp",
        "excerpts", "rewards",
    ]  # fmt: skip
    list_filter = ["status", "system", "licence"]
    list_select_related = ["system", "prompt"]
    search_fields = ["filename", "sha256", "reason", "prompt__text", "system__name"]
    exclude = ["original"]
    readonly_fields = ["stored"]
    stored = file_of("original", "file as it came")
    system_link, prompt_link = link_to("system"), link_to("prompt")
    excerpts = list_of("excerpts", "clip__id__exact", "arena", "excerpt")
    rewards = list_of("rewards", "clip__id__exact", "scoring", "reward")

    def with_file(self, queryset: Any) -> Any:
        return queryset.exclude(original="")


@admin.register(Excerpt)
class ExcerptAdmin(IngestAdmin):
    list_display = [
        "id", "clip_link", "study", "start_ms", "length_ms", "codec", "status", "reason", "n_served", "gain_db",
        "loudness_lufs", "true_peak_dbtp",
    ]  # fmt: skip
    list_filter = ["status", "codec", "study"]
    list_select_related = ["clip__system", "study"]
    search_fields = ["clip__filename", "reason", "=clip__id"]
    exclude = ["file"]
    readonly_fields = ["stored"]
    stored = file_of("file", "file in the storage")
    clip_link = link_to("clip")

"""`scoring` in the admin: what was computed, from what, and what failed."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import FileResponse, Http404, HttpRequest
from django.shortcuts import get_object_or_404
from django.urls import path, reverse

from arena.admin import ReadOnlyAdmin, file_of, link_to, list_of
from scoring.models import (
    AnchorBias,
    AnchorFit,
    CategoryBoards,
    Edition,
    EditionChange,
    Embedding,
    Figure,
    PredictionPowered,
    QualityReport,
    Rating,
    Release,
    Reward,
    RobustnessCard,
    TrainingMark,
)

from . import reward_models, score_jobs

__all__ = [
    "reward_models",  # reward models, what was decided about them, and their retraining
    "score_jobs",  # files that researchers sent
]


@admin.register(Embedding)
class EmbeddingAdmin(ReadOnlyAdmin):
    list_display = ["id", "clip_link", "encoder", "revision", "state", "attempts", "error", "created_at"]
    list_filter = ["encoder", "revision", ("vector", admin.EmptyFieldListFilter), ("error", admin.EmptyFieldListFilter)]
    list_select_related = ["clip__system"]
    search_fields = ["=clip__id", "error"]
    exclude = ["vector"]
    actions = ["try_again"]
    clip_link = link_to("clip")

    @admin.action(description="Try the selected failed ones again", permissions=["try"])
    def try_again(self, request: HttpRequest, queryset: QuerySet[Embedding]) -> None:
        count, _ = queryset.exclude(error="").delete()
        self.message_user(request, f"{count} will be tried again.")

    def has_try_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scoring.change_embedding")

    @admin.display(description="state")
    def state(self, obj: Embedding) -> str:
        return "failed" if obj.error else "claimed" if obj.vector is None else "done"


@admin.register(Reward)
class RewardAdmin(ReadOnlyAdmin):
    list_display = ["clip_link", "value", "reward_model_link", "protocol", "created_at"]
    list_filter = ["reward_model", "protocol", "clip__system"]
    list_select_related = ["clip__system", "reward_model"]
    search_fields = ["=clip__id"]
    clip_link, reward_model_link = link_to("clip"), link_to("reward_model")


@admin.register(Edition)
class EditionAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "method", "method_version", "n_votes", "excluded", "ledger_seq", "created_at", "ratings"]
    list_filter = ["study", "method", "method_version"]
    list_select_related = ["study"]
    search_fields = ["input_hash", "=number", "study__slug"]
    date_hierarchy = "created_at"
    ratings = list_of("ratings", "edition__id__exact", "scoring", "rating")


@admin.register(Rating)
class RatingAdmin(ReadOnlyAdmin):
    list_display = ["edition_link", "system_link", "group", "value", "low", "high", "n_votes"]
    list_filter = ["edition__study", "system"]
    list_select_related = ["edition__study", "system"]
    search_fields = ["system__name", "=edition__number"]
    edition_link, system_link = link_to("edition"), link_to("system")


@admin.register(PredictionPowered)
class PredictionPoweredAdmin(ReadOnlyAdmin):
    list_display = ["edition_link", "reward_model_link", "found", "created_at"]
    list_filter = ["edition__study", "reward_model"]
    list_select_related = ["edition__study", "reward_model"]
    search_fields = ["=edition__number", "reward_model__name"]
    edition_link, reward_model_link = link_to("edition"), link_to("reward_model")

    @admin.display(description="intervals against votes alone")
    def found(self, obj: PredictionPowered) -> str:
        return obj.result["not_offered"] or f"{obj.result['width_ratio']:.3f} times as wide"


@admin.register(CategoryBoards)
class CategoryBoardsAdmin(ReadOnlyAdmin):
    list_display = ["edition_link", "method", "method_version", "names", "created_at"]
    list_filter = ["edition__study"]
    list_select_related = ["edition__study"]
    edition_link = link_to("edition")

    @admin.display(description="categories")
    def names(self, obj: CategoryBoards) -> str:
        return ", ".join(category["category"] for category in obj.summary) or "-"


@admin.register(Figure)
class FigureAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "edition_link", "is_drawn", "drawn_at"]
    list_filter = ["study", "name"]
    list_select_related = ["study", "edition__study"]
    exclude = ["narrow", "wide"]
    edition_link = link_to("edition")

    @admin.display(boolean=True, description="drawn")
    def is_drawn(self, obj: Figure) -> bool:
        return bool(obj.narrow and obj.wide)


def agreement(name: str, label: str) -> Callable[[Any, Any], str]:
    """A column with one of a report's agreements: value, 95 % interval, and the data it is based on."""

    @admin.display(description=label)
    def column(self, obj):
        measure = obj.report.get(name)
        if not measure or measure["value"] is None:
            return measure["reason"] if measure else "-"
        interval = "" if measure["low"] is None else f" [{measure['low']:.2f}, {measure['high']:.2f}]"
        return f"{measure['value']:.2f}{interval}, n = {measure['n']} of {measure['n_raters']} raters"

    return column


@admin.register(RobustnessCard, EditionChange)
class OfEditionAdmin(ReadOnlyAdmin):
    list_display = ["edition_link", "method_version", "created_at"]
    list_filter = ["edition__study"]
    list_select_related = ["edition__study"]
    date_hierarchy = "created_at"
    edition_link = link_to("edition")


@admin.register(QualityReport)
class QualityReportAdmin(ReadOnlyAdmin):
    list_display = ["study", "ledger_seq", "created_at", "results", "alpha", "inter", "intra"]
    list_filter = ["study"]
    list_select_related = ["study"]
    alpha = agreement("krippendorff_alpha", "Krippendorff's alpha")
    inter = agreement("inter_rater", "agreement between raters")
    intra = agreement("intra_rater", "agreement with themselves")

    @admin.display(description="raters")
    def results(self, obj: QualityReport) -> str:
        counts = obj.report.get("results", {})
        return ", ".join(f"{n} {result}" for result, n in counts.items()) or obj.report.get("outage", "-")


@admin.register(AnchorFit)
class AnchorFitAdmin(ReadOnlyAdmin):
    list_display = ["id", "study", "reward_model_link", "n_pairs", "n_unscored", "ledger_seq", "created_at", "biases"]
    list_filter = ["study", "reward_model"]
    list_select_related = ["study", "reward_model"]
    search_fields = ["study__slug", "reward_model__name"]
    reward_model_link = link_to("reward_model")
    biases = list_of("biases", "fit__id__exact", "scoring", "anchorbias")


@admin.register(AnchorBias)
class AnchorBiasAdmin(ReadOnlyAdmin):
    list_display = ["system_link", "bias", "low", "high", "n_pairs", "n_needed", "fit_link"]
    list_filter = ["system", "fit__study", "fit__reward_model"]
    list_select_related = ["system", "fit__study", "fit__reward_model"]
    search_fields = ["system__name"]
    system_link, fit_link = link_to("system"), link_to("fit")


@admin.register(TrainingMark)
class TrainingMarkAdmin(ReadOnlyAdmin):
    """Training marks, which staff set on the page of disagreements."""

    list_display = ["id", "study", "low_link", "high_link", "weight", "by", "created_at"]
    list_filter = ["study"]
    list_select_related = ["study", "clip_low__system", "clip_high__system"]
    search_fields = ["=clip_low__id", "=clip_high__id", "by"]
    low_link, high_link = link_to("clip_low"), link_to("clip_high")


@admin.register(Release)
class ReleaseAdmin(ReadOnlyAdmin):
    list_display = ["number", "content", "study", "format", "n_rows", "excluded", "ledger_seq", "sha256", "created_at"]
    list_filter = ["content", "format", "study"]
    search_fields = ["sha256", "=number"]
    exclude = ["file"]
    readonly_fields = ["stored"]
    stored = file_of("file", "file", lambda release: reverse("admin:scoring_release_file", args=[release.pk]))

    def get_urls(self) -> list[Any]:
        download = path("<int:pk>/file/", self.admin_site.admin_view(self.download), name="scoring_release_file")
        return [download, *super().get_urls()]

    def download(self, request: HttpRequest, pk: int) -> FileResponse:
        """The file of a release, byte by byte as published."""
        release = get_object_or_404(Release, pk=pk)
        if not self.has_view_permission(request, release):
            raise PermissionDenied("You may not see releases.")
        try:
            file = release.file.open("rb")
        except (FileNotFoundError, ValueError) as gone:
            raise Http404("The file of this release is no longer there.") from gone
        name = f"{release.content}-{release.number}.{release.format}"
        answer = FileResponse(file, as_attachment=True, filename=name)
        answer["Cache-Control"] = "private, no-store"
        return answer

"""Raters: how they came, what they agreed to, the battles they were served."""

from django.contrib import admin

from arena.models import Arrival, Battle, Consent, Participation, Rater

from .links import link_to, list_of
from .read_only import ReadOnlyAdmin


@admin.register(Rater)
class RaterAdmin(ReadOnlyAdmin):
    list_display = ["__str__", "kind", "created_at", "withdrawn_at", "ears_free_at", "battles", "votes"]
    list_filter = ["kind", "withdrawn_at"]
    search_fields = ["=id"]
    battles = list_of("battles", "rater__id__exact", "arena", "battle")
    votes = list_of("votes", "rater__id__exact", "annotations", "vote")


@admin.register(Consent)
class ConsentAdmin(ReadOnlyAdmin):
    list_display = ["rater_link", "study", "version", "given_at"]
    list_filter = ["study", "version"]
    search_fields = ["=rater__id"]
    rater_link = link_to("rater")


@admin.register(Participation)
class ParticipationAdmin(ReadOnlyAdmin):
    """Without `participant`, which is of no use here."""

    list_display = ["__str__", "rater_link", "study_link", "volume", "headphones", "headphone_attempts", "started_at"]
    list_filter = ["study", "headphones"]
    list_select_related = ["rater", "study"]
    search_fields = ["=rater__id"]
    date_hierarchy = "started_at"
    ordering = ["-started_at"]
    exclude = ["participant"]
    rater_link, study_link = link_to("rater"), link_to("study")


@admin.register(Arrival)
class ArrivalAdmin(ReadOnlyAdmin):
    """Only a list, without the marks of connection, network and device."""

    list_display = ["at", "rater_link", "is_forwarded"]
    list_display_links = None
    list_select_related = ["rater"]
    search_fields = ["=rater__id"]
    date_hierarchy = "at"
    ordering = ["-at"]
    exclude = ["connection", "network", "device"]
    rater_link = link_to("rater")


@admin.register(Battle)
class BattleAdmin(ReadOnlyAdmin):
    list_display = [
        "__str__", "study", "kind", "rater_link", "clip_a_link", "clip_b_link", "probability", "served_at",
        "close_reason", "vote_list",
    ]  # fmt: skip
    list_filter = ["study", "kind", "close_reason", "system_a", "system_b"]
    list_select_related = ["study", "rater", "clip_a__system", "clip_b__system"]
    search_fields = ["=id", "=rater__id", "=external_id"]
    date_hierarchy = "served_at"
    ordering = ["-served_at"]
    rater_link, clip_a_link, clip_b_link = link_to("rater"), link_to("clip_a"), link_to("clip_b")
    vote_list = list_of("vote", "battle__id__exact", "annotations", "vote")

    @admin.display(description="pair probability", ordering="pair_probability")
    def probability(self, obj: Battle) -> str:
        return "-" if obj.pair_probability is None else f"{obj.pair_probability:.3f}"

"""Votes, flags and screenings in the admin: they can be searched, not changed."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from arena.admin import ReadOnlyAdmin, link_to, list_of

from . import services
from .models import Alarm, Flag, GroupNumbers, Ledger, LedgerSeal, Reliability, Screening, Vote, VoteDetails
from .quality import QUALITY_RULES


@admin.register(Vote)
class VoteAdmin(ReadOnlyAdmin):
    list_display = [
        "id", "preference", "battle_link", "rater_link", "heard_a_ms", "heard_b_ms", "first_played", "switches",
        "received_at", "flags", "details_link",
    ]  # fmt: skip
    list_filter = ["preference", "battle__study", "battle__kind", "first_played", "flags__rule"]
    list_select_related = ["battle", "rater", "details"]
    search_fields = ["=id", "=battle__id", "=rater__id"]
    date_hierarchy = "received_at"
    ordering = ["-id"]
    battle_link, rater_link = link_to("battle"), link_to("rater")
    flags = list_of("flags", "vote__id__exact", "annotations", "flag")
    details_link = list_of("details", "vote__id__exact", "annotations", "votedetails")


@admin.register(VoteDetails)
class VoteDetailsAdmin(ReadOnlyAdmin):
    list_display = ["vote_link", "comment", "language", "user_agent"]
    list_filter = ["vote__battle__study", ("comment", admin.EmptyFieldListFilter)]
    list_select_related = ["vote"]
    search_fields = ["comment", "=vote__id"]
    vote_link = link_to("vote")


@admin.register(Flag)
class FlagAdmin(ReadOnlyAdmin):
    list_display = ["id", "rule", "rule_version", "vote_link", "detail", "created_at"]
    list_filter = ["rule", "rule_version", "vote__battle__study"]
    list_select_related = ["vote"]
    search_fields = ["=vote__id", "=vote__rater__id"]
    actions = ["clear"]
    vote_link = link_to("vote")

    @admin.action(description="Count all votes of the raters of the selected quality flags", permissions=["clear"])
    def clear(self, request: HttpRequest, queryset: QuerySet[Flag]) -> None:
        votes = Vote.objects.filter(flags__in=queryset.filter(rule__in=QUALITY_RULES)).distinct()
        cleared = services.clear(votes, by=request.user.get_username())
        self.message_user(
            request,
            f"{cleared} votes will be counted despite a quality rule; withdrawn votes stay excluded. "
            "Flags of other rules cannot be cleared.",
        )

    def has_clear_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("annotations.change_flag")


@admin.register(Ledger)
class LedgerAdmin(ReadOnlyAdmin):
    list_display = ["seq", "study", "vote_link", "flag_link", "seal", "link_version", "digest"]
    list_filter = ["study"]
    list_select_related = ["study", "vote", "flag", "seal"]
    search_fields = ["=seq", "=vote__id", "digest"]
    vote_link, flag_link = link_to("vote"), link_to("flag")


@admin.register(LedgerSeal)
class LedgerSealAdmin(ReadOnlyAdmin):
    list_display = ["through_seq", "created_at"]
    search_fields = ["=through_seq"]


@admin.register(Reliability)
class ReliabilityAdmin(ReadOnlyAdmin):
    list_display = ["rater_link", "study", "skill", "stderr", "n_votes", "ledger_seq", "created_at"]
    list_filter = ["study", "version"]
    list_select_related = ["rater", "study"]
    search_fields = ["=rater__id"]
    ordering = ["-pk"]
    rater_link = link_to("rater")


@admin.register(GroupNumbers)
class GroupNumbersAdmin(ReadOnlyAdmin):
    list_display = ["rater_link", "study", "place", "connection", "network", "device"]
    list_filter = ["study"]
    list_select_related = ["rater", "study"]
    search_fields = ["=rater__id"]
    ordering = ["-pk"]
    rater_link = link_to("rater")


@admin.register(Screening)
class ScreeningAdmin(ReadOnlyAdmin):
    list_display = ["rater_link", "study", "screen", "version", "result", "score", "n_votes", "at"]
    list_filter = ["study", "screen", "result"]
    list_select_related = ["rater", "study"]
    search_fields = ["=rater__id"]
    rater_link = link_to("rater")


@admin.register(Alarm)
class AlarmAdmin(ReadOnlyAdmin):
    list_display = ["raised_at", "study", "screen", "message", "seen_at"]
    list_filter = ["study", "screen", ("seen_at", admin.EmptyFieldListFilter)]
    list_select_related = ["study"]
    actions = ["seen"]

    @admin.action(description="Mark the selected alarms as seen", permissions=["see"])
    def seen(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        queryset.filter(seen_at__isnull=True).update(seen_at=timezone.now())

    def has_see_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("annotations.change_alarm")

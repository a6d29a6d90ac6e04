"""The stage in the admin. What is append-only is read-only here too; related things link to each other."""

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html

from .models import Battle, Clip, Consent, Excerpt, Prompt, Rater, Study, System

admin.site.site_header = admin.site.site_title = "Arena"
admin.site.index_title = "What is compared, what people said, what models say"


class ReadOnlyAdmin(admin.ModelAdmin):
    """To look at, not to touch."""

    def has_add_permission(self, request):
        return False

    def has_change_permission(self, request, obj=None):
        return False

    def has_delete_permission(self, request, obj=None):
        return False


class NamedAdmin(admin.ModelAdmin):
    """What editions and releases repeat is written once: the database refuses to change it later."""

    written_once = ()

    def get_readonly_fields(self, request, obj=None):
        return self.written_once if obj else ()


def link_to(name):
    """A column that links to the related object of that name."""

    @admin.display(description=name.replace("_", " "), ordering=name)
    def link(self, obj):
        related = getattr(obj, name)
        if related is None:
            return "-"
        meta = related._meta
        address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[related.pk])
        return format_html('<a href="{}">{}</a>', address, related)

    return link


def list_of(label, lookup, app, model):
    """A column that links to the list of another model, narrowed to this object."""

    @admin.display(description=label)
    def link(self, obj):
        address = reverse(f"admin:{app}_{model}_changelist")
        return format_html('<a href="{}?{}={}">{}</a>', address, lookup, obj.pk, label)

    return link


class IngestAdmin(ReadOnlyAdmin):
    """Clips and excerpts: what was rejected can be tried again, once its cause is gone."""

    actions = ["try_again"]

    @admin.action(description="Try the selected rejected ones again", permissions=["try"])
    def try_again(self, request, queryset):
        self.message_user(request, f"{queryset.try_again()} will be tried again.")

    def has_try_permission(self, request):
        return request.user.has_perm("arena.change_clip")


@admin.register(System)
class SystemAdmin(NamedAdmin):
    written_once = ["name"]
    list_display = ["name", "description", "created_at", "retired_at", "clips", "ratings", "biases"]
    list_filter = ["studies", "retired_at"]
    search_fields = ["name", "description"]
    clips = list_of("clips", "system__id__exact", "arena", "clip")
    ratings = list_of("ratings", "system__id__exact", "scoring", "rating")
    biases = list_of("biases", "system__id__exact", "scoring", "anchorbias")


@admin.register(Prompt)
class PromptAdmin(NamedAdmin):
    written_once = ["text", "lyrics"]
    list_display = ["__str__", "tags", "created_at", "clips"]
    search_fields = ["text", "lyrics"]
    clips = list_of("clips", "prompt__id__exact", "arena", "clip")


@admin.register(Clip)
class ClipAdmin(IngestAdmin):
    list_display = [
        "id", "system_link", "prompt_link", "status", "reason", "duration_ms", "loudness_lufs", "true_peak_dbtp",
        "excerpts", "rewards",
    ]  # fmt: skip
    list_filter = ["status", "system", "licence"]
    list_select_related = ["system", "prompt"]
    search_fields = ["filename", "sha256", "reason", "prompt__text", "system__name"]
    system_link, prompt_link = link_to("system"), link_to("prompt")
    excerpts = list_of("excerpts", "clip__id__exact", "arena", "excerpt")
    rewards = list_of("rewards", "clip__id__exact", "scoring", "reward")


@admin.register(Excerpt)
class ExcerptAdmin(IngestAdmin):
    list_display = [
        "id", "clip_link", "length_ms", "codec", "status", "reason", "gain_db", "loudness_lufs", "true_peak_dbtp",
    ]  # fmt: skip
    list_filter = ["status", "codec"]
    list_select_related = ["clip__system"]
    search_fields = ["clip__filename", "reason", "=clip__id"]
    clip_link = link_to("clip")


@admin.register(Study)
class StudyAdmin(NamedAdmin):
    written_once = ["slug", "is_simulated"]
    list_display = ["slug", "name", "is_default", "is_open", "is_simulated", "ends_at", "battles", "editions"]
    list_filter = ["is_open", "is_simulated"]
    search_fields = ["slug", "name", "description"]
    autocomplete_fields = ["systems", "prompts"]
    battles = list_of("battles", "study__id__exact", "arena", "battle")
    editions = list_of("editions", "study__id__exact", "scoring", "edition")


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
    def probability(self, obj):
        return "-" if obj.pair_probability is None else f"{obj.pair_probability:.3f}"

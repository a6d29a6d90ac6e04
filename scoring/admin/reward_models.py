"""Reward models in the admin: the models, the decisions about them with their reasons, and the retraining loop."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from arena.admin import ReadOnlyAdmin, link_to, list_of
from arena.refusals import Refusal
from scoring.models import Decision, Retraining, RetrainingRun, RewardModel
from scoring.registry import live as registry
from scoring.reward.encoders import KEYS, get_encoder
from scoring.training import retraining
from scoring.wording.facts import facts

NOTHING = "-"


def sentences(lines: Iterable[str]) -> str:
    """Lines of text, each on a line of its own."""
    return format_html_join("", "<div>{}</div>", ((line,) for line in lines)) or NOTHING


def clock(iso: str | None) -> str:
    return f"{datetime.fromisoformat(iso):%Y-%m-%d %H:%M:%S}" if iso else NOTHING


@admin.register(RewardModel)
class RewardModelAdmin(ReadOnlyAdmin):
    list_display = ["name", "status", "held_out", "ledger_seq", "created_at", "activated_at", "rewards", "anchor_fits"]
    list_filter = ["status"]
    search_fields = ["name", "sha256"]
    actions = ["activate"]
    fields = [
        "name", "page", "status", "can_go_live", "held_out", "validation", "blocks", "trained_on", "pairs", "epochs",
        "ledger_seq", "file", "sha256", "created_at", "activated_at", "decided",
    ]  # fmt: skip
    rewards = list_of("rewards", "reward_model__id__exact", "scoring", "reward")
    anchor_fits = list_of("anchor fits", "reward_model__id__exact", "scoring", "anchorfit")

    @admin.display(description="page")
    def page(self, obj: RewardModel) -> str:
        address = reverse("model", args=[obj.name])
        return format_html(
            '<a href="{}">{}</a>: its figures, plots and decisions, as everybody sees them', address, address
        )

    @admin.display(description="held out")
    def held_out(self, obj: RewardModel) -> str:
        return _figures(obj.metrics.get("test"))

    @admin.display(description="validation")
    def validation(self, obj: RewardModel) -> str:
        return _figures(obj.metrics.get("validation"))

    @admin.display(description="can go live here")
    def can_go_live(self, obj: RewardModel) -> str:
        return sentences(registry.problems(obj) or ["Yes: its weights are in the storage, its encoders are known."])

    @admin.display(description="encoder blocks")
    def blocks(self, obj: RewardModel) -> str:
        return sentences(f"{b['key']}, revision {b['revision']}, {b['dimension']} numbers" for b in obj.encoders)

    @admin.display(description="trained on")
    def trained_on(self, obj: RewardModel) -> str:
        return facts({name: value for name, value in obj.config.items() if name not in ("split", "seeds")}) or NOTHING

    @admin.display(description="votes by side")
    def pairs(self, obj: RewardModel) -> str:
        split = obj.config.get("split") or {}
        return f"by {split.get('by')}: {facts(split['pairs'])}" if split.get("pairs") else NOTHING

    @admin.display(description="file of weights")
    def file(self, obj: RewardModel) -> str | None:
        return obj.weights.name

    @admin.display(description="epochs")
    def epochs(self, obj: RewardModel) -> int | str:
        return len(obj.history) or NOTHING

    @admin.display(description="decisions")
    def decided(self, obj: RewardModel) -> str:
        decisions = registry.history().filter(model=obj)
        return sentences(
            f"{decision.created_at:%Y-%m-%d %H:%M} UTC, {decision.get_act_display()}, by {decision.by}"
            for decision in decisions
        )

    @admin.action(description="Make the selected model live", permissions=["activate"])
    def activate(self, request: HttpRequest, queryset: QuerySet[RewardModel]) -> None:
        if queryset.count() != 1:
            self.message_user(request, "Select exactly one model: only one is live.", messages.ERROR)
            return
        model = queryset.get()
        try:
            decision = registry.activate(model, request.user.get_username())
        except Refusal as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        self.message_user(request, f"{model.name} is live{'' if decision else ' already: nothing to do'}.")

    def has_activate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("scoring.change_rewardmodel")


def _figures(metrics):
    if not metrics or metrics.get("accuracy") is None:
        return NOTHING
    return f"accuracy {metrics['accuracy']:.3f}, ECE {metrics['ece']:.3f}, n = {metrics['n_decided']}"


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ["created_at", "act", "model_link", "replaced_link", "by", "found"]
    list_filter = ["act"]
    list_select_related = ["model", "replaced"]
    search_fields = ["by", "model__name"]
    fields = ["created_at", "act", "model_link", "replaced_link", "by", "why", "figures"]
    model_link, replaced_link = link_to("model"), link_to("replaced")

    @admin.display(description="found")
    def found(self, obj: Decision) -> str:
        """The gate's figures in one line: the candidate's, then the live model's."""
        judged = obj.reasons
        if not judged.get("n_decided"):
            return "; ".join(judged.get("forced_over", [])) or NOTHING
        return (
            f"right on {judged['candidate_accuracy']:.1%} against {judged['live_accuracy']:.1%} of "
            f"{judged['n_decided']}, p = {judged['p_value']:.2g}, "
            f"ECE {judged['candidate_ece']:.3f} against {judged['live_ece']:.3f}"
        )

    @admin.display(description="why")
    def why(self, obj: Decision) -> str:
        return sentences([*obj.reasons.get("reasons", []), *obj.reasons.get("forced_over", [])])

    @admin.display(description="figures")
    def figures(self, obj: Decision) -> str:
        return facts({name: v for name, v in obj.reasons.items() if name not in ("reasons", "forced_over")}) or NOTHING


class RetrainingForm(forms.ModelForm):
    """Checks each field, with the error beside it."""

    judge_share = forms.FloatField(
        min_value=0.05, max_value=0.95, initial=0.4, help_text=Retraining._meta.get_field("judge_share").help_text
    )
    min_new_votes = forms.IntegerField(
        min_value=2, initial=200, help_text=Retraining._meta.get_field("min_new_votes").help_text
    )
    seeds = forms.IntegerField(min_value=1, max_value=20, initial=3, help_text="Trainings from different starts.")

    class Meta:
        model = Retraining
        fields = ["is_on", "studies", "encoders", "min_new_votes", "judge_share", "seeds", "promotes"]
        help_texts = {"encoders": f"Keys, comma-separated. There are: {', '.join(KEYS)}."}

    def clean_encoders(self) -> str:
        keys = Retraining(encoders=self.cleaned_data["encoders"]).encoder_keys
        if len(set(keys)) < len(keys):
            raise forms.ValidationError("An encoder is named twice.")
        kinds = []
        for key in keys:
            try:
                encoder = get_encoder(key)
                kinds.append((encoder.kind, encoder.revision))
            except (ValueError, OSError) as error:  # no such encoder, or no weights for it
                raise forms.ValidationError(str(error)) from error
        if "audio" not in dict(kinds):
            raise forms.ValidationError("At least one encoder must hear the clip: name one of kind audio.")
        return ",".join(keys)


@admin.register(Retraining)
class RetrainingAdmin(admin.ModelAdmin):
    form = RetrainingForm
    list_display = ["__str__", "is_on", "encoders", "min_new_votes", "judge_share", "seeds", "promotes", "next_run"]
    readonly_fields = ["next_run"]
    fields = [*RetrainingForm.Meta.fields, "next_run"]
    filter_horizontal = ["studies"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and not Retraining.objects.exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Retraining, form: Any, change: bool) -> None:
        obj.pk = 1
        super().save_model(request, obj, form, change)

    @admin.display(description="what it waits for")
    def next_run(self, obj: Retraining) -> str:
        if not obj.pk:
            return NOTHING
        if run := retraining.unfinished():
            address = reverse("admin:scoring_retrainingrun_change", args=[run.pk])
            return format_html('<a href="{}">{}</a> is to {}.', address, run, run.get_step_display())
        try:
            plan = retraining.make_plan(obj)
        except retraining.NotDue as reason:
            return str(reason)
        return f"A run is due: {plan.n_unseen - plan.n_judge} new votes to train on, {plan.n_judge} to judge by."


@admin.register(RetrainingRun)
class RetrainingRunAdmin(ReadOnlyAdmin):
    list_display = [
        "__str__",
        "step",
        "candidate_link",
        "verdict",
        "live_before_link",
        "started_at",
        "ended_at",
        "error",
    ]
    list_filter = ["step"]
    list_select_related = ["candidate", "live_before"]
    search_fields = ["=id", "error"]
    fields = [
        "started_at", "steps", "ended_at", "error", "live_before_link", "candidate_link", "votes", "train_seq",
        "judge_seq", "settings",
    ]  # fmt: skip
    candidate_link, live_before_link = link_to("candidate"), link_to("live_before")

    @admin.display(description="verdict")
    def verdict(self, obj: RetrainingRun) -> str:
        promoted = obj.facts.get("judge", {}).get("promoted")
        return NOTHING if promoted is None else "promoted" if promoted else "kept out"

    @admin.display(description="votes")
    def votes(self, obj: RetrainingRun) -> str:
        return facts(obj.facts.get("votes", {})) or NOTHING

    @admin.display(description="settings then")
    def settings(self, obj: RetrainingRun) -> str:
        return facts(obj.config) or NOTHING

    @admin.display(description="steps")
    def steps(self, obj: RetrainingRun) -> str:
        """A table of all steps: their state, when they ran, and what they found."""
        return format_html(
            "<table><thead><tr><th>step</th><th>state</th><th>began</th><th>ended</th><th>found</th></tr></thead>{}</table>",
            format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", self._steps(obj)),
        )

    def _steps(self, obj):
        for step in retraining.STEPS:
            facts_of_step = dict(obj.facts.get(step, {}))
            began, ended = (facts_of_step.pop(name, None) for name in ("began_at", "ended_at"))
            failed, reasons = facts_of_step.pop("failed_at", None), facts_of_step.pop("reasons", [])
            if ended:
                state = "done"
            elif failed:
                state = "failed"
            elif "skipped" in facts_of_step:
                state, reasons = "skipped", [facts_of_step.pop("skipped")]
            elif step == obj.step:
                state = "waits" if began and not obj.claimed_until else "at work" if began else "next"
            else:
                state = "to come" if not obj.ended_at else NOTHING
            details = sentences([*reasons, facts(facts_of_step)] if facts_of_step else reasons)
            yield step.label, state, clock(began), clock(ended or failed), details

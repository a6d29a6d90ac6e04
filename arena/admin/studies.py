"""The settings of a listening test, in the order in which they matter, with the same rules as the study file."""

import json
import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html

from arena import study_file
from arena.models import Study
from arena.storable import storable
from arena.study_changes import mixed, move_default, refused
from arena.study_file.values import limits
from arena.study_settings import GROUPS, SETTINGS, in_order, out_of_range

from .links import list_of
from .read_only import NamedAdmin

CODE_WORDS = re.compile(r"`([^`]+)`")


class ReadableJSON(forms.JSONField):
    """Readable JSON: indented, in a monospaced box, errors with their line."""

    def prepare_value(self, value: Any) -> Any:
        if isinstance(value, forms.fields.InvalidJSONInput):
            return value
        return json.dumps(in_order(value), indent=2, ensure_ascii=False)

    def to_python(self, value: Any) -> Any:
        if value in self.empty_values:
            return {}
        try:
            parsed = json.loads(value)
            fits = storable(parsed)
        except json.JSONDecodeError as error:
            raise ValidationError(f"Line {error.lineno}: this cannot be read as JSON: {error.msg}.") from error
        except RecursionError:
            fits = False
        if not fits:
            raise ValidationError("It contains a NUL or a lone surrogate, or is nested too deeply.")
        return parsed


class StudyForm(forms.ModelForm):
    """Reports the same problems as the study file. Uniqueness of the default is not checked: saving moves the mark."""

    class Meta:
        model = Study
        fields = SETTINGS
        help_texts = {
            "slug": "Its address, /listen/slug/. Never changes.",
            "is_default": "Where people without a link go. Marking this study removes the mark from another.",
            "ends_at": "From then on no battle is served and no vote accepted. Empty: no end.",
            "answers": 'A list of "A", "B", and any of "TIE", "BOTH_BAD".',
            "excerpt_s": "Seconds of each clip that are played, 1 to 90.",
            "consent_version": "Raise it when the text changes: raters are then asked again.",
        }

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if isinstance(model_field := Study._meta.get_field(name), models.IntegerField):
                field.validators = [_range_check(*limits(model_field))]

    def _get_validation_exclusions(self):
        return super()._get_validation_exclusions() | {"is_default"}  # type: ignore[misc]  # not in Django's public API

    def clean(self) -> dict[str, Any]:
        for name, value in self.cleaned_data.items():
            if isinstance(value, str):
                self.cleaned_data[name] = value.replace("\r\n", "\n")  # browsers send \r\n
        return self.cleaned_data

    def _post_clean(self):
        super()._post_clean()  # type: ignore[misc]  # not in Django's public API
        if self.instance.pk:
            for (name, *_), sentence in refused(self.before, self.instance):
                if name in self.fields and name not in self.errors:
                    self.add_error(name, sentence)

    @property
    def before(self) -> Study:
        """The study as it is in the database."""
        return Study.objects.get(pk=self.instance.pk)


def _range_check(low, high):
    """A validator with one sentence for a number out of range, instead of Django's two."""

    def check(value):
        if sentence := out_of_range(value, low, high):
            raise ValidationError(sentence)

    return check


@admin.register(Study)
class StudyAdmin(NamedAdmin):
    form = StudyForm
    written_once = ["slug", "is_simulated"]
    readonly_fields = ["pages"]
    list_display = [
        "slug", "name", "is_default", "is_open", "access", "is_simulated", "pages", "battles", "raters", "editions",
    ]  # fmt: skip
    list_filter = ["is_open", "access", "is_simulated"]
    search_fields = ["slug", "name", "description"]
    autocomplete_fields = ["systems", "prompts"]
    formfield_overrides = {
        models.JSONField: {
            "form_class": ReadableJSON,
            "widget": forms.Textarea(attrs={"rows": 7, "class": "code", "spellcheck": "false"}),
        }
    }
    save_on_top = True
    actions = ["download"]

    class Media:
        css = {"all": ["css/admin.css"]}  # a style attribute would break the pages' policy

    battles = list_of("battles", "study__id__exact", "arena", "battle")
    raters = list_of("raters", "study__id__exact", "arena", "participation")
    editions = list_of("editions", "study__id__exact", "scoring", "edition")

    def get_fieldsets(self, request: HttpRequest, obj: Study | None = None) -> Any:
        return [
            (
                group.title,
                {"fields": _fields(group, obj), "description": CODE_WORDS.sub(r"<code>\1</code>", group.says)},
            )
            for group in GROUPS
        ]

    @admin.display(description="pages")
    def pages(self, obj: Study) -> str:
        return format_html(
            '<a href="{}">listen</a> · <a href="{}">board</a> · <a href="{}?study={}">disagreements</a>',
            reverse("listen", args=[obj.slug]),
            reverse("board", args=[obj.slug]),
            reverse("review"),
            obj.slug,
        )

    def save_model(self, request: HttpRequest, obj: Study, form: Any, change: bool) -> None:
        if change:
            for setting, sentence in mixed(form.before, obj).items():
                self.message_user(request, f"{setting}: {sentence}", messages.WARNING)
        if other := move_default(obj):
            self.message_user(request, f"The default was {other.slug}; it is {obj.slug} now.", messages.WARNING)
        super().save_model(request, obj, form, change)

    @admin.action(description="Download as YAML", permissions=["view"])
    def download(self, request: HttpRequest, queryset: QuerySet[Study]) -> HttpResponse:
        studies = list(queryset)
        name = studies[0].slug if len(studies) == 1 else "studies"
        return HttpResponse(
            "---\n".join(map(study_file.dump, studies)),
            content_type="application/yaml; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}.yaml"'},
        )


def _fields(group, obj):
    return ["pages", *group.settings] if obj and group is GROUPS[0] else group.settings

"""Columns that link from one object to another."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html


def link_to(name: str) -> Callable[[Any, Any], str]:
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


def file_of(name: str, label: str, address: Callable[[Any], str] | None = None) -> Callable[[Any, Any], str]:
    """A column that names the file of the field `name`, linked to address(object) if that is given. Use it in place of
    the field, whose own link leads nowhere: no file below MEDIA_ROOT has a URL."""

    @admin.display(description=label)
    def stored(self, obj):
        file = getattr(obj, name)
        if not file or address is None:
            return file.name or "-"
        return format_html('<a href="{}">{}</a>', address(obj), file.name)

    return stored


def list_of(label: str, lookup: str, app: str, model: str) -> Callable[[Any, Any], str]:
    """A column that links to the list of another model, filtered by this object."""

    @admin.display(description=label)
    def link(self, obj):
        address = reverse(f"admin:{app}_{model}_changelist")
        return format_html('<a href="{}?{}={}">{}</a>', address, lookup, obj.pk, label)

    return link

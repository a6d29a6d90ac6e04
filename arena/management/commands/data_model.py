"""`data_model`: draw the tables in docs/architecture.md and docs/data-model.md, from the models."""

import re
from pathlib import Path
from sys import modules
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import models

APPS = ("arena", "annotations", "scoring")
DOCS = Path(settings.BASE_DIR) / "docs"
BEGIN = "<!-- Begin of the diagrams: `make diagrams` writes what stands between these marks. -->"
END = "<!-- End of the diagrams. -->"


class Command(BaseCommand):
    help = "Draw the diagrams of the data model in docs/ anew, from the models. Opens no database."
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        for name, draw in DRAWN_BY.items():
            before, _, rest = (DOCS / name).read_text(encoding="utf-8").partition(BEGIN)
            _, _, after = rest.partition(END)
            (DOCS / name).write_text(f"{before}{BEGIN}\n\n{draw()}\n\n{END}{after}", encoding="utf-8")
            self.stdout.write(f"docs/{name} shows the models as they are.")


def relations_of_apps() -> str:
    """A Mermaid diagram for each app: its tables and what they refer to."""
    return "\n\n".join(f"#### {app}\n\n{_diagram(_tables(app), with_columns=False)}" for app in APPS)


def tables_of_files() -> str:
    """A Mermaid diagram, with columns, for each file of models, under the first sentence of its docstring."""
    sections = []
    for app in APPS:
        by_file: dict[str, list[type[models.Model]]] = {}
        for model in _tables(app):
            by_file.setdefault(model.__module__, []).append(model)
        sections += [
            f"## `{name}`\n\n{_first_sentence(modules[name])}\n\n{_diagram(by_file[name])}" for name in sorted(by_file)
        ]
    return "\n\n".join(sections)


DRAWN_BY = {"architecture.md": relations_of_apps, "data-model.md": tables_of_files}


def _tables(app):
    return list(apps.get_app_config(app).get_models())


def _first_sentence(module):
    text = " ".join((module.__doc__ or "").split())
    return re.split(r"(?<=[.])\s", text, maxsplit=1)[0]


def _diagram(tables, with_columns=True):
    boxes = [line for model in tables for line in (_box(model) if with_columns else [model.__name__])]
    arrows = [line for model in tables for line in _arrows(model)]
    return "\n".join(["```mermaid", "erDiagram", *(f"    {line}" for line in [*boxes, *arrows]), "```"])


def _box(model):
    columns = [f"    {_column(field)}" for field in model._meta.local_fields]
    return [f"{model.__name__} {{", *columns, "}"]


def _column(field):
    """`kind name keys "may be null"`, as Mermaid has the attributes of an entity."""
    kind = field.get_internal_type().removesuffix("Field")
    keys = {"PK": field.primary_key, "FK": field.is_relation, "UK": field.unique and not field.primary_key}
    named = ", ".join(key for key, holds in keys.items() if holds)
    may_be_null = '"may be null"' if field.null else ""
    return " ".join(part for part in (kind, field.attname, named, may_be_null) if part)


def _arrows(model):
    """A line for each foreign key, one-to-one and many-to-many of the model, under the field's name."""
    for field in [*model._meta.local_fields, *model._meta.local_many_to_many]:
        if field.is_relation:
            yield f"{model.__name__} {_how_many(field)} {field.related_model.__name__} : {field.name}"


def _how_many(field):
    """Rows of this model to one of the other, and rows of the other to one of this, in crow's feet."""
    if field.many_to_many:
        return "}o--o{"
    here = "|o" if isinstance(field, models.OneToOneField) else "}o"
    return f"{here}--{'o|' if field.null else '||'}"

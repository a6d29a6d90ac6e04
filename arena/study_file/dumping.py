"""A study as a documented file: every setting, in groups with an explanation."""

import textwrap

import yaml

from arena.models import Study
from arena.study_settings import GROUPS, in_order

WIDTH = 100
OTHER_BREAKS = set("\r\x85\u2028\u2029")  # YAML reads some of them as \n
HEADER = "A listening test. `manage.py study load FILE` reads it; what is left out has its default."


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow=False, indentless=False):
        return super().increase_indent(flow, False)  # lists are indented under their key


def _represent_text(dumper, value):
    """Texts of several lines are written as blocks; those with line breaks other than \\n need escapes."""
    style = '"' if OTHER_BREAKS & set(value) else "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


class _Setting(dict):
    """{name: value}, always on a line of its own."""


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(
    _Setting, lambda dumper, value: dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=False)
)


def dump(study: Study) -> str:
    """The study as YAML. The same study gives the same text; reading that gives the same study."""
    parts = [_comment(HEADER)]
    for group in GROUPS:
        settings = (_setting(name, _value(study, name)) for name in group.settings)
        parts.append(_comment(f"{group.title}. {group.says}") + "".join(settings))
    return "\n".join(parts)


def _comment(words):
    return textwrap.fill(words, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False) + "\n"


def _setting(name, value):
    if name == "prompts" and not value:
        return "# prompts: all of them\n"
    flow = False if name == "prompts" else None  # None: innermost lists and objects on one line
    setting = _Setting({name: value})
    return yaml.dump(setting, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=WIDTH, default_flow_style=flow)


def _value(study, name):
    if name == "systems":
        return [system.name for system in study.systems.order_by("name")]
    if name == "prompts":
        return [_prompt(prompt) for prompt in study.prompts.order_by("text", "lyrics")]
    value = getattr(study, name)
    return value.strip() if isinstance(value, str) else in_order(value)


def _prompt(prompt):
    return {"text": prompt.text, "lyrics": prompt.lyrics} if prompt.lyrics else prompt.text

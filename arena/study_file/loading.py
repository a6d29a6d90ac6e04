"""From documents to studies: everything is checked before anything is written, in one transaction.

A file describes the whole study: a setting that it leaves out gets its default, whatever it was before. So two arenas
that load the same file have the same study.
"""

from copy import copy
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from arena.models import Clip, Prompt, Study, System, default_questions
from arena.storable import nfc
from arena.study_changes import mixed, move_default, refused
from arena.study_settings import SETTINGS, located_problems, unknown

from .lines import Document, Problem, read
from .values import Unfit, read_field, text

LISTS = ("systems", "prompts")
READ_WITH = {"repeats": "block_length", "platform": "access", "consent_text": "consent_version"}
MANY = 20  # names to list in a sentence


class StudyFileRefused(Exception):
    """Nothing was written; `problems` says why, in the order of the lines."""

    def __init__(self, problems):
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Loaded:
    """A study as it is now. changed: the settings that had another value before; empty for a new study."""

    study: Study
    is_new: bool
    changed: list[str]
    warnings: list[Problem]


@dataclass
class Draft:
    """A study that a document describes, not yet written."""

    document: Document
    before: Study | None = None
    study: Study | None = None
    systems: list[System] = field(default_factory=list)
    prompts: dict[int, Prompt] = field(default_factory=dict)
    warnings: list[Problem] = field(default_factory=list)

    def warn(self, path: tuple[Any, ...], sentence: str) -> None:
        self.warnings.append(self.document.problem(path, sentence))


@transaction.atomic
def load(sources: list[tuple[str, bytes]]) -> list[Loaded]:
    """Create or change the studies that these files, as (name, content), describe. Raises StudyFileRefused."""
    drafts: list[Draft] = []
    problems: list[Problem] = []
    for file, content in sources:
        documents, unreadable = read(file, content)
        problems += unreadable
        drafts += map(_draft, documents)
    _check_together(drafts)
    for draft in drafts:
        problems += draft.document.problems
    if problems:
        raise StudyFileRefused(sorted(set(problems)))
    return [_write(draft) for draft in drafts]


def _draft(document):
    """The Draft of a document; all its problems are added to the document."""
    draft = Draft(document)
    if not isinstance(document.value, dict):
        document.refuse((), "A study is written as `setting: value`, a line each.")
        return draft
    for key in document.value:
        if key not in SETTINGS:
            document.refuse((key,), unknown(key, SETTINGS))
    for key in ("slug", "name"):
        if key not in document.value:
            document.refuse((key,), "It is missing; every study has one.")
    draft.before = _standing(document.value.get("slug"))
    draft.study = _described(document, draft.before)
    draft.systems, draft.prompts = _systems(document), _prompts(document)
    _check_whole(draft)
    return draft


def _standing(slug):
    """The existing study, locked until the transaction ends; None where there is none."""
    if not isinstance(slug, str):
        return None
    return Study.objects.select_for_update(no_key=True).filter(slug=slug).first()


def _described(document, before):
    study = copy(before) if before else Study()
    unreadable = {problem.key for problem in document.problems}
    for name in SETTINGS:
        if name in LISTS:
            continue
        model_field: Any = Study._meta.get_field(name)
        if name in document.value and name not in unreadable:
            try:
                setattr(study, name, read_field(model_field, document))
                continue
            except Unfit as problem:
                document.refuse((name,), str(problem))
        if not (before and name == "is_simulated"):  # never changes, so a file need not repeat it
            setattr(study, name, model_field.get_default())
    if isinstance(study.questions, dict):
        study.questions = {**default_questions(), **study.questions}
    return study


def _check_whole(draft):
    """Check that the settings are consistent, and allowed after those before."""
    document, study, before = draft.document, draft.study, draft.before
    unread = [problem.key for problem in document.problems]  # these have their default for now
    for path, sentence in [*located_problems(study), *(refused(before, study) if before else ())]:
        key = ".".join(path)
        if not any(
            unread_key in (key, READ_WITH.get(key)) or unread_key.startswith(f"{key}.") for unread_key in unread
        ):
            document.refuse(path, sentence)
    if before and not document.problems:
        for name, sentence in mixed(before, study).items():
            draft.warn((name,), sentence)


def _systems(document):
    names = _list(document, "systems", lambda value, path: text(value, document.spelled.get(path, "")))
    system_of = System.objects.called(set(names.values()))
    for number, name in names.items():
        if name not in system_of:
            document.refuse(("systems", number), _no_system(name))
    return list(system_of.values())


def _no_system(name):
    names = list(System.objects.values_list("name", flat=True)[:MANY])
    some = f"there are {', '.join(names)}{' and more' if len(names) == MANY else ''}" if names else "there are none yet"
    return f"There is no system {name!r}; {some}. `manage.py import_clips` brings in new ones."


def _prompts(document):
    """{index in the list: prompt}; a new prompt is not saved yet."""
    words = _list(document, "prompts", lambda value, path: _words(value, path, document))
    return {number: _find_prompt(*both) for number, both in words.items()}


def _words(value, path, document):
    """(text, lyrics) of a prompt, which is written as a text, or as an object with text, lyrics or both."""
    if isinstance(value, dict):
        for key in value:
            if key not in ("text", "lyrics"):
                document.refuse((*path, key), unknown(key, ("text", "lyrics")))
        both = tuple(text(value.get(key, ""), document.spelled.get((*path, key), "")) for key in ("text", "lyrics"))
    else:
        both = text(value, document.spelled.get(path, "")), ""
    if not "".join(both).strip():
        raise Unfit("It is empty: a prompt has a text, or lyrics, or both.")
    return both


def _find_prompt(words, lyrics):
    """The stored prompt, with or without surrounding white space; else a new one, stripped."""
    written, bare = (words, lyrics), (nfc(words.strip()), nfc(lyrics.strip()))
    stored = Prompt.objects.saying({written, bare})
    return stored.get(written) or stored.get(bare) or Prompt(text=bare[0], lyrics=bare[1])


def _list(document, key, read_item):
    """{index: value} of a list without repetitions; a missing list is empty."""
    values = document.value.get(key, [])
    read_values: dict[int, Any] = {}
    if not isinstance(values, list):
        document.refuse((key,), "It must be a list, a line each: `- ...`.")
        return {}
    for number, value in enumerate(values):
        try:
            item = read_item(value, (key, number))
        except Unfit as problem:
            document.refuse((key, number), str(problem))
            continue
        if item in read_values.values():
            document.refuse((key, number), "It is in the list already.")
        else:
            read_values[number] = item
    return read_values


def _check_together(drafts):
    """Refuse what only one of several studies in one load can have."""
    slugs: dict[str, Draft] = {}
    default = None
    for draft in drafts:
        if not draft.study:
            continue
        first = slugs.setdefault(draft.study.slug, draft)
        if first is not draft:
            draft.document.refuse(("slug",), f"{_place(first, 'slug')} describes this study already.")
        if draft.study.is_default and default:
            draft.document.refuse(("is_default",), f"Only one can be the default: {_place(default, 'is_default')} is.")
        elif draft.study.is_default:
            default = draft


def _place(draft, key):
    problem = draft.document.problem((key,), "")
    return f"{problem.file}:{problem.line}"


def _write(draft):
    study, before = draft.study, draft.before
    lists = {"systems": draft.systems, "prompts": list(draft.prompts.values())}
    changed = _changed(before, study, lists) if before else []
    if other := move_default(study):
        draft.warn(("is_default",), f"The default was {other.slug}; it is {study.slug} now.")
    elif before and before.is_default and not study.is_default:
        draft.warn(("is_default",), "It was the default: there is now no study for people without a link.")
    study.save()
    for prompt in lists["prompts"]:
        if prompt.pk is None:
            prompt.save()
    for name, members in lists.items():
        getattr(study, name).set(members)
    _warn_of_silence(draft)
    return Loaded(study, before is None, changed, draft.warnings)


def _changed(before, study, lists):
    changed = [n for n in SETTINGS if n not in LISTS and getattr(before, n) != getattr(study, n)]
    return changed + [n for n, members in lists.items() if set(getattr(before, n).all()) != set(members)]


def _warn_of_silence(draft):
    """Warn of systems and prompts for which nothing can be served."""
    if len(draft.systems) < 2:
        draft.warn(("systems",), "With fewer than two systems there is nothing to compare.")
    heard = Clip.objects.filter(system__in=draft.systems, prompt__in=draft.prompts.values())
    heard = set(heard.values_list("prompt_id", flat=True))
    for number, prompt in draft.prompts.items():
        if prompt.pk not in heard:
            draft.warn(("prompts", number), f"No system of this study has a clip for {str(prompt)!r} yet.")

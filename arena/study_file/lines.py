"""YAML with positions: plain values, and the line and spelling of each.

The safe subset only: texts, numbers, true and false, dates, null, lists, mappings. No references (`*name`), with
which a small file can expand without limit, and no tags.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from arena.storable import storable

PLAIN = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "timestamp")}
TEXT, LIST, MAPPING = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))


@dataclass(frozen=True, order=True)
class Problem:
    """A problem and its place; as text, `panel.yaml:12: golds: -1 is not between 0 and 10.`"""

    file: str
    line: int
    key: str
    sentence: str

    def __str__(self):
        return ": ".join(filter(None, [f"{self.file}:{self.line}", self.key, self.sentence]))


@dataclass
class Document:
    """One document of a file. `lines` and `spelled` are by path: ("questions", "axes", 0)."""

    file: str
    line: int
    value: object = None
    lines: dict[tuple, int] = field(default_factory=dict)
    spelled: dict[tuple, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, path: tuple[Any, ...], sentence: str) -> None:
        self.problems.append(self.problem(path, sentence))

    def problem(self, path: tuple[Any, ...], sentence: str) -> Problem:
        """A Problem at the line of the path, or of the nearest parent of it that the file has."""
        key = ".".join(part if isinstance(part, str) else str(part + 1) for part in path)
        while path and path not in self.lines:
            path = path[:-1]
        return Problem(self.file, self.lines.get(path, self.line), key, sentence)


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, "references (*name) are not supported", mark)
        return super().compose_node(parent, index)


def read(file: str, content: bytes) -> tuple[list[Document], list[Problem]]:
    """(documents, problems): the non-empty documents of a file up to where it cannot be read, and why it cannot."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return [], [Problem(file, line, "", "This is not UTF-8: save the file in that encoding.")]
    documents, problems = [], []
    try:
        loader = _Loader(text)
        while loader.check_node():
            documents.append(_document(file, loader, loader.get_node()))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problems = [Problem(file, line, "", f"The character {chr(error.character)!r} is not allowed in a YAML file.")]
    except yaml.MarkedYAMLError as error:
        problems = [Problem(file, error.problem_mark.line + 1 if error.problem_mark else 1, "", _syntax(error))]
    except RecursionError:
        problems = [Problem(file, 1, "", "It is nested too deeply.")]
    documents = [document for document in documents if document.value is not None]
    if not documents and not problems:
        problems = [Problem(file, 1, "", "The file is empty. A study needs at least a slug and a name.")]
    return documents, problems


def _syntax(error):
    hint = "; indent with spaces, not tabs" if r"'\t'" in (error.problem or "") else ""
    context = f" {error.context}" if error.context else ""
    return f"This cannot be read as YAML{context}: {error.problem}{hint}."


def _document(file, loader, node):
    document = Document(file, node.start_mark.line + 1)
    document.value = _value(loader, node, (), document)
    return document


def _value(loader, node, path, document):
    document.lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode) and node.tag == MAPPING:
        return _mapping(loader, node, path, document)
    if isinstance(node, yaml.SequenceNode) and node.tag == LIST:
        return [_value(loader, part, (*path, number), document) for number, part in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.tag in PLAIN:
        return _scalar(loader, node, path, document)
    document.refuse(path, f"{node.tag.replace('tag:yaml.org,2002:', '!!')} is not supported.")
    return None


def _scalar(loader, node, path, document):
    document.spelled[path] = node.value
    try:
        value = loader.construct_object(node)
    except (ValueError, OverflowError, yaml.YAMLError):  # for example month 13, or a number of 5,000 digits
        value = node.value
    if storable(value):
        return value
    document.refuse(path, "It contains a NUL or a lone surrogate, which cannot be stored.")
    return "?"


def _mapping(loader, node, path, document):
    mapping = {}
    for key_node, value_node in node.value:
        line, key = key_node.start_mark.line + 1, key_node.value
        if key_node.tag != TEXT or not storable(key):
            document.problems.append(Problem(document.file, line, ".".join(map(str, path)), "A name must be a text."))
        elif key in mapping:
            known = document.lines[*path, key]
            document.problems.append(Problem(document.file, line, key, f"It is set on line {known} already."))
        else:
            document.lines[*path, key] = line
            mapping[key] = _value(loader, value_node, (*path, key), document)
    return mapping

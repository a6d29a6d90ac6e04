"""The rules for the settings of a study, and a sentence for each that is broken. Pure.

Used by the admin and the study file, so that each rule has one sentence.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from string import Formatter
from typing import Any
from urllib.parse import urlsplit

Problems = Iterator[tuple[tuple[str, ...], str]]  # (path, sentence)

ANSWERS = ("A", "B", "TIE", "BOTH_BAD")
QUESTIONS = ("degree", "axes", "tags", "comment")
PLATFORM_PARAMETERS = ("participant", "study", "session")
COMPLETION = ("message", "codes", "return_url")
OUTCOMES = ("completed", "no_consent", "failed_checks", "incompatible_device", "screened_out", "full")
REPEAT_DISTANCE = 5  # a repeat comes at least this many battles after the original

NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
TAG = re.compile(r"\S.{0,59}")
PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class Group:
    """Settings that belong together; groups are in the order in which they matter in a listening test."""

    title: str
    says: str
    settings: tuple[str, ...]


GROUPS = (
    Group(
        "What",
        "The slug is the study's address and, like is_simulated (votes that are made up), never changes. "
        "Systems meet for the same prompt; without a list of prompts, for every prompt they have clips for.",
        ("slug", "name", "description", "is_simulated", "systems", "prompts"),
    ),
    Group(
        "Who may listen",
        "One study is the default: people without a link go there. access: open, or invited, by links from "
        "`manage.py study invite`. Raters from a crowd platform come with URL parameters, which platform names: "
        "participant (the person; only a hash of it is stored), and study and session if the return URL needs them.",
        ("is_open", "is_default", "access", "ends_at", "platform"),
    ),
    Group(
        "Limits",
        "What may come from one connection (an address, of IPv6 a /64) and from one network (a /24, a /48) within an "
        "hour: new listeners, and battles; votes beyond the limit of battles are kept and flagged. There is room for a "
        "lecture hall of 150 behind one address; widen them where more people listen together. "
        "places_per_connection: with votes_per_pair, the percentage of the open places that may be held from one "
        "connection at a time; 100 for a class that has the study to itself. Addresses that are not public are not "
        "limited. proof_of_work: on, off, or auto (for an hour when far more listeners join than usual): a new "
        "listener's browser does a small sum first, of proof_bits, where 15 takes a phone about a second; with "
        "proof_for_battles also for each battle.",
        ("raters_per_connection", "raters_per_network", "battles_per_connection", "battles_per_network",
         "places_per_connection", "proof_of_work", "proof_bits", "proof_for_battles"),
    ),
    Group(
        "Before",
        "Another consent text needs a higher consent_version; raters are then asked again. headphones: off, "
        "recommended (raters who fail may continue, and are flagged) or required. practice: battles that do not count. "
        "groups: what listeners may say they are when they agree, such as [musician, listener].",
        ("consent_version", "consent_text", "groups", "volume_check", "headphones", "practice"),
    ),
    Group(
        "Each battle",
        "answers: A, B, and any of TIE, BOTH_BAD. questions: degree (much or slightly better), axes (asked after the "
        "overall answer, such as musicality), tags (reasons to pick from), comment. min_listen_ms must be heard of "
        "each clip. switching: sync, restart or resume. excerpt_s: all clips of a prompt are heard that long, or as "
        "long as the shortest of them less 0.3 s, from a beginning that varies by as much. full_length: from the very "
        "beginning instead, the shortest to its end; then only the encoding varies, which hides less. excerpts_mb: "
        "what the excerpts may take on disk. codec: mp3 or wav. reveal: name the systems after each vote.",
        ("answers", "questions", "min_listen_ms", "switching", "excerpt_s", "full_length", "excerpts_mb", "codec",
         "reveal"),
    ),
    Group(
        "Pairs, blocks and checks",
        "pairing: least-voted, uniform, or informative (where a vote helps the board most; least-voted before the "
        "first edition); epsilon is the share of pairs that are drawn uniformly anyway. "
        "Per block: block_length ordinary battles and, at random places, golds (a clip against its degraded self), "
        "traps (against itself with beeps) and repeats (slots swapped). Without votes_per_pair, battles_per_rater or "
        "blocks, a rater can go on until there are no more clip pairs.",
        ("pairing", "epsilon", "votes_per_pair", "battles_per_rater", "block_length", "blocks", "golds", "traps",
         "repeats"),
    ),
    Group(
        "Quality",
        "exclude_flagged: boards leave out the votes of raters whom the quality rules flag. weight_by_reliability: a "
        "vote is weighted by the estimated reliability of its rater.",
        ("exclude_flagged", "weight_by_reliability"),
    ),
    Group(
        "Boards",
        "boards_public: everybody may see the study's boards, plots and exclusions; if false, only staff.",
        ("boards_public",),
    ),
    Group(
        "Completion",
        "message thanks the rater. codes: shown at the end, for completed, no_consent, failed_checks, "
        "incompatible_device, screened_out, full (others hold all places for the moment). return_url: where raters go "
        "then, with the blanks {code}, {outcome} and those of the platform; it is signed, see `manage.py study key`.",
        ("completion",),
    ),
)  # fmt: skip
SETTINGS = tuple(setting for group in GROUPS for setting in group.settings)
ORDER = {name: place for place, name in enumerate((*QUESTIONS, *PLATFORM_PARAMETERS, *COMPLETION, *OUTCOMES))}


def in_order(value: Any) -> Any:
    """A JSON value with its names in the documented order, which PostgreSQL does not preserve."""
    if not isinstance(value, dict):
        return value
    return {name: in_order(value[name]) for name in sorted(value, key=lambda name: (ORDER.get(name, len(ORDER)), name))}


def problems(study: Any) -> dict[str, list[str]]:
    """{setting: sentences} for every invalid setting of the study (or any object with its attributes)."""
    sentences: dict[str, list[str]] = {}
    for (setting, *inside), sentence in located_problems(study):
        sentences.setdefault(setting, []).append(": ".join([*inside, sentence]))
    return sentences


def located_problems(study: Any) -> Problems:
    """(path, sentence) for each problem; the path is the setting's name and, in an object, the names inside it."""
    yield from _answers(study.answers)
    yield from _questions(study.questions)
    if not _unique_texts(study.groups, TAG):
        yield ("groups",), f"A list of different texts of 1 to 60 characters; not {study.groups!r}."
    if sentence := out_of_range(study.epsilon, 0.1, 1):
        yield ("epsilon",), sentence
    yield from _platform(study.platform, study.access)
    yield from _completion(study.completion, study.platform)
    yield from _repeats(study)


def out_of_range(value: float, low: float, high: float) -> str | None:
    """A sentence for a number that is not in [low, high]; else None."""
    return None if low <= value <= high else f"{value} is not between {low} and {high}."


def unknown(name: Any, known: Iterable[str]) -> str:
    """A sentence for an unknown name, with the known one that was probably meant."""
    near = get_close_matches(str(name), known, n=1)
    return (
        f"There is no such name; did you mean {near[0]}?"
        if near
        else f"There is no such name, only {', '.join(known)}."
    )


def _answers(answers: Any) -> Problems:
    if not isinstance(answers, list):
        yield ("answers",), f"A list of A, B and any of TIE, BOTH_BAD; not {answers!r}."
        return
    if unknown := [answer for answer in answers if answer not in ANSWERS]:
        yield ("answers",), f"A and B, and any of TIE, BOTH_BAD; not {', '.join(map(repr, unknown))}."
    elif not {"A", "B"} <= set(answers) or len(set(answers)) < len(answers):
        yield ("answers",), f"A and B both, and each answer once; not {', '.join(answers)}."


def _questions(questions: Any) -> Problems:
    if not isinstance(questions, dict):
        yield ("questions",), f"An object with {', '.join(QUESTIONS)}; not {questions!r}."
        return
    yield from _unknown_keys(("questions",), questions, QUESTIONS)
    if missing := [key for key in QUESTIONS if key not in questions]:
        yield ("questions",), f"{', '.join(missing)} missing; it has {', '.join(QUESTIONS)}."
    for key in ("degree", "comment"):
        if not isinstance(questions.get(key, False), bool):
            yield ("questions", key), f"true or false, not {questions[key]!r}."
    if not _unique_texts(questions.get("axes", []), NAME):
        yield (
            ("questions", "axes"),
            (
                "A list of different names of a-z, 0-9 and _ that begin with a letter, 40 characters at most; "
                f"not {questions['axes']!r}."
            ),
        )
    if not _unique_texts(questions.get("tags", []), TAG):
        yield ("questions", "tags"), f"A list of different texts of 1 to 60 characters; not {questions['tags']!r}."


def _unknown_keys(path: tuple[str, ...], mapping: Mapping[str, Any], known: Iterable[str]) -> Problems:
    for key in mapping:
        if key not in known:
            yield (*path, key), unknown(key, known)


def _unique_texts(values: Any, pattern: re.Pattern[str]) -> bool:
    return (
        isinstance(values, list)
        and all(isinstance(value, str) and pattern.fullmatch(value) for value in values)
        and len(set(values)) == len(values)
    )


def _platform(platform: Any, access: str) -> Problems:
    if not isinstance(platform, dict):
        yield ("platform",), f"An object, empty for no platform; not {platform!r}."
        return
    yield from _unknown_keys(("platform",), platform, PLATFORM_PARAMETERS)
    if platform and "participant" not in platform:
        yield ("platform",), "Name the parameter that identifies raters: participant."
    if not _unique_texts(list(platform.values()), PARAMETER):
        yield ("platform",), f"Each must be the name of a different URL parameter; not {platform!r}."
    if platform and access == "invited":
        yield ("platform",), "Raters come from a platform or by invitation, not both: set access to open."


def _completion(completion: Any, platform: Any) -> Problems:
    if not isinstance(completion, dict):
        yield ("completion",), f"An object with any of {', '.join(COMPLETION)}; not {completion!r}."
        return
    yield from _unknown_keys(("completion",), completion, COMPLETION)
    if not isinstance(completion.get("message", ""), str):
        yield ("completion", "message"), "A text."
    codes = completion.get("codes", {})
    if isinstance(codes, dict):
        yield from _unknown_keys(("completion", "codes"), codes, OUTCOMES)
        for outcome, code in codes.items():
            if not isinstance(code, str) or not code.strip():
                yield ("completion", "codes", outcome), "A text, in quotation marks."
    else:
        yield ("completion", "codes"), f"An object with any of {', '.join(OUTCOMES)}; not {codes!r}."
    if sentence := _return_url(completion.get("return_url", ""), platform):
        yield ("completion", "return_url"), sentence


def _return_url(url: Any, platform: Any) -> str | None:
    if not isinstance(url, str):
        return "A text."
    if not url:
        return None
    try:
        parts, blanks = urlsplit(url), [blank for blank in Formatter().parse(url) if blank[1] is not None]
    except ValueError as error:
        return f"Cannot be read: {error}."
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return "It must begin with https:// or http:// and name a host."
    if parts.fragment:
        return "It must not have a #: the signature is appended at the end."
    possible = {"code", "outcome", *(platform if isinstance(platform, dict) else ())}
    if any(name not in possible or spec or conversion for _, name, spec, conversion in blanks):
        return f"It can have the blanks {', '.join(f'{{{name}}}' for name in sorted(possible))}; not others."
    if not {"code", "outcome"} & {name for _, name, _, _ in blanks}:
        return "It must have {code} or {outcome} in it: otherwise its signature would not cover how the test ended."
    return None


def _repeats(study: Any) -> Problems:
    most = max(0, study.block_length - REPEAT_DISTANCE)
    if study.repeats > most:
        yield (
            ("repeats",),
            (
                f"At most {most} in blocks of {study.block_length}: a repeat comes at least {REPEAT_DISTANCE} battles "
                "after what it repeats."
            ),
        )

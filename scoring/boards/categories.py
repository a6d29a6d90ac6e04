"""Which votes belong to which category, and the boards of an edition's categories as one append-only row.

A category is a tag of the prompt, the language of the listener's browser, or the group that a listener says they
belong to. A sweep computes the boards after the edition, for the last edition of each study; an edition that is
superseded before the sweep reaches it has none.

What can be rebuilt with this version of the method:

- boards of tags: always, because the row stores which prompts had which tag.
- boards of languages and groups: until one of their listeners withdraws a vote. The withdrawal erases the language and
  the group; storing them for the sake of a rebuild would undo the erasure.
- boards of groups: also only until a listener who had not named a group names one, which the ledger does not record.

The row stores a hash of who was in which category. A rebuild that finds another hash reports how many votes have been
withdrawn since, and rebuilds the rest.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from django.db import transaction
from django.db.models import Q
from django.db.models.fields.json import KeyTransform
from django.utils import timezone

from annotations.models import Flag, Ledger
from arena.locks import Lock, hold
from arena.models import Participation, Prompt, Study
from arena.refusals import NotFound
from scoring import inputs
from scoring.models import CategoryBoards, Edition
from scoring.stats import category_method, influence
from scoring.stats.board_method import OVERALL, canonical_json
from scoring.stats.category_method import GROUP, LANGUAGE, OF_LISTENERS, TAG
from scoring.stats.rebuilding import require_method

FIRST_LANGUAGE = re.compile(r"\s*([a-z]{2,3})(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Rebuilt:
    """json: the canonical result, without the kinds in `lost`. lost: {kind that cannot be rebuilt: number of votes
    withdrawn since}; 0 where none was withdrawn, and a listener has named their group since."""

    json: str
    lost: dict[str, int]


def language_of(accepted: str) -> str:
    """The language that a browser prefers: `de` for "de-CH,de;q=0.9"; "" where it names none."""
    match = FIRST_LANGUAGE.match(accepted)
    return match[1].lower() if match else ""


def categories_are_due(study: Study) -> bool:
    """Whether the study's last edition has no categories yet."""
    last = study.editions.newest()
    return bool(last) and not CategoryBoards.objects.filter(edition=last).exists()


def due_studies() -> Iterable[int]:
    """Primary keys of the studies whose last edition has no categories yet."""
    return Edition.objects.newest_of_each().filter(categories__isnull=True).values_list("study", flat=True)


@transaction.atomic
def compute_categories(study: Study, now: datetime | None = None) -> CategoryBoards | None:
    """Write the categories of the study's last edition; None where it has them already."""
    hold(Lock.CATEGORIES, study)
    if not categories_are_due(study):
        return None
    edition = study.editions.newest()
    votes = _votes(edition)
    tags = _tags(votes)
    config = config_of(edition.config, tags)
    result = category_method.compute(votes, _members(edition, votes, tags), config)
    return CategoryBoards.objects.create(
        edition=edition,
        method=category_method.METHOD,
        method_version=category_method.METHOD_VERSION,
        config=config,
        result=result,
        summary=summary_of(result),
        created_at=now or timezone.now(),
    )


def config_of(edition_config: Mapping[str, Any], tags: Mapping[str, list[int]]) -> dict[str, Any]:
    """The configuration of an edition's categories. tags: {tag: prompt ids}, as they are now."""
    shared = ("l2", "level", "excluded_flags", "cluster", "reliability", "influence")
    return {
        **category_method.CONFIG,
        **{name: edition_config[name] for name in shared if name in edition_config},
        "tags": tags,
    }


def rebuild(row: CategoryBoards) -> Rebuilt:
    """A row's result, computed again from the database, as Rebuilt; it must equal `stored(row, lost)`.
    CannotBeRebuilt where its method is not in this code."""
    require_known(row)
    votes = _votes(row.edition)
    result = category_method.compute(votes, _members(row.edition, votes, row.config["tags"]), row.config)
    moved = [kind for kind in OF_LISTENERS if result["members"].get(kind) != row.result["members"].get(kind)]
    n_withdrawn = _withdrawn_since(row.edition) if moved else 0
    lost = {kind: n_withdrawn for kind in moved if n_withdrawn or kind == GROUP}
    return Rebuilt(canonical_json(category_method.without(result, lost)), lost)


def require_known(row: CategoryBoards) -> None:
    """Raise CannotBeRebuilt where the row was computed by a method that is not in this code."""
    known = {(category_method.METHOD, category_method.METHOD_VERSION)}
    require_method(row, (row.method, row.method_version), known)


def stored(row: CategoryBoards, lost: Iterable[str] = ()) -> str:
    """The canonical result of a row, without the kinds that can no longer be rebuilt."""
    return canonical_json(category_method.without(row.result, lost))


def _withdrawn_since(edition):
    """How many of the edition's votes were withdrawn after it, including withdrawals that have no ledger number yet."""
    withdrawals = Ledger.objects.filter(study=edition.study, flag__rule=Flag.WITHDRAWN)
    later = withdrawals.filter(Q(seq__gt=edition.ledger_seq) | Q(seq__isnull=True))
    return later.filter(flag__vote__entry__seq__lte=edition.ledger_seq).count()


# ---- which votes belong to which category -------------------------------------------------------------


def _votes(edition):
    """With the weights that they have on the board where all are together."""
    config = edition.config
    votes = inputs.study_votes(
        edition.study, edition.ledger_seq, config["excluded_flags"], config.get("reliability"),
        groups="influence" in config,
    )  # fmt: skip
    return influence.limited(votes, config)


def _tags(votes):
    """{tag: ids of the prompts that have it, among those voted on}."""
    prompt_ids = defaultdict(list)
    prompts = Prompt.objects.filter(pk__in=np.unique(votes.prompt).tolist()).order_by("pk")
    for pk, tags in prompts.values_list("pk", "tags"):
        for tag in {tag.strip() for tag in tags if isinstance(tag, str)} - {""}:
            prompt_ids[tag].append(pk)
    return dict(sorted(prompt_ids.items()))


def _members(edition, votes, tags):
    """{kind: {name: bool [V]}}."""
    prompt_ids, prompt = np.unique(votes.prompt, return_inverse=True)
    return {
        TAG: {tag: np.isin(prompt_ids, prompts)[prompt] for tag, prompts in tags.items()},
        LANGUAGE: _by_label(_languages(edition), votes.seq.tolist(), slice(None)),
        GROUP: _groups(edition.study, votes),
    }


def _by_label(label_of, keys, key_of_vote):
    """{label: bool [V]}: which votes have the label. label_of: {key: label}; keys: [K], some without a label;
    key_of_vote: the index [V] of each vote's key in `keys`."""
    labels = sorted(set(label_of.values()) - {""})  # a browser that accepts any language has none
    number = {label: k for k, label in enumerate(labels)}
    label_of_key = np.array([number.get(label_of.get(key), -1) for key in keys], dtype=np.intp)
    members = {label: (label_of_key == k)[key_of_vote] for k, label in enumerate(labels)}
    return {label: inside for label, inside in members.items() if inside.any()}


def _languages(edition):
    """{seq: language}."""
    entries = Ledger.objects.filter(study=edition.study, seq__lte=edition.ledger_seq).exclude(
        vote__details__language=""
    )
    known = entries.filter(vote__details__isnull=False).values_list("seq", "vote__details__language")
    return {seq: language_of(accepted) for seq, accepted in known.iterator(chunk_size=5000)}


def _groups(study, votes):
    """{group: bool [V]}."""
    groups = Participation.objects.filter(study=study).exclude(group="").values_list("rater_id", "group")
    group_of = {rater.bytes: group for rater, group in groups}
    _, first, cluster = np.unique(votes.cluster, return_index=True, return_inverse=True)
    return _by_label(group_of, votes.rater_id[first].tolist(), cluster)


# ---- what readers see ---------------------------------------------------------------------------------


def find_board(edition: Edition, category: str) -> dict[str, Any]:
    """The stored board of one of the edition's categories; NotFound lists those it has. Only that board is read."""
    row = (
        CategoryBoards.objects.filter(edition=edition)
        .annotate(board=KeyTransform(category, "result__categories"))
        .values("board", "result__systems", "result__spread", "summary", "method", "method_version", "config")
        .first()
    )
    if not row:
        raise NotFound(f"{edition} has no categories: they are still being computed, or a newer edition came first.")
    board = row["board"]
    if not isinstance(board, dict):
        names = ", ".join([OVERALL, *(listed["category"] for listed in row["summary"])])
        raise NotFound(f"{edition} has no category {category!r}; it has {names}.")
    return {
        **board,
        "systems": row["result__systems"],
        "spread": row["result__spread"][board["kind"]],
        "method": f"{row['method']} {row['method_version']}",
        "config": {name: value for name, value in row["config"].items() if name != "tags"},
    }


def list_of(edition: Edition | None) -> list[dict[str, Any]]:
    """[{category, kind, name, n_votes, n_raters}] of the edition, by kind, then the largest first."""
    summary = (
        CategoryBoards.objects.filter(edition=edition).values_list("summary", flat=True).first() if edition else None
    )
    return summary or []


def summary_of(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What `list_of` returns, from a row's result."""
    kinds = (TAG, LANGUAGE, GROUP)
    entries = [
        {"category": key, **{name: board[name] for name in ("kind", "name", "n_votes", "n_raters")}}
        for key, board in result["categories"].items()
    ]
    return sorted(entries, key=lambda entry: (kinds.index(entry["kind"]), -entry["n_votes"], entry["name"]))

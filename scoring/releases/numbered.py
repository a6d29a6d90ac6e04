"""Numbered, immutable exports: the file, its hash, and everything needed to rebuild the same bytes."""

import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import IO, Any

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import transaction
from django.utils import timezone

from annotations import ledger
from annotations.exports import VOTE_COLUMNS, VOTE_COLUMNS_1, VOTE_COLUMNS_2, vote_rows, write
from annotations.models import Ledger
from arena.locks import Lock, hold
from arena.models import Study
from arena.refusals import Conflict, Refusal
from scoring.inputs import last_reward
from scoring.models import Release, RewardModel
from scoring.registry.calibration import calibration_of
from scoring.stats.rebuilding import require_method

from .pairs import PAIR_COLUMNS, PAIR_COLUMNS_2, PairJury, pair_rows

METHOD, METHOD_VERSION = "release", 5
GUARDED = 5  # the first version whose CSV has no cell that a spreadsheet runs as a formula
COLUMNS = {  # by method version, so that an old release can always be rebuilt
    1: {"votes": VOTE_COLUMNS_1, "pairs": PAIR_COLUMNS_2},
    2: {"votes": VOTE_COLUMNS_2, "pairs": PAIR_COLUMNS_2},
    3: {"votes": VOTE_COLUMNS_2, "pairs": PAIR_COLUMNS},
    4: {"votes": VOTE_COLUMNS, "pairs": PAIR_COLUMNS},
    5: {"votes": VOTE_COLUMNS, "pairs": PAIR_COLUMNS},
}
FILTERS = ("min_margin", "min_reward")  # in the config of a release only where they are set; see pairs.PairJury


def content_of(
    content: str,
    format: str,
    *,
    seq: int,
    study: Study | None,
    config: Mapping[str, Any],
    excluded: Counter[str],
    version: int = METHOD_VERSION,
) -> Iterator[tuple[int, str]]:
    """(row count so far, text) pieces of an export; `excluded` is filled with the votes left out, by reason."""
    if content == "votes":
        rows = vote_rows(seq, study, excluded)
    else:
        jury = PairJury(
            model=RewardModel.objects.filter(name=config["reward_model"]).first(),
            last_reward=config["last_reward"],
            temperature=config.get("temperature"),
            lapses=config.get("lapses"),
            **{name: config[name] for name in FILTERS if name in config},
        )
        rows = pair_rows(seq, study, jury, excluded)
    return write(rows, COLUMNS[version][content], format, guarded=version >= GUARDED)


def current_config(content: str, filters: Mapping[str, float | None] | None = None) -> dict[str, Any]:
    """What an export made now depends on besides votes. filters: {name of FILTERS: number or None}."""
    filters = {name: value for name, value in (filters or {}).items() if value is not None}
    if content == "votes":
        if filters:
            raise Refusal(f"{', '.join(filters)}: only pairs can be filtered by the model's rewards, not votes.")
        return {}
    model = RewardModel.live()
    if filters and not model:
        raise Conflict(f"There is no live reward model to filter by: leave out {', '.join(filters)}, or train one.")
    calibration = calibration_of(model) if model else None
    temperature, lapses = (calibration.temperature, calibration.lapses) if calibration else (None, None)
    return {
        "reward_model": model.name if model else None,
        "last_reward": last_reward(),
        "temperature": temperature and temperature["value"],
        **({"lapses": lapses} if lapses else {}),
        **filters,
    }


def release(
    content: str, format: str = "jsonl", study: Study | None = None, filters: Mapping[str, float | None] | None = None
) -> Release:
    """Write the votes or pairs of the whole ledger, or of one study, as the next release. Pairs may be limited to those
    that pass the filters (see pairs.PairJury)."""
    ledger.catch_up()
    seq, config = ledger.head(), current_config(content, filters)
    excluded: Counter[str] = Counter()
    with tempfile.NamedTemporaryFile() as file:
        pieces = content_of(content, format, seq=seq, study=study, config=config, excluded=excluded)
        n_rows, sha256 = _write_to(file, pieces)
        file.seek(0)
        stored = default_storage.save(f"releases/{content}-{seq}.{format}", File(file))
    return _record(
        content=content,
        study=study,
        format=format,
        config=config,
        ledger_seq=seq,
        n_rows=n_rows,
        excluded=dict(sorted(excluded.items())),
        sha256=sha256,
        file=stored,
    )


def rebuild(made: Release, file: IO[bytes]) -> str:
    """Write the release's bytes again, from the database, to a binary file. Returns their sha256."""
    return rebuilt(made, file)["sha256"]


def rebuilt(made: Release, file: IO[bytes]) -> dict[str, Any]:
    """The same, but returns {"n_rows", "excluded", "sha256"}, as the release has them; CannotBeRebuilt where its method
    is not in this code."""
    require_method(made, (METHOD, made.method_version), {(METHOD, version) for version in COLUMNS})
    excluded: Counter[str] = Counter()
    pieces = content_of(
        made.content,
        made.format,
        seq=made.ledger_seq,
        study=made.study,
        config=made.config,
        excluded=excluded,
        version=made.method_version,
    )
    n_rows, sha256 = _write_to(file, pieces)
    return {"n_rows": n_rows, "excluded": dict(excluded), "sha256": sha256}


def _write_to(file, pieces):
    n_rows, sha256 = 0, hashlib.sha256()
    for n_rows, piece in pieces:  # noqa: B007 - the count of the last piece is that of all
        encoded = piece.encode()
        file.write(encoded)
        sha256.update(encoded)
    return n_rows, sha256.hexdigest()


def release_new_pairs() -> Release | None:
    """The next release of all pairs, if there are decisive votes since the last one; None otherwise."""
    unfiltered = {f"config__{name}__isnull": True for name in FILTERS}
    last = Release.objects.filter(content="pairs", study=None, **unfiltered).order_by("-number").first()
    newer = Ledger.objects.filter(
        seq__gt=last.ledger_seq if last else 0, vote__preference__in=["A", "B"], vote__battle__clip_a__isnull=False
    )
    return release("pairs") if newer.exists() else None


@transaction.atomic
def _record(**facts):
    hold(Lock.RELEASES)
    last = Release.objects.order_by("-number").first()
    return Release.objects.create(
        number=last.number + 1 if last else 1, method_version=METHOD_VERSION, created_at=timezone.now(), **facts
    )

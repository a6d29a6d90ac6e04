"""Numbered, immutable exports: the file, its hash, and all it takes to make the same bytes again."""

import hashlib
import tempfile
from collections import Counter

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from annotations import ledger
from annotations.exports import VOTE_COLUMNS, VOTE_COLUMNS_1, vote_rows, write
from annotations.models import Ledger
from arena.refusals import NotFound

from .exports import PAIR_COLUMNS, pair_rows
from .models import Release, RewardModel
from .services import last_reward

METHOD_VERSION = 2
COLUMNS = {  # what a release of each method version holds: an old one can always be written again
    1: {"votes": VOTE_COLUMNS_1, "pairs": PAIR_COLUMNS},
    2: {"votes": VOTE_COLUMNS, "pairs": PAIR_COLUMNS},
}


def content_of(content, format, *, seq, study, config, excluded, version=METHOD_VERSION):
    """(row count so far, text) pieces of an export; `excluded` is filled with the votes left out, by reason."""
    if content == "votes":
        rows = vote_rows(seq, study, excluded)
    else:
        model = RewardModel.objects.filter(name=config["reward_model"]).first()
        rows = pair_rows(seq, study, model, config["last_reward"], excluded)
    return write(rows, COLUMNS[version][content], format)


def current_config(content):
    """What else than votes an export of this moment depends on."""
    if content == "votes":
        return {}
    model = RewardModel.live()
    return {"reward_model": model.name if model else None, "last_reward": last_reward()}


def release(content, format="jsonl", study=None):
    """Write the votes or pairs of the whole ledger, or of one study, as the next release."""
    ledger.catch_up()
    seq, config, excluded = ledger.head(), current_config(content), Counter()
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


def rebuild(made, file):
    """Write the release's bytes again, from the database, to a binary file. Returns their sha256."""
    if made.method_version not in COLUMNS:
        raise NotFound(f"{made}: its method version {made.method_version} is not in this code.")
    pieces = content_of(
        made.content,
        made.format,
        seq=made.ledger_seq,
        study=made.study,
        config=made.config,
        excluded=Counter(),
        version=made.method_version,
    )
    return _write_to(file, pieces)[1]


def _write_to(file, pieces):
    n_rows, sha256 = 0, hashlib.sha256()
    for n_rows, piece in pieces:  # noqa: B007 - the count of the last piece is that of all
        encoded = piece.encode()
        file.write(encoded)
        sha256.update(encoded)
    return n_rows, sha256.hexdigest()


def release_new_pairs():
    """The next release of all pairs, if decisive votes came since the last one; None otherwise."""
    last = Release.objects.filter(content="pairs", study=None).order_by("-number").first()
    newer = Ledger.objects.filter(
        seq__gt=last.ledger_seq if last else 0, vote__preference__in=["A", "B"], vote__battle__clip_a__isnull=False
    )
    return release("pairs") if newer.exists() else None


@transaction.atomic
def _record(**facts):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x5E1EA5E])
    last = Release.objects.order_by("-number").first()
    return Release.objects.create(
        number=last.number + 1 if last else 1, method_version=METHOD_VERSION, created_at=timezone.now(), **facts
    )

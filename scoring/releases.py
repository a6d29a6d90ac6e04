"""Numbered, immutable exports: the file, its hash, and the ledger `seq` it can be made from again."""

import hashlib
import tempfile
from collections import Counter

from django.core.files.base import File
from django.core.files.storage import default_storage
from django.db import connection, transaction
from django.utils import timezone

from annotations import ledger
from annotations.exports import vote_rows, write
from annotations.models import Ledger

from .exports import pair_rows
from .models import Release, RewardModel

METHOD_VERSION = 1


def rows_of(content, seq, study, model, excluded):
    if content == "votes":
        return vote_rows(seq, study, excluded)
    return pair_rows(seq, study, model, excluded)


def release(content, format="jsonl", study=None):
    """Write the votes or pairs of the whole ledger, or of one study, as the next release."""
    ledger.extend()
    seq = ledger.head()
    model = RewardModel.live() if content == "pairs" else None
    excluded, sha256, n_rows = Counter(), hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile() as file:
        for piece in write(rows_of(content, seq, study, model, excluded), format):
            encoded = piece.encode()
            file.write(encoded)
            sha256.update(encoded)
            n_rows += 1
        file.seek(0)
        stored = default_storage.save(f"releases/{content}-{seq}.{format}", File(file))
    return _record(
        content=content,
        study=study,
        format=format,
        config={"reward_model": model.name if model else None},
        ledger_seq=seq,
        n_rows=n_rows,
        excluded=dict(sorted(excluded.items())),
        sha256=sha256.hexdigest(),
        file=stored,
    )


def release_new_pairs():
    """The next release of all pairs, if votes came since the last one; None otherwise."""
    last = Release.objects.filter(content="pairs", study=None).order_by("-number").first()
    newer = Ledger.objects.filter(seq__gt=last.ledger_seq if last else 0)
    return release("pairs") if newer.exists() else None


@transaction.atomic
def _record(**facts):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [0x5E1EA5E])
    last = Release.objects.order_by("-number").first()
    return Release.objects.create(
        number=last.number + 1 if last else 1, method_version=METHOD_VERSION, created_at=timezone.now(), **facts
    )

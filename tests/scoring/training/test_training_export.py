"""An export trains as the live votes do, and a row of it that does not fit is named."""

import json

import numpy as np
import pytest

from annotations import ledger
from annotations.models import Vote
from annotations.services import flag, withdraw_rater
from arena.models import Rater
from scoring.models import Embedding
from scoring.reward.encoders import get_encoder
from scoring.training import from_export, from_ledger
from scoring.training.from_export import BadExport
from tests.casts.audio_files import music, write_plain_wav
from tests.casts.training import DAMAGE, ENCODERS, Titles, arrays, exported

# ---- the export is the same votes ----


def test_an_export_gives_the_arrays_that_the_live_votes_give(arena, tmp_path):
    live = from_ledger.training_set(arena, ledger.head(), ENCODERS)
    file, clips = exported(tmp_path)
    from_file, _, failed = from_export.training_set(file, clips, [get_encoder("spectral")])
    assert failed == {}
    assert from_file.excluded == live.excluded
    for name, value in arrays(live).items():
        found = getattr(from_file, name)
        assert (found.dtype.kind, found.shape) == (value.dtype.kind, value.shape), name
        assert (found == value).all(), name


def test_exported_pairs_are_the_decided_votes_with_the_chosen_clip_first(arena, tmp_path):
    live = from_ledger.training_set(arena, ledger.head(), ENCODERS)
    file, clips = exported(tmp_path, "pairs")
    pairs, _, _ = from_export.training_set(file, clips, [get_encoder("spectral")])
    decided = live.target != 0.5
    a_won = live.target[decided] == 1
    assert (pairs.target == 1).all()
    assert (pairs.features[pairs.a] == live.features[np.where(a_won, live.a[decided], live.b[decided])]).all()
    assert (pairs.features[pairs.b] == live.features[np.where(a_won, live.b[decided], live.a[decided])]).all()
    assert (pairs.system_a == np.where(a_won, live.system_a[decided], live.system_b[decided])).all()
    assert (pairs.rater == live.rater[decided]).all()


def test_flagged_votes_of_an_export_are_left_out_unless_they_are_to_be_kept_or_were_cleared(arena, tmp_path):
    flagged, cleared, withdrawn = [rater.votes.all() for rater in Rater.objects.order_by("pk")[:3]]
    for one in (*flagged, *cleared):
        flag(one, "careless", 1)
    for one in cleared:
        flag(one, "cleared", 1)
    n_flagged, n_withdrawn = len(flagged), len(withdrawn)
    withdraw_rater(Rater.objects.order_by("pk")[2])
    ledger.catch_up()
    file, clips = exported(tmp_path)
    encoders = [get_encoder("spectral")]
    strict, _, _ = from_export.training_set(file, clips, encoders)
    lenient, _, _ = from_export.training_set(file, clips, encoders, keep_flagged=True)
    live = from_ledger.training_set(arena, ledger.head(), ENCODERS)
    assert len(strict.target) == len(live.target) == 240 - n_flagged - n_withdrawn
    assert (strict.time == live.time).all()
    assert strict.excluded == {"careless": n_flagged}
    assert len(lenient.target) == 240 - n_withdrawn


def test_clips_that_are_not_known_here_are_embedded_once_and_kept_beside_the_export(arena, tmp_path, monkeypatch):
    file, clips = exported(tmp_path)
    Embedding.objects.all().delete()
    names = sorted(clips.iterdir())
    for seed, name in enumerate(names[1:]):
        write_plain_wav(name, music(1.0, seed=seed), 48_000)
    spectral = get_encoder("spectral")
    done = []
    data, _, failed = from_export.training_set(file, clips, [spectral], progress=done.append)
    assert list(failed) == [names[0].name]  # "audio 1" is not audio
    assert sum(done) == len(names)
    assert data.excluded["not_embedded"] > 0
    assert data.features.shape == (len(names) - 1, spectral.dimension)
    assert (tmp_path / "votes.jsonl.spectral-1.npz").exists()

    heard = []
    monkeypatch.setattr(type(spectral), "embed", lambda self, batch: heard.append(batch))
    again, _, _ = from_export.training_set(file, clips, [spectral])
    assert heard == []
    assert (again.features == data.features).all()
    kept = tmp_path / "votes.jsonl.spectral-1.npz"
    for vectors in (np.ones((1, 7), "f4"), np.full((1, 451), np.nan, "f4")):
        np.savez(kept, sha256=np.array(["0" * 64]), vectors=vectors)
        with pytest.raises(BadExport, match=r"npz: not the embeddings of an export; delete it.*spectral"):
            from_export.training_set(file, clips, [spectral])
    kept.write_bytes(b"not an archive")
    with pytest.raises(BadExport, match="npz: not the embeddings of an export; delete it"):
        from_export.training_set(file, clips, [spectral])


@pytest.mark.parametrize(("vector", "says"), DAMAGE)
def test_a_clip_whose_embedding_here_is_damaged_is_embedded_from_the_file_of_the_export(arena, tmp_path, vector, says):
    file, clips = exported(tmp_path)
    damaged = Vote.objects.order_by("pk")[0].battle.clip_a
    Embedding.objects.filter(clip=damaged).update(vector=vector.tobytes())
    data, _, failed = from_export.training_set(file, clips, [get_encoder("spectral")])
    assert list(failed) == [f"{damaged.pk}.wav"]  # whose text is no audio
    assert data.excluded["not_embedded"] > 0
    assert np.isfinite(data.features).all()
    assert Embedding.objects.get(clip=damaged).error == f"The stored embedding was {says}."


def test_a_text_encoder_reads_the_prompts_of_an_export(arena, tmp_path):
    file, clips = exported(tmp_path)
    data, read, _ = from_export.training_set(file, clips, [Titles(), get_encoder("spectral")])
    prompts = [read.clips[clip].prompt for clip in sorted(read.clips)]
    assert (data.features[:, :2] == Titles().embed(prompts)).all()


# ---- rows that do not fit ----


def spoilt(rows, line, **changes):
    rows = [dict(row) for row in rows]
    for name, value in changes.items():
        name, _, inner = name.partition("__")
        if inner:
            rows[line - 1][name] = {**rows[line - 1][name], inner: value}
        elif value is KeyError:
            del rows[line - 1][name]
        else:
            rows[line - 1][name] = value
    return rows


@pytest.mark.parametrize(
    ("content", "line", "changes", "says"),
    [
        ("votes", 3, {"preference": "C"}, "line 3: preference: it is 'C', not one of A, B, TIE, BOTH_BAD"),
        ("votes", 2, {"seq": "two"}, 'line 2: seq: it is "two", not a whole number'),
        ("votes", 4, {"seq": 1}, "line 4: seq: 1 is there twice"),
        ("votes", 5, {"clip_a": 99999}, "line 5: clip_a: there is no file 99999.* in"),
        ("votes", 5, {"clip_b": True}, "line 5: clip_b: it is true, not a whole number or null"),
        ("votes", 1, {"study": KeyError}, "line 1: study: it is missing; is this an export"),
        ("votes", 6, {"kind": "duel"}, "line 6: kind: it is 'duel', not one of"),
        ("votes", 7, {"flags": "late"}, 'line 7: flags: it is "late", not a list of texts'),
        ("votes", 7, {"rater": 12}, "line 7: rater: it is 12, not text or null"),
        ("pairs", 2, {"chosen": 5}, "line 2: chosen: it is 5, not an object"),
        ("pairs", 2, {"chosen__clip": None}, "line 2: chosen.clip: it is null, not a whole number"),
        ("pairs", 8, {"rejected__sha256": "0" * 64}, "line 8: rejected.clip: .*is not the clip of the export"),
    ],
)
def test_a_row_that_does_not_fit_is_said_with_its_line_and_field(arena, tmp_path, content, line, changes, says):
    file, clips = exported(tmp_path, content)
    rows = [json.loads(text) for text in file.read_text().splitlines()]
    file.write_text("".join(json.dumps(row) + "\n" for row in spoilt(rows, line, **changes)))
    with pytest.raises(BadExport, match=says.replace("*.", "[*].").replace("99999.*", "99999[.][*]")):
        from_export.read_export(file, clips)


def test_many_mistakes_are_said_at_once_but_not_all_of_hundreds(arena, tmp_path):
    file, clips = exported(tmp_path)
    file.write_text("{not json\n[1]\n" + 50 * "{}\n")
    with pytest.raises(BadExport) as caught:
        from_export.read_export(file, clips)
    text = str(caught.value)
    assert "line 1: not JSON" in text
    assert "line 2: not a JSON object" in text
    assert "and 42 more" in text


def test_a_folder_of_clips_that_is_not_there_is_named(arena, tmp_path):
    file, _ = exported(tmp_path)
    with pytest.raises(BadExport, match=r"nowhere: there is no such folder of clips"):
        from_export.read_export(file, tmp_path / "nowhere")

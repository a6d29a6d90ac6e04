"""What was learnt of clips in battles that reveal them is worth nothing in others, of this study or of another.

The attacker has everything that the browser receives but the music: pages, headers, JSON, sizes, URLs, and which bytes
came before. Files are random bytes here, as fresh encodings are to who does not look at the music in them; what the
music itself tells is measured in `test_sound_recognition`.
"""

import hashlib
import itertools
import json
import secrets

import numpy as np
import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.utils import timezone

from arena.api import battles
from arena.models import Battle, Excerpt, Study
from arena.serving import excerpts_due, pools
from tests.casts.blind_attacker import flat
from tests.casts.learning_attacker import Seen, recognise
from tests.casts.listener import Listener

SIZE = 1000
N_FRESH = 60  # battles, in each study
ALPHA = 4e-4  # and again on fresh battles, so that one run in a million is red for nothing


@pytest.fixture
def arena(study):
    """Two studies of the same clips: one that reveals, and one that does not. Workers fill their pools."""
    Excerpt.objects.all().delete()
    Study.objects.update(pairing="uniform")
    quiet = Study.objects.create(slug="quiet", name="Quiet", excerpt_s=10, pairing="uniform", reveal=False)
    quiet.systems.set(study.systems.all())
    return Arena()


class Arena:
    def __init__(self):
        self.raters = itertools.count()

    def work(self, slug):
        """What workers do, with random bytes for music."""
        study = Study.objects.get(slug=slug)
        excerpts_due.request(study)
        for piece in Excerpt.objects.filter(study=study, status="pending"):
            name = default_storage.save(f"excerpts/{piece.pk}.mp3", ContentFile(secrets.token_bytes(SIZE)))
            Excerpt.objects.filter(pk=piece.pk).update(status="ready", file=name, size=SIZE)

    def listen(self, slug, n_battles):
        """What raters who came one after the other received in so many battles: a Seen for each slot."""
        seen = []
        while len(seen) < 2 * n_battles:
            rater, listener = next(self.raters), Listener().agree(study=slug)
            self.work(slug)
            for _ in range(6):  # all that there are for one rater
                seen += self.receive(listener, rater, slug)
        return seen[: 2 * n_battles]

    def receive(self, listener, rater, slug):
        answer = listener.post("/api/battles/", {"study": slug})
        battle = answer.json()
        of_battle = flat(json.loads(answer.content)) | {f"api {k}": v for k, v in answer.headers.items()}
        stored = Battle.objects.get(pk=battle["id"])
        for slot in "AB":
            music = listener.get(battle["clips"][slot]["url"])
            observed = {name: value for name, value in of_battle.items() if f"/{'AB'.replace(slot, '')}/" not in name}
            observed = {name.replace(f"/{slot}/", "/this/"): value for name, value in observed.items()}
            observed |= {f"music {k}": v for k, v in music.headers.items()}
            observed |= {"size": len(music.content), "bytes": hashlib.sha256(music.content).hexdigest()}
            yield Seen(observed, rater, stored.prompt_id, getattr(stored, f"clip_{slot.lower()}_id"))
        Battle.objects.filter(pk=stored.pk).update(closed_at=timezone.now(), close_reason="voted")


def is_recognised(arena, learnt, slug):
    """The Recognition of fresh battles, if it is better than chance twice; else False."""
    found = [recognise(learnt, arena.listen(slug, N_FRESH), np.random.default_rng(1))]
    if found[0].p < ALPHA:
        found.append(recognise(learnt, arena.listen(slug, N_FRESH), np.random.default_rng(2)))
    return found if all(one.p < ALPHA for one in found) else False


@pytest.mark.parametrize("k", [40, 400, pytest.param(2000, marks=pytest.mark.slow)])
def test_nothing_learnt_in_revealed_battles_recognises_a_clip_in_any_study(arena, k):
    learnt = arena.listen("open", k)
    assert not is_recognised(arena, learnt, "open")
    assert not is_recognised(arena, learnt, "quiet")


# ---- and that it would have been recognised -------------------------------------------------------------


def test_one_file_for_all_battles_would_be_recognised(arena, monkeypatch):
    """Pools off: every battle plays the first excerpt of a clip."""

    def first(study_id, rater_id, pieces, length_ms, codec, is_own):
        rows = Excerpt.objects.filter(study=study_id, status="ready").order_by("pk")
        return [pools.Piece(rows.filter(clip=clip).first().pk, 0) for clip, _ in pieces]

    monkeypatch.setattr(pools, "take", first)
    found = is_recognised(arena, arena.listen("open", 40), "open")
    assert found and found[0].accuracy > 0.7
    assert not is_recognised(arena, arena.listen("open", 40), "quiet"), "each study has files of its own"


def test_a_picture_of_the_clip_would_be_recognised_in_every_study(arena, monkeypatch):
    described = battles.battle_json

    def with_pictures(served, *more):
        content, battle = described(served, *more), served.battle
        for slot, clip in (("A", battle.clip_a_id), ("B", battle.clip_b_id)):
            content["clips"][slot]["peaks"] = np.random.default_rng(clip).random(8).round(3).tolist()
        return content

    monkeypatch.setattr(battles, "battle_json", with_pictures)
    found = is_recognised(arena, arena.listen("open", 40), "quiet")
    assert found and found[0].accuracy > 0.9

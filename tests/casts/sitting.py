"""A listener who answers a whole study, battle after battle, and the variants of clips that its checks need."""

from arena.models import Battle, Excerpt
from tests.casts.listener import Listener


def add_variant(clip, variant):
    plain = clip.excerpts.get(variant="")
    Excerpt.objects.create(
        study=plain.study, clip=clip, length_ms=plain.length_ms, codec="mp3", variant=variant, status="ready",
        size=plain.size, file=f"excerpts/{clip.pk}-{variant}.mp3",
    )  # fmt: skip


class Sitting:
    """A listener who answers battle after battle, and what they were told."""

    def __init__(self, time_passes):
        self.listener, self.time_passes, self.told = Listener().agree(), time_passes, []

    def answer(self, choose=lambda battle: "A"):
        served = self.listener.battle()
        battle = Battle.objects.get(pk=served["id"])
        self.time_passes(9)
        voted = self.listener.vote(served, choose(battle), key=served["id"])
        assert voted.status_code == 201, voted.content
        self.told.append((battle, served, voted.json()))
        return self

    def to_the_end(self, choose=lambda battle: "A"):
        while not self.told or self.told[-1][1]["progress"]["done"] + 1 < self.told[-1][1]["progress"]["total"]:
            self.answer(choose)
        refused = self.listener.post("/api/battles/")
        assert (refused.status_code, refused.json()["code"]) == (409, "none_left")
        return self

    @property
    def battles(self):
        return [battle for battle, *_ in self.told]

    def of_kind(self, *kinds):
        return [told for told in self.told if told[0].kind in kinds]


def right(battle):
    return battle.expected or "A"


def wrong(battle):
    return {"A": "B", "B": "A"}.get(battle.expected, "A")

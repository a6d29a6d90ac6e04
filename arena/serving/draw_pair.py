"""Which clip pair a rater hears next: a pair of systems by the study's policy, then clips of them so that prompts stay
balanced; each with its probability given what this rater was eligible for."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Any

import numpy as np
from django.db import connection

from arena.models import Battle, Study
from arena.serving.candidates import Candidate
from arena.serving.pairing import Draw, draw_least_voted, draw_uniform
from arena.serving.stock import recent_stock, recent_table
from arena.serving.vote_counts import votes_on

BALANCED_OVER = 4  # latest battles per prompt over which a pair's prompts are balanced
# Raw SQL: they run for every battle, and building them in the ORM takes longer than running them.
RETIRED = """
    SELECT system.id FROM arena_system AS system
        JOIN arena_study_systems AS here ON here.system_id = system.id AND here.study_id = %s
    WHERE system.retired_at IS NOT NULL"""
LATELY = " UNION ALL ".join(
    f"""(SELECT prompt_id FROM arena_battle
         WHERE study_id = %(study)s AND system_a_id = %({a})s AND system_b_id = %({b})s
             AND kind = 'ranked' AND close_reason <> 'skipped'
         ORDER BY served_at DESC LIMIT %(most)s)"""
    for a, b in (("low", "high"), ("high", "low"))
)


@dataclass(frozen=True)
class Drawn:
    """policy: the one that drew the pair; without a pairing table it is not the study's."""

    candidate: Candidate
    policy: str
    pair: Draw
    clips: Draw


class Offer:
    """What a rater can be served now: clip pairs not heard yet, of systems in service, within the quotas.

    Without `prompt` that is the study's stock except for a few pairs, which are left out of the draw; so the time of a
    draw does not depend on the number of votes.
    """

    def __init__(self, rater, study, past, now, prompt=None):
        self.rater, self.study, self.now, self.prompt = rater, study, now, prompt
        self.stock = recent_stock(study)
        ranked = [battle for battle in past if battle.kind == Battle.Kind.RANKED]
        self._met = {frozenset((battle.clip_a_id, battle.clip_b_id)) for battle in ranked}
        self._met_again = [{b.clip_a_id, b.clip_b_id} for b in ranked if b.policy == Battle.AGAIN]
        self.is_over = bool(study.battles_per_rater and len(self._met) >= study.battles_per_rater)

    @property
    def is_empty(self) -> bool:
        return self.is_over or self._shut.size == self.stock.low.size

    def is_full_for_now(self, awaited: Any) -> bool:
        """Whether nothing can be drawn, and only because places are held. awaited: int [pairs], places held."""
        if self.is_over or not self.is_empty or not self.study.votes_per_pair:
            return False
        is_left = np.ones(self.stock.low.size, bool)
        is_left[self._closed] = False
        return bool(np.any(is_left & (self.counts - awaited < self.study.votes_per_pair)))

    @cached_property
    def counts(self) -> Any:
        """int [pairs]: votes given and votes expected."""
        return votes_on(self.study, self.stock, self.now)

    def after(self, battle: Battle) -> "Offer":
        """What there is once `battle` has been served, without asking the database again."""
        then = Offer(self.rater, self.study, [], self.now)
        then.stock, then._retired = self.stock, self._retired
        then._met, then._met_again = set(self._met), list(self._met_again)
        if battle.kind == Battle.Kind.RANKED:
            then._met.add(frozenset((battle.clip_a_id, battle.clip_b_id)))
            if battle.policy == Battle.AGAIN:
                then._met_again.append({battle.clip_a_id, battle.clip_b_id})
            elif "counts" in self.__dict__:
                then.counts = self.counts.copy()
                for pair in self._heard([(battle.clip_a_id, battle.clip_b_id)]):
                    then.counts[pair] += 1
        then.is_over = bool(self.study.battles_per_rater and len(then._met) >= self.study.battles_per_rater)
        return then

    def n_left(self) -> int:
        """How many battles are left for this rater within the quotas."""
        if self.is_over:
            return 0
        left = self.stock.options.copy()
        for pair, n in self._heard(self._met).items():
            left[pair] -= n
        left[self._retired] = 0
        if self.study.votes_per_pair:
            room = self.study.votes_per_pair - self.counts
            for pair, n in self._heard(self._met_again).items():  # so that these reduce the total, too
                room[pair] -= n
            left = np.clip(room, 0, left)
        return int(left.sum())

    def draw(self, rng: Random) -> Drawn:
        """A Drawn; ValueError where nothing is left."""
        policy, pair = self._draw_pair(rng)
        options = [option for option in self.stock.candidates(pair.index) if self._is_open(option)]
        if policy == Study.Pairing.UNIFORM or self.prompt or len(options) == 1:
            clips = draw_uniform(len(options), rng)
        else:
            clips = draw_least_voted(self._lately_on_prompts(options), self.study.epsilon, rng)
        return Drawn(options[clips.index], policy, pair, clips)

    def _draw_pair(self, rng):
        shut, n = self._shut, self.stock.low.size
        if self.study.pairing == Study.Pairing.UNIFORM:
            return Study.Pairing.UNIFORM, draw_uniform(n, rng, shut)
        table = recent_table(self.study) if self.study.pairing == Study.Pairing.INFORMATIVE else None
        if table:
            return Study.Pairing.INFORMATIVE, self.stock.wheel(table).draw(self.study.epsilon, rng, shut)
        return Study.Pairing.LEAST_VOTED, draw_least_voted(self.counts, self.study.epsilon, rng, shut)

    @cached_property
    def _shut(self):
        """int: indices of the pairs that cannot be drawn for this rater, ascending."""
        full = self._full()
        return np.union1d(self._closed, full) if full.size else self._closed

    @cached_property
    def _closed(self):
        """int: those of them that no free place would open: without clips, heard already, retired."""
        shut = self._nothing_left() if self.prompt else self.stock.shut
        more = (
            [] if self.prompt else [pair for pair, n in self._heard(self._met).items() if n >= self.stock.options[pair]]
        )
        for others in (np.array(more, dtype=np.intp), self._retired):
            if others.size:
                shut = np.union1d(shut, others)
        return shut

    def _nothing_left(self):
        """int: the pairs of which this rater has heard everything for the prompt."""
        left = self.stock.options_on(self.prompt)
        for pair, n in self._heard(self._met, self.prompt).items():
            left[pair] -= n
        return np.flatnonzero(left <= 0)

    def _full(self):
        """int: the pairs that have all the votes they need."""
        quota = self.study.votes_per_pair
        return np.flatnonzero(self.counts >= quota) if quota else np.array([], dtype=np.intp)

    def find(self, clip: int, other: int) -> Candidate | None:
        """The Candidate of two clips if this rater can be served it now, regardless of the quotas; else None."""
        candidate = None if frozenset((clip, other)) in self._met else self.stock.find(clip, other)
        return candidate if candidate and self.stock.number_of(clip, other)[0] not in self._retired else None

    def _heard(self, met, prompt=None):
        """{pair: number of clip pairs in stock that this rater has heard}."""
        places = (self.stock.number_of(*clips) for clips in met)
        return Counter(pair for pair, of in filter(None, places) if prompt in (None, of))

    @cached_property
    def _retired(self):
        """int: the pairs with a system that was retired since the stock was read."""
        with connection.cursor() as cursor:
            cursor.execute(RETIRED, [self.study.pk])
            return self.stock.numbers_of([system for (system,) in cursor])

    def _is_open(self, option):
        return frozenset(option.clip_ids) not in self._met and self.prompt in (None, option.prompt_id)

    def _lately_on_prompts(self, options):
        """How often the pair was recently served for each option's prompt; the time does not depend on the number of
        votes."""
        low, high = options[0].system_ids
        most = BALANCED_OVER * len({option.prompt_id for option in options})
        with connection.cursor() as cursor:
            cursor.execute(LATELY, {"study": self.study.pk, "low": low, "high": high, "most": most})
            lately = Counter(prompt for (prompt,) in cursor)
        return [lately[option.prompt_id] for option in options]

"""Simulated raters, some more careful than others, who vote through the same services as people but on their own
clock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from django.utils import timezone
from scipy.special import expit

from annotations.services import Answer, cast_vote
from arena.models import Study, System
from arena.refusals import Conflict
from arena.services import give_consent
from arena.serving import serve_battle

from .systems import SYSTEMS

RATERS, BATTLES_EACH = 24, 15
SHARPNESS = 1.5  # factor on the planted qualities, in logits: a careful rater discriminates somewhat better


@dataclass(frozen=True)
class Care:
    """How a rater decides: share of guesses, share of near-equal pairs called a tie, bias towards slot B in logits."""

    guesses: float
    ties: float
    slot_b: float


CARES = (Care(0.03, 0.5, 0.0), Care(0.1, 0.35, 0.1), Care(0.2, 0.2, 0.2), Care(0.6, 0.05, 0.6))


def vote(study: Study, progress: Callable[[], object] = lambda: None, seed: int = 2026) -> int:
    """Let RATERS raters answer BATTLES_EACH battles each over the past days. Returns the number of votes."""
    rng = Random(seed)
    quality = {
        pk: next(system.quality for system in SYSTEMS if system.slug == name)
        for pk, name in System.objects.filter(studies=study).values_list("pk", "name")
    }
    begin = timezone.now() - timedelta(days=6)
    votes = 0
    for number in range(RATERS):
        clock = begin + timedelta(hours=5 * number, minutes=rng.uniform(0, 50))
        rater = give_consent(None, study, study.consent_version, now=clock, kind="simulated")
        care = CARES[number % len(CARES)]
        for turn in range(BATTLES_EACH):
            try:
                battle, _ = serve_battle(rater, study, now=clock, rng=rng)
            except Conflict:  # no pair is left for this rater
                break
            heard = {slot: [[0, rng.randrange(study.min_listen_ms, battle.length_ms + 1)]] for slot in ("A", "B")}
            clock += timedelta(milliseconds=sum(end for [[_, end]] in heard.values()), seconds=rng.uniform(1, 9))
            answer = Answer(
                preference=decide(quality[battle.system_a_id], quality[battle.system_b_id], care, rng),
                heard=heard,
                first_played="A",
                switches=rng.randrange(1, 5),
            )
            cast_vote(rater, battle.pk, answer, f"simulated-{turn}", now=clock)
            votes += 1
            progress()
    return votes


def decide(quality_a: float, quality_b: float, care: Care, rng: Random) -> str:
    """A rater's answer to two clips of these qualities."""
    if rng.random() < care.guesses:
        return "A" if rng.random() < expit(-care.slot_b) else "B"
    if max(quality_a, quality_b) < -0.5 and rng.random() < 0.3:
        return "BOTH_BAD"
    if abs(quality_a - quality_b) < 0.9 and rng.random() < care.ties:
        return "TIE"
    return "A" if rng.random() < expit(SHARPNESS * (quality_a - quality_b) - care.slot_b) else "B"

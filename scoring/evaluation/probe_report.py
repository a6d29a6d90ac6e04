"""The results of the probes as text and JSON: which expectations failed, and where damaged audio is preferred."""

from dataclasses import asdict
from typing import Any

from scoring.evaluation import probes
from scoring.evaluation.probes import EQUAL_WITHIN, FAILED, LOWER, UNCLEAR, Outcome
from scoring.wording.tables import aligned, number, percent, signed

from .probing import Probing

SHOWN = 5  # of the clips on which a damaged copy is preferred, and of the reasons for having no reward

HOW_TO_READ = (
    "Difference: mean reward of the probe minus that of its original, with the standard error over originals. "
    f"A verdict is beyond chance at 95 % (Student's t over originals, each probe by itself); equal is within "
    f"{EQUAL_WITHIN:g}. "
    "Original wins: share of the originals with the larger reward, equal ones counting half."
)
PUBLISHED_NOTE = (
    f"TuneJury: the same difference for its released model, on clips of its own: {probes.PUBLISHED_SOURCE}; - where it "
    "gives none. Compare the signs and the order: a reward's scale is its model's, and its copies are scaled to full "
    "scale."
)


def as_text(probing: Probing) -> str:
    blocks = [_originals(probing), _table(probing.outcomes), HOW_TO_READ + "\n" + PUBLISHED_NOTE]
    blocks += [_failed(probing), _preferred(probing), _without_reward(probing)]
    return "\n\n".join(filter(None, blocks))


def as_json(probing: Probing) -> dict[str, Any]:
    return {
        "notes": [HOW_TO_READ, PUBLISHED_NOTE],
        "originals": [
            {"name": name, "prompt": prompt, "reward": reward}
            for name, prompt, reward in zip(probing.names, probing.prompts, probing.rewards, strict=True)
        ],
        "probes": [_outcome(outcome, probing) for outcome in probing.outcomes],
        "without_reward": probing.failures,
    }


def _outcome(outcome: Outcome, probing: Probing) -> dict[str, Any]:
    probe = outcome.probe
    facts = {key: value for key, value in asdict(outcome).items() if key not in ("probe", "preferred")}
    return {
        "probe": probe.name,
        "expect": probe.expect,
        "why": probe.why,
        **facts,
        "preferred_on": [probing.names[place] for place, _ in outcome.preferred],
        "rewards": probing.probed[probe.name],
        "published_difference": probe.published_difference,
    }


def _originals(probing: Probing) -> str:
    rewards = [reward for reward in probing.rewards if reward is not None]
    if not rewards:
        return "No original has a reward."
    mean = sum(rewards) / len(rewards)
    return (
        f"{len(rewards)} of {len(probing.names)} originals have a reward: mean {signed(mean)}, "
        f"from {signed(min(rewards))} to {signed(max(rewards))}."
    )


def _table(outcomes: list[Outcome]) -> str:
    rows = [
        [
            outcome.probe.name,
            outcome.probe.expect,
            signed(outcome.difference),
            number(outcome.stderr, 2),
            percent(outcome.original_wins, 0) + " %",
            str(outcome.n),
            signed(outcome.probe.published_difference),
            outcome.verdict,
        ]
        for outcome in outcomes
    ]
    header = ["probe", "expect", "difference", "stderr", "original wins", "n", "TuneJury", "verdict"]
    return aligned(header, rows, left=2)


def _failed(probing: Probing) -> str:
    failed = [outcome for outcome in probing.outcomes if outcome.verdict == FAILED]
    doubtful = [o for o in probing.outcomes if o.verdict == UNCLEAR and o.probe.expect == LOWER and o.difference >= 0]
    return "\n".join(
        [
            "Expectations that failed:" if failed else "No expectation failed beyond chance.",
            *map(_expected, failed),
            *(["Not lower on average, though perhaps by chance:"] if doubtful else []),
            *map(_expected, doubtful),
        ]
    )


def _expected(outcome: Outcome) -> str:
    probe = outcome.probe
    return f"  {probe.name}: {signed(outcome.difference)}, expected {probe.expect}: {probe.why}."


def _preferred(probing: Probing) -> str:
    """Where the probe, which should be worse than its original, has the larger reward."""
    preferred = [outcome for outcome in probing.outcomes if outcome.probe.expect == LOWER and outcome.preferred]
    if not preferred:
        return "The model prefers nothing that should be worse to its original."
    return "\n".join(
        ["Where the model prefers what should be worse to its original:"]
        + [_who(outcome, probing) for outcome in preferred]
    )


def _who(outcome: Outcome, probing: Probing) -> str:
    originals = [f"{probing.names[place]} {signed(gain)}" for place, gain in outcome.preferred[:SHOWN]]
    more = len(outcome.preferred) - len(originals)
    names = ", ".join(originals) + (f" and {more} more" if more else "")
    return f"  {outcome.probe.name}: {len(outcome.preferred)} of {outcome.n}: {names}"


def _without_reward(probing: Probing) -> str:
    if not probing.failures:
        return ""
    lines = ["Without a reward, and so left out:"]
    for name, reasons in probing.failures.items():
        lines.append(f"  {name}: {len(reasons)}")
        lines += [f"    {original}: {reason}" for original, reason in list(reasons.items())[:SHOWN]]
    return "\n".join(lines)

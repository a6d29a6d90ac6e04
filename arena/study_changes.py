"""What may not change in a study that people have taken part in, and which changes mix votes.

Used by the admin and the study file.
"""

import json
from collections.abc import Iterator

from .models import Consent, Study

MIXES = (
    "answers", "questions", "min_listen_ms", "switching", "excerpt_s", "full_length", "codec", "reveal",
    "practice", "golds", "traps", "repeats", "volume_check", "headphones",
)  # fmt: skip


def refused(before: Study, after: Study) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, sentence) for every change that is not allowed. before: as in the database; after: not yet saved."""
    if after.is_simulated != before.is_simulated:
        stands = json.dumps(before.is_simulated)
        yield ("is_simulated",), f"It is {stands} and cannot change: editions and releases of its votes repeat it."
    if after.consent_version < before.consent_version:
        yield ("consent_version",), f"It is {before.consent_version} already, and only goes up."
    elif after.consent_version == before.consent_version and _words(after) != _words(before):
        agreed = Consent.objects.filter(study=before, version=before.consent_version).count()
        if agreed:
            yield (
                ("consent_text",),
                (
                    f"{_people(agreed)} agreed to version {before.consent_version}, which had a different text: raise "
                    f"consent_version to {before.consent_version + 1}."
                ),
            )


def mixed(before: Study, after: Study) -> dict[str, str]:
    """{setting: sentence} for changes that make later votes differ from the existing ones."""
    changed = [name for name in MIXES if getattr(after, name) != getattr(before, name)]
    votes = before.battles.filter(close_reason="voted").count() if changed else 0
    return {
        name: f"{_votes(votes)} given with {_shown(before, name)}; those to come have {_shown(after, name)}, and "
        "boards mix both."
        for name in changed
        if votes
    }


def move_default(study: Study) -> Study | None:
    """Unmark the other study that is the default, before `study` is saved as the default. Returns it, or None."""
    other = Study.objects.filter(is_default=True).exclude(pk=study.pk).first() if study.is_default else None
    if other:
        Study.objects.filter(pk=other.pk).update(is_default=False)
    return other


def _words(study):
    return study.consent_text.replace("\r\n", "\n").strip()


def _people(count):
    return "One person has" if count == 1 else f"{count} people have"


def _votes(count):
    return "1 vote was" if count == 1 else f"{count} votes were"


def _shown(study, name):
    return json.dumps(getattr(study, name), ensure_ascii=False)

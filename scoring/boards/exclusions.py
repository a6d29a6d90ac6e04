"""The public ledger of exclusions: which votes a board leaves out, by which rule, and since when."""

from dataclasses import asdict
from typing import Any

from django.db.models import Count, Q

from annotations import ledger_heads
from annotations.models import Flag, Ledger
from arena.models import Study
from scoring.stats.board_method import excluded_flags

PAGE = 100


def exclusions(study: Study, before: int | None = None) -> dict[str, Any]:
    """What GET /api/exclusions/ returns: every rule that has flagged votes of the study, with how many votes of how
    many raters, whether the board excludes them (as in the last edition; before the first, by the study's settings),
    and the flags themselves, newest first, PAGE at a time.

    Flags that exclude nothing are listed too, so that nothing known about a vote is hidden. No rater is named. The
    last signed head of the ledger is there for others to keep: it is of all studies.
    """
    last = study.editions.newest()
    leaves_out = set(last.config["excluded_flags"] if last else excluded_flags(study))
    flags = Flag.objects.filter(vote__battle__study=study)
    cleared = Flag.objects.filter(vote__battle__study=study, rule=Flag.CLEARED).values("vote")
    head = ledger_heads.last_head()
    by_rule = (
        flags.values("rule", "rule_version")
        .annotate(
            votes=Count("vote", distinct=True),
            raters=Count("vote__rater", distinct=True),
            cleared=Count("vote", distinct=True, filter=Q(vote__in=cleared)),
        )
        .order_by("rule", "rule_version")
    )
    return {
        "study": study.slug,
        "rules": [
            {
                "rule": row["rule"],
                "version": row["rule_version"],
                "votes": row["votes"],
                "raters": row["raters"],
                "cleared": row["cleared"] if row["rule"] not in (Flag.CLEARED, Flag.WITHDRAWN) else 0,
                "excludes": row["rule"] in leaves_out,
            }
            for row in by_rule
        ],
        **_page(study, before),
        "ledger_head": asdict(head) if head else None,
    }


def _page(study, before):
    """The newest flags that the ledger has numbered (below `before`), and where the next page begins."""
    entries = Ledger.objects.filter(study=study, flag__isnull=False, seq__isnull=False)
    if before:
        entries = entries.filter(seq__lt=before)
    rows = list(
        entries.order_by("-seq").values_list(
            "seq", "flag__vote_id", "flag__rule", "flag__rule_version", "flag__created_at"
        )[: PAGE + 1]
    )
    return {
        "flags": [
            {"seq": seq, "vote": vote, "rule": rule, "version": version, "at": at.isoformat()}
            for seq, vote, rule, version, at in rows[:PAGE]
        ],
        "next_before": rows[PAGE - 1][0] if len(rows) > PAGE else None,
    }

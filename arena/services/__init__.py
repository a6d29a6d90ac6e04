"""Where several of the stage's models change together: clips in, raters in, battles served."""

from .again import ask_again
from .clips import cut_excerpt, ingest_clip, local_copy, register_clip
from .joining import (
    HEADPHONE_ATTEMPTS,
    answer_headphones,
    begin_headphones,
    find_study,
    forget_arrivals,
    give_consent,
    headphone_targets,
    participation_of,
    require_ready,
    set_volume,
)
from .serving import SKIP_REASONS, progress, serve_battle, skip_battle, waits_for_clips

__all__ = [
    "HEADPHONE_ATTEMPTS",
    "SKIP_REASONS",
    "answer_headphones",
    "ask_again",
    "begin_headphones",
    "cut_excerpt",
    "find_study",
    "forget_arrivals",
    "give_consent",
    "headphone_targets",
    "ingest_clip",
    "local_copy",
    "participation_of",
    "progress",
    "register_clip",
    "require_ready",
    "serve_battle",
    "set_volume",
    "skip_battle",
    "waits_for_clips",
]

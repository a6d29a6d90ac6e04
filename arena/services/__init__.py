"""Changes to several models of `arena` at once: registering clips, admitting raters."""

from .clips import cut_excerpt, ingest_clip, leave_out, local_copy, register_clip, undo_import
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
from .leftovers import tidy

__all__ = [
    "HEADPHONE_ATTEMPTS",
    "answer_headphones",
    "begin_headphones",
    "cut_excerpt",
    "find_study",
    "forget_arrivals",
    "give_consent",
    "headphone_targets",
    "ingest_clip",
    "leave_out",
    "local_copy",
    "participation_of",
    "register_clip",
    "require_ready",
    "set_volume",
    "tidy",
    "undo_import",
]

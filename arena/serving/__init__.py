"""Serve battles: which clip pair a rater hears next, and the probability with which it was drawn."""

from .again import ask_again
from .battles import (
    SKIP_REASONS,
    Served,
    full_for_now,
    progress,
    serve,
    serve_battle,
    skip_battle,
    waits_for_clips,
)
from .reservations import keep_listening, late_from, note_listening

__all__ = [
    "SKIP_REASONS",
    "Served",
    "ask_again",
    "full_for_now",
    "keep_listening",
    "late_from",
    "note_listening",
    "progress",
    "serve",
    "serve_battle",
    "skip_battle",
    "waits_for_clips",
]

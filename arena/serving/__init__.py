"""Serve battles: which clip pair a rater hears next, and the probability with which it was drawn."""

from .again import ask_again
from .battles import SKIP_REASONS, progress, serve_battle, skip_battle, waits_for_clips

__all__ = [
    "SKIP_REASONS",
    "ask_again",
    "progress",
    "serve_battle",
    "skip_battle",
    "waits_for_clips",
]

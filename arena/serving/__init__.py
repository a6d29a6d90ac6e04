"""Serve battles: which clip pair a rater hears next, and the probability with which it was drawn."""

from .again import ask_again
from .battles import SKIP_REASONS, Served, progress, serve, serve_battle, skip_battle, waits_for_clips

__all__ = [
    "SKIP_REASONS",
    "Served",
    "ask_again",
    "progress",
    "serve",
    "serve_battle",
    "skip_battle",
    "waits_for_clips",
]

"""A study as a YAML file: written by hand or by `dump`, read by `load`, which reports all problems at once."""

from .dumping import dump
from .loading import Loaded, StudyFileRefused, load

__all__ = ["Loaded", "StudyFileRefused", "dump", "load"]

"""A study as a YAML file: written by hand or by `dump`, read by `load`, which says everything that is wrong at once."""

from .dumping import dump
from .loading import Loaded, StudyFileRefused, load

__all__ = ["Loaded", "StudyFileRefused", "dump", "load"]

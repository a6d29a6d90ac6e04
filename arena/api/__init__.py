"""The stage over HTTP. The contract is docs/api.md."""

from .contract import REFUSED, StrictSerializer, validated

__all__ = ["REFUSED", "StrictSerializer", "validated"]

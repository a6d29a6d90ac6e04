"""`arena` over HTTP. The contract is docs/api.md."""

from .contract import Answer, Refused, StrictSerializer, answer, refusals, validated

__all__ = ["Answer", "Refused", "StrictSerializer", "answer", "refusals", "validated"]

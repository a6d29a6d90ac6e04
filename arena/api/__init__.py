"""The stage over HTTP. The contract is DESIGN.md section 5."""

from .contract import Answer, Refused, StrictSerializer, answer, refusals, validated

__all__ = ["Answer", "Refused", "StrictSerializer", "answer", "refusals", "validated"]

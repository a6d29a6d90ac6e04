"""`arena` over HTTP. The contract is DESIGN.md section 5."""

from .contract import REFUSED, StrictSerializer, validated

__all__ = ["REFUSED", "StrictSerializer", "validated"]

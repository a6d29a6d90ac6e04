"""Who comes from where, without knowing who they are."""

from .marks import Marks, client_address, marks_of, marks_of_address

__all__ = ["Marks", "client_address", "marks_of", "marks_of_address"]

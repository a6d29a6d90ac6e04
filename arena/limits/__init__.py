"""Who comes from where, without knowing who they are, and how much of it at once."""

from .marks import Marks, client_address, marks_of, marks_of_address
from .proof_of_work import Proof, require_proof
from .traffic import admit_battle, admit_rater, close_voted, limit_of

__all__ = [
    "Marks",
    "Proof",
    "admit_battle",
    "admit_rater",
    "client_address",
    "close_voted",
    "limit_of",
    "marks_of",
    "marks_of_address",
    "require_proof",
]

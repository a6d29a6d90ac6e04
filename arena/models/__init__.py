"""What is compared (systems, prompts, clips) and how it is served (studies, raters, battles).

Invariants are named constraints here or, where Django cannot express them (composite foreign keys), statements
in a migration. A check that evaluates to NULL passes: hence every `isnull=False`.
"""

from arena.study_settings import ANSWERS

from .accounts import GivenPassword
from .again import Again
from .battles import Battle
from .clips import Clip, Excerpt, Prompt, Status, System
from .pairing import PairingTable
from .proofs import SpentProof
from .raters import Arrival, Consent, Participation, Rater
from .studies import Study, default_answers, default_questions
from .sweeps import ExcerptRequest, Sweep, SweepFailure
from .tokens import ApiToken, Scope
from .traffic import Traffic

__all__ = [
    "ANSWERS",
    "Again",
    "ApiToken",
    "Arrival",
    "Battle",
    "Clip",
    "Consent",
    "Excerpt",
    "ExcerptRequest",
    "GivenPassword",
    "PairingTable",
    "Participation",
    "Prompt",
    "Rater",
    "Scope",
    "SpentProof",
    "Status",
    "Study",
    "Sweep",
    "SweepFailure",
    "System",
    "Traffic",
    "default_answers",
    "default_questions",
]

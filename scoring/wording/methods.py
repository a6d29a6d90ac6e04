"""How a board is computed, in the reader's language."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

# (name, value) of an edition's configuration as a sentence.
RULES = {
    ("tie", "half a win each way"): gettext_lazy("A tie is half a win for each side."),
    ("tie", "an answer of its own"): gettext_lazy("A tie is an answer of its own."),
    ("both_bad", "an answer of its own"): gettext_lazy("“Both bad” is an answer of its own."),
    ("both_bad", "excluded"): gettext_lazy("A “both bad” vote is left out."),
    ("cluster", "rater; a vote without rater is a cluster of its own"): gettext_lazy(
        "Intervals are clustered by listener; a vote without a known listener is a cluster of its own."
    ),
}

# The settings in which two editions may differ.
SETTINGS = {
    "treatment": gettext_lazy("treatment of ties and “both bad”"),
    "tie": gettext_lazy("how a tie counts"),
    "both_bad": gettext_lazy("how “both bad” counts"),
    "covariates": gettext_lazy("what the ratings are adjusted for"),
    "sings_lyrics": gettext_lazy("which systems sing lyrics"),
    "weighting": gettext_lazy("weighting by how often a pair was drawn"),
    "influence": gettext_lazy("how much one network may weigh"),
    "l2": gettext_lazy("ridge penalty"),
    "level": gettext_lazy("level of the intervals"),
    "excluded_flags": gettext_lazy("flags that leave a vote out"),
    "cluster": gettext_lazy("clustering"),
    "reliability": gettext_lazy("votes weighted by listeners’ reliability"),  # noqa: RUF001
}

# Treatments of ties and "both bad", by name.
METHODS = {
    "half_tie": gettext_lazy("ties count half"),
    "davidson": gettext_lazy("ties as an answer (Davidson)"),
    "grounded": gettext_lazy("ties and “both bad” as answers (grounded)"),
}

# What each means, for staff who choose: a term and its explanation.
MEANINGS = {
    "half_tie": (
        gettext_lazy("Ties count half"),
        gettext_lazy(
            "A tie is half a win for each side, and “both bad” is left out. It works with any votes. It is the only "
            "choice that allows adjustments, and the only one with ratings from votes and rewards together."
        ),
    ),
    "davidson": (
        gettext_lazy("Davidson"),
        gettext_lazy(
            "A tie is an answer of its own, the likelier the closer two systems are; how readily listeners choose a "
            "tie is estimated. It needs at least one tie among the votes."
        ),
    ),
    "grounded": (
        gettext_lazy("Grounded"),
        gettext_lazy(
            "“Both bad” counts, too: against an absolute zero, so that a rating says how good a system is, not only "
            "how much better than the others. It needs ties and “both bad” votes."
        ),
    ),
}

# What a board says of its model after its RULES. Half-ties need no more words.
MODELS: dict[str, str | Promise] = {
    "half_tie": "",
    "davidson": gettext_lazy("Davidson’s model: the closer two systems are, the likelier a tie."),  # noqa: RUF001
    "grounded": gettext_lazy(
        "The grounded Rao-Kupper model: the better both systems are, the likelier a tie and the less likely “both "
        "bad”, which gives ratings a zero of their own."
    ),
}

WEIGHTINGS = {
    "none": gettext_lazy("every vote counts the same"),
    "uniform_pairs": gettext_lazy("as if every pair had been equally likely"),
}

"""How a board is computed, in the reader's language."""

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
    "l2": gettext_lazy("ridge penalty"),
    "level": gettext_lazy("level of the intervals"),
    "excluded_flags": gettext_lazy("flags that leave a vote out"),
    "cluster": gettext_lazy("clustering"),
    "reliability": gettext_lazy("votes weighted by listeners’ reliability"),  # noqa: RUF001
}

# Treatments of ties and "both bad".
METHODS = {
    "half_tie": gettext_lazy("ties count half"),
    "davidson": gettext_lazy("ties as an answer (Davidson)"),
    "grounded": gettext_lazy("ties and “both bad” as answers (grounded)"),
}

WEIGHTINGS = {
    "none": gettext_lazy("every vote counts the same"),
    "uniform_pairs": gettext_lazy("as if every pair had been equally likely"),
}

"""What stands on a board beside its numbers, in the reader's words."""

from django.utils.translation import gettext_lazy

# Why a vote is not on a board: what the vote is, what its listener wants, or what a rule says of its listener.
EXCLUDED = {
    "both_bad": gettext_lazy("Both clips were found bad, which is no preference"),
    "withdrawn": gettext_lazy("Withdrawn by the listener"),
    "practice": gettext_lazy("For practice"),
    "gold": gettext_lazy("A check: a clip against a damaged copy of itself"),
    "trap": gettext_lazy("A check: was the listener attending"),
    "repeat": gettext_lazy("A check: a pair that the listener had answered before"),
    "again": gettext_lazy("Served again on purpose, which would tilt the board"),
    "risk": gettext_lazy("The listener looks like a duplicate or a machine"),
    "careless": gettext_lazy("The listener did not listen, by all the checks together"),
    "favours_system": gettext_lazy("The listener favours one system far beyond what others hear"),
    "against_board": gettext_lazy("The listener contradicts the others more than taste explains"),
    "failed_golds": gettext_lazy("The listener preferred clips that were audibly damaged"),
    "inconsistent": gettext_lazy("The listener answered the same pairs differently each time"),
    "slot_bias": gettext_lazy("The listener chose one side, whatever was playing there"),
    "straight_lining": gettext_lazy("The listener gave the same answer again and again"),
    "too_fast": gettext_lazy("The listener answered faster than anyone can decide"),
    "no_headphones": gettext_lazy("Heard without headphones, where the study asks for them"),
    "impossible_times": gettext_lazy("The times recorded contradict what is said to have been heard"),
    "draw_unknown": gettext_lazy("It is not known how likely its pair was to be drawn"),
    "covariate_unknown": gettext_lazy("What the ratings are adjusted for is not known of it"),
    "late": gettext_lazy("Arrived late, and counted all the same"),
    "cleared": gettext_lazy("Looked at by a person, who found nothing wrong"),
}

# What an effect beside the ratings is of.
EFFECTS = {
    "slot": gettext_lazy("Standing in slot A"),
    "first_played": gettext_lazy("Being played first"),
    "duration": gettext_lazy("10 s more of the clip"),
    "loudness": gettext_lazy("1 LU louder before levels are matched"),
    "heard": gettext_lazy("Heard to the end, against not at all"),
    "lyrics": gettext_lazy("Singing the lyrics asked for, against a system that does not sing"),
}

"""The texts on a board beside its numbers, in the reader's language."""

from django.utils.translation import gettext_lazy

# Why a vote does not count on a board: what kind of vote it is, what its listener wants, or what a rule found.
EXCLUDED = {
    "both_bad": gettext_lazy("Both clips were judged bad, so there is no preference"),
    "withdrawn": gettext_lazy("Withdrawn by the listener"),
    "practice": gettext_lazy("Practice"),
    "gold": gettext_lazy("Check: a clip against a degraded copy of itself"),
    "trap": gettext_lazy("Attention check"),
    "repeat": gettext_lazy("Check: a pair that the listener had answered before"),
    "again": gettext_lazy("Served again on purpose, which would bias the board"),
    "risk": gettext_lazy("The listener looks like a duplicate or a bot"),
    "careless": gettext_lazy("All checks together suggest that the listener did not listen"),
    "favours_system": gettext_lazy("The listener favours one system far more than others do"),
    "coordinated": gettext_lazy("The listener came with others who all vote for or against one system"),
    "against_board": gettext_lazy("The listener disagrees with the others more than taste can explain"),
    "failed_golds": gettext_lazy("The listener preferred clips that were audibly degraded"),
    "inconsistent": gettext_lazy("The listener answered the same pairs differently each time"),
    "slot_bias": gettext_lazy("The listener favoured one side, whatever was playing there"),
    "straight_lining": gettext_lazy("The listener gave the same answer again and again"),
    "too_fast": gettext_lazy("The listener answered faster than anyone can decide"),
    "no_headphones": gettext_lazy("Heard without headphones, although the study asks for them"),
    "impossible_times": gettext_lazy("The recorded times contradict the reported listening"),
    "draw_unknown": gettext_lazy("The probability with which its pair was drawn is unknown"),
    "covariate_unknown": gettext_lazy("A value that the ratings are adjusted for is unknown"),
    "late": gettext_lazy("Arrived late, but counted"),
    "over_limit": gettext_lazy("More votes from one connection than the study allows, but counted"),
    "cleared": gettext_lazy("Reviewed by a person and found to be in order"),
}

# What an effect estimated beside the ratings is due to.
EFFECTS = {
    "slot": gettext_lazy("Being in slot A"),
    "first_played": gettext_lazy("Being played first"),
    "duration": gettext_lazy("10 s longer clip"),
    "loudness": gettext_lazy("1 LU louder before loudness matching"),
    "heard": gettext_lazy("Heard to the end, compared with not at all"),
    "lyrics": gettext_lazy("Singing the requested lyrics, compared with a system that does not sing"),
}

"""The weight of a vote that makes a board what it would be, had every pair been as likely as any other.

A pair drawn with probability p among m that this rater could have been given weighs (1/m) / p: what it was drawn too
often, it weighs too little (Horvitz & Thompson 1952, J. Am. Stat. Assoc. 47). The board then tends to that of uniform
pairing whether or not the ratings explain the votes; the price are wider intervals. Unweighted, it tends to the ratings
that explain best what was drawn: the same, where Bradley-Terry holds, and else not.
"""

from annotations.models import Ledger

NONE, UNIFORM_PAIRS = "none", "uniform_pairs"
WEIGHTINGS = (NONE, UNIFORM_PAIRS)


def uniform_pair_weights(study, up_to):
    """{seq: weight} of the study's votes up to a `seq` of the ledger, where it is known how their pairs were drawn."""
    drawn = Ledger.objects.filter(
        study=study,
        seq__lte=up_to,
        vote__battle__eligible_pairs__isnull=False,
        vote__battle__pair_probability__isnull=False,
    ).values_list("seq", "vote__battle__pair_probability", "vote__battle__eligible_pairs")
    return {seq: 1 / (probability * pairs) for seq, probability, pairs in drawn.iterator(chunk_size=5000)}

"""The robustness card of an edition."""

from rest_framework import serializers

from arena.api import Answer

from .boards import Figures, Shortfall


class RanksOfGroup(Answer):
    """Per system of a group, in the order of `systems`."""

    systems = serializers.ListField(child=serializers.CharField())
    counts = serializers.ListField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Draws in which it had each rank."
    )
    p_best = serializers.ListField(child=serializers.FloatField())
    best_rank = serializers.ListField(child=serializers.IntegerField(), help_text="Of the central range of ranks.")
    worst_rank = serializers.ListField(child=serializers.IntegerField())


class Ranks(Answer):
    draws = serializers.IntegerField()
    seed = serializers.IntegerField()
    distribution = serializers.CharField()
    degrees_of_freedom = serializers.FloatField()
    groups = RanksOfGroup(many=True)


class FewestRemovals(Answer):
    """The fewest votes, or raters, without whom somebody else would lead."""

    fewest = serializers.IntegerField(allow_null=True, help_text="null: more than `more_than`.")
    more_than = serializers.IntegerField(allow_null=True)
    approximation = serializers.IntegerField(allow_null=True, help_text="To first order, before refitting.")
    of = serializers.IntegerField()
    votes = serializers.IntegerField()
    new_leader = serializers.CharField(allow_null=True)


class Removal(Answer):
    votes = FewestRemovals(allow_null=True)
    raters = FewestRemovals(allow_null=True)


class SeparationOfPair(Answer):
    above = serializers.CharField()
    below = serializers.CharField()
    difference = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    votes = serializers.IntegerField(help_text="On the two, so far.")
    extra = serializers.IntegerField(allow_null=True, help_text="Votes until the interval excludes 0; null: never.")


class Separation(Answer):
    level = serializers.FloatField()
    assumption = serializers.CharField()
    pairs = SeparationOfPair(many=True)


class LargestShift(Answer):
    system = serializers.CharField()
    shift = serializers.FloatField()


class OtherBoard(Answer):
    """How the board moves in other circumstances, or why that is `unknown`."""

    unknown = serializers.CharField(required=False)
    leader = serializers.CharField(required=False)
    leader_changes = serializers.BooleanField(required=False)
    rank_changes = serializers.IntegerField(required=False)
    largest_shift = LargestShift(required=False, allow_null=True)
    shifts = serializers.DictField(child=serializers.FloatField(), required=False, help_text="By system.")


class WithoutRater(OtherBoard):
    """How the board moves without one of its heaviest raters."""

    votes = serializers.IntegerField(help_text="The rater's.")
    share = serializers.FloatField()


class VotesOnBothSides(Answer):
    with_ = serializers.IntegerField()
    without = serializers.IntegerField()


class LeaderOnBothSides(Answer):
    with_ = serializers.CharField(allow_null=True)
    without = serializers.CharField(allow_null=True)


class RatingOnBothSides(Answer):
    with_ = serializers.FloatField(allow_null=True)
    without = serializers.FloatField(allow_null=True)
    shift = serializers.FloatField(allow_null=True)


class WithFlaggedVotes(Answer):
    """The board with the votes that quality rules flag, and without."""

    edition_counts_them = serializers.BooleanField()
    votes = VotesOnBothSides()
    flagged = serializers.IntegerField()
    unknown = serializers.CharField(required=False)
    leader = LeaderOnBothSides(required=False)
    systems = serializers.DictField(child=RatingOnBothSides(), required=False)


class SlotAdjusted(OtherBoard):
    """How the board moves when the slot is a covariate."""

    effect = Figures(required=False, help_text="In favour of slot A.")


class SlotEffect(Answer):
    decided = serializers.IntegerField()
    b_won = serializers.IntegerField()
    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    p_value = serializers.FloatField()
    adjusted = SlotAdjusted()


class AgreementOfMargins(Answer):
    accuracy = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    ece = serializers.FloatField()


class AgreementOfModel(Answer):
    n = serializers.IntegerField(help_text="Decided votes on clips that both have a reward.")
    rewards = AgreementOfMargins(help_text="As they are.")
    corrected = AgreementOfMargins(help_text="Without the biases.")


class AgreementOfCard(AgreementOfModel):
    name = serializers.CharField()
    anchored = serializers.BooleanField()
    unscored = serializers.IntegerField()
    by_system = serializers.DictField(child=AgreementOfModel())


class RobustnessCard(Answer):
    """Without votes, `votes` and `leader` alone."""

    votes = serializers.IntegerField()
    leader = serializers.CharField(allow_null=True)
    ranks = Ranks(required=False)
    removal = Removal(required=False)
    separation = Separation(required=False)
    heaviest_raters = WithoutRater(many=True, required=False)
    flagged = WithFlaggedVotes(required=False, allow_null=True)
    slot = SlotEffect(required=False, allow_null=True)
    reward_model = AgreementOfCard(required=False, allow_null=True)


class Robustness(Answer):
    study = serializers.CharField()
    edition = serializers.IntegerField(allow_null=True)
    pending = serializers.BooleanField()
    preliminary = Shortfall(many=True, help_text="Where it is not empty, there is no card; see the leaderboard.")
    method_version = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField(allow_null=True)
    card = RobustnessCard(allow_null=True)

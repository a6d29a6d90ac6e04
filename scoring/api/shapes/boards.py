"""A board, what it leaves out, and what stands beside it: the ratings of votes and rewards."""

from rest_framework import serializers

from arena.api import Answer


class Category(Answer):
    category = serializers.CharField(help_text="As `?category=` takes it.")
    kind = serializers.CharField()
    name = serializers.CharField()
    n_votes = serializers.IntegerField()
    n_raters = serializers.IntegerField()


class Figures(Answer):
    """An estimate in logits, with its interval."""

    value = serializers.FloatField()
    stderr = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class Company(Answer):
    """The votes that came over one connection or network, by an opaque number."""

    connection = serializers.IntegerField(required=False)
    network = serializers.IntegerField(required=False)
    votes = serializers.IntegerField()
    raters = serializers.IntegerField()
    share = serializers.FloatField(help_text="Of the weight of all votes, as they came.")
    counts_as = serializers.FloatField(help_text="Of the weight on the board.")


class WithoutBusiest(Answer):
    leader = serializers.CharField()
    largest_rank_move = serializers.IntegerField(help_text="Places by which a system moves at most.")
    system = serializers.CharField(help_text="The one that moves most.")


class Influence(Answer):
    """What one connection or network decides of the board. Numbers of both say nothing but who shared one."""

    connections = serializers.IntegerField(help_text="Known ones.")
    networks = serializers.IntegerField()
    unknown = serializers.IntegerField(help_text="Votes without a known connection.")
    capped = Company(many=True, help_text="Networks whose votes count less.")
    largest_network = serializers.FloatField(help_text="Its share of the weight of all votes, as they came.")
    busiest = Company(allow_null=True, help_text="The busiest connection.")
    without_busiest = WithoutBusiest(allow_null=True, help_text="The board without it; null below 5 connections.")


class AboutBoard(Answer):
    """How the board was computed, and from what."""

    created_at = serializers.DateTimeField()
    method = serializers.CharField()
    config = serializers.DictField(help_text="The settings of the method; which there are depends on it.")
    ledger_seq = serializers.IntegerField(help_text="It counts the votes up to this place of the ledger.")
    input_hash = serializers.CharField()
    excluded = serializers.DictField(child=serializers.IntegerField(), help_text="Votes left out, by reason.")
    n_raters = serializers.IntegerField()
    n_without_rater = serializers.IntegerField(help_text="Votes.")
    g_eff = serializers.FloatField(help_text="How many raters of equal weight its votes are worth.")
    heaviest_rater_share = serializers.FloatField()
    eta = Figures(required=False, help_text="Of models of ties: nu = e^eta or lambda = 1 + e^eta.")
    zero = serializers.CharField(required=False, help_text="Of models of ties: what a rating of 0 is.")
    effects = serializers.DictField(
        child=Figures(), required=False, help_text="With covariates: the effect of each, per unit."
    )
    influence = Influence(required=False, help_text="Of overall boards since method version 3.")


class Since(Answer):
    """Up to where the ratings `now` count votes."""

    ledger_seq = serializers.IntegerField()
    n_votes = serializers.IntegerField()
    at = serializers.DateTimeField()


class Spread(Answer):
    value = serializers.FloatField(help_text="How far the categories of a kind differ, logits.")
    df = serializers.FloatField()
    n_categories = serializers.IntegerField()


class Pooling(Answer):
    kind = serializers.CharField()
    name = serializers.CharField()
    n_raters = serializers.IntegerField()
    spread = Spread()


class JuryOfSystem(Answer):
    """What the live model makes of a system's clips, and by how much that misses the votes."""

    mean_reward = serializers.FloatField(allow_null=True)
    reward_stderr = serializers.FloatField(allow_null=True)
    n_clips = serializers.IntegerField(help_text="Clips with a reward.")
    bias = serializers.FloatField(allow_null=True)
    bias_stderr = serializers.FloatField(allow_null=True)
    n_pairs = serializers.IntegerField(help_text="Anchor pairs.")


class RatedSystem(JuryOfSystem):
    """A system's rating by votes, and beside it what the live model makes of its clips."""

    system = serializers.CharField()
    rating = serializers.FloatField(help_text="In logits.")
    stderr = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    both_bad_share = serializers.FloatField(
        required=False, help_text="Grounded boards: how often it is bad beside one just like itself."
    )
    both_bad_low = serializers.FloatField(required=False)
    both_bad_high = serializers.FloatField(required=False)
    overall = serializers.FloatField(required=False, help_text="Of a category: the rating over all votes.")
    own_share = serializers.FloatField(
        required=False, help_text="Of a category: how far the rating follows the category's own votes."
    )
    n_votes = serializers.IntegerField()
    wins = serializers.IntegerField()
    losses = serializers.IntegerField()
    ties = serializers.IntegerField()
    both_bad = serializers.IntegerField(required=False, help_text="Grounded boards.")
    now = serializers.FloatField(allow_null=True, help_text="The rating with the votes since the edition; see `since`.")


class UnratedSystem(JuryOfSystem):
    """A system that no vote of the edition says anything of."""

    system = serializers.CharField()


class Shortfall(Answer):
    """What an edition lacks to be more than preliminary."""

    reason = serializers.ChoiceField(choices=["votes", "raters", "intervals"])
    has = serializers.FloatField(
        help_text="Votes on the board; raters of equal weight that they are worth; or half the width of a typical "
        "system's interval, in logits."
    )
    needs = serializers.FloatField(help_text="At least so many votes or raters, or an interval no wider.")


class Leaderboard(Answer):
    study = serializers.CharField()
    simulated = serializers.BooleanField()
    category = serializers.CharField()
    categories = Category(many=True)
    edition = serializers.IntegerField(allow_null=True, help_text="null before the first.")
    preliminary = Shortfall(many=True, help_text="Empty where the edition is more than that, or there is none.")
    about = AboutBoard(allow_null=True)
    since = Since(allow_null=True, help_text="null where no vote has come since the edition, or it is not the last.")
    n_votes = serializers.IntegerField()
    pooling = Pooling(allow_null=True, help_text="Of a category.")
    groups = serializers.ListField(
        child=RatedSystem(many=True), help_text="Of systems that can be compared, each from the highest rating down."
    )
    not_yet_rated = UnratedSystem(many=True)
    reward_model = serializers.CharField(allow_null=True, help_text="The live one.")


class RuleOfExclusion(Answer):
    rule = serializers.CharField()
    version = serializers.IntegerField()
    votes = serializers.IntegerField()
    raters = serializers.IntegerField()
    cleared = serializers.IntegerField(help_text="Votes that a person cleared of it.")
    excludes = serializers.BooleanField(help_text="Whether the board leaves out what it flags.")


class FlagOfVote(Answer):
    seq = serializers.IntegerField()
    vote = serializers.IntegerField()
    rule = serializers.CharField()
    version = serializers.IntegerField()
    at = serializers.DateTimeField()


class LedgerHead(Answer):
    seq = serializers.IntegerField(help_text="The entry of the ledger.")
    digest = serializers.CharField(help_text="Its hash, hexadecimal.")
    at = serializers.DateTimeField(help_text="When it was signed.")
    key = serializers.CharField(help_text="The public key (Ed25519), hexadecimal.")
    signature = serializers.CharField(help_text="Over entry, hash and time, hexadecimal.")


class Exclusions(Answer):
    study = serializers.CharField()
    rules = RuleOfExclusion(many=True)
    flags = FlagOfVote(many=True)
    next_before = serializers.IntegerField(allow_null=True)
    ledger_head = LedgerHead(allow_null=True)


class PoweredRating(Answer):
    system = serializers.CharField()
    rating = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    votes_rating = serializers.FloatField(help_text="Of the votes alone.")
    votes_low = serializers.FloatField()
    votes_high = serializers.FloatField()
    stderr = serializers.FloatField()
    width_ratio = serializers.FloatField(help_text="Of the interval to that of the votes alone.")


class Powered(Answer):
    created_at = serializers.DateTimeField()
    method = serializers.CharField()
    reward_model = serializers.CharField()
    config = serializers.DictField(help_text="The settings of the method.")
    not_offered = serializers.CharField(allow_null=True, help_text="Why there are no such ratings.")
    n_votes = serializers.IntegerField(required=False)
    n_predicted = serializers.IntegerField(required=False, help_text="Votes on which the model may speak.")
    n_unvoted = serializers.IntegerField(required=False, help_text="Pairs of clips nobody voted on.")
    n_unvoted_prompts = serializers.IntegerField(required=False)
    power = serializers.FloatField(required=False, help_text="How much the model's opinions count, 0 to 1.")
    correlation = serializers.FloatField(required=False, allow_null=True)
    width_ratio = serializers.FloatField(required=False)
    g_eff = serializers.FloatField(required=False)
    converged = serializers.BooleanField(required=False)
    groups = serializers.ListField(child=PoweredRating(many=True), required=False)


class PredictionPowered(Answer):
    study = serializers.CharField()
    edition = serializers.IntegerField(allow_null=True)
    computed = Powered(allow_null=True)

"""A board's history: its editions, and how two of them differ."""

from rest_framework import serializers

from arena.api import Answer


class Facts(Answer):
    """How many votes moved the board, by what happened to them."""

    new_votes = serializers.IntegerField()
    withdrawn = serializers.IntegerField()
    flagged = serializers.IntegerField()
    readmitted = serializers.IntegerField()


def settings_field() -> serializers.DictField:
    return serializers.DictField(
        child=serializers.ListField(min_length=2, max_length=2),
        help_text="What was set differently: {name: [before, after]}.",
    )


class Change(Answer):
    """What moved an edition away from the one before it."""

    from_ = serializers.IntegerField()
    to = serializers.IntegerField()
    facts = Facts()
    settings = settings_field()
    method = serializers.ListField(child=serializers.CharField(), help_text="Before, after.")
    reweighed = serializers.BooleanField(help_text="Votes weigh by newer estimates of reliability.")
    leader = serializers.ListField(child=serializers.CharField(allow_null=True), help_text="Before, after.")
    rank_moves = serializers.IntegerField()
    arrived = serializers.IntegerField(help_text="Systems rated for the first time.")


class EditionInShort(Answer):
    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    n_votes = serializers.IntegerField()
    excluded = serializers.DictField(child=serializers.IntegerField(), help_text="Votes left out, by reason.")
    method = serializers.CharField()
    treatment = serializers.CharField(help_text="Of ties and of votes that neither is good.")
    covariates = serializers.ListField(child=serializers.CharField())
    weighting = serializers.CharField()
    ledger_seq = serializers.IntegerField()
    input_hash = serializers.CharField()
    changes = Change(allow_null=True, help_text="null for the first, and until it is computed.")
    has_card = serializers.BooleanField(help_text="See /api/robustness/.")


class Editions(Answer):
    study = serializers.CharField()
    editions = EditionInShort(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class EndOfDifference(Answer):
    number = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    n_votes = serializers.IntegerField()
    method = serializers.CharField()
    leader = serializers.CharField(allow_null=True)


class Placement(Answer):
    """On a board, or the difference of two."""

    rating = serializers.FloatField()
    rank = serializers.IntegerField()


class PartsOfMove(Answer):
    new_votes = Placement()
    exclusions = Placement()
    method = Placement()


class MovedSystem(Answer):
    system = serializers.CharField()
    from_ = Placement(allow_null=True)
    to = Placement(allow_null=True)
    parts = PartsOfMove(allow_null=True)
    move = Placement(allow_null=True)


class EditionDifference(Answer):
    study = serializers.CharField()
    from_ = EndOfDifference()
    to = EndOfDifference()
    order = serializers.ListField(child=serializers.CharField(), help_text="In which the parts were told apart.")
    complete = serializers.BooleanField(help_text="Every step between is computed.")
    facts = Facts(allow_null=True)
    settings = settings_field()
    systems = MovedSystem(many=True)

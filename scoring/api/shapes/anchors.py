"""The live model's bias on each system of a study."""

from rest_framework import serializers

from arena.api import Answer


class BiasOfSystem(Answer):
    system = serializers.CharField()
    bias = serializers.FloatField()
    stderr = serializers.FloatField()
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n_pairs = serializers.IntegerField()
    n_needed = serializers.IntegerField(
        allow_null=True, help_text="Further pairs until the interval is as narrow as wanted."
    )


class BiasInPart(Answer):
    system = serializers.CharField()
    n_pairs = serializers.IntegerField()
    bias = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class PartOfVotes(Answer):
    from_seq = serializers.IntegerField()
    to_seq = serializers.IntegerField()
    n_pairs = serializers.IntegerField()
    biases = BiasInPart(many=True)
    from_ = serializers.DateTimeField(help_text="When its first vote was received.")
    to = serializers.DateTimeField()


class ChangeOfBias(Answer):
    """From the parts before to the newest part."""

    system = serializers.CharField()
    before = serializers.FloatField()
    change = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()
    moved = serializers.BooleanField(help_text="The interval excludes 0.")


class AnchorFit(Answer):
    created_at = serializers.DateTimeField()
    ledger_seq = serializers.IntegerField()
    config = serializers.DictField(help_text="The settings of the fit.")
    n_pairs = serializers.IntegerField()
    n_unscored = serializers.IntegerField(help_text="Votes on clips without a reward.")
    biases = BiasOfSystem(many=True)
    slices = PartOfVotes(many=True, help_text="The pairs by time.")
    changes = ChangeOfBias(many=True)


class PastFit(Answer):
    created_at = serializers.DateTimeField()
    ledger_seq = serializers.IntegerField()
    n_pairs = serializers.IntegerField()
    biases = serializers.DictField(child=serializers.FloatField(), help_text="By system.")


class Anchors(Answer):
    study = serializers.CharField()
    reward_model = serializers.CharField(allow_null=True)
    fit = AnchorFit(allow_null=True)
    history = PastFit(many=True)

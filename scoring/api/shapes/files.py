"""Rewards of files, and what margins between them mean."""

from rest_framework import serializers

from arena.api import Answer


class LapsesOfVotes(Answer):
    rate = serializers.FloatField(help_text="Share of votes that follow no margin, however large.")
    temperature = serializers.FloatField(
        help_text="T in P(preferred) = rate / 2 + (1 - rate) sigmoid(margin / T), which then holds."
    )


# ---- calibration --------------------------------------------------------------------------------------


class TemperatureOfModel(Answer):
    value = serializers.FloatField(help_text="T in P(preferred) = sigmoid(margin / T).")
    low = serializers.FloatField(help_text="Of the 95 % interval.")
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField(help_text="Decided votes it was fitted on.")


class FittedOn(Answer):
    votes = serializers.CharField(
        help_text="Side of the model's votes that temperature and lapses were fitted on: validation, or test for "
        "models from before lapses and where nothing fits the other."
    )
    n = serializers.IntegerField(help_text="Decided votes of that side.")


class MeasuredOn(Answer):
    votes = serializers.CharField(help_text="test: the side of ece, calibrated_ece and bins.")
    n_decided = serializers.IntegerField()


class ReliabilityBin(Answer):
    margin_low = serializers.FloatField()
    margin_high = serializers.FloatField()
    n = serializers.IntegerField()
    confidence = serializers.FloatField(help_text="Mean of sigmoid(|margin|).")
    accuracy = serializers.FloatField(help_text="Share whose predicted winner won.")


class MarginAsProbability(Answer):
    margin = serializers.FloatField()
    probability = serializers.FloatField(help_text="sigmoid(margin / T), or by lapses.", allow_null=True)
    sigmoid = serializers.FloatField()


class CalibrationOfMargins(Answer):
    reward_model = serializers.CharField()
    temperature = TemperatureOfModel(allow_null=True)
    reason = serializers.CharField(help_text="Why there is no temperature.", allow_null=True)
    lapses = LapsesOfVotes(allow_null=True)
    fitted_on = FittedOn(allow_null=True)
    measured_on = MeasuredOn(allow_null=True)
    ece = serializers.FloatField(help_text="Of the bins, under the plain sigmoid.", allow_null=True)
    calibrated_ece = serializers.FloatField(
        help_text="Of the calibrated probabilities; null where they were fitted on the same votes.", allow_null=True
    )
    bins = ReliabilityBin(many=True)
    examples = MarginAsProbability(many=True)


# ---- files that were sent -----------------------------------------------------------------------------


class Position(Answer):
    percentile = serializers.FloatField(
        allow_null=True, help_text="100 times the share of the clips with a smaller reward; null where n is 0."
    )
    n = serializers.IntegerField(help_text="Clips of the arena with a reward under this model.")


class PositionInStudy(Position):
    study = serializers.CharField()


class Score(Answer):
    id = serializers.UUIDField()
    filename = serializers.CharField()
    sha256 = serializers.CharField()
    reward = serializers.FloatField()
    reward_model = serializers.CharField()
    position = Position()
    position_in_study = PositionInStudy(allow_null=True)


class RankedFile(Answer):
    rank = serializers.IntegerField(allow_null=True, help_text="1 is the best; equal rewards share one.")
    index = serializers.IntegerField(help_text="Its place in the request, from 0.")
    filename = serializers.CharField()
    reward = serializers.FloatField(allow_null=True)
    margin = serializers.FloatField(allow_null=True, help_text="The best's reward minus this one's.")
    probability = serializers.FloatField(
        allow_null=True,
        help_text="P(the best is preferred to this one), calibrated on held-out votes; null where the model was not "
        "measured, and for the best itself.",
    )
    sigmoid = serializers.FloatField(allow_null=True, help_text="The same in the model's own word, sigmoid(margin).")
    error = serializers.CharField(allow_null=True)


class BestOfN(Answer):
    id = serializers.UUIDField()
    reward_model = serializers.CharField()
    temperature = serializers.FloatField(allow_null=True, help_text="See /api/models/live/calibration/.")
    lapses = LapsesOfVotes(allow_null=True)
    files = RankedFile(many=True)


class ScoreWaiting(Answer):
    id = serializers.UUIDField()
    url = serializers.CharField(help_text="Where to ask again; also the header Location.")
    queue_position = serializers.IntegerField(
        help_text="Turns until it is done, of up to 8 files each, as far as foreseen; 1: next, or being scored."
    )

"""What a listener learns after a vote, and what is kept of them."""

from rest_framework import serializers

from annotations.api import Check
from arena.api import Answer
from arena.api.battles import PromptOfBattle


class OpinionOfModel(Answer):
    reward_model = serializers.CharField()
    prefers = serializers.CharField()
    probability_a = serializers.FloatField()


class ShareOfCrowd(Answer):
    share_a = serializers.FloatField(help_text="Of the others' votes between these two systems.")
    n_votes = serializers.IntegerField()


class CountOfAgreement(Answer):
    agreed = serializers.IntegerField()
    of = serializers.IntegerField()


class AgreementOfRater(Answer):
    with_model = CountOfAgreement(allow_null=True)
    with_crowd = CountOfAgreement(allow_null=True)


class Insight(Answer):
    model = OpinionOfModel(allow_null=True)
    crowd = ShareOfCrowd(allow_null=True)
    agreement = AgreementOfRater()


class ShareOfAgreement(CountOfAgreement):
    share = serializers.FloatField()
    low = serializers.FloatField()
    high = serializers.FloatField()


class OwnAgreement(Answer):
    with_model = ShareOfAgreement(allow_null=True)
    with_crowd = ShareOfAgreement(allow_null=True)


class OwnConsent(Answer):
    version = serializers.IntegerField()
    at = serializers.DateTimeField()


class OwnStudy(Answer):
    study = serializers.CharField()
    name = serializers.CharField()
    agreed = OwnConsent(many=True)
    volume = serializers.FloatField(allow_null=True)
    headphones = serializers.CharField(allow_null=True, help_text="Outcome of the check; empty where none was done.")
    group = serializers.CharField(allow_null=True)


class OwnScreening(Answer):
    study = serializers.CharField()
    screen = serializers.CharField()
    version = serializers.IntegerField()
    result = serializers.CharField()
    score = serializers.FloatField(allow_null=True)
    n_votes = serializers.IntegerField()
    at = serializers.DateTimeField()


class HeardMs(Answer):
    A = serializers.IntegerField(allow_null=True)
    B = serializers.IntegerField(allow_null=True)


class NamesOfSystems(Answer):
    A = serializers.CharField()
    B = serializers.CharField()


class OwnOpinionOfModel(OpinionOfModel):
    agrees = serializers.BooleanField(allow_null=True)


class OwnShareOfCrowd(ShareOfCrowd):
    agrees = serializers.BooleanField(allow_null=True)


class OwnFlag(Answer):
    rule = serializers.CharField()
    version = serializers.IntegerField()
    at = serializers.DateTimeField()


class OwnVote(Answer):
    battle = serializers.UUIDField()
    study = serializers.CharField()
    study_name = serializers.CharField()
    at = serializers.DateTimeField()
    prompt = PromptOfBattle()
    preference = serializers.CharField()
    degree = serializers.CharField()
    axes = serializers.DictField(child=serializers.CharField())
    tags = serializers.ListField(child=serializers.CharField())
    comment = serializers.CharField()
    heard_ms = HeardMs()
    withdrawn = serializers.BooleanField()
    systems = NamesOfSystems(allow_null=True, help_text="null where the study does not reveal; so for what follows.")
    check = Check(allow_null=True)
    model = OwnOpinionOfModel(allow_null=True)
    crowd = OwnShareOfCrowd(allow_null=True)
    device = serializers.CharField()
    language = serializers.CharField()
    events = serializers.ListField(child=serializers.JSONField())
    heard = serializers.DictField(
        child=serializers.ListField(child=serializers.ListField(child=serializers.FloatField())),
        help_text="By slot: [[start, end], ...] in ms of clip time.",
    )
    flags = OwnFlag(many=True)
    first_played = serializers.CharField()
    switches = serializers.IntegerField(allow_null=True)
    first_play_ms = serializers.IntegerField(allow_null=True)
    opened_ms = serializers.IntegerField(allow_null=True)
    decided_ms = serializers.IntegerField(allow_null=True)
    pauses = serializers.IntegerField(allow_null=True)
    hidden = serializers.IntegerField(allow_null=True)
    volume = serializers.FloatField(allow_null=True)


class OwnHistory(Answer):
    rater = serializers.UUIDField()
    written_at = serializers.DateTimeField()
    agreement = OwnAgreement()
    studies = OwnStudy(many=True)
    screenings = OwnScreening(many=True)
    votes = OwnVote(many=True)

"""What the commands on the boards of studies say before they begin."""

import pytest
from django.core.management import CommandError, call_command

from scoring.models import AnchorFit, PredictionPowered, RewardModel

WITH_MODEL = ("refit_anchors", "prediction_powered")


@pytest.mark.parametrize("command", [*WITH_MODEL, "refit_board"])
def test_a_study_that_is_not_there_is_named(study, command):
    RewardModel.objects.create(name="jury", encoders=[], status="live")
    with pytest.raises(CommandError, match="There is no study nowhere, opera"):
        call_command(command, "open", "opera", "nowhere")


@pytest.mark.parametrize("command", WITH_MODEL)
def test_without_a_live_model_or_an_edition_the_command_says_what_to_do(study, command):
    with pytest.raises(CommandError, match=r"No reward model is live.*activate_model"):
        call_command(command, "open")
    RewardModel.objects.create(name="jury", encoders=[], status="live")
    with pytest.raises(CommandError, match=r"open: no edition of the board yet.*refit_board"):
        call_command(command, "open")
    call_command(command)  # of every study with an edition: none
    assert not AnchorFit.objects.exists() and not PredictionPowered.objects.exists()

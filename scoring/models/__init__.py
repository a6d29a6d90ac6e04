"""What reward models compute (embeddings, rewards) and what the statistics compute (editions, anchors)."""

from .anchors import AnchorBias, AnchorFit
from .boards import (
    BoardCheck,
    CategoryBoards,
    Edition,
    EditionChange,
    Figure,
    GroupScreening,
    PredictionPowered,
    QualityReport,
    Rating,
    RobustnessCard,
    Standing,
)
from .files import Release, ScoreItem, ScoreJob
from .registry import Decision, Retraining, RetrainingRun
from .rewards import Embedding, Reward, RewardModel, TrainingMark

__all__ = [
    "AnchorBias",
    "AnchorFit",
    "BoardCheck",
    "CategoryBoards",
    "Decision",
    "Edition",
    "EditionChange",
    "Embedding",
    "Figure",
    "GroupScreening",
    "PredictionPowered",
    "QualityReport",
    "Rating",
    "Release",
    "Retraining",
    "RetrainingRun",
    "Reward",
    "RewardModel",
    "RobustnessCard",
    "ScoreItem",
    "ScoreJob",
    "Standing",
    "TrainingMark",
]

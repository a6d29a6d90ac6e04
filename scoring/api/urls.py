from django.urls import path, re_path

from . import anchors, boards, calibration, editions, exports, listeners, score

urlpatterns = [
    path("exclusions/", boards.exclusions, name="api-exclusions"),
    path("leaderboard/", boards.leaderboard, name="leaderboard"),
    path("raters/me/history/", listeners.history, name="history"),
    path("battles/<uuid:battle_id>/insight/", listeners.insight, name="insight"),
    re_path(r"^exports/(?P<content>votes|pairs)/$", exports.exports, name="exports"),
    path("score/", score.score, name="score"),
    path("score/<uuid:job_id>/", score.scored, name="scored"),
    path("best-of-n/", score.best_of_n, name="best-of-n"),
    path("models/live/calibration/", calibration.calibration, name="calibration"),
    path("anchors/", anchors.anchors, name="anchors"),
    path("leaderboard/prediction-powered/", anchors.prediction_powered, name="prediction-powered"),
    path("editions/", editions.editions, name="api-editions"),
    path("editions/compare/", editions.compare, name="api-compare"),
    path("robustness/", editions.robustness, name="api-robustness"),
]

from django.urls import path, re_path

from scoring import views
from scoring.pages import editions as views_editions
from scoring.pages import staff

from .api import anchors, boards, calibration, editions, exports, listeners, score

urlpatterns = [
    path("", views.index, name="index"),
    path("boards/<slug:slug>/", views.board, name="board"),
    path("boards/<slug:slug>/plots/", views.plots, name="plots"),
    re_path(r"^boards/(?P<slug>[-\w]+)/plots/(?P<name>[a-z]+)\.(?P<form>json|csv)$", views.plot_data, name="plot-data"),
    path("me/", views.me, name="own-page"),
    path("models/", views.models, name="models"),
    path("models/<path:name>/data.json", views.model_data, name="model-data"),
    path("models/<path:name>/", views.model, name="model"),
    path("boards/<slug:slug>/exclusions/", views.exclusions, name="exclusions"),
    path("api/exclusions/", boards.exclusions, name="api-exclusions"),
    path("api/leaderboard/", boards.leaderboard, name="leaderboard"),
    path("api/raters/me/history/", listeners.history, name="history"),
    path("api/battles/<uuid:battle_id>/insight/", listeners.insight, name="insight"),
    re_path(r"^api/exports/(?P<content>votes|pairs)/$", exports.exports, name="exports"),
    path("api/score/", score.score, name="score"),
    path("api/score/<uuid:job_id>/", score.scored, name="scored"),
    path("api/best-of-n/", score.best_of_n, name="best-of-n"),
    path("api/models/live/calibration/", calibration.calibration, name="calibration"),
    path("api/anchors/", anchors.anchors, name="anchors"),
    path("api/leaderboard/prediction-powered/", anchors.prediction_powered, name="prediction-powered"),
    path("boards/<slug:slug>/editions/", views_editions.editions, name="editions"),
    path("boards/<slug:slug>/compare/", views_editions.compare, name="compare"),
    path("api/editions/", editions.editions, name="api-editions"),
    path("api/editions/compare/", editions.compare, name="api-compare"),
    path("api/robustness/", editions.robustness, name="api-robustness"),
    path("boards/<slug:slug>/systems/<path:name>/data.<str:format>", staff.system_data, name="system-data"),
    path("boards/<slug:slug>/systems/<path:name>/", staff.system, name="system"),
    path("boards/<slug:slug>/method/", staff.method, name="board-method"),
    path("review/", staff.queue, name="review"),
    path("review/data.<str:format>", staff.queue_data, name="review-data"),
    path("review/again/", staff.serve_again, name="serve-again"),
    path("review/mark/", staff.mark, name="training-mark"),
]

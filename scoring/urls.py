from django.urls import path, re_path

from . import api, staff_views, views

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
    path("boards/<slug:slug>/systems/<path:name>/data.<str:format>", staff_views.system_data, name="system-data"),
    path("boards/<slug:slug>/systems/<path:name>/", staff_views.system, name="system"),
    path("review/", staff_views.queue, name="review"),
    path("review/data.<str:format>", staff_views.queue_data, name="review-data"),
    path("review/again/", staff_views.serve_again, name="serve-again"),
    path("review/mark/", staff_views.mark, name="training-mark"),
    path("api/exclusions/", api.exclusions, name="api-exclusions"),
    path("api/leaderboard/", api.leaderboard, name="leaderboard"),
    path("api/raters/me/history/", api.history, name="history"),
    path("api/battles/<uuid:battle_id>/insight/", api.insight, name="insight"),
    re_path(r"^api/exports/(?P<content>votes|pairs)/$", api.exports, name="exports"),
]

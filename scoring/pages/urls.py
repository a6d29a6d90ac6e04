from django.urls import path, re_path

from . import boards, editions, listeners, models, staff

urlpatterns = [
    path("", boards.index, name="index"),
    path("boards/<slug:slug>/", boards.board, name="board"),
    path("boards/<slug:slug>/plots/", boards.plots, name="plots"),
    re_path(
        r"^boards/(?P<slug>[-\w]+)/plots/(?P<name>[a-z]+)\.(?P<form>json|csv)$", boards.plot_data, name="plot-data"
    ),
    path("me/", listeners.me, name="own-page"),
    path("models/", models.models, name="models"),
    path("models/<path:name>/data.json", models.model_data, name="model-data"),
    path("models/<path:name>/", models.model, name="model"),
    path("boards/<slug:slug>/exclusions/", boards.exclusions, name="exclusions"),
    path("boards/<slug:slug>/editions/", editions.editions, name="editions"),
    path("boards/<slug:slug>/compare/", editions.compare, name="compare"),
    path("boards/<slug:slug>/systems/<path:name>/data.<str:format>", staff.system_data, name="system-data"),
    path("boards/<slug:slug>/systems/<path:name>/", staff.system, name="system"),
    path("boards/<slug:slug>/method/", staff.method, name="board-method"),
    path("review/", staff.queue, name="review"),
    path("review/data.<str:format>", staff.queue_data, name="review-data"),
    path("review/again/", staff.serve_again, name="serve-again"),
    path("review/mark/", staff.mark, name="training-mark"),
]

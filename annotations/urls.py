from django.urls import path

from . import api

urlpatterns = [
    path("api/raters/me/", api.me, name="me"),
    path("api/raters/me/withdraw/", api.withdraw, name="withdraw"),
    path("api/studies/<slug:slug>/completion/", api.completion, name="completion"),
    path("api/battles/<uuid:battle_id>/vote/", api.vote, name="vote"),
]

from django.urls import path

from . import api

urlpatterns = [
    path("api/raters/me/", api.me, name="me"),
    path("api/battles/<uuid:battle_id>/vote/", api.vote, name="vote"),
]

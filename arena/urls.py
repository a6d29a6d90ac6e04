"""All URLs. Higher apps are named as strings; a path belongs to the highest app whose tables it reads."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.i18n import set_language
from drf_spectacular.views import SpectacularAPIView

from . import language, views
from .api import battles, joining

UUID = "-".join(f"[0-9a-f]{{{n}}}" for n in (8, 4, 4, 4, 12))  # anything else is no battle

urlpatterns = [
    path("listen/<slug:slug>/", views.listen, name="listen"),
    re_path(rf"^audio/(?P<battle_id>{UUID})/(?P<slot>[AB])$", views.excerpt, name="excerpt"),
    re_path(rf"^audio/(?P<battle_id>{UUID})/(?P<slot>[AB])/download$", views.download, name="download"),
    path("audio/clips/<int:clip_id>", views.clip_audio, name="clip-audio"),
    path("audio/headphones/<slug:slug>/<int:attempt>/<int:trial>", views.headphone_trial, name="headphone-trial"),
    path("audio/tones.wav", views.tones, name="tones"),
    path("api/raters/", joining.raters, name="raters"),
    path("api/studies/<slug:slug>/decline/", joining.decline, name="decline"),
    path("api/studies/<slug:slug>/volume/", joining.volume, name="volume"),
    path("api/studies/<slug:slug>/headphones/", joining.headphones, name="headphones"),
    path("api/studies/<slug:slug>/headphones/<int:attempt>/", joining.headphone_answers, name="headphone-answers"),
    path("api/battles/", battles.battles, name="battles"),
    path("api/battles/<uuid:battle_id>/skip/", battles.skip, name="skip"),
    path("api/battles/<uuid:battle_id>/listening/", battles.listening, name="listening"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("i18n/setlang/", set_language, name="set_language"),
    path("jsi18n/<slug:language>/<slug:version>.js", language.words, name="words"),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("admin/", admin.site.urls),
    path("", include("annotations.urls")),
    path("", include("scoring.urls")),
]

handler400 = "arena.failures.bad_request"
handler403 = "arena.failures.forbidden"
handler404 = "arena.failures.not_found"
handler500 = "arena.failures.server_error"

"""Every address. The rooms above are named as strings; a path belongs to the highest room it reads."""

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView

from . import api, views

urlpatterns = [
    path("listen/<slug:slug>/", views.listen, name="listen"),
    re_path(r"^audio/(?P<battle_id>[0-9a-f-]{36})/(?P<slot>[AB])$", views.excerpt, name="excerpt"),
    path("api/raters/", api.raters, name="raters"),
    path("api/battles/", api.battles, name="battles"),
    path("api/battles/<uuid:battle_id>/skip/", api.skip, name="skip"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("admin/", admin.site.urls),
    path("", include("annotations.urls")),
    path("", include("scoring.urls")),
]

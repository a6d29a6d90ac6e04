from django.urls import include, path

urlpatterns = [
    path("", include("scoring.pages.urls")),
    path("api/", include("scoring.api.urls")),
]

"""The language of the pages, and the translations for their scripts.

Pages are in the listener's language. The API, the admin and files are always in English.
"""

import hashlib
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.urls import reverse
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import require_safe
from django.views.i18n import JavaScriptCatalog

NOT_PAGES = ("/api/", "/admin/", "/audio/", "/jsi18n/")


class PageLanguage(LocaleMiddleware):
    """The listener's choice (a cookie), else the browser's languages, else English."""

    def process_request(self, request: HttpRequest) -> None:
        if request.path_info.startswith(NOT_PAGES):
            translation.activate(settings.LANGUAGE_CODE)  # the thread may still have its last page's language
        else:
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if request.path_info.startswith(NOT_PAGES):
            return response
        patch_vary_headers(response, ("Cookie",))
        return super().process_response(request, response)


@dataclass(frozen=True)
class Words:
    """The translations of one language as a classic script that defines `django.gettext` and `django.ngettext`."""

    script: bytes
    version: str


@cache
def words_in(language: str) -> Words:
    with translation.override(language):
        # Without `packages` it would include the translations of the admin's scripts too.
        script = JavaScriptCatalog(packages=["arena"]).get(HttpRequest()).content
    return Words(script, hashlib.sha256(script).hexdigest()[:12])


@require_safe
def words(request: HttpRequest, language: str, version: str) -> HttpResponse:
    if language not in dict(settings.LANGUAGES):
        raise Http404(f"There are no translations for {language!r}.")
    catalogue = words_in(language)
    keep = "public, max-age=31536000, immutable" if version == catalogue.version else "no-store"
    headers = {"Cache-Control": keep, "Content-Language": language}
    return HttpResponse(catalogue.script, content_type="text/javascript; charset=utf-8", headers=headers)


def words_url(request: HttpRequest) -> dict[str, str]:
    """Context processor: the URL of the translations for the page's scripts; nothing for English, which they
    contain."""
    language = translation.get_language()
    if language == settings.LANGUAGE_CODE:
        return {}
    return {"words_url": reverse("words", args=[language, words_in(language).version])}

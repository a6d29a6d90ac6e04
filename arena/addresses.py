"""Addresses that cannot name anything: PostgreSQL stores no NUL character, so nothing is called by one."""

from collections.abc import Callable

from django.http import Http404, HttpRequest, HttpResponse

API = "/api/"  # says itself, in JSON, which parameter it cannot take


def without_nul(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Middleware: 404 for a NUL character in the path, or in a page's query string."""

    def answer(request: HttpRequest) -> HttpResponse:
        in_query = "%00" in request.META.get("QUERY_STRING", "") and not request.path_info.startswith(API)
        if "\0" in request.path_info or in_query:
            raise Http404("There is no such page: its address holds a NUL character.")
        return get_response(request)

    return answer

"""What a page's address names and is not there: 404, with the sentence that says so."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import Http404, HttpRequest

from arena.refusals import NotFound


@contextmanager
def not_found_is_404() -> Iterator[None]:
    """Within, a service's NotFound is the page's 404."""
    try:
        yield
    except NotFound as missing:
        raise Http404(missing.message) from missing


def whole_number(request: HttpRequest, name: str) -> int | None:
    """The number that the query string gives as `name`, None without one; 404 for what is no number."""
    text = request.GET.get(name, "")
    if text and not (text.isdecimal() and len(text) < 10):
        raise Http404(f"{name} is a whole number, not {text!r}.")
    return int(text) if text else None

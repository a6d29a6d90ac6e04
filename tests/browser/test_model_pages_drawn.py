"""The pages of reward models in a real browser: room on a phone, accessibility, light and dark, plots to read."""

import pytest

from tests.casts.measured_model import make_measured_model
from tests.casts.reward_models import make_live

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def live(study):
    return make_live(make_measured_model())


@pytest.mark.parametrize(("scheme", "language"), [("light", "de"), ("dark", "en")])
def test_the_pages_of_models_fit_a_phone_and_axe_finds_nothing_serious(visitor, live, scheme, language):
    visitor.page.emulate_media(color_scheme=scheme)
    visitor.page.context.set_extra_http_headers({"Accept-Language": language})
    for path in ("/models/", "/models/whole+1/"):
        visitor.open(path)
        assert visitor.fits_phones(), path
        assert visitor.axe() == [], path
    visitor.page.locator("summary").click()
    assert visitor.page.get_by_role("row").count() >= 11
    assert visitor.fits_phones() and visitor.axe() == []


def test_words_of_a_plot_are_as_large_on_a_phone_as_on_a_desk_and_lie_within_it(visitor, live):
    sizes = []
    for width in (360, 1440):
        visitor.page.set_viewport_size({"width": width, "height": 800})
        visitor.open("/models/whole+1/")
        texts = visitor.page.locator(".curves > svg > text").all()
        boxes = [text.bounding_box() for text in texts]
        cards = [text.evaluate("node => node.closest('.card').getBoundingClientRect().toJSON()") for text in texts]
        sizes.append([round(box["height"]) for box in boxes])
        for box, card in zip(boxes, cards, strict=True):
            assert card["left"] <= box["x"] and box["x"] + box["width"] <= card["right"]
    assert sizes[0] == sizes[1] and min(sizes[0]) >= 12

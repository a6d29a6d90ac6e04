"""Names and words that people gave, from right to left too: they do not turn round what stands beside them."""

import pytest
from django.test import Client

from annotations.models import Vote, VoteDetails
from arena.models import Prompt, Study, System
from arena.rater_cookie import set_rater
from scoring.boards.refit import refit_board
from scoring.templatetags.boards import isolated
from tests.casts.clips import make_clips
from tests.casts.votes import cast

HEBREW, ARABIC = "שיר", "نغمة 7"


@pytest.mark.parametrize("name", [HEBREW, ARABIC, "v2 שיר", "\u202eabc"])
def test_a_name_from_right_to_left_is_isolated(name):
    assert isolated(name) == f"\u2068{name}\u2069"


@pytest.mark.parametrize("name", ["alder", "MusicGen 3.1 (large)", "音楽", "Öl", "", None])
def test_other_names_stay_as_they_are(name):
    assert isolated(name) == name


@pytest.fixture
def right_to_left(db):
    study = Study.objects.create(slug="rtl", name=HEBREW, description=f"{ARABIC}.", excerpt_s=10, is_default=True)
    systems = [System.objects.create(name=name) for name in (HEBREW, "birch")]
    study.systems.set(systems)
    make_clips(systems, [Prompt.objects.create(text=f"{ARABIC}\nline two")])
    rater = cast(study, "A")
    VoteDetails.objects.create(vote=Vote.objects.get(), comment=f"{HEBREW}\nand more")
    refit_board(study)
    return study, rater


def test_boards_isolate_the_names_of_studies_and_systems(right_to_left, client):
    for path in ("/", "/boards/rtl/"):
        page = client.get(path).content.decode()
        assert f"<bdi>{HEBREW}</bdi>" in page and f'dir="auto">{ARABIC}.</p>' in page, path
        assert f"\u2068{HEBREW}\u2069" in page, path


def test_ones_own_page_keeps_the_lines_and_directions_of_prompts_and_comments(right_to_left):
    client = Client()
    answer = set_rater(client.get("/"), right_to_left[1])
    client.cookies.update(answer.cookies)
    page = client.get("/me/").content.decode()
    assert f'<h3 class="as-written" dir="auto">{ARABIC}\nline two</h3>' in page
    assert f'<p class="comment as-written" dir="auto">“{HEBREW}\nand more”</p>' in page
    assert f"<bdi>{HEBREW}</bdi>" in page

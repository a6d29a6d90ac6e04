"""What the settings of a study may be: one sentence for each that may not, without a database."""

from dataclasses import dataclass, field

import pytest

from arena.models import Study
from arena.study_settings import SETTINGS, problems


@dataclass
class Settings:
    """As a study has them, all of them possible."""

    answers: list = field(default_factory=lambda: ["A", "B", "TIE", "BOTH_BAD"])
    questions: dict = field(default_factory=lambda: {"degree": False, "axes": [], "tags": [], "comment": True})
    epsilon: float = 0.1
    platform: dict = field(default_factory=dict)
    access: str = "open"
    completion: dict = field(default_factory=dict)
    groups: list = field(default_factory=list)
    block_length: int = 10
    golds: int = 0
    traps: int = 0
    repeats: int = 0


PROLIFIC = {"participant": "PROLIFIC_PID", "study": "STUDY_ID", "session": "SESSION_ID"}


def questions(**different):
    return {**Settings().questions, **different}


@pytest.mark.parametrize(
    "possible",
    [
        {},
        {"answers": ["B", "A"]},
        {"questions": questions(degree=True, axes=["musicality", "audio_quality"], tags=["noise", "out of tune"])},
        {"epsilon": 1},
        {"platform": PROLIFIC, "completion": {"return_url": "https://x.org/c?cc={code}&p={participant}&o={outcome}"}},
        {"platform": {"participant": "id"}},
        {"completion": {"message": "Thank you.", "codes": {"completed": "C0DE", "screened_out": "OUT"}}},
        {"completion": {"return_url": ""}},
        {"repeats": 5},
        {"groups": ["musician", "listener"]},
    ],
)
def test_what_is_possible_is_let_pass(possible):
    assert problems(Settings(**possible)) == {}


@pytest.mark.parametrize(
    ("impossible", "setting", "says"),
    [
        ({"answers": ["A", "B", "MEH"]}, "answers", "MEH"),
        ({"answers": ["A", "TIE"]}, "answers", "A and B both"),
        ({"answers": ["A", "B", "B"]}, "answers", "each answer once"),
        ({"answers": "AB"}, "answers", "A list"),
        ({"answers": [["A"], {}]}, "answers", "A and B"),
        ({"questions": []}, "questions", "An object"),
        ({"questions": {"degree": True}}, "questions", "axes, tags, comment missing"),
        ({"questions": questions(degre=True)}, "questions", "degre: There is no such name; did you mean degree?"),
        ({"questions": questions(degree=1)}, "questions", "degree: true or false, not 1."),
        ({"questions": questions(axes=["Musicality"])}, "questions", "axes: A list of different names"),
        ({"questions": questions(axes=["beat", "beat"])}, "questions", "axes: A list of different names"),
        ({"questions": questions(axes=["beat\n"])}, "questions", "axes: "),
        ({"questions": questions(tags=["x" * 61])}, "questions", "tags: A list of different texts"),
        ({"epsilon": 0.05}, "epsilon", "0.05 is not between 0.1 and 1."),
        ({"epsilon": float("nan")}, "epsilon", "nan is not between"),
        ({"platform": None}, "platform", "An object"),
        ({"platform": {"session": "S"}}, "platform", "participant"),
        ({"platform": {"participant": "PID", "person": "P"}}, "platform", "person: There is no such name, only"),
        ({"platform": {"participant": "PID", "study": "PID"}}, "platform", "a different URL parameter"),
        ({"platform": {"participant": "P ID"}}, "platform", "URL parameter"),
        ({"platform": PROLIFIC, "access": "invited"}, "platform", "not both"),
        ({"completion": {"mesage": "Thanks"}}, "completion", "did you mean message?"),
        ({"completion": {"message": 1}}, "completion", "message: A text."),
        ({"completion": {"codes": {"completed": 123}}}, "completion", "codes: completed: A text"),
        ({"completion": {"codes": {"complete": "1"}}}, "completion", "codes: complete: There is no such name; did you"),
        ({"completion": {"codes": ["1"]}}, "completion", "codes: An object"),
        ({"completion": {"return_url": "x.org/{code}"}}, "completion", "return_url: It must begin with https://"),
        ({"completion": {"return_url": "https://x.org/{participant}"}}, "completion", "{code}, {outcome}; not others"),
        ({"completion": {"return_url": "https://x.org/{code!r}"}}, "completion", "not others"),
        ({"completion": {"return_url": "https://x.org/{code:>999}"}}, "completion", "not others"),
        ({"completion": {"return_url": "https://x.org/{"}}, "completion", "return_url: Cannot be read"),
        ({"completion": {"return_url": "https://x.org/#{code}"}}, "completion", "#"),
        ({"repeats": 6}, "repeats", "At most 5 in blocks of 10"),
        ({"repeats": 1, "block_length": 5}, "repeats", "At most 0 in blocks of 5"),
    ],
)
def test_what_is_not_possible_is_told_so_at_its_setting(impossible, setting, says):
    told = problems(Settings(**impossible))
    assert list(told) == [setting]
    assert says in " ".join(told[setting])


def test_all_that_is_wrong_is_told_at_once():
    told = problems(Settings(epsilon=2, answers=[], questions=questions(degree="yes", axes="beat")))
    assert {setting: len(sentences) for setting, sentences in told.items()} == {
        "epsilon": 1, "answers": 1, "questions": 2,
    }  # fmt: skip


def test_every_field_of_a_study_is_a_setting_in_a_group():
    fields = {field.name for field in [*Study._meta.fields, *Study._meta.many_to_many]}
    assert sorted(SETTINGS) == sorted(fields - {"id", "created_at", "proof_until"})

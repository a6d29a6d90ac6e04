"""People from a platform, their headphone checks, and a study that has a code for how each of them ends."""

import pytest

from arena.models import Rater
from arena.services import headphone_targets
from tests.arena.test_checks import Sitting, checked  # noqa: F401 - `checked` is a fixture
from tests.conftest import Listener

PID = "5f3c0ffee5f3c0ffee5f3c0f"
CODES = {
    "completed": "C-DONE", "no_consent": "C-NO", "failed_checks": "C-FAIL", "incompatible_device": "C-DEVICE",
    "screened_out": "C-OUT",
}  # fmt: skip


def enter(pid=PID, study=None, **body):
    """What the API answers to somebody who comes from a platform with this id."""
    listener = Listener()
    platform = {"PROLIFIC_PID": pid, "STUDY_ID": "s1", "SESSION_ID": "x9"}
    answer = listener.post(
        "/api/raters/", {"consent_version": 1, "platform": platform, **({"study": study} if study else {}), **body}
    )
    return listener, answer


@pytest.fixture
def prolific(study):
    study.platform = {"participant": "PROLIFIC_PID", "study": "STUDY_ID", "session": "SESSION_ID"}
    study.save()
    return study


def begin(listener):
    answer = listener.post("/api/studies/open/headphones/")
    assert answer.status_code == 201, answer.content
    return answer.json()


def hear(listener, study, right=True):
    """Do an attempt with every answer right, or every one wrong."""
    attempt = begin(listener)["attempt"]
    rater = Rater.objects.get(participations__study=study)
    targets = [target for target, _ in headphone_targets(rater, study, attempt)]
    answers = targets if right else [target % 3 + 1 for target in targets]
    return listener.post(f"/api/studies/open/headphones/{attempt}/", {"answers": answers}).json()


@pytest.fixture
def coded(checked):  # noqa: F811
    checked.platform = {"participant": "PROLIFIC_PID", "session": "SESSION_ID"}
    checked.completion = {
        "message": "Thank you.",
        "codes": CODES,
        "return_url": "https://panel.example/back?p={participant}&s={session}&cc={code}&o={outcome}",
    }
    checked.save()
    return checked


class FromPlatform(Sitting):
    def __init__(self, time_passes):
        self.listener, answer = enter()
        assert answer.status_code == 201
        self.time_passes, self.told = time_passes, []

    def complete(self):
        platform = {"PROLIFIC_PID": PID, "SESSION_ID": "x 9&b", "EXTRA": "e"}
        return self.listener.post("/api/studies/open/completion/", {"platform": platform})

"""People from a platform, their headphone checks, and a study that has a code for how each of them ends."""

from arena.models import Rater
from arena.services import headphone_targets
from tests.casts.listener import Listener
from tests.casts.sitting import Sitting

PID = "5f3c0ffee5f3c0ffee5f3c0f"
CODES = {
    "completed": "C-DONE", "no_consent": "C-NO", "failed_checks": "C-FAIL", "incompatible_device": "C-DEVICE",
    "screened_out": "C-OUT", "full": "C-FULL",
}  # fmt: skip


def enter(pid=PID, study=None, **body):
    """What the API answers to somebody who comes from a platform with this id."""
    listener = Listener()
    platform = {"PROLIFIC_PID": pid, "STUDY_ID": "s1", "SESSION_ID": "x9"}
    answer = listener.post(
        "/api/raters/", {"consent_version": 1, "platform": platform, **({"study": study} if study else {}), **body}
    )
    return listener, answer


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


class FromPlatform(Sitting):
    def __init__(self, time_passes):
        self.listener, answer = enter()
        assert answer.status_code == 201
        self.time_passes, self.told = time_passes, []

    def complete(self):
        platform = {"PROLIFIC_PID": PID, "SESSION_ID": "x 9&b", "EXTRA": "e"}
        return self.listener.post("/api/studies/open/completion/", {"platform": platform})

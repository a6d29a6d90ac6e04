"""A listener who answers a whole study, and a study of a platform's participants."""

import pytest

from tests.casts.sitting import Sitting


@pytest.fixture
def sitting(study, time_passes):
    return Sitting(time_passes)


@pytest.fixture
def prolific(study):
    study.platform = {"participant": "PROLIFIC_PID", "study": "STUDY_ID", "session": "SESSION_ID"}
    study.save()
    return study

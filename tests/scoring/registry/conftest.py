"""A reward model with all that training writes down."""

import pytest

from tests.casts.measured_model import make_measured_model


@pytest.fixture
def whole(db):
    return make_measured_model()

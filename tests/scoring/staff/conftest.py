"""A superuser who has logged in."""

import pytest

from tests.casts.staff import logged_in


@pytest.fixture
def staff(db):
    return logged_in(superuser=True)

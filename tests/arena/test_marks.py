"""Where somebody came from: three marks that change every day, and none where the address says nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from arena.limits import Marks, marks_of_address
from arena.models import Arrival
from tests.casts.listener import Listener

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
MARKS = ("connection", "network", "device")


def shared(one, other, at=NOW):
    """The names of the marks that two origins, (address, browser), share."""
    first, second = marks_of_address(*one, NOW), marks_of_address(*other, at)
    return {name for name in MARKS if getattr(first, name) == getattr(second, name)}


def test_another_browser_on_the_same_address_is_another_device_only():
    assert shared(("93.184.215.14", "Firefox"), ("93.184.215.14", "Firefox")) == {*MARKS}
    assert shared(("93.184.215.14", "Firefox"), ("93.184.215.14", "Chromium")) == {"connection", "network"}


def test_a_neighbouring_address_shares_the_network_of_256_addresses():
    assert shared(("93.184.215.14", "Firefox"), ("93.184.215.200", "Firefox")) == {"network"}
    assert not shared(("93.184.215.14", "Firefox"), ("93.184.216.14", "Firefox"))


def test_the_addresses_of_an_ipv6_household_are_one_connection():
    here, same_64 = ("2606:2800:220:1:248:1893:25c8:1946", "F"), ("2606:2800:220:1:ffff::1", "F")
    assert shared(here, same_64) == {*MARKS}
    assert shared(here, ("2606:2800:220:2::1", "F")) == {"network"}
    assert not shared(here, ("2606:2800:221::1", "F"))


def test_an_ipv4_address_written_as_ipv6_is_the_ipv4_address():
    assert shared(("93.184.215.14", "F"), ("::ffff:93.184.215.14", "F")) == {*MARKS}


def test_marks_of_two_days_have_nothing_in_common():
    origin = ("93.184.215.14", "Firefox")
    assert shared(origin, origin, NOW + timedelta(hours=11)) == {*MARKS}
    assert not shared(origin, origin, NOW + timedelta(hours=12))


def test_no_mark_gives_another_away():
    marks = marks_of_address("93.184.215.14", "Firefox", NOW)
    values = {getattr(marks, name) for name in MARKS}
    assert len(values) == 3 and all(len(bytes.fromhex(value)) == 32 for value in values)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "192.168.0.7", "fe80::1", "fd00::7", "", "unix", "::1"])
def test_an_address_that_is_not_public_has_no_mark(address):
    assert marks_of_address(address, "Firefox", NOW) == Marks()


def test_joining_keeps_the_marks_and_voting_on_asks_for_none(study):
    listener = Listener("93.184.215.14", user_agent="Firefox").agree()
    listener.agree()
    came = Arrival.objects.get()
    expected = marks_of_address("93.184.215.14", "Firefox", came.at)
    assert all(getattr(came, name) == getattr(expected, name) for name in MARKS) and not came.is_forwarded


def test_an_address_that_a_proxy_reports_counts_where_the_proxy_is_named(study, settings):
    settings.TRUSTED_PROXIES = 1
    Listener("10.0.0.1", x_forwarded_for="1.2.3.4, 93.184.215.14").agree()
    came = Arrival.objects.get()
    assert came.connection == marks_of_address("93.184.215.14", "", came.at).connection
    assert not came.is_forwarded

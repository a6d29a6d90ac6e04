"""Staff are warned, once, where no connection can be told from another because of a proxy that nobody named."""

import pytest

from annotations.models import Alarm
from annotations.proxies import MANY, watch_proxies
from tests.casts.listener import Listener


def come(n, address="127.0.0.1", **headers):
    for _ in range(n):
        Listener(address, **headers).agree()


def test_a_forwarded_listener_where_no_proxy_is_named_is_told_once(study):
    come(1, "10.0.0.1", x_forwarded_for="93.184.215.14")
    assert watch_proxies()
    assert watch_proxies() is None
    alarm = Alarm.objects.get()
    assert alarm.study is None and "TRUSTED_PROXIES is 0" in alarm.message
    assert alarm.detail == {"raters": 1, "known": 0, "forwarded": 1, "trusted_proxies": 0}


def test_it_is_not_said_again_the_next_day_but_a_month_later(study, time_passes):
    come(1, "10.0.0.1", x_forwarded_for="93.184.215.14")
    assert watch_proxies()
    time_passes(2 * 86400)
    come(1, "10.0.0.1", x_forwarded_for="93.184.215.14")
    assert not watch_proxies()
    time_passes(30 * 86400)
    come(1, "10.0.0.1", x_forwarded_for="93.184.215.14")
    assert watch_proxies()


@pytest.mark.parametrize("proxies", [0, 2])
def test_many_listeners_without_any_public_address_are_told(study, settings, proxies):
    settings.TRUSTED_PROXIES = proxies
    come(MANY - 1)
    assert not watch_proxies()
    come(1)
    assert "not public" in watch_proxies().message


def test_nothing_is_said_where_addresses_are_known(study, settings):
    come(MANY)
    come(1, "93.184.215.14")
    settings.TRUSTED_PROXIES = 1
    come(1, "10.0.0.1", x_forwarded_for="93.184.215.15")
    assert not watch_proxies()

"""An address with a NUL character names nothing: 404, not an error of the database."""

import pytest


@pytest.mark.parametrize(
    "address",
    [
        "/models/a%00b/", "/models/%00/data.json", "/boards/open/systems/%00/", "/listen/%00/", "/%00", "/api/%00/",
        "/boards/open/?category=%00", "/boards/open/plots/intervals.csv?category=%00", "/?x=%00", "/static/%00",
    ],
)  # fmt: skip
def test_a_nul_in_an_address_is_not_found(study, client, address):
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("battle", ["-" * 36, "0" * 36, "f" * 35 + "-"])
@pytest.mark.parametrize("end", ["A", "B/download"])
def test_an_excerpt_of_no_battles_id_is_not_found(listener, battle, end):
    assert listener.get(f"/audio/{battle}/{end}").status_code == 404


@pytest.mark.parametrize("user", ["ada", "0", "9" * 40, "_"])
def test_the_password_of_no_account_is_not_found(admin_client, user):
    assert admin_client.get(f"/admin/auth/user/{user}/password/").status_code == 404


def test_a_nul_in_a_parameter_of_the_api_is_refused_in_json(study, client):
    answer = client.get("/api/leaderboard/?study=%00")
    assert answer.status_code in (400, 404)
    assert answer["Content-Type"] == "application/json"

"""The API's description against real answers: every operation, every status, nothing missing and nothing more.

The answers to an operation are the fixture `answers_to_<operationId>` in the conftest beside this file: a new endpoint
without one fails here, and so does a new status or a new key that no real answer shows.
"""

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.casts.openapi import Description, body_of

OPERATIONS = sorted(Description(SchemaGenerator().get_schema(request=None, public=True)).operations)
# Declared, and too rare to be had here: a board that cannot be fitted again without some of its votes.
# And a picture of a clip, which is always null.
RARE = {"SlotAdjusted.unknown", "WithFlaggedVotes.unknown", "SlotClip.peaks"}


@pytest.fixture
def description(client):
    answer = client.get("/api/schema/", headers={"Accept": "application/json"})
    assert answer.status_code == 200
    return Description(answer.json())


@pytest.mark.django_db
@pytest.mark.parametrize("operation", OPERATIONS)
def test_real_answers_are_as_the_description_says(operation, description, request):
    try:
        answers = request.getfixturevalue(f"answers_to_{operation}")
    except pytest.FixtureLookupError:
        pytest.fail(
            f"No real answer to {operation} is checked: write the fixture answers_to_{operation}, "
            "in tests/house/api/conftest.py or, about boards, in tests/house/conftest.py."
        )
    assert {answer.status_code for answer in answers} == description.statuses(operation)
    successes = {}
    for answer in answers:
        content, schema = body_of(answer), description.schema_of(operation, answer)
        if schema is None:
            assert content is None
            continue
        assert description.errors(schema, content) == [], (answer.status_code, content)
        if answer.status_code < 300:
            is_json = answer.headers["Content-Type"] == "application/json"
            assert "$ref" in schema or not is_json, "the answer has no shape: declare an `Answer` in `extend_schema`"
            successes.setdefault(answer.status_code, (schema, []))[1].append(content)
    for schema, contents in successes.values():
        assert description.not_shown(schema, contents) - RARE == set()


def test_an_undeclared_key_a_missing_one_and_a_null_are_errors(description):
    schema = {"$ref": "#/components/schemas/Progress"}
    assert description.errors(schema, {"done": 1, "total": 2}) == []
    assert description.errors(schema, {"done": 1, "total": 2, "left": 1}) != []
    assert description.errors(schema, {"done": 1}) != []
    assert description.errors(schema, {"done": 1, "total": None}) != []

"""What computing something again says of what was published."""

import json

import pytest

from scoring.stats.rebuilding import CannotBeRebuilt, first_difference, require_method

STORED = {"study": [], "ledger_seq": [1, 2.5], "rating": {"low": None}}


@pytest.mark.parametrize(
    ("rebuilt", "difference"),
    [
        (STORED, None),
        ({**STORED, "ledger_seq": [1, 2.25]}, "ledger_seq[1]: stored 2.5, rebuilt 2.25"),
        ({**STORED, "ledger_seq": [1.0, 2.5]}, "ledger_seq[0]: stored 1, rebuilt 1.0"),
        ({**STORED, "ledger_seq": [1, 2.5, 3]}, "ledger_seq[2]: stored (absent), rebuilt 3"),
        ({**STORED, "rating": {}}, "rating.low: stored null, rebuilt (absent)"),
        ({**STORED, "study": {}}, "study: stored [], rebuilt {}"),
    ],
)
def test_the_first_difference_is_named_by_its_path(rebuilt, difference):
    found = first_difference(STORED, rebuilt)
    assert (found and str(found)) == difference
    assert (json.dumps(STORED, sort_keys=True) == json.dumps(rebuilt, sort_keys=True)) == (found is None)


def test_of_long_values_the_part_is_shown_where_they_begin_to_differ():
    same = "." * 200
    found = first_difference({"line": same + "old" + same}, {"line": same + "new" + same})
    assert "old" in str(found) and "new" in str(found)
    assert len(str(found)) < 220


def test_a_method_that_is_not_in_this_code_is_named():
    require_method("edition 3", ("bradley-terry", 2), {("bradley-terry", 1), ("bradley-terry", 2)})
    with pytest.raises(CannotBeRebuilt, match=r"edition 3: its method, bradley-terry 9, is not in this code"):
        require_method("edition 3", ("bradley-terry", 9), {("bradley-terry", 2)})

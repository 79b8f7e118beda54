import hashlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from titan_repro.errors import ConfigurationError
from titan_repro.records.identity import run_id

leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
) | st.text(max_size=5)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
identities = st.dictionaries(st.text(max_size=5), values, max_size=4)


def reordered(value: Any) -> Any:
    """Return an equal value: keys the other way round, lists as tuples, whole numbers as floats."""
    if isinstance(value, dict):
        return {key: reordered(item) for key, item in reversed(value.items())}
    if isinstance(value, list):
        return tuple(reordered(item) for item in value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    return value


def test_is_the_digest_of_sorted_compact_json() -> None:
    digest = hashlib.sha256(b'{"a":[1,0.1,true,null],"b":{"c":"x"}}').hexdigest()
    assert run_id({"b": {"c": "x"}, "a": (1.0, 0.1, True, None)}) == digest[:12]


@given(identities)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_equal_identities_have_the_same_id(identity: dict[str, Any]) -> None:
    assert run_id(identity) == run_id(reordered(identity))


@given(identities, identities)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_different_identities_have_different_ids(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    same = run_id(one) == run_id(other)
    if json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True):
        assert same
    elif one != other:  # Python, too, holds 1 and 1.0 equal
        assert not same


@pytest.mark.parametrize(
    ("one", "other"),
    [(1, True), (0, False), (0, None), ("1", 1), (0.1, 0.1 + 1e-16), ([], {}), ([1], 1)],
)
def test_what_can_change_a_result_changes_the_id(one: object, other: object) -> None:
    assert run_id({"key": one}) != run_id({"key": other})


@pytest.mark.parametrize(("one", "other"), [(0.0, -0.0), (10**22, 1e22), (3, 3.0)])
def test_equal_numbers_are_the_same(one: object, other: object) -> None:
    assert run_id({"key": one}) == run_id({"key": other})


@pytest.mark.parametrize(
    ("identity", "named"),
    [
        ({"stream": {"sigma": math.nan}}, r"^stream\.sigma: nan \(float\)"),
        ({"sigma": math.inf}, r"^sigma: inf"),
        ({"a": {"b": [1, {2}]}}, r"^a\.b\[1\]: \{2\} \(set\)"),
        ({"a": [{"b": object}]}, r"^a\[0\]\.b: "),
        ({"a": {1: 2}}, r"^a: the key 1 is a int; keys must be text"),
        ({1: 2}, r"^identity: the key 1"),
    ],
)
def test_what_json_cannot_say_is_refused_by_name(identity: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as error:
        run_id(identity)
    assert "\n" not in str(error.value)

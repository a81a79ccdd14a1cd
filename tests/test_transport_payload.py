from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from budget_proxy.transport.payload import decoded, encoded

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_any_client_writes_comes_back(value: object) -> None:
    """Whole numbers of any size and all of Unicode included."""
    text = json.dumps(value).encode()
    assert decoded(text, exactly=True) == value
    assert decoded(encoded(decoded(text, exactly=True)), exactly=True) == value


@pytest.mark.parametrize(
    "text",
    [
        b'{"content": "cut emoji \\ud83d"}',
        b'{"seed": 123456789012345678901234567890}',
        b'{"seed": 18446744073709551616}',
    ],
    ids=["lone surrogate", "30 digits", "beyond 64 bits"],
)
def test_what_the_fast_library_cannot_keep_is_kept(text: bytes) -> None:
    """To the digit and the half character."""
    value = decoded(text, exactly=True)
    assert value is not None
    assert json.loads(encoded(value)) == json.loads(text)


@pytest.mark.parametrize("text", [b"", b"{", b"nonsense", b"\xff\xfe", b"[NaN]", b"[" * 100_000])
def test_what_is_no_json_is_none(text: bytes) -> None:
    """The provider answers for it."""
    assert decoded(text) is None

"""A rollback names a traffic state by its number."""

import pytest

from homeport.edge import codec
from homeport.edge.messages_traffic import RollbackRequest
from homeport.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("body", "state"),
    [
        pytest.param(b"{}", 0, id="none"),
        pytest.param(b'{"state": null}', 0, id="null"),
        pytest.param(b'{"state": "3"}', 3, id="text"),
        pytest.param(b'{"state": 3}', 3, id="a number"),
        pytest.param(b'{"state": 3.0}', 3, id="a number with a point"),
    ],
)
def test_the_number_of_a_state_is_read(body: bytes, state: int) -> None:
    assert codec.decode(RollbackRequest, body).state == state


@pytest.mark.parametrize(
    "state", [b'"x"', b"-1", b"1.5", b"true", b'"' + b"9" * 30 + b'"']
)
def test_what_is_no_number_of_a_state_is_told_where_they_are(state: bytes) -> None:
    with pytest.raises(
        InvalidArgumentError,
        match="expected the number of a state, as trafficStates lists them",
    ):
        codec.decode(RollbackRequest, b'{"state": %s}' % state)

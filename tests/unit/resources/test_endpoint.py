"""How long an endpoint lets predictions take: its settings, in either spelling."""

from typing import Any

import pytest

from homeport.errors import InvalidArgumentError
from homeport.resources import endpoint


@pytest.mark.parametrize(
    ("settings", "timeout_s"),
    [
        ({"inferenceTimeout": "30s"}, 30.0),
        ({"inference_timeout": "0.5s"}, 0.5),
        ({}, None),
        (None, None),
    ],
)
def test_the_timeout_is_read(settings: Any, timeout_s: float | None) -> None:
    kept = {"client_connection_config": settings}

    endpoint.check_connection(kept)

    assert endpoint.inference_timeout_s(kept) == timeout_s


@pytest.mark.parametrize("value", ["0s", "-1s", "soon", 30, "1e3s"])
def test_what_is_no_timeout_is_refused_and_followed_by_nobody(value: object) -> None:
    kept = {"client_connection_config": {"inferenceTimeout": value}}

    with pytest.raises(InvalidArgumentError, match="expected seconds over 0"):
        endpoint.check_connection(kept)

    assert endpoint.inference_timeout_s(kept) is None

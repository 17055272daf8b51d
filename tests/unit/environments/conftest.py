"""Every test here has an index of its own."""

import pytest


@pytest.fixture(autouse=True)
def only_index(index: str) -> str:
    """The index with this test's packages alone."""
    return index

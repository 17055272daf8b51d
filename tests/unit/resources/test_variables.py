"""References to variables are replaced as Kubernetes replaces them."""

import pytest

from homeport.resources import variables


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(PORT)", "8080"),
        ("--port=$(PORT) --twice=$(PORT)", "--port=8080 --twice=8080"),
        ("$$(PORT)", "$(PORT)"),
        ("$$$(PORT)", "$8080"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$PORT ${PORT} $(PORT", "$PORT ${PORT} $(PORT"),
        ("a$$b", "a$b"),
        ("", ""),
    ],
)
def test_a_reference_is_replaced_by_the_value_it_names(
    text: str, expanded: str
) -> None:
    assert variables.expand(text, {"PORT": "8080"}) == expanded


def test_a_variable_sees_those_before_it_and_not_those_after() -> None:
    given = [("A", "$(KNOWN)-$(B)"), ("B", "$(A)!"), ("A", "last")]

    found = variables.expand_all(given, {"KNOWN": "k"})

    assert found == {"KNOWN": "k", "A": "last", "B": "k-$(B)!"}

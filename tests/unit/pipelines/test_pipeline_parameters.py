"""What pipelines hand over becomes what was meant, or is refused by name."""

import pytest

from homeport.errors import InvalidArgumentError
from homeport.pipelines import parameters


@pytest.mark.parametrize(
    "given",
    [
        pytest.param([8080, 8081], id="numbers"),
        pytest.param([8080.0, 8081.0], id="floats, as Struct has them"),
        pytest.param(["8080", " 8081 "], id="texts"),
    ],
)
def test_ports_come_in_any_form(given: list[object]) -> None:
    assert parameters.ports(given) == (8080, 8081)


@pytest.mark.parametrize(
    "port",
    [
        pytest.param(8080.5, id="a fraction"),
        pytest.param("http", id="a word"),
        pytest.param(0, id="zero"),
        pytest.param(65536.0, id="too large"),
        pytest.param(-1, id="negative"),
        pytest.param(True, id="a truth"),
        pytest.param(float("nan"), id="no number"),
        pytest.param(float("inf"), id="infinite"),
        pytest.param(None, id="nothing"),
        pytest.param([8080], id="a list"),
        pytest.param("8" * 5000, id="many digits"),
    ],
)
def test_what_is_no_port_is_refused(port: object) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^serving_container_ports has .*"):
        parameters.ports([port])


def test_variables_are_texts_as_they_were_typed() -> None:
    given = {"MODEL_NAME": "custom_model", "THREADS": 4.0, "RATE": 0.5}

    found = parameters.variables(given)

    assert found == {"MODEL_NAME": "custom_model", "THREADS": "4", "RATE": "0.5"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        pytest.param("DEBUG", True, id="a truth, which has no spelling"),
        pytest.param("LIST", ["a"], id="a list"),
        pytest.param("NONE", None, id="nothing"),
        pytest.param("A-B", "1", id="a hyphen"),
        pytest.param("1A", "1", id="a digit in front"),
    ],
)
def test_what_is_no_variable_is_refused(name: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError, match="serving_environment_vars"):
        parameters.variables({name: value})


def test_names_are_separated_by_commas() -> None:
    assert parameters.names(" a.py,b.json , ,") == ("a.py", "b.json")

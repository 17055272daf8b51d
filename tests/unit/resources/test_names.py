"""Names, ids, labels and splits: each is read back as written, or refused in words."""

from collections.abc import Callable
from typing import Protocol, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError
from homeport.resources import endpoint, model, names
from homeport.resources import labels as labelling
from homeport.resources.names import EndpointName, ModelName, OperationName, Parent

PARENT = Parent("p", "us-central1")


class Name(Protocol):
    @classmethod
    def parse(cls, text: str) -> Self: ...


SEGMENTS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.:~-]{0,127}", fullmatch=True)
IDS = st.from_regex(r"[A-Za-z0-9_-]{1,63}", fullmatch=True)
PARENTS = st.builds(Parent, SEGMENTS, SEGMENTS)
COLLECTIONS = st.builds("{}/{}".format, st.sampled_from(["models", "endpoints"]), IDS)
NAMES = st.one_of(
    PARENTS,
    st.builds(ModelName, PARENTS, IDS, IDS | st.just("")),
    st.builds(EndpointName, PARENTS, IDS),
    st.builds(OperationName, PARENTS, COLLECTIONS | st.just(""), IDS),
)


@given(NAMES)
def test_name_written_and_read_again_is_the_same(name: Name) -> None:
    assert type(name).parse(str(name)) == name


@pytest.mark.parametrize("kind", [Parent, ModelName, EndpointName, OperationName])
@given(text=st.text() | NAMES.map(str))
def test_text_is_a_name_or_is_refused(kind: type[Name], text: str) -> None:
    try:
        name = kind.parse(text)
    except InvalidArgumentError as error:
        assert repr(text) in error.message  # noqa: PT017  # either outcome is right
    else:
        assert str(name) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        pytest.param(Parent, "projects/p", id="no location"),
        pytest.param(Parent, "projects/p/locations/l/", id="slash at the end"),
        pytest.param(Parent, "projects/../locations/l", id="step upwards"),
        pytest.param(Parent, "projects/p/locations/l\n", id="line end"),
        pytest.param(ModelName, "7", id="bare id"),
        pytest.param(ModelName, f"{PARENT}/models/", id="empty id"),
        pytest.param(ModelName, f"{PARENT}/models/7@", id="empty version"),
        pytest.param(ModelName, f"{PARENT}/models/7@1@2", id="two versions"),
        pytest.param(ModelName, f"{PARENT}/models/é", id="id outside ASCII"),
        pytest.param(ModelName, f"{PARENT}/endpoints/7", id="an endpoint"),
        pytest.param(EndpointName, f"{PARENT}/endpoints/7@1", id="endpoint's version"),
        pytest.param(OperationName, f"{PARENT}/jobs/7/operations/1", id="of a job"),
    ],
)
def test_other_text_is_no_name(kind: type[Name], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"projects/\{project\}"):
        kind.parse(text)


def test_version_is_part_of_a_models_name() -> None:
    name = ModelName.parse("projects/p/locations/us-central1/models/resnet@golden")

    assert name == ModelName(PARENT, "resnet", "golden")
    assert str(name.unversioned) == "projects/p/locations/us-central1/models/resnet"
    assert name.at(2) == ModelName(PARENT, "resnet", "2")


def test_version_id_is_told_from_an_alias() -> None:
    texts = ["12", "golden", "v1", "", "\u0661"]

    assert [names.is_version_id(text) for text in texts] == [True, *[False] * 4]


CHECKS = {
    names.check_model_id: (
        ["m", "_m", "resnet-50_v2", "m" * 63],
        ["", "M", "5m", "-m", "m.m", "m" * 64, "m\n", "é"],
    ),
    names.check_endpoint_id: (
        ["0", "1", "123456789", "e", "my-endpoint", "e" * 63],
        ["", "01", "1234567890", "e-", "E", "my_endpoint", "e" * 64, "1\n"],
    ),
    names.check_alias: (
        ["v1", "default", "goldenOne1", "a-b", "a" * 128],
        ["", "a", "1", "12", "Golden", "golden-", "goldeN", "a_b", "a" * 129, "v1\n"],
    ),
    names.check_deployed_model_id: (
        ["1", "1234567890"],
        ["", "0", "01", "-1", "12345678901", "a", "1\n", "\u0661"],
    ),
    names.check_bucket: (
        ["abc", "my-bucket", "a.b_c", "1" * 63],
        ["", "ab", "-ab", "ab-", "ABC", "a/b", "a" * 64, "abc\n"],
    ),
    model.check_display_name: (
        ["m", " m ", "日本", "m" * 128],
        ["", " ", "\t\n", "m" * 129],
    ),
}


@pytest.mark.parametrize(
    ("check", "text"),
    [
        pytest.param(check, text, id=f"{check.__name__}-{text[:12]!a}-{len(text)}")
        for check, (good, _) in CHECKS.items()
        for text in good
    ],
)
def test_good_text_passes(check: Callable[[str], None], text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("check", "text"),
    [
        pytest.param(check, text, id=f"{check.__name__}-{text[:12]!a}-{len(text)}")
        for check, (_, bad) in CHECKS.items()
        for text in bad
    ],
)
def test_bad_text_is_refused(check: Callable[[str], None], text: str) -> None:
    with pytest.raises(InvalidArgumentError):
        check(text)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({}, id="none"),
        pytest.param({"stage": "prod", "team_a": ""}, id="empty value"),
        pytest.param({"größe": "日本-1"}, id="letters of all scripts"),
        pytest.param({"k" * 64: "v" * 64}, id="longest"),
    ],
)
def test_labels_of_the_grammar_pass(labels: dict[str, str]) -> None:
    labelling.check_labels(labels)


@pytest.mark.parametrize(
    "labels",
    [
        pytest.param({"": "v"}, id="empty key"),
        pytest.param({"Stage": "prod"}, id="upper-case key"),
        pytest.param({"stage": "Prod"}, id="upper-case value"),
        pytest.param({"a key": "v"}, id="space"),
        pytest.param({"a.b": "v"}, id="dot"),
        pytest.param({"k" * 65: "v"}, id="long key"),
        pytest.param({"k": "v" * 65}, id="long value"),
        pytest.param({"k": "v\n"}, id="line end"),
    ],
)
def test_labels_outside_the_grammar_are_refused(labels: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match="label"):
        labelling.check_labels(labels)


DEPLOYED = frozenset({"1", "2", endpoint.PLACEHOLDER_ID})


@pytest.mark.parametrize(
    "split",
    [
        pytest.param({}, id="no traffic"),
        pytest.param({"0": 100}, id="all to the new one"),
        pytest.param({"1": 33, "2": 67, "0": 0}, id="three ways"),
    ],
)
def test_split_that_adds_up_passes(split: dict[str, int]) -> None:
    endpoint.check_split(split, DEPLOYED)


@pytest.mark.parametrize(
    ("split", "part"),
    [
        pytest.param({"1": 50}, "adds up to 50", id="too little"),
        pytest.param({"1": 60, "2": 50}, "adds up to 110", id="too much"),
        pytest.param({"1": 0}, "adds up to 0", id="nothing"),
        pytest.param({"1": 110, "2": -10}, "[1] is 110", id="share over 100"),
        pytest.param({"1": -1, "2": 101}, "[1] is -1", id="negative share"),
        pytest.param({"7": 100}, "ID(s) ['7'] do not exist", id="unknown model"),
    ],
)
def test_split_that_cannot_be_served_is_refused(
    split: dict[str, int], part: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        endpoint.check_split(split, DEPLOYED)

    assert part in caught.value.message


@given(st.dictionaries(st.sampled_from("0127"), st.integers(-5, 105)))
def test_split_passes_exactly_when_it_can_be_served(split: dict[str, int]) -> None:
    served = (
        set(split) <= DEPLOYED
        and all(0 <= percent <= 100 for percent in split.values())
        and sum(split.values()) == (100 if split else 0)
    )

    try:
        endpoint.check_split(split, DEPLOYED)
    except InvalidArgumentError:
        assert not served
    else:
        assert served

"""What SQL finds is what a filter says, by an evaluator that knows no SQL."""

import contextlib
import dataclasses
import datetime as dt
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import KINDS, Databases
from homeport.metadata import check_rows, model_rows, tables, version_rows
from homeport.metadata.database import Transaction
from homeport.metadata.listing_sql import Page
from homeport.resources.check import Check, CheckState
from homeport.resources.listing import (
    And,
    Filter,
    Not,
    Operator,
    Or,
    Restriction,
    parse_filter,
)
from homeport.resources.model import VersionSpec
from homeport.resources.names import ModelName
from rooms import PARENT, T0, Rooms

TEXTS = st.text(alphabet="ab%_\\éZ\n' ", max_size=3)
LABELS = st.dictionaries(st.sampled_from(["k", "l"]), st.sampled_from(["", "v", "w"]))
MINUTES = st.integers(0, 2)
MINUTE = dt.timedelta(minutes=1)


@dataclasses.dataclass(frozen=True)
class Version:
    description: str
    artifact_uri: str
    labels: Mapping[str, str]
    alias: str
    minute: int
    checked: CheckState | None


@dataclasses.dataclass(frozen=True)
class Model:
    """A model whose default is its first version or its last."""

    display_name: str
    description: str
    labels: Mapping[str, str]
    versions: tuple[Version, ...]
    newest: bool
    minute: int

    @property
    def default(self) -> int:
        return len(self.versions) if self.newest else 1


VERSIONS = st.builds(
    Version,
    description=TEXTS,
    artifact_uri=TEXTS,
    labels=LABELS,
    alias=st.sampled_from(["golden", "beta"]),
    minute=MINUTES,
    checked=st.none() | st.sampled_from(CheckState),
)
MODELS = st.builds(
    Model,
    display_name=TEXTS,
    description=TEXTS,
    labels=LABELS,
    versions=st.lists(VERSIONS, min_size=1, max_size=3).map(tuple),
    newest=st.booleans(),
    minute=MINUTES,
)


def restricted(
    fields: list[tuple[str, ...]],
    values: st.SearchStrategy[str],
    operators: Any = Operator,
) -> st.SearchStrategy[Filter]:
    return st.builds(
        Restriction, st.sampled_from(fields), st.sampled_from(operators), values
    )


PATTERNS = st.one_of(
    TEXTS, st.just("*"), st.tuples(TEXTS, TEXTS).map("*".join), TEXTS.map("*{}*".format)
)
TEXT_FIELDS = ["model", "display_name", "description", "version_description"]
TIME_FIELDS = ["create_time", "version_create_time", "version_update_time"]
RESTRICTIONS = st.one_of(
    restricted([(name,) for name in [*TEXT_FIELDS, "artifact_uri"]], PATTERNS),
    restricted([("model",)], st.sampled_from(["m0", "m1", "m*", "*2", "*"])),
    restricted(
        [("check_state",)], st.sampled_from(["passed", "failed", "unchecked", "*"])
    ),
    restricted([("version_id",)], st.integers(0, 4).map(str) | st.just(str(10**30))),
    restricted(
        [(name,) for name in TIME_FIELDS],
        MINUTES.map(lambda minute: (T0 + minute * MINUTE).isoformat()),
    ),
    restricted(
        [(level, key) for level in ("labels", "version_labels") for key in "klm"],
        st.sampled_from(["", "v", "w", "*", "v*", "*w"]),
    ),
    restricted(
        [("labels",), ("version_labels",)], st.sampled_from("klm"), [Operator.HAS]
    ),
    restricted(
        [("version_aliases",)],
        st.sampled_from(["golden", "beta", "default", "g*", "*", "none"]),
        [Operator.HAS],
    ),
    restricted([()], TEXTS | st.sampled_from(["m1", "a*b"]), [Operator.HAS]),
)


def _grouped(below: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
    several = st.lists(below, min_size=2, max_size=3).map(tuple)
    return st.builds(Not, below) | several.map(And) | several.map(Or)


FILTERS = st.recursive(RESTRICTIONS, _grouped, max_leaves=6)


# --- the evaluator

COMPARE: Mapping[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQUAL: operator.eq,
    Operator.HAS: operator.eq,
    Operator.NOT_EQUAL: operator.ne,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
}


SEARCHED = ("model", "display_name", "description")


def matches(
    parsed: Filter, fields: Mapping[str, Any], searched: Sequence[str] = SEARCHED
) -> bool:
    match parsed:
        case And():
            return all(matches(one, fields, searched) for one in parsed.operands)
        case Or():
            return any(matches(one, fields, searched) for one in parsed.operands)
        case Not():
            return not matches(parsed.operand, fields, searched)
        case Restriction(field=()):
            return any(_alike(f"*{parsed.value}*", fields[name]) for name in searched)
        case Restriction():
            return _matches_one(parsed, fields)


def _matches_one(one: Restriction, fields: Mapping[str, Any]) -> bool:
    value = fields[one.field[0]]
    if isinstance(value, dict):
        if len(one.field) == 1:
            return one.value in value
        value = value.get(one.field[1])
        return value is not None and _text(one, value, present=True)
    if isinstance(value, set):
        return any(_text(one, member, present=True) for member in value)
    if isinstance(value, str):
        return _text(one, value, present=value != "")
    read = int if isinstance(value, int) else dt.datetime.fromisoformat
    return COMPARE[one.operator](value, read(one.value))


def _text(one: Restriction, value: str, *, present: bool) -> bool:
    if one.operator is Operator.HAS and one.value == "*":
        return present
    if "*" in one.value and one.operator in {Operator.EQUAL, Operator.HAS}:
        return _alike(one.value, value)
    if "*" in one.value and one.operator is Operator.NOT_EQUAL:
        return not _alike(one.value, value)
    return COMPARE[one.operator](value, one.value)


def _alike(pattern: str, text: str) -> bool:
    expression = ".*".join(map(re.escape, pattern.split("*")))
    return re.fullmatch(expression, text, re.DOTALL) is not None


def shown(index: int, model: Model) -> dict[str, Any]:
    """Return a model's fields as a list of models shows them."""
    default = model.versions[model.default - 1]
    state = default.checked or CheckState.UNCHECKED
    return {
        "model": f"m{index}",
        "display_name": model.display_name,
        "description": model.description,
        "labels": {**model.labels, **default.labels},
        "version_labels": dict(default.labels),
        "version_aliases": {"default", *(one.alias for one in model.versions)},
        "version_id": model.default,
        "version_description": default.description,
        "artifact_uri": default.artifact_uri,
        "check_state": state.value,
        "create_time": T0 + model.minute * MINUTE,
        "version_create_time": T0 + default.minute * MINUTE,
        "version_update_time": T0 + default.minute * MINUTE,
    }


def shown_versions(model: Model) -> list[dict[str, Any]]:
    """Return the fields of each version as a list of versions shows them."""
    # Whoever comes later takes an alias away.
    carriers = {one.alias: number for number, one in enumerate(model.versions, start=1)}
    carriers["default"] = model.default
    return [
        {
            **shown(0, dataclasses.replace(model, versions=(one,), newest=True)),
            "version_id": number,
            "version_aliases": {
                alias for alias, carrier in carriers.items() if carrier == number
            },
            "create_time": T0 + one.minute * MINUTE,
        }
        for number, one in enumerate(model.versions, start=1)
    ]


# --- the law


class _UndoneError(Exception):
    """Ends a transaction that is to leave nothing."""


@contextlib.contextmanager
def _undone(rooms: Rooms) -> Iterator[Transaction]:
    with (
        contextlib.suppress(_UndoneError),
        rooms.database.transaction() as transaction,
    ):
        yield transaction
        raise _UndoneError


def _insert(transaction: Transaction, index: int, model: Model) -> None:
    name = ModelName(PARENT, f"m{index}")
    words = VersionSpec(model.display_name, description=model.description)
    model_rows.insert_model(transaction, name, words, T0 + model.minute * MINUTE)
    for key, value in model.labels.items():
        transaction.execute(
            tables.model_labels.insert().values(
                project=PARENT.project,
                location=PARENT.location,
                model_id=name.model,
                key=key,
                value=value,
            )
        )
    for number, version in enumerate(model.versions, start=1):
        aliases = {version.alias} | ({"default"} if number == model.default else set())
        spec = VersionSpec(
            "",
            version_description=version.description,
            artifact_uri=version.artifact_uri,
            labels=version.labels,
            aliases=tuple(aliases),
        )
        moment = T0 + version.minute * MINUTE
        made = model_rows.insert_version(transaction, name, spec, None, moment)
        if version.checked is not None:
            check_rows.insert(transaction, made, Check(version.checked, "", "", T0))


@pytest.fixture(scope="module", params=KINDS)
def opened(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rooms]:
    """Rooms that every example leaves empty."""
    directory = tmp_path_factory.mktemp("law")
    with databases.lend(request.param, directory) as url:
        rooms = Rooms(directory, url)
        yield rooms
        rooms.close()


@given(
    stored=st.lists(MODELS, min_size=1, max_size=4),
    filters=st.lists(FILTERS, min_size=4, max_size=8),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_sql_finds_what_the_filter_says(
    opened: Rooms, stored: list[Model], filters: list[Filter]
) -> None:
    with _undone(opened) as transaction:
        for index, model in enumerate(stored):
            _insert(transaction, index, model)
        for parsed in filters:
            page = Page(parse_filter(str(parsed)), (), (), 100)

            found = version_rows.list_models(transaction, PARENT, page)

            assert [one.name.model for one in found] == [
                f"m{index}"
                for index, model in enumerate(stored)
                if matches(parsed, shown(index, model))
            ], str(parsed)


@given(model=MODELS, filters=st.lists(FILTERS, min_size=4, max_size=8))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_sql_finds_the_versions_that_the_filter_says(
    opened: Rooms, model: Model, filters: list[Filter]
) -> None:
    name = ModelName(PARENT, "m0")
    with _undone(opened) as transaction:
        _insert(transaction, 0, model)
        for parsed in filters:
            page = Page(parse_filter(str(parsed)), (), (), 100)

            found = version_rows.list_versions(transaction, name, page)

            assert [one.name.version for one in found] == [
                str(fields["version_id"])
                for fields in shown_versions(model)
                if matches(parsed, fields, searched=("version_description",))
            ], str(parsed)

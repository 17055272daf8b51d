"""A list is filtered, ordered and cut into pages by the database as the AIPs say."""

import contextlib
import datetime as dt
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from databases import KINDS, Databases
from homeport.errors import InvalidArgumentError
from homeport.metadata import model_rows, tables, version_rows
from homeport.metadata.database import Transaction
from homeport.registry.paging import PageRequest
from homeport.resources.listing import ListQuery
from homeport.resources.model import ModelVersion, VersionSpec
from homeport.resources.names import ModelName, Parent
from rooms import ARTIFACT, PARENT, T0, Rooms, page

ORDER_FIELDS = ("display_name", "create_time", "update_time")


class _UndoneError(Exception):
    """Ends a transaction that is to leave nothing."""


@pytest.fixture(scope="module", params=KINDS)
def stocked(
    request: pytest.FixtureRequest,
    databases: Databases,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Rooms]:
    """Four models, created a minute apart; only read."""
    directory = tmp_path_factory.mktemp("stocked")
    with databases.lend(request.param, directory) as url:
        rooms = Rooms(directory, url)
        _stock(rooms)
        yield rooms
        rooms.close()


def _stock(rooms: Rooms) -> None:
    for model_id, display_name, labels in (
        ("ant", "Ant 100%", {"env": "prod", "team": "a"}),
        ("bee", "bee_hive", {"env": "dev"}),
        ("cat", "cat*", {}),
        ("doe", "ant 1000", {"env": "prod", "team": "b"}),
    ):
        rooms.insert(model_id, VersionSpec(display_name, labels=labels))
        rooms.clock.advance(minutes=1)
    _label_model(rooms, "bee", team="a")
    _label_model(rooms, "doe", env="dev", owner="me")


def _label_model(rooms: Rooms, model_id: str, **labels: str) -> None:
    name = ModelName(PARENT, model_id)
    with rooms.database.transaction() as transaction:
        for key, value in labels.items():
            transaction.execute(
                tables.model_labels.insert().values(
                    project=PARENT.project,
                    location=PARENT.location,
                    model_id=model_id,
                    key=key,
                    value=value,
                )
            )
        model_rows.touch(transaction, name, "1", T0)


def _found(rooms: Rooms, filter_: str = "", order_by: str = "") -> str:
    models, token = rooms.catalog.list_models(
        PARENT, page(filter_=filter_, order_by=order_by)
    )
    assert token == ""
    return " ".join(one.name.model for one in models)


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        pytest.param("", "ant bee cat doe", id="no filter finds all"),
        pytest.param('model = "bee"', "bee", id="equal"),
        pytest.param('model != "bee"', "ant cat doe", id="not equal"),
        pytest.param('model < "bee"', "ant", id="less"),
        pytest.param('model <= "bee"', "ant bee", id="at most"),
        pytest.param('model > "bee"', "cat doe", id="greater"),
        pytest.param('model >= "bee"', "bee cat doe", id="at least"),
        pytest.param("displayName = bee_hive", "bee", id="camel case"),
        pytest.param('display_name = "Ant 100%"', "ant", id="a percent sign is one"),
        pytest.param('display_name = "*100%*"', "ant", id="also beside a wildcard"),
        pytest.param('display_name = "bee_*"', "bee", id="an underscore is one"),
        pytest.param('display_name = "ca_*"', "", id="an underscore is no wildcard"),
        pytest.param(
            'display_name = "ant*"', "doe", id="wildcards mind upper and lower case"
        ),
        pytest.param('display_name = "*0*"', "ant doe", id="wildcards at both ends"),
        pytest.param('display_name != "*0*"', "bee cat", id="not like"),
        pytest.param('display_name : "bee*"', "bee", id="has, with a wildcard"),
        pytest.param('display_name : "*"', "ant bee cat doe", id="has any"),
        pytest.param("labels.env = prod", "ant doe", id="a label of the version"),
        pytest.param("labels.owner = me", "doe", id="a label of the model"),
        pytest.param("labels.env = dev", "bee", id="the version's label wins"),
        pytest.param("labels.team = a", "ant bee", id="both levels are one map"),
        pytest.param("labels.env != prod", "bee", id="without the key: no match"),
        pytest.param("NOT labels.env = prod", "bee cat", id="NOT matches the others"),
        pytest.param("-labels.env = prod", "bee cat", id="minus is NOT"),
        pytest.param("labels:team", "ant bee doe", id="has the key"),
        pytest.param("labels.team:*", "ant bee doe", id="has the key, any value"),
        pytest.param("NOT labels:team", "cat", id="has not the key"),
        pytest.param("labels.env:prod", "ant doe", id="a label has a value"),
        pytest.param('labels.env = "p*"', "ant doe", id="a label with a wildcard"),
        pytest.param(
            "model = ant AND labels.env = dev OR model = bee",
            "",
            id="OR binds tighter than AND",
        ),
        pytest.param(
            "labels.env = prod model = ant OR model = bee", "ant", id="space is AND"
        ),
        pytest.param(
            "(model = ant AND labels.env = prod) OR model = bee",
            "ant bee",
            id="parentheses",
        ),
        pytest.param(
            "NOT (model = ant OR model = bee)", "cat doe", id="NOT of a group"
        ),
        pytest.param(
            "NOT (labels.env = dev AND labels.team = a)",
            "ant cat doe",
            id="NOT of a group with a missing key",
        ),
        pytest.param('create_time > "2026-01-01T00:01:00Z"', "cat doe", id="later"),
        pytest.param('create_time <= "2026-01-01T00:01:00Z"', "ant bee", id="until"),
        pytest.param(
            'create_time = "2026-01-01T01:01:00+01:00"', "bee", id="a time elsewhere"
        ),
        pytest.param('create_time < "2026-01-01T00:00:30"', "ant", id="UTC if silent"),
        pytest.param("create_time:*", "ant bee cat doe", id="a time is always there"),
        pytest.param('create_time > "2026-01-02"', "", id="a day"),
        pytest.param("hive", "bee", id="a bare word, in a name"),
        pytest.param("ant OR cat", "ant cat doe", id="bare words, in an id or a name"),
        pytest.param("-ant labels:env", "bee", id="without a bare word"),
        pytest.param("model = (bee OR cat)", "bee cat", id="a group of values"),
        pytest.param("labels.env:(dev OR none)", "bee", id="a group of labels' values"),
        pytest.param("version_aliases:default", "ant bee cat doe", id="an alias"),
        pytest.param("versionAliases:none", "", id="no such alias"),
        pytest.param("version_labels.team = a", "ant", id="the version's own label"),
        pytest.param("versionLabels:owner", "", id="not the model's"),
        pytest.param("version_id = 1 model = bee", "bee", id="the default version"),
        pytest.param("check_state = unchecked", "ant bee cat doe", id="no check"),
        pytest.param("digest:* OR base_model_name = x", "", id="no artifact, no base"),
        pytest.param("description:*", "", id="an empty text is not there"),
        pytest.param("""display_name = "x' OR '1' = '1" """, "", id="no injection"),
        pytest.param("labels.env = given_0", "", id="a value like a parameter's name"),
        pytest.param(
            "(labels.env = prod OR model = cat) AND display_name > b",
            "cat",
            id="each value in its own place",
        ),
    ],
)
def test_a_filter_finds(stocked: Rooms, filter_: str, expected: str) -> None:
    assert _found(stocked, filter_) == expected


@pytest.mark.parametrize(
    ("filter_", "cause"),
    [
        pytest.param('colour = "red"', '"colour"', id="unknown field"),
        pytest.param("endpoint = 1", '"endpoint"', id="a field of another list"),
        pytest.param("model.name = x", "model has no fields", id="a field in a field"),
        pytest.param("labels = x", "labels.KEY=VALUE", id="labels as a whole"),
        pytest.param("create_time > noon", "noon", id="no time"),
        pytest.param("version_aliases = a", "version_aliases:VALUE", id="a list"),
        pytest.param("model = ", "expected a value", id="no value"),
    ],
)
def test_a_filter_that_cannot_be_meant_is_refused(
    stocked: Rooms, filter_: str, cause: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=cause):
        _found(stocked, filter_)


def test_a_model_is_found_by_what_its_version_is_made_of(rooms: Rooms) -> None:
    source = {"modelGardenSource": {"publicModelName": "publishers/google/models/g"}}
    spec = VersionSpec(
        "m", artifact_uri="gs://b/run-7", kept={"base_model_source": source}
    )
    rooms.insert("found", spec, ARTIFACT)
    rooms.insert("other", VersionSpec("m"))

    for filter_ in (
        f"digest = {ARTIFACT.digest}",
        'artifact_uri = "gs://b/run-7"',
        'artifactUri:"gs://b/*"',
        "baseModelName = publishers/google/models/g",
    ):
        assert _found(rooms, filter_) == "found", filter_


@pytest.mark.parametrize(
    ("filter_", "expected"),
    [
        pytest.param("version_id > 1", "2 3", id="numbers compare as numbers"),
        pytest.param("version_id = 2", "2", id="equal"),
        pytest.param(f"version_id < {'9' * 30}", "1 2 3", id="over 64 bits"),
        pytest.param(f"version_id < {'9' * 5000}", None, id="over what Python reads"),
        pytest.param("version_id = two", None, id="no number"),
        pytest.param("display_name = m", "1 2 3", id="a field of the model"),
    ],
)
def test_versions_are_filtered(
    rooms: Rooms, filter_: str, expected: str | None
) -> None:
    name = rooms.insert("m", VersionSpec("m")).unversioned
    with rooms.database.transaction() as transaction:
        for _ in range(2):
            model_rows.insert_version(transaction, name, VersionSpec("m"), None, T0)

    request = PageRequest(ListQuery("ListModelVersions", str(name), filter_))
    if expected is None:
        with pytest.raises(InvalidArgumentError):
            rooms.catalog.list_versions(name, request)
    else:
        versions, _ = rooms.catalog.list_versions(name, request)
        assert " ".join(one.name.version for one in versions) == expected


@pytest.mark.parametrize(
    ("order_by", "expected"),
    [
        pytest.param("display_name", "ant doe bee cat", id="upper case first"),
        pytest.param("display_name desc", "cat bee doe ant", id="descending"),
        pytest.param("create_time desc", "doe cat bee ant", id="newest first"),
        pytest.param("createTime asc", "ant bee cat doe", id="oldest first"),
    ],
)
def test_an_order_is_kept(stocked: Rooms, order_by: str, expected: str) -> None:
    assert _found(stocked, order_by=order_by) == expected


def test_versions_come_in_the_order_of_numbers(rooms: Rooms) -> None:
    name = rooms.insert("m", VersionSpec("m")).unversioned
    with rooms.database.transaction() as transaction:
        for _ in range(10):
            model_rows.insert_version(transaction, name, VersionSpec("m"), None, T0)

    query = ListQuery("ListModelVersions", str(name))
    first, token = rooms.catalog.list_versions(name, PageRequest(query, size=9))
    rest, end = rooms.catalog.list_versions(name, PageRequest(query, token, size=9))

    assert [one.name.version for one in first] == [str(n) for n in range(1, 10)]
    assert [one.name.version for one in rest] == ["10", "11"]
    assert end == ""


@pytest.mark.parametrize(
    "order_by", ["colour", "create_time sideways", "create_time, create_time"]
)
def test_an_order_that_cannot_be_meant_is_refused(rooms: Rooms, order_by: str) -> None:
    with pytest.raises(InvalidArgumentError, match="order_by"):
        _found(rooms, order_by=order_by)


@contextlib.contextmanager
def _undone(rooms: Rooms) -> Iterator[Transaction]:
    """Yield a transaction that leaves nothing, so that examples share the rooms."""
    with (
        contextlib.suppress(_UndoneError),
        rooms.database.transaction() as transaction,
    ):
        yield transaction
        raise _UndoneError


def _insert(transaction: Transaction, model_id: str, name: str, minute: int) -> None:
    spec = VersionSpec(name, aliases=("default",))
    model, now = ModelName(PARENT, model_id), T0 + dt.timedelta(minutes=minute)
    model_rows.insert_model(transaction, model, spec, now)
    model_rows.insert_version(transaction, model, spec, None, now)


def _pages(
    rooms: Rooms, transaction: Transaction, order_by: str, size: int
) -> Iterator[list[ModelVersion]]:
    token = ""
    while True:
        found, token = rooms.pager.page(
            page(order_by=order_by, token=token, size=size),
            ORDER_FIELDS,
            lambda wanted: version_rows.list_models(transaction, PARENT, wanted),
            version_rows.model_position,
        )
        assert len(found) <= size
        yield found
        if not token:
            return


def _rank(version: ModelVersion, field: str) -> str:
    return str(getattr(version, field))


@given(
    rows=st.lists(
        st.tuples(st.sampled_from("abAé%"), st.integers(0, 2)), min_size=1, max_size=14
    ),
    keys=st.lists(st.sampled_from(ORDER_FIELDS), unique=True, max_size=3),
    directions=st.lists(st.sampled_from(["", " asc", " desc"]), min_size=3, max_size=3),
    changes=st.lists(
        st.tuples(st.booleans(), st.integers(0, 13), st.sampled_from("abAé%")),
        max_size=6,
    ),
)
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_pages_show_every_row_once_whatever_comes_and_goes_meanwhile(
    rooms: Rooms,
    rows: list[tuple[str, int]],
    keys: list[str],
    directions: list[str],
    changes: list[tuple[bool, int, str]],
) -> None:
    order_by = ", ".join(key + way for key, way in zip(keys, directions, strict=False))
    stayed = {f"m{index}" for index in range(len(rows))}
    seen: list[ModelVersion] = []

    with _undone(rooms) as transaction:
        for index, (name, minute) in enumerate(rows):
            _insert(transaction, f"m{index}", name, minute)
        pending = iter(changes)
        for found in _pages(rooms, transaction, order_by, size=3):
            seen += found
            added, at, name = next(pending, (False, 99, ""))
            if added:
                _insert(transaction, f"new{len(seen)}", name, at % 3)
            elif at < len(rows):
                model = ModelName(PARENT, f"m{at}")
                model_rows.delete_model(transaction, model)
                stayed.discard(model.model)

    shown = [one.name.model for one in seen]
    assert len(shown) == len(set(shown))
    assert stayed <= set(shown)
    if keys:
        ranks = [_rank(one, keys[0]) for one in seen]
        assert ranks == sorted(ranks, reverse=directions[0] == " desc")


def test_a_token_is_bound_to_its_query_but_not_to_its_size(stocked: Rooms) -> None:
    first, token = stocked.catalog.list_models(PARENT, page(size=1))

    rest, end = stocked.catalog.list_models(PARENT, page(token=token, size=3))

    assert [one.name.model for one in first + rest] == ["ant", "bee", "cat", "doe"]
    assert end == ""
    for other in (
        page(token=token, filter_="labels.env = prod"),
        page(token=token, order_by="display_name"),
        page("ListEndpoints", token=token),
        page(token=token[:-2] + "AA"),
        page(token="x"),  # noqa: S106  # no password
    ):
        with pytest.raises(InvalidArgumentError, match="page_token"):
            stocked.catalog.list_models(PARENT, other)


def test_a_negative_page_size_is_refused(rooms: Rooms) -> None:
    with pytest.raises(InvalidArgumentError, match="page_size"):
        rooms.catalog.list_models(PARENT, page(size=-1))


def test_models_of_other_projects_are_not_listed(stocked: Rooms) -> None:
    models, _ = stocked.catalog.list_models(Parent("other", PARENT.location), page())

    assert models == []


@pytest.mark.parametrize("word", ["AND", "OR"])
def test_a_filter_of_as_many_restrictions_as_may_be_is_looked_for(
    stocked: Rooms, word: str
) -> None:
    longest = f" {word} ".join(["NOT labels.team!=a"] * 200)

    found, _ = stocked.catalog.list_models(PARENT, page(filter_=longest))

    assert len(found) < 200
    with pytest.raises(InvalidArgumentError, match="more than 200 restrictions"):
        stocked.catalog.list_models(PARENT, page(filter_=f"{longest} {word} a=1"))

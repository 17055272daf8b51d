"""Filters, orders and page tokens are read as AIP-160, AIP-132 and AIP-158 say."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError
from homeport.resources import listing
from homeport.resources.listing import And, ListQuery, Not, Operator, Or, Restriction

A = Restriction(("a",), Operator.EQUAL, "1")
B = Restriction(("b",), Operator.EQUAL, "2")
C = Restriction(("c",), Operator.EQUAL, "3")
D = Restriction(("d",), Operator.EQUAL, "4")


def _word(text: str) -> Restriction:
    return Restriction((), Operator.HAS, text)


SEGMENTS = st.one_of(
    st.from_regex(r"[a-z_][a-z0-9_]{0,8}", fullmatch=True),
    st.sampled_from(["labels", "displayName", "AND", "OR", "NOT", "a key", '"', "\\"]),
    st.text(min_size=1, max_size=8),
)
VALUES = st.text(max_size=8) | st.sampled_from(["*", "a*", "\n", "'\"\\", "AND", "or"])
RESTRICTIONS = st.builds(
    Restriction,
    st.lists(SEGMENTS, min_size=1, max_size=3).map(tuple),
    st.sampled_from(Operator),
    VALUES,
) | st.builds(Restriction, st.just(()), st.just(Operator.HAS), VALUES)


def grouped(
    below: st.SearchStrategy[listing.Filter],
) -> st.SearchStrategy[listing.Filter]:
    def several(other: type[And | Or]) -> st.SearchStrategy[tuple[listing.Filter, ...]]:
        operands = below.filter(lambda operand: not isinstance(operand, other))
        return st.lists(operands, min_size=2, max_size=3).map(tuple)

    return st.builds(Not, below) | several(And).map(And) | several(Or).map(Or)


FILTERS = st.recursive(RESTRICTIONS, grouped, max_leaves=8)


@given(FILTERS)
def test_filter_written_and_read_again_is_the_same(parsed: listing.Filter) -> None:
    assert listing.parse_filter(str(parsed)) == parsed


@given(
    st.text(max_size=60)
    | st.text(alphabet="ab1 .:=<>!()\"'\\*-ANDORNOT", max_size=60)
    | st.lists(
        st.sampled_from(["a", "(", ")", "AND", "OR", "NOT", "-", "=", ":", '"x"', "."])
    ).map(" ".join)
)
def test_no_text_raises_anything_but_invalid_argument(text: str) -> None:
    try:
        parsed = listing.parse_filter(text)
    except InvalidArgumentError as error:
        assert error.message.startswith("filter")  # noqa: PT017  # either is right
    else:
        assert parsed is None or listing.parse_filter(str(parsed)) == parsed


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        pytest.param("", None, id="nothing"),
        pytest.param(" \t", None, id="space"),
        pytest.param("a=1", A, id="one"),
        pytest.param("a=1 AND b=2 OR c=3", And((A, Or((B, C)))), id="OR binds tighter"),
        pytest.param(
            "a=1 OR b=2 AND c=3", And((Or((A, B)), C)), id="from the left too"
        ),
        pytest.param("a=1 b=2 OR c=3", And((A, Or((B, C)))), id="space is AND"),
        pytest.param("a=1 b=2 AND c=3", And((A, B, C)), id="both kinds of AND"),
        pytest.param("(a=1 AND b=2) OR c=3", Or((And((A, B)), C)), id="parentheses"),
        pytest.param("((a=1))", A, id="idle parentheses"),
        pytest.param("a=1 AND (b=2 AND c=3)", And((A, B, C)), id="AND in AND"),
        pytest.param("a=1 OR (b=2 OR c=3) OR d=4", Or((A, B, C, D)), id="OR in OR"),
        pytest.param("NOT a=1 AND b=2", And((Not(A), B)), id="NOT binds tightest"),
        pytest.param("-a=1 b=2", And((Not(A), B)), id="minus is NOT"),
        pytest.param("-(a=1 OR b=2)", Not(Or((A, B))), id="minus before parentheses"),
        pytest.param("NOT(a=1)AND(b=2)", And((Not(A), B)), id="keywords without space"),
        pytest.param("NOT (NOT a=1)", Not(Not(A)), id="NOT of NOT"),
        pytest.param("\ta  =\n'1' ", A, id="space around the operator"),
        pytest.param("a=(1)", A, id="a group of one value"),
        pytest.param(
            "a=(1 OR 2) b=2",
            And((Or((A, dataclasses.replace(A, value="2"))), B)),
            id="a group of values",
        ),
        pytest.param(
            "a=(1 NOT 2)",
            And((A, Not(dataclasses.replace(A, value="2")))),
            id="a group of values with NOT",
        ),
        pytest.param(
            "New York Giants OR Yankees",
            And((_word("New"), _word("York"), Or((_word("Giants"), _word("Yankees"))))),
            id="bare words",
        ),
        pytest.param("-30", Not(_word("30")), id="a bare word without"),
        pytest.param('"a b"', _word("a b"), id="a bare string"),
        pytest.param("and.x", _word("and.x"), id="a bare word with a point"),
    ],
)
def test_precedence(text: str, parsed: listing.Filter | None) -> None:
    assert listing.parse_filter(text) == parsed


@pytest.mark.parametrize(
    ("text", "field", "operator", "value"),
    [
        pytest.param("displayName=x", ("display_name",), "=", "x", id="camelCase"),
        pytest.param("display_name!=x", ("display_name",), "!=", "x", id="snake_case"),
        pytest.param(
            'a.bC.dE<="x"', ("a", "b_c", "d_e"), "<=", "x", id="path in camelCase"
        ),
        pytest.param(
            "labels.myKey=v", ("labels", "myKey"), "=", "v", id="label's case"
        ),
        pytest.param("labels.key:*", ("labels", "key"), ":", "*", id="label exists"),
        pytest.param("labels:key", ("labels",), ":", "key", id="label exists, shorter"),
        pytest.param(
            'labels."a key"=v', ("labels", "a key"), "=", "v", id="quoted label"
        ),
        pytest.param("labels.AND=v", ("labels", "AND"), "=", "v", id="keyword as key"),
        pytest.param('display_name="a*"', ("display_name",), "=", "a*", id="wildcard"),
        pytest.param(r'a="\"\\\n\'"', ("a",), "=", "\"\\\n'", id="escapes"),
        pytest.param("a='say \"x\"'", ("a",), "=", 'say "x"', id="single quotes"),
        pytest.param("a=''", ("a",), "=", "", id="empty text"),
        pytest.param("a>-1.5", ("a",), ">", "-1.5", id="negative number"),
        pytest.param(
            "create_time>=2026-01-31T12:00:00.5Z",
            ("create_time",),
            ">=",
            "2026-01-31T12:00:00.5Z",
            id="time without quotes",
        ),
        pytest.param(
            "model=projects/p/locations/l/models/7@2",
            ("model",),
            "=",
            "projects/p/locations/l/models/7@2",
            id="resource name without quotes",
        ),
    ],
)
def test_restriction(
    text: str, field: tuple[str, ...], operator: str, value: str
) -> None:
    assert listing.parse_filter(text) == Restriction(field, Operator(operator), value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "a=1 AND",
            "filter, at position 8, ends too early: expected a field",
            id="nothing after AND",
        ),
        pytest.param(
            "a=1 )",
            'filter, at position 5, has ")": expected AND, OR or the end',
            id="stray parenthesis",
        ),
        pytest.param(
            "(a=1",
            'filter, at position 5, ends too early: expected ")"',
            id="open parenthesis",
        ),
        pytest.param(
            "a=",
            "filter, at position 3, ends too early: expected a value",
            id="no value",
        ),
        pytest.param(
            "a==1",
            'filter, at position 3, has "=1": expected a value',
            id="two operators",
        ),
        pytest.param(
            "a=1 and b=2",
            'filter, at position 5, has "and": AND, OR and NOT are written in capitals',
            id="keyword in lower case",
        ),
        pytest.param(
            "a=1 AND regex(b)",
            'filter, at position 9, calls "regex": there are no functions',
            id="function",
        ),
        pytest.param(
            "math.mem('30mb') > 1",
            'filter, at position 1, calls "math.mem": there are no functions',
            id="qualified function",
        ),
        pytest.param(
            "a=now()",
            'filter, at position 3, calls "now": there are no functions',
            id="function as value",
        ),
        pytest.param(
            "a=(b OR c=1)",
            'filter, at position 13, compares "a" with a comparison: parentheses after '
            "an operator hold values alone",
            id="comparison as value",
        ),
        pytest.param(
            'a="x',
            "filter, at position 3, opens a quotation that never ends",
            id="open quotation",
        ),
        pytest.param(
            r'a="x\q"',
            r"filter, at position 5, has the unknown escape \q",
            id="unknown escape",
        ),
        pytest.param(
            'labels.""=1',
            r'filter, at position 1, has "labels.\"\"=1": expected the name of a field',
            id="empty segment",
        ),
        pytest.param(
            "a." + "=1",
            'filter, at position 3, has "=1": expected a field',
            id="no segment",
        ),
        pytest.param(
            "a" * 8193, "filter has 8193 characters: at most 8192", id="too long"
        ),
        pytest.param(
            "(" * 8192,
            "filter, at position 33, has more than 32 parentheses in each other",
            id="too deep",
        ),
        pytest.param(
            "-(" * 4000,
            "filter, at position 66, has more than 32 parentheses in each other",
            id="too deep with NOT",
        ),
    ],
)
def test_refused_filter_is_told_where_and_why(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        listing.parse_filter(text)

    assert caught.value.message == message


def test_longest_filter_is_read() -> None:
    parsed = listing.parse_filter(" OR ".join(["a=1"] * 200))

    assert parsed == Or((A,) * 200)


def test_field_the_list_does_not_know_is_an_error() -> None:
    parsed = listing.parse_filter("display_name=m AND -(labels.a=b OR stage.name=x)")
    assert parsed is not None

    listing.check_fields(parsed, {"display_name", "labels", "stage"})
    with pytest.raises(
        InvalidArgumentError, match=r'"stage\.name".* display_name, lab'
    ):
        listing.check_fields(parsed, {"display_name", "labels"})


# --- order ----------------------------------------------------------------------------

FIELDS = ("create_time", "display_name", "update_time")


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param("", [], id="the method's own"),
        pytest.param("display_name", [("display_name", False)], id="ascending"),
        pytest.param(
            " updateTime  asc ,create_time desc",
            [("update_time", False), ("create_time", True)],
            id="two, with space and camelCase",
        ),
    ],
)
def test_order_by(text: str, keys: list[tuple[str, bool]]) -> None:
    parsed = listing.parse_order_by(text, FIELDS)

    assert [(key.field, key.descending) for key in parsed] == keys


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param(
            "name", '"name": this list can be ordered by create_t', id="field"
        ),
        pytest.param("display_name up", '"display_name up"', id="direction"),
        pytest.param("display_name desc desc", "desc desc", id="two directions"),
        pytest.param("display_name,displayName desc", "display_name twice", id="twice"),
        pytest.param("a" * 1025, "1025 characters: at most 1024", id="too long"),
    ],
)
def test_refused_order_names_what_there_is(text: str, part: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        listing.parse_order_by(text, FIELDS)

    assert part in caught.value.message


@given(st.text(max_size=40))
def test_no_order_raises_anything_else(text: str) -> None:
    try:
        parsed = listing.parse_order_by(text, FIELDS)
    except InvalidArgumentError:
        return
    assert {key.field for key in parsed} <= {*FIELDS}


# --- pages ----------------------------------------------------------------------------

TOKENS = listing.PageTokens(b"a secret of the server")
QUERY = ListQuery("ListModels", "projects/p/locations/l", 'labels.a="b"', "create_time")
POSITIONS = st.lists(st.text() | st.integers()).map(tuple)
QUERIES = st.builds(ListQuery, *[st.sampled_from(["", "x", "y"])] * 4)


@pytest.mark.parametrize(
    ("requested", "rows"),
    [(0, 100), (1, 1), (1000, 1000), (1001, 1000), (2**31 - 1, 1000)],
)
def test_page_size_is_coerced_down(requested: int, rows: int) -> None:
    assert listing.page_size(requested) == rows


def test_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="-1"):
        listing.page_size(-1)


@given(POSITIONS, QUERIES)
def test_token_gives_its_position_back(
    position: tuple[str | int, ...], query: ListQuery
) -> None:
    assert TOKENS.decode(TOKENS.encode(position, query), query) == position


@given(POSITIONS, QUERIES, QUERIES)
def test_token_is_good_for_one_query_only(
    position: tuple[str | int, ...], query: ListQuery, other: ListQuery
) -> None:
    token = TOKENS.encode(position, query)

    if other != query:
        with pytest.raises(InvalidArgumentError, match="page_token"):
            TOKENS.decode(token, other)


@given(POSITIONS)
def test_token_needs_no_escaping_in_a_url(position: tuple[str | int, ...]) -> None:
    token = TOKENS.encode(position, QUERY)

    assert set(token) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    )


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{20,80}", fullmatch=True))
def test_forged_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidArgumentError, match="page_token"):
        TOKENS.decode(token, QUERY)


def test_token_with_a_changed_position_is_refused() -> None:
    token = TOKENS.encode((1,), QUERY)
    other = TOKENS.encode((2,), ListQuery("x", "y"))

    with pytest.raises(InvalidArgumentError, match="page_token"):
        TOKENS.decode(token[:20] + other[20:], QUERY)


def test_token_of_another_server_is_refused() -> None:
    token = listing.PageTokens(b"another secret").encode((1,), QUERY)

    with pytest.raises(InvalidArgumentError, match="page_token"):
        TOKENS.decode(token, QUERY)


def test_secret_is_not_shown() -> None:
    assert "secret of" not in repr(TOKENS)

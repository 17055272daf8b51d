"""A multipart body gives the same two parts however it is cut into chunks."""

import collections
import itertools

import hypothesis
import pytest
from hypothesis import strategies as st

from homeport.api.storage_multipart import MAX_METADATA_BYTES, RelatedParser, boundary
from homeport.errors import InvalidArgumentError

BOUNDARY = b"=B="
LIKE_DELIMITERS = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"--=B", b"=B=", b"-", b"\0", b"x"]),
    max_size=12,
).map(b"".join)


def body(metadata: bytes, media: bytes, line_end: bytes = b"\r\n") -> bytes:
    return line_end.join(
        [
            b"--=B=",
            b"content-type: application/json; charset=UTF-8",
            b"",
            metadata,
            b"--=B=",
            b"Content-Type: text/plain",
            b"",
            media,
            b"--=B=--",
        ]
    )


def parsed(chunks: list[bytes]) -> tuple[bytes | None, str, bytes]:
    parser = RelatedParser(BOUNDARY)
    media = b"".join(parser.feed(chunk) for chunk in chunks)
    parser.close()
    return parser.metadata, parser.media_type, media


@hypothesis.given(
    media=st.one_of(st.binary(), LIKE_DELIMITERS),
    line_end=st.sampled_from([b"\r\n", b"\n"]),
    after=st.sampled_from([b"", b"\r\n", b"\n epilogue"]),
    cuts=st.lists(st.integers(0, 150), max_size=6),
)
def test_cuts_do_not_matter(
    media: bytes, line_end: bytes, after: bytes, cuts: list[int]
) -> None:
    hypothesis.assume(line_end + b"--=B=" not in line_end + media)
    whole = body(b'{"name": "a"}', media, line_end) + after
    edges = [0, *sorted(cuts), len(whole)]
    chunks = [whole[a:b] for a, b in itertools.pairwise(edges)]

    assert parsed(chunks) == (b'{"name": "a"}', "text/plain", media)


def test_single_bytes_will_do() -> None:
    whole = body(b"{}", b"one\r\n--=B or two")

    assert parsed([bytes([byte]) for byte in whole])[2] == b"one\r\n--=B or two"


def test_media_is_handed_on_before_the_body_ends() -> None:
    parser = RelatedParser(BOUNDARY)
    begun = body(b"{}", b"!" * 1000).removesuffix(b"\r\n--=B=--")

    # The last six bytes may be the beginning of a delimiter.
    assert parser.feed(begun) == b"!" * 994
    assert parser.metadata == b"{}"


def test_a_preamble_is_no_part() -> None:
    assert parsed([b"\r\npreamble\r\n" + body(b"{}", b"m")]) == (
        b"{}",
        "text/plain",
        b"m",
    )


@pytest.mark.parametrize(
    "whole",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"no delimiter", id="no delimiter"),
        pytest.param(body(b"{}", b"media")[:-1], id="cut in the closing delimiter"),
        pytest.param(body(b"{}", b"media")[:40], id="cut in the first part"),
        pytest.param(body(b"{}", b"m\r\n--=B=\r\n\r\nthird"), id="three parts"),
        pytest.param(
            b"--=B=\r\n{}\r\n--=B=\r\n\r\nmedia\r\n--=B=--", id="no blank line"
        ),
    ],
)
def test_what_is_not_two_parts_is_refused(whole: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        parsed([whole])


def test_metadata_without_end_is_refused_while_it_arrives() -> None:
    parser = RelatedParser(BOUNDARY)
    parser.feed(b"--=B=\r\n\r\n")

    with pytest.raises(InvalidArgumentError, match=str(MAX_METADATA_BYTES)):
        collections.deque(map(parser.feed, [b"x" * 10_000] * 10), maxlen=0)


@pytest.mark.parametrize(
    "content_type",
    [
        pytest.param("multipart/related; boundary==B=", id="bare"),
        pytest.param('multipart/related; boundary="=B="', id="quoted"),
        pytest.param("multipart/related; boundary='=B='", id="as gsutil quotes"),
        pytest.param(
            'Multipart/Related; type="application/json"; Boundary="=B="', id="others"
        ),
    ],
)
def test_a_boundary_is_found(content_type: str) -> None:
    assert boundary(content_type) == BOUNDARY


@pytest.mark.parametrize(
    "content_type", ["", "application/json", "multipart/related", "multipart/mixed"]
)
def test_a_content_type_without_boundary_is_refused(content_type: str) -> None:
    with pytest.raises(InvalidArgumentError, match="boundary"):
        boundary(content_type)

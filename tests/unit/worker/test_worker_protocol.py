"""The frames between worker and parent: frozen bytes, any split, no lies believed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.worker import protocol
from homeport.worker.protocol import Decoder, Frame, Kind, ProtocolError

FRAMES = st.lists(
    st.builds(
        Frame,
        kind=st.sampled_from(Kind),
        status=st.integers(0, 16),
        id=st.integers(0, 2**64 - 1),
        payload=st.binary(max_size=300),
    ),
    max_size=8,
)


def encode(frame: Frame) -> bytes:
    return protocol.encode(
        Kind(frame.kind), frame.payload, status=frame.status, id_=frame.id
    )


def test_the_bytes_of_version_3_are_frozen() -> None:
    request = protocol.encode(Kind.PREDICT, b'{"instances":[1]}', id_=258)
    refusal = protocol.encode(Kind.REPLY, b"no", status=3, id_=2**64 - 1)

    assert request.hex() == (
        "11000000050000000201000000000000" + b'{"instances":[1]}'.hex()
    )
    assert refusal.hex() == "0200000006000300ffffffffffffffff" + b"no".hex()
    assert {kind.name: kind.value for kind in Kind} == {
        "HELLO": 1,
        "LOAD": 2,
        "LOADED": 3,
        "LOAD_FAILED": 4,
        "PREDICT": 5,
        "REPLY": 6,
        "SHUTDOWN": 7,
        "IMPORTED": 8,
        "EXAMINE": 9,
        "RAW": 10,
        "EXPLAIN": 11,
        "CANCEL": 12,
        "EXAMINED": 13,
        "ANSWER": 14,
        "PIECE": 15,
    }


@given(frames=FRAMES, data=st.data())
def test_any_split_of_the_stream_gives_the_same_frames(
    frames: list[Frame], data: st.DataObject
) -> None:
    stream = b"".join(map(encode, frames))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=12).map(sorted))
    decoder = Decoder(capacity=32)

    decoded: list[Frame] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        decoded += decoder.feed(stream[begin:end])

    assert decoded == frames


def test_a_large_frame_arrives_whole_and_the_buffer_shrinks_again() -> None:
    decoder = Decoder()
    first = len(decoder.writable())
    body = bytes(range(256)) * 8192

    frames = decoder.feed(protocol.encode(Kind.PREDICT, body, id_=7))
    decoder.feed(protocol.encode(Kind.SHUTDOWN))

    assert frames == [Frame(Kind.PREDICT, 0, 7, body)]
    assert len(decoder.writable()) == first


def test_a_length_over_the_limit_is_refused_before_its_bytes_are_there() -> None:
    header = protocol.HEADER.pack(protocol.MAX_PAYLOAD_BYTES + 1, 6, 0, 0, 1)

    with pytest.raises(ProtocolError, match="over the limit of 268435456"):
        Decoder().feed(header)


def test_a_promised_length_allocates_nothing() -> None:
    decoder = Decoder(capacity=64)

    assert decoder.feed(protocol.HEADER.pack(200_000_000, 6, 0, 0, 1)) == []
    assert len(decoder.writable()) == 48


def test_hello_of_this_version_is_accepted() -> None:
    protocol.check_hello(Frame(Kind.HELLO, 0, 0, b'{"protocol": 3}'))


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        pytest.param(
            Frame(Kind.HELLO, 0, 0, b'{"protocol": 4}'),
            "speaks protocol 4, this server speaks 3",
            id="a later version",
        ),
        pytest.param(
            Frame(Kind.HELLO, 0, 0, b"{}"), "speaks protocol None", id="no version"
        ),
        pytest.param(
            Frame(Kind.REPLY, 0, 0, b""), "instead of HELLO", id="another frame"
        ),
        pytest.param(Frame(Kind.HELLO, 0, 0, b"["), "holds no JSON", id="no JSON"),
        pytest.param(Frame(Kind.HELLO, 0, 0, b"[]"), "not an object", id="no object"),
    ],
)
def test_any_other_beginning_is_refused(frame: Frame, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        protocol.check_hello(frame)

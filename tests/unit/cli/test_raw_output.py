"""Bytes from a server are written as they are; a terminal's prompt begins its line."""

import io
import sys

import pytest

from homeport.cli import rawoutput


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "pieces", "seen"),
    [
        pytest.param(Terminal, [b"a", b"b"], b"ab\n", id="no end on a terminal"),
        pytest.param(Terminal, [b"a\n", b""], b"a\n", id="an end on a terminal"),
        pytest.param(Terminal, [], b"", id="nothing on a terminal"),
        pytest.param(io.TextIOWrapper, [b"a", b"b"], b"ab", id="a file"),
    ],
)
def test_what_is_written_ends_its_line_on_a_terminal_alone(
    kind: type[io.TextIOWrapper],
    pieces: list[bytes],
    seen: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", kind(content))

    with rawoutput.standard_output() as write:
        for piece in pieces:
            write(piece)

    assert content.getvalue() == seen

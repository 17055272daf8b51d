"""A store of parts keeps each under its upload, whole or not at all."""

import pytest

from contracts.conftest import Place
from homeport.errors import InvalidArgumentError
from homeport.objects.parts import Parts

SHA256_OF_HELLO = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"


@pytest.fixture
def parts(place: Place) -> Parts:
    return place.parts()


def put(parts: Parts, upload: str, number: int, content: bytes) -> str:
    writer = parts.begin(upload, number)
    writer.write(content)
    return writer.commit().sha256


def test_a_part_is_read_by_its_number_and_digest(parts: Parts) -> None:
    put(parts, "u", 1, b"hello")
    put(parts, "u", 2, b"world")

    with parts.open("u", 1, SHA256_OF_HELLO) as file:
        assert file.read() == b"hello"
    with pytest.raises(InvalidArgumentError, match="part 2 has not been uploaded"):
        parts.open("u", 2, SHA256_OF_HELLO)
    with pytest.raises(InvalidArgumentError, match="part 1 has not been uploaded"):
        parts.open("another", 1, SHA256_OF_HELLO)


def test_the_layout_is_that_of_the_module_docstring(parts: Parts, place: Place) -> None:
    put(parts, "u", 7, b"hello")

    (name,) = place.kept()
    assert name.removeprefix("parts/") == f"u/7.{SHA256_OF_HELLO}"


def test_parts_are_known_by_their_uploads_until_discarded(parts: Parts) -> None:
    put(parts, "one", 1, b"1")
    put(parts, "one", 2, b"2")
    put(parts, "two", 1, b"1")

    parts.discard("one")
    parts.discard("one")

    assert list(parts.uploads()) == ["two"]


def test_many_parts_are_discarded_and_no_others(parts: Parts) -> None:
    for number in range(1, 31):
        put(parts, "u", number, b"%d" % number)
    put(parts, "un", 1, b"1")

    parts.discard("u")

    assert list(parts.iterate("u")) == []
    assert list(parts.uploads()) == ["un"]


def test_the_parts_of_an_upload_are_listed(parts: Parts) -> None:
    put(parts, "u", 2, b"hello")
    put(parts, "u", 10, b"")
    put(parts, "another", 1, b"hello")

    found = sorted(parts.iterate("u"))

    assert [(part.number, part.size_bytes) for part in found] == [(2, 5), (10, 0)]
    assert found[0].sha256 == SHA256_OF_HELLO
    assert list(parts.iterate("none")) == []


def test_a_restart_keeps_parts_and_removes_what_was_being_received(
    parts: Parts, place: Place
) -> None:
    put(parts, "u", 1, b"hello")
    half = parts.begin("u", 2)
    half.write(b"half")

    again = place.parts()
    half.abort()

    assert [name.rpartition("/")[2] for name in place.kept()] == [
        f"1.{SHA256_OF_HELLO}"
    ]
    assert list(again.uploads()) == ["u"]

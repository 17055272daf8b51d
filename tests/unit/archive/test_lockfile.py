"""The lock in an archive: read as hostile input, written the same each time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.archive import lockfile
from homeport.archive.lockfile import Pin
from homeport.errors import InvalidArgumentError

HEADER = "# python: 3.11\n# platform: linux-x86_64\n"
HASH = "0123456789abcdef" * 4
NAMES = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
PINS = st.builds(
    Pin,
    NAMES,
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,2}(rc1)?", fullmatch=True),
    st.lists(
        st.text("0123456789abcdef", min_size=64, max_size=64), unique=True, max_size=3
    ).map(lambda hashes: tuple(sorted(hashes))),
)


@given(st.lists(PINS, unique_by=lambda pin: pin.name, max_size=5))
def test_what_was_written_is_read_again(pins: list[Pin]) -> None:
    made = lockfile.make("3.11", "linux-x86_64", tuple(pins))

    assert lockfile.parse(made.text) == made


def test_a_lock_reads_as_people_and_pip_read_it() -> None:
    parsed = lockfile.parse(
        f"{HEADER}# numbers\nnumpy==2.4.6 \\\n    --hash=sha256:{HASH}\n\nidna==3.10\n"
    )

    assert (parsed.python, parsed.platform) == ("3.11", "linux-x86_64")
    assert parsed.pins == (Pin("idna", "3.10"), Pin("numpy", "2.4.6", (HASH,)))


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://me:secret@example.org/simple",
        "-e ./secret",
        "idna @ https://example.org/secret.whl",
        "https://example.org/secret.whl",
        "./secret.whl",
        "idna",
        "idna>=3",
        "idna==3.*",
        "idna==3.10+cpu",
        "idna==3.10 --hash=md5:secret",
        "idna==3.10 \\\n--find-links=secret",
        "idna==3.10 ; python_version > '3'",
        "Idna==3.10",
        "idna==3.10\r--secret",
    ],
)
def test_a_line_that_is_no_pin_is_refused_by_its_number(line: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        lockfile.parse(f"{HEADER}zlib==1.0\n{line}\n")

    assert "MAR-INF/requirements.lock line 4 " in refused.value.message
    assert "secret" not in refused.value.message


def test_a_name_stands_once() -> None:
    with pytest.raises(InvalidArgumentError, match="line 4 names idna again"):
        lockfile.parse(f"{HEADER}idna==3.10\nidna==3.9\n")


@pytest.mark.parametrize("header", ["", "# python: 3.11\n", "# platform: linux\n"])
def test_a_lock_says_what_it_is_for(header: str) -> None:
    with pytest.raises(InvalidArgumentError, match="which Python and platform"):
        lockfile.parse(f"{header}idna==3.10\n")


def test_a_lock_over_the_limit_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="longer than 1 MiB"):
        lockfile.parse(HEADER + "#" * (1 << 20))


@given(st.text(max_size=200))
def test_any_other_text_is_refused_and_nothing_else_happens(text: str) -> None:
    try:
        lockfile.parse(text)
    except InvalidArgumentError:
        return
    assert text.startswith("#")

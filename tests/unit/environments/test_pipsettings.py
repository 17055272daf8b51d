"""uv looks where the user's pip looks, unless it was told itself."""

import pathlib

import pytest

from homeport.environments import pipsettings


@pytest.fixture(autouse=True)
def no_files_of_this_machine(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipsettings, "_SYSTEM_FILE", tmp_path / "none.conf")
    monkeypatch.setattr("sys.prefix", str(tmp_path / "prefix"))


def test_variables_of_pip_are_handed_on() -> None:
    said = pipsettings.as_uv(
        {"PIP_FIND_LINKS": "/one  /two", "PIP_INDEX_URL": "https://i.example/simple"}
    )

    assert said == {
        "UV_FIND_LINKS": "/one,/two",
        "UV_DEFAULT_INDEX": "https://i.example/simple",
    }


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_what_uv_was_told_stays(variable: str) -> None:
    said = pipsettings.as_uv(
        {
            variable: "https://uv.example/simple",
            "UV_FIND_LINKS": "/uv",
            "PIP_INDEX_URL": "https://pip.example/simple",
            "PIP_FIND_LINKS": "/pip",
        }
    )

    assert said == {}


def test_pips_files_are_read_and_its_variables_win(tmp_path: pathlib.Path) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "pip/pip.conf").write_text(
        "[global]\nindex-url = https://file.example/simple\nfind-links =\n  /a\n  /b\n"
    )

    said = pipsettings.as_uv(
        {"XDG_CONFIG_HOME": str(tmp_path), "PIP_INDEX_URL": "https://v.example/simple"}
    )

    assert said == {
        "UV_FIND_LINKS": "/a,/b",
        "UV_DEFAULT_INDEX": "https://v.example/simple",
    }


def test_the_file_that_is_named_is_the_strongest(tmp_path: pathlib.Path) -> None:
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text("[global]\nindex-url = https://weak\n")
    named = tmp_path / "named.conf"
    named.write_text("[install]\nindex-url = https://strong\n")

    said = pipsettings.as_uv({"HOME": str(tmp_path), "PIP_CONFIG_FILE": str(named)})

    assert said == {"UV_DEFAULT_INDEX": "https://strong"}


def test_a_broken_file_is_pips_own_matter(tmp_path: pathlib.Path) -> None:
    named = tmp_path / "named.conf"
    named.write_text("index-url = outside of a section\n")

    assert pipsettings.as_uv({"PIP_CONFIG_FILE": str(named)}) == {}

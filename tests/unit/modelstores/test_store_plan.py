"""Every archive of a store becomes one version, or is named with the reason."""

import pathlib
from collections.abc import Callable

import pytest

from homeport.errors import HomeportError, InvalidArgumentError
from homeport.modelstores import bringing, configuration, plan
from homeport.modelstores.configuration import StoreConfig
from homeport.packing import pack

HANDLER = "def handle(data, context):\n    return data\n"
Put = Callable[..., pathlib.Path]


@pytest.fixture
def store(tmp_path: pathlib.Path) -> pathlib.Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


@pytest.fixture
def put(store: pathlib.Path, tmp_path: pathlib.Path) -> Put:
    """Return what puts an archive into the store."""
    handler = tmp_path / "handler.py"
    handler.write_text(HANDLER)

    def put(name: str, version: str = "1.0", file: str = "") -> pathlib.Path:
        folder = tmp_path / f"{name}-{version}-{file}"
        folder.mkdir()
        spec = pack.PackSpec(model_name=name, version=version, handler=str(handler))
        return pack.pack(spec, folder).path.rename(store / (file or f"{name}.mar"))

    return put


def versions(found: plan.Plan) -> list[tuple[str, str, str, bool]]:
    return [
        (one.path.name, one.name, one.declared.version, one.is_default)
        for one in found.planned
    ]


def reasons(found: plan.Plan) -> dict[str, str]:
    return {one.file: one.reason for one in found.problems}


def test_versions_of_a_model_come_oldest_first_and_the_newest_is_the_default(
    store: pathlib.Path, put: Put
) -> None:
    for version in ("1.10", "1.9", "2.0-rc", "1.2"):
        put("digits", version, f"{version}.mar")
    put("other")

    found = plan.make(store, StoreConfig())

    assert versions(found) == [
        ("1.2.mar", "digits", "1.2", False),
        ("1.9.mar", "digits", "1.9", False),
        ("1.10.mar", "digits", "1.10", False),
        ("2.0-rc.mar", "digits", "2.0-rc", True),
        ("other.mar", "other", "1.0", True),
    ]
    assert found.problems == ()


def test_the_configuration_says_names_and_the_default(
    store: pathlib.Path, put: Put
) -> None:
    put("digits", "1.0", "a.mar")
    put("digits", "2.0", "b.mar")
    told = configuration.parse(
        'models={"numbers": {"1.0": {"defaultVersion": true, "marName": "a.mar"},'
        ' "2.0": {"marName": "b.mar"}}}'
    )

    assert versions(plan.make(store, told)) == [
        ("a.mar", "numbers", "1.0", True),
        ("b.mar", "numbers", "2.0", False),
    ]


def test_what_cannot_become_a_version_is_named_and_the_others_go_on(
    store: pathlib.Path, put: Put
) -> None:
    put("digits")
    (store / "cut.mar").write_bytes(put("whole").read_bytes()[:100])
    (store / "empty.mar").write_bytes(b"")
    (store / "folder.mar").mkdir()
    (store / "gone.mar").symlink_to("nowhere")
    (store / "packed.tar.gz").write_bytes(b"\x1f\x8b")
    (store / "flow.war").write_bytes(b"PK")
    (store / "loose/MAR-INF").mkdir(parents=True)
    (store / "loose/MAR-INF/MANIFEST.json").write_text("{}")
    (store / "notes.txt").write_text("nothing of ours")
    (store / ".hidden.mar").write_text("nothing of ours")

    found = plan.make(store, configuration.parse("load_models=digits.mar,lost.mar"))

    assert [one.path.name for one in found.planned] == ["digits.mar", "whole.mar"]
    assert [one.is_loaded for one in found.planned] == [True, False]
    assert sorted(reasons(found)) == [
        "cut.mar", "empty.mar", "flow.war", "folder.mar", "gone.mar", "loose",
        "lost.mar", "packed.tar.gz",
    ]  # fmt: skip
    assert "cut short" in reasons(found)["cut.mar"]
    assert "homeport pack" in reasons(found)["packed.tar.gz"]
    assert "the archives of its models" in reasons(found)["flow.war"]
    assert "not in the store" in reasons(found)["lost.mar"]


def test_two_archives_of_one_name_and_version_are_both_refused(
    store: pathlib.Path, put: Put
) -> None:
    put("digits", file="a.mar")
    put("digits", file="b.mar")
    put("digits", "2.0", "c.mar")

    found = plan.make(store, StoreConfig())

    assert [one.path.name for one in found.planned] == ["c.mar"]
    assert reasons(found).keys() == {"a.mar", "b.mar"}
    assert "a.mar, b.mar are all version 1.0 of model digits" in reasons(found)["a.mar"]


def test_two_archives_of_one_name_are_told_apart_by_names_they_are_given(
    store: pathlib.Path, put: Put
) -> None:
    put("digits", file="a.mar")
    put("digits", file="b.mar")

    found = plan.make(store, configuration.parse("load_models=a.mar,other=b.mar"))

    assert [one.name for one in found.planned] == ["digits", "other"]


def test_a_folder_without_archives_or_none_at_all_is_refused(
    store: pathlib.Path,
) -> None:
    (store / "notes.txt").write_text("nothing of ours")

    with pytest.raises(InvalidArgumentError, match=r"no \.mar files among its 1 "):
        plan.make(store, StoreConfig())
    with pytest.raises(InvalidArgumentError, match="No such file"):
        plan.make(store / "none", StoreConfig())
    with pytest.raises(InvalidArgumentError, match="Not a directory"):
        plan.make(store / "notes.txt", StoreConfig())


def test_an_archive_that_was_taken_away_meanwhile_is_told(
    store: pathlib.Path, put: Put
) -> None:
    path = put("digits")
    (planned,) = plan.make(store, StoreConfig()).planned
    path.unlink()

    with pytest.raises(HomeportError, match=r"no archive 'digits\.mar'"):
        bringing.identify(planned)

    path.mkdir()
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        bringing.identify(planned)

"""Requirements become a lock: exact, hashed, host-free, the same each time."""

import hashlib
import pathlib
import sys
import sysconfig

import pytest
import uv

import wheels
from homeport.environments import lock
from homeport.errors import (
    DataLossError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
PLATFORM = sysconfig.get_platform()
TARGET = f"Python {PYTHON} on {PLATFORM}"


def sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_lock_names_what_is_needed_with_versions_and_hashes(
    packages: pathlib.Path,
) -> None:
    first = wheels.make(packages, "Alpha", "1.2", needs=["beta>=2"])
    wheels.make(packages, "beta", "1.0")
    second = wheels.make(packages, "beta", "2.5")

    resolved = lock.resolve(["Alpha  # the model's", "", "# nothing"])

    assert resolved.text == (
        f"# python: {PYTHON}\n# platform: {PLATFORM}\n"
        f"alpha==1.2 \\\n    --hash=sha256:{sha256(first)}\n"
        f"beta==2.5 \\\n    --hash=sha256:{sha256(second)}\n"
    )


def test_the_order_of_the_lines_changes_nothing(packages: pathlib.Path) -> None:
    for name in ("alpha", "beta"):
        wheels.make(packages, name, "1.0")

    one, other = lock.resolve(["alpha", "beta"]), lock.resolve(["beta", "alpha"])

    assert one.text == other.text
    assert one.digest == hashlib.sha256(one.text.encode()).hexdigest()


def test_a_local_build_is_locked_by_its_public_version_and_without_a_hash(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = tmp_path / "local"
    local.mkdir()
    wheels.make(local, "gamma", "2.0+cpu")
    monkeypatch.setenv("PIP_FIND_LINKS", str(local))

    resolved = lock.resolve(["gamma"])

    assert resolved.pins == (lock.Pin("gamma", "2.0"),)
    assert str(tmp_path) not in resolved.text


def test_two_requirements_that_do_not_go_together_are_both_named(
    packages: pathlib.Path,
) -> None:
    wheels.make(packages, "torch", "1.13.1")
    wheels.make(packages, "torch", "2.0.0")
    wheels.make(packages, "torchvision", "0.15.1", needs=["torch==2.0.0"])
    wheels.make(packages, "Pillow", "9.4.0")

    with pytest.raises(lock.ConflictError) as refused:
        lock.resolve(["torch==1.13.1", "torchvision==0.15.1", "Pillow==9.4.0"])

    assert refused.value.message == (
        "torchvision 0.15.1 needs torch==2.0.0, but the requirements want "
        "torch==1.13.1: give torchvision and torch versions that go together, or "
        "leave torch without a version"
    )


def test_the_pair_is_named_also_where_this_python_has_no_wheel_of_one(
    packages: pathlib.Path,
) -> None:
    wheels.make(packages, "torch", "1.13.1", tag="cp37-cp37m-manylinux2014_x86_64")
    wheels.make(packages, "torch", "2.0.0", tag="cp37-cp37m-manylinux2014_x86_64")
    wheels.make(packages, "torchvision", "0.15.1", needs=["torch==2.0.0"])

    with pytest.raises(FailedPreconditionError) as refused:
        lock.resolve(["torch==1.13.1", "torchvision==0.15.1"])

    assert "torchvision 0.15.1 needs torch==2.0.0" in refused.value.message
    assert "torch==1.13.1" in refused.value.message


def test_a_conflict_two_packages_deep_names_those_who_disagree(
    packages: pathlib.Path,
) -> None:
    wheels.make(packages, "alpha", "1.0", needs=["shared<2"])
    wheels.make(packages, "beta", "3.0", needs=["shared>=2"])
    for version in ("1.0", "2.0"):
        wheels.make(packages, "shared", version)

    with pytest.raises(lock.ConflictError) as refused:
        lock.resolve(["alpha==1.0", "beta==3.0"])

    assert "alpha 1.0 needs shared<2" in refused.value.message
    assert "beta 3.0 needs shared>=2" in refused.value.message


def test_one_package_wanted_at_two_versions_is_named_once(
    packages: pathlib.Path,
) -> None:
    for version in ("1.0", "2.0"):
        wheels.make(packages, "alpha", version)

    with pytest.raises(lock.ConflictError, match=r"alpha==1\.0 and alpha==2\.0"):
        lock.resolve(["alpha==1.0", "alpha==2.0"])


def test_a_version_or_a_package_that_does_not_exist_is_named(
    packages: pathlib.Path,
) -> None:
    wheels.make(packages, "alpha", "1.0")

    with pytest.raises(NotFoundError, match=r"there is no alpha==9\.9 in the index"):
        lock.resolve(["alpha==9.9"])
    with pytest.raises(NotFoundError, match="no package is called my-transforms"):
        lock.resolve(["my-transforms"])


def test_a_package_without_a_wheel_for_this_python_is_named(
    packages: pathlib.Path,
) -> None:
    wheels.make(packages, "old", "1.0", tag="cp37-cp37m-manylinux2014_x86_64")

    with pytest.raises(FailedPreconditionError) as refused:
        lock.resolve(["old==1.0"])

    assert refused.value.message == (
        f"old 1.0 has no wheel for {TARGET}: choose a version that has one, or allow "
        "building it from source with --allow-build"
    )


def test_a_package_for_a_newer_python_alone_is_named(packages: pathlib.Path) -> None:
    wheels.make(packages, "new", "1.0", python=">=3.99")

    with pytest.raises(FailedPreconditionError) as refused:
        lock.resolve(["new==1.0"])

    assert refused.value.message == (
        f"new 1.0 needs Python >=3.99, and this is for {TARGET}: choose a version "
        "that runs there"
    )


def test_an_index_that_does_not_answer_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "http://me:secret@127.0.0.1:9/simple")

    with pytest.raises(UnavailableError) as refused:
        lock.resolve(["alpha"])

    assert "the package index does not answer" in refused.value.message
    assert "secret" not in refused.value.message


def test_without_uv_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_nothing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(uv, "find_uv_bin", find_nothing)

    with pytest.raises(FailedPreconditionError, match="uv is not installed"):
        lock.resolve(["alpha"])


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://me:secret@example.org/simple",
        "-r secret.txt",
        "./secret",
        "https://me:secret@example.org/alpha.whl",
        "alpha @ https://me:secret@example.org/alpha.whl",
        "alpha beta secret",
    ],
)
def test_a_line_that_is_more_than_a_name_and_versions_is_refused(line: str) -> None:
    with pytest.raises(InvalidArgumentError) as refused:
        lock.resolve([line])

    assert "secret" not in refused.value.message


def test_hashes_that_the_requirements_give_are_kept_and_held(
    packages: pathlib.Path,
) -> None:
    wheel = wheels.make(packages, "alpha", "1.0")

    resolved = lock.resolve(
        [f"Alpha==1.0 --hash=sha256:{sha256(wheel)} --hash=sha256:{'0' * 64}"]
    )

    assert resolved.pins == (lock.Pin("alpha", "1.0", (sha256(wheel),)),)
    with pytest.raises(DataLossError, match=r"no file of alpha 1\.0 in the index"):
        lock.resolve([f"alpha==1.0 --hash=sha256:{'0' * 64}"])


def test_what_would_be_good_to_have_joins_where_it_fits(packages: pathlib.Path) -> None:
    wheels.make(packages, "alpha", "1.0", needs=["shared<2"])
    for version in ("1.0", "1.9", "2.0"):
        wheels.make(packages, "shared", version)
    wheels.make(packages, "fits", "1.0", needs=["shared>=1"])
    wheels.make(packages, "clashes", "1.0", needs=["shared>=2"])
    wheels.make(packages, "older", "1.0", needs=["shared<1.5"])

    resolved = lock.resolve(
        ["alpha"], if_they_fit=["clashes", "fits", "older", "unknown"]
    )

    assert [(pin.name, pin.version) for pin in resolved.pins] == [
        ("alpha", "1.0"),
        ("fits", "1.0"),
        ("shared", "1.9"),
    ]


def test_versions_that_are_installed_go_before_newer_ones(
    packages: pathlib.Path,
) -> None:
    for name in ("alpha", "beta", "gamma"):
        wheels.make(packages, name, "1.0")
        wheels.make(packages, name, "2.0")

    resolved = lock.resolve(
        ["Alpha", "beta>1", "gamma"], here={"alpha": "1.0", "beta": "1.0"}
    )

    assert [(pin.name, pin.version) for pin in resolved.pins] == [
        ("alpha", "1.0"),
        ("beta", "2.0"),
        ("gamma", "2.0"),
    ]


@pytest.mark.parametrize(
    "here",
    [
        pytest.param({"alpha": "1.0", "beta": "1.0"}, id="that clash"),
        pytest.param({"alpha": "7.0"}, id="that the index does not have"),
    ],
)
def test_installed_versions_are_not_insisted_on(
    packages: pathlib.Path, here: dict[str, str]
) -> None:
    for version in ("1.0", "2.0"):
        wheels.make(packages, "alpha", version)
        wheels.make(packages, "beta", version, needs=["alpha>1"])

    resolved = lock.resolve(["alpha", "beta"], here=here)

    assert [(pin.name, pin.version) for pin in resolved.pins] == [
        ("alpha", "2.0"),
        ("beta", "2.0"),
    ]


def test_nothing_required_is_an_empty_lock() -> None:
    resolved = lock.resolve([])

    assert resolved.text == f"# python: {PYTHON}\n# platform: {PLATFORM}\n"


def test_a_lock_for_another_python_or_platform_is_refused() -> None:
    other = lock.parse("# python: 3.9\n# platform: macosx-11.0-arm64\nidna==3.10\n")

    with pytest.raises(FailedPreconditionError) as refused:
        lock.check_target(other)

    assert refused.value.message == (
        "the archive's lock is for Python 3.9 on macosx-11.0-arm64, and this is "
        f"{TARGET}: pack the archive again here, or run Homeport with that Python"
    )

"""Requirements are completed with what the code imports, as it is installed here."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.packing import completion
from homeport.packing.imports import Import, ImportScan, Kind
from homeport.packing.installed import Installed
from site_packages import install


def _distribution(
    module: str, name: str, version: str = "1.0", *, optional: bool = False
) -> Import:
    return Import(
        module, "handler.py", 1, Kind.DISTRIBUTION, name, version, optional=optional
    )


def _missing(module: str, name: str, line: int = 1) -> Import:
    return Import(module, "handler.py", line, Kind.MISSING, name, remedy="install it")


def _scan(*found: Import) -> ImportScan:
    return ImportScan(found, {}, ())


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """An environment with torch and requests alone."""
    install(tmp_path, "torch", "2.13.0", "torch/__init__.py")
    install(tmp_path, "requests", "2.32.0", "requests/__init__.py")
    return Installed([str(tmp_path)])


@pytest.mark.parametrize(
    ("lines", "found", "added"),
    [
        pytest.param(
            ["torch==2.13.0"],
            _distribution("numpy", "numpy", "2.4.6"),
            ("numpy==2.4.6",),
            id="what is lacking",
        ),
        pytest.param(
            ["NumPy >= 2 ; python_version > '3'"],
            _distribution("numpy.linalg", "numpy"),
            (),
            id="what is there in another spelling",
        ),
        pytest.param(
            ['numpy==1.26 ; python_version < "3"'],
            _distribution("numpy", "numpy", "2.4.6"),
            ("numpy==2.4.6",),
            id="what is there for another Python",
        ),
        pytest.param(
            ['numpy==1.26 ; python_version < "3" --hash=sha256:00'],
            _distribution("numpy", "numpy", "2.4.6"),
            ("numpy==2.4.6",),
            id="and has a hash",
        ),
        pytest.param(
            ["uvicorn[standard]==0.30"],
            _distribution("uvicorn", "uvicorn"),
            (),
            id="what is there with extras",
        ),
        pytest.param(
            ["opencv-python==4.10.0"],
            _distribution("cv2", "opencv-python-headless"),
            (),
            id="what another package provides as well",
        ),
        pytest.param([], _missing("cv2", "opencv-python-headless"), (), id="missing"),
    ],
)
def test_requirements_are_completed(
    lines: list[str], found: Import, added: tuple[str, ...]
) -> None:
    completed = completion.complete(lines, _scan(found))

    assert completed.added == added
    assert completed.lines == (*lines, *added)


def test_what_the_code_goes_on_without_is_added_only_if_it_fits() -> None:
    scan = _scan(
        _distribution("orjson", "orjson", "3.13.0", optional=True),
        _distribution("numpy", "numpy", "2.4.6"),
        _distribution("numpy.linalg", "numpy", "2.4.6", optional=True),
    )

    completed = completion.complete([], scan)

    assert completed.added == ("numpy==2.4.6",)
    assert completed.if_they_fit == ("orjson==3.13.0",)


_NAMES = st.sampled_from(["alpha", "beta", "gamma", "delta"])
_IMPORTS = st.builds(_distribution, _NAMES, _NAMES, optional=st.booleans())


@given(st.lists(_NAMES), st.lists(_IMPORTS))
def test_completed_requirements_lack_nothing(
    lines: list[str], found: list[Import]
) -> None:
    scan = _scan(*found)

    completed = completion.complete(lines, scan)

    again = completion.complete(completed.lines, scan)
    assert again.lines == completed.lines
    names = completion.names_of(completed.lines)
    assert completion.unprovided(scan, names, Installed([])) == ()


def test_an_import_that_no_requirement_provides_is_named(installed: Installed) -> None:
    torch = _distribution("torch", "torch")
    torchvision = _missing("torchvision.transforms", "torchvision")

    left = completion.unprovided(_scan(torch, torchvision), ["torch"], installed)

    assert left == (torchvision,)


@pytest.mark.parametrize(
    ("names", "module", "provided"),
    [
        pytest.param(["TorchVision"], "torchvision.io", True, id="its own name"),
        pytest.param(
            ["google-cloud-bigquery"], "google.cloud.bigquery", True, id="namespace"
        ),
        pytest.param(["opencv-contrib-python"], "cv2", True, id="another name"),
        pytest.param(["somebodys-package"], "cv2", True, id="a package nobody knows"),
        pytest.param(["requests"], "cv2", False, id="a package that is known"),
        pytest.param([], "cv2", False, id="no package"),
    ],
)
def test_a_missing_import_may_come_from_a_package_that_is_not_here(
    names: list[str],
    module: str,
    provided: bool,  # noqa: FBT001  # parametrized
    installed: Installed,
) -> None:
    found = _missing(module, module.partition(".")[0])

    left = completion.unprovided(_scan(found), names, installed)

    assert (not left) is provided


def test_a_local_module_comes_from_no_package(installed: Installed) -> None:
    found = _missing("prep.gone", "")

    left = completion.unprovided(_scan(found), ["prep.gone", "unknown"], installed)

    assert left == (found,)


def test_what_is_not_needed_is_never_unprovided(installed: Installed) -> None:
    optional = _distribution("orjson", "orjson", optional=True)

    assert completion.unprovided(_scan(optional), [], installed) == ()

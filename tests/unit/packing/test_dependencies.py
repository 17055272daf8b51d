"""What the code imports is in the archive, in its lock, or named before packing."""

import os
import sys
import zipfile
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path

import pytest

import homeport
import wheels
from homeport.archive import lockfile
from homeport.environments.lock import ConflictError
from homeport.errors import InvalidArgumentError, NotFoundError
from homeport.packing.containers import ArchiveFormat
from homeport.packing.pack import Packed, PackSpec, pack
from site_packages import install


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, with alpha and beta installed."""
    place = tmp_path / "work"
    place.mkdir()
    monkeypatch.chdir(place)
    site = tmp_path / "site-packages"
    install(site, "alpha", "1.2+local", "alpha.py")
    install(site, "Beta.Tools", "2.0", "beta/__init__.py")
    monkeypatch.syspath_prepend(str(site))
    return place


def _pack(handler: str, requirements: str | None = None, **options: object) -> Packed:
    Path("handler.py").write_text(f"{handler}\ndef handle(data, context): ...\n")
    if requirements is not None:
        Path("requirements.txt").write_text(requirements)
        options |= {"requirements_file": Path("requirements.txt")}
    given = {"model_name": "m", "handler": "handler.py"} | options
    spec = PackSpec(**given)  # type: ignore[arg-type]  # one table for all fields
    return pack(spec, Path("store"), force=True)


def _read(packed: Packed, path: str) -> str:
    with zipfile.ZipFile(packed.path) as archive:
        return archive.read(path).decode()


@pytest.mark.usefixtures("index")
def test_requirements_are_completed_and_locked(packages: Path) -> None:
    for name, version in (("alpha", "1.2"), ("beta-tools", "2.0"), ("gamma", "3.0")):
        wheels.make(packages, name, version)

    packed = _pack("import alpha\nfrom beta import x", "gamma==3.0  # mine\n")

    assert packed.added == ("alpha==1.2", "beta-tools==2.0")
    assert packed.lock is not None
    assert [pin.name for pin in packed.lock.pins] == ["alpha", "beta-tools", "gamma"]
    assert _read(packed, lockfile.PATH) == packed.lock.text
    assert _read(packed, "requirements.txt") == "gamma==3.0  # mine\n"


@pytest.mark.usefixtures("index")
def test_the_same_lock_gives_the_same_bytes(packages: Path) -> None:
    wheels.make(packages, "alpha", "1.2")

    first = _pack("import alpha", "alpha==1.2").path.read_bytes()
    second = _pack("import alpha", "alpha==1.2").path.read_bytes()

    assert first == second


@pytest.mark.usefixtures("index")
@pytest.mark.parametrize("archive_format", list(ArchiveFormat))
def test_every_format_carries_the_lock(
    archive_format: ArchiveFormat, packages: Path
) -> None:
    wheels.make(packages, "alpha", "1.2")
    Path("h.py").write_text("import alpha\ndef handle(data, context): ...\n")
    spec = PackSpec(model_name="m", handler="h.py", lock=True)

    packed = pack(spec, Path("store"), archive_format=archive_format)

    assert packed.added == ("alpha==1.2",)
    assert packed.lock is not None


@pytest.mark.usefixtures("index")
def test_what_the_code_goes_on_without_is_locked_where_it_fits(packages: Path) -> None:
    wheels.make(packages, "alpha", "1.2")

    packed = _pack(
        "try:\n    import alpha, beta\nexcept ImportError:\n    pass", lock=True
    )

    assert packed.added == ("alpha==1.2",)


@pytest.mark.usefixtures("index")
def test_a_conflict_tells_what_the_author_did_not_write(packages: Path) -> None:
    wheels.make(packages, "alpha", "1.2")
    wheels.make(packages, "alpha", "1.0")
    wheels.make(packages, "gamma", "3.0", needs=["alpha<1.2"])

    with pytest.raises(ConflictError) as caught:
        _pack("import alpha", "gamma==3.0")

    assert "gamma" in caught.value.message
    assert caught.value.message.endswith(
        "(alpha==1.2 was added as installed here, since the code imports it)"
    )


@pytest.mark.usefixtures("index")
def test_an_installed_version_that_the_index_lacks_is_told(packages: Path) -> None:
    wheels.make(packages, "alpha", "9.0")

    with pytest.raises(NotFoundError, match=r"\(alpha==1\.2 was added as"):
        _pack("import alpha", lock=True)


@pytest.mark.usefixtures("index")
def test_a_mistake_of_the_authors_own_is_told_alone(packages: Path) -> None:
    wheels.make(packages, "alpha", "1.2")
    wheels.make(packages, "alpha-tools", "1.0")

    with pytest.raises(NotFoundError) as caught:
        _pack("import alpha", "alpha-tools==2.0")

    assert caught.value.message == (
        "there is no alpha-tools==2.0 in the index: choose a version that exists"
    )


def test_without_requirements_nothing_is_resolved() -> None:
    packed = _pack("import alpha")

    assert (packed.lock, packed.added, packed.warnings) == (None, (), ())


def test_no_lock_names_what_the_requirements_lack() -> None:
    packed = _pack("import alpha", "beta-tools==2.0", lock=False)

    assert packed.lock is None
    assert packed.warnings == (
        "requirements.txt lists no alpha, which handler.py line 1 needs: add "
        "alpha==1.2",
    )


@pytest.mark.parametrize(
    ("handler", "requirements", "message"),
    [
        pytest.param(
            "import alpha\nimport visionless.transforms",
            "alpha==1.2",
            "handler.py line 2 imports visionless.transforms, which is not found: "
            "install visionless here, or list it in the requirements file as "
            "visionless==VERSION; if visionless is code of yours, give it with "
            "--extra-files",
            id="with requirements",
        ),
        pytest.param(
            "import cv2",
            None,
            "handler.py line 1 imports cv2, which is not found: install "
            "opencv-python-headless here, or list it in the requirements file as "
            "opencv-python-headless==VERSION",
            id="without",
        ),
        pytest.param(
            "import no_a, no_b\nimport no_c",
            None,
            "handler.py line 1 imports no_a, which is not found (not found either: "
            "no_b in handler.py line 1, no_c in handler.py line 2): install no_a here, "
            "or list it in the requirements file as no_a==VERSION; if no_a is code of "
            "yours, give it with --extra-files",
            id="several",
        ),
    ],
)
def test_a_missing_import_is_refused_with_its_place_and_remedy(
    handler: str, requirements: str | None, message: str
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        _pack(handler, requirements)

    assert caught.value.message == message
    assert not Path("store").exists()


def test_a_package_that_nobody_here_knows_may_provide_a_module() -> None:
    packed = _pack("import visionless", "pictures-pro==1.0", lock=False)

    assert packed.warnings[0].startswith(
        "handler.py line 1 imports visionless, which is not found here: unless "
        "pictures-pro provides it, install visionless here"
    )


def test_a_missing_import_is_a_warning_where_another_image_serves() -> None:
    packed = _pack("import visionless", runs_elsewhere=True)

    assert packed.warnings == (
        "handler.py line 1 imports visionless, which is not found here: the image that "
        "serves it has to have it",
    )


def test_a_missing_module_of_code_that_is_not_run_is_a_warning() -> None:
    Path("train.py").write_text("import wandb_of_mine\n")

    packed = _pack("", extra_files=("train.py",))

    assert packed.warnings[0].startswith(
        "train.py line 1 imports wandb_of_mine, which is not found: "
    )


def test_a_missing_module_that_may_never_be_asked_for_is_a_warning() -> None:
    packed = _pack("def plot():\n    import no_a\ndef other():\n    import no_a\n")

    assert packed.warnings == (
        "handler.py line 2 imports no_a, which is not found: if that line ever runs, "
        "install no_a here, or list it in the requirements file as no_a==VERSION; if "
        "no_a is code of yours, give it with --extra-files",
    )


def test_what_the_code_goes_on_without_may_lack_something_itself() -> None:
    Path("drawing.py").write_text("import no_a\n")

    packed = _pack("try:\n    import drawing\nexcept ImportError:\n    pass\n")

    assert packed.pulled_in == ("drawing.py",)
    assert packed.warnings[0].startswith(
        "drawing.py line 1 imports no_a, which is not found: if that line ever runs, "
    )


@pytest.mark.usefixtures("index")
def test_what_a_function_imports_is_locked_as_all_else(packages: Path) -> None:
    for name, version in (("alpha", "1.2"), ("beta-tools", "2.0")):
        wheels.make(packages, name, version)

    packed = _pack("def helper():\n    import alpha\n", "beta-tools==2.0")

    assert packed.added == ("alpha==1.2",)


def test_a_package_given_flat_is_pulled_in_where_the_code_imports_it() -> None:
    Path("prep").mkdir()
    Path("prep/__init__.py").write_text("from . import crop\n")
    Path("prep/crop.py").touch()

    packed = _pack("from prep import crop", extra_files=("prep",))

    assert packed.pulled_in == ("prep/",)
    assert packed.warnings == ()


def test_a_default_handler_needs_no_framework_here_without_a_lock(
    tmp_path: Path,
) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes((2).to_bytes(8, "little") + b"{}")
    Path("net.py").write_text("class Net: ...\n")
    spec = PackSpec(model_name="m", serialized_file=path, model_file=Path("net.py"))

    assert pack(spec, Path("store")).warnings == ()


@pytest.mark.parametrize("requirements", [None, "alpha==1.2"])
def test_torch_may_be_missing_where_an_archive_is_packed(
    requirements: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])

    packed = _pack("import torch, numpy.linalg", requirements, lock=False)

    assert packed.warnings == ()


def test_a_lock_needs_to_know_the_version_of_torch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site-packages")])

    with pytest.raises(InvalidArgumentError, match="imports torch, which is not found"):
        _pack("import torch", lock=True)


def test_a_module_that_this_python_imports_from_a_folder_is_pulled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "src" / "mine").mkdir(parents=True)
    (tmp_path / "src" / "mine" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path / "src"))

    packed = _pack("import mine")

    assert packed.pulled_in == ("mine/",)


def test_a_module_that_another_finder_of_this_python_knows_is_pulled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "project" / "mine"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    # As setuptools installs a project in place.
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, _Finder(package)])

    packed = _pack("import mine")

    assert packed.pulled_in == ("mine/",)


class _Finder:
    """Finds one package, wherever it lies."""

    def __init__(self, package: Path) -> None:
        self._package = package

    def find_spec(self, name: str, *_: object) -> ModuleSpec | None:
        if name != self._package.name:
            return None
        return spec_from_file_location(name, self._package / "__init__.py")


def test_what_nobody_asked_for_stays_out_of_the_archive() -> None:
    Path("prep").mkdir()
    Path("prep/__init__.py").touch()
    Path("prep/table.csv").write_text("1,2\n")
    Path("prep/.env").write_text("TOKEN=secret\n")
    Path("prep/gone").symlink_to("nowhere")
    Path("prep/data").symlink_to(Path.cwd(), target_is_directory=True)
    os.mkfifo("prep/pipe")

    packed = _pack("import prep")

    with zipfile.ZipFile(packed.path) as archive:
        names = archive.namelist()
    assert names[1:] == ["handler.py", "prep/__init__.py", "prep/table.csv"]


def test_an_installed_module_is_never_pulled_in() -> None:
    packed = _pack("import alpha, pytest")

    assert packed.pulled_in == ()


@pytest.mark.usefixtures("index")
def test_a_notebook_asks_for_a_lock_by_the_same_name(packages: Path) -> None:
    wheels.make(packages, "alpha", "1.2")
    Path("weights.bin").write_bytes(b"w")
    Path("h.py").write_text("import alpha\ndef handle(data, context): ...\n")

    packed = homeport.pack("weights.bin", handler="h.py", output="store", lock=True)

    assert packed.added == ("alpha==1.2",)

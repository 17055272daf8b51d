"""Each import of an archive comes from somewhere, or is named as missing."""

import collections
import pickle
import zipfile
from collections.abc import Mapping
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

from homeport.archive.manifest import Manifest
from homeport.errors import InvalidArgumentError
from homeport.packing import imports
from homeport.packing.imports import Import, ImportScan, Kind
from homeport.packing.installed import Installed
from site_packages import install

MANIFEST = Manifest(model_name="m", handler="handler.py")


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """An environment with numpy, Pillow, torch and a part of google."""
    site = tmp_path / "site-packages"
    install(site, "numpy", "2.4.6", "numpy/__init__.py")
    install(site, "pillow", "13.0.0", "PIL/__init__.py")
    install(site, "torch", "2.13.0+cpu", "torch/__init__.py")
    install(site, "google-cloud-storage", "3.1.0", "google/cloud/storage/__init__.py")
    return Installed([str(site)])


def _written(folder: Path, files: Mapping[str, str]) -> dict[str, Path]:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return {name: folder / name for name in files}


def _by_module(scan: ImportScan) -> dict[str, Kind]:
    return {found.module: found.kind for found in scan.found}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        pytest.param(
            "import os.path",
            Import("os.path", "handler.py", 1, Kind.STDLIB),
            id="standard library",
        ),
        pytest.param(
            "from ts.context import Context",
            Import("ts.context", "handler.py", 1, Kind.TS),
            id="ts",
        ),
        pytest.param(
            "import PIL.Image",
            Import("PIL.Image", "handler.py", 1, Kind.DISTRIBUTION, "pillow", "13.0.0"),
            id="distribution of another name",
        ),
        pytest.param(
            "\nimport torch.nn as nn",
            Import("torch.nn", "handler.py", 2, Kind.DISTRIBUTION, "torch", "2.13.0"),
            id="public version of a local build",
        ),
        pytest.param(
            "from google.cloud import storage",
            Import(
                "google.cloud",
                "handler.py",
                1,
                Kind.DISTRIBUTION,
                "google-cloud-storage",
                "3.1.0",
            ),
            id="namespace package",
        ),
        pytest.param(
            "try:\n    import numpy\nexcept ImportError:\n    pass",
            Import(
                "numpy",
                "handler.py",
                2,
                Kind.DISTRIBUTION,
                "numpy",
                "2.4.6",
                optional=True,
            ),
            id="optional",
        ),
        pytest.param(
            "import cv2",
            Import(
                "cv2",
                "handler.py",
                1,
                Kind.MISSING,
                "opencv-python-headless",
                remedy="install opencv-python-headless here, or list it in the "
                "requirements file as opencv-python-headless==VERSION",
            ),
            id="missing, of another name",
        ),
        pytest.param(
            "from torchvision.transforms import Resize",
            Import(
                "torchvision.transforms",
                "handler.py",
                1,
                Kind.MISSING,
                "torchvision",
                remedy="install torchvision here, or list it in the requirements file "
                "as torchvision==VERSION; if torchvision is code of yours, give it "
                "with --extra-files",
            ),
            id="missing",
        ),
        pytest.param(
            "from . import x",
            Import(
                ".",
                "handler.py",
                1,
                Kind.MISSING,
                remedy="handler.py is in no such package there, so write the import "
                "without the leading dots",
            ),
            id="relative without a package",
        ),
        pytest.param(
            "from ts.torch_handler import object_detector",
            Import(
                "ts.torch_handler.object_detector",
                "handler.py",
                1,
                Kind.MISSING,
                remedy="Homeport brings BaseHandler, VisionHandler, ImageClassifier, "
                "Context and ts.utils.util: subclass BaseHandler and keep the rest in "
                "your own file",
            ),
            id="a part of ts that there is not",
        ),
    ],
)
def test_an_import_is_resolved(
    source: str, expected: Import, tmp_path: Path, installed: Installed
) -> None:
    sources = _written(tmp_path / "code", {"handler.py": source})

    scan = imports.scan(sources, manifest=MANIFEST, installed=installed)

    assert scan.found == (expected,)


def test_a_handler_of_images_needs_what_our_base_class_needs(
    tmp_path: Path, installed: Installed
) -> None:
    source = "from ts.torch_handler.vision_handler import VisionHandler"
    sources = _written(tmp_path / "code", {"handler.py": source})

    scan = imports.scan(sources, manifest=MANIFEST, installed=installed)

    implied = {found.distribution: found.where for found in scan.found if found.implied}
    assert implied == {
        "numpy": "handler.py line 1",
        "pillow": "handler.py line 1",
        "torch": "handler.py line 1",
    }


@pytest.mark.parametrize(
    ("manifest", "needs"),
    [
        pytest.param(
            Manifest(
                model_name="m", handler="base_handler", serialized_file="m.safetensors"
            ),
            {("base_handler", "torch"), ("m.safetensors", "safetensors")},
            id="base_handler",
        ),
        pytest.param(
            Manifest(model_name="m", handler="image_classifier", config_file="c.yaml"),
            {
                ("image_classifier", "torch"),
                ("image_classifier", "pillow"),
                ("image_classifier", "numpy"),
                ("c.yaml", "pyyaml"),
            },
            id="image_classifier",
        ),
    ],
)
def test_a_default_handler_needs_packages(
    manifest: Manifest, needs: set[tuple[str, str]], installed: Installed
) -> None:
    scan = imports.scan({}, manifest=manifest, installed=installed)

    assert {(found.file, found.distribution) for found in scan.found} == needs
    assert all(found.implied for found in scan.found)


@pytest.mark.parametrize(
    ("files", "module"),
    [
        pytest.param({"handler.py": "import crop", "crop.py": ""}, "crop", id="module"),
        pytest.param(
            {
                "handler.py": "from prep.crop import Crop",
                "prep/__init__.py": "",
                "prep/crop.py": "",
            },
            "prep.crop",
            id="package",
        ),
        pytest.param(
            {"handler.py": "from prep import crop", "prep/crop.py": ""},
            "prep",
            id="folder without __init__",
        ),
        pytest.param(
            {"handler.py": "import crop", f"crop{EXTENSION_SUFFIXES[0]}": ""},
            "crop",
            id="extension",
        ),
        pytest.param(
            {"handler.py": "import numpy", "numpy.py": ""}, "numpy", id="hides another"
        ),
        pytest.param(
            {
                "handler.py": "import sys\nsys.path.append('lib')\nimport crop",
                "lib/crop.py": "",
            },
            "crop",
            id="from a folder added to the path",
        ),
    ],
)
def test_a_module_of_the_archive_is_local(
    files: Mapping[str, str], module: str, tmp_path: Path, installed: Installed
) -> None:
    sources = _written(tmp_path / "code", files)

    scan = imports.scan(sources, manifest=MANIFEST, installed=installed)

    assert _by_module(scan)[module] is Kind.LOCAL
    assert scan.pulled_in == ()


def test_relative_imports_are_followed_inside_a_package(
    tmp_path: Path, installed: Installed
) -> None:
    files = {
        "handler.py": "import prep",
        "prep/__init__.py": "from . import crop\nfrom .deep.er import x",
        "prep/crop.py": "from .deep import er\nimport numpy",
        "prep/deep/__init__.py": "",
        "prep/deep/er.py": "from ...out import x\nfrom .gone import y",
    }
    sources = _written(tmp_path / "code", files)

    scan = imports.scan(sources, manifest=MANIFEST, installed=installed)

    assert [(one.module, one.kind, one.where) for one in scan.found] == [
        ("...out", Kind.MISSING, "prep/deep/er.py line 1"),
        ("numpy", Kind.DISTRIBUTION, "prep/crop.py line 2"),
        ("prep", Kind.LOCAL, "handler.py line 1"),
        ("prep", Kind.LOCAL, "prep/__init__.py line 1"),
        ("prep.deep", Kind.LOCAL, "prep/crop.py line 1"),
        ("prep.deep.er", Kind.LOCAL, "prep/__init__.py line 2"),
        ("prep.deep.gone", Kind.MISSING, "prep/deep/er.py line 2"),
    ]
    assert scan.found[-1].remedy == (
        "add the file of prep.deep.gone with --extra-files"
    )


def test_what_nothing_reaches_is_scanned_and_not_needed(
    tmp_path: Path, installed: Installed
) -> None:
    files = {"handler.py": "", "train.py": "import wandb", "old.py": "print 'x'"}
    sources = _written(tmp_path / "code", files)

    (found,) = imports.scan(sources, manifest=MANIFEST, installed=installed).found

    assert (found.module, found.kind) == ("wandb", Kind.MISSING)
    assert not found.needed


def test_without_a_manifest_every_module_is_reached(
    tmp_path: Path, installed: Installed
) -> None:
    sources = _written(tmp_path / "code", {"train.py": "import wandb"})

    (found,) = imports.scan(sources, installed=installed).found

    assert found.needed


def test_a_reached_module_has_to_compile(tmp_path: Path, installed: Installed) -> None:
    files = {"handler.py": "import old", "old.py": "print 'x'"}
    sources = _written(tmp_path / "code", files)

    with pytest.raises(InvalidArgumentError, match=r"old\.py line 1"):
        imports.scan(sources, manifest=MANIFEST, installed=installed)


def _checkpoint(path: Path, *names: str) -> Path:
    """Write a zip as torch.save does, whose pickle names some globals."""
    globals_ = b"".join(b"c%s\n0" % name.encode() for name in names)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("checkpoint/data.pkl", b"\x80\x02" + globals_ + b"}.")
    return path


def test_classes_in_a_checkpoint_are_imports_of_it(
    tmp_path: Path, installed: Installed
) -> None:
    path = _checkpoint(
        tmp_path / "checkpoint.pt",
        "torch._utils\n_rebuild_tensor_v2",
        "collections\nOrderedDict",
        "numpy._core.multiarray\n_reconstruct",
        "training.transforms\nCrop.Inner",
        "__main__\nNet",
    )

    scan = imports.scan({"checkpoint.pt": path}, manifest=MANIFEST, installed=installed)

    assert [(one.module, one.kind, one.where, one.needed) for one in scan.found] == [
        ("__main__", Kind.MISSING, "checkpoint.pt", False),
        ("numpy._core.multiarray", Kind.DISTRIBUTION, "checkpoint.pt", True),
        ("training.transforms", Kind.MISSING, "checkpoint.pt", True),
    ]


def test_a_plain_pickle_beside_the_model_is_read_too(
    tmp_path: Path, installed: Installed
) -> None:
    path = tmp_path / "encoder.pkl"
    path.write_bytes(pickle.dumps(collections.Counter()) + b"")
    other = tmp_path / "prep.pkl"
    other.write_bytes(b"\x80\x02cprep\nCrop\n.")

    scan = imports.scan(
        {"encoder.pkl": path, "prep.pkl": other}, manifest=MANIFEST, installed=installed
    )

    assert [(one.module, one.file) for one in scan.found] == [("prep", "prep.pkl")]


@pytest.mark.parametrize(
    ("files", "packed", "pulled_in"),
    [
        pytest.param(
            {"handler.py": "import crop", "crop.py": "import scale", "scale.py": ""},
            ["handler.py"],
            ("crop.py", "scale.py"),
            id="one after the other",
        ),
        pytest.param(
            {
                "handler.py": "from prep.crop import Crop",
                "prep/__init__.py": "",
                "prep/crop.py": "",
                "prep/deep/sizes.json": "{}",
                "prep/__pycache__/crop.pyc": "",
            },
            ["handler.py"],
            ("prep/",),
            id="a package with its folder",
        ),
        pytest.param(
            {
                "handler.py": "from prep import crop",
                "prep/crop.py": "",
                "prep/train.py": "",
            },
            ["handler.py"],
            ("prep/crop.py",),
            id="one module of a plain folder",
        ),
        pytest.param(
            {
                "mine/__init__.py": "",
                "mine/handler.py": "from mine.crop import Crop",
                "mine/crop.py": "",
            },
            ["mine/handler.py"],
            ("mine/",),
            id="the package that the handler is in",
        ),
        pytest.param(
            {"handler.py": "import random, numpy", "random.py": "", "other.py": ""},
            ["handler.py"],
            (),
            id="never what Python brings",
        ),
        pytest.param(
            {"handler.py": "import numpy", "numpy/data.py": ""},
            ["handler.py"],
            (),
            id="no plain folder in the place of what is installed",
        ),
        pytest.param(
            {
                "handler.py": "import prep.scale",
                "prep/__init__.py": "",
                "prep/scale.py": "",
            },
            ["handler.py", "prep/__init__.py"],
            ("prep/scale.py",),
            id="what a package lacks",
        ),
    ],
)
def test_local_modules_are_pulled_in(
    files: Mapping[str, str],
    packed: list[str],
    pulled_in: tuple[str, ...],
    tmp_path: Path,
    installed: Installed,
) -> None:
    on_disk = _written(tmp_path / "code", files)
    sources = {
        path.removeprefix("mine/") if path == "mine/handler.py" else path: on_disk[path]
        for path in packed
    }

    scan = imports.scan(
        sources, manifest=MANIFEST, installed=installed, pull_in_beside=()
    )

    assert scan.pulled_in == pulled_in
    assert not [found for found in scan.found if found.kind is Kind.MISSING]


def test_a_pulled_in_package_brings_its_files(
    tmp_path: Path, installed: Installed
) -> None:
    files = {
        "handler.py": "import prep",
        "prep/__init__.py": "",
        "prep/deep/sizes.json": "{}",
        "prep/.git/config": "",
        "prep/model.pt": "weights",
        "prep/m.mar": "an older archive",
    }
    on_disk = _written(tmp_path / "code", files)
    sources = {
        "handler.py": on_disk["handler.py"],
        "model.pt": on_disk["prep/model.pt"],
    }

    scan = imports.scan(
        sources,
        manifest=MANIFEST,
        installed=installed,
        pull_in_beside=(),
        skip=on_disk["prep/m.mar"],
    )

    assert list(scan.sources) == [
        "handler.py",
        "model.pt",
        "prep/__init__.py",
        "prep/deep/sizes.json",
    ]


def test_the_class_of_a_checkpoint_is_pulled_in_from_beside_the_handler(
    tmp_path: Path, installed: Installed
) -> None:
    on_disk = _written(
        tmp_path / "code",
        {"handler.py": "", "training/__init__.py": "", "training/transforms.py": ""},
    )
    sources = {
        "handler.py": on_disk["handler.py"],
        "c.pt": _checkpoint(tmp_path / "c.pt", "training.transforms\nCrop"),
    }

    scan = imports.scan(
        sources,
        manifest=MANIFEST,
        installed=installed,
        pull_in_beside=(tmp_path / "code",),
    )

    assert scan.pulled_in == ("training/",)


def test_a_package_too_large_is_not_taken_unasked(
    tmp_path: Path, installed: Installed
) -> None:
    on_disk = _written(
        tmp_path / "code", {"handler.py": "import prep", "prep/__init__.py": ""}
    )
    with (tmp_path / "code/prep/data.bin").open("wb") as file:
        file.truncate(65 << 20)

    with pytest.raises(InvalidArgumentError, match="2 files and 65 MiB"):
        imports.scan(
            {"handler.py": on_disk["handler.py"]},
            manifest=MANIFEST,
            installed=installed,
            pull_in_beside=(),
        )

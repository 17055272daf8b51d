"""A module is provided by a distribution, whatever that is called."""

from pathlib import Path

import pytest

from homeport.packing.installed import Distribution, Installed
from site_packages import install


@pytest.mark.parametrize(
    ("module", "provider"),
    [
        pytest.param("numpy.linalg", Distribution("numpy", "2.4.6"), id="same name"),
        pytest.param("PIL.Image", Distribution("pillow", "13.0.0"), id="another name"),
        pytest.param("torch", Distribution("torch", "2.13.0"), id="a local build"),
        pytest.param("six", Distribution("six", "1.17.0"), id="a single module"),
        pytest.param(
            "google.cloud.storage",
            Distribution("google-cloud-storage", "3.1.0"),
            id="deep in a namespace",
        ),
        pytest.param(
            "google.protobuf.message",
            Distribution("protobuf", "6.0.0"),
            id="in the same namespace",
        ),
        pytest.param(
            "cv2", Distribution("opencv-python-headless", "5.0.0"), id="twice there"
        ),
        pytest.param("seaborn", None, id="not there"),
        pytest.param("google.cloud.bigquery", None, id="not in the namespace"),
        pytest.param(
            "google.cloud.storage.Client",
            Distribution("google-cloud-storage", "3.1.0"),
            id="an attribute",
        ),
        pytest.param("numpy_", None, id="almost there"),
    ],
)
def test_the_provider_of_a_module_is_found(
    module: str, provider: Distribution | None, tmp_path: Path
) -> None:
    install(tmp_path, "numpy", "2.4.6", "numpy/__init__.py", "numpy/linalg.py")
    install(tmp_path, "Pillow", "13.0.0", "PIL/__init__.py", "PIL/Image.py")
    install(tmp_path, "torch", "2.13.0+cpu", "torch/__init__.py")
    install(tmp_path, "six", "1.17.0", "six.py")
    install(
        tmp_path,
        "google_cloud_storage",
        "3.1.0",
        "google/cloud/storage/__init__.py",
        "google/cloud/storage/blob.py",
    )
    install(tmp_path, "protobuf", "6.0.0", "google/protobuf/message.py")
    install(tmp_path, "opencv-python", "4.0.0", "cv2/__init__.py")
    install(tmp_path, "opencv-python-headless", "5.0.0", "cv2/__init__.py")

    assert Installed([str(tmp_path)]).provider(module) == provider


def test_an_installed_distribution_is_known_under_any_spelling(tmp_path: Path) -> None:
    install(tmp_path, "scikit-learn", "1.8.0", "sklearn/__init__.py")

    installed = Installed([str(tmp_path)])

    assert installed.has("Scikit_Learn")
    assert not installed.has("sklearn")


def test_the_first_on_the_path_is_the_one_imported(tmp_path: Path) -> None:
    install(tmp_path / "a", "numpy", "1.0", "numpy/__init__.py")
    install(tmp_path / "b", "numpy", "2.0", "numpy/__init__.py")

    installed = Installed([str(tmp_path / "a"), str(tmp_path / "b")])

    assert installed.provider("numpy") == Distribution("numpy", "1.0")


def test_this_environment_is_looked_at_by_default() -> None:
    provider = Installed().provider("yaml")

    assert provider is not None
    assert provider.name == "pyyaml"

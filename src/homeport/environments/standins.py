"""Empty wheels that stand in for packages which have none for this Python.

uv stops at the first package without a wheel, and does not go on to say that it would
not go together with the others either, which is the cause that helps more.
"""

import pathlib
import zipfile

from packaging.requirements import Requirement


def make(folder: pathlib.Path, pinned: Requirement) -> None:
    """Write a wheel of the package, at the version it is pinned to, into `folder`."""
    (clause,) = pinned.specifier
    name = pinned.name.lower().replace("-", "_").replace(".", "_")
    described = f"{name}-{clause.version}.dist-info"
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-{clause.version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(
            f"{described}/METADATA",
            f"Metadata-Version: 2.1\nName: {pinned.name}\nVersion: {clause.version}\n",
        )
        wheel.writestr(
            f"{described}/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr(f"{described}/RECORD", "")


def is_pinned(requirement: Requirement) -> bool:
    """Tell whether it names one version."""
    clauses = list(requirement.specifier)
    return (
        len(clauses) == 1
        and clauses[0].operator == "=="
        and "*" not in clauses[0].version
    )

"""Archives as others make them: nobody looked at what their code imports."""

import zipfile
from collections.abc import Mapping
from pathlib import Path

from homeport.archive import manifest
from homeport.archive.manifest import Manifest

REQUIREMENTS = "requirements.txt"


def archive(path: Path, files: Mapping[str, str | bytes]) -> Path:
    """Write an archive of a `handler.py` and other files, and return its path."""
    declared = Manifest(
        model_name=path.stem,
        handler="handler.py",
        requirements_file=REQUIREMENTS if REQUIREMENTS in files else "",
    )
    with zipfile.ZipFile(path, "w") as made:
        made.writestr(manifest.PATH, manifest.serialize(declared))
        for name, text in files.items():
            made.writestr(name, text)
    return path

"""A folder of installed distributions, as far as their metadata goes."""

from pathlib import Path


def install(folder: Path, name: str, version: str, *files: str) -> None:
    """Write a distribution's metadata and its files, which are empty."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    )
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).touch()

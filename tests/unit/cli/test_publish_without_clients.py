"""Without Google's clients `homeport publish` says what to install, with bounds."""

import pathlib
import shlex
import sys
import tomllib
from typing import Any

import pytest

import command_line
from answering import answering

PROJECT = pathlib.Path(__file__).parents[3] / "pyproject.toml"
MODEL = "projects/homeport/locations/us-central1/models/digits"
WORDS = (
    "publish", "digits", "--to", "vertex", "--project", "p", "--region", "us-central1",
    "--bucket", "gs://b", "--container-image-uri", "us-docker.pkg.dev/p/r/i:1",
)  # fmt: skip


def answer(method: str, path: str) -> dict[str, Any] | None:
    del method
    if path.endswith("/lineage"):
        return {"source": {}}
    return {"name": MODEL, "displayName": "digits", "versionId": "1"}


def test_what_is_to_be_installed_is_what_the_extra_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    project = tomllib.loads(PROJECT.read_text("utf-8"))["project"]
    wanted = shlex.join(project["optional-dependencies"]["vertex"])
    # As where they are not installed: the first of theirs that is imported.
    monkeypatch.setitem(sys.modules, "google.api_core", None)
    monkeypatch.delitem(sys.modules, "homeport.publishing.vertex", raising=False)

    with answering(answer) as url:
        ended = command_line.run(*WORDS, url=url)

    assert ended.code == 1, ended.err
    assert f"pip install {wanted} (the extra homeport[vertex])" in ended.err

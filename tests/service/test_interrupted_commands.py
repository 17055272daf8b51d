"""Ctrl-C at any moment of a command leaves nothing half done, or says how to go on.

What it says is believed: the command that it names is run, and must end well.
"""

import dataclasses
import json
import os
import pathlib
import random
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch

import command_line
from homeport.packing import pack
from servers import Server

pytestmark = [pytest.mark.service, pytest.mark.storms, pytest.mark.timeout(900)]

SOURCE = pathlib.Path(__file__).parents[1] / "archives/many_sided"
SHOTS = 20
END_S = 120.0
MIB = 1 << 20
# While Python itself starts, Ctrl-C is answered by nobody but Python.
BEGIN = """
import signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
from homeport.__main__ import main
print("begun", flush=True)
main()
"""


@dataclasses.dataclass(frozen=True, slots=True)
class Shot:
    """A command that was interrupted, or was faster.

    Attributes:
        code: With what it ended; negative if by the signal itself.
        out: What it printed.
        err: What it said.
    """

    code: int
    out: str
    err: str

    @property
    def advice(self) -> list[list[str]]:
        """The commands it named, as words."""
        named = re.findall(r"`homeport ([^`]+)`", self.err)
        return [shlex.split(one) for one in named]

    @property
    def says_nothing(self) -> bool:
        """Whether it was broken off, and what it began cannot be known from it."""
        return self.code != 0 and not self.out and self.err in {"", "interrupted\n"}


@dataclasses.dataclass(frozen=True, slots=True)
class Range:
    """Where commands are run and interrupted.

    Attributes:
        server: Whom they ask.
        folder: With their temporary files in `tmp`, and what they cache in `cache`.
    """

    server: Server
    folder: pathlib.Path

    def shots(self, kind: str, *words: str) -> Iterator[tuple[str, Shot]]:
        """Run a command often, interrupted at random moments; yield its name with it.

        Args:
            kind: Of command; begins the names.
            words: Behind `homeport`; NAME is another one each time.
        """
        begun = time.monotonic()
        assert self._shot(None, f"{kind}-whole", words).code == 0
        whole_s = time.monotonic() - begun
        moments = random.Random(kind)  # noqa: S311  # no secret
        for number in range(SHOTS):
            name = f"{kind}-{number}"
            shot = self._shot(moments.uniform(0, whole_s), name, words)
            assert shot.code in {0, 130, -signal.SIGINT}, shot
            assert "Traceback" not in shot.err, shot
            assert list((self.folder / "tmp").iterdir()) == []
            yield name, shot

    def run(self, *words: str) -> command_line.Ended:
        """Run a command to its end."""
        return command_line.run(
            *words,
            url=self.server.url,
            XDG_CACHE_HOME=str(self.folder / "cache"),
        )

    def named(self, kind: str, name: str) -> list[str]:
        """Return the full names of those with a display name."""
        wanted = f'display_name="{name}"'
        listed = self.run(kind, "list", "--output=name", "--filter", wanted)
        return listed.out.split()

    def _shot(self, after_s: float | None, name: str, words: tuple[str, ...]) -> Shot:
        told = [word.replace("NAME", name) for word in words]
        environment = {
            "HOMEPORT_URL": self.server.url,
            "TMPDIR": str(self.folder / "tmp"),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
        }
        process = subprocess.Popen(  # noqa: S603  # our own interpreter
            [sys.executable, "-c", BEGIN, *told],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            out, err = process.communicate(
                timeout=END_S if after_s is None else after_s
            )
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=END_S)
        return Shot(process.returncode, out, err)


@pytest.fixture
def ground(shared_server: Server, tmp_path: pathlib.Path) -> Range:
    (tmp_path / "tmp").mkdir()
    (tmp_path / "cache").mkdir()
    return Range(shared_server, tmp_path)


@pytest.fixture
def model(ground: Range) -> pathlib.Path:
    """Return a folder with a model and its handler."""
    folder = ground.folder / "digits"
    folder.mkdir()
    torch.save({"weight": torch.ones(())}, folder / "weights.pt")
    for name in ("handler.py", "model.py"):
        (folder / name).write_bytes((SOURCE / name).read_bytes())
    return folder


@pytest.fixture
def artifact(ground: Range, model: pathlib.Path) -> str:
    """Return the address of an archive."""
    spec = pack.PackSpec(
        model_name="digits",
        handler=str(model / "handler.py"),
        model_file=model / "model.py",
        serialized_file=model / "weights.pt",
    )
    archive = pack.pack(spec, ground.folder).path
    return ground.server.upload_archive(archive, "interrupted/1")


def test_deploy(ground: Range, model: pathlib.Path) -> None:
    words = ("deploy", str(model), "--display-name", "NAME")

    for name, shot in ground.shots("deploy", *words):
        if shot.says_nothing:
            assert ground.named("models", name) == [], shot
        for advised in shot.advice[:1]:
            went_on = ground.run(*advised)
            assert went_on.code == 0, (shot, went_on)
        if ground.named("endpoints", name):
            ground.run("endpoints", "delete", name, "--force")


def test_models_upload(ground: Range, artifact: str) -> None:
    words = ("models", "upload", "--display-name", "NAME", "--artifact-uri", artifact)

    for name, shot in ground.shots("upload", *words):
        if shot.says_nothing:
            assert ground.named("models", name) == [], shot
        for advised in shot.advice[:1]:
            assert ground.run(*advised).code == 0, shot
        if "goes on in the server" in shot.err:
            assert len(ground.named("models", name)) == 1


def test_batch_create(ground: Range, artifact: str) -> None:
    upload = ("--display-name", "rows", "--model-id", "rows")
    ground.run("models", "upload", *upload, "--artifact-uri", artifact)
    ground.server.upload("interrupted/rows.jsonl", b"[2.0, 3.0, 5.0]\n" * 50)
    words = (
        *("batch", "create", "--display-name", "NAME", "--model", "rows"),
        *("--gcs-source", "gs://models/interrupted/rows.jsonl"),
        *("--gcs-destination-prefix", "gs://models/interrupted/NAME"),
    )

    for name, shot in ground.shots("batch", *words):
        if shot.says_nothing:
            assert ground.named("batch", name) == [], shot
        for advised in shot.advice[:1]:
            assert ground.run(*advised).code == 0, shot


def test_storage_cp_to_a_bucket(ground: Range) -> None:
    content = random.Random(1).randbytes(48 * MIB)  # noqa: S311  # no secret
    (ground.folder / "file").write_bytes(content)
    ground.run("storage", "mb", "gs://interrupted-up")
    words = ("storage", "cp", "file", "gs://interrupted-up/NAME")

    for name, shot in ground.shots("up", *words):
        uri = f"gs://interrupted-up/{name}"
        there = ground.run("storage", "ls", "--long", uri)
        assert there.code == 1 or str(len(content)) in there.out, shot
        file = str(ground.folder / "file")
        assert ground.run("storage", "cp", file, uri).code == 0
        assert object_of(ground.server, "interrupted-up", name)["size"] == str(
            len(content)
        )
        ground.run("storage", "rm", uri)


def test_storage_cp_from_a_bucket(ground: Range) -> None:
    content = random.Random(2).randbytes(48 * MIB)  # noqa: S311  # no secret
    (ground.folder / "file").write_bytes(content)
    ground.run("storage", "mb", "gs://interrupted-down")
    source = "gs://interrupted-down/file"
    ground.run("storage", "cp", str(ground.folder / "file"), source)
    (ground.folder / "copies").mkdir()

    for name, shot in ground.shots("down", "storage", "cp", source, "copies/NAME"):
        copy = ground.folder / "copies" / name
        assert not copy.exists() or copy.read_bytes() == content, shot
        assert ground.run("storage", "cp", source, str(copy)).code == 0
        assert copy.read_bytes() == content
        copy.unlink()
        assert [one.name for one in copy.parent.iterdir() if name in one.name] == []


def object_of(server: Server, bucket: str, name: str) -> dict[str, str]:
    """Return what the store says of an object."""
    _, found = server.call("GET", f"/storage/v1/b/{bucket}/o/{name}")
    told: dict[str, str] = json.loads(found) if isinstance(found, bytes) else found
    return told

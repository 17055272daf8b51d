"""A real TorchServe in an environment of its own, and the record of what was compared.

`make check-all` runs what is marked `peers`; it takes Java 17 and, the first time, some
minutes.
"""

import contextlib
import importlib.metadata
import os
import pathlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator

import environment
import pytest
import torch
from torchserve import TorchServe

from comparisons import Record
from servers import Server, running

# Lets a torchvision that was built for CUDA be imported beside a torch for the CPU.
DEFINING_OPERATORS = """
import torch

if not torch.version.cuda:
    LIBRARY = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        LIBRARY.define(f"{name}(Tensor boxes, Tensor scores, float iou) -> Tensor")
"""
StartTorchServe = Callable[[str], TorchServe]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--conformance-result",
        type=pathlib.Path,
        help="Markdown file for what was compared with TorchServe",
    )


@pytest.fixture(scope="session")
def peers_environment() -> environment.Environment:
    """Where TorchServe is installed."""
    if shutil.which("java") is None:
        pytest.fail("java is missing: TorchServe needs Java 17")
    return environment.prepare(environment.default_cache())


@pytest.fixture(scope="session")
def start_torchserve(
    peers_environment: environment.Environment,
    compiled_sources: None,  # noqa: ARG001  # for its effect
) -> Iterator[StartTorchServe]:
    """Return a function that gives the one TorchServe with an envelope, started."""
    started: dict[str, TorchServe] = {}
    with contextlib.ExitStack() as stack:
        # Its home holds Unix sockets, whose paths are short.
        home = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory("-ts")))

        def start(envelope: str) -> TorchServe:
            if envelope not in started:
                settings = {"service_envelope": envelope} if envelope else {}
                server = TorchServe(
                    home / (envelope or "none"), peers_environment, settings
                )
                stack.callback(server.end)
                server.start()
                started[envelope] = server
            return started[envelope]

        yield start


@pytest.fixture(scope="session")
def torchserve_with_vision(
    peers_environment: environment.Environment,
    compiled_sources: None,  # noqa: ARG001  # for its effect
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[TorchServe]:
    """A TorchServe with the json envelope that has torchvision, too."""
    beside = tmp_path_factory.mktemp("vision")
    # torch 2.13 and torchvision 0.28 are one release.
    release = int(torch.__version__.split(".")[1]) + 15
    pillow = importlib.metadata.version("pillow")
    for words in (
        # Their dependencies would bring another build of torch.
        ["--no-deps", f"torchvision==0.{release}.*", "captum"],
        ["matplotlib", "tqdm", f"pillow=={pillow}"],
    ):
        subprocess.run(  # noqa: S603
            [peers_environment.executable("python"), "-m", "pip", "install", "--quiet",
             "--target", str(beside), *words],
            check=True,
        )  # fmt: skip
    (beside / "sitecustomize.py").write_text(DEFINING_OPERATORS)
    with tempfile.TemporaryDirectory(suffix="-ts") as home:
        server = TorchServe(
            pathlib.Path(home) / "vision",
            peers_environment,
            {"service_envelope": "json"},
            {"PYTHONPATH": str(beside)},
        )
        try:
            server.start()
            yield server
        finally:
            server.end()


@pytest.fixture(scope="session")
def homeport(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One Homeport for all of them."""
    folder = tmp_path_factory.mktemp("homeport")
    with running(Server(folder / "data", ("--no-access-log",))) as started:
        yield started


@pytest.fixture(scope="session")
def record(
    request: pytest.FixtureRequest, peers_environment: environment.Environment
) -> Iterator[Record]:
    """What was compared; it is written down at the end where that was asked for."""
    kept = Record()
    yield kept
    output = request.config.getoption("--conformance-result", default=None)
    if output is not None:
        kept.write(output, peers_environment, request.session.testsfailed)


@pytest.fixture(scope="session")
def compiled_sources() -> Iterator[None]:
    """Let the servers keep what they compile: else each worker begins anew."""
    name = "PYTHONDONTWRITEBYTECODE"
    before = os.environ.pop(name, None)
    yield
    if before is not None:
        os.environ[name] = before

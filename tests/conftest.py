"""Fixtures for tests against a real server: its process and archives to serve."""

import contextlib
import pathlib
import subprocess
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest

import engines
from databases import Databases
from servers import Server, running

# How busy the machine is says nothing about what is tested.
hypothesis.settings.register_profile(
    "any machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("any machine")


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Where tests get their databases from."""
    lent = Databases(tmp_path_factory.mktemp("databases"))
    yield lent
    lent.close()


@pytest.fixture
def server(tmp_path: pathlib.Path) -> Iterator[Server]:
    """A server of this test's own."""
    with running(Server(tmp_path / "data", ("--no-access-log",))) as started:
        yield started


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that the tests of one module share."""
    folder = tmp_path_factory.mktemp("server")
    with running(Server(folder / "data", ("--no-access-log",))) as started:
        yield started


@pytest.fixture(scope="module")
def start_server(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., Server]]:
    """Return a function that starts a server with options, for one module's tests."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> Server:
            folder = tmp_path_factory.mktemp("server")
            return stack.enter_context(running(Server(folder / "data", options)))

        yield start


@pytest.fixture(scope="session")
def mlp_torchscript(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A TorchScript file of a tiny network: rows of 4 numbers in, 2 out."""
    import torch  # noqa: PLC0415  # only tests that serve a model need it

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("mlp") / "mlp.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]  # torch's own
            torch.nn.Linear(4, 2).eval(), torch.zeros(1, 4)
        )
        traced.save(str(path))
    return path


@pytest.fixture(scope="session")
def mlp_archive(
    mlp_torchscript: pathlib.Path, tmp_path_factory: pytest.TempPathFactory
) -> pathlib.Path:
    """The tiny network, packed by Homeport with `base_handler`."""
    from homeport.packing import pack  # noqa: PLC0415

    spec = pack.PackSpec(
        model_name="mlp", handler="base_handler", serialized_file=mlp_torchscript
    )
    return pack.pack(spec, tmp_path_factory.mktemp("archive")).path


@pytest.fixture
def archived(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Return a function that packs handler source (and files) into an archive."""
    from homeport.packing import pack  # noqa: PLC0415

    def make(source: str, name: str = "model", **spec: Any) -> pathlib.Path:
        folder = tmp_path / f"sources-{name}"
        folder.mkdir()
        handler = folder / "handler.py"
        handler.write_text(source)
        return pack.pack(
            pack.PackSpec(model_name=name, handler=str(handler), **spec), folder
        ).path

    return make


@pytest.fixture(scope="session")
def acting(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An archive whose handler does what each row tells it to."""
    from homeport.packing import pack  # noqa: PLC0415

    handler = pathlib.Path(__file__).parent / "archives/misbehaving/handler.py"
    spec = pack.PackSpec(model_name="acting", handler=str(handler))
    return pack.pack(spec, tmp_path_factory.mktemp("acting")).path


@pytest.fixture(scope="session")
def docker() -> Iterator[engines.Docker]:
    """A docker daemon of these tests' own, with their image."""
    with engines.docker() as started:
        yield started


@pytest.fixture(scope="session")
def podman() -> Iterator[engines.Podman]:
    """A podman of these tests' own, with their image."""
    with engines.podman() as installed:
        yield installed


@pytest.fixture
def small_disk(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """A file system of 24 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    made = subprocess.run(["mount", *options], capture_output=True, check=False)  # noqa: S603, S607
    if made.returncode:
        pytest.skip("this account may not mount a file system")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)  # noqa: S603, S607

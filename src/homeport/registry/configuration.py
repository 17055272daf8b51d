"""What an archive, and the file beside it, say of how a version is to be served."""

import pathlib
from collections.abc import Mapping

from homeport.archive import lockfile, manifest
from homeport.environments import lock as locks
from homeport.errors import InvalidArgumentError
from homeport.registry.artifacts import Artifacts
from homeport.resources.model import Artifact, ContainerSpec
from homeport.worker import config, serverconfig
from homeport.worker.config import ConfigFiles, ModelConfig
from homeport.worker.serverconfig import Properties


def read(
    artifacts: Artifacts, artifact: Artifact, environment: Mapping[str, str]
) -> ModelConfig:
    """Return the configuration as a replica of the version will read it.

    Args:
        artifacts: Where the bytes are.
        artifact: It holds one archive.
        environment: The version's variables.

    Raises:
        FailedPreconditionError: No archive, or more than one; or PyYAML is missing.
        InvalidArgumentError: The archive is broken or hostile, or a value cannot be.
    """
    archive = artifacts.archive_of(artifact)
    (text,) = artifacts.read(archive, [manifest.PATH]).values()
    declared = manifest.parse(text)
    name = declared.config_file
    found = artifacts.read(archive, [name, serverconfig.FILE])
    inside = serverconfig.decode(found.get(serverconfig.FILE, b""))
    files = ConfigFiles(
        name,
        found.get(name),
        Properties(inside, beside(artifacts, artifact)),
        (declared.model_name, declared.version),
    )
    return config.read(files, environment)


def beside(artifacts: Artifacts, artifact: Artifact) -> str:
    """Return the text of the config.properties beside the archive, "" for none.

    Raises:
        FailedPreconditionError: No archive, or more than one.
        InvalidArgumentError: The file is too long.
    """
    return serverconfig.decode(artifacts.beside(artifact, serverconfig.FILE) or b"")


def lock(artifacts: Artifacts, artifact: Artifact) -> str:
    """Return the text of the lock in the archive, "" for none.

    Raises:
        FailedPreconditionError: No archive, or more than one; or its lock is for
            another Python or platform.
        InvalidArgumentError: The archive is broken or hostile, or what it has is no
            lock.
    """
    archive = artifacts.archive_of(artifact)
    content = artifacts.read(archive, [lockfile.PATH]).get(lockfile.PATH)
    if content is None:
        return ""
    try:
        found = lockfile.parse(content.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"{lockfile.PATH} is no UTF-8 text: pack the archive again"
        ) from error
    locks.check_target(found)
    return found.text


def has_requirements(model_dir: pathlib.Path) -> bool:
    """Tell whether an archive that is laid out asks for packages."""
    declared = manifest.parse((model_dir / manifest.PATH).read_bytes())
    return bool(declared.requirements_file)


def environment(container: ContainerSpec | None) -> dict[str, str]:
    """Return the variables that a version's replicas are given."""
    return {one.name: one.value for one in (container.env if container else ())}

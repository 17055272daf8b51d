"""obstore and gcsfs work unmodified; each in an environment of its own."""

import pathlib

import pytest

import storage_clients
from servers import Server

pytestmark = pytest.mark.service

OBSTORE = (
    "names",
    "pages_and_folders",
    "a_large_object_in_parts",
    "ranges",
    "conditional_reads",
    "conditional_writes",
    "copies_renames_and_deletes",
    "attributes",
)
GCSFS = (
    "small_files",
    "a_large_file_in_chunks",
    "files_of_the_disk",
    "folders",
    "copies_moves_and_merges",
    "attributes_and_conditions",
    "buckets",
)


def results(
    script: str, bucket: str, server: Server, folder: pathlib.Path
) -> dict[str, str]:
    server.call("POST", "/storage/v1/b?project=p", {"name": bucket})
    return storage_clients.failures(script, server.url, folder)


@pytest.fixture(scope="module")
def of_obstore(
    shared_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """How each of obstore's calls failed."""
    folder = tmp_path_factory.mktemp("obstore")
    return results("obstore_calls.py", "obstore-bucket", shared_server, folder)


@pytest.fixture(scope="module")
def of_gcsfs(
    shared_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """How each of gcsfs's calls failed."""
    folder = tmp_path_factory.mktemp("gcsfs")
    return results("gcsfs_calls.py", "gcsfs-bucket", shared_server, folder)


@pytest.mark.parametrize("call", OBSTORE)
def test_obstore(of_obstore: dict[str, str], call: str) -> None:
    assert of_obstore[call] == ""


@pytest.mark.parametrize("call", GCSFS)
def test_gcsfs(of_gcsfs: dict[str, str], call: str) -> None:
    assert of_gcsfs[call] == ""

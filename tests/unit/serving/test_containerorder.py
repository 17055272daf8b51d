"""What a container engine is told to create."""

import pathlib

from homeport.resources.model import ContainerSpec
from homeport.serving.containerorder import Order
from homeport.serving.contract import Contract


def order(**fields: object) -> Order:
    made: dict[str, object] = {
        "name": "homeport-1",
        "labels": {"homeport.install": "i"},
        "spec": ContainerSpec("example.com/own:1"),
        "contract": Contract(8080, "/p", "/h", (), (), {}),
        "artifact_dir": None,
        **fields,
    }
    return Order(**made)  # type: ignore[arg-type]  # a test's own words


def after(words: list[str], option: str) -> list[str]:
    """Return the values of an option."""
    return [words[i + 1] for i, word in enumerate(words) if word == option]


def test_it_is_limited_labelled_and_reached_on_loopback_alone() -> None:
    words = order().arguments("docker")

    assert words[:3] == ["create", "--name", "homeport-1"]
    assert after(words, "--pull") == ["never"]
    assert after(words, "--cap-drop") == ["ALL"]
    assert after(words, "--security-opt") == ["no-new-privileges"]
    assert after(words, "--pids-limit") == ["4096"]
    assert after(words, "--label") == ["homeport.install=i"]
    assert after(words, "--publish") == ["127.0.0.1::8080"]
    assert words[-1] == "example.com/own:1"


def test_command_and_arguments_take_the_places_of_the_images_own() -> None:
    contract = Contract(8080, "/p", "/h", ("python", "serve.py"), ("--fast",), {})

    words = order(contract=contract).arguments("docker")

    assert after(words, "--entrypoint") == ["python"]
    assert words[-3:] == ["example.com/own:1", "serve.py", "--fast"]


def test_values_are_no_arguments_unless_the_engines_command_goes_by_them() -> None:
    variables = {"TOKEN": "hunter2", "PATH": "/opt/bin", "https_proxy": "http://p"}
    made = order(contract=Contract(8080, "/p", "/h", (), (), variables))

    words = made.arguments("docker")

    assert after(words, "--env") == ["TOKEN", "PATH=/opt/bin", "https_proxy=http://p"]
    assert made.environment() == {"TOKEN": "hunter2"}


def test_probes_ports_and_shared_memory_are_asked_for() -> None:
    kept = {
        "health_probe": {"httpGet": {"port": 9000}},
        "shared_memory_size_mb": 64,
    }

    words = order(spec=ContainerSpec("i", kept=kept)).arguments("docker")

    assert after(words, "--publish") == ["127.0.0.1::8080", "127.0.0.1::9000"]
    assert after(words, "--shm-size") == ["64m"]


def test_a_machine_type_limits_processor_and_memory() -> None:
    words = order(machine_type="n1-standard-1").arguments("docker")

    assert after(words, "--cpus") == ["1"]
    assert 0 < int(after(words, "--memory")[0]) <= int(3.75 * (1 << 30))


def test_gpus_are_named_in_each_engines_way() -> None:
    made = order(gpu_ids=(0, 2))

    assert after(made.arguments("docker"), "--gpus") == ['"device=0,2"']
    assert after(made.arguments("podman"), "--device") == [
        "nvidia.com/gpu=0",
        "nvidia.com/gpu=2",
    ]


def test_the_artifact_is_mounted_read_only_whatever_its_path() -> None:
    words = order(artifact_dir=pathlib.Path("/data, of/me")).arguments("docker")

    assert after(words, "--mount") == [
        'type=bind,"source=/data, of/me",target=/mnt/artifact,readonly'
    ]

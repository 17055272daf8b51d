"""Archives made with TorchServe's own tool serve unmodified, without TorchServe."""

import base64
import concurrent.futures
import io
import pathlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from PIL import Image

import pictures
from servers import PARENT, Server

pytestmark = pytest.mark.service
EXAMPLE = pathlib.Path(__file__).parents[2] / "examples/image_classifier"
# Steps that change what passes through them, so that a step left out is seen.
SUBCLASS = """
import os

import torch
from ts.torch_handler.base_handler import BaseHandler


class Scaled(BaseHandler):
    def initialize(self, context):
        super().initialize(context)
        self.scale = float(os.environ["SCALE"])
        self.limit = context.model_yaml_config["limit"]

    def preprocess(self, data):
        return torch.tensor([row["features"] for row in data])

    def inference(self, data):
        return super().inference(data) * self.scale

    def postprocess(self, data):
        return [
            {"scores": row[: self.limit], "model": self.context.model_name}
            for row in data.tolist()
        ]
"""
MODULE_LEVEL = """
calls = []


def handle(data, context):
    calls.append(data)
    if data is None:
        return None
    return [{"row": row, "calls": calls, "ids": context.request_ids} for row in data]
"""
COUNTING = """
class Handler:
    def initialize(self, context):
        self.size = context.system_properties["batch_size"]

    def handle(self, data, context):
        return [[len(data), self.size] for _ in data]
"""

Archiver = Callable[..., pathlib.Path]


@pytest.fixture
def archive(tmp_path: pathlib.Path) -> Archiver:
    """Return a function that runs torch-model-archiver on handler source or a name."""

    def make(handler: str, *options: str) -> pathlib.Path:
        if "\n" in handler:
            path = tmp_path / "my_handler.py"
            path.write_text(handler)
            handler = str(path)
        command = pathlib.Path(sys.executable).with_name("torch-model-archiver")
        subprocess.run(  # noqa: S603  # the tool under test
            [command, "--model-name", "made", "-v", "1.0", "--handler", handler,
             "--export-path", tmp_path, *options],
            check=True,
            capture_output=True,
            timeout=60,
        )  # fmt: skip
        return tmp_path / "made.mar"

    return make


def deployed(server: Server, archive: pathlib.Path, **variables: str) -> str:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    endpoint, operation = server.deploy(archive, containerSpec={"env": env})
    assert "response" in operation, operation
    return endpoint


def ask_at_once(server: Server, endpoint: str, requests: int) -> list[Any]:
    with concurrent.futures.ThreadPoolExecutor(requests) as threads:
        answers = threads.map(lambda row: server.ask(endpoint, row), range(requests))
        return [prediction for (prediction,) in answers]


def test_a_subclass_of_base_handler_gets_its_model_config_and_environment(
    shared_server: Server,
    archive: Archiver,
    mlp_torchscript: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    import torch  # noqa: PLC0415  # a second that other tests need not pay

    config = tmp_path / "model-config.yaml"
    config.write_text("limit: 1\n")
    made = archive(
        SUBCLASS, "--serialized-file", str(mlp_torchscript), "-c", str(config)
    )
    endpoint = deployed(shared_server, made, SCALE="-10")
    row = [1.0, 2.0, 3.0, 4.0]
    expected = torch.jit.load(str(mlp_torchscript))(torch.tensor([row]))[0, 0].item()  # type: ignore[no-untyped-call]  # torch's own

    answers = shared_server.ask(endpoint, {"features": row}, {"features": row})

    assert [answer["model"] for answer in answers] == ["made", "made"]
    assert answers[0] == answers[1]
    assert answers[0]["scores"] == [pytest.approx(-10 * expected, rel=1e-5)]


def test_torchscript_with_the_name_base_handler_needs_no_handler_file(
    shared_server: Server, archive: Archiver, mlp_torchscript: pathlib.Path
) -> None:
    made = archive("base_handler", "--serialized-file", str(mlp_torchscript))
    endpoint = deployed(shared_server, made)

    answers = shared_server.ask(endpoint, [0.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 0.0])

    assert [len(answer) for answer in answers] == [2, 2]
    assert answers[0] != answers[1]


def test_the_example_serves_a_checkpoint_through_its_model_file(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    import torch  # noqa: PLC0415

    checkpoint = tmp_path / "model_checkpoint.pth"
    torch.save(small_checkpoint(), checkpoint)
    made = archive(
        str(EXAMPLE / "handler.py"),
        *("--model-file", str(EXAMPLE / "model.py")),
        *("--serialized-file", str(checkpoint), "--archive-format", "zip-store"),
    )
    endpoint = deployed(shared_server, made)
    buffer = io.BytesIO()
    Image.new("RGB", (40, 20), (255, 0, 0)).save(buffer, "PNG")
    image = base64.b64encode(buffer.getvalue()).decode()

    answers = shared_server.ask(endpoint, {"data": image}, {"b64": image})
    status, refused = shared_server.predict(endpoint, {"instances": [{"data": "?"}]})

    # The last bias is zero but for class 7.
    assert [answer["predicted_class"] for answer in answers] == ["7", "7"]
    assert sum(answers[0]["all_probabilities"].values()) == pytest.approx(1.0)
    assert status == 500
    assert "not base64" in refused["error"]["message"]


def small_checkpoint() -> dict[str, Any]:
    """Return a checkpoint of the example's network that always says class 7."""
    import torch  # noqa: PLC0415

    features = {
        "features.0.weight": torch.zeros(64, 3, 3, 3),
        "features.0.bias": torch.zeros(64),
        "features.3.weight": torch.zeros(128, 64, 3, 3),
        "features.3.bias": torch.zeros(128),
        "classifier.0.weight": torch.zeros(512, 8192),
        "classifier.0.bias": torch.zeros(512),
        "classifier.3.weight": torch.zeros(10, 512),
        "classifier.3.bias": torch.eye(10)[7],
    }
    return {
        "model_state_dict": features,
        "model_config": {"num_classes": 10, "input_channels": 3},
        "epoch": 4,
    }


def test_a_module_level_handle_is_called_once_without_data_then_by_request(
    shared_server: Server, archive: Archiver
) -> None:
    endpoint = deployed(shared_server, archive(MODULE_LEVEL))
    rows = [{"text": "Ahoj"}, 7, "word", None, [1, [2]]]

    answers = shared_server.ask(endpoint, *rows)
    at_once = ask_at_once(shared_server, endpoint, 4)

    assert [answer["row"] for answer in answers] == rows
    assert answers[0]["calls"] == [None, rows]
    # Without a batchSize one call holds one request, however many wait.
    calls = max((answer["calls"] for answer in at_once), key=len)
    assert [len(call) for call in calls[2:]] == [1, 1, 1, 1]
    assert sorted(answer["row"] for answer in at_once) == [0, 1, 2, 3]


CONFIG = """
# As TorchServe's image has it, and then some.
inference_address=http://0.0.0.0:8080
service_envelope=body
enable_envvars_config=true
default_response_timeout=600
job_queue_size = 1000
"""
WHOLE_BODY = """
import time


def handle(data, context):
    if data is None:
        return None
    time.sleep(data[0]["parameters"]["sleep_s"])
    return [{"predictions": [body["parameters"], *body["instances"]]} for body in data]
"""


def test_torchserves_words_are_understood_and_the_deployments_go_first(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    config = tmp_path / "config.properties"
    config.write_text(CONFIG)
    made = archive(WHOLE_BODY, "--extra-files", str(config))
    endpoint = deployed(shared_server, made, TS_DEFAULT_RESPONSE_TIMEOUT="1")
    ask = {"instances": [1, {"b64": "AA=="}], "parameters": {"sleep_s": 0}}
    stuck = {"instances": [1], "parameters": {"sleep_s": 3600}}

    status, answer = shared_server.predict(endpoint, ask)
    late, refused = shared_server.predict(endpoint, stuck)
    _, log = shared_server.call("GET", f"/homeport/v1/{endpoint}/logs")

    assert status == 200
    assert answer["predictions"] == [{"sleep_s": 0}, 1, {"b64": "AA=="}]
    assert late == 504
    assert (
        "within 1 s, which is TS_DEFAULT_RESPONSE_TIMEOUT in"
        in (refused["error"]["message"])
    )
    assert "config.properties: inference_address" in str(log)


def test_words_that_do_not_act_are_warnings_of_the_upload(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    config = tmp_path / "config.properties"
    config.write_text(CONFIG)

    registered = shared_server.register(
        archive(WHOLE_BODY, "--extra-files", str(config))
    )

    failures = registered["metadata"]["genericMetadata"]["partialFailures"]
    # Other tests register models of that name, too.
    assert [one for one in failures if one["code"] != 6] == [
        {
            "code": 12,
            "message": "no effect on serving, in config.properties: inference_address",
        },
    ]


def test_config_properties_beside_the_archive_acts_as_one_inside_and_goes_first(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    inside = tmp_path / "config.properties"
    inside.write_text("service_envelope=body\ndefault_response_timeout=600")
    made = archive(WHOLE_BODY, "--extra-files", str(inside))
    shared_server.upload_archive(made, "operators")
    shared_server.upload(
        "operators/config.properties", b"default_response_timeout=1\nmodel_store=/m"
    )
    registered = shared_server.register_at("gs://models/operators")
    endpoint = shared_server.create_endpoint()
    shared_server.wait(
        shared_server.begin_deploy(
            endpoint, registered["response"]["model"], {"0": 100}
        )
    )
    ask = {"instances": [1], "parameters": {"sleep_s": 0}}
    stuck = {"instances": [1], "parameters": {"sleep_s": 3600}}

    status, answer = shared_server.predict(endpoint, ask)
    late, refused = shared_server.predict(endpoint, stuck)

    assert status == 200
    assert answer["predictions"] == [{"sleep_s": 0}, 1]
    assert late == 504
    assert (
        "within 1 s, which is default_response_timeout in config.properties beside the"
        " archive"
    ) in refused["error"]["message"]
    assert registered["metadata"]["genericMetadata"]["partialFailures"] == [
        {
            "code": 12,
            "message": "no effect on serving, in config.properties beside the archive: "
            "model_store",
        }
    ]


def test_a_word_with_a_wrong_value_fails_the_upload(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    config = tmp_path / "config.properties"
    config.write_text("default_response_timeout=soon")
    made = archive(COUNTING, "--extra-files", str(config))

    operation = shared_server.register(made, displayName="soon")
    _, listed = shared_server.call(
        "GET", f"/v1/{PARENT}/models?filter=display_name%3Dsoon"
    )

    assert operation["error"] == {
        "code": 3,
        "message": "default_response_timeout is 'soon' in config.properties: "
        "give a whole number, at least 1",
    }
    assert listed == {}


def test_batch_size_of_the_config_file_brings_requests_together(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    config = tmp_path / "model-config.yaml"
    # In milliseconds; four requests close the batch long before.
    config.write_text("batchSize: 4\nmaxBatchDelay: 20000\n")
    endpoint = deployed(shared_server, archive(COUNTING, "-c", str(config)))

    answers = ask_at_once(shared_server, endpoint, 4)

    assert answers == [[4, 4]] * 4


def test_a_row_of_bytes_reaches_the_handler_decoded(
    shared_server: Server, archive: Archiver
) -> None:
    source = "def handle(data, context):\n    return data and [repr(r) for r in data]\n"
    endpoint = deployed(shared_server, archive(source))

    answers = shared_server.ask(
        endpoint, {"b64": "aG9tZQ=="}, {"image": {"b64": "aG9tZQ=="}, "k": 3}
    )

    assert answers == ["b'home'", "{'image': b'home', 'k': 3}"]


def test_image_classifier_needs_no_handler_file(
    shared_server: Server, archive: Archiver, tmp_path: pathlib.Path
) -> None:
    weights, labels = tmp_path / "means.pt", tmp_path / "index_to_name.json"
    save_channel_means(weights)
    labels.write_text('{"0": "red", "1": ["n1", "green"], "2": "blue"}')
    made = archive(
        "image_classifier", "--serialized-file", str(weights),
        "--extra-files", str(labels),
    )  # fmt: skip
    endpoint = deployed(shared_server, made)
    green = pictures.png_text(Image.new("RGB", (300, 400), (0, 255, 0)))

    text, body, binary = shared_server.ask(
        endpoint, {"data": green}, {"body": {"b64": green}}, {"b64": green}
    )
    status, refused = shared_server.predict(endpoint, {"instances": [{"data": "b64"}]})

    assert list(text) == ["green", "blue", "red"]
    assert text == body == binary
    assert sum(text.values()) == pytest.approx(1.0)
    # (1 - 0.456) / 0.224, (0 - 0.406) / 0.225 and (0 - 0.485) / 0.229, softmax.
    assert text["green"] == pytest.approx(0.975502, abs=1e-5)
    assert status == 400
    assert "instance 0" in refused["error"]["message"]


def save_channel_means(path: pathlib.Path) -> None:
    """Write a model whose three scores are the means of an image's channels."""
    import torch  # noqa: PLC0415

    class ChannelMeans(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return images.mean(dim=[2, 3])

    traced = torch.jit.trace(ChannelMeans(), torch.zeros(1, 3, 8, 8))  # type: ignore[no-untyped-call]  # torch's own
    traced.save(str(path))


def test_one_of_torchserves_own_handlers_is_named_as_missing(
    shared_server: Server, archive: Archiver, mlp_torchscript: pathlib.Path
) -> None:
    made = archive("object_detector", "--serialized-file", str(mlp_torchscript))

    _, operation = shared_server.deploy(made)

    assert operation["error"]["code"] == 9
    assert (
        "object_detector is a handler of TorchServe's own"
        in (operation["error"]["message"])
    )
    assert "Pack your own handler file" in operation["error"]["message"]

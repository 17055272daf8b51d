"""A replica that is given a GPU computes there and sees no other."""

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from servers import Server

pytestmark = [
    pytest.mark.service,
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvidia-smi") is None, reason="no GPU here"),
]
HANDLER = """
import os

import torch


class Handler:
    def initialize(self, context):
        self.gpu_id = context.system_properties["gpu_id"]
        name = "cpu" if self.gpu_id is None else f"cuda:{self.gpu_id}"
        self.device = torch.device(name)

    def handle(self, data, context):
        total = torch.ones(3, device=self.device).sum()
        seen = os.environ["CUDA_VISIBLE_DEVICES"]
        return [[self.gpu_id, seen, total.device.type, total.item()] for _ in data]
"""


@pytest.mark.parametrize(
    ("machine", "answer"),
    [
        pytest.param(
            {"acceleratorType": "NVIDIA_H100_80GB", "acceleratorCount": 1},
            [0, "0", "cuda", 3.0],
            id="one",
        ),
        pytest.param({}, [None, "", "cpu", 3.0], id="none"),
    ],
)
def test_replicas_compute_where_they_were_told(
    server: Server,
    archived: Callable[..., pathlib.Path],
    machine: dict[str, object],
    answer: list[Any],
) -> None:
    endpoint = server.create_endpoint()
    model = server.register(archived(HANDLER))["response"]["model"]
    deployed = {"model": model, "dedicatedResources": {"machineSpec": machine}}

    _, operation = server.call(
        "POST",
        f"/v1/{endpoint}:deployModel",
        {"deployedModel": deployed, "trafficSplit": {"0": 100}},
    )
    server.wait(operation)

    assert server.ask(endpoint, {"value": 1}) == [answer]

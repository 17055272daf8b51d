"""Vertex AI's prebuilt PyTorch images are our own worker; all others are not."""

import pytest

from homeport.resources import images


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest",
        "europe-docker.pkg.dev/vertex-ai/prediction/pytorch-gpu.1-13:latest",
        "asia-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-0",
        "gcr.io/cloud-aiplatform/prediction/pytorch-gpu.1-10:latest",
        "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-1@sha256:" + "a" * 64,
    ],
)
def test_our_worker_takes_the_place_of_an_image(uri: str) -> None:
    assert images.runs_archives(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "us-docker.pkg.dev/vertex-ai/prediction/tf2-cpu.2-15:latest",
        "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-3:latest",
        "us-docker.pkg.dev/vertex-ai/training/pytorch-gpu.2-4:latest",
        "us-docker.pkg.dev/my-project/prediction/pytorch-cpu.2-4:latest",
        "evil.example/us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4",
        "us-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.2-4:latest\n",
        "pytorch/torchserve:latest",
    ],
)
def test_an_image_of_somebody_else_is_its_own(uri: str) -> None:
    assert not images.runs_archives(uri)

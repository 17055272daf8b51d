"""image_classifier sees what torchvision would show it, and names what it cannot."""

import json
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import pictures
from homeport.errors import InvalidArgumentError
from homeport.worker import handler, loading, visionhandler

MakeArchive = Callable[..., pathlib.Path]


class Means(torch.nn.Module):
    """Scores are the means of the channels."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=[2, 3])


@pytest.fixture
def classifier() -> visionhandler.ImageClassifier:
    made = visionhandler.ImageClassifier()
    made.model, made.device = Means(), torch.device("cpu")
    made.context = None
    return made


@pytest.mark.parametrize("name", pictures.PICTURES)
def test_preprocessing_is_torchvisions(name: str) -> None:
    step = pictures.STEP

    tensor = visionhandler.ImageNetTransform()(pictures.PICTURES[name]())

    assert tensor.shape == (3, 224, 224)
    with np.load(pictures.FROZEN) as frozen:
        np.testing.assert_allclose(tensor[:, ::step, ::step], frozen[name], atol=1e-5)


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "CMYK"])
def test_other_modes_become_rgb(mode: str) -> None:
    grey = Image.new("RGB", (300, 300), (255, 255, 255)).convert(mode)

    tensor = visionhandler.ImageNetTransform()(grey)

    # (1 - mean) / std of each channel.
    for channel, value in enumerate([2.248908, 2.428571, 2.64]):
        np.testing.assert_allclose(tensor[channel], value, atol=1e-5)


@pytest.mark.parametrize("mode", ["I;16", "F"])
def test_deep_images_are_refused(mode: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"the mode {mode}: send one"):
        visionhandler.ImageNetTransform()(Image.new(mode, (300, 300)))


PICTURE = pictures.picture(300, 280)


@pytest.mark.parametrize(
    "row",
    [
        pytest.param({"data": pictures.png(PICTURE)}, id="bytes under data"),
        pytest.param({"body": bytearray(pictures.png(PICTURE))}, id="under body"),
        pytest.param({"data": pictures.png_text(PICTURE)}, id="base64 text"),
        pytest.param(
            {"body": pictures.png_text(PICTURE)[:40] + "\n"
             + pictures.png_text(PICTURE)[40:]},
            id="base64 text in lines",
        ),
        pytest.param(pictures.png(PICTURE), id="bytes alone"),
        pytest.param(pictures.png_text(PICTURE), id="text alone"),
        pytest.param(
            {"data": visionhandler.ImageNetTransform()(PICTURE).tolist()},
            id="a tensor in lists",
        ),
    ],
)  # fmt: skip
def test_a_row_is_an_image_in_any_of_torchserves_forms(
    classifier: visionhandler.ImageClassifier, row: Any
) -> None:
    expected = visionhandler.ImageNetTransform()(PICTURE)

    batch = classifier.preprocess([row, row])

    assert batch.shape == (2, 3, 224, 224)
    assert torch.allclose(batch[1], expected)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        pytest.param({"image": "aaaa"}, 'neither "data" nor "body"', id="other name"),
        pytest.param({"data": "abc"}, "not base64", id="no base64"),
        pytest.param({"data": b"GIF"}, "no format that Pillow knows", id="no image"),
        pytest.param({"data": pictures.png(PICTURE)[:900]}, "decoded", id="cut off"),
        pytest.param({"data": [[1], [1, 2]]}, "lists of one shape", id="ragged"),
        pytest.param({"data": {"x": 1}}, "neither an image nor", id="object"),
        pytest.param(None, "neither an image nor", id="null"),
    ],
)
def test_a_row_that_is_none_is_the_callers_mistake(
    classifier: visionhandler.ImageClassifier, row: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem) as caught:
        classifier.preprocess([pictures.png(PICTURE), row])

    assert "instance 1 " in caught.value.message


def test_rows_of_several_shapes_are_refused(
    classifier: visionhandler.ImageClassifier,
) -> None:
    with pytest.raises(InvalidArgumentError, match=r"\(1,\) and \(3, 224, 224\)"):
        classifier.preprocess([{"data": [1.0]}, pictures.png(PICTURE)])


@pytest.mark.parametrize(
    ("topk", "labels"),
    [
        pytest.param(2, ["c", "b"], id="as many as were asked for"),
        pytest.param(5, ["c", "b", "a"], id="all there are"),
    ],
)
def test_predictions_are_the_most_probable_labels(
    classifier: visionhandler.ImageClassifier, topk: int, labels: list[str]
) -> None:
    classifier.mapping = {"0": "a", "1": "b", "2": "c"}
    classifier.set_max_result_classes(topk)

    (prediction,) = classifier.postprocess(torch.tensor([[0.0, 1.0, 2.0]]))

    assert list(prediction) == labels
    assert prediction["c"] == pytest.approx(0.665241, abs=1e-6)


def test_authors_subclass_the_handlers_by_torchserves_names(
    make_archive: MakeArchive,
    child_imports: None,  # noqa: ARG001
) -> None:
    model_dir = make_archive("subclass")
    (model_dir / "handler.py").write_text(
        "from ts.torch_handler.image_classifier import ImageClassifier\n"
        "from ts.torch_handler.vision_handler import VisionHandler\n"
        "import torch\n"
        "class Mine(ImageClassifier):\n"
        "    image_processing = staticmethod(lambda image: torch.ones(3, 2, 2))\n"
        "    def initialize(self, context):\n"
        "        super().initialize(context)\n"
        "        self.set_max_result_classes(1)\n"
        "        assert isinstance(self, VisionHandler)\n"
    )
    (model_dir / "model.py").write_text(
        "import torch\n"
        "class Means(torch.nn.Module):\n"
        "    def forward(self, images):\n"
        "        return images.mean(dim=[2, 3])\n"
    )
    manifest = json.loads((model_dir / "MAR-INF/MANIFEST.json").read_text())
    manifest["model"]["modelFile"] = "model.py"
    (model_dir / "MAR-INF/MANIFEST.json").write_text(json.dumps(manifest))
    handler.enter(model_dir)
    archive = handler.open_archive(model_dir)
    context = handler.make_context(archive, None)

    entry_point = handler.find(archive)(context)

    (prediction,) = entry_point([pictures.png(PICTURE)], context)
    assert prediction == {"0": pytest.approx(1 / 3)}


def test_without_pillow_the_load_says_what_to_install(
    make_archive: MakeArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_dir = make_archive("nothing", handler="image_classifier")
    archive = handler.open_archive(model_dir)
    context = handler.make_context(archive, None)
    monkeypatch.delitem(sys.modules, "homeport.worker.visionhandler")
    monkeypatch.delattr("homeport.worker.visionhandler")
    for name in [one for one in sys.modules if one.partition(".")[0] == "PIL"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_WithoutPillow(), *sys.meta_path])

    with pytest.raises(loading.LoadRefusedError, match="Pillow") as caught:
        handler.find(archive)(context)

    assert "install pillow (the extra homeport[vision])" in caught.value.remedy


class _WithoutPillow:
    """Stands for an environment that lacks the package."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        del path, target
        if name == "PIL":
            raise ModuleNotFoundError("No module named 'PIL'", name="PIL")

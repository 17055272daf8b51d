"""TorchServe's handlers for images, written anew to their behaviour, with Pillow.

Authors subclass them and override their steps; imported only by who needs them.
"""

import base64
import binascii
import io
from collections.abc import Sequence
from typing import Any, Final, final

import torch

from homeport.errors import InvalidArgumentError
from homeport.worker import handlers, loading, optional
from homeport.worker.basehandler import BaseHandler
from homeport.worker.context import Context

try:
    from PIL import Image, UnidentifiedImageError
except ModuleNotFoundError as error:
    if error.name != "PIL":
        raise
    raise loading.LoadRefusedError(
        "TorchServe's image handlers decode with Pillow, which is not installed",
        "Please "
        + optional.remedy(
            "pillow",
            here="install pillow (the extra homeport[vision]) where the server runs",
        )
        + ".",
    ) from error

_IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
_IMAGENET_STD: Final = (0.229, 0.224, 0.225)
_RESIZED_SHORTER_SIDE: Final = 256
_CROPPED_SIDE: Final = 224
_CHANNELS: Final = 3
# More than 8 bits for a channel: which range they use, nobody but the author knows.
_DEEP_MODES: Final = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


@final
class ImageNetTransform:
    """Resize 256, CenterCrop 224, ToTensor and Normalize, as torchvision does them."""

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the image as a tensor of shape (3, 224, 224), float32, normalised.

        An image with a palette, grey or with transparency becomes RGB first, where
        TorchServe fails.

        Raises:
            InvalidArgumentError: It has more than 8 bits for a channel.
        """
        pixels = _center_crop(_resize(_three_channels(image)))
        mean = torch.tensor(_IMAGENET_MEAN).view(_CHANNELS, 1, 1)
        std = torch.tensor(_IMAGENET_STD).view(_CHANNELS, 1, 1)
        return (_to_tensor(pixels) - mean) / std


class VisionHandler(BaseHandler):
    """Decodes images; a subclass sets `image_processing` and says what comes out.

    Attributes:
        image_processing: Called with each Pillow image, returns its tensor.
    """

    image_processing: Any = None

    def initialize(self, context: Context) -> None:
        """Load model and labels.

        Raises:
            LoadRefusedError: The archive holds no model that can be loaded.
        """
        super().initialize(context)
        if not context.system_properties.get("limit_max_image_pixels"):
            Image.MAX_IMAGE_PIXELS = None

    @handlers.timed
    def preprocess(self, data: Sequence[Any]) -> torch.Tensor:
        """Return the rows' images as one batch.

        A row holds under `data` or `body`, or is itself: an encoded image as bytes or
        as base64 text, or the numbers of a tensor that is ready, in lists.

        Raises:
            InvalidArgumentError: A row is none of these, or shapes differ.
        """
        images = [self._tensor(index, row) for index, row in enumerate(data)]
        shapes = sorted({tuple(image.shape) for image in images})
        if len(shapes) > 1:
            raise InvalidArgumentError(
                f"the instances become tensors of shapes {shapes[0]} and {shapes[1]}: "
                "send images, or lists of one shape"
            )
        return torch.stack(images).to(self.device)

    def _tensor(self, index: int, row: object) -> torch.Tensor:
        content = _content(index, row)
        if isinstance(content, str):
            content = _decode_text(index, content)
        if isinstance(content, bytes | bytearray):
            processed: torch.Tensor = self.image_processing(_open(index, content))
            return processed
        try:
            return torch.tensor(content, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InvalidArgumentError(
                f"instance {index} holds neither an image nor numbers in lists of one "
                "shape: send the image's bytes as base64"
            ) from error


class ImageClassifier(VisionHandler):
    """TorchServe's image_classifier: the most probable labels of each image.

    Attributes:
        topk: How many labels, or all where the model has fewer.
    """

    topk = 5
    image_processing: Any = ImageNetTransform()

    def set_max_result_classes(self, topk: int) -> None:
        """Set how many labels a prediction has."""
        self.topk = topk

    def get_max_result_classes(self) -> int:
        """Return how many labels a prediction has."""
        return self.topk

    @handlers.timed
    def postprocess(self, data: torch.Tensor) -> list[dict[str, float]]:
        """Return for each row of scores the probabilities by label, highest first."""
        probabilities = torch.softmax(data, dim=1)
        count = min(self.topk, probabilities.shape[1])
        values, classes = torch.topk(probabilities, count, dim=1)
        return handlers.map_class_to_label(
            values.tolist(), self.mapping, classes.tolist()
        )


def _content(index: int, row: object) -> object:
    if not isinstance(row, dict):
        return row
    content = row.get("data") or row.get("body")
    if content is None:
        raise InvalidArgumentError(
            f'instance {index} has neither "data" nor "body": send the image under '
            "one of them"
        )
    return content


def _decode_text(index: int, text: str) -> bytes:
    try:
        # As TorchServe: line ends and other foreign characters are passed over.
        return base64.b64decode(text)
    except (binascii.Error, ValueError) as error:
        raise InvalidArgumentError(
            f"instance {index} is text that is not base64: send the image's bytes as "
            "base64"
        ) from error


def _open(index: int, encoded: bytes | bytearray) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(encoded))
        image.load()
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        # Pillow's own text may name the buffer by its address.
        reason = (
            "no format that Pillow knows"
            if isinstance(error, UnidentifiedImageError)
            else " ".join(str(error).split())
        )
        raise InvalidArgumentError(
            f"instance {index} is not an image that can be decoded: {reason:.200}"
        ) from error
    return image


def _three_channels(image: Image.Image) -> Image.Image:
    if image.mode in _DEEP_MODES:
        raise InvalidArgumentError(
            f"the image has the mode {image.mode}: send one with 8 bits for a channel"
        )
    # A palette has one band too, and its indices cannot be averaged.
    return image if len(image.getbands()) == _CHANNELS else image.convert("RGB")


def _resize(image: Image.Image) -> Image.Image:
    """Return `image` with its shorter side 256 long.

    Pillow's bilinear filter averages over what it shrinks, which is torchvision's
    antialias.
    """
    width, height = image.size
    # torchvision cuts the longer side to a whole number, it does not round.
    if width <= height:
        size = (_RESIZED_SHORTER_SIDE, int(_RESIZED_SHORTER_SIDE * height / width))
    else:
        size = (int(_RESIZED_SHORTER_SIDE * width / height), _RESIZED_SHORTER_SIDE)
    return image.resize(size, Image.Resampling.BILINEAR)


def _center_crop(image: Image.Image) -> Image.Image:
    width, height = image.size
    # Half a pixel goes to the even side, in Python's round as in torchvision's.
    left = round((width - _CROPPED_SIDE) / 2.0)
    top = round((height - _CROPPED_SIDE) / 2.0)
    return image.crop((left, top, left + _CROPPED_SIDE, top + _CROPPED_SIDE))


def _to_tensor(image: Image.Image) -> torch.Tensor:
    """Return the pixels as (3, height, width) float32 from 0 to 1."""
    flat = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    rows = flat.view(image.height, image.width, _CHANNELS)
    return rows.permute(2, 0, 1).contiguous().to(torch.float32) / 255

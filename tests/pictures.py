"""Images made by arithmetic alone, and what torchvision made of them."""

import base64
import io
import pathlib
from collections.abc import Callable
from typing import Final

import numpy as np
from PIL import Image

FROZEN: Final = pathlib.Path(__file__).parent / "formats/torchvision_0.28.0.npz"
# Every eighth pixel is kept of what torchvision returned.
STEP: Final = 8


def picture(width: int, height: int) -> Image.Image:
    """Return an RGB image with gradients, edges and fine texture."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    red = (x * 255) // max(1, width - 1)
    green = ((x * x + 3 * y * y) * 2654435761 >> 7) % 256
    blue = np.where((x // 5 + y // 7) % 2 == 0, 230, 15)
    pixels = np.stack([red, green, blue], axis=2).astype(np.uint8)
    return Image.fromarray(pixels)


PICTURES: Final[dict[str, Callable[[], Image.Image]]] = {
    "wide": lambda: picture(640, 427),
    "tall": lambda: picture(301, 500),
    "small": lambda: picture(60, 45),
    "exact": lambda: picture(256, 256),
    "odd_margins": lambda: picture(257, 256),
    "sliver": lambda: picture(1200, 31),
}


def png(image: Image.Image) -> bytes:
    """Return the image encoded without loss."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def png_text(image: Image.Image) -> str:
    """Return `png` as base64 text."""
    return base64.b64encode(png(image)).decode()

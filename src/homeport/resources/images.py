"""Which serving images our own worker stands in for."""

import re
from typing import Final

# The prebuilt prediction images of Vertex AI: every region's registry, every version.
_PREBUILT: Final = re.compile(
    r"(?:[a-z]+-docker\.pkg\.dev/vertex-ai(?:-restricted)?/prediction"
    r"|gcr\.io/cloud-aiplatform/prediction)"
    r"/([a-z0-9_]+)-(?:cpu|gpu)\.[0-9]+-[0-9]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?"
)
_FRAMEWORKS: Final = {
    "pytorch": "PyTorch",
    "sklearn": "scikit-learn",
    "tf": "TensorFlow",
    "tf2": "TensorFlow",
    "xgboost": "XGBoost",
}
_OURS: Final = "PyTorch"
# The reference of an image: no option of a command line, no blank, no control.
_REFERENCE: Final = re.compile(r"[A-Za-z0-9][\w./:@-]{0,511}", re.ASCII)


def prebuilt_framework(image_uri: str) -> str:
    """Return whose prebuilt image of Vertex AI this is, "" for any other image."""
    found = _PREBUILT.fullmatch(image_uri)
    return _FRAMEWORKS.get(found[1], found[1]) if found else ""


def runs_archives(image_uri: str) -> bool:
    """Tell whether a version with this image is a `.mar` for our own worker.

    True for no image at all and for Vertex AI's prebuilt PyTorch images, each of which
    is TorchServe on one `model.mar`.
    """
    return not image_uri or prebuilt_framework(image_uri) == _OURS


def is_reference(image_uri: str) -> bool:
    """Tell whether a container engine could know an image by this name."""
    return _REFERENCE.fullmatch(image_uri) is not None

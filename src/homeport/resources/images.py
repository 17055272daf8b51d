"""Which serving images our own worker stands in for."""

import re
from typing import Final

# The prebuilt prediction images of Vertex AI for PyTorch: every region's registry,
# every version. Each is TorchServe on one `model.mar`, which is what our worker does.
_PREBUILT_PYTORCH: Final = re.compile(
    r"(?:[a-z]+-docker\.pkg\.dev/vertex-ai/prediction|gcr\.io/cloud-aiplatform/prediction)"
    r"/pytorch-(?:cpu|gpu)\.[0-9]+-[0-9]+(?::[\w.-]+)?(?:@sha256:[0-9a-f]{64})?"
)


def runs_archives(image_uri: str) -> bool:
    """Tell whether a version with this image is a `.mar` for our own worker.

    True for no image at all and for Vertex AI's prebuilt PyTorch images.
    """
    return not image_uri or _PREBUILT_PYTORCH.fullmatch(image_uri) is not None

"""How what is imported is called where it is installed from."""

import re
from typing import Final

_SEPARATORS_RE: Final = re.compile(r"[-_.]+")
# Where the name imported is not the name installed; the one to advise comes first.
_NAMES: Final = {
    "Crypto": ("pycryptodome",),
    "PIL": ("pillow", "pillow-simd"),
    "attr": ("attrs",),
    "bs4": ("beautifulsoup4",),
    "cv2": (
        "opencv-python-headless",
        "opencv-python",
        "opencv-contrib-python-headless",
        "opencv-contrib-python",
    ),
    "dateutil": ("python-dateutil",),
    "dotenv": ("python-dotenv",),
    "faiss": ("faiss-cpu", "faiss-gpu"),
    "fitz": ("pymupdf",),
    "jwt": ("pyjwt",),
    "magic": ("python-magic",),
    "onnxruntime": ("onnxruntime", "onnxruntime-gpu"),
    "skimage": ("scikit-image",),
    "sklearn": ("scikit-learn",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "umap": ("umap-learn",),
    "yaml": ("pyyaml",),
}


def normalize(name: str) -> str:
    """Return a distribution's name as indexes compare it: `Foo_Bar` is `foo-bar`."""
    return _SEPARATORS_RE.sub("-", name).lower()


def is_renamed(module: str) -> bool:
    """Tell whether `module` is known to come from a package of another name."""
    return module.partition(".")[0] in _NAMES


def advise(module: str) -> str:
    """Return the package to install for `module`; a guess where it is not known."""
    top = module.partition(".")[0]
    return _NAMES.get(top, (top,))[0]


def candidates(module: str) -> frozenset[str]:
    """Return the packages that may provide `module`, their names normalized.

    Those known to, and any called like the module or a package above it, as
    google-cloud-storage is for `google.cloud.storage`.
    """
    parts = module.split(".")
    spelled = ("-".join(parts[:end]) for end in range(1, len(parts) + 1))
    return frozenset((*map(normalize, spelled), *_NAMES.get(parts[0], ())))

"""Labels: what people hang on models, versions, endpoints and jobs."""

import re
from collections.abc import Mapping
from typing import Final

from homeport.errors import InvalidArgumentError

MAX_LABEL = 64  # code points, for keys and values alike
_LABEL_RE: Final = re.compile(r"[\w-]{0,64}")


def check_labels(labels: Mapping[str, str]) -> None:
    """Refuse labels outside the field's grammar.

    Raises:
        InvalidArgumentError: A key or value over 64 code points, or with characters
            other than lower-case letters, digits, '_' and '-'; an empty key.
    """
    for key, value in labels.items():
        for text in (key, value):
            # Model.labels (aiplatform v1 model.proto): international letters allowed.
            if not _LABEL_RE.fullmatch(text) or text != text.lower():
                raise InvalidArgumentError(
                    f"label {key!r}: {value!r}: at most {MAX_LABEL} "
                    "lower-case letters, digits, '_' and '-'"
                )
        if not key:
            raise InvalidArgumentError(f"label with value {value!r} has an empty key")

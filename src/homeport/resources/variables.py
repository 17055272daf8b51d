"""References to variables in a container's words: $(NAME), as in Kubernetes."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

# ModelContainerSpec.env and .args (aiplatform v1): $(NAME) is replaced where NAME is
# known and else left as it is; $$ is one $, so $$(NAME) is never replaced.
_REFERENCE: Final = re.compile(r"\$(?:(\$)|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with its references to these variables replaced by their values."""

    def replacement(found: re.Match[str]) -> str:
        return "$" if found[1] else variables.get(found[2], found[0])

    return _REFERENCE.sub(replacement, text)


def expand_all(
    given: Sequence[tuple[str, str]], known: Mapping[str, str]
) -> dict[str, str]:
    """Return variables, each expanded by the known ones and by those before it.

    Args:
        given: Names and values, in order.
        known: What is set already; kept in the result.
    """
    expanded = dict(known)
    for name, value in given:
        expanded[name] = expand(value, expanded)
    return expanded

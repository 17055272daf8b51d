"""What a worker printed or raised, without the values of its deployment's variables."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

# Shorter values are words and numbers that would blot out half the log.
_SHORTEST_SECRET: Final = 4


def redacted(lines: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return the lines with every value of `environment` replaced by its name.

    Of a value of several lines each line is a secret by itself, as a log has it.
    """
    secrets = {
        part: name
        for name, value in environment.items()
        for part in (value, *value.splitlines())
        if len(part) >= _SHORTEST_SECRET
    }
    if not secrets:
        return list(lines)
    # The longest first, so that no value hides inside another's remains.
    by_length = sorted(secrets, key=len, reverse=True)
    pattern = re.compile("|".join(map(re.escape, by_length)))
    return [pattern.sub(lambda found: f"[{secrets[found[0]]}]", line) for line in lines]

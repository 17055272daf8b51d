"""What a worker printed or raised, without the values of its deployment's variables."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

# Shorter values are words and numbers that would blot out half the log.
_SHORTEST_SECRET: Final = 4
# Letters alone, or digits alone, that are shorter may be part of a longer word or
# number that has nothing to do with them: "exit" is of "exited".
_SHORTEST_ANYWHERE: Final = 8
# A line end that is written as an escape is no letter of the word behind it.
_ESCAPE: Final = r"(?<=\\[abfnrtv])"


def redacted(lines: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Return the lines with every value of `environment` replaced by its name.

    Of a value of several lines each line is a secret by itself, as a log has it. A
    short word or number is replaced only where it stands by itself, anything else
    anywhere.
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
    pattern = re.compile("|".join(map(_pattern, by_length)))
    return [pattern.sub(lambda found: f"[{secrets[found[0]]}]", line) for line in lines]


def _pattern(secret: str) -> str:
    found = re.escape(secret)
    if len(secret) >= _SHORTEST_ANYWHERE:
        return found
    if secret.isdecimal():
        return rf"(?<!\d){found}(?!\d)"
    if secret.isalpha():
        return rf"(?:(?<![^\W\d_])|{_ESCAPE}){found}(?![^\W\d_])"
    return found

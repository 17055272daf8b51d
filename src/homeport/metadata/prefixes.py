"""Prefixes of text as bounds, which an index can use."""


def after_prefix(prefix: str) -> str:
    """Return the first string after all that begin with `prefix`, "" if none is."""
    for index in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[index]) + 1
        if following == 0xD800:  # noqa: PLR2004  # surrogates are not characters
            following = 0xE000
        if following <= 0x10FFFF:  # noqa: PLR2004  # the last code point
            return prefix[:index] + chr(following)
    return ""

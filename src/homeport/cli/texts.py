"""Text from elsewhere as a terminal may show it."""


def printable(text: str) -> str:
    """Return `text` as a terminal only shows it: no control sequence survives."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)

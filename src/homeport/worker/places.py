"""Messages without the server's paths: an author sees names, never where they are."""

import os
import pathlib
import re
import site
import sys
import sysconfig
from typing import Final

_PACKAGE: Final = pathlib.Path(__file__).parents[1]


def without_server_paths(text: str, model_dir: pathlib.Path) -> str:
    """Return `text` with the places of this process by their names.

    A file of the archive stands alone (`handler.py`), one of a library begins with
    `site-packages/` or `python/`, one of the private directory with `~/`.
    """
    names = _names(model_dir)
    # The longest first: packages may lie inside the standard library's directory.
    for place in sorted(names, key=len, reverse=True):
        if place not in text:
            continue  # far quicker than to have the pattern find nothing
        inside, alone = names[place]
        start = rf"(?<![\w.-]){re.escape(place)}"
        text = re.sub(f"{start}/", inside, text)
        text = re.sub(rf"{start}(?![\w.-])", alone, text)
    return text


def _names(model_dir: pathlib.Path) -> dict[str, tuple[str, str]]:
    """Return for each place the beginning of a path in it, and its own name."""
    paths = sysconfig.get_paths()
    standard = (paths["stdlib"], paths["platstdlib"])
    packages = (
        *site.getsitepackages(),
        site.getusersitepackages(),
        paths["purelib"],
        paths["platlib"],
        # Those that a .pth file has added, which lie anywhere.
        *(
            entry
            for entry in sys.path
            if pathlib.Path(entry).is_absolute() and not entry.startswith(standard)
        ),
    )
    named = {os.environ.get("HOME", ""): ("~/", "~")}
    named |= dict.fromkeys(packages, ("site-packages/", "site-packages"))
    named |= dict.fromkeys(standard, ("python/", "python"))
    named[str(_PACKAGE)] = ("homeport/", "homeport")
    named[str(model_dir.resolve())] = named[str(model_dir)] = ("", "the archive")
    return {place: names for place, names in named.items() if len(place) > 1}

"""What an environment of a model's own sees of Homeport: the child's half, no more.

Such an environment has no Homeport installed. It is given a folder that holds links to
the rooms a child needs and a script that starts it, so no other room can be imported
there, and nothing that is installed beside Homeport.
"""

import pathlib
from typing import Final

_PACKAGE: Final = pathlib.Path(__file__).parents[1]
_SEEN: Final = ("__init__.py", "errors.py", "resources", "archive", "worker")
_FOLDER: Final = ".homeport"
_SCRIPT: Final = """\
import runpy

runpy.run_module("homeport.worker", run_name="__main__", alter_sys=True)
"""


def lay_out(directory: pathlib.Path) -> pathlib.Path:
    """Make such a folder in `directory` and return it; Python can run it."""
    made = directory / _FOLDER
    package = made / "homeport"
    package.mkdir(parents=True)
    for name in _SEEN:
        (package / name).symlink_to(_PACKAGE / name)
    (made / "__main__.py").write_text(_SCRIPT, encoding="utf-8")
    return made


def rooms() -> tuple[str, ...]:
    """Return the paths of what is seen."""
    return tuple(str(_PACKAGE / name) for name in _SEEN)


def is_all_there_is() -> bool:
    """Tell whether this process is a worker in an environment of its model's own."""
    return _PACKAGE.parent.name == _FOLDER

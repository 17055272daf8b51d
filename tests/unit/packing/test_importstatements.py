"""What a file imports is read from its text, wherever in it the import stands."""

import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from homeport.errors import InvalidArgumentError
from homeport.packing import importstatements
from homeport.packing.importstatements import Source, Statement

REQUIRED, OPTIONAL = False, True


def _read(folder: Path, source: str) -> Source:
    path = folder / "handler.py"
    path.write_text(source)
    return importstatements.read(path)


@pytest.mark.parametrize(
    ("source", "statements"),
    [
        pytest.param("import a.b as c", [Statement(1, "a.b")], id="import"),
        pytest.param("import a, b", [Statement(1, "a"), Statement(1, "b")], id="two"),
        pytest.param("from a import b", [Statement(1, "a", ("b",))], id="from"),
        pytest.param("from a import *", [Statement(1, "a")], id="star"),
        pytest.param("from . import x", [Statement(1, ".", ("x",))], id="relative"),
        pytest.param("from ..a import x", [Statement(1, "..a", ("x",))], id="upwards"),
        pytest.param(
            "class A:\n    class B:\n        import a",
            [Statement(3, "a")],
            id="nested",
        ),
        pytest.param(
            "import importlib\nimportlib.import_module('a.b')",
            [Statement(1, "importlib"), Statement(2, "a.b")],
            id="import_module",
        ),
        pytest.param("import_module(name='a')", [Statement(1, "a")], id="by keyword"),
        pytest.param(
            "import_module('.b', 'a')", [Statement(1, "a.b")], id="with a package"
        ),
        pytest.param(
            "import_module('.b', __package__)", [Statement(1, ".b")], id="with its own"
        ),
        pytest.param("__import__('a')", [Statement(1, "a")], id="__import__"),
        pytest.param("import_module(chosen)", [], id="no literal"),
        pytest.param(
            "if TYPE_CHECKING:\n    import a\nelse:\n    import b",
            [Statement(4, "b")],
            id="TYPE_CHECKING",
        ),
        pytest.param(
            "if not typing.TYPE_CHECKING:\n    import a\nelse:\n    import b",
            [Statement(2, "a")],
            id="not TYPE_CHECKING",
        ),
        pytest.param(
            "if __name__ == '__main__':\n    import a", [], id="only as a script"
        ),
        pytest.param(
            "if __name__ != '__main__':\n    import a",
            [Statement(2, "a")],
            id="only as a module",
        ),
        pytest.param(
            "if flag:\n    import a\nelif other:\n    import b",
            [Statement(2, "a"), Statement(4, "b")],
            id="a branch is required",
        ),
    ],
)
def test_imports_are_found(
    source: str, statements: list[Statement], tmp_path: Path
) -> None:
    assert list(_read(tmp_path, source).statements) == statements


@pytest.mark.parametrize(
    ("source", "optional"),
    [
        pytest.param(
            "try:\n    import a\nexcept ImportError:\n    a = None",
            OPTIONAL,
            id="ImportError",
        ),
        pytest.param(
            "try:\n    import a\nexcept (OSError, ModuleNotFoundError):\n    pass",
            OPTIONAL,
            id="one of several",
        ),
        pytest.param("try:\n    import a\nexcept:\n    pass", OPTIONAL, id="bare"),
        pytest.param(
            "try:\n    x()\nexcept ImportError:\n    import a", OPTIONAL, id="instead"
        ),
        pytest.param(
            "try:\n    if x:\n        import a\nexcept Exception:\n    pass",
            OPTIONAL,
            id="deep inside",
        ),
        pytest.param(
            "with contextlib.suppress(ImportError):\n    import a",
            OPTIONAL,
            id="suppress",
        ),
        pytest.param(
            "if sys.version_info >= (3, 11):\n    import a", OPTIONAL, id="version"
        ),
        pytest.param(
            "if sys.platform == 'win32':\n    import a", OPTIONAL, id="platform"
        ),
        pytest.param("if os.name == 'nt':\n    import a", OPTIONAL, id="os"),
        pytest.param(
            "if importlib.util.find_spec('a'):\n    import a", OPTIONAL, id="find_spec"
        ),
        pytest.param(
            "try:\n    import a\nexcept ImportError as e:\n    raise SystemExit from e",
            REQUIRED,
            id="raised again",
        ),
        pytest.param(
            "try:\n    import a\nexcept KeyError:\n    pass", REQUIRED, id="KeyError"
        ),
        pytest.param(
            "try:\n    x()\nexcept KeyError:\n    import a", REQUIRED, id="no instead"
        ),
        pytest.param(
            "try:\n    x()\nexcept ImportError:\n    pass\nfinally:\n    import a",
            REQUIRED,
            id="finally",
        ),
        pytest.param("with open(x) as f:\n    import a", REQUIRED, id="another with"),
    ],
)
def test_an_import_is_optional_where_the_code_goes_on_without(
    source: str,
    optional: bool,  # noqa: FBT001  # parametrized
    tmp_path: Path,
) -> None:
    (found,) = _read(tmp_path, source).statements

    assert (found.module, found.optional) == ("a", optional)


@pytest.mark.parametrize(
    ("source", "late"),
    [
        pytest.param("if flag:\n    import a", False, id="a module's own branch"),
        pytest.param("class A:\n    import a", False, id="a class"),
        pytest.param(
            "class A:\n  def initialize(s, c):\n    import a", False, id="call"
        ),
        pytest.param("def handle(data, context):\n    import a", False, id="function"),
        pytest.param("def forward(x):\n  with b:\n    import a", False, id="with"),
        pytest.param(
            "def handle(d, c):\n  try:\n    import a\n  except KeyError:\n    pass",
            False,
            id="attempt",
        ),
        pytest.param("def plot():\n    import a", True, id="another function"),
        pytest.param("async def plot():\n    import a", True, id="a coroutine"),
        pytest.param("f = lambda: __import__('a')", True, id="lambda"),
        pytest.param(
            "def handle(d, c):\n  if d:\n    import a", True, id="branch of a call"
        ),
        pytest.param(
            "def handle(d, c):\n  if d:\n    pass\n  else:\n    import a",
            True,
            id="the other branch",
        ),
        pytest.param(
            "def handle(d, c):\n  match d:\n    case 1:\n      import a",
            True,
            id="case",
        ),
        pytest.param(
            "def handle(d, c):\n  try:\n    f()\n  except KeyError:\n    import a",
            True,
            id="when something failed",
        ),
        pytest.param(
            "def handle(d, c):\n  def plot():\n    import a", True, id="function in it"
        ),
        pytest.param(
            "def plot():\n  class A:\n    def __init__(s):\n      import a",
            True,
            id="class in a function",
        ),
    ],
)
def test_an_import_is_late_where_a_function_may_never_come_to_it(
    source: str,
    late: bool,  # noqa: FBT001  # parametrized
    tmp_path: Path,
) -> None:
    (found,) = _read(tmp_path, source).statements

    assert (found.module, found.late) == ("a", late)


@given(
    st.lists(
        st.sampled_from(
            ["def f():", "class A:", "if x:", "for x in y:", "with x:", "while x:"]
        ),
        max_size=12,
    )
)
def test_no_depth_hides_an_import(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[str]
) -> None:
    source = "import module_of_mine"
    for block in blocks:
        source = f"{block}\n{textwrap.indent(source, ' ')}"

    (found,) = _read(tmp_path_factory.mktemp("source"), source).statements

    assert (found.module, found.optional) == ("module_of_mine", False)


def test_a_long_sum_is_read(tmp_path: Path) -> None:
    source = "x = " + " + ".join(["'text'"] * 900) + "\nimport a\n"

    assert _read(tmp_path, source).statements == (Statement(2, "a"),)


@pytest.mark.parametrize(
    "source",
    [
        pytest.param("x = " + "(" * 5000, id="parentheses"),
        pytest.param("x = " + "-" * 200_000 + "1", id="a deep tree"),
    ],
)
def test_source_that_no_parser_takes_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"handler\.py"):
        _read(tmp_path, source)


def test_a_change_of_the_path_is_noticed(tmp_path: Path) -> None:
    changed = _read(tmp_path, "import sys\nsys.path.insert(0, 'lib')")

    assert changed.changes_path
    assert not _read(tmp_path, "import sys\nsys.exit(0)").changes_path

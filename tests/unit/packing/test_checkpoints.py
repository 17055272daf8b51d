"""What checkpoints would import is told without loading them."""

import collections
import io
import json
import os
import pathlib
import pickle
import time
import warnings
import zipfile
from collections.abc import Mapping

import pytest
import torch
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._weights_only_unpickler import _get_allowed_globals

from homeport.archive import mar, reading
from homeport.cli import main
from homeport.packing import checkpoints, pickles
from homeport.packing.checkpoints import Checkpoint

MANIFEST = b'{"model": {"modelName": "m", "handler": "base_handler"}}'


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch pwned",)


def _saved(model: object, *, legacy: bool = False) -> bytes:
    buffer = io.BytesIO()
    torch.save(model, buffer, _use_new_zipfile_serialization=not legacy)
    return buffer.getvalue()


def _script() -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), buffer)
    return buffer.getvalue()


def _archive(
    folder: pathlib.Path, files: Mapping[str, bytes], *, deflated: bool = False
) -> pathlib.Path:
    method = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    path = folder / "m.mar"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("MAR-INF/MANIFEST.json", MANIFEST)
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def _report(path: pathlib.Path) -> list[Checkpoint]:
    return list(checkpoints.report(path, reading.check(path)))


@pytest.mark.parametrize("deflated", [False, True])
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["w.pth", "pytorch_model.bin", "notes.txt"])
def test_a_checkpoint_that_would_run_code_is_named(
    name: str,
    legacy: bool,  # noqa: FBT001
    deflated: bool,  # noqa: FBT001
    tmp_path: pathlib.Path,
) -> None:
    model = {"w": torch.zeros(3), "e": Evil()}
    path = _archive(tmp_path, {name: _saved(model, legacy=legacy)}, deflated=deflated)

    (found,) = _report(path)

    assert found.path == name
    assert found.refused == ("posix.system",)
    assert "torch._utils._rebuild_tensor_v2" in found.imports
    assert not found.plain
    assert found.whole
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_is_plain(
    legacy: bool,  # noqa: FBT001
    tmp_path: pathlib.Path,
) -> None:
    state = torch.nn.Linear(2, 2).state_dict()

    (found,) = _report(_archive(tmp_path, {"w.pth": _saved(state, legacy=legacy)}))

    assert (found.plain, found.refused, found.whole) == (True, (), True)


@pytest.mark.parametrize("protocol", range(6))
def test_a_plain_pickle_of_every_protocol_is_read(
    protocol: int, tmp_path: pathlib.Path
) -> None:
    text = pickle.dumps([collections.OrderedDict(a=1), Evil()], protocol=protocol)

    (found,) = _report(_archive(tmp_path, {"vocab.pkl": text}))

    assert found.kind == "pickle"
    assert found.imports == ("collections.OrderedDict", "posix.system")
    assert found.refused == ("posix.system",)


def test_torchscript_imports_nothing(tmp_path: pathlib.Path) -> None:
    (found,) = _report(_archive(tmp_path, {"model.pt": _script()}))

    assert (found.kind, found.imports, found.whole) == ("TorchScript", (), True)


def test_what_is_no_checkpoint_is_not_listed(tmp_path: pathlib.Path) -> None:
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.npy", b"x")
    files = {
        "h.py": b"x = 1\n",
        "arrays.npz": other.getvalue(),
        "weights.bin": b"\x93" * 99,
    }

    assert _report(_archive(tmp_path, files)) == []


def test_a_name_cannot_be_hidden_on_the_stack() -> None:
    # "os" and "system", then a text that is taken away again before both are used.
    text = b"\x80\x04\x8c\x02os\x8c\x06system\x8c\x01x0\x93\x8c\x01y\x85R."

    assert pickles.scan(text).names == ("os.system",)


def test_a_name_that_is_computed_is_a_question_mark() -> None:
    text = b"\x80\x04\x8c\x02os\x8c\x01a\x8c\x01b\x86\x93."

    assert pickles.scan(text).refused == ("?",)


def test_a_second_pickle_behind_the_first_is_read_too() -> None:
    text = pickle.dumps({"a": 1}) + pickle.dumps(Evil())

    assert pickles.scan(text).refused == ("posix.system",)


def test_the_list_of_plain_names_is_torchs_own() -> None:
    plain = _get_allowed_globals()

    assert [name for name in plain if pickles.scan(_naming(name)).refused] == []
    for name in ("torch.load", "torch.hub.load", "builtins.eval", "torch.nn.Linear"):
        assert pickles.scan(_naming(name)).refused == (name,)


def _naming(name: str) -> bytes:
    module, _, attribute = name.rpartition(".")
    return b"\x80\x02c%s\n%s\n." % (module.encode(), attribute.encode())


def test_what_follows_a_pickle_may_have_a_backslash_where_a_text_would_be() -> None:
    first = pickle.dumps({"weight": 1.0}, protocol=2)

    scanned = pickles.scan(first + b"c\\model\nname\n.")

    assert (scanned.names, scanned.plain, scanned.whole) == ((), True, True)


def test_endless_opcodes_are_given_up() -> None:
    started = time.monotonic()

    found = pickles.scan(b"\x80\x02" + b"N0" * (8 << 20))

    assert not found.whole
    assert time.monotonic() - started < 20


def test_a_broken_nested_zip_is_told_as_unread(tmp_path: pathlib.Path) -> None:
    (found,) = _report(_archive(tmp_path, {"w.pth": _saved({"a": 1})[:-30]}))

    assert not found.whole


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from([_saved({"a": Evil()}), pickle.dumps(Evil()), _script()]),
    st.floats(0, 1, exclude_max=True),
    st.binary(min_size=1, max_size=6),
    st.integers(0, 60),
)
def test_changed_checkpoints_never_stop_the_report(
    text: bytes, where: float, new: bytes, cut: int
) -> None:
    at = int(where * len(text))
    changed = (text[:at] + new + text[at + len(new) :])[: len(text) - cut]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", MANIFEST)
        archive.writestr("w.pth", changed)
    inventory = mar.check(buffer)

    with mar.looking_into(buffer) as open_member:
        found = checkpoints.look_at(inventory, open_member)

    assert len(found) <= 1


def test_a_laid_out_folder_is_read_as_well(tmp_path: pathlib.Path) -> None:
    path = _archive(tmp_path, {"w.pth": _saved({"e": Evil()})})
    mar.extract(path, tmp_path / "out")

    (found,) = _report(tmp_path / "out")

    assert found.refused == ("posix.system",)


def test_inspect_shows_it(tmp_path: pathlib.Path) -> None:
    path = _archive(
        tmp_path, {"w.pth": _saved({"e": Evil()}), "s.pth": _saved({"a": 1})}
    )

    shown = CliRunner().invoke(main, ["inspect", str(path)]).stdout
    document = json.loads(
        CliRunner().invoke(main, ["inspect", str(path), "--output", "json"]).stdout
    )

    assert (
        "w.pth (torch.save): loading it whole imports posix.system and can run any "
        "code; weights_only refuses it\n"
    ) in shown
    assert "s.pth (torch.save): imports nothing that weights_only refuses\n" in shown
    assert document["checkpoints"][1] == {
        "path": "w.pth",
        "kind": "torch.save",
        "imports": ["posix.system"],
        "refused": ["posix.system"],
        "plain": False,
        "whole": True,
    }

"""What the kernel keeps from a process: Landlock, by system calls; and root's powers.

What is not allowed here is refused from then on, to the process and to all it starts,
for ever. Run as a script, with rules and a command, it becomes that command under them;
so it imports the standard library alone.
"""

import ctypes
import dataclasses
import enum
import json
import os
import stat
import sys
from collections.abc import Mapping
from typing import Final

# The same numbers on every architecture that Linux still gains calls on.
_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
_ASK_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITIES_VERSION: Final = 0x20080522
_COVER: Final = "_"


class _Right(enum.IntFlag):
    """LANDLOCK_ACCESS_FS_* of <linux/landlock.h>, in its order."""

    EXECUTE = enum.auto()
    WRITE_FILE = enum.auto()
    READ_FILE = enum.auto()
    READ_DIR = enum.auto()
    REMOVE_DIR = enum.auto()
    REMOVE_FILE = enum.auto()
    MAKE_CHAR = enum.auto()
    MAKE_DIR = enum.auto()
    MAKE_REG = enum.auto()
    MAKE_SOCK = enum.auto()
    MAKE_FIFO = enum.auto()
    MAKE_BLOCK = enum.auto()
    MAKE_SYM = enum.auto()
    REFER = enum.auto()
    TRUNCATE = enum.auto()
    IOCTL_DEV = enum.auto()


_READ: Final = _Right.EXECUTE | _Right.READ_FILE | _Right.READ_DIR
_WRITE: Final = (
    _READ
    | _Right.WRITE_FILE
    | _Right.REMOVE_DIR
    | _Right.REMOVE_FILE
    | _Right.MAKE_DIR
    | _Right.MAKE_REG
    | _Right.MAKE_SOCK
    | _Right.MAKE_FIFO
    | _Right.MAKE_SYM
    | _Right.REFER
    | _Right.TRUNCATE
)
_DEVICE: Final = _WRITE | _Right.IOCTL_DEV
_OF_FILES: Final = (
    _Right.EXECUTE
    | _Right.WRITE_FILE
    | _Right.READ_FILE
    | _Right.TRUNCATE
    | _Right.IOCTL_DEV
)
_WITH_REFER, _WITH_TRUNCATE, _WITH_TCP, _WITH_IOCTL, _WITH_SCOPES = 2, 3, 4, 5, 6
_TCP: Final = 0b11
# Abstract Unix sockets, and signals to processes that are not under these rules.
_SCOPES: Final = 0b11


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """What a process may still reach; all else is refused.

    Attributes:
        read: Files and folders, with all below, to read and to execute.
        write: Likewise, to change as well.
        devices: Likewise, to control as well.
        tcp: Whether it may connect and listen by TCP.
    """

    read: tuple[str, ...] = ()
    write: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    tcp: bool = True

    def to_json(self) -> str:
        """Return them as text."""
        return json.dumps([self.read, self.write, self.devices, self.tcp])

    @classmethod
    def from_json(cls, text: str) -> "Rules":
        """Return the rules that `to_json` gave `text` for."""
        read, write, devices, tcp = json.loads(text)
        return cls(tuple(read), tuple(write), tuple(devices), bool(tcp))


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def version() -> int:
    """Return the version of the kernel's Landlock, 0 where there is none."""
    if sys.platform != "linux":
        return 0
    found: int = ctypes.CDLL(None, use_errno=True).syscall(
        _CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_ASK_VERSION)
    )
    return max(found, 0)


def can_close_tcp() -> bool:
    """Tell whether the kernel's Landlock knows of TCP."""
    return version() >= _WITH_TCP


def restrict(rules: Rules) -> None:
    """Put this process under the rules, and give up all capabilities.

    Where there is no Landlock only the latter. The process has one thread. Paths that
    are not there are passed over.

    Raises:
        OSError: The kernel has Landlock and refuses.
    """
    if sys.platform != "linux":
        return
    _check(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    known = version()
    if known:
        _enter(rules, known)
    # Root could look into other processes: with CAP_PERFMON past Landlock's refusal.
    header = (ctypes.c_uint32 * 2)(_CAPABILITIES_VERSION, 0)
    _check(_libc().capset(header, (ctypes.c_uint32 * 6)()))


def _enter(rules: Rules, known: int) -> None:
    handled = _handled(known)
    attributes = _Attributes(
        handled,
        0 if rules.tcp or known < _WITH_TCP else _TCP,
        _SCOPES if known >= _WITH_SCOPES else 0,
    )
    size = 8 if known < _WITH_TCP else 16 if known < _WITH_SCOPES else 24
    ruleset = _check(
        _libc().syscall(
            _CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), 0
        )
    )
    try:
        for paths, rights in (
            (rules.read, _READ),
            (rules.write, _WRITE),
            (rules.devices, _DEVICE),
        ):
            for path in paths:
                _allow(ruleset, path, rights & handled)
        _check(_libc().syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)


def _handled(known: int) -> _Right:
    handled = ~_Right(0)
    for since, right in (
        (_WITH_REFER, _Right.REFER),
        (_WITH_TRUNCATE, _Right.TRUNCATE),
        (_WITH_IOCTL, _Right.IOCTL_DEV),
    ):
        if known < since:
            handled &= ~right
    return handled


def _allow(ruleset: int, path: str, rights: _Right) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # Not there, or not for this user: nothing to allow.
        return
    try:
        if not stat.S_ISDIR(os.fstat(place).st_mode):
            rights &= _OF_FILES
        rule = _PathBeneath(rights, place)
        _check(
            _libc().syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
        )
    finally:
        os.close(place)


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"the sandbox was refused: {os.strerror(number)}")
    return result


def command(python: str, rules: Rules, wanted: list[str]) -> list[str]:
    """Return the command that is `wanted` under the rules from its first instruction.

    It is to be run with what `covered` gives.

    Args:
        python: An interpreter; nothing that is installed for it is imported.
        rules: What it may reach.
        wanted: A program's path, and its arguments.
    """
    return [python, "-I", "-S", __file__, rules.to_json(), *wanted]


def covered(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables under names that mean nothing before the rules hold.

    Some, as LD_PRELOAD, have code loaded before a program's first instruction.
    """
    return {f"{_COVER}{name}": value for name, value in environment.items()}


def _become(rules: Rules, wanted: list[str]) -> None:
    restrict(rules)
    cover = _COVER.encode()
    environment = {
        name.removeprefix(cover): value
        for name, value in os.environb.items()
        if name.startswith(cover)
    }
    os.execve(wanted[0], wanted, environment)  # noqa: S606  # it is what this is for


if __name__ == "__main__":
    _become(Rules.from_json(sys.argv[1]), sys.argv[2:])

"""The values of options that are an age or a size, with their unit: 30d, 500M."""

import re
from typing import Final

import click

_AGE_RE: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhdw])", re.ASCII)
_AGE_S: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE_RE: Final = re.compile(r"([0-9]{1,15})(?:([KMGT])(?:iB)?)?", re.ASCII)
_SIZE_BYTES: Final = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def age_s(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> float | None:
    """Return an age as 12h or 30d in seconds; None for none."""
    del ctx
    if value is None:
        return None
    match = _AGE_RE.fullmatch(value)
    if match is None:
        raise click.BadParameter(
            f"{value!r} is no age: write a number and s, m, h, d or w, as in 30d",
            param=parameter,
        )
    return float(match[1]) * _AGE_S[match[2]]


def size_bytes(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> int | None:
    """Return a size as 500M or 20GiB, powers of 1024, in bytes; None for none."""
    del ctx
    if value is None:
        return None
    match = _SIZE_RE.fullmatch(value)
    if match is None:
        raise click.BadParameter(
            f"{value!r} is no size: write bytes, or a number and K, M, G or T, as in "
            "20G",
            param=parameter,
        )
    return int(match[1]) * _SIZE_BYTES[match[2] or ""]

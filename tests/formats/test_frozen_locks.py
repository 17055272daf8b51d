"""Locks that lie in archives of older versions are read, and written the same."""

import pathlib

from homeport.archive import lockfile
from homeport.archive.lockfile import Pin

FROZEN = pathlib.Path(__file__).parent / "homeport_0.1.0.lock"


def test_a_lock_of_the_first_version_means_what_it_meant() -> None:
    text = FROZEN.read_text()

    lock = lockfile.parse(text)

    assert lock.pins == (
        Pin(
            "numpy",
            "2.4.6",
            ("89cd468399cfd2504718f0ba50e410dca55a170b61a02ad92bb18c8a65186e93",),
        ),
        Pin("torch", "2.13.0"),
        Pin(
            "typing-extensions",
            "4.16.0",
            ("481caa481374e813c1b176ada14e97f1f67a4539ce9cfeb3f350d78d6370c2e8",),
        ),
    )
    assert lockfile.make(lock.python, lock.platform, lock.pins).text == text
    # Environments are named by it.
    assert lock.digest == (
        "963ad80403428f243e86788297f3ee40dcae44c9237ce811248e7bda15a0aa4a"
    )

"""A step is ended once, and not where what it just made would be lost."""

import os
import signal

import pytest

from homeport.pipelines.cancelling import Cancellation, by_signals


def test_a_signal_ends_the_step() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with pytest.raises(SystemExit) as ended, by_signals():
        os.kill(os.getpid(), signal.SIGTERM)

    assert ended.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_asked_while_something_is_held_is_done_after_it() -> None:
    cancellation = Cancellation()
    done = []

    def make() -> None:
        with cancellation.held():
            cancellation.ask(signal.SIGINT)
            done.append("made")

    with pytest.raises(SystemExit):
        make()

    assert done == ["made"]


def test_nothing_interrupts_the_tidying_up() -> None:
    cancellation = Cancellation()
    with pytest.raises(SystemExit):
        cancellation.ask(signal.SIGTERM)

    cancellation.ask(signal.SIGTERM)
    with cancellation.held():
        cancellation.ask(signal.SIGTERM)


def test_nothing_is_broken_off_once_it_is_closed() -> None:
    cancellation = Cancellation()

    cancellation.close()

    cancellation.ask(signal.SIGTERM)
    with cancellation.held():
        cancellation.ask(signal.SIGINT)

"""`homeport`, and `python -m homeport`."""

import signal


def main() -> None:
    """Run the command; Ctrl-C ends it without a word until it can say one."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    # Deferred: importing takes as long as many a command.
    from homeport.cli import main as commands  # noqa: PLC0415

    commands()


if __name__ == "__main__":
    main()

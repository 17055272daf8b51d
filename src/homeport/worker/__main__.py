"""`python -m homeport.worker --fd N`: started by `process`, never by people."""

import argparse
import sys

from homeport.worker import child


def main(fd: int, frameworks: list[str] | None) -> int:
    """Serve over the socket `fd`, as a zygote where there are frameworks to import.

    What a zygote has forked returns from here too, as a worker.
    """
    if frameworks is None:
        child.prepare_process()
        child.end_with_parent()
        child.enter_environment()
        return child.main(fd)
    # Deferred: a process that is spawned needs none of it.
    from homeport.worker import zygote  # noqa: PLC0415

    birth = zygote.serve(fd, frameworks)
    if birth is not None:
        child.leave(child.main(birth.link_fd))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m homeport.worker")
    parser.add_argument("--fd", type=int, required=True, help="the socket to serve")
    parser.add_argument(
        "--zygote", nargs="*", metavar="MODULE", help="import these, and fork"
    )
    options = parser.parse_args()
    sys.exit(main(options.fd, options.zygote))

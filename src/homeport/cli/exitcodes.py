"""With what a command ends; docs/cli.md has the table.

2, a command that was not understood, is click's own; 3, an archive that failed its
check, is `homeport check`'s.
"""

import signal
from typing import Final

from homeport.errors import Code, HomeportError

REFUSED: Final = 1
NO_ANSWER: Final = 4
INTERRUPTED: Final = 128 + signal.SIGINT


def is_silence(error: HomeportError) -> bool:
    """Tell whether a command failed as no server answered, or not in time."""
    late = error.code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}
    # The failure of an operation, which it names, is an answer.
    return late and not error.resource

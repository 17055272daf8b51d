"""With what a command ends; docs/cli.md has the table.

2, a command that was not understood, is click's own; 3, an archive that failed its
check, is `homeport check`'s.
"""

import signal
from typing import Final

REFUSED: Final = 1
NO_ANSWER: Final = 4
INTERRUPTED: Final = 128 + signal.SIGINT

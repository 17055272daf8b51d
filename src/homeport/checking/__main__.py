"""`python -m homeport.checking`: started by `apart`, never by people."""

import sys

if __name__ == "__main__":
    try:
        from homeport.checking import child

        sys.exit(child.main())
    except KeyboardInterrupt:
        # Before it had begun: as shells have it for SIGINT.
        sys.exit(130)

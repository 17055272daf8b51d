"""`python -m homeport.checking`: started by `apart`, never by people."""

import sys

from homeport.checking import child

if __name__ == "__main__":
    sys.exit(child.main())

"""`python -m homeport.worker --fd N`: started by `replica`, never by people."""

import argparse
import sys

from homeport.worker import child

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m homeport.worker")
    parser.add_argument("--fd", type=int, required=True, help="the socket to serve")
    sys.exit(child.main(parser.parse_args().fd))

# Does what a row asks for; each of these has been seen in somebody's handler.
import os
import signal
import subprocess
import sys
import time

from ts.utils.util import PredictionException

LEAKED = []


class Handler:
    def initialize(self, context):
        self.context = context
        self.model_dir = context.system_properties["model_dir"]
        if os.environ.get("ON_LOAD") == "sleep":
            time.sleep(3600)
        if os.environ.get("ON_LOAD") == "exit":
            print("giving up", flush=True)
            os._exit(3)
        if os.environ.get("ON_LOAD") == "kill":
            os.kill(os.getpid(), signal.SIGKILL)

    def handle(self, data, context):
        if not all(isinstance(row, dict) for row in data):
            return data
        if any("too_many" in row for row in data):
            return [0] * (len(data) + 1)
        return [self.act(**row) for row in data]

    def act(self, do="", value=None):
        if do == "raise":
            raise ValueError(value)
        if do == "refuse":
            raise PredictionException("no such user", 404)
        if do == "print":
            print(value, flush=True)
        if do == "print_long":
            print("x" * value, flush=True)
        if do == "exit":
            sys.exit(value)
        if do == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if do == "sleep":
            time.sleep(value)
        if do == "nan":
            return float("nan")
        if do == "object":
            return object()
        if do == "environment":
            return dict(os.environ)
        if do == "cwd":
            return [os.getcwd() == self.model_dir, os.path.realpath(sys.path[0])]
        if do == "leak":
            LEAKED.append(b"x" * value)
            return sum(map(len, LEAKED))
        if do == "grandchild":
            return subprocess.Popen(["sleep", "3600"]).pid
        return value

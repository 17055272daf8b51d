"""One deployment, as a step of a pipeline does it: URL VERSION."""

import sys

from homeport.pipelines import steps
from homeport.pipelines.deploying import Deployment, Machine
from homeport.pipelines.place import Place

URL, VERSION = sys.argv[1:]

steps.deploy(
    Deployment(
        place=Place("p", "us-central1", URL),
        version=VERSION,
        endpoint="",
        endpoint_display_name="slow",
        display_name="slow",
        machine=Machine(machine_type="n1-standard-2"),
    )
)

"""One upload, as a step of a pipeline does it: URL MODEL STAGING PARENT."""

import sys

from homeport.pipelines import steps
from homeport.pipelines.place import Place
from homeport.pipelines.uploadspec import Entry, ModelFiles, Serving, UploadSpec

URL, MODEL, STAGING, PARENT = sys.argv[1:]

steps.upload(
    UploadSpec(
        place=Place("p", "us-central1", URL),
        files=ModelFiles(
            folder=MODEL, weights="mlp.pt", staging=STAGING, handler="handler.py"
        ),
        serving=Serving(
            custom=False,
            image="europe-docker.pkg.dev/vertex-ai/prediction/pytorch-cpu.1-12:latest",
            health_route="/ping",
            predict_route="/predictions/model",
        ),
        entry=Entry(display_name="slow", parent=PARENT, is_default=True),
    )
)

"""The FastAPI peer: what one writes by hand for these two models.

Runs in the peers' environment, which knows nothing of Homeport.
"""

import os
import pathlib
from typing import Any

import fastapi
import pydantic
import torch

torch.set_num_threads(1)
MODELS = pathlib.Path(os.environ["BENCHMARK_MODELS"])
mlp = torch.jit.load(str(MODELS / "mlp.pt"))
cnn = torch.jit.load(str(MODELS / "cnn.pt"))
app = fastapi.FastAPI()


class Rows(pydantic.BaseModel):
    instances: list[list[float]]


class Images(pydantic.BaseModel):
    instances: list[list[list[list[float]]]]


class Scores(pydantic.BaseModel):
    predictions: list[list[float]]


def predict(model: torch.nn.Module, instances: list[Any]) -> Scores:
    with torch.inference_mode():
        return Scores(predictions=model(torch.tensor(instances)).tolist())


@app.get("/health")
def health() -> dict[str, str]:
    return {"status": "ok"}


# As FastAPI advises for code that blocks: in its pool of threads.
@app.post("/threads/mlp")
def predict_mlp(rows: Rows) -> Scores:
    return predict(mlp, rows.instances)


@app.post("/threads/cnn")
def predict_cnn(images: Images) -> Scores:
    return predict(cnn, images.instances)


# In the event loop itself: faster with models of a few milliseconds.
@app.post("/loop/mlp")
async def predict_mlp_in_loop(rows: Rows) -> Scores:
    return predict(mlp, rows.instances)


@app.post("/loop/cnn")
async def predict_cnn_in_loop(images: Images) -> Scores:
    return predict(cnn, images.instances)

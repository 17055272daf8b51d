"""MLflow's own batch prediction of the same rows, in the environment that has MLflow.

    python mlflow_batch.py save MODEL.pt FOLDER
    python mlflow_batch.py predict FOLDER IN.jsonl OUT.jsonl

What its users run: a saved model, loaded by `pyfunc`, and a data frame.
"""

import sys
import time
import warnings

warnings.simplefilter("ignore")

import mlflow.pyfunc  # noqa: E402  # it warns when it is imported
import pandas as pd  # noqa: E402
import torch  # noqa: E402


class Scores(mlflow.pyfunc.PythonModel):
    """The TorchScript file behind MLflow's interface."""

    def load_context(self, context: mlflow.pyfunc.PythonModelContext) -> None:
        """Load it, once for a process."""
        self.model = torch.jit.load(context.artifacts["model"]).eval()

    def predict(
        self, context: mlflow.pyfunc.PythonModelContext, model_input: pd.DataFrame
    ) -> list[list[float]]:
        """Return a list of scores for each row."""
        del context
        with torch.inference_mode():
            rows = torch.from_numpy(model_input.to_numpy("float32"))
            scores: list[list[float]] = self.model(rows).tolist()
            return scores


def main() -> None:
    """Do what the command line says."""
    verb, *paths = sys.argv[1:]
    if verb == "save":
        model, folder = paths
        mlflow.pyfunc.save_model(
            folder, python_model=Scores(), artifacts={"model": model}
        )
        return
    folder, source, target = paths
    loaded = mlflow.pyfunc.load_model(folder)
    began = time.monotonic()
    rows = pd.DataFrame(pd.read_json(source, lines=True, dtype=float))
    rows = pd.DataFrame(rows.to_numpy())
    scores = loaded.predict(rows)
    frame = pd.DataFrame({"instance": rows.to_numpy().tolist(), "prediction": scores})
    frame.to_json(target, orient="records", lines=True)
    print(time.monotonic() - began)


main()

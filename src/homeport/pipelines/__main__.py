"""`python -m homeport.pipelines`: the components as YAML, for an image of one's own."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from kfp import compiler

from homeport.pipelines import components

FILES = {
    "component.yaml": components.upload_pytorch_model,
    "deploy_component.yaml": components.deploy_model,
    "batch_predict_component.yaml": components.batch_predict,
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the files of all components into a folder."""
    parser = argparse.ArgumentParser(
        prog="python -m homeport.pipelines", description="Write component.yaml."
    )
    parser.add_argument("folder", type=Path, help="where to; made if missing")
    parser.add_argument(
        "--image",
        default=components.IMAGE,
        help="the image that the components run in (default: %(default)s)",
    )
    given = parser.parse_args(arguments)
    given.folder.mkdir(parents=True, exist_ok=True)
    for name, component in FILES.items():
        path = given.folder / name
        spec = component.component_spec
        spec.implementation.container.image = given.image
        compiler.Compiler().compile(component, str(path))
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()

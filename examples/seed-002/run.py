"""Two pipelines that train, upload, deploy and predict, run on this machine.

    homeport serve                      # in another terminal
    python examples/seed-002/run.py [FOLDER] [--image IMAGE]

Needs `homeport[pipelines,torch]`. IMAGE is for the second pipeline, the one with a
custom container; the server's container engine has to have it.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import warnings

HERE = pathlib.Path(__file__).resolve().parent
SENTENCES = [
    "a ship at sea", "the sail of a boat", "a boat with one mast", "waves and a ship",
    "a crane on the quay", "the quay and the pier", "a pier with cranes", "a quay wall",
]  # fmt: skip
LABELS = [0, 0, 0, 0, 1, 1, 1, 1]
QUESTIONS = ["the ship and the waves", "a crane on the pier"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=pathlib.Path, default="demo/seed-002")
    parser.add_argument("--image")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(given.folder)
    sys.path.insert(0, str(HERE))
    url = os.environ.setdefault("HOMEPORT_URL", "http://127.0.0.1:8080")
    os.environ["STORAGE_EMULATOR_HOST"] = url
    warnings.simplefilter("ignore")

    from kfp import local

    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root="runs")
    subprocess.run([sys.executable, "-m", "homeport.pipelines", "."], check=True)
    put_files()
    shared = {"api_endpoint": url, "sentences": SENTENCES, "labels": LABELS}
    if given.image:
        import custom_container

        task = custom_container.pipeline(
            **shared, image=given.image, questions=QUESTIONS
        )
    else:
        import prebuilt

        task = prebuilt.pipeline(**shared, questions=QUESTIONS)
    print("predictions:", task.output)
    assert task.output == ["ship", "harbour"]


def put_files() -> None:
    """Put beside the model what is not of the training, and a batch to predict."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import storage

    client = storage.Client("your-project-id", AnonymousCredentials())
    bucket = client.lookup_bucket("your-bucket") or client.create_bucket("your-bucket")
    for name in ("custom_handler.py", "file_1.py", "file_2.py", "file_3.json",
                 "requirements.txt"):  # fmt: skip
        bucket.blob(f"extra/{name}").upload_from_filename(str(HERE / name))
    lines = "\n".join(f'{{"data": "{text}"}}' for text in QUESTIONS)
    bucket.blob("batches/texts.jsonl").upload_from_string(lines)


if __name__ == "__main__":
    main()

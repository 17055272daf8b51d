"""The steps of the team's own: a tokenizer and a model are trained.

Both write to the bucket, as training jobs do, and say where.
"""

from typing import NamedTuple

from kfp import dsl

# These run in an image of the team's, which has torch and google-cloud-storage.
training_step = dsl.component(
    base_image="your-training-python:1", install_kfp_package=False,
    packages_to_install=[],
)  # fmt: skip


@training_step
def tune_tokenizer(
    sentences: list,
) -> NamedTuple("Outputs", [("path_to_tokenizer", str)]):
    """Give each word a number."""
    import json
    from collections import namedtuple

    from google.cloud import storage

    words = sorted({word for text in sentences for word in text.lower().split()})
    vocabulary = {word: number for number, word in enumerate(words)}
    client = storage.Client("your-project-id")
    name = "tokenizers/vocabulary.json"
    client.bucket("your-bucket").blob(name).upload_from_string(json.dumps(vocabulary))
    answer = namedtuple("Outputs", ["path_to_tokenizer"])
    return answer(f"gs://your-bucket/{name}")


@training_step
def train_model(
    sentences: list, labels: list, path_to_tokenizer: str,
    model: dsl.Output[dsl.Model],
) -> None:  # fmt: skip
    """Fit a bag of words by gradient descent."""
    import datetime
    import json
    import os

    import torch
    from google.cloud import storage

    client = storage.Client("your-project-id")
    bucket = client.bucket("your-bucket")
    folder = f"models/{datetime.datetime.now(tz=datetime.UTC):%Y%m%d-%H%M%S-%f}"
    name = path_to_tokenizer.removeprefix("gs://your-bucket/")
    vocabulary = json.loads(bucket.blob(name).download_as_text())
    rows = torch.zeros(len(sentences), len(vocabulary))
    for row, text in zip(rows, sentences, strict=True):
        for word in text.lower().split():
            row[vocabulary[word]] += 1

    torch.manual_seed(0)
    network = torch.nn.Linear(len(vocabulary), 2)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    wanted = torch.tensor(labels, dtype=torch.long)
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(rows), wanted)
        loss.backward()
        optimizer.step()

    os.makedirs(model.path, exist_ok=True)
    torch.save(network.state_dict(), f"{model.path}/ckpt.pt")
    with open(f"{model.path}/log.txt", "w") as log:
        print("loss", loss.item(), file=log)
    for file in ("ckpt.pt", "log.txt"):
        bucket.blob(f"{folder}/{file}").upload_from_filename(f"{model.path}/{file}")
    # Where a pipeline keeps its files in a bucket, this is so by itself.
    model.uri = f"gs://your-bucket/{folder}"

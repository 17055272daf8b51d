"""Train the image classifier on scikit-learn's bundled digits, without a download.

    python examples/image_classifier/train.py --output build

writes into the output folder:
    model.pt               TorchScript, for base_handler and handler.py
    model_checkpoint.pth   state dict and configuration
    held_out/*.png         images the training never saw
    held_out.json          their labels: [{"file": "held_out/0.png", "label": "7"}, ...]
"""

import argparse
import json
import math
import time
import warnings
from pathlib import Path

import numpy as np
import torch
from model import ImageClassifier
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = 7
SIZE = (32, 32)
BATCH_SIZE = 32
MAX_LEARNING_RATE = 2e-3
EPOCHS = 4
MIN_ACCURACY = 0.97
HELD_OUT_IMAGES = 8


def digit_images() -> tuple[np.ndarray, np.ndarray]:
    """Return images (1797, 32, 32, 3) uint8 and labels (1797,) int64."""
    digits = load_digits()
    grey = np.rint(digits.images * (255 / 16)).astype(np.uint8)  # 8x8, values 0..16
    scaled = [
        Image.fromarray(image).convert("RGB").resize(SIZE, Image.Resampling.BILINEAR)
        for image in grey
    ]
    return np.stack([np.asarray(image) for image in scaled]), digits.target


def to_tensor(images: np.ndarray) -> torch.Tensor:
    """Return images as the model takes them, (batch, 3, 32, 32) float32 in -1..1."""
    pixels = images.astype(np.float32) / 127.5 - 1.0
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))


def accuracy(
    model: ImageClassifier, images: torch.Tensor, labels: torch.Tensor
) -> float:
    model.eval()
    with torch.inference_mode():
        return (model(images).argmax(dim=1) == labels).float().mean().item()


def train_epoch(
    model: ImageClassifier,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    images: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    """Go once through the images in random order and return the mean loss."""
    model.train()
    total_loss = 0.0
    for batch in torch.randperm(len(images)).split(BATCH_SIZE):
        loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total_loss += loss.item() * len(batch)
    return total_loss / len(images)


def train(
    model: ImageClassifier,
    train_set: tuple[torch.Tensor, torch.Tensor],
    test_set: tuple[torch.Tensor, torch.Tensor],
) -> float:
    """Train for all epochs and return the accuracy on the test set after the last."""
    optimizer = torch.optim.Adam(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=MAX_LEARNING_RATE,
        epochs=EPOCHS,
        steps_per_epoch=math.ceil(len(train_set[0]) / BATCH_SIZE),
    )
    reached = 0.0
    for epoch in range(1, EPOCHS + 1):
        started = time.monotonic()
        loss = train_epoch(model, optimizer, schedule, *train_set)
        reached = accuracy(model, *test_set)
        print(
            f"epoch {epoch} of {EPOCHS}: loss {loss:.3f}, "
            f"test accuracy {reached:.1%} ({time.monotonic() - started:.1f} s)",
            flush=True,
        )
    return reached


def save_torchscript(model: ImageClassifier, path: Path) -> None:
    with warnings.catch_warnings():
        # PyTorch 2.13 deprecates TorchScript, which is what base_handler loads.
        warnings.filterwarnings("ignore", r"`torch\.jit\.", DeprecationWarning)
        traced = torch.jit.trace(model, torch.zeros(1, 3, *SIZE))
        traced.save(str(path))


def save_checkpoint(model: ImageClassifier, path: Path) -> None:
    checkpoint = {
        "model_state_dict": model.state_dict(),
        "model_config": {"num_classes": 10, "input_channels": 3},
    }
    torch.save(checkpoint, path)


def save_held_out(images: np.ndarray, labels: np.ndarray, output: Path) -> None:
    folder = output / "held_out"
    folder.mkdir(exist_ok=True)
    entries = []
    for index, (image, label) in enumerate(zip(images, labels, strict=True)):
        Image.fromarray(image).save(folder / f"{index}.png")
        entries.append({"file": f"held_out/{index}.png", "label": str(label)})
    (output / "held_out.json").write_text(json.dumps(entries, indent=2) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the image classifier.")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    output: Path = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)

    images, labels = digit_images()
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, labels, test_size=0.2, random_state=SEED, stratify=labels
    )
    inputs, targets = to_tensor(train_images), torch.from_numpy(train_labels)
    test_inputs, test_targets = to_tensor(test_images), torch.from_numpy(test_labels)
    print(
        f"{len(inputs)} images to train on, {len(test_inputs)} to test with", flush=True
    )

    # Channels last is the faster layout for convolutions on a CPU.
    model = ImageClassifier(num_classes=10).to(memory_format=torch.channels_last)
    reached = train(model, (inputs, targets), (test_inputs, test_targets))
    if reached < MIN_ACCURACY:
        raise SystemExit(f"test accuracy {reached:.1%} is below {MIN_ACCURACY:.0%}")

    model.to(memory_format=torch.contiguous_format)
    save_torchscript(model, output / "model.pt")
    save_checkpoint(model, output / "model_checkpoint.pth")
    save_held_out(test_images[:HELD_OUT_IMAGES], test_labels[:HELD_OUT_IMAGES], output)
    print(f"saved model.pt, model_checkpoint.pth and held_out.json in {output}")


if __name__ == "__main__":
    main()

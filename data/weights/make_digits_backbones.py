"""Trains the two small backbones of the digits again: `python data/weights/make_digits_backbones.py`."""

import torch
from safetensors.torch import save_file

from qsmi_lib import datasets
from qsmi_lib.models.backbones import DigitsNetwork
from qsmi_lib.utils import paths
from qsmi_lib.utils.io import atomic_write

EPOCHS, BATCH = 100, 128


def train(*, labels: bool, seed: int = 0) -> DigitsNetwork:
    """A network trained on the digits' training set, to classify them or, without labels, to reconstruct them."""
    part = datasets.load("digits").train
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DigitsNetwork(10 if labels else 64)
        optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
        for _ in range(EPOCHS):
            for index in torch.randperm(len(part)).split(BATCH):
                outputs, images = network(part.inputs[index]), part.inputs[index]
                if labels:
                    loss = torch.nn.functional.cross_entropy(outputs, part.labels[index])
                else:
                    loss = torch.nn.functional.mse_loss(outputs, images.flatten(1))
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    return network.eval()


def write_both() -> None:
    """Train both and write their weights to the folder that `backbones.load` reads."""
    for name, labels in {"digits_labels": True, "digits_pixels": False}.items():
        with atomic_write(paths.WEIGHTS / f"{name}.safetensors") as partial:
            save_file(train(labels=labels).state_dict(), partial)


if __name__ == "__main__":
    write_both()

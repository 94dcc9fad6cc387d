"""An epoch of training, beside the authors' style of loop."""

from collections.abc import Callable

import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from qsmi_lib import datasets
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import Split
from qsmi_lib.losses.qsmi import qsmi_objective
from qsmi_lib.models import networks
from qsmi_lib.reproduction.bench.measure import machine, save, seconds, table
from qsmi_lib.training import factory
from qsmi_lib.training import loop as training
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import known

BITS = 48


class Pictures(Dataset):
    """A training part as the authors' demo reads it: a PIL picture a time, to a tensor, normalised."""

    def __init__(self, split: Split):
        module = datasets.DATASETS[split.name]
        pixels = (split.train.inputs.cpu() * module.std + module.mean).clamp(0.0, 1.0) * 255.0
        self.pixels, self.labels = pixels.round().to(torch.uint8).numpy(), split.train.labels.cpu()
        steps = [transforms.ToPILImage(), transforms.ToTensor(), transforms.Normalize((module.mean,), (module.std,))]
        self.transform = transforms.Compose(steps)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.transform(self.pixels[index].transpose(1, 2, 0)), self.labels[index]


def authors_style(split: Split, epochs: int) -> None:
    """The authors' style of loop: `DataLoader`, float32, each loss read by the host."""
    torch.manual_seed(0)
    device = split.train.inputs.device
    model = factory.build(split.name, BITS).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    loader = DataLoader(Pictures(split), batch_size=128, shuffle=True)
    for _ in range(epochs):
        for images, labels in loader:
            options = {"similarity": "cosine", "clamp": True}
            loss = qsmi_objective(model(images.to(device)), labels.to(device), alpha=0.01, **options)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()


def train(dataset: str, epochs: int) -> str:
    """Time an epoch of each loop on `dataset`; returns the table, which is also written to results/benchmarks.

    Raises:
        ValueError: a data set without a network of its own; those that have one are listed.
        FileNotFoundError: the data are not on this machine.
    """
    known("data set with a network of its own", networks.NETWORKS, dataset)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    split = datasets.load(dataset, device=device)
    device_precision = training.resolve_precision("auto", device)

    def library_loop(precision: str) -> Callable[[int], object]:
        return lambda n: training.train(configure(dataset, "qsmi", BITS, epochs=n, precision=precision), split)

    loops = {"authors' style: DataLoader, float32": lambda n: authors_style(split, n)}
    loops |= {
        f"qsmi_lib, {precision}": library_loop(precision) for precision in dict.fromkeys(["float32", device_precision])
    }
    took = {}
    for name, loop in bar(loops.items(), "timing", unit="loop"):
        loop(1)  # warm: memory, oneDNN's choice of kernels
        took[name] = seconds(lambda loop=loop: loop(epochs), device) / epochs
    base = next(iter(took.values()))
    return save(
        f"train-{dataset}",
        f"One epoch of QSMI at {BITS} bits, batch 128, on {dataset}: mean of {epochs} after one to warm up.\n"
        + machine(device),
        table(
            ["loop", "seconds an epoch", "share of the authors' style"],
            [[name, f"{value:.2f}", f"{value / base:.2f}"] for name, value in took.items()],
        ),
    )

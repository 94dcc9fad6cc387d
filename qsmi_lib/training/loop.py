"""One training loop for every method, and codes from a trained network."""

import ctypes
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, count, islice
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR

from qsmi_lib.codes import binarize
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.losses.qsmi import information_potentials, qsmi_loss
from qsmi_lib.losses.similarity import relevance_matrix
from qsmi_lib.methods import METHODS
from qsmi_lib.models import networks
from qsmi_lib.training import factory
from qsmi_lib.training.augmentation import AUGMENTATIONS
from qsmi_lib.training.memory import Memory
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar as progress_bar
from qsmi_lib.utils.validation import known

N_MEASURED = 1024  # the first training items, on which the information measures are computed
N_FIRST = 3  # batches whose losses are the probe of a record
SMALL = 256  # values in a picture: up to this size, the network is faster on one thread, as a narrow head is
SCHEDULES = {"constant": lambda optimizer, epochs: ConstantLR(optimizer, factor=1.0), "cosine": CosineAnnealingLR}


class Trained(NamedTuple):
    """The result of training.

    Attributes:
        model: the network after the last epoch, in evaluation mode.
        history: one dict for each epoch: the mean of the batches' losses, and, on the first 1,024 training items, the
            clamped QSMI loss (Eq. 19), QSMI (Eq. 13) and QMI (the same with the Gaussian kernel, sigma = 10).
        precision: the precision used, "float32" or "bf16".
        first_losses: the losses of the first three batches (or of all, if there are fewer), to six digits; empty if
            nothing is trained.
    """

    model: nn.Module
    history: list[dict[str, float]]
    precision: str
    first_losses: list[float]


def train(config: RunConfig, split: Split) -> Trained:
    """Train `config` on the training part of `split`, on the device of its tensors.

    Adam with PyTorch's default settings and no weight decay; the model of the last epoch is the result. As in the paper
    there is no schedule, augmentation or memory, unless `config` has one. A method that trains nothing is fitted to the
    inputs, and has no history.

    Raises:
        ValueError: an unknown method or data set; augmentation of inputs that are not pictures; a memory for a
            loss that compares items with targets instead of with each other.
        FloatingPointError: the mean loss of an epoch is not finite.
    """
    device = split.train.inputs.device
    precision = resolve_precision(config.precision, device)
    if known("method", METHODS, config.method).loss is None:
        model = factory.of(config).to(device)
        model.fit(split.train.inputs, config.seed)
        return Trained(model.eval(), [], "float32", [])
    with _seeded(config, device) as model:
        history, first_losses = descend(model, config, split, precision)
    return Trained(model.eval(), history, precision, first_losses)


def train_briefly(config: RunConfig, split: Split, n_batches: int, precision: str) -> Trained:
    """`train` in `precision`, but stop after `n_batches`, as a probe needs it; the history is empty."""
    device = split.train.inputs.device
    if known("method", METHODS, config.method).loss is None:
        return train(config, split)
    with _seeded(config, device) as model:
        steps = islice(chain.from_iterable(epochs(model, config, split, precision)), n_batches)
        losses = [rounded(loss.item()) for loss in steps]
    return Trained(model.eval(), [], precision, losses)


def descend(
    model: nn.Module, config: RunConfig, split: Split, precision: str
) -> tuple[list[dict[str, float]], list[float]]:
    """Train `model` in place for all epochs of `config`; returns history and first losses, see `Trained`."""
    history, first = [], []
    bar = progress_bar(epochs(model, config, split, precision), f"{config.method} {config.bits} bits", unit="epoch",
                       total=config.epochs)  # fmt: skip
    for epoch, steps in enumerate(bar, 1):
        total, n_batch = torch.zeros((), device=split.train.inputs.device), 0
        for loss in steps:
            total, n_batch = total + loss, n_batch + 1
            if len(first) < N_FIRST:
                first.append(loss)
        mean_loss = (total / n_batch).item()
        if not abs(mean_loss) < float("inf"):
            raise FloatingPointError(f"the loss became {mean_loss} in epoch {epoch} of {config}")
        measures = measure(model, split, precision, factory.batch_size(config))
        history.append({"epoch": epoch, "loss": mean_loss} | measures)
    return history, [rounded(loss.item()) for loss in first]


def epochs(model: nn.Module, config: RunConfig, split: Split, precision: str) -> Iterator[Iterator[Tensor]]:
    """The epochs of `config`, each an iterator over its steps: a step updates `model` and yields its loss, a scalar.

    The losses stay on the device, so that no step waits for it. Exhaust each epoch before the next one.
    """
    method, part, settings = METHODS[config.method], split.train, settings_of_loss(config)
    device = part.inputs.device
    if config.augmentation != "none" and not (part.inputs.ndim == 4 and part.inputs.is_floating_point()):
        kind = f"{part.inputs.dtype} of shape {tuple(part.inputs.shape)}"
        raise ValueError(f"augmentation {config.augmentation!r} needs pictures (n, c, h, w) of floats, got {kind}")
    if config.memory and method.prepare is not None:
        raise ValueError(f"memory {config.memory} needs a loss of pairs, got {config.method}, which has targets")
    if method.prepare is not None:
        targets = method.prepare(part.inputs, part.labels, config.bits, config.seed, config.options)
    generator = torch.Generator().manual_seed(config.seed)  # on the CPU: the same batches on every device
    optimizer = torch.optim.Adam(factory.parameter_groups(model, config), lr=config.learning_rate, fused=True)
    schedule = SCHEDULES[config.schedule](optimizer, config.epochs)
    change, chance = AUGMENTATIONS[config.augmentation], torch.Generator().manual_seed(config.seed)
    memory, n_steps = Memory(config.memory), count()

    def steps() -> Iterator[Tensor]:
        order = torch.randperm(len(part), generator=generator).to(device)
        for index in order.split(config.batch_size):
            with autocast(precision, device):
                outputs = model(change(part.inputs[index], chance))
            embeddings, labels = memory.beside(outputs.float(), part.labels[index])
            more = {} if method.prepare is None else {"targets": targets[index]}
            more |= {} if method.on_step is None else method.on_step(next(n_steps))
            loss = method.loss(embeddings, labels, **settings, **more)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.detach()

    for _ in range(config.epochs):
        yield steps()
        schedule.step()


@contextmanager
def computing(config: RunConfig, split: Split) -> Iterator[None]:
    """PyTorch's settings during training: denormal numbers are flushed to 0, and small networks use one thread.

    Adam's moments of inactive units decay to denormal numbers, with which a CPU is many times slower. Flushing changes
    no weight: such numbers are negligible compared with Adam's epsilon of 1e-8.
    """
    threads = torch.get_num_threads()
    narrow = split.train.inputs.ndim == 2 and config.head == "narrow"
    if narrow or split.train.inputs[0].numel() <= SMALL:
        torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)
        torch.set_num_threads(threads)


@contextmanager
def _seeded(config: RunConfig, device: torch.device) -> Iterator[nn.Module]:
    """The network of `config`, initialised from its seed; the global generator is restored afterwards."""
    _keep_freed_memory()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        yield networks.to_device(factory.of(config), device)


@torch.no_grad()
def measure(model: nn.Module, split: Split, precision: str, batch_size: int = 1000) -> dict[str, float]:
    """The measures of Fig. 2b on the first 1,024 training items: means over pairs, with the empirical class priors."""
    inputs, labels = split.train.inputs[:N_MEASURED], split.train.labels[:N_MEASURED]
    embeddings = embed(model.eval(), inputs, precision=precision, batch_size=batch_size)
    model.train()
    clamped = qsmi_loss(embeddings, relevance_matrix(labels)) / len(embeddings) ** 2
    measures = {"clamped_qsmi_loss": clamped.item()}
    for name, similarity in {"qsmi": "cosine", "qmi": "gaussian"}.items():
        v_in, v_all, v_btw = information_potentials(embeddings, labels, similarity=similarity)
        measures[name] = (v_in + v_all - 2.0 * v_btw).item()
    return measures


@torch.no_grad()
def embed(model: nn.Module, inputs: Tensor, *, precision: str = "float32", batch_size: int = 1000) -> Tensor:
    """Embeddings of `inputs`, on the device of model and inputs.

    Args:
        model: network whose output is (n, bits), in evaluation mode.
        inputs: images or features, the first axis being the items.
        precision: "float32" or "bf16", that of training.
        batch_size: items at a time; the embeddings do not depend on it beyond rounding.

    Returns:
        float32 (n, bits).
    """
    embeddings = []
    for batch in inputs.split(batch_size):
        with autocast(precision, inputs.device):
            embeddings.append(model(batch).float())
    return torch.cat(embeddings)


def encode(model: nn.Module, inputs: Tensor, *, precision: str = "float32", batch_size: int = 1000) -> Tensor:
    """Codes of `inputs`, the sign of `embed` with the same arguments: int8 (n, bits) of -1 and +1."""
    return binarize(embed(model, inputs, precision=precision, batch_size=batch_size))


def _keep_freed_memory() -> None:
    """Let glibc reuse freed memory: otherwise every step of max pooling maps 5 MB of new pages for its gradient."""
    if platform.libc_ver()[0] == "glibc":
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, (1 << 31) - 1)


def settings_of_loss(config: RunConfig) -> dict[str, float | str | None]:
    """Keyword arguments of the loss: its options, and `alpha` if it has one."""
    entry = METHODS[config.method]
    settings = {name: config.options[name] for name in entry.options}
    return settings if entry.alpha is None else settings | {"alpha": config.alpha}


def rounded(value: float | list | None) -> float | list | None:
    """`value` to six significant digits; whole numbers and None unchanged; a list item by item."""
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return value if value is None or isinstance(value, int) else float(f"{value:.6g}")

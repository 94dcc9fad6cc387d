"""One training loop for every method, and codes from a trained network."""

import ctypes
import platform
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR

from qsmi_lib.codes import binarize
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.losses.qsmi import information_potentials, qsmi_loss
from qsmi_lib.losses.similarity import relevance_matrix
from qsmi_lib.methods import METHODS, Method
from qsmi_lib.models import networks
from qsmi_lib.training import factory
from qsmi_lib.training.augmentation import AUGMENTATIONS
from qsmi_lib.training.memory import Memory
from qsmi_lib.utils.precision import autocast, resolve_precision
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import known

N_PROBE = 1024  # training items on which the information measures are followed, the first ones
SCHEDULES = {"constant": lambda optimizer, epochs: ConstantLR(optimizer, factor=1.0), "cosine": CosineAnnealingLR}


class Trained(NamedTuple):
    """What training leaves.

    Attributes:
        model: the network after the last epoch, in evaluation mode.
        history: one dict an epoch: the mean training loss of a batch, and on the first 1,024 training items the
            clamped QSMI loss (Eq. 19), QSMI (Eq. 13) and QMI (the same with the Gaussian kernel, sigma = 10).
        precision: what the configuration's precision came to: "float32" or "bf16".
    """

    model: nn.Module
    history: list[dict[str, float]]
    precision: str


def train(config: RunConfig, split: Split) -> Trained:
    """Train `config` on the training part of `split`, on the device where its tensors lie.

    Adam with PyTorch's default settings, no weight decay; the last epoch counts. As in the paper there is no schedule,
    augmentation or memory, unless `config` names one. A method without a loss is fitted to the inputs instead, and has
    no history.

    Raises:
        ValueError: an unknown method or data set; an augmentation where the inputs are no pictures; a memory where the
            loss has targets, not pairs.
        FloatingPointError: the loss is no longer finite after an epoch; nothing is saved.
    """
    method = known("method", METHODS, config.method)
    device = split.train.inputs.device
    precision = resolve_precision(config.precision, device)
    if method.loss is None:
        model = factory.of(config).to(device)
        model.fit(split.train.inputs, config.seed)
        return Trained(model.eval(), [], "float32")
    _keep_freed_memory()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(config.seed)
        model = networks.to_device(factory.of(config), device)
        history = descend(model, method, config, split, precision)
    return Trained(model.eval(), history, precision)


def descend(
    model: nn.Module, method: Method, config: RunConfig, split: Split, precision: str
) -> list[dict[str, float]]:
    """The epochs of `config`: changes `model`, returns the history."""
    part, device, settings = split.train, split.train.inputs.device, settings_of_loss(config)
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
    memory = Memory(config.memory)
    history, step = [], 0
    for epoch in bar(range(1, config.epochs + 1), f"{config.method} {config.bits} bits", unit="epoch"):
        total, n_batch = torch.zeros((), device=device), 0
        order = torch.randperm(len(part), generator=generator).to(device)
        for index in order.split(config.batch_size):
            with autocast(precision, device):
                outputs = model(change(part.inputs[index], chance))
            embeddings, labels = memory.beside(outputs.float(), part.labels[index])
            more = {} if method.prepare is None else {"targets": targets[index]}
            more |= {} if method.on_step is None else method.on_step(step)
            loss = method.loss(embeddings, labels, **settings, **more)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total, n_batch, step = total + loss.detach(), n_batch + 1, step + 1
        schedule.step()
        mean_loss = (total / n_batch).item()
        if not abs(mean_loss) < float("inf"):
            raise FloatingPointError(f"the loss became {mean_loss} in epoch {epoch} of {config}")
        history.append(
            {"epoch": epoch, "loss": mean_loss} | measure(model, split, precision, factory.batch_size(config))
        )
    return history


@torch.no_grad()
def measure(model: nn.Module, split: Split, precision: str, batch_size: int = 1000) -> dict[str, float]:
    """The measures of Fig. 2b on the first 1,024 training items: means over pairs, class priors as they are."""
    inputs, labels = split.train.inputs[:N_PROBE], split.train.labels[:N_PROBE]
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
    """Embeddings of `inputs`, on the device where model and inputs lie.

    Args:
        model: network whose output is (n, bits), in evaluation mode.
        inputs: images or features, the first axis being the items.
        precision: "float32" or "bf16"; a model is evaluated as it was trained.
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
    """Codes of `inputs`, the sign of what `embed` gives for the same arguments: int8 (n, bits), -1 and +1."""
    return binarize(embed(model, inputs, precision=precision, batch_size=batch_size))


def _keep_freed_memory() -> None:
    """Have glibc keep freed memory: the gradient of max pooling would else fault in 5 MB of fresh pages every step."""
    if platform.libc_ver()[0] == "glibc":
        m_trim_threshold, m_mmap_threshold = -1, -3  # malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(m_mmap_threshold, 1 << 30)
        libc.mallopt(m_trim_threshold, (1 << 31) - 1)


def settings_of_loss(config: RunConfig) -> dict[str, float | str | None]:
    """The arguments that `config` gives the loss of its method: the loss's options, and `alpha` where it has one."""
    entry = METHODS[config.method]
    own = {name: config.options[name] for name in entry.options}
    return own if entry.alpha is None else own | {"alpha": config.alpha}

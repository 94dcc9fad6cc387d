"""Several seeds of one configuration trained side by side, as one stacked network.

A small network leaves most of a GPU idle, and a step lasts as long as its kernels take to launch: s seeds in one stack
launch as many as one seed. Each seed keeps its own weights, batches and random numbers; nothing passes between them.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.overrides import TorchFunctionMode

from qsmi_lib import models
from qsmi_lib.augmentation import AUGMENTATIONS
from qsmi_lib.config import RunConfig, known
from qsmi_lib.datasets import Split
from qsmi_lib.methods import METHODS, settings_of_loss
from qsmi_lib.precision import autocast, resolve_precision
from qsmi_lib.progress import bar
from qsmi_lib.training import SCHEDULES, Trained, measure


def can_stack(config: RunConfig) -> bool:
    """Whether seeds of `config` can be trained together.

    Not so: a method whose loss vmap cannot take (`Method.stacks`: how many triplets or labels there are depends on the
    batch, or it draws from the global generator); a memory; a backbone that is trained; a head with dropout.
    """
    method = known("method", METHODS, config.method)
    plain = not config.memory and not config.backbone_learning_rate
    return method.stacks and plain and not (config.backbone and config.head == "csq")


def train_together(configs: Sequence[RunConfig], split: Split) -> list[Trained]:
    """What `training.train` gives for each of `configs`, up to rounding, from one network of stacked weights (s, ...).

    A step takes batches (s, n, ...) with labels (s, n, ...) and descends the sum of the s losses: each has the gradient
    that it has alone, and Adam goes number by number.

    Args:
        configs: alike in all but their seeds.
        split: on the device on which to train.

    Raises:
        ValueError: configurations that differ in more than their seeds, or cannot be stacked (`can_stack`).
        FloatingPointError: the loss of a seed is no longer finite after an epoch.
    """
    if not configs:
        return []
    config = configs[0]
    if any(replace(other, seed=config.seed) != config for other in configs):
        raise ValueError("only configurations that differ in nothing but their seeds can be trained together")
    if not can_stack(config):
        raise ValueError(f"seeds of {config} cannot be trained together")
    device = split.train.inputs.device
    precision = resolve_precision(config.precision, device)
    networks = []
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        for own in configs:
            torch.manual_seed(own.seed)
            networks.append(models.to_device(models.of(own), device))
    histories = _descend(networks, configs, split, precision)
    return [Trained(*own, precision) for own in zip((network.eval() for network in networks), histories, strict=True)]


def _descend(
    networks: list[nn.Module], configs: Sequence[RunConfig], split: Split, precision: str
) -> list[list[dict[str, float]]]:
    """The epochs of `configs`, as `training` has them for one: changes `networks`, returns their histories."""
    config, part, device = configs[0], split.train, split.train.inputs.device
    method, settings, change = METHODS[config.method], settings_of_loss(config), AUGMENTATIONS[config.augmentation]
    orders, chances = ([torch.Generator().manual_seed(own.seed) for own in configs] for _ in range(2))
    weights, buffers = stack_module_state(networks)
    optimizer = torch.optim.Adam(list(weights.values()), lr=config.learning_rate, fused=True)
    schedule = SCHEDULES[config.schedule](optimizer, config.epochs)

    def loss(settings: dict, weights: dict[str, Tensor], buffers: dict[str, Tensor], inputs: Tensor, labels: Tensor):
        with autocast(precision, device):
            outputs = functional_call(networks[0], (weights, buffers), (inputs,))
        return method.loss(outputs.float(), labels, **settings)

    histories, step = [[] for _ in configs], 0
    for epoch in bar(range(1, config.epochs + 1), f"{config.method} {config.bits} bits, {len(configs)} seeds"):
        total, n_batch = torch.zeros(len(configs), device=device), 0
        order = torch.stack([torch.randperm(len(part), generator=own) for own in orders]).to(device)
        for index in order.split(config.batch_size, dim=1):
            inputs = torch.stack(list(map(change, part.inputs[index], chances)))
            now = settings if method.on_step is None else settings | method.on_step(step)
            with _Substitutes():
                losses = vmap(partial(loss, now))(weights, buffers, inputs, part.labels[index])
            optimizer.zero_grad()
            losses.sum().backward()
            optimizer.step()
            total, n_batch, step = total + losses.detach(), n_batch + 1, step + 1
        schedule.step()
        _unstack(weights, networks)
        for own, network, mean, history in zip(configs, networks, (total / n_batch).tolist(), histories, strict=True):
            if not abs(mean) < float("inf"):
                raise FloatingPointError(f"the loss became {mean} in epoch {epoch} of {own}")
            measures = measure(network, split, precision, models.batch_size(config))
            history.append({"epoch": epoch, "loss": mean} | measures)
    return histories


@torch.no_grad()
def _unstack(weights: dict[str, Tensor], networks: list[nn.Module]) -> None:
    """Copy each seed's slice of the stacked weights (s, ...) into its own network."""
    for number, network in enumerate(networks):
        for name, weight in network.named_parameters():
            weight.copy_(weights[name][number])


class _Substitutes(TorchFunctionMode):
    """What vmap cannot do, in words that it knows: the same numbers.

    `fill_diagonal_` has no rule for stacks, `fill_` of the diagonal has. Of its layout a stacked tensor cannot say more
    than `is_contiguous()`; `pooled_relu`, whose loops know no stack, asks that on a CPU, and gets False.
    """

    def __torch_function__(self, function, types, arguments=(), options=None):
        """What `function` gives."""
        options = options or {}
        if function is Tensor.fill_diagonal_:
            arguments[0].diagonal().fill_(*arguments[1:], **options)
            return arguments[0]
        return function is not Tensor.is_contiguous and function(*arguments, **options)

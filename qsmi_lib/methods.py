"""The methods: name -> loss and hyper-parameters by data set, each with its source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor

from qsmi_lib.config import RunConfig, known
from qsmi_lib.losses.information import qsmi_objective
from qsmi_lib.losses.pairwise import dpsh_objective, dsh_objective


@dataclass(frozen=True)
class Method:
    """One way to learn codes.

    Attributes:
        title: as tables and figures print it.
        loss: (embeddings (n, bits), labels, *, alpha, **options) -> scalar; unchecked, for the training loop.
        alpha: weight of the quantization term, or a rule (data set, bits) -> weight.
        source: where the formula and the numbers come from.
        options: further arguments of the loss that a run may set, with their defaults.
    """

    title: str
    loss: Callable[..., Tensor]
    alpha: float | Callable[[str, int], float]
    source: str
    options: Mapping[str, float | None] = field(default_factory=dict)


def dpsh_eta(dataset: str, bits: int) -> float:
    """Table 10: 3 on CIFAR-10, 5 on NUS-WIDE; on Fashion-MNIST (and the digits) 5 up to 24 bits, 3 beyond."""
    return {"cifar10": 3.0, "nus_wide": 5.0}.get(dataset, 5.0 if bits <= 24 else 3.0)


def qsmi_alpha(dataset: str, bits: int) -> float:
    """Table 10: 0.01, and 0.1 on NUS-WIDE."""
    return 0.1 if dataset == "nus_wide" else 0.01


_INFORMATION = {"information_needs": None}  # M; None: estimated from each batch
_GAUSSIAN = _INFORMATION | {"sigma": 10.0}  # Section 4.2


METHODS = {
    "qmi": Method(
        "QMI",
        partial(qsmi_objective, similarity="gaussian", clamp=False),
        qsmi_alpha,
        "Table 1 (not clamped, not spherical); sigma: Section 4.2; alpha: Table 10",
        _GAUSSIAN,
    ),
    "qmi_clamped": Method(
        "QMI, clamped",
        partial(qsmi_objective, similarity="gaussian", clamp=True),
        qsmi_alpha,
        "Table 1 (clamped, not spherical); sigma: Section 4.2; alpha: Table 10",
        _GAUSSIAN,
    ),
    "qsmi_unclamped": Method(
        "QSMI, not clamped",
        partial(qsmi_objective, similarity="cosine", clamp=False),
        qsmi_alpha,
        "Eq. 17, the combination that Table 1 leaves out; alpha: Table 10",
        _INFORMATION,
    ),
    "qsmi": Method(
        "QSMI",
        partial(qsmi_objective, similarity="cosine", clamp=True),
        qsmi_alpha,
        "Eqs. 19 to 21; alpha: Table 10",
        _INFORMATION,
    ),
    "dsh": Method(
        "DSH",
        dsh_objective,
        1e-5,
        "Liu et al., CVPR 2016, in batches; alpha: Table 10; margin: None is 2 * bits",
        {"margin": None},
    ),
    "dpsh": Method(
        "DPSH",
        dpsh_objective,
        dpsh_eta,
        "Li et al., IJCAI 2016, in batches; eta: Table 10",
    ),
}


def configure(dataset: str, method: str, bits: int, **settings) -> RunConfig:
    """The run of `method` with its numbers for `dataset`; `settings` override them by name.

    Args:
        settings: names of `RunConfig`, or options of the method's loss.

    Raises:
        ValueError: an unknown method, setting or option, with the known ones listed; a number out of its range.
    """
    entry = known("method", METHODS, method)
    fields = {name: None for name in RunConfig.__dataclass_fields__ if name not in ("options", "dataset", "method")}
    for name in settings:
        known(f"setting of {method}", fields | dict(entry.options), name)
    options = {name: settings.pop(name, default) for name, default in entry.options.items()}
    alpha = entry.alpha(dataset, bits) if callable(entry.alpha) else entry.alpha
    return RunConfig(dataset, method, bits, options=options, **({"alpha": alpha} | settings))

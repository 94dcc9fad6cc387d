"""What a method is: a loss, the hooks that some need, and hyper-parameters with their source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn

from qsmi_lib.config import RunConfig
from qsmi_lib.datasets import Part

Rule = Callable[[str, int], float | None]  # (data set, bits) -> a hyper-parameter
Default = float | Rule | tuple[str, ...] | None


@dataclass(frozen=True)
class Method:
    """One way to make codes.

    Attributes:
        title: as tables and figures print it.
        loss: (embeddings (n, bits), labels, **settings) -> scalar; unchecked, for the training loop. The settings are
            the options, `alpha` unless that is None, `targets` where there is a `prepare`, what `on_step` gives. None:
            nothing is trained.
        alpha: weight of the quantization term, or a rule for it; None: it has no such term.
        source: where the formula and the numbers come from.
        options: further settings of a run with their defaults, or rules for them; a tuple lists the names to choose
            from, the first being the default.
        search: setting -> the values that `tune` tries, in the order of the line search.
        prepare: (training part, config, network) -> a row for each training item, which the loss gets as `targets`;
            called before the first epoch, and after every `refresh` epochs where there is such an option.
        prepare_options: options that `prepare` reads and the loss does not.
        on_step: step, from 0 -> settings of the loss at that step.
        head: (features, bits, classes) -> the network's last layer; None: a dense one.
        network: (data set, bits, width of a backbone's features or None) -> a module with `fit(inputs, seed)`, for a
            method without a loss.
        note: what must stand beside its numbers.
    """

    title: str
    loss: Callable[..., Tensor] | None
    alpha: float | Rule | None
    source: str
    options: Mapping[str, Default] = field(default_factory=dict)
    search: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    prepare: Callable[[Part, RunConfig, nn.Module], Tensor] | None = None
    prepare_options: Mapping[str, Default] = field(default_factory=dict)
    on_step: Callable[[int], Mapping[str, float]] | None = None
    head: Callable[[int, int, int], nn.Module] | None = None
    network: Callable[[str, int, int | None], nn.Module] | None = None
    note: str = ""


def by_dataset(usual: float | None, **special: float) -> Rule:
    """A rule (data set, bits) -> number: `usual`, but for the data sets named in `special`."""
    return lambda dataset, bits: special.get(dataset, usual)

"""Presets: each method's settings for a data set, and what overrides them."""

from qsmi_lib.config.profiles import PROFILES, Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import DATASETS, SUBSTITUTE_FOR, backbone_of
from qsmi_lib.methods import METHODS, Default
from qsmi_lib.models.networks import HEADS
from qsmi_lib.utils import paths
from qsmi_lib.utils.limits import COUNT, LARGEST
from qsmi_lib.utils.validation import is_number, known, whole_number

OF_TRAINING = {"epochs", "batch_size", "learning_rate", "backbone_learning_rate", "head"}
OF_TRAINING |= {"schedule", "augmentation", "memory"}
EPOCHS_OF = {"cifar10": 5}  # Table 10: 50 elsewhere
NARROW = {"cifar10", "digits"}  # N_H, the hidden units of the head, is 64 (Appendix B), elsewhere 2,048
COUNTS = {"n_samples": 2, "n_clusters": 1, "n_bins": 1}  # options that are whole numbers, and their minimum


def options_of(method: str) -> dict[str, Default]:
    """All options of `method`, each with its default or the function for it; a ValueError lists the known methods."""
    entry = known("method", METHODS, method)
    return {**entry.options, **entry.prepare_options}


def configure(dataset: str, method: str, bits: int, **settings) -> RunConfig:
    """The run of `method` with its settings for `dataset`; `settings` override them by name.

    Args:
        settings: names of `RunConfig`, or options of the method. A method that trains nothing has no epochs, batches or
            learning rate.

    Raises:
        ValueError: an unknown method, setting, option or head, where the known ones are listed; a number out of range.
    """
    entry = known("method", METHODS, method)
    excluded = {"options", "dataset", "method", *(() if entry.loss else OF_TRAINING)}
    excluded |= {"alpha"} if entry.alpha is None else set()
    fields = {name: None for name in RunConfig.__dataclass_fields__ if name not in excluded}
    ruling = SUBSTITUTE_FOR.get(dataset, (dataset,))[0]  # a substitute gets the settings of what it replaces
    options = {k: v(ruling, bits) if callable(v) else v for k, v in options_of(method).items()}
    for name in settings:
        known(f"setting of {method}", fields | options, name)
    options = {name: _option(name, default, settings) for name, default in options.items()}
    if "head" in settings:
        known("head", HEADS, settings["head"])
    if dataset not in DATASETS and (place := paths.expanded(dataset)).exists():
        dataset = str(place.resolve())  # one data set, one id
    settings = {"backbone": backbone_of(dataset)} | settings
    head = "wide" if entry.loss and settings["backbone"] and dataset not in NARROW else "narrow"
    defaults = {"head": head, "alpha": entry.alpha(ruling, bits) if callable(entry.alpha) else entry.alpha or 0.0}
    defaults |= epochs_of(method, EPOCHS_OF.get(dataset, 50)) if entry.loss else {"epochs": 1}
    return RunConfig(dataset, method, bits, options=options, **(defaults | settings))


def of_profile(
    dataset: str, method: str, bits: int, profile: Profile | None = None, **settings
) -> tuple[RunConfig, Profile]:
    """The run of `method` with the epochs and the precision of `profile`, and that profile.

    Args:
        profile: if None, `digits` for the data sets made of the digits, else `quick`.
        settings: as in `configure`; a value of None counts as not given.
    """
    profile = profile or PROFILES["digits" if dataset in ("digits", "digit_pairs") else "quick"]
    frozen = dataset == profile.pictures and (settings.get("backbone") or profile.pictures != profile.dataset)
    given = {name: value for name, value in settings.items() if value is not None}
    epochs = epochs_of(method, profile.head_epochs if frozen else profile.epochs)
    return configure(dataset, method, bits, **(epochs | {"precision": profile.precision} | given)), profile


def epochs_of(method: str, epochs: int) -> dict[str, int]:
    """The setting `epochs` for `configure`; an empty dict for a method that trains nothing."""
    return {"epochs": epochs} if known("method", METHODS, method).loss else {}


def _option(name: str, default: float | tuple[str, ...] | None, settings: dict) -> float | str | None:
    """The option `name`, removed from `settings` if it is given; a ValueError if its value is of the wrong kind."""
    if isinstance(default, tuple):
        value = settings.pop(name, default[0])
        return value if value in default else known(name, dict.fromkeys(map(str, default)), str(value))
    value = settings.pop(name, default)
    if value is None and default is None:
        return None
    if not is_number(value):
        raise ValueError(f"{name} must be a number, got {value!r}")
    if name in COUNTS:
        is_whole = abs(value) <= LARGEST and float(value).is_integer()
        whole_number(name, int(value) if is_whole else value, COUNTS[name], COUNT)
    return value

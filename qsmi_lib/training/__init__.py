"""Training: splits with features, the loop, codes, runs and their records, tuning."""

from qsmi_lib.utils.lazy import lazy_names

__all__ = ["codes_of", "embed", "encode", "load_split", "train"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "codes_of": "qsmi_lib.training.records",
        "embed": "qsmi_lib.training.loop",
        "encode": "qsmi_lib.training.loop",
        "load_split": "qsmi_lib.training.splits",
        "train": "qsmi_lib.training.loop",
    },
)

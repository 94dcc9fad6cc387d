"""Executable companion to "Deep Supervised Hashing using Quadratic Spherical Mutual Information" (Passalis & Tefas).

The way of the data, each arrow one module::

    datasets.load -> training.factory.build -> training.train -> training.encode -> evaluation.evaluate
        -> training.records.save -> reproduction.tables, reproduction.figures
"""

from qsmi_lib.utils.lazy import lazy_names

__version__ = "0.2.0"
__all__ = ["Method", "QSMIHasher", "QsmiWarning", "configure", "evaluate", "extract"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Method": "qsmi_lib.methods",
        "QSMIHasher": "qsmi_lib.search.estimator",
        "QsmiWarning": "qsmi_lib.utils.validation",
        "configure": "qsmi_lib.config.presets",
        "evaluate": "qsmi_lib.evaluation",
        "extract": "qsmi_lib.models.features",
    },
)

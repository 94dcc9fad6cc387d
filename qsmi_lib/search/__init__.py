"""Search: indexes of codes, collections of pictures, the app, the estimator, locality-sensitive hashing."""

from qsmi_lib.utils.lazy import lazy_names

__all__ = ["Answers", "CodeIndex", "Index", "QSMIHasher"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Answers": "qsmi_lib.search.indexes",
        "CodeIndex": "qsmi_lib.search.indexes",
        "Index": "qsmi_lib.search.index.index",
        "QSMIHasher": "qsmi_lib.search.estimator",
    },
)

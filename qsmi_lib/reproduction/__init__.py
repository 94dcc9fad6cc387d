"""The paper's tables and figures: experiments, tables, figures, ledger, analyses, plots, benchmarks."""

from qsmi_lib.utils.lazy import lazy_names

__all__ = ["EXPERIMENTS", "Results", "committed", "load_artefact"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "EXPERIMENTS": "qsmi_lib.reproduction.experiments",
        "Results": "qsmi_lib.reproduction.results",
        "committed": "qsmi_lib.reproduction.results",
        "load_artefact": "qsmi_lib.reproduction.artefacts",
    },
)

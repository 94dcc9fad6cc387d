"""`evaluate` scores the codes of every method: exact on ties, each convention stated."""

from qsmi_lib.evaluation.metrics import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

"""One evaluator for every method: exact on ties, explicit about each convention."""

from qsmi_lib.evaluation.metrics import Evaluation, evaluate

__all__ = ["Evaluation", "evaluate"]

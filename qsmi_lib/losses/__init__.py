"""Losses as pure functions of a batch, with their input checked; the docstring of each is its equation."""

from qsmi_lib.losses import information, pairwise, similarity
from qsmi_lib.losses.checks import checked

relevance_matrix = checked(similarity.relevance_matrix)
cosine_similarity = checked(similarity.cosine_similarity)
gaussian_similarity = checked(similarity.gaussian_similarity)
information_potentials = checked(information.information_potentials)
qsmi_loss = checked(information.qsmi_loss)
quantization_penalty = checked(information.quantization_penalty)
dsh_loss = checked(pairwise.dsh_loss)
dpsh_loss = checked(pairwise.dpsh_loss)

__all__ = [
    "cosine_similarity",
    "dpsh_loss",
    "dsh_loss",
    "gaussian_similarity",
    "information_potentials",
    "qsmi_loss",
    "quantization_penalty",
    "relevance_matrix",
]

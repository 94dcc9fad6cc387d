"""Losses as pure functions of a batch, with their input checked; the docstring of each is its equation."""

from qsmi_lib.losses import (
    central,
    histogram,
    information,
    likelihood,
    pairwise,
    policy,
    priors,
    similarity,
    triplet,
    two_stage,
    unseen,
)
from qsmi_lib.losses.checks import checked

relevance_matrix = checked(similarity.relevance_matrix)
cosine_similarity = checked(similarity.cosine_similarity)
gaussian_similarity = checked(similarity.gaussian_similarity)
information_potentials = checked(information.information_potentials)
qsmi_loss = checked(information.qsmi_loss)
quantization_penalty = checked(information.quantization_penalty)
qsmi_priors_loss = checked(priors.qsmi_priors_loss)
jaccard_similarity = checked(priors.jaccard_similarity)
qsmi_u_loss = checked(unseen.qsmi_u_loss)
dsh_loss = checked(pairwise.dsh_loss)
dpsh_loss = checked(pairwise.dpsh_loss)
dhn_loss = checked(likelihood.dhn_loss)
hashnet_loss = checked(likelihood.hashnet_loss)
hashgan_loss = checked(likelihood.hashgan_loss)
dch_loss = checked(likelihood.dch_loss)
dch_code_loss = checked(likelihood.dch_code_loss)
mihash_loss = checked(histogram.mihash_loss)
dnnh_loss = checked(triplet.dnnh_loss)
spring_loss = checked(triplet.spring_loss)
negatives_loss = checked(triplet.negatives_loss)
dtsh_loss = checked(triplet.dtsh_loss)
hash_centers = checked(central.hash_centers)
item_centers = checked(central.item_centers)
csq_loss = checked(central.csq_loss)
csq_qsmi_loss = checked(central.csq_qsmi_loss)
cnnh_codes = checked(two_stage.cnnh_codes)
cnnh_loss = checked(two_stage.cnnh_loss)
pgdh_loss = checked(policy.pgdh_loss)

__all__ = [
    "cnnh_codes",
    "cnnh_loss",
    "cosine_similarity",
    "csq_loss",
    "csq_qsmi_loss",
    "dch_code_loss",
    "dch_loss",
    "dhn_loss",
    "dnnh_loss",
    "dpsh_loss",
    "dsh_loss",
    "dtsh_loss",
    "gaussian_similarity",
    "hash_centers",
    "hashgan_loss",
    "hashnet_loss",
    "information_potentials",
    "item_centers",
    "jaccard_similarity",
    "mihash_loss",
    "negatives_loss",
    "pgdh_loss",
    "qsmi_loss",
    "qsmi_priors_loss",
    "qsmi_u_loss",
    "quantization_penalty",
    "relevance_matrix",
    "spring_loss",
]

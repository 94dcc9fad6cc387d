"""Losses as pure functions of a batch, with input checks. The docstring of each states its equation and source."""

from qsmi_lib.losses import cnnh, csq, mihash, pairwise, pgdh, qsmi, qsmi_variants, similarity, triplet
from qsmi_lib.losses.validation import checked

relevance_matrix = checked(similarity.relevance_matrix)
cosine_similarity = checked(similarity.cosine_similarity)
gaussian_similarity = checked(similarity.gaussian_similarity)
information_potentials = checked(qsmi.information_potentials)
qsmi_loss = checked(qsmi.qsmi_loss)
quantization_penalty = checked(qsmi.quantization_penalty)
qsmi_priors_loss = checked(qsmi_variants.qsmi_priors_loss)
jaccard_similarity = checked(qsmi_variants.jaccard_similarity)
qsmi_u_loss = checked(qsmi_variants.qsmi_u_loss)
dsh_loss = checked(pairwise.dsh_loss)
dpsh_loss = checked(pairwise.dpsh_loss)
dhn_loss = checked(pairwise.dhn_loss)
hashnet_loss = checked(pairwise.hashnet_loss)
hashgan_loss = checked(pairwise.hashgan_loss)
dch_loss = checked(pairwise.dch_loss)
dch_code_loss = checked(pairwise.dch_code_loss)
mihash_loss = checked(mihash.mihash_loss)
dnnh_loss = checked(triplet.dnnh_loss)
spring_loss = checked(triplet.spring_loss)
negatives_loss = checked(triplet.negatives_loss)
dtsh_loss = checked(triplet.dtsh_loss)
hash_centers = checked(csq.hash_centers)
item_centers = checked(csq.item_centers)
csq_loss = checked(csq.csq_loss)
csq_qsmi_loss = checked(csq.csq_qsmi_loss)
cnnh_codes = checked(cnnh.cnnh_codes)
cnnh_loss = checked(cnnh.cnnh_loss)
pgdh_loss = checked(pgdh.pgdh_loss)

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

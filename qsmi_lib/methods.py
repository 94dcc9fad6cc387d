"""The registry of methods: name -> loss, and hyper-parameters by data set with their source."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from torch import Tensor, nn

from qsmi_lib.losses import cnnh, csq, mihash, pairwise, pgdh, qsmi_variants, triplet
from qsmi_lib.losses.qsmi import qsmi_objective
from qsmi_lib.models import networks, projections

Rule = Callable[[str, int], float | None]  # (data set, bits) -> a hyper-parameter
Default = float | Rule | tuple[str | None, ...] | None


@dataclass(frozen=True)
class Method:
    """A hashing method.

    Attributes:
        title: for tables and figures.
        loss: ``(embeddings (n, bits), labels, **settings)`` -> scalar, without input checks, for the training loop. The
            settings are the options; `alpha`, unless that is None; `targets`, if there is a `prepare`; and the result
            of `on_step`. None: the method is not trained but fitted, see `network`.
        alpha: weight of the quantization term, or a rule for it; None: there is no such term.
        source: of the formula and of the hyper-parameters.
        options: further settings of a run with their defaults, or rules for them. A tuple lists the allowed values; the
            first one is the default.
        search: setting -> the values that `tune` tries, in the order of the line search.
        prepare: (inputs, labels, bits, seed, options) of the training set -> `targets` of the loss, one row per item;
            called before the first epoch.
        prepare_options: options of `prepare` that the loss does not take.
        on_step: step, from 0 -> settings of the loss at that step.
        head: (features, bits, classes) -> the network's last layer; None: a dense layer.
        network: (data set, bits, width of a backbone's features or None) -> a module with `fit(inputs, seed)`, for a
            method without a loss.
        note: a remark that captions print with its results.
        about: one line for those who search with it: what it is trained for.
    """

    title: str
    loss: Callable[..., Tensor] | None
    alpha: float | Rule | None
    source: str
    options: Mapping[str, Default] = field(default_factory=dict)
    search: Mapping[str, tuple[float | None, ...]] = field(default_factory=dict)
    prepare: Callable[[Tensor, Tensor, int, int, Mapping], Tensor] | None = None
    prepare_options: Mapping[str, Default] = field(default_factory=dict)
    on_step: Callable[[int], Mapping[str, float]] | None = None
    head: Callable[[int, int, int], nn.Module] | None = None
    network: Callable[[str, int, int | None], nn.Module] | None = None
    note: str = ""
    about: str = ""


def by_dataset(usual: float | None, **special: float) -> Rule:
    """A rule (data set, bits) -> number: the one in `special` for a data set named there, else `usual`."""
    return lambda dataset, bits: special.get(dataset, usual)


RECONSTRUCTED = "reconstructed, there is no public working code"


def dpsh_eta(dataset: str, bits: int) -> float:
    """Table 10: 3 on CIFAR-10, 5 on NUS-WIDE (and ILSVRC); on Fashion-MNIST, and elsewhere, 5 up to 24 bits, then 3."""
    return {"cifar10": 3.0, "nus_wide": 5.0, "ilsvrc": 5.0}.get(dataset, 5.0 if bits <= 24 else 3.0)


qsmi_alpha = by_dataset(0.01, nus_wide=0.1, ilsvrc=0.1)  # Table 10; ILSVRC is set up as NUS-WIDE (Section 4.3)
csq_alpha = by_dataset(1e-4, nus_wide=0.05, ms_coco=0.05)

_INFORMATION = {"information_needs": None}  # M; None: estimated from each batch
_GAUSSIAN = _INFORMATION | {"sigma": 10.0}  # Section 4.2
_ALPHAS = {"alpha": (0.001, 0.01, 0.1)}

METHODS = {
    "qmi": Method(
        "QMI",
        partial(qsmi_objective, similarity="gaussian", clamp=False),
        qsmi_alpha,
        "Table 1 (not clamped, not spherical); sigma: Section 4.2; alpha: Table 10",
        _GAUSSIAN,
        _ALPHAS,
        about="Trained with labels: codes tell as much as possible about the labels; their similarity is Gaussian.",
    ),
    "qmi_clamped": Method(
        "QMI, clamped",
        partial(qsmi_objective, similarity="gaussian", clamp=True),
        qsmi_alpha,
        "Table 1 (clamped, not spherical); sigma: Section 4.2; alpha: Table 10",
        _GAUSSIAN,
        _ALPHAS,
        about="QMI with targets: similarity 1 for pictures that share a label, 0 for others.",
    ),
    "qsmi_unclamped": Method(
        "QSMI, not clamped",
        partial(qsmi_objective, similarity="cosine", clamp=False),
        qsmi_alpha,
        "Eq. 17, the combination that Table 1 leaves out; alpha: Table 10",
        _INFORMATION,
        _ALPHAS,
        about="QSMI without targets: the mutual information of codes and labels itself is maximised.",
    ),
    "qsmi": Method(
        "QSMI",
        partial(qsmi_objective, similarity="cosine", clamp=True),
        qsmi_alpha,
        "Eqs. 19 to 21; alpha: Table 10",
        _INFORMATION,
        _ALPHAS,
        about="Trained with labels: codes of pictures that share a label become alike, and all others differ.",
    ),
    "qsmi_priors": Method(
        "QSMI, true priors",
        qsmi_variants.qsmi_priors_objective,
        qsmi_alpha,
        "Eqs. 13 to 16 with the batch's own priors, clamped as Eq. 19; the paper names it and never runs it",
        search=_ALPHAS,
        about="QSMI with the class frequencies of each batch instead of equal ones.",
    ),
    "qsmi_jaccard": Method(
        "QSMI, graded",
        qsmi_variants.qsmi_jaccard_objective,
        qsmi_alpha,
        "Eq. 19 with the Jaccard similarity of the label sets as relevance; with single labels it is QSMI",
        _INFORMATION,
        _ALPHAS,
        about="QSMI for several labels a picture: the more labels two pictures share, the more alike their codes.",
    ),
    "qsmi_u": Method(
        "QSMI+U",
        qsmi_variants.qsmi_u_objective,
        qsmi_alpha,
        "Section 3.4; beta, clusters: Section 4.4; clustered once, by the inputs, which is not stated there",
        _INFORMATION | {"beta": 0.5},
        {"beta": (0.25, 0.5, 1.0)},
        prepare=qsmi_variants.prepare_qsmi_u,
        # space and refresh have one value each; they stay because records contain them.
        prepare_options={"n_clusters": 5.0, "space": ("inputs",), "refresh": (None,)},
        about="QSMI that also keeps clusters of similar pictures together, for classes that are missing in training.",
    ),
    "dsh": Method(
        "DSH",
        pairwise.dsh_objective,
        1e-5,
        "Liu et al., CVPR 2016, in batches; alpha: Table 10; margin: None is 2 * bits",
        {"margin": None},
        {"alpha": (1e-5, 1e-3, 1e-2)},
        about="Trained with labels on pairs: pulls similar codes together, and pushes others apart up to a margin.",
    ),
    "dpsh": Method(
        "DPSH",
        pairwise.dpsh_objective,
        dpsh_eta,
        "Li et al., IJCAI 2016, in batches; eta: Table 10",
        search={"alpha": (0.3, 3.0, 30.0)},
        about="Trained with labels on pairs: the inner product of two codes predicts whether they share a label.",
    ),
    "dch": Method(
        "DCH",
        pairwise.dch_objective,
        0.1,
        "Cao et al., CVPR 2018; gamma: the authors' code; alpha (lambda): DeepHash-pytorch; form: paper's or code's",
        {"gamma": 20.0, "form": ("paper", "code")},
        {"gamma": (5.0, 10.0, 20.0), "alpha": (0.01, 0.1, 1.0)},
        about="Trained with labels on pairs: gathers similar codes within a small Hamming distance.",
    ),
    "csq": Method(
        "CSQ",
        csq.csq_objective,
        csq_alpha,
        "Yuan et al., CVPR 2020; alpha (lambda): the authors' commands, 0.05 with ResNet-50, 0.0001 for small pictures",
        search={"alpha": (1e-4, 1e-3, 0.05)},
        prepare=csq.prepare,
        about="Trained with labels: each class has a centre far from the others, and codes move to their centre.",
    ),
    "csq_qsmi": Method(
        "CSQ + QSMI",
        csq.csq_qsmi_objective,
        csq_alpha,
        "Table 8; a_csq: Appendix B; alpha as CSQ",
        {"a_csq": 1e-3},
        {"a_csq": (1e-4, 1e-3, 1e-2), "alpha": (1e-4, 1e-3, 0.05)},
        prepare=csq.prepare,
        about="The centres of CSQ and the similarities of QSMI in one loss.",
    ),
    "hashnet": Method(
        "HashNet",
        pairwise.hashnet_objective,
        None,
        "Cao et al., ICCV 2017; sharpness, continuation: the authors' code; class_weight: their advice",
        {"class_weight": by_dataset(10.0, ms_coco=1.0), "sharpness": 10.0},
        {"class_weight": (1.0, 3.0, 10.0), "sharpness": (5.0, 10.0, 20.0)},
        on_step=pairwise.hashnet_beta,
        about="Trained with labels on pairs: outputs approach -1 and +1 step by step; rare similar pairs count more.",
    ),
    "dhn": Method(
        "DHN",
        pairwise.dhn_objective,
        0.1,
        "Zhu et al., AAAI 2016; alpha (lambda): DeepHash-pytorch's number, on this library's scale",
        search={"alpha": (0.01, 0.1, 1.0)},
        about="Trained with labels on pairs as DPSH, with a penalty that keeps outputs near -1 and +1.",
    ),
    "mihash": Method(
        "MIHash",
        mihash.mihash_objective,
        None,
        "Cakir et al., ICCV 2017; slope, n_bins (None: bits / 2): the authors' commands",
        {"slope": by_dataset(1.0, ilsvrc=10.0), "n_bins": by_dataset(None, nus_wide=16.0)},
        {"slope": (1.0, 3.0, 10.0)},
        about="Trained with labels: distances of similar pictures should overlap little with those of other pictures.",
    ),
    "dnnh": Method(
        "DNNH†",
        triplet.dnnh_objective,
        None,
        "Lai et al., CVPR 2015, formula unverified",
        {"margin": 1.0, "epsilon": 0.5},
        {"margin": (1.0, 3.0, 6.0), "epsilon": (0.1, 0.25, 0.5)},
        head=networks.DivideAndEncode,
        note=RECONSTRUCTED,
        about="Trained with labels on triplets: a similar picture must be nearer than another one, by a margin.",
    ),
    "cnnh": Method(
        "CNNH†",
        cnnh.cnnh_objective,
        None,
        "Xia et al., AAAI 2014, formula unverified; it has nothing to tune",
        prepare=cnnh.prepare,
        note=RECONSTRUCTED,
        about="Trained with labels in two steps: codes are computed from the labels, then a network learns them.",
    ),
    "pgdh": Method(
        "PGDH†",
        pgdh.pgdh_objective,
        None,
        "Yuan et al., ECCV 2018, formula unverified; balance: None is the batch's own",
        {"n_samples": 16.0, "balance": None},
        {"balance": (1.0, 3.0, None), "n_samples": (4.0, 16.0, 64.0)},
        note=f"{RECONSTRUCTED}; two antipodal groups of classes earn as much by its linear reward as ten apart",
        about="Trained with labels: draws random codes and rewards those with good distances (policy gradient).",
    ),
    "hashgan": Method(
        "HashGAN†",
        pairwise.hashgan_objective,
        None,
        "Cao et al., CVPR 2018; sharpness: the authors' code",
        {"sharpness": by_dataset(10.0, nus_wide=5.0)},
        {"sharpness": (5.0, 10.0, 20.0)},
        note="reconstructed from its loss alone, without the generator that is half of the method",
        about="Trained with labels on pairs: the cosine of two codes predicts whether they share a label.",
    ),
    "spring": Method(
        "Spring",
        triplet.spring_objective,
        None,
        "Pidhorskyi et al., ACCV 2018; form: their spring, or a variant beside it; it has nothing to tune",
        {"form": triplet.FORMS},
        about="Trained with labels on triplets: springs pull similar codes together, and others to opposite sides.",
    ),
    "classifier": Method(
        "Classifier",
        csq.classifier_objective,
        None,
        "cross-entropy; the class scores are hashed: each class has a word, far from the others",
        head=networks.ClassWords,
        note="a baseline of this project; it has nothing to tune",
        about="Trained to predict the class; each class has a fixed code far from the others.",
    ),
    "lsh": Method(
        "LSH",
        None,
        None,
        "random projections",
        network=projections.Lsh,
        about="No training: each bit says on which side of a random plane the picture lies.",
    ),
    "itq": Method(
        "ITQ",
        None,
        None,
        "Gong & Lazebnik, CVPR 2011",
        network=projections.Itq,
        about="No labels: principal components, rotated so that rounding them to bits changes them least.",
    ),
    "spectral_hashing": Method(
        "Spectral hashing",
        None,
        None,
        "Weiss, Torralba, Fergus, NeurIPS 2008",
        network=projections.SpectralHashing,
        about="No labels: each bit is the sign of a wave along a principal component.",
    ),
}

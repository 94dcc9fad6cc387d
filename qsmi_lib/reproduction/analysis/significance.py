"""Methods compared: which differences are more than noise, paired over seeds and queries."""

import numpy as np
import pandas as pd
import scipy

from qsmi_lib.config.run import RunConfig
from qsmi_lib.evaluation import evaluate
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.artefacts import load_artefact, save_artefact
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import codes_of, run_id
from qsmi_lib.utils.progress import bar

LEVEL = 0.05  # of all comparisons at one code length together
SCALE = 65535  # AP in [0, 1] as uint16


def collect(results: Results, bits: int) -> dict[str, np.ndarray]:
    """AP of every query and seed from the codes of all methods' runs of `bits` bits, written as an artefact.

    Returns:
        As `load_ap`.

    Raises:
        FileNotFoundError: codes that are not on this machine.
    """
    by_method = {}
    for config in bar(compared_runs(results, bits), "AP", unit="run"):
        ap = evaluate(*codes_of(config, results.store), ties="expected").ap
        by_method.setdefault(config.method, []).append(ap)
    ap = np.array(list(by_method.values()))
    ap = ap[:, :, ~np.isnan(ap).any(axis=(0, 1))]  # a query with nothing relevant has none
    arrays = {
        "methods": np.array(list(by_method)),
        "by_seed": ap.mean(axis=2),
        "by_query": np.round(ap.mean(axis=1) * SCALE).astype(np.uint16),
    }
    save_artefact(results.store, artefact_of(bits), arrays, made_by(results, bits))
    return load_ap(results, bits)


def collect_all(results: Results) -> None:
    """`collect` the comparison of all methods at each code length, where the codes of all its runs are at hand."""
    configs = results.grid("methods")
    at_hand = all(results.store.codes(run_id(config)).exists() for config in configs)
    if len({config.seed for config in configs}) > 1 and at_hand:
        for bits in sorted({config.bits for config in configs}):
            collect(results, bits)


def compared_runs(results: Results, bits: int) -> list[RunConfig]:
    """The runs of all methods at one code length."""
    return [config for config in results.grid("methods") if config.bits == bits]


def made_by(results: Results, bits: int) -> dict:
    """The runs that the artefact of `bits` bits is made from."""
    return {"runs": [run_id(config) for config in compared_runs(results, bits)]}


def load_ap(results: Results, bits: int) -> dict[str, np.ndarray]:
    """The artefact that `collect` wrote.

    Returns:
        `methods` (m,); `by_seed` (m, n_seed), the mean AP over queries of each run, expected over orders of ties;
        `by_query` (m, n_query), the mean AP over seeds of each query, to 1 / 65,535.
    """
    arrays = load_artefact(results.store, artefact_of(bits))
    return arrays | {"by_query": arrays["by_query"] / SCALE}


def artefact_of(bits: int) -> str:
    """Name of the artefact for codes of `bits` bits."""
    return f"methods_ap_{bits}b.npz"


def paired(methods: np.ndarray, by_seed: np.ndarray, by_query: np.ndarray) -> pd.DataFrame:
    r"""Every two methods compared on the same seeds and queries.

    The difference D of their mean AP has an error from the choice of seeds and one from the choice of queries,
    :math:`\mathrm{se}^2 = s_S^2 / n_S + s_Q^2 / n_Q`: of the differences seed by seed (means over queries) and query by
    query (means over seeds). The part that seeds and queries share is counted in both.

    With few seeds some pair agrees over them by luck, so :math:`s_S^2` is drawn towards what all pairs have in common,
    see `moderated`. D / se is compared with Student's t (Welch, Satterthwaite), and Holm's procedure is set to 5 % for
    all pairs together. In simulations of 19 methods and three seeds without any true difference no more than 5 % of the
    tables held a false verdict, whether all methods vary alike or some vary many times as much as others.

    Args:
        methods: (m,), names.
        by_seed: (m, n_seed), at least two seeds.
        by_query: (m, n_query), at least two queries.

    Returns:
        A row each pair: `first`, `second`, `difference` (first less second), `se`, `p` and `significant`.

    Raises:
        ValueError: fewer than two methods, seeds or queries; arrays of different methods; AP that is not finite.
    """
    n_method, (n_seed, n_query) = len(methods), (by_seed.shape[1], by_query.shape[1])
    if min(n_method, n_seed, n_query) < 2:
        raise ValueError(
            f"a paired comparison needs at least two methods, seeds and queries, got {n_method}, {n_seed} and {n_query}"
        )
    if not n_method == len(by_seed) == len(by_query):
        sizes = f"{n_method}, {len(by_seed)} and {len(by_query)}"
        raise ValueError(f"methods, by_seed and by_query must be of as many methods, got {sizes}")
    if not (np.isfinite(by_seed).all() and np.isfinite(by_query).all()):
        raise ValueError("mean AP must be finite: leave out queries with nothing relevant")
    first, second = np.triu_indices(n_method, 1)
    seeds, queries = by_seed[first] - by_seed[second], by_query[first] - by_query[second]
    variance, prior = moderated(seeds.var(axis=1, ddof=1), n_seed - 1)
    parts = np.stack([variance / n_seed, queries.var(axis=1, ddof=1) / n_query], axis=1)
    freedoms = min(prior + n_seed - 1, (n_method - 1) * (n_seed - 1)), n_query - 1
    difference, se = seeds.mean(axis=1), np.sqrt(parts.sum(axis=1))
    sure = se == 0
    freedom = parts.sum(axis=1) ** 2 / np.where(sure, 1.0, (parts**2 / freedoms).sum(axis=1))
    p = 2.0 * scipy.stats.t.sf(np.abs(difference) / np.where(sure, 1.0, se), np.where(sure, 1.0, freedom))
    columns = {"first": methods[first], "second": methods[second], "difference": difference, "se": se}
    table = pd.DataFrame(columns | {"p": np.where(sure, (difference == 0).astype(float), p)})
    return table.assign(significant=holm(table["p"].to_numpy()))


def moderated(variances: np.ndarray, freedom: int) -> tuple[np.ndarray, float]:
    r"""Variances from few values each, drawn towards what all of them have in common (Smyth, 2004).

    .. math::
        \tilde s_i^2 = \frac{d_0 s_0^2 + d s_i^2}{d_0 + d}

    The true variances are taken to be scaled inverse chi-square; :math:`d_0`, how much they have in common, and
    :math:`s_0^2` follow from mean and variance of :math:`\log s_i^2`. Where these scatter no more than by chance, all
    share the mean of the variances and :math:`d_0` is infinite.

    Args:
        variances: (k,), none negative.
        freedom: d, degrees of freedom of each, at least 1.

    Returns:
        (k,), the variances; and :math:`d_0`.
    """
    if not variances.any():
        return variances, np.inf
    digamma, polygamma = scipy.special.digamma, scipy.special.polygamma
    # A variance of 0 has no logarithm, and Smyth's own code lifts the least ones likewise.
    logs = np.log(np.maximum(variances, 1e-5 * variances.mean())) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = (logs.var(ddof=1) if len(logs) > 1 else 0.0) - polygamma(1, freedom / 2)
    if excess <= 1e-6:  # more than a million degrees of freedom in common
        return np.full(len(variances), variances.mean()), np.inf
    prior = 2.0 * scipy.optimize.brentq(lambda half: polygamma(1, half) - excess, 1e-8, 1e8)
    common = np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2))
    return (prior * common + freedom * variances) / (prior + freedom), prior


def holm(p: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Which of the hypotheses Holm's procedure (1979) rejects: p (m,) -> bool (m,).

    The smallest p is compared with level / m, the next with level / (m - 1), until one is larger.
    """
    order = np.argsort(p, kind="stable")
    passed = np.minimum.accumulate(p[order] <= level / np.arange(len(p), 0, -1))
    rejected = np.zeros(len(p), bool)
    rejected[order] = passed
    return rejected


def verdicts(results: Results, bits: int) -> pd.DataFrame:
    """Significant differences at one code length, by `paired`.

    Args:
        results: whose artefact.
        bits: code length.

    Returns:
        One row and one column per method, the highest mean AP first: 1 where the row's method is better than the
        column's, -1 where it is worse, 0 where the difference is not significant. Empty where nothing was collected.
    """
    if not results.store.existing(results.store.artefact(artefact_of(bits))).exists():
        return pd.DataFrame(dtype=int)
    arrays = load_ap(results, bits)
    order = arrays["methods"][np.argsort(-arrays["by_seed"].mean(axis=1), kind="stable")]
    square = pd.DataFrame(0, index=order, columns=order)
    table = paired(**arrays)
    for pair in table[table["significant"]].itertuples():
        square.loc[pair.first, pair.second] = int(np.sign(pair.difference))
        square.loc[pair.second, pair.first] = -int(np.sign(pair.difference))
    return square


def in_words(square: pd.DataFrame, method: str) -> str:
    """`verdicts` of one method in words: the methods that it is better than, worse than, and within noise of."""
    others = square.loc[method].drop(method)
    kinds = {1: "better than", -1: "worse than", 0: "within noise of"}
    titles_of = {words: [METHODS[name].title for name in others.index[others == sign]] for sign, words in kinds.items()}
    return "; ".join(f"{words} {', '.join(titles) or 'none'}" for words, titles in titles_of.items())

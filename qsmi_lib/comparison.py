"""Methods compared: which differences are more than noise (paired over seeds and queries), and what explains them."""

import json
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import stats

from qsmi_lib import paths, tuning
from qsmi_lib.config import RunConfig
from qsmi_lib.evaluation import evaluate
from qsmi_lib.experiments import LENGTHS, TRAINED, grid
from qsmi_lib.inspection import codes_of
from qsmi_lib.losses import dnnh_loss, mihash_loss, spring_loss
from qsmi_lib.methods import METHODS, configure, settings_of_loss
from qsmi_lib.progress import bar
from qsmi_lib.records import write_arrays
from qsmi_lib.runner import record_path

LEVEL = 0.05  # of all comparisons at one code length together
SCALE = 65535  # AP in [0, 1] as uint16
BY_PAIR = ("qsmi", "dsh", "dpsh", "dhn", "hashnet", "hashgan", "dch")  # losses that are sums over pairs
BY_ORDER = {"spring": spring_loss, "dnnh": dnnh_loss, "mihash": mihash_loss}  # of an anchor's positives and negatives
SATURATED = 40.0  # an output whose tanh and sigmoid are 1 in float64
SQUASHED = ("dhn", "hashnet", "dnnh", "mihash")  # losses that see tanh or sigmoid of the outputs


def collect(configs: list[RunConfig], profile: str, bits: int) -> dict[str, np.ndarray]:
    """AP of every query and seed from the codes of the runs of `bits` bits, written as an artefact of the profile.

    Args:
        configs: runs, of several methods and the same seeds for each.
        profile: whose codes, and whose artefact.
        bits: code length.

    Returns:
        As `load`.

    Raises:
        FileNotFoundError: codes that are not on this machine.
    """
    by_method = {}
    for config in bar([config for config in configs if config.bits == bits], "AP", unit="run"):
        ap = evaluate(*codes_of(config, profile), ties="expected").ap
        by_method.setdefault(config.method, []).append(ap)
    ap = np.array(list(by_method.values()))
    ap = ap[:, :, ~np.isnan(ap).any(axis=(0, 1))]  # a query with nothing relevant has none
    arrays = {
        "methods": np.array(list(by_method)),
        "by_seed": ap.mean(axis=2),
        "by_query": np.round(ap.mean(axis=1) * SCALE).astype(np.uint16),
    }
    write_arrays(paths.results(profile) / "artefacts" / file_of(bits), **arrays)
    return load(paths.results(profile), bits)


def collect_all(profile: str) -> None:
    """`collect` the comparison of all methods at each code length, where the codes of all its runs are at hand."""
    configs = grid("methods", profile)
    if len({config.seed for config in configs}) > 1 and all(has_codes(config, profile) for config in configs):
        for bits in LENGTHS:
            collect(configs, profile, bits)


def has_codes(config: RunConfig, profile: str) -> bool:
    """Whether the codes of a run are on this machine."""
    return paths.codes(profile, record_path(config, profile).stem).exists()


def load(results: Path, bits: int) -> dict[str, np.ndarray]:
    """What `collect` wrote under a profile's folder `results`.

    Returns:
        `methods` (m,); `by_seed` (m, n_seed), the mean AP over queries of each run, any order of ties being as likely;
        `by_query` (m, n_query), the mean AP over seeds of each query, to 1 / 65,535.
    """
    with np.load(results / "artefacts" / file_of(bits)) as saved:
        arrays = dict(saved)
    return arrays | {"by_query": arrays["by_query"] / SCALE}


def file_of(bits: int) -> str:
    """Name of the artefact for codes of `bits` bits."""
    return f"methods_ap_{bits}b.npz"


def paired(methods: np.ndarray, by_seed: np.ndarray, by_query: np.ndarray) -> pd.DataFrame:
    r"""Every two methods compared on the same seeds and queries.

    The difference D of their mean AP has an error from the choice of seeds and one from the choice of queries,
    :math:`\mathrm{se}^2 = s_S^2 / n_S + s_Q^2 / n_Q`: of the differences seed by seed (means over queries) and query by
    query (means over seeds). The part that seeds and queries share is counted in both.

    With few seeds some pair agrees over its seeds by luck. So :math:`s_S^2` is the larger of the pair's own variance
    and that of all methods pooled, twice the residual variance of `by_seed` without the means of methods and of seeds,
    which has :math:`(m - 1)(n_S - 1)` degrees of freedom. D / se is compared with Student's t (Welch, Satterthwaite),
    and Holm's procedure is set to 5 % for all pairs together. In simulations without any true difference about 3 % of
    the tables held a false verdict where all methods vary alike over three seeds, about 10 % where they vary very
    unequally; a method that scatters widely makes all verdicts rarer.

    Args:
        methods: (m,), names.
        by_seed: (m, n_seed), at least two seeds.
        by_query: (m, n_query), at least two queries.

    Returns:
        A row each pair: `first`, `second`, `difference` (first less second), `se`, `p` and `significant`.

    Raises:
        ValueError: fewer than two methods, seeds or queries; NaN.
    """
    n_method, (n_seed, n_query) = len(methods), (by_seed.shape[1], by_query.shape[1])
    if min(n_method, n_seed, n_query) < 2:
        raise ValueError(
            f"a paired comparison needs at least two methods, seeds and queries, got {n_method}, {n_seed} and {n_query}"
        )
    if np.isnan(by_seed).any() or np.isnan(by_query).any():
        raise ValueError("mean AP must not be NaN: leave out queries with nothing relevant")
    rest = by_seed - by_seed.mean(axis=1, keepdims=True)
    freedoms = (n_method - 1) * (n_seed - 1), n_query - 1
    pooled = 2.0 * np.square(rest - rest.mean(axis=0)).sum() / freedoms[0]
    rows = []
    for i, j in combinations(range(len(methods)), 2):
        seeds, queries = by_seed[i] - by_seed[j], by_query[i] - by_query[j]
        parts = np.array([max(seeds.var(ddof=1), pooled) / n_seed, queries.var(ddof=1) / n_query])
        se = np.sqrt(parts.sum())
        difference = seeds.mean()
        if se > 0:
            freedom = parts.sum() ** 2 / (parts**2 / freedoms).sum()
            p = 2.0 * stats.t.sf(abs(difference) / se, freedom)
        else:
            p = float(difference == 0)
        rows.append({"first": methods[i], "second": methods[j], "difference": difference, "se": se, "p": p})
    table = pd.DataFrame(rows)
    return table.assign(significant=holm(table["p"].to_numpy()))


def holm(p: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Which of the hypotheses Holm's procedure (1979) rejects: p (m,) -> bool (m,).

    The smallest p is compared with level / m, the next with level / (m - 1), until one is larger.
    """
    order = np.argsort(p, kind="stable")
    passed = np.minimum.accumulate(p[order] <= level / np.arange(len(p), 0, -1))
    rejected = np.zeros(len(p), bool)
    rejected[order] = passed
    return rejected


def verdicts(results: Path, bits: int) -> pd.DataFrame:
    """Who beats whom at one code length, as `paired` judges it.

    Args:
        results: a profile's folder.
        bits: code length.

    Returns:
        A row and a column a method, the highest mean AP first: 1 where the row's method is better than the column's,
        -1 where it is worse, 0 where they differ by no more than noise. Empty where nothing was collected.
    """
    if not (results / "artefacts" / file_of(bits)).exists():
        return pd.DataFrame(dtype=int)
    arrays = load(results, bits)
    order = arrays["methods"][np.argsort(-arrays["by_seed"].mean(axis=1), kind="stable")]
    square = pd.DataFrame(0, index=order, columns=order)
    table = paired(**arrays)
    for pair in table[table["significant"]].itertuples():
        square.loc[pair.first, pair.second] = int(np.sign(pair.difference))
        square.loc[pair.second, pair.first] = -int(np.sign(pair.difference))
    return square


def in_words(square: pd.DataFrame, method: str) -> str:
    """What `verdicts` says of one method: whom it beats, who beats it, and who is no more than noise away."""
    others = square.loc[method].drop(method)
    kinds = {1: "better than", -1: "worse than", 0: "within noise of"}
    found = {words: [METHODS[name].title for name in others.index[others == sign]] for sign, words in kinds.items()}
    return "; ".join(f"{words} {', '.join(titles) or 'none'}" for words, titles in found.items())


def pair_costs(bits: int, *, information_needs: float = 10.0) -> pd.DataFrame:
    """What each loss over pairs charges two codes at each Hamming distance, as a share of its range.

    A batch of two items goes through the loss with the registry's own settings and no quantization term. Losses that
    see tanh of the outputs get outputs so large that it is the code.

    Args:
        bits: code length.
        information_needs: M of QSMI.

    Returns:
        Distances 0 to `bits` as rows; columns (method, "similar" or "dissimilar"), each from 0 to 1.
    """
    costs = {}
    for method in BY_PAIR:
        options = {"alpha": 0.0} if METHODS[method].alpha is not None else {}
        options |= {"information_needs": information_needs} if method == "qsmi" else {}
        settings = settings_of_loss(configure("fashion_mnist", method, bits, **options))
        settings |= METHODS[method].on_step(0) if METHODS[method].on_step else {}
        for kind, labels in {"similar": [0, 0], "dissimilar": [0, 1]}.items():
            costs[method, kind] = [
                METHODS[method].loss(_codes(method, bits, distance), torch.tensor(labels), **settings).item()
                for distance in range(bits + 1)
            ]
    return _share_of_range(pd.DataFrame(costs)).rename_axis("distance")


def order_costs(bits: int) -> pd.DataFrame:
    """What the losses `BY_ORDER` charge an anchor with one positive and one negative, as a share of their range.

    The two distances add up to `bits`, so that the pair runs from the best order to the worst.

    Args:
        bits: code length, even.

    Returns:
        Rows: the positive's distance less the negative's, -`bits` to `bits`; a column a method, each from 0 to 1.
    """
    relevance = torch.eye(3, dtype=torch.bool)
    relevance[0, 1] = True  # the first item alone is an anchor
    rows = range(bits + 1)
    costs = {
        method: [loss(_codes(method, bits, near, bits - near), relevance).item() for near in rows]
        for method, loss in BY_ORDER.items()
    }
    return _share_of_range(pd.DataFrame(costs, index=[2 * near - bits for near in rows])).rename_axis("difference")


def _codes(method: str, bits: int, *distances: int) -> torch.Tensor:
    """A code of ones and, for each of `distances`, one so far from it, as outputs that `method` takes for codes."""
    codes = torch.ones(1 + len(distances), bits, dtype=torch.float64)
    for row, distance in enumerate(distances, start=1):
        flipped = slice(distance) if row == 1 else slice(bits - distance, None)
        codes[row, flipped] = -1.0
    return codes * (SATURATED if method in SQUASHED else 1.0)


def _share_of_range(costs: pd.DataFrame) -> pd.DataFrame:
    """Each column from 0, its least value, to 1, its largest."""
    return (costs - costs.min()) / (costs.max() - costs.min())


def described(methods: Iterable[str]) -> pd.DataFrame:
    """The registry as a table: title, source, what the line search tries, and what must stand beside the numbers."""
    rows = []
    for entry in map(METHODS.__getitem__, methods):
        tried = "; ".join(f"{name}: {', '.join(map(shown, values))}" for name, values in entry.search.items())
        rows.append({"method": entry.title, "source": entry.source, "tried": tried or "–", "note": entry.note})
    return pd.DataFrame(rows)


def shown(value: float | None) -> str:
    """A value of a setting as tables and figures print it; None is nan in a column of numbers."""
    return "the loss's own" if pd.isna(value) else f"{value:g}"


def trials(folder: Path, dataset: str = "fashion_mnist", bits: int = tuning.BITS) -> pd.DataFrame:
    """The line searches that are recorded, a row a trial; methods with nothing to tune have none.

    Args:
        folder: of searches.
        dataset: registry name.
        bits: code length of the searches.

    Returns:
        `method`, `setting` and `value`, which the trial tried; `score`, mAP of the held-out items (all orders of ties);
        `chosen`; `at_end`, whether the value is the first or the last that was tried.
    """
    rows = []
    for method in TRAINED:
        path = tuning.file_of(method, dataset, bits, folder)
        search = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"trials": []}
        for trial in filter(lambda trial: trial["settings"], search["trials"]):
            name, value = list(trial["settings"].items())[-1]  # the settings before it are those chosen already
            tried = METHODS[method].search[name]
            row = {"method": method, "setting": name, "value": value, "score": trial[search["criterion"]]}
            at_end = value is not None and value in (tried[0], tried[-1])  # None has no place among numbers
            rows.append(row | {"chosen": search["chosen"][name] == value, "at_end": at_end})
    return pd.DataFrame(rows, columns=["method", "setting", "value", "score", "chosen", "at_end"])


def properties(kept: Sequence[dict]) -> pd.DataFrame:
    """What the codes of runs are like, a row a record.

    Args:
        kept: records.

    Returns:
        `method`, `bits`, `seed`; `imbalance`, the mean size of a bit's mean over the database, 0 where all bits are
        balanced; `bit_entropy`, `code_entropy` (bits) and `n_distinct` of the database's codes; `separation`, the
        chance that a relevant pair of query and item is nearer than another pair, equal distances counting half; `map`.
    """
    rows = []
    for record in kept:
        within, between = np.array(record["metrics"]["share_by_distance"]).T
        row = {name: record["config"][name] for name in ("method", "bits", "seed")}
        row |= {"imbalance": float(np.abs(record["codes"]["bit_mean"]).mean())}
        row |= {name: record["codes"][name] for name in ("bit_entropy", "code_entropy", "n_distinct")}
        row |= {"separation": float(between @ (within.cumsum() - within / 2)), "map": record["metrics"]["map"]}
        rows.append(row)
    numbers = ["imbalance", "bit_entropy", "code_entropy", "n_distinct", "separation", "map"]
    return pd.DataFrame(rows, columns=["method", "bits", "seed", *numbers]).astype(dict.fromkeys(numbers, float))


def caption(configs: Sequence[RunConfig], n_recorded: int, measure: str) -> str:
    """What a figure of the runs `configs` must say: data, epochs, seeds, tuning, measure, and how many are recorded."""
    dataset = configs[0].dataset
    data = "Fashion-MNIST" if dataset == "fashion_mnist" else dataset
    trained = [config for config in configs if METHODS[config.method].loss is not None]
    epochs = " and ".join(str(n) for n in sorted({config.epochs for config in trained}))
    seeds = sorted({config.seed for config in configs})
    tuned = f"tuned at {tuning.BITS} bits" if any(tuning.chosen(c.method, dataset) for c in trained) else "not tuned"
    runs = len(set(map(repr, configs)))
    seeds = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    return f"{data}, {epochs} epochs, {seeds}, {tuned}; {measure}; {n_recorded} of {runs} runs"

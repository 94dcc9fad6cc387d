"""Which differences between methods are more than noise: paired over seeds and queries."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from qsmi_lib import paths
from qsmi_lib.config import RunConfig
from qsmi_lib.evaluation import evaluate
from qsmi_lib.inspection import codes_of
from qsmi_lib.progress import bar
from qsmi_lib.records import write_arrays

LEVEL = 0.05  # of all comparisons at one code length together
SCALE = 65535  # AP in [0, 1] as uint16


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
    methods, ap = np.array(list(by_method)), np.array(list(by_method.values()))
    arrays = {
        "methods": methods,
        "by_seed": np.nanmean(ap, axis=2),
        "by_query": np.round(np.nanmean(ap, axis=1) * SCALE).astype(np.uint16),
    }
    write_arrays(paths.results(profile) / "artefacts" / file_of(bits), **arrays)
    return load(paths.results(profile), bits)


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
    query (means over seeds). The part that seeds and queries share is counted in both, so the error is rather too large
    than too small. D / se is compared with Student's t, with the degrees of freedom of Welch and Satterthwaite; Holm's
    procedure holds the chance of any false difference among all pairs at 5 %.

    Args:
        methods: (m,), names.
        by_seed: (m, n_seed), at least two seeds.
        by_query: (m, n_query), at least two queries.

    Returns:
        A row each pair: `first`, `second`, `difference` (first less second), `se`, `p` and `significant`.

    Raises:
        ValueError: fewer than two seeds or queries.
    """
    n_seed, n_query = by_seed.shape[1], by_query.shape[1]
    if min(n_seed, n_query) < 2:
        raise ValueError(f"a paired comparison needs at least two seeds and two queries, got {n_seed} and {n_query}")
    rows = []
    for i, j in combinations(range(len(methods)), 2):
        seeds, queries = by_seed[i] - by_seed[j], by_query[i] - by_query[j]
        parts = np.array([seeds.var(ddof=1) / n_seed, queries.var(ddof=1) / n_query])
        se = np.sqrt(parts.sum())
        difference = seeds.mean()
        if se > 0:
            freedom = parts.sum() ** 2 / (parts**2 / (n_seed - 1, n_query - 1)).sum()
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

"""Fig. 4: database and queries in one t-SNE map, and measures of what the map seems to show."""

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy

from qsmi_lib.reproduction.artefacts import is_current, load_artefact, save_artefact
from qsmi_lib.training import loop, runs
from qsmi_lib.training.records import Store, codes_of, run_id
from qsmi_lib.utils.progress import bar

if TYPE_CHECKING:  # it imports the experiments, whose figures need this module
    from qsmi_lib.reproduction.results import Results

N_DATABASE, N_QUERY = 30_000, 10_000  # of the figure's caption, the first ones; fewer where there are fewer
PERPLEXITIES = (2, 30)  # the paper's, and a usual one
SPACES = ("qsmi", "dsh", "features")  # codes of 48 bits of two methods, and what they are codes of
MEASURED = "tsne.json"
SMALL = 5000  # points; on fewer, threads cost more than they save
K, N_ANCHORS = 10, 2000  # neighbours, and at most so many items whose neighbours are counted


class Points(NamedTuple):
    """Items of one space: float or int8 (n, d) and int64 labels (n,), of the database and of the queries."""

    database: np.ndarray
    query: np.ndarray
    database_labels: np.ndarray
    query_labels: np.ndarray


def embed(
    database: np.ndarray, query: np.ndarray, *, perplexity: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """One map of both: t-SNE (van der Maaten & Hinton, 2008) of the database, by openTSNE; the queries placed into it.

    Items that coincide are one point of the map: affinities between them would be all or nothing, and a map that drew
    them apart would show a structure that is not there. A query that coincides with an item is placed on it.

    Args:
        database: (n_database, d); codes or features, compared by Euclidean distance, which orders codes as Hamming
            distance does.
        query: (n_query, d).
        perplexity: how many neighbours weigh; at most a third of the distinct items.
        seed: of the start.

    Returns:
        float64 (n_database, 2) and (n_query, 2).

    Raises:
        ValueError: too few distinct items for the perplexity.
        ImportError: openTSNE is not installed.
    """
    try:
        from openTSNE import TSNE
    except ImportError as error:
        raise ImportError("openTSNE is not installed: pip install 'qsmi-lib[tsne]'") from error
    points, place = np.unique(database, axis=0, return_inverse=True)
    if len(points) <= 3 * perplexity:
        least = 3 * perplexity
        raise ValueError(f"perplexity {perplexity:g} needs more than {least:g} distinct items, got {len(points)}")
    n_jobs = -1 if len(points) > SMALL else 1
    fitted = TSNE(perplexity=perplexity, random_state=seed, n_jobs=n_jobs).fit(points.astype(np.float64))
    queries, query_place = np.unique(query, axis=0, return_inverse=True)
    of_point = {point.tobytes(): index for index, point in enumerate(points)}
    known = np.array([of_point.get(point.tobytes(), -1) for point in queries])
    new = known < 0
    placed = fitted.transform(queries[new].astype(np.float64)) if new.any() else np.empty((0, 2))
    spots = np.asarray(fitted)[known]  # read after `transform`, which shifts the whole map
    spots[new] = placed
    return np.asarray(fitted)[place], spots[query_place]


def memberships(distance: np.ndarray, k: int) -> np.ndarray:
    """Probability that an item is among the k nearest, over all orders of ties: (n, m), each row's sum is k.

    Args:
        distance: (n, m); inf leaves an item out.
        k: at most the number of finite distances of a row.
    """
    reach = np.partition(distance, k - 1, axis=1)[:, k - 1 : k]
    nearer, level = distance < reach, distance == reach
    share = (k - nearer.sum(axis=1, keepdims=True)) / level.sum(axis=1, keepdims=True)
    return nearer + level * share


def same_class(
    items: np.ndarray,
    labels: np.ndarray,
    query: np.ndarray | None = None,
    query_labels: np.ndarray | None = None,
    k: int = K,
) -> float:
    """The share of the k nearest of `items` that are of the class of the query.

    Args:
        items: (n, d).
        labels: int (n,).
        query: (m, d), the first `N_ANCHORS` are used; None: the items themselves, each without itself.
        query_labels: int (m,).
        k: neighbours.
    """
    queries, labels_of_queries = (items, labels) if query is None else (query, query_labels)
    rows = np.arange(len(queries))[:N_ANCHORS]
    shares = [
        memberships(_distance(queries[chunk], items, chunk if query is None else None), k)
        * (labels[None] == labels_of_queries[chunk, None])
        for chunk in np.array_split(rows, max(1, len(rows) // 250))
    ]
    return float(sum(part.sum() for part in shares) / (k * len(rows)))


def agreement(one: np.ndarray, other: np.ndarray, labels: np.ndarray, k: int = K) -> tuple[float, float]:
    """Agreement of two spaces inside a class: the share of the k nearest items of the class that both have in common.

    Args:
        one: (n, d), the items in one space.
        other: (n, e), the same items in another.
        labels: int (n,); only items of the same class are compared, with at most `N_ANCHORS` queries.
        k: neighbours, at most as many as a class has others; ties count in the mean over all orders.

    Returns:
        The share, and what chance would give.
    """
    shares, chances = [], []
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        rows = np.arange(len(members))[: max(1, N_ANCHORS // len(np.unique(labels)))]
        near = [memberships(_distance(space[members[rows]], space[members], rows), k) for space in (one, other)]
        shares.append((near[0] * near[1]).sum(axis=1) / k)
        chances.append(np.full(len(rows), k / (len(members) - 1)))
    return float(np.concatenate(shares).mean()), float(np.concatenate(chances).mean())


def points_of(space: str, results: "Results") -> Points:
    """The items of one of `SPACES`: codes of 48 bits, or the features behind them.

    Codes that are not at hand are made again, which needs the data.

    Raises:
        FileNotFoundError: data or weights are not on this machine.
    """
    configs = {config.method: config for config in results.grid("fig_4")}
    if space == "features":
        split = runs.split_of(configs["qsmi"])
        parts = split.database.inputs.numpy(), split.query.inputs.numpy()
        labels = split.database.labels.numpy(), split.query.labels.numpy()
    else:
        config, store = configs[space], results.store
        runs.run(config, store, fresh=not store.codes(run_id(config)).exists())
        codes = codes_of(config, store)
        parts, labels = (codes.database, codes.query), (codes.database_labels, codes.query_labels)
    return Points(parts[0][:N_DATABASE], parts[1][:N_QUERY], labels[0][:N_DATABASE], labels[1][:N_QUERY])


def measured(points: Points, features: Points) -> dict[str, float]:
    """Section 4.3's claims about Fig. 4 in numbers, without any map.

    Args:
        points: of one of `SPACES`.
        features: of the same items.

    Returns:
        `distinct`, how many different database items there are; `items`; `database_same_class` and
        `query_same_class`, the share of the ten nearest database items of the same class; `inner_agreement`, how far
        the features agree inside a class, and `inner_chance`.
    """
    inner, chance = agreement(points.database, features.database, points.database_labels)
    return {
        "items": len(points.database),
        "distinct": len(np.unique(points.database, axis=0)),
        "database_same_class": same_class(points.database, points.database_labels),
        "query_same_class": same_class(points.database, points.database_labels, points.query, points.query_labels),
        "inner_agreement": inner,
        "inner_chance": chance,
    }


def made_by(results: "Results") -> dict:
    """The runs and settings that the maps are of."""
    runs = [run_id(config) for config in results.grid("fig_4")]
    return {"runs": runs, "perplexities": list(PERPLEXITIES), "n_database": N_DATABASE, "n_query": N_QUERY}


def collect(results: "Results", *, fresh: bool = False) -> None:
    """Write the maps of `SPACES` and their measures as artefacts, unless they are there."""
    notes = made_by(results)
    if is_current(results.store, MEASURED, notes) and not fresh:
        return
    numbers, began = {}, time.monotonic()
    features = points_of("features", results)
    for space in bar(SPACES, "t-SNE", unit="space"):
        points = features if space == "features" else points_of(space, results)
        labels = {"database_labels": points.database_labels, "query_labels": points.query_labels}
        numbers[space] = measured(points, features)
        for perplexity in PERPLEXITIES:
            database, query = embed(points.database, points.query, perplexity=perplexity)
            arrays = {name: xy.astype(np.float16) for name, xy in {"database": database, "query": query}.items()}
            arrays |= {name: values.astype(np.uint8) for name, values in labels.items()}
            save_artefact(results.store, map_name(space, perplexity), arrays, notes)
            inner, _ = agreement(database, features.database, points.database_labels)
            numbers[space] |= {
                f"map_{perplexity:g}_database_same_class": same_class(database, points.database_labels),
                f"map_{perplexity:g}_query_same_class": same_class(
                    database, points.database_labels, query, points.query_labels
                ),
                f"map_{perplexity:g}_inner_agreement": inner,
            }
    rounded = {space: {name: loop.rounded(value) for name, value in row.items()} for space, row in numbers.items()}
    profile = results.profile
    head = {"profile": profile.name, "dataset": profile.pictures, "backbone": profile.backbone}
    head |= {"openTSNE": version("openTSNE"), "seconds": round(time.monotonic() - began)}
    save_artefact(results.store, MEASURED, head | rounded, notes)


def map_name(space: str, perplexity: float) -> str:
    """Name of the artefact with the map of one space."""
    return f"tsne_{space}_{perplexity:g}.npz"


def load_map(store: Store, space: str, perplexity: float) -> Points:
    """The map that `collect` wrote: places in the plane, and labels."""
    arrays = load_artefact(store, map_name(space, perplexity))
    places = [arrays[name].astype(np.float64) for name in ("database", "query")]
    return Points(*places, *(arrays[f"{name}_labels"].astype(np.int64) for name in ("database", "query")))


def _distance(queries: np.ndarray, items: np.ndarray, themselves: np.ndarray | None) -> np.ndarray:
    """Squared Euclidean distances (m, n), equal for equal items; inf from an item to itself, at `themselves[row]`."""
    squared = scipy.spatial.distance.cdist(queries, items, "sqeuclidean")
    if themselves is not None:
        squared[np.arange(len(queries)), themselves] = np.inf
    return squared

"""Fig. 4: database and queries in one t-SNE map, and whether what the map seems to show is so."""

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from qsmi_lib.config.profiles import profile as get_profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction.experiments import grid
from qsmi_lib.training import runs as runner
from qsmi_lib.utils import files, paths
from qsmi_lib.utils.progress import bar

N_DATABASE, N_QUERY = 30_000, 10_000  # of the figure's caption, the first ones; fewer where there are fewer
PERPLEXITIES = (2, 30)  # the paper's, and a usual one
SPACES = ("qsmi", "dsh", "features")  # codes of 48 bits of two methods, and what they are codes of
MEASURED = "tsne.json"
FORMAT = 1  # of the files; another one makes them again
K, N_ANCHORS = 10, 2000  # neighbours, and items that are asked for theirs


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
    them apart would show a structure that is not there. A query that coincides with an item lies where that lies.

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
    fitted = TSNE(perplexity=perplexity, random_state=seed, n_jobs=-1).fit(points.astype(np.float64))
    asked, asked_place = np.unique(query, axis=0, return_inverse=True)
    of_point = {point.tobytes(): index for index, point in enumerate(points)}
    known = np.array([of_point.get(point.tobytes(), -1) for point in asked])
    new = known < 0
    placed = fitted.transform(asked[new].astype(np.float64)) if new.any() else np.empty((0, 2))
    spots = np.asarray(fitted)[known]  # read after `transform`, which shifts the whole map
    spots[new] = placed
    return np.asarray(fitted)[place], spots[asked_place]


def memberships(distance: np.ndarray, k: int) -> np.ndarray:
    """How much of each item belongs to the k nearest, ties in every order: (n, m) in [0, 1], each row's sum k.

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
    """The share of the k nearest of `items` that carry the class of who asks.

    Args:
        items: (n, d).
        labels: int (n,).
        query: (m, d), at most `N_ANCHORS` of them ask; None: the items themselves, none of which finds itself.
        query_labels: int (m,).
        k: neighbours.
    """
    asked, asked_labels = (items, labels) if query is None else (query, query_labels)
    rows = np.arange(len(asked))[:N_ANCHORS]
    found = [
        memberships(_distance(asked[chunk], items, chunk if query is None else None), k)
        * (labels[None] == asked_labels[chunk, None])
        for chunk in np.array_split(rows, max(1, len(rows) // 250))
    ]
    return float(sum(part.sum() for part in found) / (k * len(rows)))


def agreement(one: np.ndarray, other: np.ndarray, labels: np.ndarray, k: int = K) -> tuple[float, float]:
    """Do two spaces agree on who is near inside a class? The share of k nearest items of the own class that both name.

    Args:
        one: (n, d), the items in one space.
        other: (n, e), the same items in another.
        labels: int (n,); only items of the same class are compared, and `N_ANCHORS` ask.
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


def points_of(space: str, profile: str) -> Points:
    """The items of one of `SPACES` under `profile`: codes of 48 bits, or the features behind them.

    Codes that are not at hand are made again, which needs the data.

    Raises:
        FileNotFoundError: data or weights are not on this machine.
    """
    runs = {run.method: run for run in grid("fig_4", profile)}
    if space == "features":
        split = runner.split_of(runs["qsmi"])
        parts = split.database.inputs.numpy(), split.query.inputs.numpy()
        labels = split.database.labels.numpy(), split.query.labels.numpy()
    else:
        runner.run(runs[space], profile, fresh=not codes_at_hand(runs[space], profile))
        codes = runner.codes_of(runs[space], profile)
        parts, labels = (codes.database, codes.query), (codes.database_labels, codes.query_labels)
    return Points(parts[0][:N_DATABASE], parts[1][:N_QUERY], labels[0][:N_DATABASE], labels[1][:N_QUERY])


def codes_at_hand(config: RunConfig, profile: str) -> bool:
    """Whether the codes of a run, which no repository carries, lie on this machine."""
    return paths.codes(profile, runner.run_id(config)).exists()


def measured(space: str, profile: str) -> dict[str, float]:
    """What Section 4.3 says of Fig. 4, in numbers, without any map.

    Returns:
        `distinct`, how many different database items there are; `items`; `database_same_class` and
        `query_same_class`, the share of the ten nearest database items of the own class; `inner_agreement`, with whom
        the features agree inside a class, and `inner_chance`.
    """
    own, features = points_of(space, profile), points_of("features", profile)
    inner, chance = agreement(own.database, features.database, own.database_labels)
    return {
        "items": len(own.database),
        "distinct": len(np.unique(own.database, axis=0)),
        "database_same_class": same_class(own.database, own.database_labels),
        "query_same_class": same_class(own.database, own.database_labels, own.query, own.query_labels),
        "inner_agreement": inner,
        "inner_chance": chance,
    }


def is_current(profile: str) -> bool:
    """Whether the maps of `profile` are there, and of the runs, settings and format that `made_by` names."""
    path = paths.results(profile) / "artefacts" / MEASURED
    return path.exists() and json.loads(path.read_text(encoding="utf-8")).get("made_by") == made_by(profile)


def made_by(profile: str) -> dict:
    """What the maps depend on: the runs whose codes they draw, the settings, and the format of the files."""
    return {
        "format": FORMAT,
        "runs": [runner.run_id(run) for run in grid("fig_4", profile)],
        "perplexities": list(PERPLEXITIES),
        "n_database": N_DATABASE,
        "n_query": N_QUERY,
    }


def collect(profile: str, *, fresh: bool = False) -> None:
    """Write the maps of `SPACES` as artefacts of `profile`, one file each, and what is measured of them beside.

    Args:
        profile: whose runs.
        fresh: make maps that are there again.
    """
    folder = paths.results(profile) / "artefacts"
    if is_current(profile) and not fresh:
        return
    found, began = {}, time.monotonic()
    for space in bar(SPACES, "t-SNE", unit="space"):
        own, found[space] = points_of(space, profile), measured(space, profile)
        for perplexity in PERPLEXITIES:
            database, query = embed(own.database, own.query, perplexity=perplexity)
            seen = {"database": database, "query": query}
            labels = {"database_labels": own.database_labels, "query_labels": own.query_labels}
            arrays = {name: xy.astype(np.float16) for name, xy in seen.items()}
            arrays |= {name: values.astype(np.uint8) for name, values in labels.items()}
            files.write_arrays(folder / f"tsne_{space}_{perplexity:g}.npz", **arrays)
            inner, _ = agreement(database, points_of("features", profile).database, own.database_labels)
            found[space] |= {
                f"map_{perplexity:g}_database_same_class": same_class(database, own.database_labels),
                f"map_{perplexity:g}_query_same_class": same_class(
                    database, own.database_labels, query, own.query_labels
                ),
                f"map_{perplexity:g}_inner_agreement": inner,
            }
    rounded = {space: {k: runner.rounded(v) for k, v in own.items()} for space, own in found.items()}
    head = {"profile": profile, "dataset": get_profile(profile).pictures, "backbone": get_profile(profile).backbone}
    head |= {"openTSNE": version("openTSNE"), "seconds": round(time.monotonic() - began), "made_by": made_by(profile)}
    files.write_text(folder / MEASURED, json.dumps(head | rounded, indent=1) + "\n")


def recorded(space: str, perplexity: float, folder: Path = paths.COMMITTED / "artefacts") -> Points:
    """The map that `collect` wrote: places in the plane, and labels."""
    with np.load(folder / f"tsne_{space}_{perplexity:g}.npz") as saved:
        places = [saved[name].astype(np.float64) for name in ("database", "query")]
        return Points(*places, *(saved[f"{name}_labels"].astype(np.int64) for name in ("database", "query")))


def _distance(asked: np.ndarray, items: np.ndarray, themselves: np.ndarray | None) -> np.ndarray:
    """Squared Euclidean distances (m, n), equal for equal items; inf from an item to itself, at `themselves[row]`."""
    squared = cdist(asked, items, "sqeuclidean")
    if themselves is not None:
        squared[np.arange(len(asked)), themselves] = np.inf
    return squared

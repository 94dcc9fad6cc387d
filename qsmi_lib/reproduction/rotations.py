"""Effect of a rotation on mAP: the rotation is searched on held-out training items and evaluated on the queries."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import delayed

from qsmi_lib.codes import binarize
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import FULL, Part, Split
from qsmi_lib.losses.similarity import on_sphere
from qsmi_lib.models.rotation import STARTS, Search, search
from qsmi_lib.training import factory, loop, runs
from qsmi_lib.training.loop import rounded
from qsmi_lib.training.provenance import require_commit
from qsmi_lib.training.records import Store, by_any_label, load_record, run_id, save_record
from qsmi_lib.utils.io import check_writable
from qsmi_lib.utils.parallel import workers
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import known, whole_number

N_QUERY, N_DATABASE = 1000, 16000  # at most so many items in a search, as in the authors' script
WHOLE = {"held_out": FULL, "reduced_held_out": "reduced"}  # protocol of the search -> protocol of the scores
SHOWN = ("map_expected", "map_11pt", "map", "precision_radius2")
COLUMNS = ["method", "bits", "protocol", "held_before", "held_after", "before", "after"]
COLUMNS += ["precision_gain", "start_gain", "gain"]


def rotate(
    config: RunConfig, store: Store, *, start: str = "itq", n_steps: int = 800, seed: int = 0, fresh: bool = False
) -> dict:
    """Search for the rotation of the embeddings of `config` with the highest mAP, or read an earlier search.

    In the search, the queries are held-out training items (at most 1,000), and the database is the items that the
    network was trained on (at most 16,000). The rotation found is then evaluated with the query set and the whole
    database, and compared with the codes without a rotation.

    Args:
        config: a run under a protocol that holds training items out; it is trained if it has no saved weights.
        store: the folder of results.
        start: the first rotation, "itq" or "identity".
        n_steps: number of rotations that the search proposes.
        seed: of the search.
        fresh: search again even if a search with these settings is recorded.

    Returns:
        The record: `config`; `search`: its settings, mAP of the held-out items `before` and `after`, and `accepted`,
        pairs of a step and the mAP that it reached (step 0 is the start); the scores `SHOWN` of the queries `before`
        (without a rotation), `at_start` (with the first rotation) and `metrics` (with the rotation found); `probe`,
        see the function `probe`; `provenance`.

    Raises:
        ValueError: a protocol that holds nothing out, an unknown start, n_steps or a seed below 0.
    """
    whole = known("protocol that holds items out", WHOLE, config.protocol)
    known("start", dict.fromkeys(STARTS), start)
    n_steps, seed = whole_number("n_steps", n_steps, 0), whole_number("seed", seed, 0)
    settings = {"start": start, "n_steps": n_steps, "seed": seed}
    path = rotation_path(config, store, **settings)
    if store.existing(path).exists() and not fresh:
        return load_record(store.existing(path), config)
    require_commit(store)
    check_writable(path)  # before the search, not after it
    weights = store.trials.model(run_id(config))
    record = runs.run(config, store.trials, fresh=not weights.exists())
    model, precision = factory.load(weights)[0], record["provenance"]["precision"]
    began = time.perf_counter()
    split = runs.split_of(config)
    begun, best = (_search(model, split, precision, start=start, n_steps=n, seed=seed) for n in (0, n_steps))
    probed = probe(config, split, precision, start=start, seed=seed)
    held = {"n_query": min(N_QUERY, len(split.query)), "n_database": min(N_DATABASE, len(split.database))}
    split = runs.split_of(config, protocol=whole)
    points = [_points(model, part, precision) for part in (split.query, split.database)]
    scores = {}
    for name, turn in {"before": np.eye(config.bits), "at_start": begun.rotation, "metrics": best.rotation}.items():
        codes = (binarize(part @ torch.from_numpy(turn)) for part in points)
        metrics = by_any_label(runs.scores(*codes, split.query.labels, split.database.labels))
        scores[name] = {metric: metrics[metric] for metric in SHOWN}
    accepted = np.flatnonzero(np.diff(best.history, prepend=0.0))
    record = {
        "config": config.to_dict(),
        "search": settings
        | {"criterion": "map_expected"}
        | held
        | {"before": rounded(best.before), "after": rounded(float(best.history[-1]))}
        | {"accepted": [[int(step), rounded(float(best.history[step]))] for step in accepted]},
        **scores,
        "probe": probed,
        "provenance": record["provenance"] | {"seconds_search": round(time.perf_counter() - began, 3)},
    }
    save_record(record, path)
    return load_record(path)


def rotate_all(
    configs: Iterable[RunConfig], store: Store, *, n_steps: int, jobs: int = 1, fresh: bool = False
) -> list[dict]:
    """The records of the searches for `configs`; missing runs are trained first, then missing searches are made."""
    configs = list(configs)
    recorded_already = [store.existing(rotation_path(config, store, n_steps=n_steps)).exists() for config in configs]
    missing = [config for config, exists in zip(configs, recorded_already, strict=True) if fresh or not exists]
    runs.run_all(missing, store.trials, jobs=jobs, fresh=fresh, title="runs to rotate")
    with workers(jobs, return_as="generator") as parallel:
        made = parallel(delayed(rotate)(config, store, n_steps=n_steps, fresh=fresh) for config in configs)
        return list(bar(made, "rotations", total=len(configs), unit="search"))


def probe(config: RunConfig, split: Split, precision: str, *, start: str = "itq", seed: int = 0) -> list[float]:
    """The probe of a rotation: mAP at the start of its search, after training on three batches only.

    Args:
        config: the run.
        split: the one under the protocol that holds items out.
        precision: "float32" or "bf16".
        start, seed: of the search.
    """
    with loop.computing(config, split):
        trained = loop.train_briefly(config, split, loop.N_FIRST, precision)
    return [rounded(float(_search(trained.model, split, precision, start=start, n_steps=0, seed=seed).history[-1]))]


def table(configs: Iterable[RunConfig], store: Store, n_steps: int) -> pd.DataFrame:
    """Effect of the recorded rotations of `configs`, one row each.

    Args:
        configs: e.g. `Experiment.rotations` of a profile.
        store: the folder of results.
        n_steps: of the searches; those with another number are ignored.

    Returns:
        `method`, `bits`, `protocol`; mAP (mean over all orders of ties) without and with the rotation, of the held-out
        items (`held_before`, `held_after`) and of the queries (`before`, `after`); `precision_gain`, the gain in
        precision within radius 2; `start_gain` and `gain`, the gains in mAP over `before` with the first rotation and
        with the rotation found.
    """
    rows = []
    for config, record in recorded(configs, store, n_steps):
        before, after, held = record["before"], record["metrics"], record["search"]
        row = {"method": config.method, "bits": config.bits, "protocol": config.protocol}
        row |= {"held_before": held["before"], "held_after": held["after"]}
        row |= {"before": before["map_expected"], "after": after["map_expected"]}
        row |= {"precision_gain": after["precision_radius2"] - before["precision_radius2"]}
        row |= {"start_gain": record["at_start"]["map_expected"] - row["before"], "gain": row["after"] - row["before"]}
        rows.append(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def recorded(configs: Iterable[RunConfig], store: Store, n_steps: int) -> list[tuple[RunConfig, dict]]:
    """Those of `configs` that have a recorded rotation, each with its record."""
    files = [(config, store.existing(rotation_path(config, store, n_steps=n_steps))) for config in configs]
    return [(config, load_record(path)) for config, path in files if path.exists()]


def rotation_path(config: RunConfig, store: Store, *, n_steps: int, seed: int = 0, start: str = "itq") -> Path:
    """File of the record of a search in `store`."""
    return store.rotations / f"{run_id(config)}-{start}-{n_steps}n-s{seed}.json"


def _search(model: torch.nn.Module, split: Split, precision: str, **settings) -> Search:
    """The search on the held-out items of `split`."""
    parts = split.query[:N_QUERY], split.database[:N_DATABASE]
    points = (_points(model, part, precision).numpy() for part in parts)
    return search(*points, *(part.labels for part in parts), **settings)


def _points(model: torch.nn.Module, part: Part, precision: str) -> torch.Tensor:
    """Embeddings of norm 1: the sign does not depend on the norm, but ITQ would weight the items by it."""
    return on_sphere(loop.embed(model, part.inputs, precision=precision).double())

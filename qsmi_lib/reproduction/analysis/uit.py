"""The measurements behind the UIT slides' tables: LSH on HOG features, step by step; what they leave open of DSH."""

import json
import re
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import product

import numpy as np
from torch import Tensor
from tqdm import tqdm

from qsmi_lib import datasets
from qsmi_lib.config.presets import configure
from qsmi_lib.config.profiles import profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.evaluation import evaluate
from qsmi_lib.models.hog import hog_opencv
from qsmi_lib.models.projections import Projection
from qsmi_lib.reproduction.analysis import lsh_scores
from qsmi_lib.search import lsh
from qsmi_lib.training import loop
from qsmi_lib.training.records import SavedCodes
from qsmi_lib.utils import files, paths
from qsmi_lib.utils.progress import bar

BITS, TABLES = (8, 12, 16, 24), (4, 8, 16)
FILE, DSH_FILE = "lsh_tables.json", "dsh_settings.json"


@dataclass(frozen=True)
class Setting:
    """One way to measure LSH.

    Attributes:
        features: "opencv" (144 numbers) or "scikit-image" (324), see `qsmi_lib.models.hog`.
        protocol: "first_tenth" (1,000 queries, 6,000 database items) or "full" (10,000 and 60,000).
        n_seeds: directions are drawn with the seeds 0 to n_seeds - 1.
        ties: as in `lsh.HashTables.answers`; the script behind the slides keeps the order in which it meets items.
        centred: whether the database's mean is taken off first.
    """

    features: str
    protocol: str
    n_seeds: int
    ties: str = "index"
    centred: bool = False


SETTINGS = {
    "as published": Setting("opencv", "first_tenth", 10, ties="table"),
    "ties by index": Setting("opencv", "first_tenth", 10),
    "all pictures": Setting("opencv", "full", 3),
    "scikit-image's HOG": Setting("scikit-image", "full", 3),
    "centred": Setting("scikit-image", "full", 3, centred=True),
}
# What the slides leave open of DSH (U3, U4), around the setting of their Table 2 and script.
DSH_SETTINGS = {
    "as in Table 2 and the script": {"learning_rate": 3e-4, "alpha": 0.01},
    "learning rate of the slides": {"learning_rate": 3e-3, "alpha": 0.01},
    "alpha of the list of settings": {"learning_rate": 3e-4, "alpha": 0.1},
    "penalty as Eq. 6 counts it": {"learning_rate": 3e-4, "alpha": 0.02},
}


def features(dataset: str, images: Tensor, kind: str = "scikit-image") -> np.ndarray:
    """HOG features of normalised images of `dataset`: float32 (n, 324), or (n, 144) of 28 x 28 ones by "opencv".

    Args:
        dataset: registry name, whose normalisation is undone first.
        images: (n, 1, side, side), as `datasets.load` has them.
        kind: "scikit-image" or "opencv".
    """
    if kind not in ("scikit-image", "opencv"):
        raise ValueError(f"kind must be 'scikit-image' or 'opencv', got {kind!r}")
    hashed = Projection(dataset, bits=1)
    return hashed.features(images) if kind == "scikit-image" else hog_opencv(hashed.pixels(images))


def lsh_tables(name: str = "paper", settings: dict[str, Setting] = SETTINGS) -> dict:
    """Measure every cell under every setting, and write it as an artefact of the profile; five minutes on a core.

    It needs Fashion-MNIST, scikit-image and OpenCV (``pip install 'qsmi-lib[lsh]'``).

    Returns:
        As JSON holds it: `versions` of the libraries, `dataset`, `k`, and `settings`: name -> the fields of `Setting`
        (`seeds` lists them), `n_query`, `n_database`, `n_features`; `by_angle`, mAP@10 without hashing;
        `buckets`: for each code length, of the first table under each seed, `largest`, the share of the database in the
        fullest bucket, and `own`, in the bucket of a database item on average; `cells`: for each number of `tables` and
        `bits`, a list over seeds each of `published` and `clean`, mAP@10 by the two conventions, and of `short` and
        `empty`, the shares of the queries with fewer than ten answers and with none.
    """
    versions = {module: import_module(module).__version__ for module in ("numpy", "skimage", "cv2")}
    made = {"versions": versions, "dataset": profile(name).dataset, "k": lsh.K, "settings": {}}
    n_steps = sum(setting.n_seeds for setting in settings.values()) * len(BITS) * len(TABLES)
    with bar(None, "hash tables", total=n_steps, unit="cell") as progress:
        for title, setting in settings.items():
            split = datasets.load(made["dataset"], protocol=setting.protocol)
            made["settings"][title] = _measured(setting, split, progress)
    return _written(made, FILE, name)


def _measured(setting: Setting, split: Split, progress: tqdm) -> dict:
    """One setting of `lsh_tables`."""
    query, database = (features(split.name, part.inputs, setting.features) for part in (split.query, split.database))
    if setting.centred:
        mean = database.mean(axis=0, dtype=np.float64)
        query, database = query - mean, database - mean
    labels = split.query.labels.numpy(), split.database.labels.numpy()
    near = lsh_scores.relevance_of(lsh.by_angle(query, database), *labels)
    cells, buckets = [], []
    for bits in BITS:
        occupied = []
        for tables in TABLES:
            scores = []
            for seed in range(setting.n_seeds):
                index = lsh.HashTables(database, bits, tables, seed)
                scores.append(_scores(lsh_scores.relevance_of(index.answers(query, ties=setting.ties).items, *labels)))
                if tables == TABLES[0]:
                    share = index.bucket_sizes(0) / len(database)
                    occupied.append({"largest": share[0], "own": (share**2).sum()})
                progress.update()
            cells.append({"tables": tables, "bits": bits} | _by_seed(scores))
        buckets.append({"bits": bits} | _by_seed(occupied))
    sizes = {"n_query": len(query), "n_database": len(database), "n_features": query.shape[1]}
    told = asdict(setting) | {"seeds": list(range(setting.n_seeds))} | sizes
    del told["n_seeds"]
    return told | {"by_angle": round(lsh_scores.ap_at_10(near).mean(), 6), "buckets": buckets, "cells": cells}


def _scores(relevance: np.ndarray) -> dict[str, float]:
    """mAP@10 by both conventions, and the shares of the queries with too few answers and with none."""
    missing = relevance == lsh.MISSING
    scores = {convention: lsh_scores.ap_at_10(relevance, convention).mean() for convention in lsh_scores.CONVENTIONS}
    return scores | {"short": missing.any(axis=1).mean(), "empty": missing.all(axis=1).mean()}


def hashed(config: RunConfig, split: Split) -> SavedCodes:
    """Codes and labels of a run of `config` on `split`, trained and encoded here and now; nothing is recorded."""
    trained = loop.train(config, split)
    query, database = (
        loop.encode(trained.model, part.inputs, precision=trained.precision).cpu().numpy()
        for part in (split.query, split.database)
    )
    return SavedCodes(query, database, split.query.labels.cpu().numpy(), split.database.labels.cpu().numpy())


def dsh_settings(name: str = "paper", *, bits: int = 12, n_seeds: int = 5, epochs: int = 20) -> dict:
    """mAP@10 of DSH on the first tenth under `DSH_SETTINGS`, written as an artefact of the profile; some minutes.

    ``python -c "from qsmi_lib.reproduction.analysis.uit import dsh_settings; dsh_settings()"`` makes it anew.

    Returns:
        As JSON holds it: `versions`, `dataset`, `protocol`, `bits`, `epochs`, `precision`, and `settings`: title -> the
        setting, and `map_at_10`, a list over the seeds from 0.
    """
    made = {"versions": {"torch": import_module("torch").__version__}, "dataset": profile(name).dataset}
    made |= {"protocol": "first_tenth", "bits": bits, "epochs": epochs}
    split = datasets.load(made["dataset"], protocol=made["protocol"])
    made["precision"] = loop.resolve_precision("auto", split.train.inputs.device)
    made["settings"] = {title: setting | {"map_at_10": []} for title, setting in DSH_SETTINGS.items()}
    own = {name: made[name] for name in ("protocol", "epochs")}
    for title, seed in bar(list(product(DSH_SETTINGS, range(n_seeds))), "DSH", unit="run"):
        config = configure(made["dataset"], "dsh", bits, seed=seed, **own, **DSH_SETTINGS[title])
        scores = evaluate(*hashed(config, split), k=lsh.K).map_at_k_hits
        made["settings"][title]["map_at_10"].append(round(scores[lsh.K], 6))
    return _written(made, DSH_FILE, name)


def _by_seed(scores: list[dict]) -> dict[str, list[float]]:
    """Name -> a list over seeds, six digits each."""
    return {name: [round(float(score[name]), 6) for score in scores] for name in scores[0]}


def _written(made: dict, file: str, name: str) -> dict:
    """`made`, written as an artefact of the profile `name`: a line a list."""
    text = re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found.group().split()), json.dumps(made, indent=1))
    files.write_text(paths.results(name) / "artefacts" / file, text + "\n")
    return made

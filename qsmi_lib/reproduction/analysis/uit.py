"""The UIT slides' tables: LSH on HOG features measured step by step, DSH, and both compared with the slides."""

import json
import math
import re
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from torch import Tensor
from tqdm import tqdm

from qsmi_lib import datasets
from qsmi_lib.config.presets import configure
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Split
from qsmi_lib.evaluation import evaluate
from qsmi_lib.models.hog import hog_opencv
from qsmi_lib.models.projections import Projection
from qsmi_lib.reproduction.artefacts import note_made_by
from qsmi_lib.reproduction.results import Results
from qsmi_lib.reproduction.tables import cells, read_published
from qsmi_lib.reproduction.titles import PROTOCOL_TITLES
from qsmi_lib.search import lsh
from qsmi_lib.search.lsh import MISSING, K
from qsmi_lib.training import loop
from qsmi_lib.training.records import SavedCodes
from qsmi_lib.utils import io
from qsmi_lib.utils.precision import resolve_precision
from qsmi_lib.utils.progress import bar, watched

BITS, TABLES = (8, 12, 16, 24), (4, 8, 16)
CONVENTIONS = ("published", "clean")
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
# The rungs from the slides to the clean protocol and on, each with one change: title -> setting, convention.
LADDER = {
    "as published": ("as published", "published"),
    "ties by index": ("ties by index", "published"),
    "no padding": ("ties by index", "clean"),
    "all pictures": ("all pictures", "clean"),
    "scikit-image's HOG": ("scikit-image's HOG", "clean"),
    "centred": ("centred", "clean"),
}
HEADINGS = {"paper": "published", "printed": "source", "mean": "ours", "short": "short answers"}
HEADINGS |= {"learning_rate": "learning rate"}
FORMATS = {"z": "+.1f", "change": "+.4f", "alpha": "g", "learning_rate": "g"}
# Settings of DSH that the slides leave open (U3, U4), around those of their Table 2 and script.
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


def lsh_tables(results: Results, settings: dict[str, Setting] = SETTINGS) -> dict:
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
    made = {"versions": versions, "dataset": results.profile.dataset, "k": K, "settings": {}}
    n_steps = sum(setting.n_seeds for setting in settings.values()) * len(BITS) * len(TABLES)
    with tqdm(desc="hash tables", total=n_steps, unit="cell", disable=not watched()) as progress:
        for title, setting in settings.items():
            split = datasets.load(made["dataset"], protocol=setting.protocol)
            made["settings"][title] = _measured(setting, split, progress)
    return _written(made, FILE, results, lsh_made_by(results, settings))


def lsh_made_by(results: Results, settings: dict[str, Setting] = SETTINGS) -> dict:
    """The data and settings that `lsh_tables` depends on."""
    sizes = {"k": K, "bits": list(BITS), "tables": list(TABLES)}
    return {"dataset": results.profile.dataset} | sizes | {"settings": {n: asdict(s) for n, s in settings.items()}}


def _measured(setting: Setting, split: Split, progress: tqdm) -> dict:
    """One setting of `lsh_tables`."""
    query, database = (features(split.name, part.inputs, setting.features) for part in (split.query, split.database))
    if setting.centred:
        mean = database.mean(axis=0, dtype=np.float64)
        query, database = query - mean, database - mean
    labels = split.query.labels.numpy(), split.database.labels.numpy()
    near = relevance_of(lsh.by_angle(query, database), *labels)
    cells, buckets = [], []
    for bits in BITS:
        occupied = []
        for tables in TABLES:
            scores = []
            for seed in range(setting.n_seeds):
                index = lsh.HashTables(database, bits, tables, seed)
                scores.append(_scores(relevance_of(index.answers(query, ties=setting.ties).items, *labels)))
                if tables == TABLES[0]:
                    share = index.bucket_sizes(0) / len(database)
                    occupied.append({"largest": share[0], "own": (share**2).sum()})
                progress.update()
            cells.append({"tables": tables, "bits": bits} | _by_seed(scores))
        buckets.append({"bits": bits} | _by_seed(occupied))
    sizes = {"n_query": len(query), "n_database": len(database), "n_features": query.shape[1]}
    described = asdict(setting) | {"seeds": list(range(setting.n_seeds))} | sizes
    del described["n_seeds"]
    return described | {"by_angle": round(ap_at_10(near).mean(), 6), "buckets": buckets, "cells": cells}


def _scores(relevance: np.ndarray) -> dict[str, float]:
    """mAP@10 by both conventions, and the shares of the queries with too few answers and with none."""
    missing = relevance == MISSING
    scores = {convention: ap_at_10(relevance, convention).mean() for convention in CONVENTIONS}
    return scores | {"short": missing.any(axis=1).mean(), "empty": missing.all(axis=1).mean()}


def hashed(config: RunConfig, split: Split) -> SavedCodes:
    """Codes and labels of a run of `config` on `split`, trained and encoded here and now; nothing is recorded."""
    trained = loop.train(config, split)
    query, database = (
        loop.encode(trained.model, part.inputs, precision=trained.precision).cpu().numpy()
        for part in (split.query, split.database)
    )
    return SavedCodes(query, database, split.query.labels.cpu().numpy(), split.database.labels.cpu().numpy())


def dsh_settings(results: Results, *, bits: int = 12, n_seeds: int = 5, epochs: int = 20) -> dict:
    """mAP@10 of DSH on the first tenth under `DSH_SETTINGS`, written as an artefact; some minutes.

    Returns:
        As JSON holds it: `versions`, `dataset`, `protocol`, `bits`, `epochs`, `precision`, and `settings`: title -> the
        setting, and `map_at_10`, a list over the seeds from 0.
    """
    made = {"versions": {"torch": import_module("torch").__version__}, "dataset": results.profile.dataset}
    made |= {"protocol": "first_tenth", "bits": bits, "epochs": epochs}
    split = datasets.load(made["dataset"], protocol=made["protocol"])
    made["precision"] = resolve_precision("auto", split.train.inputs.device)
    made["settings"] = {title: setting | {"map_at_10": []} for title, setting in DSH_SETTINGS.items()}
    shared = {name: made[name] for name in ("protocol", "epochs")}
    for title, seed in bar(list(product(DSH_SETTINGS, range(n_seeds))), "DSH", unit="run"):
        config = configure(made["dataset"], "dsh", bits, seed=seed, **shared, **DSH_SETTINGS[title])
        scores = evaluate(*hashed(config, split), k=K).map_at_k_hits
        made["settings"][title]["map_at_10"].append(round(scores[K], 6))
    return _written(made, DSH_FILE, results, dsh_made_by(results, bits=bits, n_seeds=n_seeds, epochs=epochs))


def dsh_made_by(results: Results, *, bits: int = 12, n_seeds: int = 5, epochs: int = 20) -> dict:
    """The data and settings that `dsh_settings` depends on."""
    sizes = {"bits": bits, "n_seeds": n_seeds, "epochs": epochs}
    return {"dataset": results.profile.dataset, "protocol": "first_tenth"} | sizes | {"settings": DSH_SETTINGS}


def _by_seed(scores: list[dict]) -> dict[str, list[float]]:
    """Name -> a list over seeds, six digits each."""
    return {name: [round(float(score[name]), 6) for score in scores] for name in scores[0]}


def _written(made: dict, file: str, results: Results, made_by: dict) -> dict:
    """`made`, written as an artefact: one line per list."""
    text = re.sub(r"\[[^\[\]{}]*\]", lambda list_: " ".join(list_.group().split()), json.dumps(made, indent=1))
    io.write_text(results.store.artefact(file), text + "\n")
    note_made_by(results.store, file, made_by)
    return made


def relevance_of(items: ArrayLike, query_labels: ArrayLike, database_labels: ArrayLike) -> np.ndarray:
    """Which answers are relevant: int8 (n_query, k) of 1, 0 and, where an item is missing, `MISSING`.

    Args:
        items: int (n_query, k), database indices or `MISSING`.
        query_labels: int (n_query,).
        database_labels: int (n_database,).
    """
    items, query_labels, database_labels = map(np.asarray, (items, query_labels, database_labels))
    if items.ndim != 2 or query_labels.shape != items.shape[:1] or database_labels.ndim != 1:
        raise ValueError(
            "items must have shape (n_query, k), labels (n_query,) and (n_database,), "
            f"got {items.shape}, {query_labels.shape} and {database_labels.shape}"
        )
    if items.size and not (items.min() >= MISSING and items.max() < len(database_labels)):
        wrong = items[(items < MISSING) | (items >= len(database_labels))][0]
        raise ValueError(
            f"items must be indices of the {len(database_labels)} database items, or {MISSING}, got {wrong}"
        )
    same = (database_labels[items] == query_labels[:, None]).astype(np.int8)
    return np.where(items == MISSING, np.int8(MISSING), same)


def ap_at_10(relevance: ArrayLike, convention: str = "clean") -> np.ndarray:
    """AP of the first ten ranks over the relevant ones among them, by one of two rules for what an answer lacks.

    - "published": missing ranks count as relevant, in the sum and in the divisor. An empty answer scores 1.
    - "clean": missing ranks count as not relevant.

    By both a query with no relevant rank scores 0. For an answer of ten this is `Evaluation.map_at_k_hits` of a query.

    Args:
        relevance: (n_query, at most 10) of 1, 0 and `MISSING`, one row per answer; ranks beyond the last are missing.
        convention: one of `CONVENTIONS`.

    Returns:
        float64 (n_query,).

    Raises:
        ValueError: relevance of another shape or with other values; an unknown convention.
    """
    relevance = np.asarray(relevance)
    if relevance.ndim != 2 or relevance.shape[1] > K:
        raise ValueError(f"relevance must have shape (n_query, at most {K}), got {relevance.shape}")
    if not np.isin(relevance, (0, 1, MISSING)).all():
        raise ValueError(f"relevance must hold 1, 0 and {MISSING} only")
    if convention not in CONVENTIONS:
        raise ValueError(f"convention must be one of {CONVENTIONS}, got {convention!r}")
    ranks = np.pad(relevance.astype(np.int64), ((0, 0), (0, K - relevance.shape[1])), constant_values=MISSING)
    gain = ranks == 1 if convention == "clean" else ranks != 0
    precision = gain.cumsum(axis=1) / np.arange(1, K + 1)
    return (gain * precision).sum(axis=1) / np.maximum(gain.sum(axis=1), 1)


def published(table: int) -> pd.DataFrame:
    """The slides' Table 1 (`tables`, `bits`, `paper`, `printed`) or Table 2 (`alpha`, `bits`, `paper`).

    Table 1 goes on with those that the script behind the slides prints and the slides do not: `printed` is False.
    """
    files = {1: ("uit_table_1", "uit_script"), 2: ("uit_table_2",)}[table]
    rows = pd.concat([read_published(f"{file}.csv") for file in files], ignore_index=True)
    value = rows["note"].str.extract(r"([\d.]+)")[0].astype(float)
    if table == 2:
        return pd.DataFrame({"alpha": value, "bits": rows["bits"], "paper": rows["mean"]})
    columns = {"tables": value.astype(int), "bits": rows["bits"], "paper": rows["mean"]}
    printed = rows["source"] == "uit"
    return pd.DataFrame(columns | {"printed": printed}).sort_values(["tables", "bits"], ignore_index=True)


def table_1(measured: dict) -> pd.DataFrame:
    """Table 1 and ours, as published: one row per cell.

    Args:
        measured: what `lsh_tables` returned.

    Returns:
        `tables`, `bits`, `paper`, `printed` (False where only the script has it), `seeds`, `mean` and `std` over seeds,
        `z`, their one draw of directions against the spread of ours, and `short`, the share of short answers.
    """
    rows = []
    ours = {(cell["tables"], cell["bits"]): cell for cell in measured["settings"]["as published"]["cells"]}
    for row in published(1).to_dict("records"):
        cell = ours[row["tables"], row["bits"]]
        mean, std = np.mean(cell["published"]), np.std(cell["published"], ddof=1)
        row |= {"seeds": len(cell["published"]), "mean": mean, "std": std}
        rows.append(row | {"z": (row["paper"] - mean) / std if std else math.nan, "short": np.mean(cell["short"])})
    return pd.DataFrame(rows)


def ladder(measured: dict) -> pd.DataFrame:
    """Table 1 changed one thing at a time: one row per cell and rung.

    Returns:
        `tables`, `bits`, `rung`, `mean` and `std` over seeds, and `change` from the rung before; that of the first rung
        is from the slides' number.
    """
    rows, before = [], published(1).set_index(["tables", "bits"])["paper"].to_dict()
    for rung, (setting, convention) in LADDER.items():
        for cell in measured["settings"][setting]["cells"]:
            key = cell["tables"], cell["bits"]
            mean, std = np.mean(cell[convention]), np.std(cell[convention], ddof=1)
            row = {"tables": key[0], "bits": key[1], "rung": rung, "mean": mean, "std": std}
            rows.append(row | {"change": mean - before[key]})
            before[key] = mean
    return pd.DataFrame(rows)


def table_2(results: Results) -> pd.DataFrame:
    """Table 2 and ours, from the records of the experiment "uit_dsh" that exist: one row per cell and protocol.

    Returns:
        `protocol`, `alpha`, `bits`, `paper`, `seeds`, `mean` and `std` over seeds (nan where there are too few). The
        slides' numbers are of a tenth of the data; both protocols are compared with them.
    """
    ours = cells("uit_dsh", results).rename(columns={"map_at_10": "mean", "map_at_10_std": "std"})
    beside = ours.merge(published(2), on=["alpha", "bits"], how="left")
    return beside[["protocol", "alpha", "bits", "paper", "seeds", "mean", "std"]]


def dsh_settings_table(made: dict) -> pd.DataFrame:
    """Effect of the settings that the slides leave open: one row per setting.

    Args:
        made: what `dsh_settings` returned.

    Returns:
        `setting`, `learning_rate`, `alpha`, `seeds`, `mean` and `std` over seeds, and `change`, the mean less that of
        the first setting.
    """
    rows, first = [], next(iter(made["settings"].values()))["map_at_10"]
    for title, setting in made["settings"].items():
        scores = np.array(setting["map_at_10"])
        row = {
            "setting": title,
            "learning_rate": setting["learning_rate"],
            "alpha": setting["alpha"],
            "seeds": len(scores),
        }
        rows.append(row | {"mean": scores.mean(), "std": scores.std(ddof=1), "change": (scores - first).mean()})
    return pd.DataFrame(rows)


def markdown(rows: pd.DataFrame | list[dict]) -> str:
    """Rows with the columns of this module in Markdown: scores with four digits, a dash for a missing one."""

    def text(name: str, number: object) -> str:
        if name == "protocol":
            return PROTOCOL_TITLES[number]
        if isinstance(number, bool):
            return "slides" if number else "script"
        if not isinstance(number, float):
            return str(number)
        return "–" if math.isnan(number) else f"{number:{FORMATS.get(name, '.4f')}}"

    lines = [
        {name: text(name, number) for name, number in row.items()} for row in pd.DataFrame(rows).to_dict("records")
    ]
    return pd.DataFrame(lines).rename(columns=HEADINGS).to_markdown(index=False, disable_numparse=True)

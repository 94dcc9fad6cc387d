"""What a searched rotation brings to a trained method: found on training items held out, scored on the queries."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from qsmi_lib import datasets, models, paths, records, runner, training
from qsmi_lib.codes import binarize
from qsmi_lib.config import FULL, Profile, RunConfig, known
from qsmi_lib.experiments import LENGTHS, POSTER_BITS, TRAINED, UNTRAINED, reduced_epochs, tuned
from qsmi_lib.progress import bar
from qsmi_lib.rotation import search
from qsmi_lib.tuning import trials_of

N_QUERY, N_DATABASE = 1000, 16000  # items of the search, as in the authors' script; fewer where there are fewer
WHOLE = {"held_out": FULL, "reduced_held_out": "reduced"}  # protocol of the search -> protocol of the scores
SHOWN = ("map_expected", "map_11pt", "map", "precision_radius2")


def rotate(
    config: RunConfig, profile: str, *, start: str = "itq", n_steps: int = 800, seed: int = 0, fresh: bool = False
) -> dict:
    """The record of a search for the best rotation after `config`: the one on disk, or that of a new search.

    Held-out items ask the items that the network was trained on, as the queries will: the first 1,000 of one and 16,000
    of the other. The rotation found is scored on the queries and the whole database, beside the codes without it.

    Args:
        config: a run under a protocol that holds training items out; it is trained where its weights are not at hand.
        profile: under whose results the search is recorded.
        start: "itq" or "identity".
        n_steps: proposals of the search.
        seed: of the search.
        fresh: search again although a record is there.

    Returns:
        `config`; `search`, with its settings, mAP of the held-out items `before` and `after`, and `accepted`, pairs of
        a step and the mAP that it reached (step 0 is the start); `before` and `metrics`, the scores `SHOWN` of the
        queries without and with the rotation; `provenance`.

    Raises:
        ValueError: a protocol that holds nothing out.
    """
    whole = known("protocol that holds items out", WHOLE, config.protocol)
    path = file_of(config, profile, start)
    if path.exists() and not fresh:
        return records.load(path)
    trained = runner.run(config, trials_of(profile), fresh=not model_of(config, profile).exists())
    model, precision = models.load(model_of(config, profile))[0], trained["provenance"]["precision"]
    began = time.perf_counter()
    split = datasets.load(config.dataset, draw=config.draw, protocol=config.protocol)
    parts = split.query[:N_QUERY], split.database[:N_DATABASE]
    held = [training.embed(model, part.inputs, precision=precision).numpy() for part in parts]
    found = search(*held, *(part.labels for part in parts), start=start, n_steps=n_steps, seed=seed)
    split = datasets.load(config.dataset, draw=config.draw, protocol=whole)
    embeddings = [training.embed(model, part.inputs, precision=precision) for part in (split.query, split.database)]
    rotation = torch.from_numpy(found.rotation)
    before, after = (
        runner.score(
            *(binarize(part.double() @ turn) for part in embeddings), split.query.labels, split.database.labels
        )
        for turn in (torch.eye(config.bits, dtype=torch.float64), rotation)
    )
    steps = np.flatnonzero(np.diff(found.history, prepend=0.0))
    record = {
        "config": config.to_dict(),
        "search": {"start": start, "n_steps": n_steps, "seed": seed, "criterion": "map_expected"}
        | {"n_query": len(parts[0]), "n_database": len(parts[1])}
        | {"before": runner.rounded(found.before), "after": runner.rounded(found.history[-1])}
        | {"accepted": [[int(step), runner.rounded(float(found.history[step]))] for step in steps]},
        "before": {name: getattr(before, name) for name in SHOWN},
        "metrics": {name: getattr(after, name) for name in SHOWN},
        "provenance": trained["provenance"] | {"seconds_search": round(time.perf_counter() - began, 3)},
    }
    records.save(record, path)
    return record


def rotations(profile: Profile) -> list[RunConfig]:
    """The runs whose rotations a comparison shows: every method at a short and a long code, trained on nine tenths."""
    runs = tuned(profile, TRAINED, LENGTHS, profile.seeds[:1], protocol="held_out")
    return runs + tuned(profile, UNTRAINED, LENGTHS, profile.seeds[:1], protocol="held_out", epochs=1)


def poster_rotations(profile: Profile) -> list[RunConfig]:
    """The spring loss at the poster's code lengths, on nine tenths of the reduced and of the whole training set."""
    few = {"protocol": "reduced_held_out", "epochs": reduced_epochs(profile)}
    seeds = profile.seeds[:1]
    return [
        run for own in (few, {"protocol": "held_out"}) for run in tuned(profile, ["spring"], POSTER_BITS, seeds, **own)
    ]


def rotate_all(configs: Iterable[RunConfig], profile: str, *, n_steps: int, jobs: int = 1) -> list[dict]:
    """The records of the searches after `configs`, those that are not on disk being made; the runs first."""
    configs = list(configs)
    runner.run_all(configs, trials_of(profile), jobs=jobs)
    work = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(rotate)(config, profile, n_steps=n_steps) for config in configs
    )
    return list(bar(work, f"{profile} rotations", total=len(configs), unit="search"))


def table(configs: Iterable[RunConfig], where: Path) -> pd.DataFrame:
    """What the recorded searches after `configs` brought, a row each.

    Args:
        configs: e.g. `rotations` of a profile.
        where: folder of such records.

    Returns:
        `method`, `bits`, `protocol`; mAP (all orders of ties) of the held-out items `held_before` and `held_after`, of
        the queries `before` and `after`; `gain`, the last less the one before; `precision_gain`, within radius 2.
    """
    rows = []
    for config in configs:
        path = file_of(config, "", where=where)
        if path.exists():
            record = records.load(path)
            before, after, held = record["before"], record["metrics"], record["search"]
            row = {"method": config.method, "bits": config.bits, "protocol": config.protocol}
            row |= {"held_before": held["before"], "held_after": held["after"]}
            row |= {"before": before["map_expected"], "after": after["map_expected"]}
            row |= {"precision_gain": after["precision_radius2"] - before["precision_radius2"]}
            rows.append(row | {"gain": row["after"] - row["before"]})
    return pd.DataFrame(rows)


def model_of(config: RunConfig, profile: str) -> Path:
    """File of the weights that a search turns the embeddings of."""
    return paths.model(trials_of(profile), runner.record_path(config, trials_of(profile)).stem)


def file_of(config: RunConfig, profile: str, start: str = "itq", where: Path | None = None) -> Path:
    """Where the record of a search lies, or will lie."""
    return (where or paths.rotations(profile)) / f"{runner.record_path(config, profile).stem}-{start}.json"

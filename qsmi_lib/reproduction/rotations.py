"""What a searched rotation brings to a trained method: found on training items held out, scored on the queries."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed

from qsmi_lib.codes import binarize
from qsmi_lib.config.profiles import Profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.datasets import Part
from qsmi_lib.datasets.protocols import FULL
from qsmi_lib.losses.similarity import on_sphere
from qsmi_lib.models.rotation import STARTS, search
from qsmi_lib.reproduction import grids
from qsmi_lib.reproduction.grids import POSTER_BITS, TRAINED, UNTRAINED, frozen, lengths, reduced_epochs, tuned
from qsmi_lib.reproduction.large_grids import poster_runs
from qsmi_lib.training import factory, loop, records, runs
from qsmi_lib.training.records import by_any_label
from qsmi_lib.training.tuning import trials_of
from qsmi_lib.utils import paths
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import known

N_QUERY, N_DATABASE = 1000, 16000  # items of the search, as in the authors' script; fewer where there are fewer
WHOLE = {"held_out": FULL, "reduced_held_out": "reduced"}  # protocol of the search -> protocol of the scores
SHOWN = ("map_expected", "map_11pt", "map", "precision_radius2")
COLUMNS = ["method", "bits", "protocol", "held_before", "held_after", "before", "after"]
COLUMNS += ["precision_gain", "start_gain", "gain"]


def rotate(
    config: RunConfig,
    profile: str,
    *,
    start: str = "itq",
    n_steps: int = 800,
    seed: int = 0,
    fresh: bool = False,
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
        fresh: search again although a record with these settings is there.

    Returns:
        `config`; `search`, with its settings, mAP of the held-out items `before` and `after`, and `accepted`, pairs of
        a step and the mAP that it reached (step 0 is the start); `before`, `at_start` and `metrics`, the scores `SHOWN`
        of the queries without a rotation, with the one that the search starts from, and with the one it found;
        `provenance`.

    Raises:
        ValueError: a protocol that holds nothing out, an unknown start, n_steps or a seed below 0.
    """
    whole = known("protocol that holds items out", WHOLE, config.protocol)
    known("start", dict.fromkeys(STARTS), start)
    settings = {"start": start, "n_steps": n_steps, "seed": seed}
    for name in ("n_steps", "seed"):
        if isinstance(settings[name], bool) or not isinstance(settings[name], int) or settings[name] < 0:
            raise ValueError(f"{name} must be a whole number of at least 0, got {settings[name]!r}")
    path = file_of(config, profile, **settings)
    if path.exists() and not fresh:
        return records.load_run(path, config)
    trained = runs.run(config, trials_of(profile), fresh=not model_of(config, profile).exists())
    model, precision = factory.load(model_of(config, profile))[0], trained["provenance"]["precision"]
    began = time.perf_counter()

    def embedded(part: Part) -> torch.Tensor:
        # The sign does not see the lengths, but ITQ would weigh the items by them.
        return on_sphere(loop.embed(model, part.inputs, precision=precision).double())

    split = runs.split_of(config)
    parts = split.query[:N_QUERY], split.database[:N_DATABASE]
    held = [embedded(part).numpy() for part in parts]
    begun, found = (
        search(*held, *(part.labels for part in parts), start=start, n_steps=steps, seed=seed) for steps in (0, n_steps)
    )
    split = runs.split_of(config, protocol=whole)
    points = [embedded(part) for part in (split.query, split.database)]
    scores = {}
    for name, turn in {"before": np.eye(config.bits), "at_start": begun.rotation, "metrics": found.rotation}.items():
        codes = (binarize(part @ torch.from_numpy(turn)) for part in points)
        scored = runs.scores(*codes, split.query.labels, split.database.labels)
        scores[name] = {metric: by_any_label(scored)[metric] for metric in SHOWN}
    accepted = np.flatnonzero(np.diff(found.history, prepend=0.0))
    record = {
        "config": config.to_dict(),
        "search": settings
        | {"criterion": "map_expected", "n_query": len(parts[0]), "n_database": len(parts[1])}
        | {"before": runs.rounded(found.before), "after": runs.rounded(float(found.history[-1]))}
        | {"accepted": [[int(step), runs.rounded(float(found.history[step]))] for step in accepted]},
        **scores,
        "provenance": trained["provenance"] | {"seconds_search": round(time.perf_counter() - began, 3)},
    }
    records.save(record, path)
    return record


def rotations(profile: Profile) -> list[RunConfig]:
    """The runs whose rotations a comparison shows: every method at a short and a long code, trained on nine tenths."""
    return tuned(profile, (*TRAINED, *UNTRAINED), profile.lengths, profile.seeds[:1], protocol="held_out")


def poster_rotations(profile: Profile) -> list[RunConfig]:
    """The spring loss at the poster's code lengths, on nine tenths of the reduced and of the whole training set."""
    few = {"protocol": "reduced_held_out", "epochs": reduced_epochs(profile)}
    seeds = profile.seeds[:1]
    return [
        run for own in (few, {"protocol": "held_out"}) for run in tuned(profile, ["spring"], POSTER_BITS, seeds, **own)
    ]


def poster_rotations_cifar10(profile: Profile) -> list[RunConfig]:
    """The same on frozen features."""
    bits = lengths(profile, POSTER_BITS)
    return [run for protocol in WHOLE for run in frozen(profile, ["spring"], bits, protocol=protocol)]


def poster_rotations_scenes(profile: Profile) -> list[RunConfig]:
    """The same on pictures of several labels."""
    bits = lengths(profile, POSTER_BITS)
    return [run for protocol in WHOLE for run in poster_runs(profile, ["spring"], bits, protocol)]


def step_rotations(profile: Profile) -> list[RunConfig]:
    """QSMI as in the paper and with all other `STEPS` together, each turned after training on nine tenths."""
    cells = (grids.STEPS[0], grids.STEPS[-1])
    own = {"protocol": "held_out"}
    return [run for method, settings in cells for run in grids.runs(profile, [method], [48], **settings, **own)]


ROTATIONS = {
    "14": lambda profile: [
        run for own in (poster_rotations, poster_rotations_cifar10, poster_rotations_scenes) for run in own(profile)
    ],
    "17": rotations,
    "18": step_rotations,
}  # notebook -> the runs whose rotations it shows


def rotate_all(
    configs: Iterable[RunConfig], profile: str, *, n_steps: int, jobs: int = 1, fresh: bool = False
) -> list[dict]:
    """The records of the searches after `configs`, those that are not on disk being made; the runs first."""
    configs = list(configs)
    wanting = [config for config in configs if fresh or not file_of(config, profile, n_steps=n_steps).exists()]
    runs.run_all(wanting, trials_of(profile), jobs=jobs, fresh=fresh)
    work = Parallel(n_jobs=jobs, return_as="generator")(
        delayed(rotate)(config, profile, n_steps=n_steps, fresh=fresh) for config in configs
    )
    return list(bar(work, f"{profile} rotations", total=len(configs), unit="search"))


def table(configs: Iterable[RunConfig], where: Path, n_steps: int) -> pd.DataFrame:
    """What the recorded searches after `configs` brought, a row each.

    Args:
        configs: e.g. `rotations` of a profile.
        where: folder of such records.
        n_steps: of the searches; others are passed over.

    Returns:
        `method`, `bits`, `protocol`; mAP (all orders of ties) of the held-out items `held_before` and `held_after`, of
        the queries `before` and `after`; `precision_gain`, within radius 2; `start_gain`, what the start alone adds to
        `before`; `gain`, what the rotation found adds.
    """
    rows = []
    for config in configs:
        path = file_of(config, "", n_steps=n_steps, where=where)
        if path.exists():
            record = records.load(path)
            before, after, held = record["before"], record["metrics"], record["search"]
            row = {"method": config.method, "bits": config.bits, "protocol": config.protocol}
            row |= {"held_before": held["before"], "held_after": held["after"]}
            row |= {"before": before["map_expected"], "after": after["map_expected"]}
            row |= {"precision_gain": after["precision_radius2"] - before["precision_radius2"]}
            rows.append(row | {"start_gain": record["at_start"]["map_expected"] - row["before"]})
            rows[-1]["gain"] = row["after"] - row["before"]
    return pd.DataFrame(rows, columns=COLUMNS)


def model_of(config: RunConfig, profile: str) -> Path:
    """File of the weights that a search turns the embeddings of."""
    return paths.model(trials_of(profile), runs.record_path(config, trials_of(profile)).stem)


def file_of(
    config: RunConfig, profile: str, *, n_steps: int, seed: int = 0, start: str = "itq", where: Path | None = None
) -> Path:
    """Where the record of a search lies, or will lie."""
    run = runs.record_path(config, profile).stem
    return (where or paths.rotations(profile)) / f"{run}-{start}-{n_steps}n-s{seed}.json"

"""Records that nobody trained: what tables, ledger and figures are tested on."""

from qsmi_lib.config.profiles import PROFILES
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction.analysis.causes import BOUNDS
from qsmi_lib.reproduction.results import Results
from qsmi_lib.training.records import Store, run_id, save_record

METRICS = ("map_11pt", "map", "precision_radius2", "empty_radius2", *BOUNDS)
SEVERAL = ("digit_pairs", "miml_scenes")  # data sets with several labels an item


def empty(profile: str, folder) -> Results:
    """Results of a profile in a folder that is empty."""
    return Results(PROFILES[profile], Store(folder))


def invent(results: Results, config: RunConfig, **metrics) -> dict:
    """Write a record of `config` with these metrics, the others 0.5 (0.75 by any shared label); returns it."""
    record = {"config": config.to_dict(), "metrics": dict.fromkeys(METRICS, 0.5) | metrics}
    if config.dataset in SEVERAL:
        record["metrics_share_one"] = dict.fromkeys(METRICS, 0.75)
    record["provenance"] = {"precision": "float32", "seconds_train": 1.0}
    save_record(record, results.store.record(run_id(config)))
    results.__dict__.pop("table", None)  # it is read again
    return record


def invent_grid(results: Results, name: str, score_of) -> None:
    """Write a record of each run of an experiment for which `score_of` gives a score, its mAP (11 points)."""
    for config in results.grid(name):
        score = score_of(config)
        if score is not None:
            invent(results, config, map_11pt=score)

"""What is recorded, and was made by sources that have changed since: runs, rotations, line searches."""

import json
from collections.abc import Iterator

from qsmi_lib import paths, records, tables
from qsmi_lib.config import RunConfig
from qsmi_lib.experiments import EXPERIMENTS, grid
from qsmi_lib.methods import configure
from qsmi_lib.sources import source_hash

REMEDY = {"runs": "reproduce", "rotations": "reproduce", "tuning": "tune"}  # folder -> what renews, with --stale rerun


def stale(profile: str) -> list[str]:
    """What older sources made of a profile's records, as ``<folder>/<name>``, the folders being those of `REMEDY`."""
    made = {"runs": _runs(profile), "rotations": _rotations(profile), "tuning": _searches(profile)}
    older = [
        f"{folder}/{name}"
        for folder, found in made.items()
        for name, config, digest in found
        if digest != source_hash(config)
    ]
    return list(dict.fromkeys(older))


def _runs(profile: str) -> Iterator[tuple[str, RunConfig, str]]:
    """Name, configuration and sources of the recorded runs of the experiments."""
    for record in tables.found([run for name in EXPERIMENTS for run in grid(name, profile)], paths.runs(profile)):
        config, provenance = RunConfig.from_dict(record["config"]), record["provenance"]
        yield config.run_id(provenance["fingerprint"]), config, provenance.get("source_hash")


def _rotations(profile: str) -> Iterator[tuple[str, RunConfig, str]]:
    """The same of the searches for rotations."""
    for path in sorted(paths.rotations(profile).glob("*.json")):
        record = records.load(path)
        yield path.stem, RunConfig.from_dict(record["config"]), record["provenance"]["source_hash"]


def _searches(profile: str) -> Iterator[tuple[str, RunConfig, str]]:
    """The same of the trials of the line searches."""
    for path in sorted(paths.tuning(profile).glob("*.json")):
        search = json.loads(path.read_text(encoding="utf-8"))
        common = {name: search[name] for name in ("seed", "epochs", "protocol")}
        for trial in search["trials"]:
            config = configure(search["dataset"], search["method"], search["bits"], **common, **trial["settings"])
            yield path.stem, config, trial["source_hash"]

"""What is recorded, and was made by sources that have changed since: runs, rotations, line searches."""

from collections.abc import Iterator

from qsmi_lib import paths, records, rotated, tables, tsne, tuning
from qsmi_lib.config import RunConfig
from qsmi_lib.config import profile as get_profile
from qsmi_lib.experiments import EXPERIMENTS, grid
from qsmi_lib.rotated import ROTATIONS
from qsmi_lib.sources import is_current, source_hash

REMEDY = {
    "runs": "reproduce",
    "rotations": "reproduce",
    "artefacts": "reproduce",
    "tuning": "tune",
}  # folder -> what renews, with --stale rerun


def stale(profile: str) -> list[str]:
    """What older sources made of a profile's records, as ``<folder>/<name>``, the folders being those of `REMEDY`."""
    made = {"runs": _runs(profile), "rotations": _rotations(profile), "tuning": _searches(profile)}
    made["artefacts"] = [("tsne", tsne.is_current(profile) is not False)]
    older = [f"{folder}/{name}" for folder, found in made.items() for name, current in found if not current]
    return list(dict.fromkeys(older))


def _runs(profile: str) -> Iterator[tuple[str, bool]]:
    """The recorded runs of the experiments, and whether today's sources made them."""
    for record in tables.found([run for name in EXPERIMENTS for run in grid(name, profile)], paths.runs(profile)):
        config, provenance = RunConfig.from_dict(record["config"]), record["provenance"]
        yield (
            config.run_id(provenance["fingerprint"]),
            is_current(provenance.get("source_hash"), source_hash(config), profile),
        )


def _rotations(profile: str) -> Iterator[tuple[str, bool]]:
    """The same of the searches for rotations that the notebooks show."""
    own = get_profile(profile)
    for config in [run for turned in ROTATIONS.values() for run in turned(own)]:
        path = rotated.file_of(config, profile, n_steps=own.rotation_steps)
        if path.exists():
            yield path.stem, rotated.is_current(records.load(path), config, profile)


def _searches(profile: str) -> Iterator[tuple[str, bool]]:
    """The same of the line searches."""
    for path in sorted(paths.tuning(profile).glob("*.json")):
        for trial, config in tuning.tried(tuning.read(path)):
            yield path.stem, is_current(trial.get("source_hash"), source_hash(config), profile)

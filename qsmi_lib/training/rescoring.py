"""Metrics of recorded runs computed again from their saved codes, without training."""

from qsmi_lib.training import records, runs
from qsmi_lib.training.records import saved_codes
from qsmi_lib.utils import paths
from qsmi_lib.utils.progress import bar


def rescore(profile: str) -> int:
    """Score every record of `profile` whose codes are on this machine again; returns how many there were."""
    files = sorted(paths.runs(profile).glob("*.json"))
    scored = [path for path in files if paths.codes(profile, path.stem).exists()]
    for path in bar(scored, "scoring", unit="run"):
        records.save(records.load(path) | runs.scores(*saved_codes(paths.codes(profile, path.stem))), path)
    return len(scored)

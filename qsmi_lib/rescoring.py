"""Metrics of recorded runs computed again from their saved codes, without training."""

from qsmi_lib import records, runner
from qsmi_lib.inspection import saved_codes
from qsmi_lib.paths import results
from qsmi_lib.progress import bar


def rescore(profile: str) -> int:
    """Score every record of `profile` whose codes are on this machine again; returns how many there were."""
    codes = sorted((results(profile) / "codes").glob("*.npz"))
    pairs = [(path, records.folder(profile) / f"{path.stem}.json") for path in codes]
    recorded = [(path, record) for path, record in pairs if record.exists()]
    for path, record in bar(recorded, "scoring", unit="run"):
        records.save(records.load(record) | {"metrics": runner.score(*saved_codes(path)).to_record()}, record)
    return len(recorded)

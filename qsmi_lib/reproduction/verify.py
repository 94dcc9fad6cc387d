"""Replay the probes of recorded runs and rotations, and list those that the current code does not reproduce."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import TYPE_CHECKING

from joblib import delayed

from qsmi_lib.config.run import RunConfig
from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import rotations
from qsmi_lib.training import runs
from qsmi_lib.training.provenance import disagreement, replay
from qsmi_lib.training.records import Store, load_record, run_id
from qsmi_lib.utils.parallel import workers
from qsmi_lib.utils.progress import bar

if TYPE_CHECKING:  # it imports the figures, which the library alone cannot draw
    from qsmi_lib.reproduction.results import Results

SHARE = 0.1  # of an epoch, which three batches and the preparation before them take about
QUICK = 1.0  # seconds that a probe takes, at most, for `reproduce` to replay it before it reuses records


@dataclass(frozen=True)
class Verified:
    """The outcome of a verification.

    Attributes:
        agree: names of the records whose probes agree.
        disagree: name of a record -> the difference.
        skipped: name of a record -> why its probe was not replayed.
    """

    agree: list[str]
    disagree: dict[str, str]
    skipped: dict[str, str]


def verify(store: Store, *, every: bool = False, jobs: int = 1) -> Verified:
    """Replay the probe of one run of each kind in `store`, or of every run, and compare.

    Args:
        store: the folder of results.
        every: all records, instead of one of each kind (see `kind_of`).
        jobs: parallel processes; the records of one split stay in one process, which loads the split once.

    Returns:
        Which records agree and disagree. Those without a probe, data or weights on this machine are skipped.

    Raises:
        FileNotFoundError: nothing is recorded in `store`.
        ValueError: a file is not a record; the message names it.
    """
    store.need_records()
    files = store.files(store.runs) + store.files(store.rotations)
    chosen = sorted(files if every else one_of_each_kind(files), key=_split_of)
    groups = [list(group) for _, group in groupby(chosen, _split_of)]
    result = Verified([], {}, {})
    with workers(jobs, return_as="generator_unordered") as parallel:
        verdicts = chain.from_iterable(parallel(delayed(_verdicts)(group) for group in groups))
        for name, kind, clause in bar(verdicts, "replaying probes", total=len(chosen), unit="probe"):
            if kind == "agree":
                result.agree.append(name)
            else:
                getattr(result, kind)[name] = clause
    return result


def _verdicts(paths: Sequence[Path]) -> list[tuple[str, str, str]]:
    """For each record its name, the field of `Verified` that it belongs to, and the difference or reason."""
    verdicts = []
    for path in paths:
        record = load_record(path)
        if "probe" not in record:
            verdicts.append((path.stem, "skipped", "it carries no probe"))
            continue
        try:
            config = RunConfig.from_dict(record["config"])
            misnamed = "search" not in record and run_id(config) != path.stem
            difference = "its configuration is not the one of its name" if misnamed else compare(record)
        except FileNotFoundError as error:
            verdicts.append((path.stem, "skipped", str(error)))
            continue
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            difference = f"its probe cannot be replayed: {type(error).__name__}: {error}"
        verdicts.append((path.stem, "disagree" if difference else "agree", difference))
    return verdicts


def compare(record: dict) -> str:
    """The difference between the replayed probe and that of `record`, as a clause; "" if they agree."""
    config = RunConfig.from_dict(record["config"])
    made_by = record.get("probe_provenance", record["provenance"])
    precision = made_by["precision"]
    split = runs.split_of(config, feature_precision=made_by.get("features", "float32"))
    if "search" in record:
        settings = {name: record["search"][name] for name in ("start", "seed")}
        replayed = rotations.probe(config, split, precision, **settings)
        return disagreement(record["probe"], replayed, "rotation", config.bits)
    return disagreement(record["probe"], replay(config, split, precision), precision, config.bits)


def quick_disagreements(results: "Results", configs: Iterable[RunConfig]) -> list[str]:
    """Replay one run of each kind among `configs` whose probe is quick, see `is_quick`; returns the differences."""
    places = {results.store.existing(results.store.record(run_id(config))): config for config in configs}
    files = [path for path, config in places.items() if path.exists() and load_record(path, config)]
    lines = []
    for path in one_of_each_kind(files):
        record = load_record(path)
        if "probe" not in record or not is_quick(record):
            continue
        try:
            difference = compare(record)
        except FileNotFoundError:  # the data are not on this machine
            continue
        if difference:
            lines.append(f"{path.stem}: {difference}")
    return lines


def is_quick(record: dict) -> bool:
    """Whether the probe of a record takes less than `QUICK` seconds: three batches, or the fit of an untrained method.

    Frozen features count as slow unless they are of the digits: those of other data sets may have to be computed.
    """
    config, seconds = RunConfig.from_dict(record["config"]), record["provenance"]["seconds_train"]
    if config.backbone and not config.dataset.startswith("digit"):
        return False
    if METHODS[config.method].loss is None:
        return seconds <= QUICK
    return seconds / config.epochs * SHARE <= QUICK


def one_of_each_kind(files: Sequence[Path]) -> list[Path]:
    """The quickest record of each kind among `files`."""
    quickest: dict[tuple, tuple[float, Path]] = {}
    for path in files:
        record = load_record(path)
        seconds, kind = record["provenance"]["seconds_train"], kind_of(record)
        if kind not in quickest or seconds < quickest[kind][0]:
            quickest[kind] = seconds, path
    return [path for _, path in quickest.values()]


def kind_of(record: dict) -> tuple:
    """The kind of a record: data set, method, protocol, backbone, head, and additions to training."""
    config = RunConfig.from_dict(record["config"])
    how = (config.backbone_learning_rate > 0, config.memory > 0, config.schedule, config.augmentation)
    return "search" in record, config.dataset, config.method, config.protocol, config.backbone, config.head, how


def lines(result: Verified) -> Iterator[str]:
    """The outcome as lines of text: each disagreement, each reason for skipping, and the counts."""
    for name, difference in result.disagree.items():
        yield f"disagrees: {name}: {difference}"
    reasons: dict[str, int] = {}
    for reason in result.skipped.values():
        reasons[reason] = reasons.get(reason, 0) + 1
    for reason, n in reasons.items():
        yield f"skipped: {n} probes: {reason}"
    yield f"{len(result.agree)} probes agree, {len(result.disagree)} disagree, {len(result.skipped)} skipped"


def _split_of(path: Path) -> tuple:
    """The sort key of a record: runs on the same split follow each other, so the split is loaded once."""
    config = load_record(path)["config"]
    return tuple(
        str(config.get(name, "")) for name in ("dataset", "backbone", "backbone_learning_rate", "protocol", "draw")
    )

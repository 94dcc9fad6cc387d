"""The records of a profile as one table, one row for each run. Tables, figures and analyses are computed from it."""

from dataclasses import dataclass
from functools import cache, cached_property

import pandas as pd

from qsmi_lib.config.profiles import PROFILES, Profile, profile
from qsmi_lib.config.run import RunConfig
from qsmi_lib.reproduction import rotations
from qsmi_lib.reproduction.experiments import experiment
from qsmi_lib.training import runs
from qsmi_lib.training.records import COMMITTED, Store, load_record, run_id
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.reading import damaged

CUT = {  # fields of `Evaluation` that map k to a score -> the names of their columns
    "map_at_k_hits": "map_at_{}",
    "map_at_k": "map_at_{}_clean",
    "precision_at_k": "precision_at_{}",
    "recall_at_k": "recall_at_{}",
}
LISTS = ("history", "ap_by_label", "n_by_label", "data")  # keys of a record that become columns unchanged


@dataclass(frozen=True, eq=False)
class Results:
    """A profile, its folder of results, and the table of the runs that are recorded there.

    Attributes:
        profile: decides which runs an experiment has.
        store: the folder where they are recorded.
    """

    profile: Profile
    store: Store

    @classmethod
    def named(cls, name: str) -> "Results":
        """The results of the profile called `name`, in its folder; a ValueError lists the known profiles."""
        return cls(profile(name), Store.of(profile(name)))

    @cached_property
    def table(self) -> pd.DataFrame:
        """`read_runs(self.store)`, read once and again after `run_all`."""
        return read_runs(self.store)

    def grid(self, name: str) -> list[RunConfig]:
        """Every run of the experiment `name`."""
        return experiment(name).grid(self.profile)

    def makes(self, name: str) -> bool:
        """Whether a reproduction under this profile includes the runs of the experiment `name`."""
        return experiment(name).live or not self.profile.only_live

    def recorded(self, name: str) -> pd.DataFrame:
        """The rows of the table that belong to the experiment `name`, in the order of its grid."""
        return self.rows(self.grid(name))

    def rows(self, configs: list[RunConfig]) -> pd.DataFrame:
        """The rows of those `configs` that are recorded, in the order of `configs`, each once."""
        by_name = {run_id(config): config for config in configs}
        rows = self.table.loc[[name for name in by_name if name in self.table.index]]
        for name, config in rows["config"].items():
            if config != by_name[name]:
                raise self.damaged(name, "it is the record of another configuration than its name says")
        return rows

    def damaged(self, run: str, what: str) -> ValueError:
        """The error of a record that cannot be used."""
        return damaged(self.store.existing(self.store.record(run)), what)

    def to_rotate(self, name: str) -> list[RunConfig]:
        """The runs whose rotations the experiment `name` shows."""
        entry = experiment(name)
        return entry.rotations(self.profile) if entry.rotations else []

    def rotations(self, name: str) -> pd.DataFrame:
        """`rotations.table` of the recorded rotations of the experiment `name`."""
        return rotations.table(self.to_rotate(name), self.store, self.profile.rotation_steps)

    def rotate(self, configs: list[RunConfig], **options) -> None:
        """Search for the rotations of `configs` that are not recorded; `options`: see `rotations.rotate_all`."""
        rotations.rotate_all(configs, self.store, n_steps=self.profile.rotation_steps, **options)

    def run(self, name: str, **options) -> None:
        """Run what is not recorded of the experiment `name`; `options`: see `training.runs.run_all`."""
        self.run_all(self.grid(name), title=name, **options)

    def run_all(self, configs: list[RunConfig], **options) -> None:
        """Run those of `configs` that are not recorded; `options`: see `training.runs.run_all`."""
        runs.run_all(configs, self.store, **options)
        self.__dict__.pop("table", None)  # it is read again, with the new runs


@cache
def committed() -> Results:
    """The results that are part of the repository: those of the profile `paper`."""
    return Results(PROFILES["paper"], COMMITTED)


def read_runs(store: Store) -> pd.DataFrame:
    """One row for each record of `store`; the index is the id of the run.

    The columns are:

    - the settings of `RunConfig`, and the options of the methods; `config`, the `RunConfig` itself;
    - the metrics of `Evaluation` under their names; with the prefix ``share_one_`` if relevance is any shared label;
    - ``map_at_10`` (mAP@10 divided by the number of hits, as published), ``map_at_10_clean`` (divided by min(R, 10)),
      and the same for other cutoffs;
    - the statistics of the database's codes, see `codes.code_statistics`;
    - `used_precision`, the precision in which the network computed;
    - the lists `history`, `ap_by_label` and `n_by_label`, and `data`, the title of a substitute data set.
    """
    files = store.files(store.runs)
    rows = [row_of(load_record(path)) for path in bar(files, "reading records", unit="record")]
    columns = None if rows else ["config", *RunConfig.__dataclass_fields__, "used_precision", *LISTS]
    return pd.DataFrame(rows, index=[path.stem for path in files], columns=columns)


def row_of(record: dict) -> dict:
    """A record as one row of `read_runs`."""
    config = RunConfig.from_dict(record["config"])
    settings = {name: getattr(config, name) for name in RunConfig.__dataclass_fields__ if name != "options"}
    row = {}
    for prefix, key in {"": "metrics", "share_one_": "metrics_share_one"}.items():
        for name, value in record.get(key, {}).items():
            if name in CUT:
                row |= {prefix + CUT[name].format(k): score for k, score in value.items()}
            else:
                row[prefix + name] = value
    row = record.get("codes", {}) | row | dict(config.options)
    row |= {name: record[name] for name in LISTS if name in record}  # settings come last: no other name replaces them
    return row | settings | {"config": config, "used_precision": record["provenance"]["precision"]}

"""Verification: one probe of each kind is replayed, and what differs or cannot be replayed is named."""

from dataclasses import replace

import pytest

from qsmi_lib.config.presets import configure, epochs_of
from qsmi_lib.reproduction import rotations, verify
from qsmi_lib.tests.reproduction.invented import empty
from qsmi_lib.training import runs
from qsmi_lib.training.records import Store, load_record, run_id, save_record

CONFIGS = [configure("digits", name, 8, **epochs_of(name, 1)) for name in ("qsmi", "lsh")]


@pytest.fixture
def recorded(tmp_path):
    """A run that trains, one that does not, and a rotation after the first."""
    results = empty("digits", tmp_path)
    results.run_all(CONFIGS)
    for config in CONFIGS:
        path = results.store.record(run_id(config))
        change(path, provenance=load_record(path)["provenance"] | {"seconds_train": verify.QUICK})
    rotations.rotate(replace(CONFIGS[0], protocol="held_out"), results.store, n_steps=1)
    return results


def change(path, **keys):
    save_record(load_record(path) | keys, path)


def test_probes_agree_where_nothing_changed(recorded):
    verified = verify.verify(recorded.store)
    assert len(verified.agree) == 3 and not verified.disagree and not verified.skipped
    assert list(verify.lines(verified)) == ["3 probes agree, 0 disagree, 0 skipped"]


def test_what_differs_or_lacks_its_data_is_named(recorded, monkeypatch):
    trained, untrained = (recorded.store.record(run_id(config)) for config in CONFIGS)
    (rotation,) = recorded.store.rotations.iterdir()
    losses = load_record(trained)["probe"]
    change(trained, probe=[losses[0], 2 * losses[1], losses[2]])
    change(rotation, probe=[0.123])
    change(untrained, probe="00" * 800)
    verified = verify.verify(recorded.store)
    assert verified.disagree.keys() == {trained.stem, untrained.stem, rotation.stem}
    assert verified.disagree[trained.stem].startswith("loss of batch 2: ")
    assert "of the bits differ" in verified.disagree[untrained.stem]
    assert verify.quick_disagreements(recorded, CONFIGS) == [
        f"{path.stem}: {verified.disagree[path.stem]}" for path in (trained, untrained)
    ]
    change(trained, probe=losses)

    def not_here(config, **options):
        raise FileNotFoundError(f"{config.dataset} is not on this machine")

    monkeypatch.setattr(runs, "split_of", not_here)
    record = load_record(untrained)
    del record["probe"]
    save_record(record, untrained)
    verified = verify.verify(recorded.store)
    assert verified.skipped == {
        trained.stem: "digits is not on this machine",
        rotation.stem: "digits is not on this machine",
        untrained.stem: "it carries no probe",
    }
    assert sorted(verify.lines(verified)) == [
        "0 probes agree, 0 disagree, 3 skipped",
        "skipped: 1 probes: it carries no probe",
        "skipped: 2 probes: digits is not on this machine",
    ]
    assert verify.quick_disagreements(recorded, CONFIGS) == []


def test_a_folder_without_records_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=f"no records in {tmp_path}"):
        verify.verify(Store(tmp_path))


def test_what_cannot_be_replayed_or_has_another_name_is_named(recorded):
    trained, untrained = (recorded.store.record(run_id(config)) for config in CONFIGS)
    change(trained, config=load_record(trained)["config"] | {"epochs": 7})
    change(untrained, probe="no digits")
    disagree = verify.verify(recorded.store).disagree
    assert "configuration" in disagree[trained.stem] and "cannot be replayed" in disagree[untrained.stem]


def test_the_quickest_of_each_kind_is_chosen(tmp_path):
    store = Store(tmp_path)
    seconds = {0: 3.0, 1: 1.0, 2: 2.0}
    configs = [replace(CONFIGS[0], seed=seed) for seed in seconds] + [replace(CONFIGS[0], schedule="cosine")]
    for config in configs:
        took = {"precision": "float32", "seconds_train": seconds[config.seed]}
        save_record(
            {"config": config.to_dict(), "metrics": {"map": 0.5}, "provenance": took}, store.record(run_id(config))
        )
    chosen = verify.one_of_each_kind(sorted(store.runs.iterdir()))
    assert {path.stem for path in chosen} == {run_id(configs[1]), run_id(configs[3])}
    assert len(verify.verify(store, every=True).skipped) == 4

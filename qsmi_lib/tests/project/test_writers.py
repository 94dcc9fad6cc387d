"""A disk that is full, broken or read-only: one clear error, the old file as it was, and no part of a new one."""

import ast
import contextlib
import errno
import io as python_io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import nn

from qsmi_lib.cli import main
from qsmi_lib.config.presets import configure
from qsmi_lib.datasets import DATASETS, Part, Split, cifar10
from qsmi_lib.datasets.images.archive import Tree
from qsmi_lib.models import features, hog
from qsmi_lib.reproduction import artefacts, ledger, notebooks, tables
from qsmi_lib.reproduction.bench import measure, synthetic
from qsmi_lib.reproduction.plotting.style import save_figure
from qsmi_lib.search.collection import of_folder
from qsmi_lib.search.estimator import QSMIHasher
from qsmi_lib.search.index.parquet import to_parquet
from qsmi_lib.tests.datasets.small_pictures import write_tar
from qsmi_lib.tests.reproduction.invented import empty
from qsmi_lib.training import factory, runs, tuning
from qsmi_lib.training.records import Store, save_codes, save_record
from qsmi_lib.utils import io, paths
from qsmi_lib.utils.validation import QsmiWarning

CONFIG = configure("digits", "qsmi", 8, epochs=1)
KINDS = {errno.ENOSPC: OSError, errno.EIO: OSError, errno.EACCES: PermissionError}
STEPS = ("open", "write", "replace")


@pytest.fixture
def failing():
    """A block (folder, number of the error, step) in which this step fails for each file below `folder`."""

    @contextlib.contextmanager
    def fail(folder, number, step):
        error = OSError(number, os.strerror(number))

        class Full(python_io.FileIO):
            def write(self, data):
                raise error

        def is_concerned(path):
            return not isinstance(path, int) and Path(path).is_relative_to(folder)

        def opened(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, closefd=True, opener=None):
            if not is_concerned(file) or not set("wax+") & set(mode) or step == "replace":
                return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
            if step == "open":
                raise error
            buffered = python_io.BufferedWriter(Full(file, mode.strip("bt"), closefd, opener))
            return buffered if "b" in mode else python_io.TextIOWrapper(buffered, encoding, errors, newline)

        def replace(source, target, **options):
            if step == "replace" and is_concerned(target):
                raise error
            real_replace(source, target, **options)

        real_open, real_replace = open, os.replace
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("builtins.open", opened)
            patch.setattr(python_io, "open", opened)
            patch.setattr(os, "replace", replace)
            yield

    return fail


# Every writer: functions (folder, version) that write something else for another version


def tensors(version):
    return {"tensor": torch.full((3, 4), float(version))}


def model(folder, version):
    factory.save(factory.build("digits", 8 + version), CONFIG, folder / "model.safetensors")


def figure(folder, version):
    save_figure(plt.figure(figsize=(0.5, 0.5), facecolor=f"C{version}"), folder, "figure")


def features_of(folder, version):
    network = nn.Sequential(nn.Flatten(), nn.Identity()).eval()
    features.extract(torch.full((20, 3), float(version)), network, "toy", precision="float32", batch_size=5)


def hasher(folder, version):
    data = np.random.default_rng(version).normal(size=(30, 4)).astype(np.float32)
    QSMIHasher(bits=8, epochs=1, hidden=4, random_state=0).fit(data, np.arange(30) % 3).save(folder / "h.safetensors")


def parquet(folder, version):
    pytest.importorskip("pyarrow")
    to_parquet(folder / "codes.parquet", ["a", "b"], [{"cat"}, None], np.full((2, 1), version, np.uint8))


def codes(folder, version):
    part = Part(torch.zeros(4, 2), torch.arange(4))
    packed = torch.full((4, 8), 2 * version - 1, dtype=torch.int8)
    save_codes(folder / "codes.npz", packed, packed, Split("toy", part, part, part, "fingerprint", tuple("abcd")))


def artefact(name, make):
    return lambda folder, version: artefacts.save_artefact(Store(folder), name, make(version), {"runs": [version]})


def notebook(version):
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"{version}", id="a")])


def tuned(folder, version):
    with pytest.MonkeyPatch.context() as patch:
        record = {"metrics": dict.fromkeys(tuning.SHOWN, version), "provenance": dict.fromkeys(tuning.MADE_BY, "-")}
        patch.setattr(runs, "run_all", lambda configs, *_, **__: [record for _ in configs])
        tuning.tune("dch", "digits", Store(folder))


def executed(folder, version):
    original = folder.parent / "original.ipynb"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            papermill, "execute_notebook", lambda _, output, **__: papermill.iorw.write_ipynb(notebook(version), output)
        )
        if not original.exists():
            nbformat.write(notebook(0), original)
        notebooks.execute(original, folder / "executed.ipynb")


def copied(folder, version):
    originals = folder.parent / f"originals-{version}"
    originals.mkdir(exist_ok=True)
    nbformat.write(notebook(version), originals / "a.ipynb")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "NOTEBOOKS", originals)
        notebooks.copy(folder)


def pages(folder, version):
    text = f"{ledger.BEGIN}\n{ledger.END}\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "ROOT", folder)
        patch.setattr(Path, "read_text", lambda *_, **__: text)
        for name in ("ledger", "readme_section", "every_table", "every_number"):
            patch.setattr(ledger, name, lambda *_: f"version {version}")
        ledger.write_pages()


def table(folder, version):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "compared", lambda *_: pd.DataFrame({"version": [version]}))
        patch.setattr(tables, "markdown", lambda *_: f"version {version}")
        tables.write_table("table_2", empty("paper", folder))


def generated(folder, version):
    synthetic.generate(synthetic.Shape("toy", "toy", 40, 3, 2, None, 10), folder, seed=version)


def unpacked(folder, version):
    Tree(write_tar(folder.parent / "pictures", {"a.png": bytes(10 + version)}, suffix=".tgz"))


WRITERS = {
    "bytes": lambda folder, version: io.write_bytes(folder / "file", bytes([version])),
    "text": lambda folder, version: io.write_text(folder / "below" / "file.txt", f"{version}"),
    "arrays": lambda folder, version: io.write_arrays(folder / "file.npz", array=np.full(9, version)),
    "tensors": lambda folder, version: io.write_tensors(folder / "file.safetensors", tensors(version), {}),
    "record": lambda folder, version: save_record({"config": {}, "version": version}, folder / "record.json"),
    "codes": codes,
    "model": model,
    "hasher": hasher,
    "features": features_of,
    "parquet": parquet,
    "unpacked tar": unpacked,
    "artefact .json": artefact("a.json", lambda version: {"version": version}),
    "artefact .csv": artefact("a.csv", lambda version: pd.DataFrame({"version": [version]})),
    "artefact .npz": artefact("a.npz", lambda version: {"version": np.array(version)}),
    "line search": tuned,
    "figure": figure,
    "table": table,
    "pages": pages,
    "executed notebook": executed,
    "stored notebook": lambda folder, version: notebooks.write(folder / "stored.ipynb", notebook(version)),
    "copied notebook": copied,
    "benchmark": lambda folder, version: measure.save("toy", f"version {version}"),
    "generated data": generated,
}


def contents(folder):
    """Name -> bytes of each file below `folder`, but for locks and what features are continued from."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        path: path.read_bytes() for path in files if path.suffix != ".lock" and not path.match("features/*.partial")
    }


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("name", WRITERS)
def test_a_failing_writer_names_the_file_and_leaves_what_was_there(results, failing, name, step):
    write = WRITERS[name]
    results.mkdir()
    write(results, 0)
    before = contents(results)
    assert before
    for number, kind in KINDS.items():
        with failing(results, number, step), pytest.raises(kind, match=rf"write {results}.*QSMI_RESULTS") as raised:
            write(results, 1)
        assert raised.value.errno == number and os.strerror(number) in str(raised.value)
        assert contents(results) == before
    write(results, 1)
    assert contents(results) != before


def test_every_file_is_written_by_one_of_them():
    """What else opens a file to write to stands here, with the reason."""
    allowed = {
        "utils/io.py",
        "datasets/images/archive.py",  # appends what it unpacks, in `io.atomic_write`
        "models/features.py",  # appends batch by batch; each step names the file
        "reproduction/bench/synthetic.py",  # appends block by block, in `io.atomic_write`
        "reproduction/bench/measure.py",  # a setting of Linux under /proc
        "reproduction/plotting/style.py",  # into memory
        "search/example_pictures.py",  # into a folder of its own, which is renamed when all pictures are there
    }
    library = paths.ROOT / "qsmi_lib"
    writing = set()
    for path in library.rglob("*.py"):
        place = path.relative_to(library)
        if "tests" not in place.parts and writes(path.read_text(encoding="utf-8")):
            writing.add(place.as_posix())
    assert writing == allowed


def writes(source):
    """Whether a module calls a method that writes to a file of its own."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        owner = getattr(getattr(node.func, "value", None), "id", "")
        texts = [value.value for value in node.args if isinstance(value, ast.Constant) and isinstance(value.value, str)]
        if name == "open" and any(set(text) <= set("rwaxbt+") and set(text) & set("wax+") for text in texts):
            return True
        if name in ("write_text", "write_bytes") and isinstance(node.func, ast.Attribute) and owner != "io":
            return True
        if name in ("savefig", "tofile", "save_file", "save_model", "touch") or (owner, name) in {
            ("nbformat", "write"), ("np", "save"), ("np", "savez"), ("np", "savez_compressed"), ("torch", "save")
        }:  # fmt: skip
            return True
    return False


# Caches: the result is there all the same


def pictures(version):
    return np.random.default_rng(version).integers(0, 256, (3, 8, 8), np.uint8)


@pytest.mark.parametrize("step", STEPS)
def test_hog_features_that_cannot_be_cached_are_returned(results, failing, step):
    with failing(results, errno.ENOSPC, step), pytest.warns(QsmiWarning, match=f"{results}.*QSMI_RESULTS"):
        rows = hog.hog(pictures(0))
    assert np.array_equal(rows, hog._hog(pictures(0))) and not contents(results)


@pytest.mark.parametrize("step", STEPS)
def test_codes_of_a_folder_that_cannot_be_cached_are_returned(results, tmp_path, failing, step):
    (folder := tmp_path / "pictures").mkdir()
    for number in range(3):
        Image.fromarray(255 - np.eye(20, k=number, dtype=np.uint8) * 255).save(folder / f"{number}.png")

    class Toy:
        config, precision, model, side = CONFIG, "float32", nn.Identity(), None

        def fitted(self, image, name):
            return image

        def encode(self, images):
            return np.ones((len(images), 8), np.int8)

    with failing(results, errno.EACCES, step), pytest.warns(QsmiWarning, match=f"{results}.*QSMI_RESULTS"):
        collection = of_folder(folder, Toy())
    assert len(collection) == 3 and not contents(results)


@pytest.mark.parametrize("step", STEPS)
def test_decoded_pictures_that_cannot_be_cached_are_returned(results, tmp_path, monkeypatch, failing, step):
    images, labels = torch.arange(2 * 3072).reshape(2, 3, 32, 32).to(torch.uint8), torch.tensor([3, 5])
    parts = {"train": (images[:1], labels[:1]), "query": (images[1:], labels[1:])}
    for name, value in {"SHA256": cifar10.checksum(images, labels), "N_TRAIN": 1, "N_QUERY": 1}.items():
        monkeypatch.setattr(cifar10, name, value)
    monkeypatch.setattr(cifar10, "_read_pictures", lambda _: parts)
    monkeypatch.setattr(cifar10.Cifar10, "find", lambda _: tmp_path)
    with failing(results, errno.EACCES, step), pytest.warns(QsmiWarning, match=f"{results}.*QSMI_RESULTS"):
        split = DATASETS["cifar10"].load(0)
    assert torch.equal(split.train.inputs, images[:1]) and not contents(results)


# A real limit


@pytest.fixture
def limited():
    """A function that limits the size of files; the system then refuses to write more, as on a full disk.

    Start no process meanwhile: it would inherit the limit and end at it.
    """
    resource = pytest.importorskip("resource", reason="this system limits no size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda n_bytes: resource.setrlimit(
        resource.RLIMIT_FSIZE, (before[1] if n_bytes is None else n_bytes, before[1])
    )
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_features_that_do_not_fit_are_an_error_and_continued_later(results, limited):
    sizes = []

    class Wide(nn.Module):
        def forward(self, images):
            sizes.append(len(images))
            return images.repeat(1, 100)

    def extract():
        inputs = torch.arange(400.0).reshape(200, 2)
        return features.extract(inputs, Wide().eval(), "toy", precision="float32", batch_size=20)

    limited(100_000)  # of 160,000 bytes
    with pytest.raises(OSError, match=f"cannot write {results}") as raised:
        extract()
    limited(None)
    assert raised.value.errno == errno.EFBIG and not list(results.rglob("*.npy"))
    rows = extract()
    assert torch.equal(rows[:, :2], torch.arange(400.0).reshape(200, 2)) and rows.shape == (200, 200)
    assert sizes == [8] + [20] * 7 + [8] + [20] * 4  # six batches were written whole


def test_features_that_need_more_than_is_free_are_refused_before_they_are_computed(results, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 200}))
    with pytest.raises(OSError, match=rf"cannot write {results}.*240 bytes are needed, and 200 are free"):
        features_of(results, 0)
    assert not contents(results)


def test_the_command_line_reports_a_full_disk_in_one_line_before_it_trains(results, failing, trainings):
    with failing(results, errno.ENOSPC, "write"):
        result = CliRunner().invoke(main, ["run", "--dataset=digits", "--method=qsmi", "--bits=8", "--epochs=1"])
    assert result.exit_code == 1 and result.output.count("\n") == 1
    assert f"cannot write {results / 'digits' / 'runs'}" in result.output
    assert os.strerror(errno.ENOSPC) in result.output
    assert not contents(results) and trainings == []


def test_the_command_line_reports_a_disk_that_is_full_after_the_training_in_one_line(results, failing, monkeypatch):
    monkeypatch.setattr(runs, "check_writable", lambda _: None)
    with failing(results, errno.ENOSPC, "write"):
        result = CliRunner().invoke(main, ["run", "--dataset=digits", "--method=qsmi", "--bits=8", "--epochs=1"])
    assert result.exit_code == 1 and result.output.count("\n") == 1
    assert f"cannot write {results / 'digits' / 'models'}" in result.output and not contents(results)

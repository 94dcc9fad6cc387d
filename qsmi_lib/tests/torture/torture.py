"""Commands that are killed and started again until they end: what must hold after each kill, and at the end."""

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import nbformat
import numpy as np
from PIL import Image
from safetensors import safe_open

from qsmi_lib.reproduction.results import Results
from qsmi_lib.search.index import storage
from qsmi_lib.tests.torture.kills import End, Kill, run
from qsmi_lib.training import factory
from qsmi_lib.training.records import load_codes, load_record
from qsmi_lib.training.tuning import load_search
from qsmi_lib.utils import io, paths, scratch

SECONDS = 10.0  # within which every process of a killed command has ended; without other work, it is one or two
AT_MOST = 4  # kills of a command before it may end
SIGNALS = [signal.SIGKILL] * 3 + [signal.SIGTERM, signal.SIGINT]
SMALL = ["--dataset", "digits", "--bits", "8", "--epochs", "1"]


def small_grid() -> None:
    """Three runs of one epoch for each experiment."""
    grid = Results.grid

    def first(results: Results, name: str) -> list:
        return [replace(config, epochs=1) for config in grid(results, name) if config.seed == 0][:3]

    Results.grid = first


def vectors(n: int) -> None:
    """The file vectors.npy in the current folder, which is that of the command: `n` rows of two classes, and labels."""
    os.chdir(paths.results().parent)
    rows = np.arange(n)
    values = np.random.default_rng(0).normal(size=(400, 8))[rows] + 3 * (rows % 2)[:, None]
    np.save("vectors.npy", values.astype(np.float32))
    Path("labels.csv").write_text("class\n" + "".join(f"{'ab'[row % 2]}\n" for row in rows), encoding="utf-8")


@dataclass(frozen=True)
class Command:
    """A command to kill.

    Attributes:
        arguments: of the command line.
        begins_with: name of the command whose results are there at its start.
        prepare: called in its process before it.
    """

    arguments: list[str]
    begins_with: str | None = None
    prepare: Callable[[], None] = lambda: None


INDEX = ["index", "vectors.npy", "--labels", "labels.csv", "--bits", "8", "--output", "results/vectors.index"]
COMMANDS = {
    "run": Command(["run", "--method", "qsmi", *SMALL]),
    "features": Command(["run", "--method", "qsmi", "--backbone", "digits_labels", *SMALL]),
    "tune": Command(["tune", "dch", *SMALL]),
    "tables": Command(["tables", "--profile", "digits"], begins_with="run"),
    "index": Command(INDEX, prepare=lambda: vectors(200)),
    "reindex": Command(INDEX, begins_with="index", prepare=lambda: vectors(400)),
    "retrain": Command([*INDEX, "--retrain"], begins_with="index", prepare=lambda: vectors(300)),
    "workers": Command(
        ["reproduce", "--profile", "digits", "--only", "03", "--seed", "0", "--jobs", "2"], prepare=small_grid
    ),
    "kernel": Command(["reproduce", "--profile", "digits", "--only", "00"]),
    "kernels": Command(["reproduce", "--profile", "digits", "--only", "00", "--jobs", "2"]),
}


@dataclass(frozen=True)
class Outcome:
    """What one start of a command came to.

    Attributes:
        name: of the command.
        kill: the signal and its moment.
        end: how it ended.
        killed: whether the signal came before its end.
    """

    name: str
    kill: Kill
    end: End
    killed: bool


class Torture:
    """Kills of `COMMANDS` in `folder`, the same ones for the same `seed`.

    The first time that a command is killed, it first runs undisturbed.
    """

    def __init__(self, folder: Path, seed: int):
        self.folder, self.random, self.undisturbed = folder, random.Random(seed), {}

    def kills(self, name: str) -> Iterator[Outcome]:
        """Kill the command `name` and start it again, until it ends by itself or was killed `AT_MOST` times.

        Raises:
            AssertionError: a promise was broken; it says which one, and the folder stays.
        """
        reference = self.reference(name)
        folder = self.new(f"{name}-killed", COMMANDS[name])
        recorded: dict[Path, bytes] = {}
        for number in range(AT_MOST + 1):
            kill = self.kill(reference) if number < AT_MOST else Kill()
            end = run(COMMANDS[name].arguments, folder, kill, COMMANDS[name].prepare)
            outcome = Outcome(name, kill, end, end.status != 0)
            where = f"{name}, {kill}, in {folder}: {end}"
            assert end.lingered < SECONDS, f"processes lived on: {where}"
            expected = {0} if kill.number is None else {0, 1, 128 + kill.number, -kill.number}
            assert end.status in expected, f"unexpected status: {where}"
            assert end.status or not kill.event or end.events < kill.event, f"the command went on: {where}"
            damaged = [message for path in files(folder / "results") if (message := damage(path))]
            assert not damaged, f"{damaged}: {where}"
            changed = [path for path, content in recorded.items() if path.read_bytes() != content]
            assert not changed, f"run twice: {changed}: {where}"
            recorded = {path: path.read_bytes() for path in files(folder / "results") if path.parent.name == "runs"}
            yield outcome
            if not outcome.killed:
                break
        self.compare(folder, self.folder / name, end)
        shutil.rmtree(folder)

    def reference(self, name: str) -> End:
        """How the command `name` ends undisturbed; its results stay in the folder `name`."""
        if name not in self.undisturbed:
            folder = self.new(name, COMMANDS[name])
            end = run(COMMANDS[name].arguments, folder, Kill(), COMMANDS[name].prepare)
            assert end.status == 0, f"{name}: {end}"
            self.compare(folder, folder, end)
            self.undisturbed[name] = end
        return self.undisturbed[name]

    def new(self, name: str, command: Command) -> Path:
        """A new folder `name` with what the command begins with."""
        folder = self.folder / name
        (folder / "temporary").mkdir(parents=True)
        if command.begins_with:
            self.reference(command.begins_with)
            shutil.copytree(self.folder / command.begins_with / "results", folder / "results")
        return folder

    def kill(self, reference: End) -> Kill:
        """A signal at a random moment, or at a random access to the files of the results."""
        number = self.random.choice(SIGNALS)
        if self.random.random() < 0.5:
            return Kill(number, event=self.random.randint(1, reference.events))
        return Kill(number, after=self.random.uniform(0.0, reference.seconds))

    def compare(self, folder: Path, reference: Path, end: End) -> None:
        """After a command has ended by itself: the results of an undisturbed one, and nothing left behind."""
        found, expected = (contents(each / "results") for each in (folder, reference))
        assert found.keys() == expected.keys(), f"other files in {folder}: {found.keys() ^ expected.keys()}"
        other = [path for path, content in found.items() if content != expected[path]]
        assert not other, f"other results in {folder}: {other}"
        left = [*(folder / "temporary").glob(f"{scratch.PREFIX}*"), *(folder / "results").rglob(".*.partial")]
        left += [path for path in shared_memory() if f"-{end.process}-" in path.name or f"_{end.process}_" in path.name]
        assert not left, f"left behind: {left}"


def shared_memory() -> list[Path]:
    """The files in shared memory, where the system shows them."""
    return list(Path("/dev/shm").glob("*"))


def files(folder: Path) -> list[Path]:
    """The files in `folder` under their final names."""
    unfinished = (".partial", ".failed.ipynb", ".lock")
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(unfinished)]


def contents(folder: Path) -> dict[Path, object]:
    """The files of an ended command: their bytes, or of a record what does not depend on the time."""
    return {path.relative_to(folder): content(path) for path in folder.rglob("*") if path.is_file()}


def content(path: Path) -> object:
    """The content of a file; of a record without its provenance, and of a notebook nothing, as it shows times."""
    if path.suffix == ".ipynb":
        return None
    if path.suffix == ".json" and "runs" in path.parts:
        return {key: value for key, value in load_record(path).items() if key != "provenance"}
    if path.suffix == ".safetensors":  # the order in its header is random
        with safe_open(path, framework="pt") as file:
            return file.metadata(), io.checksum({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return path.read_bytes()


def damage(path: Path) -> str:
    """What is wrong with a file under its final name, "" if nothing is."""
    try:
        READERS.get((path.parent.name, path.suffix), READERS.get(("", path.suffix), Path.read_bytes))(path)
    except Exception as error:
        return f"{path}: {error}"
    return "" if path.stat().st_size else f"{path} is empty"


def _read_picture(path: Path) -> None:
    with Image.open(path) as picture:
        picture.load()


def _read_pdf(path: Path) -> None:
    if not path.read_bytes().endswith(b"%%EOF\n"):
        raise ValueError("it has no end")


READERS: dict[tuple[str, str], Callable[[Path], object]] = {  # folder and suffix -> function
    ("runs", ".json"): load_record,
    ("tuning", ".json"): load_search,
    ("vectors.index", ".json"): lambda path: storage.read(path.parent).features([0]),
    ("", ".json"): lambda path: json.loads(path.read_text(encoding="utf-8")),
    ("codes", ".npz"): load_codes,
    ("models", ".safetensors"): factory.load,
    ("features", ".npy"): lambda path: np.isfinite(np.load(path)).all() or 1 / 0,
    ("", ".png"): _read_picture,
    ("", ".pdf"): _read_pdf,
    ("", ".ipynb"): lambda path: nbformat.validate(nbformat.read(path, 4)),
}

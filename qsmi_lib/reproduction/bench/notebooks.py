"""How long each lesson takes: the first time, with nothing recorded or compiled yet, and again."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import pandas as pd
import torch

from qsmi_lib.reproduction import notebooks
from qsmi_lib.reproduction.bench.measure import machine, save, seconds, table
from qsmi_lib.utils import io, paths, scratch
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.reading import CLONE, read_table

CPU = torch.device("cpu")
LINE = re.compile(r"^\*\*Time\.\*\*.*$", re.MULTILINE)  # in the first cell of a lesson
CORES = {1: "one CPU core", 2: "two CPU cores"}


def measure(lesson: Path) -> dict[str, float | str]:
    """Seconds of two runs of `lesson`, each in a new kernel, the second with the results and kernels of the first.

    Returns:
        The `lesson`, `first` and `again` in seconds, and `imports`: the seconds of the first cell in the first run.
    """
    with tempfile.TemporaryDirectory(dir=scratch.folder()) as folder, _environment(folder):
        copy = Path(folder) / lesson.name
        first = seconds(lambda: notebooks.execute(lesson, copy), CPU)
        imports = next(cell for cell in notebooks.read(copy).cells if cell.cell_type == "code")
        again = seconds(lambda: notebooks.execute(lesson, copy), CPU)
    return {"lesson": lesson.stem, "first": first, "again": again, "imports": imports.metadata.papermill.duration}


@contextmanager
def _environment(folder: str) -> Iterator[None]:
    """Kernels that start inside have their results and their compiled code in `folder`."""
    before = dict(os.environ)
    os.environ |= {"QSMI_RESULTS": f"{folder}/results", "NUMBA_CACHE_DIR": f"{folder}/numba"}
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def sentence(row: dict[str, float | str]) -> str:
    """The line of a lesson that says how long it takes, from its row of the table."""
    cores = CORES.get(row["cores"], f"{row['cores']} CPU cores")
    times = f"{row['first']:.0f} s the first time, {row['again']:.0f} s again, on {cores}"
    imports = f"Loading the libraries takes {row['imports']:.0f} s of them, and longer after a restart of the computer"
    return f"**Time.** {times}. {imports}."


def fill_in(row: dict[str, float | str]) -> None:
    """Write `sentence` into the first cell of its lesson; a ValueError where the cell has no line for it."""
    path = paths.NOTEBOOKS / f"{row['lesson']}.ipynb"
    notebook = notebooks.read(path)
    notebook.cells[0].source, n_lines = LINE.subn(sentence(row), notebook.cells[0].source)
    if n_lines != 1:
        raise ValueError(f"the first cell of {path.name} must have one line that begins with **Time.**, got {n_lines}")
    notebooks.write(path, notebook)


def measure_lessons(only: tuple[str, ...]) -> str:
    """Time the notebooks that `only` lists, or all lessons: then the table is saved and each lesson says its time.

    Raises:
        ValueError: an unknown notebook; the known ones are listed.
        PapermillExecutionError: a cell failed.
    """
    timed = bar(notebooks.chosen(only) if only else notebooks.lessons(), "timing", unit="notebook")
    rows = [measure(path) | {"cores": joblib.cpu_count()} for path in timed]
    times = pd.DataFrame(rows).round(1)
    columns = [[f"{value:.0f}" for value in times[name]] for name in ("first", "again", "imports")]
    parts = (
        "Seconds of each lesson under the profile `digits`. The first run has no results and no compiled code. The "
        f"second uses those of the first. Both start a kernel and load the libraries.\n{machine(CPU)}",
        table(
            ["lesson", "first run", "again", "of the first run, the first cell"],
            list(zip(times["lesson"], *columns, strict=True)),
        ),
    )
    if only:
        return "\n\n".join(parts) + "\n"
    csv = paths.results() / "benchmarks" / "notebooks.csv"
    io.write_text(csv, f"# {machine(CPU)}\n" + times.to_csv(index=False))
    for row in times.to_dict("records"):
        fill_in(row)
    return save("notebooks", *parts)


def recorded(folder: Path = paths.BENCHMARKS) -> list[dict[str, float | str]]:
    """The rows that `measure_lessons` wrote."""
    columns = {"lesson": object} | dict.fromkeys(("first", "again", "imports", "cores"), float)
    return read_table(folder / "notebooks.csv", columns, CLONE, comment="#").to_dict("records")

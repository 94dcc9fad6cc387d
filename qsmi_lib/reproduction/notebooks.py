"""The notebooks: which there are, how they are run, which outputs stay in git, and a person's own copies.

``python -m qsmi_lib.reproduction.notebooks`` is what `make notebooks`, `make pictures` and `make lab` call.
"""

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import nbformat
import papermill
from joblib import delayed
from papermill.exceptions import PapermillExecutionError

from qsmi_lib.utils import io, paths, scratch
from qsmi_lib.utils.parallel import workers
from qsmi_lib.utils.reading import CLONE, damaged, read_json, read_text

STORED = ("keep_output", "keep_picture")  # tags of the cells whose outputs stay in git
EVIDENCE = {"10", "16", "17", "18"}  # numbers of the notebooks that are no lesson, beside the appendices


def chosen(only: tuple[str, ...] = ()) -> list[Path]:
    """The notebooks whose number or name `only` lists, or all; a ValueError lists the known ones.

    They are in the order of their numbers, each lesson before its appendices.
    """
    notebooks = paths.NOTEBOOKS.glob("[0-9][0-9]_*.ipynb")
    in_order = sorted(notebooks, key=lambda path: (path.stem[:2], is_appendix(path), path))
    known = {path.stem: path for path in in_order}
    found = [path for name, path in known.items() if not only or any(one in (name, name[:2]) for one in only)]
    for name in only:
        if not any(name in (path.stem, path.stem[:2]) for path in found):
            raise ValueError(f"unknown notebook {name!r}; known: {', '.join(known)}")
    return found


def lessons() -> list[Path]:
    """The notebooks that are lessons, in their order; the others are evidence."""
    return [path for path in chosen() if path.stem[:2] not in EVIDENCE and not is_appendix(path)]


def is_appendix(notebook: Path) -> bool:
    """Whether `notebook` is an appendix of the lesson of the same number."""
    return "_appendix_" in notebook.stem


def execute(notebook: Path, output: Path, **parameters) -> None:
    """Run `notebook` with `parameters` and write the executed copy to `output`.

    Raises:
        ValueError: a parameter that the notebook does not have; the known ones are listed.
        PapermillExecutionError: a cell failed; the copy up to there is saved as ``<name>.failed.ipynb``.
        OSError: a copy cannot be written, e.g. because the disk is full.
    """
    known = papermill.inspect_notebook(str(notebook))
    if unknown := sorted(parameters.keys() - known.keys()):
        raise ValueError(f"{notebook.name} has no parameter {', '.join(unknown)}; known: {', '.join(known)}")
    os.environ["QSMI_HEADLESS"] = "1"  # the kernel inherits it: no bars and sliders in the executed copy
    partial = output.with_suffix(".failed.ipynb")
    try:
        with io.naming(output):
            output.parent.mkdir(parents=True, exist_ok=True)
            papermill.execute_notebook(
                str(notebook),
                str(partial),
                parameters=parameters,
                cwd=str(notebook.parent),
                kernel_name="python3",
                progress_bar=False,
                extra_arguments=["--IPKernelApp.log_level=50"],  # no messages about the transport
            )
            partial.replace(output)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def failure(run: Callable[..., None], notebook: Path, *arguments, **parameters) -> str:
    """Call `run` with `notebook` and the other arguments; the message of what failed in it, "" if nothing did."""
    try:
        run(notebook, *arguments, **parameters)
    except PapermillExecutionError as error:
        return f"{notebook.name} failed: {error.ename}: {error.evalue}"
    except RuntimeError as error:  # nbclient: the kernel died, or does not answer
        return f"{notebook.name} failed: {error}; if memory is short, fewer --jobs need less"
    return ""


def store(notebook: Path, tag: str) -> None:
    """Run `notebook`, and store in it the new outputs of the cells tagged `tag`, one of `STORED`.

    Outputs of cells with the other tag stay, and those of cells with neither go. Each cell gets its count, which nbval
    needs to compare outputs, and of its metadata keeps the tags.
    """
    with tempfile.TemporaryDirectory(dir=scratch.folder()) as folder:
        executed = Path(folder) / notebook.name
        execute(notebook, executed)
        results = read(executed).cells
    stored = read(notebook)
    for cell, result in zip(stored.cells, results, strict=True):
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type != "code":
            continue
        cell.execution_count = result.execution_count
        if tag in tags:
            cell.outputs = _joined(result.outputs)
        elif not set(tags) & set(STORED):
            cell.outputs = []
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = cell.execution_count
    stored.metadata.language_info = {"name": "python"}  # no versions of this machine
    write(notebook, stored)


def _joined(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """`outputs` with what was printed in several pieces, which depends on the time it took, as one piece."""
    joined = []
    for output in outputs:
        if joined and output.output_type == joined[-1].output_type == "stream" and output.name == joined[-1].name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def read(path: Path) -> nbformat.NotebookNode:
    """The notebook `path`; a ValueError names a damaged one."""
    text = read_text(path, CLONE)
    try:
        return nbformat.reads(text, 4)
    except Exception as error:  # nbformat's errors have no common class
        raise damaged(path, f"it is not a notebook: {error}", CLONE) from error


def write(path: Path, notebook: nbformat.NotebookNode) -> None:
    """Write `notebook` to `path` in the form of nbformat, at once."""
    io.write_text(path, nbformat.writes(notebook) + "\n")


def copy(folder: Path) -> list[str]:
    """Copy notebooks and pages into `folder`, for a person to run and change; a copy that has changed is left alone.

    A copy that is as it was made is replaced where the original has changed since. Cells of a copy have no count: a
    number at a cell then says that the person ran it.

    Returns:
        A line for each changed copy whose original has changed too.
    """
    record = folder / ".copied.json"  # name -> checksum of the copy as it was made
    made = read_json(record, {...: str}, "delete it: changed copies stay") if record.exists() else {}
    newer = []
    for path in sorted([*paths.NOTEBOOKS.glob("*.ipynb"), *paths.NOTEBOOKS.glob("*.md")]):
        target, text = folder / path.name, _uncounted(path) if path.suffix == ".ipynb" else path.read_text("utf-8")
        checksum, found = _checksum(text.encode()), _checksum(target.read_bytes()) if target.exists() else None
        if found in (None, checksum, made.get(path.name)):
            io.write_text(target, text)
            made[path.name] = checksum
        elif made.get(path.name) != checksum:
            newer.append(f"{path.name} has a new version; your changed copy stays. To get it, rename {target}")
    io.write_text(record, json.dumps(made, indent=1) + "\n")
    return newer


def _uncounted(path: Path) -> str:
    """The text of the notebook `path` without the counts of its cells."""
    notebook = read(path)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.execution_count = None
    return nbformat.writes(notebook) + "\n"


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@click.group()
def main() -> None:
    """Store the outputs of the notebooks, or copy them for a person."""


@main.command("store")
@click.argument("tag", type=click.Choice(STORED))
@click.argument("only", nargs=-1, metavar="[NN]...")
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(min=1), help="Notebooks at a time.")
def store_all(tag: str, only: tuple[str, ...], jobs: int) -> None:
    """Run the notebooks NN, or all, and store the outputs of their cells tagged TAG."""
    with workers(jobs) as parallel:
        failures = parallel(delayed(failure)(store, path, tag) for path in chosen(only))
    if messages := list(filter(None, failures)):
        sys.exit("\n".join(messages))


@main.command("copy")
@click.argument("folder", type=click.Path(path_type=Path))
def copy_all(folder: Path) -> None:
    """Copy the notebooks into FOLDER; copies that a person changed stay as they are."""
    for line in copy(folder):
        click.echo(line)


if __name__ == "__main__":
    main()

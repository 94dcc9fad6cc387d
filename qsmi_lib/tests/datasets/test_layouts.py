"""Every layout of data sets in `layouts`: its labels and parts as expected, or a fault that names file and remedy."""

import numpy as np
import pytest
from click.testing import CliRunner

from qsmi_lib.cli import main
from qsmi_lib.datasets.images import manifest
from qsmi_lib.datasets.images.check import inspect
from qsmi_lib.tests.datasets.layouts import LAYOUTS
from qsmi_lib.tests.datasets.small_pictures import WRITERS

each_layout = pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)


def label_names(items):
    """Path -> the names of its labels, separated by commas."""
    rows = [np.flatnonzero(row) if items.labels.ndim == 2 else [row] for row in items.labels]
    named = (", ".join(sorted(items.classes[label] for label in row)) for row in rows)
    return dict(zip(items.paths, named, strict=True))


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
@each_layout
def test_a_layout_is_read_or_its_fault_is_named(tmp_path, write, layout):
    if layout.path and write is not WRITERS["folder"]:
        pytest.skip("a list by its path lies in a folder")
    place = write(tmp_path / "own", layout.files, *(["own/"] if write is WRITERS["zip"] else []))
    source = place / layout.path if layout.path else place
    command = ["datasets", "check", str(source), *(["--labels", layout.choice] if layout.choice else [])]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == bool(layout.fault), result.output
    if layout.fault:
        faults = [line for line in result.output.splitlines() if line.startswith(("fault", "Error"))]
        assert len(faults) == 1 and all(words in faults[0] for words in layout.fault.split("|")), result.output
    if layout.labels:
        report = inspect(source, layout.choice)
        items = report.manifest
        assert label_names(items) == layout.labels
        parts = {part: {items.paths[row] for row in rows} for part, rows in items.parts.items()}
        assert parts == {part: set(paths) for part, paths in layout.parts.items()}
        assert items.how in result.output and all(f"item   {line}\n" in result.output for line in items.shown)
        assert len(items.shown) == min(3, len(items))
        notes = "\n".join(map(str, report.notes))
        assert all(words in notes for words in layout.note.split("|")), notes
        assert manifest.read(source, layout.choice).fingerprint == items.fingerprint

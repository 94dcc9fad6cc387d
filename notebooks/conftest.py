"""What `pytest --nbval` needs here: cells in their order, which pytest-randomly would change, and no progress bars."""

import os

os.environ.setdefault("QSMI_HEADLESS", "1")  # the kernels inherit it


def pytest_collection_modifyitems(items):
    """Put the cells of each notebook in their order, behind all other tests."""
    others = [item for item in items if not hasattr(item, "cell_num")]
    cells = [item for item in items if hasattr(item, "cell_num")]
    items[:] = others + sorted(cells, key=lambda cell: (cell.path, cell.cell_num))

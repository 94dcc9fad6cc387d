"""How a notebook shows a figure: sharp on any screen, in a small file, with alternative text."""

import base64
import sys
from io import BytesIO

import matplotlib.pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from qsmi_lib.reproduction.plotting.style import full_png, small_png
from qsmi_lib.utils import progress


def register() -> None:
    """Let IPython show each `Figure` as `png` does; without a running IPython there is nothing to do."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None:
        return
    import matplotlib_inline.backend_inline  # noqa: F401 - when loaded later, it would replace the formatter

    shell.display_formatter.formatters["image/png"].for_type(Figure, png)


def png(figure: Figure) -> tuple[str, dict] | None:
    """PNG in base64 with twice the pixels of its display size, and the metadata that say so; None if nothing is drawn.

    It is quick to draw interactively, and small elsewhere, where it may be stored. The figure is closed, so that a cell
    whose last line is a figure shows it once. nbconvert's classic template and the site read `alt`; JupyterLab reads
    the size alone.
    """
    if not figure.axes:
        return None
    picture = (full_png if progress.watched() else small_png)(figure, 2 * figure.dpi)
    plt.close(figure)
    width, height = Image.open(BytesIO(picture)).size
    metadata = {"width": width // 2, "height": height // 2, "alt": figure.get_label()}
    return base64.b64encode(picture).decode(), metadata

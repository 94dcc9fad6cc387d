"""Curves can be told apart without colour, and their colours by people who see fewer of them."""

import base64
import itertools
from io import BytesIO

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from PIL import Image
from skimage.color import rgb2lab

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction.plotting import notebook, style

CYCLE = list(plt.rcParams["axes.prop_cycle"])
# What is left of red, green and blue, linear, without a kind of cone: Machado, Oliveira & Fernandes, 2009
WITHOUT = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen(color: str, cone: str | None) -> np.ndarray:
    """CIELAB of a colour as somebody without a kind of cone sees it."""
    rgb = np.array(plt.matplotlib.colors.to_rgb(color))
    if cone:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        linear = np.clip(np.array(WITHOUT[cone]) @ linear, 0.0, 1.0)
        rgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(rgb)


def test_no_two_curves_share_a_marker_and_few_a_line():
    assert len({look["marker"] for look in CYCLE}) == len(CYCLE)
    assert all(one["linestyle"] != other["linestyle"] for one, other in itertools.pairwise(CYCLE))


@pytest.mark.parametrize("cone", [None, *WITHOUT])
def test_no_two_colours_look_alike(cone):
    for one, other in itertools.combinations(CYCLE, 2):
        difference = np.linalg.norm(seen(one["color"], cone) - seen(other["color"], cone))
        assert difference > 15.0, f"{one['color']} and {other['color']} without {cone}"


def test_each_method_has_a_look_and_equal_markers_differ_in_lightness():
    assert set(style.METHOD_STYLES) == set(METHODS)
    for one, other in itertools.combinations(map(style.method_style, METHODS), 2):
        difference = abs(seen(one["color"], None)[0] - seen(other["color"], None)[0])
        assert one["marker"] != other["marker"] or difference > 15.0, (one, other)


def test_red_and_green_of_one_lightness_would_fail():
    assert np.linalg.norm(seen("#9c8000", "green") - seen("#b57800", "green")) < 15.0


def test_a_figure_is_saved_small_and_equal_and_keeps_its_colours(tmp_path):
    figure, axis = plt.subplots()
    rng = np.random.default_rng(0)
    for look in CYCLE:
        axis.scatter(*rng.normal(size=(2, 200)), color=look["color"], marker=look["marker"])
    first, again = (style.save_figure(figure, tmp_path / name, "points") for name in "ab")
    plain = tmp_path / "plain.png"
    figure.savefig(plain)
    plt.close(figure)
    assert [path.name for path in first] == ["points.png", "points.pdf"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    assert first[0].stat().st_size < 0.6 * plain.stat().st_size
    saved, drawn = (np.asarray(Image.open(path).convert("RGB")).astype(int) for path in (first[0], plain))
    assert np.abs(saved - drawn).mean() < 1.0 and (saved[0, 0] == 255).all()
    in_notebook = Image.open(BytesIO(style.small_png(figure, 200))).convert("RGB")
    for look in CYCLE:
        color = 255 * np.array(plt.matplotlib.colors.to_rgb(look["color"]))
        for picture in (saved, np.asarray(in_notebook).astype(int)):
            assert (np.abs(picture - color).max(axis=2) <= 4).any(), look["color"]


def test_a_notebook_shows_a_figure_once_and_sharp_with_its_alternative_text():
    setup = "import matplotlib.pyplot as plt\nfrom qsmi_lib.reproduction.plotting import style"
    draw = "figure, axes = plt.subplots(figsize=(2, 1)); axes.plot([1, 2]); style.described(figure, 'rises'){}"
    cells = [nbformat.v4.new_code_cell(text) for text in (setup, draw.format(""), draw.format(";"))]
    NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
    for cell in cells[1:]:
        (output,) = cell.outputs
        metadata = output.metadata["image/png"]
        width, height = Image.open(BytesIO(base64.b64decode(output.data["image/png"]))).size
        assert (metadata["width"], metadata["height"]) == (width // 2, height // 2)
        assert abs(metadata["width"] - 200) < 20 and metadata["alt"] == "rises"


def test_a_figure_without_axes_is_not_shown_and_a_shown_one_is_closed():
    assert notebook.png(plt.figure()) is None
    figure, _ = plt.subplots()
    notebook.png(figure)
    assert not plt.fignum_exists(figure.number)
    plt.close("all")


def test_a_picture_keeps_its_colours_beside_those_of_a_matrix():
    figure, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
    for place, (color, marker, _) in enumerate(style.METHOD_STYLES.values()):
        left.plot(place % 5, place // 5, color=color, marker=marker, markersize=9)
    figure.colorbar(right.imshow(np.arange(64.0).reshape(8, 8)))
    shown = np.array(Image.open(BytesIO(base64.b64decode(notebook.png(figure)[0]))).convert("RGB"), int)
    for color, *_ in style.METHOD_STYLES.values():
        exact = 255 * np.array(plt.matplotlib.colors.to_rgb(color))
        assert (np.abs(shown - exact).max(axis=2) < 1).any(), color

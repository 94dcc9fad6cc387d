"""Figures of label sets, hash centers, draws of classes and frozen features show what they are given."""

import numpy as np
import pytest

from qsmi_lib import losses
from qsmi_lib.reproduction.plotting import labels, retrieval

RNG = np.random.default_rng(0)
IMAGES = RNG.random((4, 8, 16))
CENTERS = losses.hash_centers(4, 4)[:, 1:].numpy()
MEMBERS = RNG.random((6, 9)) < 0.5
SCORES = {"qsmi": np.linspace(0.1, 0.6, 6), "dsh": np.linspace(0.0, 0.5, 6)}


def label_sets():
    return labels.label_sets(IMAGES, list("abcd"), {"any": np.eye(4), "share": np.full((4, 4), 0.25)})


def graded_answers():
    return labels.graded_answers(IMAGES[:2], np.stack([IMAGES, IMAGES])[:, :3], [[1, 0.5, 0], [0, 0, 1]])


def centers_on_cube():
    return labels.centers_on_cube(CENTERS, {(0,): CENTERS[0], (0, 1, 2): np.sign(CENTERS[:3].sum(axis=0))})


def drawn_classes():
    return labels.drawn_classes(MEMBERS, SCORES, "mAP")


def frozen_backbone():
    features = {"seen": RNG.random((6, 5)), "unseen": RNG.random((6, 5))}
    return retrieval.frozen_backbone(RNG.random((6, 8, 8)), features, np.array([0, 0, 1, 1, 2, 2]))


@pytest.mark.parametrize("draw", [label_sets, graded_answers, centers_on_cube, drawn_classes, frozen_backbone])
def test_a_figure_can_be_drawn_and_has_alternative_text(draw):
    figure = draw()
    figure.canvas.draw()
    assert len(figure.get_label()) > 40


def test_each_pair_has_its_relevance_printed():
    first, second = (axes for axes in label_sets().axes if axes.get_title())
    assert [text.get_text() for text in first.texts] == list("1000010000100001")
    assert {text.get_text() for text in second.texts} == {"0.25"}


def test_an_answer_has_its_fraction_above_it_and_the_text_counts_them():
    figure = graded_answers()
    assert [axes.get_title() for axes in figure.axes] == ["query", "1", "0.5", "0", "query", "0", "0", "1"]
    assert "3 answers share a label with the query; 2 have all its labels" in figure.get_label()


def test_corners_differ_on_paper_and_the_bits_between_target_and_centers_are_counted():
    figure = centers_on_cube()
    (drawn,) = [line.get_xydata() for line in figure.axes[0].lines if len(line.get_xdata()) == len(CENTERS)]
    assert len(np.unique(drawn, axis=0)) == len(CENTERS)
    assert [axes.get_title().split(": ")[1] for axes in figure.axes] == ["0", "1, 1, 1"]


def test_the_easiest_draw_is_on_top_beside_its_classes():
    left, right = drawn_classes().axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == list("543210")
    assert (left.images[0].get_array() == MEMBERS[::-1]).all()
    assert right.lines[0].get_xdata().tolist() == SCORES["qsmi"][::-1].tolist()


def test_the_rows_of_features_are_divided_by_class():
    panels = [axes for axes in frozen_backbone().axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["seen", "unseen"]
    assert [tick.get_text() for tick in panels[0].get_yticklabels()] == ["0", "1", "2"]
    for axes in panels:
        assert [segment[0, 1] for segment in axes.collections[0].get_segments()] == [1.5, 3.5]

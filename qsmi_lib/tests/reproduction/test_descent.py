"""Points under gradient descent: the pulls of pairs, where the classes end, and the figures that show it."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from qsmi_lib.losses import qsmi_loss, relevance_matrix
from qsmi_lib.reproduction.analysis.descent import descend, pulls, random_points, smallest_angle
from qsmi_lib.reproduction.plotting import descent

CLASSES = {2: 4, 3: 6}  # dimensions -> classes that show what the clamp does


@pytest.fixture(autouse=True)
def figures_are_closed():
    yield
    plt.close("all")


def paths_of(bits, seed):
    start, labels = random_points(CLASSES[bits], bits, seed)
    return {clamp: descend(start, labels, clamp=clamp) for clamp in (True, False)}, labels


@pytest.mark.parametrize("clamp", [True, False])
def test_a_pull_is_minus_the_gradient_of_its_pair(clamp):
    points, labels = torch.randn(7, 3, generator=torch.Generator().manual_seed(0)).double(), torch.arange(7) % 3
    needs = 1 / relevance_matrix(labels).double().mean().item()
    found = pulls(points, labels, clamp=clamp)
    for i, j in itertools.permutations(range(7), 2):
        y = points[[i, j]].clone().requires_grad_()
        relevance = relevance_matrix(labels[[i, j]])
        loss = qsmi_loss(y, relevance, clamp=clamp, information_needs=needs) / 7  # (i, i) and (j, j) have no gradient
        torch.testing.assert_close(found[i, j], -torch.autograd.grad(loss, y)[0][0])
    y = points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(qsmi_loss(y, relevance_matrix(labels), clamp=clamp) / 7, y)
    torch.testing.assert_close(found.sum(dim=1), -gradient)


@pytest.mark.parametrize("clamp", [True, False])
def test_descent_stays_on_the_sphere_and_lowers_the_loss(clamp):
    start, labels = random_points(6, 3, seed=0)
    path = descend(start, labels, clamp=clamp, n_steps=20, rate=0.5)
    torch.testing.assert_close(path[0], start)
    torch.testing.assert_close(path.norm(dim=2), torch.ones(21, 24, dtype=torch.float64))
    losses = [qsmi_loss(points, relevance_matrix(labels), clamp=clamp).item() for points in path]
    assert losses == sorted(losses, reverse=True)


def test_smallest_angles_of_known_arrangements():
    square = torch.tensor([[1.0, 0.0], [0.0, 2.0], [-1.0, 0.0], [0.0, -3.0]])
    assert smallest_angle(square, torch.arange(4)) == pytest.approx(90)
    tilted = torch.tensor([[1.0, 0.1], [1.0, -0.1], [1.0, 1.0]])  # the mean of the first two is the first axis
    assert smallest_angle(tilted, torch.tensor([0, 0, 1])) == pytest.approx(45)


@pytest.mark.parametrize("clamp", [True, False])
def test_three_classes_in_the_plane_do_not_show_what_the_clamp_does(clamp):
    start, labels = random_points(3, 2, seed=0)
    assert smallest_angle(descend(start, labels, clamp=clamp)[-1], labels) == pytest.approx(120, abs=0.5)


@pytest.mark.parametrize("seed", range(5))
def test_with_the_clamp_four_classes_in_the_plane_end_at_right_angles(seed):
    paths, labels = paths_of(2, seed)
    ends = {clamp: smallest_angle(path[-1], labels) for clamp, path in paths.items()}
    assert ends[True] > 89.5 and ends[False] < ends[True]


def test_without_the_clamp_four_classes_end_anywhere():
    ends = [smallest_angle(path[False][-1], labels) for path, labels in (paths_of(2, seed) for seed in range(5))]
    assert min(ends) < 30 < 60 < max(ends)


@pytest.mark.parametrize("seed", range(5))
def test_with_the_clamp_six_classes_on_the_sphere_end_further_apart(seed):
    paths, labels = paths_of(3, seed)
    ends = {clamp: smallest_angle(path[-1], labels) for clamp, path in paths.items()}
    assert ends[True] > 65 and ends[False] < 40


@pytest.mark.parametrize("bits", [2, 3])
def test_a_strip_has_the_steps_asked_for_and_axes_do_not_move(bits):
    paths, labels = paths_of(bits, 1)
    strip = descent.side_by_side(paths, labels, (0, 5, 200))
    titles = [axes.get_title() for axes in strip.axes]
    expected = [
        f"{descent.TITLES[clamp]}\nstep {step}: {smallest_angle(paths[clamp][step], labels):.0f}°"
        for clamp in (True, False)
        for step in (0, 5, 200)
    ]
    assert titles == expected and "step 5" in strip.get_label()
    one = descent.side_by_side(paths, labels, 5)
    assert [axes.get_title() for axes in one.axes] == expected[1::3]
    assert len({(axes.get_xlim(), axes.get_ylim()) for axes in (*strip.axes, *one.axes)}) == 1


def lines(axes, kind):
    """The lines of one kind at the chosen point, (lines, 2, 2): from where to where."""
    (drawn,) = [found for found in axes.collections if found.get_label() == kind["label"]]
    return np.array([path.vertices for path in drawn.get_paths()])


def test_lines_are_as_long_as_the_gradients_of_their_pairs():
    paths, labels = paths_of(2, 1)
    for axes, clamp in zip(descent.side_by_side(paths, labels, 7, point=3).axes, (True, False), strict=True):
        points = paths[clamp][7]
        sizes = len(labels) * pulls(points, labels, clamp=clamp)[3].norm(dim=1)
        for kind, of_kind in ((descent.SIMILAR, labels == labels[3]), (descent.DISSIMILAR, labels != labels[3])):
            begin, end = lines(axes, kind).swapaxes(0, 1)
            np.testing.assert_allclose(begin, points[3].expand(len(begin), 2))
            np.testing.assert_allclose(np.linalg.norm(end - begin, axis=1), sizes[of_kind], atol=1e-12)


def test_similar_points_draw_the_chosen_point_and_dissimilar_ones_drive_it_away():
    start, labels = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.8, -0.6]], dtype=torch.float64), torch.tensor([0, 0, 1])
    axes = descent.side_by_side({True: start[None]}, labels).axes[0]
    for kind, other, sign in ((descent.SIMILAR, start[1], 1), (descent.DISSIMILAR, start[2], -1)):
        begin, end = lines(axes, kind)[-1]
        way = (other - start[0]).numpy()
        assert (end - begin) @ way / np.linalg.norm(end - begin) / np.linalg.norm(way) == pytest.approx(sign)


def test_the_animation_is_small_and_the_same_each_time(tmp_path):
    for name in ("a.gif", "b.gif"):
        descent.write_gif(tmp_path / name, n_frames=3)
    assert (tmp_path / "a.gif").read_bytes() == (tmp_path / "b.gif").read_bytes()
    with Image.open(tmp_path / "a.gif") as animation:
        assert animation.n_frames == 3 and animation.info["loop"] == 0
        assert math.isclose(animation.width / animation.height, 6.2 / 3.85, rel_tol=0.02)

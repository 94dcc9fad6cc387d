"""Every figure draws what it is given and names its axes."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from qsmi_lib.methods import METHODS
from qsmi_lib.reproduction import figures, ledger
from qsmi_lib.reproduction.analysis.pair_costs import BY_PAIR, order_costs, pair_costs
from qsmi_lib.reproduction.analysis.spherical import ROTATED
from qsmi_lib.reproduction.analysis.tsne import Points
from qsmi_lib.reproduction.experiments import EXPERIMENTS
from qsmi_lib.reproduction.plotting import (
    claims,
    conventions,
    curves,
    derivation,
    losses,
    lsh,
    maps,
    methods,
    retrieval,
    spherical,
    unseen,
)
from qsmi_lib.reproduction.results import committed
from qsmi_lib.search.collection import Answer, Collection
from qsmi_lib.search.lsh import MISSING, HashTables
from qsmi_lib.tests.reproduction.invented import empty, invent

CAPTION = "some data, some epochs"
GRID = np.linspace(0.0, 1.0, 5)
RNG = np.random.default_rng(0)
SPHERE = RNG.normal(size=(40, 3))
SPHERE /= np.linalg.norm(SPHERE, axis=1, keepdims=True)
LABELS = np.arange(40) % 10


def cells_of(method_names=("qsmi", "csq", "lsh"), **columns):
    """Cells of methods at 12 and 48 bits: the later a method and the longer its codes, the better."""
    rows = [
        {"method": method, "bits": bits, "seeds": 2, "map": 0.5 + place / 10 + bits / 1000, "map_std": 0.01}
        | {"precision_radius2": 0.5, "precision_radius2_std": 0.01, "before": 0.5, "after": 0.5 + place / 10}
        | {"gain": place / 10, "held_before": 0.4, "held_after": 0.45, "seed": 0, "separation": place / 10}
        | {"imbalance": 0.1, "bit_entropy": 0.9, "code_entropy": 3.0, "n_distinct": 9}
        for place, method in enumerate(method_names)
        for bits in (12, 48)
    ]
    return pd.DataFrame(rows).assign(**columns)


def texts(axes):
    return [text.get_text() for text in axes.texts]


def line(axes, label):
    return next(line for line in axes.lines if line.get_label() == label)


def named(axes):
    """Whether an axis has a name, also one for its whole row or column or for each tick; or nothing is drawn there."""
    figure, spec = axes.figure, axes.get_subplotspec()
    if not axes.axison or not axes.get_visible() or axes.get_label() == "<colorbar>":
        return True
    panels = [other for other in figure.axes if other.get_subplotspec()]
    row = [other for other in panels if other.get_subplotspec().rowspan == spec.rowspan]
    x = [other.get_xlabel() for other in row] + [figure.get_supxlabel()] + ["inner"] * (not spec.is_last_row())
    y = [axes.get_ylabel(), figure.get_supylabel()] + ["inner"] * (not spec.is_first_col())
    ticks = [tick.get_text() for tick in axes.get_yticklabels()]
    return (any(x) or not len(axes.get_xticks())) and (any(y) or all(ticks))


def says_what_is_seen(figure):
    """Whether the alternative text of a figure is more than its titles and its data."""
    titles = {figure.get_suptitle(), *(axes.get_title() for axes in figure.axes)}
    text = figure.get_label().removesuffix(f" Data: {figure.get_suptitle()}.")
    return text.endswith(".") and len(text.split()) > 8 and text.removesuffix(".") not in titles


# Figures of experiments


@pytest.mark.parametrize("name", [name for name, entry in EXPERIMENTS.items() if entry.figure])
def test_the_figure_of_an_experiment_names_its_data_and_axes_and_says_what_is_seen(name):
    figure = figures.figure(name, committed())
    figure.canvas.draw()
    assert says_what_is_seen(figure), figure.get_label()
    assert " seed" in figure.get_suptitle() or " draw" in figure.get_suptitle()
    assert all(named(axes) for axes in figure.axes)


def test_figures_are_written_and_say_what_is_recorded(tmp_path):
    results = empty("digits", tmp_path)
    assert figures.write_figure("methods", results) == []
    for run in results.grid("methods"):
        if run.method in ("spring", "lsh"):
            invent(results, run)
    png, pdf = figures.write_figure("methods", results)
    assert png.stat().st_size > 5_000 and pdf.read_bytes().startswith(b"%PDF")
    drawn = figures.figure("methods", results)
    assert {METHODS["spring"].title, METHODS["lsh"].title} <= {t.get_text() for t in drawn.axes[0].get_yticklabels()}
    assert "digits in place of Fashion-MNIST, 20 epochs" in drawn.get_suptitle()
    assert [path.name for path in figures.write_figure("fig_2a", results)] == ["fig_2a.png", "fig_2a.pdf"]


# Every other figure


def history(n=3):
    return [
        {"epoch": e, "loss": 1.0 / e, "clamped_qsmi_loss": 0.1 / e, "qsmi": 0.01 * e, "qmi": 0.02 * e}
        for e in range(1, n)
    ]


def several_points():
    return Points(RNG.normal(size=(50, 2)), RNG.normal(size=(20, 2)), np.arange(50) % 3, np.arange(20) % 3)


def tie_scores():
    scores = {"map_11pt": 0.6, "map": 0.5, "map_at_k": 0.4}
    run = {"k": 5000, "order_free": {"map_expected": 0.5}, "sorted": scores}
    run |= {"first": {field: value + 0.2 for field, value in scores.items()}}
    run |= {"last": {field: value - 0.1 for field, value in scores.items()}}
    run |= {"permuted": {field: [value - 0.01, value + 0.01] for field, value in scores.items()}}
    return {"runs": [run | {"bits": bits} for bits in (8, 48)]}


POSTER = pd.DataFrame(
    [("full", 48, "QSMI", 0.5), ("full", 12, "QSMI", 0.4), ("reduced", 12, ROTATED, 0.6)],
    columns=["protocol", "bits", "method", "map"],
)
TRIALS = pd.DataFrame(
    [
        ("dch", "gamma", 20.0, 0.4, False, True),
        ("dch", "gamma", 5.0, 0.5, False, True),
        ("dch", "gamma", 10.0, 0.6, True, False),
        ("dch", "alpha", 0.1, 0.7, True, True),
        ("dch", "alpha", 1.0, 0.6, False, True),
    ],
    columns=["method", "setting", "value", "score", "chosen", "at_end"],
)
SHARES = np.array([[0.5, 0.0], [0.5, 0.25], [0.0, 0.75]])
SQUARE = pd.DataFrame([[0, 0, 1], [0, 0, 1], [-1, -1, 0]], index=["qsmi", "dsh", "lsh"], columns=["qsmi", "dsh", "lsh"])
INDEXES = pd.DataFrame(
    [
        {"items": items, "index": kind, "milliseconds": cost, "recall": 0.5 * cost, "megabytes": 1.0 + cost}
        for items, kinds in ((10, ("flat", "hnsw", "multihash")), (1000, ("flat", "multihash")))
        for kind in kinds
        for cost in (1.0, 2.0)
    ]
)
EVERY_METHOD = ("qsmi", "csq", "lsh", "itq", "dsh", "dch", "dhn")
POINTS, QUERY = np.random.default_rng(0).normal(size=(30, 2)), np.array([1.0, 0.5])
TABLES = HashTables(POINTS, 2, 3)
BUCKETS = [TABLES.bucket(QUERY, table) for table in range(3)]
TIMES = pd.DataFrame({"method": ["dsh", "spring"], "update": [1.0, 9.0], "feed_forward": 0.1})
GAINS = pd.DataFrame({"gain": [0.01, -0.02], "error": [0.001, math.nan]})
SPREADS = pd.DataFrame({"experiment": "table_2", "method": ["dsh", "lsh"], "std": [0.01, 0.0]})
BY_LABEL = {("qsmi", 0.01): [[0.5, 0.6]], ("qsmi_priors", 0.1): [[0.1, 0.2], [0.2, 0.3]]}
AGREEMENT = {"qsmi": np.eye(2), "qmi": np.ones((2, 2))}
FIGURES = {
    "learning_curves": lambda: curves.learning_curves({"qsmi": history(), "qmi": history()}, "QSMI"),
    "by_label": lambda: curves.by_label(BY_LABEL, ["x", "y"], [5, 9]),
    "costs": lambda: curves.costs(TIMES),
    "by_method": lambda: curves.by_method(cells_of(), {"map": "mAP"}),
    "differences": lambda: curves.differences(ledger.ledger().query("table == 'Table 2'")),
    "at_recall": lambda: claims.at_recall({str(step): [[0.5] * 11] for step in range(9)}),
    "brought": lambda: claims.brought(GAINS, ["one", "two"]),
    "spreads": lambda: claims.spreads(SPREADS),
    "rankings": lambda: conventions.rankings([0, 2, 2], [[1, 0, 1]], ["first"]),
    "drag_ties": lambda: conventions.drag_ties([0, 1, 1], [1, 0, 1]),
    "conventions": lambda: conventions.conventions({"ties": {"best": 0.75, "worst": 0.5}}, 0.6),
    "eleven_points": lambda: conventions.eleven_points([0.5, 1], [1, 0.7], dict.fromkeys("ab", np.ones(11))),
    "tie_orders": lambda: conventions.tie_orders(tie_scores()),
    "sorted_database": lambda: conventions.sorted_database({"no order": [0.0, 0.01], "sorted": [0.2, -0.2]}),
    "empty_balls": lambda: conventions.empty_balls([8, 12, 48], [0, 0.5, 1], [0.3, 0.4, 0], [0.3, 0.8, np.nan]),
    "parzen": lambda: derivation.parzen_densities(GRID, np.ones((2, 5)), np.full(5, 2.0), [0.0, 0.5], [0, 1]),
    "clamp": lambda: derivation.clamp_against_linear(GRID, GRID, GRID**2),
    "pair_over_needs": lambda: derivation.pair_over_needs(),
    "arrangements": lambda: derivation.arrangements({"a": np.eye(10), "b": np.ones((10, 10))}),
    "two_matrices": lambda: derivation.two_matrices(np.eye(2), np.eye(2), np.eye(2) > 0, [0, 1]),
    "descent_paths": lambda: derivation.descent_paths({"a": RNG.normal(size=(4, 3, 2))}, [0, 0, 1]),
    "planes": lambda: lsh.planes(POINTS, QUERY, TABLES.directions, BUCKETS),
    "collisions": lambda: lsh.collisions(8, 4),
    "bucket_sizes": lambda: lsh.bucket_sizes({"as it is": [20, 10, 2], "centred": [9, 9, 9, 5]}, bits=4),
    "pairs": lambda: losses.pairs(pair_costs(12), ["dsh", "qsmi"]),
    "outputs": lambda: losses.outputs({"one": [[-1.0, 0.9]], "two": [[0.0, 9.0]]}),
    "maps": lambda: maps.maps({"one": several_points(), "other": several_points()}, ("a", "b", "c")),
    "beside_distances": lambda: maps.beside_distances(np.eye(4), [0, 0, 1, 1], {"a": RNG.normal(size=(4, 2))}),
    "parts_by_class": lambda: unseen.parts_by_class({"train": [3, 0], "query": [0, 2]}, ("a", "b")),
    "two_needs": lambda: unseen.two_needs({"a": RNG.normal(size=(8, 2))}, np.arange(8) % 2, np.arange(8) // 4),
    "similarity_of_classes": lambda: maps.similarity_of_classes(AGREEMENT, ("a", "b")),
    "families": lambda: methods.families(pair_costs(12), order_costs(12), {12: [6.0, 6.0, 8.0], 16: [8.0] * 3}),
    "continuation": lambda: methods.continuation([0, 1, 2], [1.0, 1.5, 2.0], [0, 2]),
    "trials": lambda: methods.trials(TRIALS, CAPTION),
    "scores": lambda: methods.scores(cells_of(seeds=1, map_std=math.nan, precision_radius2_std=math.nan), CAPTION),
    "verdicts": lambda: methods.verdicts({12: SQUARE, 48: pd.DataFrame()}, CAPTION),
    "rotations": lambda: methods.rotations(cells_of(), CAPTION),
    "properties": lambda: methods.properties(cells_of(), CAPTION),
    "distances": lambda: methods.distances(dict.fromkeys(EVERY_METHOD, SHARES), CAPTION),
    "pipeline": lambda: retrieval.pipeline(np.zeros((4, 4)), np.ones(12)),
    "answers": lambda: retrieval.answers(np.zeros((2, 4, 4)), np.zeros((2, 3, 4, 4)), np.eye(2, 3, dtype=bool)),
    "indexes": lambda: retrieval.indexes(INDEXES),
    "energies": lambda: spherical.energies(np.linspace(-4.0, 3.9, 9)),
    "circle": lambda: spherical.circle(np.linspace(0.1, 6.0, 8), np.arange(8) % 4, [0.0, 30.0, 60.0], [0.2, 1.0, 0.4]),
    "look_around": lambda: spherical.look_around(SPHERE, SPHERE, LABELS),
    "search_curves": lambda: spherical.search_curves({"a": {"x": [[0.1, 0.2], [0.1, 0.3]]}, "b": {}}),
    "across_lengths": lambda: spherical.across_lengths(POSTER, (12, 48)),
    "balance": lambda: spherical.balance({"a": [0.1, -0.2], "b": [0.0, 0.0]}, {"a": SHARES, "b": SHARES}),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_names_its_axes_and_says_what_is_seen(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    assert says_what_is_seen(figure), figure.get_label()
    assert all(named(axes) for axes in figure.axes)


def test_a_figure_without_records_says_so():
    nothing = pd.DataFrame()
    for figure in (
        methods.scores(cells_of(seeds=0), CAPTION),
        methods.verdicts({12: nothing}, CAPTION),
        methods.rotations(nothing, CAPTION),
        methods.properties(nothing, CAPTION),
        methods.distances({}, CAPTION),
        methods.trials(nothing, CAPTION),
    ):
        assert texts(figure.axes[0]) == ["not recorded yet"]
        assert CAPTION in [text.get_text() for text in figure.texts]


# What they draw: tables


def test_table_5_has_a_row_a_method_and_the_papers_numbers_and_cuts_off_what_is_far_below():
    cells = pd.concat([cells_of(("dsh", "qsmi")), cells_of(("pgdh",)).assign(map=0.2)])
    both = [cells.assign(protocol=protocol) for protocol in ("sampled", "sampled_all")]
    paper = pd.DataFrame([("dsh", 48, "map", 0.689, math.nan)], columns=["method", "bits", "metric", "mean", "std"])
    figure = curves.few_items(pd.concat(both), paper)
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == ["QSMI", "DSH", "PGDH†"]
    for axes in figure.axes:
        marks = [container.lines[0].get_xydata()[0] for container in axes.containers]
        assert [place for _, place in marks] == [0.85, 1.15, -0.15, 0.15, 1.85, 2.15]  # DSH at 12 bits, at 48, ...
        assert [score for score, _ in marks[:4]] == list(cells["map"][:4])
        assert axes.lines[-1].get_xydata().tolist() == [[0.689, 1.15]]
        assert 0.4 < axes.get_xlim()[0] < 0.512 and texts(axes) == ["◂ 0.20"]
    assert "cut off: PGDH†" in figure.get_label()


def test_costs_are_bars_from_dear_to_cheap():
    (axes,) = FIGURES["costs"]().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["Spring", "DSH"]
    assert [bar.get_width() for bar in axes.patches] == [9.0, 1.0]


def test_a_method_without_a_width_is_a_line():
    numbers = {"map_11pt": [0.5, 0.6, 0.8], "map_11pt_std": [0.1, math.nan, 0.1]}
    cells = pd.DataFrame({"method": ["qmi", "qmi", "qsmi"], "sigma": [1.0, 10.0, math.nan]} | numbers)
    legend = claims.widths(cells).axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["QSMI, no width", "QMI"]


def test_precision_at_recall_is_the_mean_over_seeds_and_each_step_is_compared_with_it():
    plain, step = [[1.0] * 10 + [0.2], [0.8] * 10 + [0.4]], [[0.9] * 10 + [0.5]]
    figure = claims.at_recall({"plain": plain, "step": step})
    heights = [[bar.get_height() for bar in axes.patches] for axes in figure.axes[:2]]
    assert heights[0] == pytest.approx([0.9] * 10 + [0.3]) and heights[1] == pytest.approx([0.0] * 10 + [0.2])
    assert figure.axes[1].get_title() == "step: +0.018"


# Notebook 17


def test_scores_are_sorted_by_the_long_code():
    left, near, _ = methods.scores(cells_of(), CAPTION).axes
    assert [tick.get_text() for tick in left.get_yticklabels()] == ["LSH", "CSQ", "QSMI"]
    assert near.get_xlim()[1] - near.get_xlim()[0] < 0.2


def test_verdicts_sign_every_pair():
    (axes,) = FIGURES["verdicts"]().axes
    assert sorted(texts(axes)) == [""] * 5 + ["+"] * 2 + ["−"] * 2 and axes.get_title() == "12 bits"


def test_rotations_print_each_gain_and_compare_it_with_that_of_the_held_out_items():
    _, long, gains = methods.rotations(cells_of(("qsmi", "lsh")), CAPTION).axes
    assert texts(long) == ["+0.100", "+0.000"]
    np.testing.assert_allclose(line(gains, "48 bits").get_xydata(), [[0.05, 0.1], [0.05, 0.0]])  # LSH is first


def test_trials_are_in_order_and_mark_the_chosen_and_an_end_that_is_best():
    (axes,) = FIGURES["trials"]().axes
    assert [text.split(":")[0] for text in texts(axes)] == ["5", "10", "20", "0.1", "1"]
    assert [t.get_text().split(":")[0] for t in axes.texts if t.get_fontweight() == "bold"] == ["10", "0.1"]
    assert [line.get_marker() for line in axes.lines] == ["<"]


def test_losses_of_the_same_cost_share_a_curve():
    labels = [line.get_label() for line in FIGURES["families"]().axes[0].lines]
    assert "HashNet, HashGAN†" in labels and len(labels) == len(BY_PAIR)  # one fewer, and the dotted line


# Maps, answers and indexes


def test_items_that_coincide_are_one_disc_and_a_class_is_numbered_on_one_of_its_items():
    places = np.array([[0.0, 0.0]] * 5 + [[9.0, 1.0], [5.0, 5.0]])
    points = Points(places, places[:1], np.array([0, 0, 0, 0, 0, 0, 1]), np.array([0]))
    left, right = maps.maps({"toy": points}, ("0", "one"), size=2.0).axes
    discs = left.collections[0]
    assert discs.get_offsets().tolist()[0] == [0.0, 0.0] and discs.get_sizes().tolist() == [10.0, 2.0, 2.0]
    assert {text.get_text(): tuple(text.xy) for text in left.texts} == {"0": (0.0, 0.0), "1": (5.0, 5.0)}
    assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()


def test_each_answer_is_above_its_bits_and_marked():
    pictures = [Image.new("L", (4, 4), grey) for grey in (0, 255)]
    hasher = SimpleNamespace(fitted=lambda image: image.resize((2, 2)))
    collection = Collection("two", hasher, np.ones((2, 14), np.int8), ["0", "a long name"], pictures.__getitem__)
    answers = [Answer(0, "0", 1, (13,), True), Answer(1, "a long name", 2, (0, 5), False)]
    unknown = [Answer(0, "0", 1, (13,))]
    figure = retrieval.answered(Image.new("L", (8, 8)), {"one": (collection, answers), "other": (collection, unknown)})
    titles = [axes.get_title() for axes in figure.axes]
    for title in ("as given", "as the network\nsees it", "✓ 0", "✗ ", "0", "2 bits"):
        assert titles.count(title) == 1
    assert titles.count("1 bit") == 2
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["query", "one\n1 of 2 right", "other"]
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert images[0].shape == (8, 8) and images[1].shape == (2, 2)
    bits = [image for image in images if image.shape == (2, 12)]
    assert len(bits) == 3 and np.flatnonzero(bits[0].filled(0) == 1).tolist() == [13]
    assert np.isnan(bits[0].filled(np.nan)).sum() == 10  # squares beyond 14 bits


def test_wrong_answers_are_struck_through_and_missing_ones_are_dashes():
    pictures = np.zeros((2, 3, 4, 4))
    relevance = {"LSH": np.array([[1, 0, MISSING], [1, 1, 1]]), "DSH": np.ones((2, 3), int)}
    figure = lsh.retrieved(pictures[:, 0], {name: (pictures, right) for name, right in relevance.items()})
    panels = np.array(figure.axes).reshape(4, 4)
    assert [row[0].get_ylabel() for row in panels] == ["LSH", "DSH", "LSH", "DSH"]
    assert [len(axes.lines) for axes in panels[0, 1:]] == [0, 1, 0] and texts(panels[0, 3]) == ["–"]


def test_an_index_has_the_same_style_at_every_size():
    all_three, two = retrieval.indexes(INDEXES).axes[:2]
    styles = [[line.get_color() for line in axes.lines] for axes in (all_three, two)]
    assert styles[1] == [styles[0][0], styles[0][2]]


def test_planes_count_the_tables_in_which_a_point_meets_the_query():
    figure, counts = FIGURES["planes"](), TABLES.collisions(QUERY[None])[0]
    for count in range(4):
        np.testing.assert_array_equal(line(figure.axes[3], f"in {count} of 3").get_xdata(), POINTS[counts == count, 0])


def test_collisions_are_those_of_the_formula():
    heights = [curve.get_ydata()[30] for curve in lsh.collisions(8, 4).axes[0].lines]
    np.testing.assert_allclose(heights, [5 / 6, (key := (5 / 6) ** 8), 1 - (1 - key) ** 4])  # at 30 degrees


# Notebooks 01, 02 and 14


@pytest.mark.parametrize("information_needs", [1, 10])
def test_the_star_is_the_lowest_point_of_the_similar_pair(information_needs):
    lines = derivation.pair_over_needs(information_needs, 0.5).axes[0].lines
    by_name = {line.get_label().split(",")[0].split(" =")[0]: line for line in lines}
    (x,), (y,) = by_name["$S^*$"].get_data()
    lowest = by_name["similar pair"].get_ydata().min()
    assert x == pytest.approx(information_needs / (information_needs + 1))
    assert y <= lowest and y == pytest.approx(lowest, abs=1e-4)


def test_paths_end_where_they_end():
    path = np.arange(24.0).reshape(6, 2, 2)
    lines = derivation.descent_paths({"a": path}, [0, 1]).axes[0].lines
    ends = [line.get_xydata()[0] for line in lines if line.get_label().startswith("class")]
    np.testing.assert_array_equal(ends, path[-1])


def test_only_tied_items_follow_the_order_that_is_dragged_and_those_taken_away_are_last():
    figure = conventions.ties_in_order([0, 1, 1, 2, 2, 2, 3, 4], [1, 0, 1, 0, 1, 0, 0, 1], list("87654321"))
    boxes = figure.axes[0].patches
    filled = [box.get_facecolor() == boxes[0].get_facecolor() for box in boxes]
    assert filled[8:] == [True, True, False, False, True, False, False, True]  # 1; 3, 2; 6, 5, 4; 7; 8
    assert "AP 0.6917, as it is" in texts(figure.axes[0])
    words = texts(conventions.ties_in_order([0, 0, 0], [1, 0, 0], ["3"]).axes[0])
    assert "AP 1.0000, as it is" in words and "AP 0.5000, as dragged" in words


def test_bands_of_tie_orders_are_the_random_orders():
    figure, scores = FIGURES["tie_orders"](), tie_scores()["runs"]
    for axes, field in zip(figure.axes, scores[0]["permuted"], strict=True):
        (band,) = (bars for bars in axes.collections if bars.get_label() == "2 random orders")
        np.testing.assert_allclose(
            [segment[:, 1] for segment in band.get_segments()], [run["permuted"][field] for run in scores]
        )


def test_a_point_is_on_one_side_of_the_sphere_and_every_octant_has_its_code():
    shown = [
        sum(len(c.get_offsets()) for c in axes.collections) for axes in spherical.spheres(SPHERE, -SPHERE, LABELS).axes
    ]
    assert shown[0] + shown[2] == shown[1] + shown[3] == 40
    assert shown[0] == shown[3]  # the antipodes of the front are behind
    octants = np.array(list(np.ndindex(2, 2, 2))) * 2.0 - 1.0
    figure = spherical.spheres(octants / np.sqrt(3.0), octants / np.sqrt(3.0), np.arange(8), ["coat", *"bcdefgh"])
    codes = {}
    for side in (0, 2):
        places = {text.get_text(): text.get_position() for text in figure.axes[side].texts}
        for octant, drawn in zip(octants, figure.axes[side].collections, strict=True):
            for place in drawn.get_offsets():
                code = "".join("−+"[int(sign > 0)] for sign in octant)
                np.testing.assert_allclose(place, places[code], atol=1e-12)
                codes[code] = side
    assert len(codes) == 8 and figure.legends[0].get_texts()[0].get_text() == "coat"


def test_the_circle_shows_the_middle_of_the_best_rotations():
    figure = spherical.circle([0.3, 1.8], [0, 1], 10.0 * np.arange(6), [0.5, 0.7, 0.9, 0.9, 0.9, 0.6])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["before: mAP 0.500", "turned by 30°: mAP 0.900"]
    angles = np.array([0.3, 1.8]) + math.radians(30.0)
    turned = [line.get_xydata()[0] for line in figure.axes[1].lines]
    np.testing.assert_allclose(turned, np.stack([np.cos(angles), np.sin(angles)], axis=1))


def test_histograms_of_outputs_are_shares_and_count_the_large_ones_at_the_end():
    figure = losses.outputs({"one": [[-1.0, 0.9, 9.0, 0.0]]})
    bars = figure.axes[0].patches
    assert sum(bar.get_height() for bar in bars) == pytest.approx(1.0)
    assert bars[-1].get_height() == 0.25
    assert "one: 50% within 0.25 of -1 or +1" in figure.get_label()

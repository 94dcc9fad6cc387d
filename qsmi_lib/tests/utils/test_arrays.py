"""Arrays of every form: what is taken, what is refused and named, and that all functions that take them agree."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from qsmi_lib import datasets, losses
from qsmi_lib.codes import binarize, code_statistics, pack
from qsmi_lib.datasets.base import Part
from qsmi_lib.evaluation import conventions, evaluate
from qsmi_lib.evaluation.neighbors import nearest, nearest_others
from qsmi_lib.models import rotation
from qsmi_lib.models.rotation import itq
from qsmi_lib.search import lsh
from qsmi_lib.search.indexes import CodeIndex
from qsmi_lib.utils import arrays

CODES = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), (30, 12))
CLASSES = np.random.default_rng(1).integers(2, size=30)  # 0 and 1: a column of them looks like multi-hot labels
SEVERAL = np.random.default_rng(2).integers(2, size=(30, 3))
NAMES = np.array(["cat", "dog"])[CLASSES]


def scored(labels, database_labels=None, rows=slice(None)):
    """mAP of the codes `rows` as queries; the labels of the database are those of the queries unless given."""
    return evaluate(CODES[rows], CODES, labels, labels if database_labels is None else database_labels).map


FORMS_OF_CLASSES = {
    "column": CLASSES[:, None],
    "column of bool": CLASSES[:, None] > 0,
    "column of floats, tensor": torch.from_numpy(CLASSES[:, None]).float(),
    "nested list": CLASSES[:, None].tolist(),
    "bool": CLASSES > 0,
    "float64": CLASSES.astype(float),
    "float16 tensor": torch.from_numpy(CLASSES).half(),
    "bfloat16 tensor": torch.from_numpy(CLASSES).bfloat16(),
    "objects": CLASSES.astype(object),
    "series": pd.Series(CLASSES),
    "nullable series": pd.Series(CLASSES, dtype="Int64"),
    "unmasked": np.ma.array(CLASSES),
    "big-endian": CLASSES.astype(">i4"),
    **{f"{kind}": CLASSES.astype(kind) for kind in ("uint8", "int8", "uint16", "uint32", "uint64")},
    **{f"{kind} tensor": torch.from_numpy(CLASSES.astype(kind)) for kind in ("uint8", "int8", "uint16", "uint64")},
}


@pytest.mark.parametrize("form", FORMS_OF_CLASSES)
def test_classes_of_every_form_are_the_same_classes(form):
    labels = FORMS_OF_CLASSES[form]
    assert scored(labels) == scored(labels, CLASSES) == scored(CLASSES)
    as_usual = torch.from_numpy(CLASSES)
    assert torch.equal(losses.relevance_matrix(labels), losses.relevance_matrix(as_usual))
    assert torch.equal(losses.item_centers(labels, 12), losses.item_centers(as_usual, 12))
    assert torch.equal(losses.cnnh_codes(labels, 4, n_sweeps=1), losses.cnnh_codes(as_usual, 4, n_sweeps=1))
    embeddings = torch.randn(30, 4, generator=torch.Generator().manual_seed(0))
    assert losses.qsmi_priors_loss(embeddings, labels) == losses.qsmi_priors_loss(embeddings, as_usual)
    part = Part(embeddings, labels)
    assert part.labels.dtype == torch.int64 and torch.equal(part.labels, as_usual)


@pytest.mark.parametrize(
    "labels",
    [NAMES, NAMES.tolist(), NAMES.astype(object), NAMES[:, None], NAMES.astype("S"), pd.Categorical(NAMES)],
    ids=["text", "list", "objects", "column", "bytes", "categorical"],
)
def test_text_is_classes_for_the_evaluator_and_refused_in_words_by_the_losses(labels):
    assert scored(labels) == scored(CLASSES)
    with pytest.raises(ValueError, match=r"labels must be class numbers, got text such as .* number them"):
        losses.relevance_matrix(labels)


def test_text_of_queries_and_database_is_numbered_together():
    """Queries of one class alone would otherwise get the number of another one."""
    dogs = NAMES == "dog"
    assert scored(NAMES[dogs], NAMES, dogs) == scored(CLASSES[dogs], CLASSES, dogs)
    with pytest.raises(ValueError, match="of one kind, numbers or text, got <U3 and int64"):
        scored(NAMES, CLASSES)


@pytest.mark.parametrize(
    "form",
    [
        sparse.csr_matrix, sparse.coo_array, sparse.csc_array, lambda part: part.astype(float), lambda part: part > 0,
        lambda part: torch.from_numpy(part).to_sparse(), lambda part: torch.from_numpy(part).to_sparse_csr(),
        lambda part: torch.from_numpy(part.astype(np.uint16)), pd.DataFrame, lambda part: part.astype(object).tolist(),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support:UserWarning")
def test_multi_hot_labels_of_every_form(form):
    labels = form(SEVERAL)
    assert evaluate(CODES, CODES, labels, labels, relevance="fraction").map == pytest.approx(
        evaluate(CODES, CODES, SEVERAL, SEVERAL, relevance="fraction").map, abs=0
    )
    assert torch.equal(losses.relevance_matrix(labels), losses.relevance_matrix(torch.from_numpy(SEVERAL)))


REFUSED = {  # what no function computes with -> what the error says came
    "masked": (np.ma.masked_equal(CODES, -1), "masked entries"),
    "complex": (CODES.astype(complex), "complex128"),
    "complex tensor": (torch.from_numpy(CODES).to(torch.complex64), "complex64"),
    "text": (CODES.astype(str), "<U"),
    "dates": (CODES.astype("datetime64[s]"), "datetime64"),
    "float8": (torch.from_numpy(CODES).float().to(torch.float8_e4m3fn), "float8_e4m3fn"),
    "sparse": (torch.from_numpy(CODES).to_sparse(), "sparse_coo"),
    "SciPy's": (sparse.csr_matrix(CODES), "sparse csr_matrix"),
    "meta": (torch.ones(30, 12, device="meta"), "meta"),
    "nested": (torch.nested.nested_tensor([torch.ones(12)] * 30, layout=torch.jagged), "nested"),
    "objects": (np.full((30, 12), None), "NoneType"),
    "ragged": ([[1, -1], [1]], "array or a tensor"),
}
TAKERS = {
    "evaluate": lambda values: evaluate(values, CODES, CLASSES, CLASSES),
    "evaluate, database": lambda values: evaluate(CODES, values, CLASSES, CLASSES),
    "nearest": lambda values: nearest(values, CODES, 3),
    "nearest_others": lambda values: nearest_others(values, 3),
    "pack": pack,
    "code_statistics": code_statistics,
    "binarize": binarize,
    "conventions": conventions.average_precision_last_dropped,
    "HashTables": lambda values: lsh.HashTables(values, 4, 2),
    "labels": lambda values: arrays.labels("labels", values),
}


@pytest.mark.parametrize("form", REFUSED)
def test_what_cannot_be_computed_with_is_one_error_that_names_it(form):
    values, came = REFUSED[form]
    for name, take in TAKERS.items():
        if name == "labels" and came in ("<U", "sparse_coo", "sparse csr_matrix"):
            continue  # refused for their values, see below
        with pytest.raises(ValueError, match=came):
            take(values)
    with pytest.raises(ValueError):
        arrays.labels("labels", values)
    if isinstance(values, torch.Tensor):
        with pytest.raises(ValueError, match="embeddings must"):
            losses.qsmi_loss(values, torch.ones(30, 30))


@pytest.mark.parametrize(
    "labels", [[0.5, 1], [np.nan, 1], [np.inf, 1], [1e300, 1], [2.0**53 + 2, 0], [[2, 0], [1, 0]], [], [["a", "b"]], 3]
)
def test_labels_that_are_no_classes_are_refused(labels):
    with pytest.raises(ValueError, match=r"^labels "):
        losses.relevance_matrix(labels)


def test_half_precision_labels_that_may_be_rounded_are_refused():
    with pytest.raises(ValueError, match=r"whole numbers up to 256, .* got 300"):
        losses.relevance_matrix(torch.tensor([1, 300]).bfloat16())
    with pytest.raises(ValueError, match="at most 9223372036854775807, got 9223372036854775809"):
        losses.relevance_matrix(torch.tensor([1, 2**63 + 1], dtype=torch.uint64))


@pytest.mark.parametrize("number", [np.int64, np.uint8, np.array, torch.tensor])
def test_whole_numbers_of_numpy_and_pytorch_are_those_of_python(number):
    """As seeds, bits, k and counts, wherever one is taken."""
    points = np.random.default_rng(0).normal(size=(20, 4))
    for same in (
        lambda number: itq(points, n_iter=number(3), seed=number(2)),
        lambda number: (
            rotation.search(points[:9], points, CLASSES[:9], CLASSES[:20], n_steps=number(2), seed=number(1)).history
        ),
        lambda number: lsh.HashTables(points, number(5), number(3), number(1)).answers(points, number(4)).items,
        lambda number: lsh.by_angle(points, points, number(2)),
        lambda number: losses.cnnh_codes(torch.from_numpy(CLASSES), number(4), n_sweeps=number(1), seed=number(2)),
        lambda number: losses.hash_centers(number(10), number(64)),
        lambda number: losses.item_centers(CLASSES, number(12), n_classes=number(3), seed=number(1)),
        lambda number: nearest(CODES, CODES, number(5)),
        lambda number: list(evaluate(CODES, CODES, CLASSES, CLASSES, k=number(3)).map_at_k),
        lambda number: conventions.average_precision_at_k(CLASSES, number(4)),
        lambda number: datasets.fingerprint("digits", number(1), "unseen_2"),
    ):
        np.testing.assert_array_equal(same(number), same(int))


def test_a_draw_that_is_no_whole_number_is_refused():
    """It would be another split of the same name."""
    for draw in (1.0, True, "1"):
        with pytest.raises(ValueError, match=f"draw must be a whole number of at least 0, got {draw!r}"):
            datasets.load("digits", protocol="unseen_2", draw=draw)


FORMS_OF_CODES = {
    "bfloat16": torch.from_numpy(CODES).bfloat16(),
    "float16": torch.from_numpy(CODES).half(),
    "with a gradient": torch.from_numpy(CODES).float().requires_grad_(),
    "int64": CODES.astype(np.int64),
    "list": CODES.tolist(),
    "objects": CODES.astype(object),
    "Fortran's order": np.asfortranarray(CODES),
    "frame": pd.DataFrame(CODES),
}


@pytest.mark.parametrize("form", FORMS_OF_CODES)
def test_codes_of_every_form_are_the_same_codes(form):
    codes = FORMS_OF_CODES[form]
    np.testing.assert_array_equal(pack(codes), pack(CODES))
    assert code_statistics(codes) == code_statistics(CODES)
    assert torch.equal(binarize(codes), torch.from_numpy(CODES))
    np.testing.assert_array_equal(nearest(codes, codes, np.int64(5)), nearest(CODES, CODES, 5))
    assert evaluate(codes, codes, CLASSES, CLASSES).map == evaluate(CODES, CODES, CLASSES, CLASSES).map
    pytest.importorskip("faiss")
    answers = CodeIndex(codes).search(codes, torch.tensor(3))
    np.testing.assert_array_equal(answers.distances, CodeIndex(CODES).search(CODES, 3).distances)


@pytest.mark.parametrize(
    "call",
    [
        lambda: nearest(CODES, CODES[:, :8], 3),
        lambda: nearest(CODES, CODES, 31),
        lambda: nearest_others(CODES, 30),
        lambda: nearest(CODES * 2, CODES, 3),
        lambda: pack(CODES > 0),
        lambda: code_statistics(CODES[:0]),
        lambda: CodeIndex(CODES.astype(np.uint8)),
    ],
)
def test_wrong_codes_and_counts_are_refused(call):
    pytest.importorskip("faiss")
    with pytest.raises(ValueError, match="must"):
        call()

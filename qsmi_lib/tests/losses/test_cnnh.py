"""CNNH's first stage: the compiled coordinate descent against its definition, and the codes of clear cases."""

import itertools

import numpy as np
import pytest
import torch

from qsmi_lib import losses
from qsmi_lib.losses import cnnh
from qsmi_lib.tests.losses import slow_losses as slow

GROUPS = {
    "few items": (torch.tensor([0, 0, 1]), 12),  # where the curvature is often negative
    "single": (torch.tensor([4, 4, 4, 4, 0, 0, 0, 2, 2, 1, 1, 1]), 5),
    "multi-hot": (torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1], [0, 0, 0]] * 3), 5),
}


def start(labels, bits, seed=0):
    """The initial H, and S of every two items."""
    factor = np.random.default_rng(seed).uniform(-1.0, 1.0, (len(labels), bits))
    return factor, 2.0 * losses.relevance_matrix(labels).double().numpy() - 1.0


@pytest.mark.parametrize(("labels", "bits"), GROUPS.values(), ids=GROUPS)
def test_coordinate_descent_is_its_definition(labels, bits):
    """The compiled loop forms no N x N matrix; the definition forms it at every entry."""
    factor, signs = start(labels, bits)
    expected = slow.cnnh_sweep(slow.cnnh_sweep(factor, signs), signs)
    label_sets, group = np.unique(labels.numpy(), axis=0, return_inverse=True)
    _, sign = start(torch.from_numpy(label_sets), bits)
    cnnh._compiled_descend()(factor, group.reshape(-1), sign, 2)
    np.testing.assert_allclose(factor, expected, rtol=0, atol=1e-9)
    codes = losses.cnnh_codes(labels, bits, n_sweeps=2)
    assert codes.dtype == torch.int8
    np.testing.assert_array_equal(codes.numpy(), np.where(expected >= 0, 1, -1))


def test_the_objective_falls_with_every_sweep():
    factor, signs = start(torch.arange(60) % 3, 6)
    sign = 2.0 * np.eye(3) - 1.0
    objectives = [slow.cnnh_objective(factor, signs)]
    for _ in range(5):
        cnnh._compiled_descend()(factor, np.arange(60) % 3, sign, 1)
        assert np.abs(factor).max() <= 1.0
        objectives.append(slow.cnnh_objective(factor, signs))
    assert all(after <= before for before, after in itertools.pairwise(objectives))
    assert objectives[-1] < 0.7 * objectives[0]


def test_codes_of_two_classes_factorise_their_relevance():
    """S of two classes has rank one: the items of a class have one code, those of the other its opposite."""
    labels = torch.arange(40) % 2
    codes = losses.cnnh_codes(labels, 8)
    assert (codes[labels == 0] == codes[0]).all() and (codes[labels == 1] == -codes[0]).all()
    assert slow.cnnh_objective(codes.double().numpy(), start(labels, 8)[1]) == 0.0


def test_codes_are_equal_within_a_class_and_depend_on_the_seed_alone():
    labels = torch.arange(100) % 5
    codes = losses.cnnh_codes(labels, 12)
    assert all(len(codes[labels == label].unique(dim=0)) == 1 for label in range(5))
    assert len(codes.unique(dim=0)) == 5
    assert torch.equal(cnnh.prepare(torch.zeros(100, 2), labels, 12, 0, {}), codes)
    assert not torch.equal(losses.cnnh_codes(labels, 12, seed=1), codes)


def test_a_descent_of_hours_is_refused():
    with pytest.raises(ValueError, match=r"at most 2e.11, got .* of 2000 items, 4096 bits .* use fewer bits"):
        losses.cnnh_codes(torch.arange(2000), 4096)

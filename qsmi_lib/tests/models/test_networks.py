"""Networks layer by layer: the one of Table 11, those of the digits, heads and last layers."""

import csv

import pytest
import torch
import torch.nn.functional as F

import qsmi_lib.models
from qsmi_lib.models import networks
from qsmi_lib.models.networks import HEADS, NETWORKS, ClassWords, CsqHead, DivideAndEncode, EndToEnd, HashHead
from qsmi_lib.utils.paths import PUBLISHED

BITS, CLASSES, FEATURES = 12, 10, 50
SIDES = {"fashion_mnist": (28, 28), "digits": (8, 8), "digit_pairs": (8, 16)}


def images(height, width, n=50):
    return torch.randn(n, 1, height, width, generator=torch.Generator().manual_seed(0))


def features(n=20, width=FEATURES):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(0))


def seeded(module, *sizes, **options):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return module(*sizes, **options)


def shapes(network):
    return {name: tuple(value.shape) for name, value in network.named_parameters()}


# Networks of the data sets


def test_fashion_cnn_has_the_layers_of_table_11():
    with open(PUBLISHED / "table_11.csv", newline="", encoding="utf-8") as file:
        layers = list(csv.DictReader(file))
    network = seeded(networks.FashionCNN, BITS)
    convolutions = [network.convolution_1, network.convolution_2]
    published = [row for row in layers if row["layer"] == "Convolution"]
    assert [f"{c.kernel_size[0]}x{c.kernel_size[1]}" for c in convolutions] == [row["kernel"] for row in published]
    assert [str(c.out_channels) for c in convolutions] == [row["units"] for row in published]
    assert all(c.padding == (0, 0) and c.stride == (1, 1) for c in convolutions)
    assert (network.dense.in_features, network.dense.out_features) == (1024, BITS)
    assert [row["kernel"] for row in layers if row["layer"] == "Max Pooling"] == ["2x2", "2x2"]
    hidden = images(28, 28)
    for convolution in convolutions:  # ReLU before the pooling, as in the table
        hidden = F.max_pool2d(F.relu(convolution(hidden)), 2)
    assert torch.equal(network(images(28, 28)), network.dense(hidden.flatten(1)))


def test_the_network_of_the_digits_is_two_layers():
    network, pixels = seeded(networks.DigitsMLP, BITS), images(8, 8)
    hidden = F.relu(pixels.flatten(1) @ network.hidden.weight.T + network.hidden.bias)
    torch.testing.assert_close(network(pixels), hidden @ network.dense.weight.T + network.dense.bias)
    assert shapes(network)["hidden.weight"] == (64, 64)
    assert shapes(seeded(networks.DigitPairsMLP, BITS))["hidden.weight"] == (64, 128)


@pytest.mark.parametrize("dataset", NETWORKS)
def test_embeddings_have_no_output_activation(dataset):
    assert seeded(NETWORKS[dataset], 1)(images(*SIDES[dataset])).shape == (50, 1)
    embeddings = seeded(NETWORKS[dataset], 48)(10 * images(*SIDES[dataset]))
    assert embeddings.shape == (50, 48) and embeddings.min() < -1 and embeddings.max() > 1


def test_the_memory_layout_does_not_change_embeddings():
    network = seeded(networks.FashionCNN, BITS)
    before = network(images(28, 28))
    after = networks.to_device(network, torch.device("cpu"))(images(28, 28))
    assert network.convolution_2.weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before, rtol=1e-5, atol=1e-5)


# Heads of frozen features


def test_hash_head_is_a_public_name():
    assert qsmi_lib.models.HashHead is HashHead and dir(qsmi_lib.models) == ["HashHead"]
    with pytest.raises(AttributeError, match=r"'qsmi_lib\.models' has no attribute 'Head'"):
        _ = qsmi_lib.models.Head


@pytest.mark.parametrize(("name", "n_hidden"), [("narrow", 64), ("wide", 2048), ("csq", 2048)])
def test_heads_have_hidden_layers_with_relu(name, n_hidden):
    head, inputs = seeded(HEADS[name], FEATURES, BITS).eval(), features()
    hidden = head.hidden(inputs).relu()
    if name == "csq":
        hidden = head.further(hidden).relu()
    assert hidden.shape == (20, n_hidden)
    torch.testing.assert_close(head(inputs), head.dense(hidden))


def test_csqs_head_drops_half_of_its_first_layer_in_training():
    head, dropped = seeded(CsqHead, FEATURES, BITS).train(), []
    head.further.register_forward_hook(lambda layer, inputs, output: dropped.append(inputs[0] == 0))
    with torch.random.fork_rng():
        head(torch.ones(1, FEATURES))
        head.eval()(torch.ones(1, FEATURES))
    n_zero, n_zero_without = (zeros.double().mean().item() for zeros in dropped)
    assert n_zero == pytest.approx(1 - (1 - n_zero_without) / 2, abs=0.05)


def test_a_backbone_and_its_head_are_trained_together():
    backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, FEATURES)).eval()
    network = EndToEnd(backbone, seeded(HashHead, FEATURES, BITS))
    assert network.backbone.training
    torch.testing.assert_close(network(images(8, 8)), network.head(backbone(images(8, 8))))


# Divide and encode


@pytest.mark.parametrize("bits", [1, 7, 12, 25, 48, FEATURES])
def test_each_bit_depends_on_a_separate_slice_of_the_features(bits):
    head, inputs = seeded(DivideAndEncode, FEATURES, bits, CLASSES), features(1).requires_grad_()
    outputs = head(inputs)[0]
    used = torch.stack([torch.autograd.grad(outputs[k], inputs, retain_graph=True)[0][0] != 0 for k in range(bits)])
    assert (used.sum(dim=0) == 1).all()  # every feature is in one slice
    sizes = used.sum(dim=1)
    assert sizes.max() - sizes.min() <= 1
    for row in used:
        positions = row.nonzero()[:, 0]
        assert torch.equal(positions, torch.arange(positions[0], positions[-1] + 1))


def test_a_slice_is_encoded_linearly_and_initialised_as_a_dense_layer():
    head, inputs = seeded(DivideAndEncode, FEATURES, 12, CLASSES), features()
    once, twice, nothing = head(inputs), head(2 * inputs), head(torch.zeros_like(inputs))
    torch.testing.assert_close(twice - nothing, 2 * (once - nothing))
    head = seeded(DivideAndEncode, 6400, 64, CLASSES)
    assert 0.09 < head.weight.abs().max().item() <= 0.1  # 1 / sqrt(features of a slice)
    with pytest.raises(ValueError, match="13 bits need at least as many features to divide among them, got 12"):
        DivideAndEncode(12, 13, CLASSES)


# Words of classes


@pytest.mark.parametrize("bits", [4, 5, 12, 16, 48])
def test_words_are_distinct_codes(bits):
    words = seeded(ClassWords, FEATURES, bits, CLASSES).words
    assert words.shape == (CLASSES, bits) and (words.abs() == 1).all() and len(words.unique(dim=0)) == CLASSES
    with pytest.raises(ValueError, match=r"10 classes need at least 4 bits .*, got 3"):
        ClassWords(FEATURES, 3, CLASSES)


def test_a_classifier_gives_scores_in_training_and_expected_words_in_evaluation():
    head, inputs = seeded(ClassWords, FEATURES, 12, CLASSES), features()
    scores = head(inputs)
    assert scores.shape == (20, CLASSES)
    torch.testing.assert_close(head.eval()(inputs), scores.softmax(dim=1) @ head.words)


@pytest.mark.parametrize("bits", [4, 12, 16])
def test_the_code_is_the_word_of_a_class_with_more_than_half_of_the_probability(bits):
    head = seeded(ClassWords, CLASSES, bits, CLASSES).eval()
    with torch.no_grad():
        head.scores.weight.copy_(torch.eye(CLASSES))
        head.scores.bias.zero_()
    labels, scores = torch.arange(1000) % CLASSES, features(1000, CLASSES)
    others = scores.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
    scores[torch.arange(1000), labels] = others + 0.01  # slightly above 1/2
    assert (scores.softmax(dim=1).max(dim=1).values < 0.51).all()
    assert torch.equal(head(scores).sign(), head.words[labels])

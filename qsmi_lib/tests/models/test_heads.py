"""The last layers that methods bring: what each bit sees, and what a classifier's codes are."""

import pytest
import torch

from qsmi_lib.config.presets import configure
from qsmi_lib.losses.csq import classifier_objective
from qsmi_lib.models.heads import ClassWords, DivideAndEncode
from qsmi_lib.training import factory
from qsmi_lib.training.loop import encode

FEATURES, CLASSES = 50, 10


def seeded(head, *sizes):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return head(*sizes)


def features(n=20, width=FEATURES):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(0))


# Divide and encode


def uses(head, bits):
    """bool (bits, features): which features move which bit, by the gradient."""
    inputs = features(1).requires_grad_()
    outputs = head(inputs)[0]
    return torch.stack([torch.autograd.grad(outputs[k], inputs, retain_graph=True)[0][0] != 0 for k in range(bits)])


@pytest.mark.parametrize("bits", [1, 7, 12, 25, 48, FEATURES])
def test_each_bit_has_a_slice_of_the_features_of_its_own(bits):
    used = uses(seeded(DivideAndEncode, FEATURES, bits, CLASSES), bits)
    assert (used.sum(dim=0) == 1).all()  # every feature moves one bit
    sizes = used.sum(dim=1)
    assert sizes.max() - sizes.min() <= 1
    for row in used:  # neighbours
        positions = row.nonzero()[:, 0]
        assert torch.equal(positions, torch.arange(positions[0], positions[-1] + 1))


def test_a_slice_is_encoded_linearly():
    """Twice the features, twice the distance from the bias."""
    head, inputs = seeded(DivideAndEncode, FEATURES, 12, CLASSES), features()
    once, twice, nothing = head(inputs), head(2 * inputs), head(torch.zeros_like(inputs))
    assert once.shape == (20, 12)
    torch.testing.assert_close(twice - nothing, 2 * (once - nothing))


def test_a_bit_starts_as_a_dense_layer_of_its_slice_would():
    """Within 1 / sqrt(size of the slice)."""
    head = seeded(DivideAndEncode, 6400, 64, CLASSES)
    assert 0.09 < head.weight.abs().max().item() <= 0.1


def test_too_few_features_for_the_bits():
    with pytest.raises(ValueError, match="13 bits need at least as many features to divide among them, got 12"):
        DivideAndEncode(12, 13, CLASSES)


# Words of classes


@pytest.mark.parametrize("bits", [4, 5, 12, 16, 48])
def test_words_are_distinct_codes(bits):
    words = seeded(ClassWords, FEATURES, bits, CLASSES).words
    assert words.shape == (CLASSES, bits)
    assert (words.abs() == 1).all()
    assert len(words.unique(dim=0)) == CLASSES


def test_too_few_bits_for_the_words():
    with pytest.raises(ValueError, match=r"10 classes need at least 4 bits .*, got 3"):
        ClassWords(FEATURES, 3, CLASSES)


def test_a_classifier_gives_scores_to_train_on_and_embeddings_to_hash():
    head, inputs = seeded(ClassWords, FEATURES, 12, CLASSES), features()
    scores = head(inputs)
    assert scores.shape == (20, CLASSES)
    assert classifier_objective(scores, torch.arange(20) % CLASSES).isfinite()
    embeddings = head.eval()(inputs)
    assert embeddings.shape == (20, 12)
    torch.testing.assert_close(embeddings, scores.softmax(dim=1) @ head.words)


@pytest.mark.parametrize("bits", [4, 12, 16])
def test_the_code_is_the_word_of_a_class_that_has_most_of_the_probability(bits):
    head = seeded(ClassWords, CLASSES, bits, CLASSES).eval()
    with torch.no_grad():
        head.scores.weight.copy_(torch.eye(CLASSES))
        head.scores.bias.zero_()
    labels = torch.arange(1000) % CLASSES
    scores = features(1000, CLASSES)
    others = scores.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1)
    scores[torch.arange(1000), labels] = others + 0.01  # a little above 1/2
    assert (scores.softmax(dim=1).max(dim=1).values < 0.51).all()
    assert torch.equal(head(scores).sign(), head.words[labels])


# On disk


@pytest.mark.parametrize("method", ["classifier", "dnnh"])
def test_a_saved_model_gives_the_same_codes(method, tmp_path):
    config = configure("digits", method, 12)
    model = seeded(factory.build, config.dataset, config.bits, config.method)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    factory.save(model, config, tmp_path / "model.safetensors")
    loaded, loaded_config = factory.load(tmp_path / "model.safetensors")
    images = features(40, 64).reshape(40, 1, 8, 8)
    assert loaded_config == config
    codes = encode(model.eval(), images)
    assert torch.equal(encode(loaded, images), codes)
    assert len(codes.unique(dim=0)) > 1


def test_a_trained_network_ends_in_the_head_of_its_method():
    for method, head in {"classifier": ClassWords, "dnnh": DivideAndEncode, "qsmi": torch.nn.Linear}.items():
        assert type(factory.build("digits", 12, method).dense) is head

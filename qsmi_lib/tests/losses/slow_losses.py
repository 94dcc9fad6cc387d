"""The losses as their equations read: one pair at a time, two loops, in Python's floats (64 bits).

Embeddings, labels and relevance are tensors of the shapes that `qsmi_lib.losses` takes. Self pairs count.
"""

from math import exp, log, sqrt


def dot(y, other):
    return sum(a * b for a, b in zip(y, other, strict=True))


def length(y):
    return sqrt(dot(y, y))


def squared_distance(y, other):
    return sum((a - b) ** 2 for a, b in zip(y, other, strict=True))


def similarity(y, other, kind, sigma=10.0):
    """Eq. 12, or the Gaussian kernel without a normaliser."""
    if kind == "cosine":
        return 0.5 * (1 + dot(y, other) / (length(y) * length(other)))
    return exp(-squared_distance(y, other) / (2 * sigma**2))


def carried(label):
    """The set of labels of an item: of the one it has, or of those that a multi-hot row marks."""
    return {label} if isinstance(label, int) else {k for k, mark in enumerate(label) if mark}


def relevance_matrix(labels):
    """Eq. 18: 1 where two items share a label, else 0."""
    items = [carried(label) for label in labels.tolist()]
    return [[bool(item & other) for other in items] for item in items]


def information_potentials(embeddings, labels, kind, sigma=10.0):
    """Eqs. 9 to 11 and 14 to 16: inside the classes, among all, and between classes and all."""
    y, items = embeddings.tolist(), [carried(label) for label in labels.tolist()]
    n = len(y)
    v_in = v_all = v_btw = 0.0
    for k in set().union(*items):
        prior = sum(k in item for item in items) / n
        for i in range(n):
            for j in range(n):
                s = similarity(y[i], y[j], kind, sigma) / n**2
                v_all += prior**2 * s
                if k in items[i]:
                    v_btw += prior * s
                if k in items[i] and k in items[j]:
                    v_in += s
    return v_in, v_all, v_btw


def qsmi_loss(embeddings, relevance, kind, clamp, sigma=10.0, needs=None):
    """N^2 times Eq. 19 (clamp), or minus N^2 times Eq. 17."""
    y, delta = embeddings.tolist(), relevance.tolist()
    n = len(y)
    if needs is None:
        needs = n**2 / sum(sum(row) for row in delta)
    total = 0.0
    for i in range(n):
        for j in range(n):
            s = similarity(y[i], y[j], kind, sigma)
            if clamp:
                total += delta[i][j] * (s - 1) ** 2 + s**2 / needs
            else:
                total -= delta[i][j] * s - s / needs
    return total


def qsmi_gradient(embeddings, relevance, needs):
    """N^2 times Eq. 30 with its two slips mended: the leading factor 2, and plus 1 / M. Its last factor is Eq. 33."""
    y, delta = embeddings.tolist(), relevance.tolist()
    n, bits = embeddings.shape
    gradient = [[0.0] * bits for _ in range(n)]
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            s = similarity(y[i], y[j], "cosine")
            steepness = 2 * (2 * delta[i][j] * (s - 1) + 2 / needs * s)
            lengths = length(y[i]) * length(y[j])
            for k in range(bits):
                towards = y[j][k] / lengths - dot(y[i], y[j]) / lengths * y[i][k] / dot(y[i], y[i])
                gradient[i][k] += steepness * 0.5 * towards
    return gradient


def quantization_penalty(embeddings):
    """Eq. 20 with the absolute value that it lacks."""
    return sum(abs(abs(value) - 1) for y in embeddings.tolist() for value in y)


def dsh_loss(embeddings, relevance, alpha, margin):
    """Similar pairs attract, dissimilar ones repel inside the margin: the mean over pairs, one penalty an item."""
    y, delta = embeddings.tolist(), relevance.tolist()
    n = len(y)
    total = 0.0
    for i in range(n):
        for j in range(n):
            d2 = squared_distance(y[i], y[j])
            total += (delta[i][j] * d2 + (1 - delta[i][j]) * max(margin - d2, 0)) / 2
    return total / n**2 + alpha * quantization_penalty(embeddings) / n


def dpsh_loss(embeddings, relevance, eta):
    """Minus the log-likelihood of the relevance under the inner products, and the distance to the codes: sums."""
    y, delta = embeddings.tolist(), relevance.tolist()
    total = 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            theta = dot(y[i], y[j]) / 2
            total += log(1 + exp(theta)) - delta[i][j] * theta
    return total + eta * sum(((1 if value >= 0 else -1) - value) ** 2 for row in y for value in row)

"""The losses as their equations read, in Python's floats (64 bits): one pair or triplet at a time. Slow.

Arguments are tensors of the shapes that `qsmi_lib.losses` takes. QSMI, DSH and DPSH count the pairs (i, i), the others
do not. A pair of graded relevance counts that much as similar, and the rest as dissimilar.
"""

from itertools import product
from math import cosh, exp, log, log2, prod, sqrt, tanh

import numpy as np

ROOT = 1e-8  # added under the roots of distances, as in the authors' code of the spherical embedding


def dot(y, other):
    return sum(a * b for a, b in zip(y, other, strict=True))


def length(y):
    return sqrt(dot(y, y))


def squared_distance(y, other):
    return sum((a - b) ** 2 for a, b in zip(y, other, strict=True))


def kernel(y, other, similarity, sigma=10.0):
    """Eq. 12, or the Gaussian kernel without a normaliser."""
    if similarity == "cosine":
        return 0.5 * (1 + dot(y, other) / (length(y) * length(other)))
    return exp(-squared_distance(y, other) / (2 * sigma**2))


def carried(label):
    """The set of labels of an item; `label` is an int or a multi-hot row."""
    return {label} if isinstance(label, int) else {k for k, mark in enumerate(label) if mark}


def relevance_matrix(labels):
    """Eq. 18: 1 where two items share a label, else 0."""
    items = [carried(label) for label in labels.tolist()]
    return [[bool(item & other) for other in items] for item in items]


def information_potentials(embeddings, labels, similarity="cosine", sigma=10.0):
    """Eqs. 9 to 11 and 14 to 16: inside the classes, among all, and between classes and all."""
    y, items = embeddings.tolist(), [carried(label) for label in labels.tolist()]
    n = len(y)
    v_in = v_all = v_btw = 0.0
    for k in set().union(*items):
        prior = sum(k in item for item in items) / n
        for i in range(n):
            for j in range(n):
                s = kernel(y[i], y[j], similarity, sigma) / n**2
                v_all += prior**2 * s
                if k in items[i]:
                    v_btw += prior * s
                if k in items[i] and k in items[j]:
                    v_in += s
    return v_in, v_all, v_btw


def qsmi_loss(embeddings, relevance, similarity="cosine", clamp=True, sigma=10.0, information_needs=None):
    """N^2 times Eq. 19 (clamp), or minus N^2 times Eq. 17."""
    y, delta = embeddings.tolist(), relevance.tolist()
    n = len(y)
    relevant = sum(sum(row) for row in delta)
    needs = information_needs or (n**2 / relevant if relevant else float("inf"))
    total = 0.0
    for i in range(n):
        for j in range(n):
            s = kernel(y[i], y[j], similarity, sigma)
            if clamp:
                total += delta[i][j] * (s - 1) ** 2 + s**2 / needs
            else:
                total -= delta[i][j] * s - s / needs
    return total


def qsmi_gradient(embeddings, relevance, needs):
    """N^2 times Eq. 30 with two corrections: the leading factor 2, and plus 1 / M. The last factor is Eq. 33."""
    y, delta = embeddings.tolist(), relevance.tolist()
    n, bits = embeddings.shape
    gradient = [[0.0] * bits for _ in range(n)]
    for i in range(n):
        for j in range(n):
            if i == j:
                continue
            s = kernel(y[i], y[j], "cosine")
            steepness = 2 * (2 * delta[i][j] * (s - 1) + 2 / needs * s)
            lengths = length(y[i]) * length(y[j])
            for k in range(bits):
                towards = y[j][k] / lengths - dot(y[i], y[j]) / lengths * y[i][k] / dot(y[i], y[i])
                gradient[i][k] += steepness * 0.5 * towards
    return gradient


def quantization_penalty(embeddings):
    """Eq. 20 with the absolute value that is missing in print."""
    return sum(abs(abs(value) - 1) for y in embeddings.tolist() for value in y)


def priors_weights(labels):
    """a and r of each pair: the labels they share, and the number expected from the priors."""
    items = [carried(label) for label in labels.tolist()]
    prior = {k: sum(k in item for item in items) / len(items) for k in set().union(*items)}
    shared = [[float(len(item & other)) for other in items] for item in items]
    expected = [[sum(p * ((k in i) + (k in j) - p) for k, p in prior.items()) for j in items] for i in items]
    return shared, expected


def qsmi_priors_loss(embeddings, labels, clamp=True):
    shared, expected = priors_weights(labels)
    y, total = embeddings.tolist(), 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            s, a, r = kernel(y[i], y[j], "cosine"), shared[i][j], expected[i][j]
            if not clamp:
                total -= (a - r) * s
            else:
                total += (a + max(-r, 0)) * (s - 1) ** 2 + max(r, 0) * s**2
    return total


def jaccard_similarity(labels):
    """The share of common labels; 0 for two items without labels."""
    items = [carried(label) for label in labels.tolist()]
    return [[len(i & j) / len(i | j) if i | j else 0.0 for j in items] for i in items]


def dsh_loss(embeddings, relevance, alpha, margin=None):
    """Similar pairs attract, dissimilar ones repel inside the margin: the mean over pairs, one penalty an item."""
    y, delta = embeddings.tolist(), relevance.tolist()
    n = len(y)
    total = 0.0
    for i in range(n):
        for j in range(n):
            d2 = squared_distance(y[i], y[j])
            total += (delta[i][j] * d2 + (1 - delta[i][j]) * max((margin or 2 * embeddings.shape[1]) - d2, 0)) / 2
    return total / n**2 + alpha * quantization_penalty(embeddings) / n


def dpsh_loss(embeddings, relevance, eta):
    """Minus the log-likelihood of the relevance given the inner products, and the distance to the codes: sums."""
    y, delta = embeddings.tolist(), relevance.tolist()
    total = 0.0
    for i in range(len(y)):
        for j in range(len(y)):
            theta = dot(y[i], y[j]) / 2
            total += log(1 + exp(theta)) - delta[i][j] * theta
    return total + eta * sum(((1 if value >= 0 else -1) - value) ** 2 for row in y for value in row)


# What the other methods share


def mean(values):
    """0 where there are none."""
    values = list(values)
    return sum(values) / len(values) if values else 0.0


def weighted_mean(values, weights):
    """0 where nothing has weight."""
    values, weights = list(values), list(weights)
    total = sum(weights)
    return sum(v * w for v, w in zip(values, weights, strict=True)) / total if total else 0.0


def softplus(x):
    return log(1 + exp(x))


def sigmoid(x):
    return 1 / (1 + exp(-x))


def each(function, embeddings):
    return [[function(value) for value in row] for row in embeddings.tolist()]


def cosine(y, other):
    return dot(y, other) / (length(y) * length(other))


def unit(y):
    return [value / length(y) for value in y]


def pairs(n):
    return [(i, j) for i in range(n) for j in range(n) if i != j]


def triplets(relevance):
    """(anchor, positive, negative): the positive is not the anchor itself, and neither is the negative."""
    n = len(relevance)
    return [(q, p, m) for q, p in pairs(n) for m in range(n) if m != q and relevance[q][p] > 0 and relevance[q][m] == 0]


# Likelihoods of pairs


def dhn_loss(embeddings, relevance, alpha):
    h, delta = each(tanh, embeddings), relevance.tolist()
    inner = {(i, j): dot(h[i], h[j]) for i, j in pairs(len(h))}
    likelihood = mean(softplus(x) - delta[i][j] * x for (i, j), x in inner.items())
    return likelihood + alpha / len(h) * sum(log(cosh(abs(value) - 1)) for row in h for value in row)


def hashnet_loss(embeddings, relevance, class_weight, sharpness, beta):
    h, delta = each(lambda y: tanh(beta * y), embeddings), relevance.tolist()
    bits = embeddings.shape[1]
    cost = weight = 0.0
    for i, j in pairs(len(h)):
        x = sharpness / bits * dot(h[i], h[j])
        cost += class_weight * delta[i][j] * softplus(-x) + (1 - delta[i][j]) * softplus(x)
        weight += class_weight * delta[i][j] + (1 - delta[i][j])
    return cost / weight if weight else 0.0


def hashnet_beta(step):
    """Constant over 200 steps."""
    return (1 + 0.005 * (step - step % 200)) ** 0.5


def similar_weight(delta):
    """|S| / |S_1|: all pairs over the similar ones."""
    similar = sum(delta[i][j] for i, j in pairs(len(delta)))
    return len(pairs(len(delta))) / similar if similar else 0.0


def hashgan_loss(embeddings, relevance, sharpness):
    y, delta = embeddings.tolist(), relevance.tolist()
    weight = similar_weight(delta)
    inner = {(i, j): sharpness * cosine(y[i], y[j]) for i, j in pairs(len(y))}
    return mean(weight * delta[i][j] * softplus(-x) + (1 - delta[i][j]) * softplus(x) for (i, j), x in inner.items())


def dch_loss(embeddings, relevance, alpha, gamma):
    y, delta = embeddings.tolist(), relevance.tolist()
    n, bits = embeddings.shape
    distance = {(i, j): bits / 2 * (1 - cosine(y[i], y[j])) + 1e-3 for i, j in pairs(n)}
    similar = weighted_mean((log(1 + d / gamma) for d in distance.values()), (delta[i][j] for i, j in distance))
    dissimilar = weighted_mean((log(1 + gamma / d) for d in distance.values()), (1 - delta[i][j] for i, j in distance))
    to_cube = [bits / 2 * (1 - cosine([abs(value) for value in row], [1.0] * bits)) for row in y]
    return similar + dissimilar + alpha / n * sum(log(1 + d / gamma) for d in to_cube)


def dch_code_loss(embeddings, relevance, alpha, gamma):
    h, delta = each(tanh, embeddings), relevance.tolist()
    weight = similar_weight(delta)
    distance = {(i, j): squared_distance(h[i], h[j]) + 1e-3 for i, j in pairs(len(h))}
    likelihood = mean(
        weight * delta[i][j] * log(1 + d / gamma) + (1 - delta[i][j]) * log(1 + gamma / d)
        for (i, j), d in distance.items()
    )
    return likelihood + alpha * mean((abs(value) - 1) ** 2 for row in h for value in row)


# MIHash


def entropy(shares):
    """In bits; 0 log 0 is 0."""
    return -sum(share * log2(share) for share in shares if share > 0)


def histogram(distances, weights, bits, n_bins):
    """Each distance counts in the two bins whose centers it lies between, the more the nearer."""
    width = bits / n_bins
    centers = [k * width for k in range(n_bins + 1)]
    return [
        sum(w * max(0.0, 1 - abs(d - center) / width) for d, w in zip(distances, weights, strict=True))
        for center in centers
    ]


def mihash_loss(embeddings, relevance, slope, n_bins=None):
    """Minus the mutual information of distance and relevance, over the anchors that have both kinds of pairs."""
    n_bins = n_bins or max(1, embeddings.shape[1] // 2)
    h, delta = each(lambda y: 2 * sigmoid(slope * y) - 1, embeddings), relevance.tolist()
    n, bits = embeddings.shape
    information = 0.0
    for i in range(n):
        others = [j for j in range(n) if j != i]
        distances = [(bits - dot(h[i], h[j])) / 2 for j in others]
        weights = {True: [delta[i][j] for j in others], False: [1 - delta[i][j] for j in others]}
        if not all(sum(side) > 0 for side in weights.values()):
            continue
        information += entropy(share / len(others) for share in histogram(distances, [1] * len(others), bits, n_bins))
        for side in weights.values():
            counts = histogram(distances, side, bits, n_bins)
            information -= sum(side) / len(others) * entropy(count / sum(side) for count in counts)
    return -information


# Triplets


def dnnh_loss(embeddings, relevance, margin, epsilon):
    def threshold(s):
        return s if 0.5 - epsilon <= s <= 0.5 + epsilon else float(s > 0.5)

    f = each(lambda y: threshold(sigmoid(y)), embeddings)
    return mean(
        max(0.0, margin - (squared_distance(f[q], f[m]) - squared_distance(f[q], f[p])))
        for q, p, m in triplets(relevance.tolist())
    )


def spring(t, bits):
    return (sqrt(8) - sqrt(4 - t + ROOT)) ** 2


def margin_spring(t, bits, k=6.0, a=1.0):
    """With K = 6 and the margin 1: 0 where the spring is at its longest, K where it has collapsed."""
    stiffness = k / (1 - a**2 / (sqrt(8) + a) ** 2)
    return stiffness * (sqrt(8) + a - sqrt(4 - t + ROOT)) ** 2 / (sqrt(8) + a) ** 2 + (k - stiffness)


def margin(t, bits):
    return max(0.0, t + 2)


def likelihood(t, bits):
    """softplus(-a) / n, where a = n (h_q.h_p / 2 - h_q.h_n / 2 - 1/2): the products' difference is -t / 2."""
    return softplus(-bits * (-t / 2 / 2 - 0.5)) / bits


FORMS = {"spring": spring, "margin_spring": margin_spring, "margin": margin, "likelihood": likelihood}


def spring_loss(embeddings, relevance, form):
    h, bits = [unit(y) for y in embeddings.tolist()], embeddings.shape[1]
    return mean(
        FORMS[form](squared_distance(h[q], h[p]) - squared_distance(h[q], h[m]), bits)
        for q, p, m in triplets(relevance.tolist())
    )


def negatives_loss(embeddings, relevance):
    h, delta = [unit(y) for y in embeddings.tolist()], relevance.tolist()
    return mean((2 - sqrt(squared_distance(h[i], h[j]) + ROOT)) ** 2 for i, j in pairs(len(h)) if delta[i][j] == 0)


def dtsh_loss(embeddings, relevance, eta):
    y, bits = embeddings.tolist(), embeddings.shape[1]
    ranked = mean(
        softplus(-(dot(y[q], y[p]) / 2 - dot(y[q], y[m]) / 2 - bits / 2)) for q, p, m in triplets(relevance.tolist())
    )
    return ranked + eta * mean(((1 if value >= 0 else -1) - value) ** 2 for row in y for value in row)


# Centers, and targets that are codes


def csq_loss(embeddings, targets, alpha):
    """The cross-entropy of (h + 1) / 2 against (c + 1) / 2, as long as neither logarithm overflows."""
    h, centers = each(tanh, embeddings), targets.tolist()
    entropies = [
        -((c + 1) / 2 * log((value + 1) / 2) + (1 - c) / 2 * log((1 - value) / 2))
        for row, center in zip(h, centers, strict=True)
        for value, c in zip(row, center, strict=True)
    ]
    return mean(entropies) + alpha * mean((abs(value) - 1) ** 2 for row in h for value in row)


def csq_qsmi_loss(embeddings, targets, relevance, alpha, a_csq):
    information = qsmi_loss(embeddings.tanh(), relevance)
    return csq_loss(embeddings, targets, alpha) + a_csq * information


def qsmi_u_loss(embeddings, relevance, needs, alpha, beta, information_needs=None):
    labelled = qsmi_loss(embeddings, relevance, information_needs=information_needs)
    clustered = qsmi_loss(embeddings, needs)
    return labelled + alpha * quantization_penalty(embeddings) + beta * clustered


def classifier_objective(scores, labels):
    """The target is uniform over the labels of an item; an item without a label adds 0."""
    rows = zip(scores.tolist(), labels.tolist(), strict=True)
    return mean(
        mean(-log(exp(row[k]) / sum(exp(score) for score in row)) for k in carried(label)) for row, label in rows
    )


def majority(labels, centers, word):
    """The majority of the centers of an item at each bit; `word` breaks even votes."""
    codes = []
    for row in labels.tolist():
        votes = [sum(center[k] for mark, center in zip(row, centers, strict=True) if mark) for k in range(len(word))]
        codes.append([word[k] if vote == 0 else (1 if vote > 0 else -1) for k, vote in enumerate(votes)])
    return codes


def cnnh_loss(embeddings, targets):
    values = zip(embeddings.flatten().tolist(), targets.flatten().tolist(), strict=True)
    return mean((value - target) ** 2 for value, target in values)


def cnnh_objective(factor, signs):
    """|| S - H H^T / n ||^2, with all N x N entries."""
    return float(((signs - factor @ factor.T / factor.shape[1]) ** 2).sum())


def cnnh_sweep(factor, signs):
    """One pass of coordinate descent, L = H H^T - n S formed anew at every entry."""
    factor = factor.copy()
    n_item, bits = factor.shape
    for j in range(bits):
        for i in range(n_item):
            residual = factor @ factor.T - bits * signs
            value, column = factor[i, j], factor[:, j]
            slope = 4 * residual[i] @ column
            curvature = 4 * (column @ column + value**2 + residual[i, i])
            downhill = -np.inf if slope > 0 else np.inf
            step = -slope / curvature if curvature > 0 else downhill  # as far as [-1, 1] allows
            factor[i, j] += np.clip(step, -1 - value, 1 - value)
    return factor


# PGDH


def pgdh_reward(codes, delta, balance):
    """Of each item: minus its mean distance per bit to similar items, plus that to dissimilar ones."""
    n, bits = len(codes), len(codes[0])
    rewards = [0.0] * n
    for i, j in pairs(n):
        differing = sum(a != b for a, b in zip(codes[i], codes[j], strict=True))
        gain = balance * delta[i][j] - (1 - delta[i][j])
        rewards[i] -= gain * differing / (bits * (n - 1))
    return rewards


def class_balance(delta):
    """The dissimilar pairs over the similar ones."""
    similar = sum(delta[i][j] for i, j in pairs(len(delta)))
    return (len(pairs(len(delta))) - similar) / similar


def pgdh_loss(embeddings, relevance, decisions, balance=None):
    """REINFORCE's surrogate; the baseline of an item is its mean reward over the other samples."""
    y, delta = embeddings.tolist(), relevance.tolist()
    balance = class_balance(delta) if balance is None else balance
    rewards = [pgdh_reward(codes, delta, balance) for codes in decisions.tolist()]
    total = 0.0
    for t, codes in enumerate(decisions.tolist()):
        for i in range(len(y)):
            baseline = mean(rewards[s][i] for s in range(len(rewards)) if s != t)
            log_probability = sum(log(sigmoid(b * value)) for b, value in zip(codes[i], y[i], strict=True))
            total += (rewards[t][i] - baseline) * log_probability
    return -total / (len(rewards) * len(y))


def all_codes(n, bits):
    """Every batch of n codes."""
    words = list(product((-1, 1), repeat=bits))
    return [[list(word) for word in batch] for batch in product(words, repeat=n)]


def probability(codes, y):
    """Of a batch of codes: bit k of item i is +1 with probability sigmoid(y_ik), independent of the others."""
    return prod(
        sigmoid(b * value) for row, word in zip(y, codes, strict=True) for b, value in zip(word, row, strict=True)
    )


def pgdh_expected_rewards(y, delta, balance):
    """E[r_i] of each item, over every batch of codes there is."""
    expected = [0.0] * len(y)
    for codes in all_codes(len(y), len(y[0])):
        for i, reward in enumerate(pgdh_reward(codes, delta, balance)):
            expected[i] += probability(codes, y) * reward
    return expected

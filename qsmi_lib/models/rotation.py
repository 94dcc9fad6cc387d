"""Rotations of embeddings before the sign: ITQ, and a random search for the rotation with the highest mAP."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from qsmi_lib.evaluation import evaluate
from qsmi_lib.utils.arrays import on_host
from qsmi_lib.utils.progress import bar
from qsmi_lib.utils.validation import whole_number

STARTS = ("itq", "identity")


class Search(NamedTuple):
    """Result of `search`.

    Attributes:
        rotation: float64 (bits, bits), orthogonal, determinant +1; codes are sign(embeddings @ rotation).
        before: mAP of the embeddings without rotation.
        history: float64 (n_steps + 1,), the best mAP at the start and after each step, never falling; (1,) with one
            bit, which cannot be rotated.
    """

    rotation: np.ndarray
    before: float
    history: np.ndarray


def itq(points: ArrayLike, *, n_iter: int = 50, seed: int = 0) -> np.ndarray:
    r"""Iterative Quantization (Gong & Lazebnik, CVPR 2011): the rotation with the lowest quantization error.

    It minimises :math:`\| B - X R \|_F^2`: B = sign(X R) and R = U V^T, of the singular vectors of X^T B,
    are computed alternately.

    Args:
        points: (n, bits), floating; centred, as PCA gives them.
        n_iter: iterations.
        seed: of the first R.

    Returns:
        float64 (bits, bits), orthogonal, determinant +1: if it would be -1, one column is negated, which flips the same
        bit of all codes.
    """
    points = on_host("points", points).astype(np.float64, copy=False)
    n_iter, seed = whole_number("n_iter", n_iter, 0), whole_number("seed", seed, 0)
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(points.shape[1],) * 2))[0]
    for _ in range(n_iter):
        codes = np.where(points @ rotation >= 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(points.T @ codes)
        rotation = left @ right
    rotation[:, 0] *= np.sign(np.linalg.det(rotation))
    return rotation


def search(
    query: ArrayLike,
    database: ArrayLike,
    query_labels: ArrayLike,
    database_labels: ArrayLike,
    *,
    start: str | np.ndarray = "itq",
    n_steps: int = 800,
    seed: int = 0,
) -> Search:
    r"""The rotation R of SO(n) with the highest mAP of the codes sgn(R h), by random search (Pidhorskyi et al., 2018).

    Each step rotates the best R so far in a random plane, by an angle of random sign that falls linearly from 1 rad to
    0. The result is accepted if `map_expected` rises: the mean over all orders of ties, which does not depend on the
    order of the database. The items must be neither queries nor database of results that are reported later.

    Args:
        query: (n_query, bits), floating: embeddings.
        database: (n_database, bits), floating.
        query_labels: int (n_query,), or multi-hot.
        database_labels: as the queries'.
        start: "itq" (of the database), "identity", or a rotation (bits, bits). If the embeddings without rotation
            have a higher mAP, the search starts from the identity.
        n_steps: proposals; 800 in the authors' script.
        seed: of ITQ, planes and signs.

    Returns:
        `Search`.

    Raises:
        ValueError: embeddings that are not finite, a start that is no rotation, a negative n_steps, or an error of
            `evaluate`.
    """
    query = on_host("query", query).astype(np.float64, copy=False)
    database = on_host("database", database).astype(np.float64, copy=False)
    if query.ndim != 2 or database.ndim != 2 or query.shape[1] != database.shape[1]:
        raise ValueError(
            f"embeddings must have shape (n, bits), as many bits each, got {query.shape}, {database.shape}"
        )
    if not (np.isfinite(query).all() and np.isfinite(database).all()):
        raise ValueError("embeddings must be finite, got NaN or infinite values")
    n_steps, seed = whole_number("n_steps", n_steps, 0), whole_number("seed", seed, 0)

    def score(query: np.ndarray, database: np.ndarray) -> float:
        codes = (np.where(part >= 0, 1, -1).astype(np.int8) for part in (query, database))
        return evaluate(*codes, query_labels, database_labels).map_expected

    rng = np.random.default_rng(seed)
    bits = query.shape[1]
    rotation = _start(start, database, seed)
    before = score(query, database)
    best = score(query @ rotation, database @ rotation)
    if best < before:
        rotation, best = np.eye(bits), before
    query, database = query @ rotation, database @ rotation
    history = [best]
    for step in bar(range(n_steps if bits > 1 else 0), "rotation", unit="step"):
        plane = np.linalg.qr(rng.normal(size=(bits, 2)))[0]
        turn = turn_in_plane(plane, rng.choice((-1.0, 1.0)) * (n_steps - step) / n_steps)
        rotated = query + query @ plane @ turn, database + database @ plane @ turn
        new = score(*rotated)
        if new > best:
            best, (query, database) = new, rotated
            rotation = rotation + rotation @ plane @ turn
        history.append(best)
    return Search(rotation, before, np.array(history))


def turn_in_plane(plane: np.ndarray, angle: float) -> np.ndarray:
    r"""The change by a rotation in a plane, :math:`(G_2 - I) P^T`, so that :math:`X G = X + X P\,(G_2 - I) P^T`.

    Args:
        plane: P, (bits, 2) with orthonormal columns.
        angle: in rad.

    Returns:
        float64 (2, bits).
    """
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([[cosine - 1.0, -sine], [sine, cosine - 1.0]]) @ plane.T


def _start(start: str | np.ndarray, database: np.ndarray, seed: int) -> np.ndarray:
    """The rotation that `start` gives."""
    bits = database.shape[1]
    if isinstance(start, np.ndarray):
        orthogonal = start.shape == (bits, bits) and np.allclose(start @ start.T, np.eye(bits), atol=1e-8)
        if not orthogonal or np.linalg.det(start) < 0:
            raise ValueError(f"start must be a rotation ({bits}, {bits}) of determinant +1, got shape {start.shape}")
        return start
    if start not in STARTS:
        raise ValueError(f"start must be 'itq', 'identity' or a rotation, got {start!r}")
    return itq(database, seed=seed) if start == "itq" else np.eye(bits)

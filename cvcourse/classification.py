"""Image classification: nearest neighbours, linear classifiers, losses and how to minimise them (lecture 19).

Examples are rows of X (N, D), or images (N, H, W) and (N, H, W, 3) which are flattened at the door; labels y
(N,) are whole numbers 0 … C - 1.  A linear classifier scores ``X @ W + b`` with W (D, C).  A loss takes scores
and labels and returns its value and its derivative by the scores.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from cvcourse.compiled import FAST, SERIAL
from cvcourse.homogeneous import random_generator
from cvcourse.images import Array, as_float, load

FASHION = "T-shirt trouser pullover dress coat sandal shirt sneaker bag boot".split()
METRICS = ("l2", "l1", "cosine")
BLOCK = 2**22  # distances that are there at once, 32 MB


class Dataset(NamedTuple):
    """Images (N, H, W) or (N, H, W, 3) in [0, 1] with labels (N,), to learn from and to test on, and the classes' names."""

    X_train: Array
    y_train: NDArray[np.int64]
    X_test: Array
    y_test: NDArray[np.int64]
    classes: tuple[str, ...]


def dataset(name: str) -> Dataset:
    """Load one of the course's sets of small labelled images.

    Parameters
    ----------
    name : str
        ``"digits"``: 899 + 898 handwritten digits, 8×8, dealt out in turn.  ``"fashion"``: 6000 + 1500 pieces of clothing, 28×28.
        ``"materials"``: 2400 + 600 colour patches of photographs, 32×32.

    Returns
    -------
    Dataset
        Images float64 in [0, 1]; training and test parts as they are fixed in ``data/``.

    Raises
    ------
    KeyError
        If there is no such set.

    Examples
    --------
    >>> dataset("digits").X_train.shape
    (899, 8, 8)
    """
    if name == "digits":
        stored = load("classification/digits")
        X, y = stored["images"] / 16, stored["labels"].astype(np.int64)
        return Dataset(X[::2], y[::2], X[1::2], y[1::2], tuple("0123456789"))
    if name == "fashion":
        stored = load("classification/fashion")
        X_train, X_test = as_float(stored["x_train"]), as_float(stored["x_test"])
        labels = (stored[part].astype(np.int64) for part in ("y_train", "y_test"))
        return Dataset(X_train, next(labels), X_test, next(labels), tuple(FASHION))
    if name == "materials":
        classes = tuple(load("classification/materials")["classes"])
        (X_train, y_train), (X_test, y_test) = (_tiles(part, len(classes)) for part in ("train", "test"))
        return Dataset(X_train, y_train, X_test, y_test, classes)
    raise KeyError(f"no set of images is called {name!r}; there are digits, fashion, materials")


def _tiles(part: str, classes: int) -> tuple[Array, NDArray[np.int64]]:
    """Cut a picture of 32×32 tiles, class after class, into (N, 32, 32, 3) and its labels."""
    sheet = load(f"classification/materials_{part}")
    rows, cols = sheet.shape[0] // 32, sheet.shape[1] // 32
    tiles = sheet.reshape(rows, 32, cols, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3)
    return tiles, np.repeat(np.arange(classes), len(tiles) // classes)


# --- what comes in ---------------------------------------------------------------------------


def as_rows(X: ArrayLike, name: str = "X", finite: bool = True) -> Array:
    """Flatten images to one row each: (N, …) to (N, D), float32 or float64 as they come.

    Raises
    ------
    TypeError
        For integers: uint8 differences wrap round.
    ValueError
        For no images, no pixels, NaN or infinity (not looked for if `finite` is False).

    Examples
    --------
    >>> as_rows(np.zeros((5, 8, 8))).shape
    (5, 64)
    """
    X = np.asarray(X)
    if X.dtype.kind != "f":
        raise TypeError(f"{name} must hold floating-point numbers, got {X.dtype}; images come in [0, 1] by as_float")
    if X.ndim < 2 or X.size == 0:
        raise ValueError(f"{name} must be examples by numbers, (N, D) or (N, H, W …), not empty; got shape {X.shape}")
    if finite and not _all_finite(X):
        raise ValueError(f"{name} holds NaN or infinity")
    return np.ascontiguousarray(X.reshape(len(X), -1), dtype=np.float32 if X.dtype == np.float32 else np.float64)


def _all_finite(values: Array) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.isfinite(values.sum())) or bool(np.isfinite(values).all())  # a sum may overflow


def as_labels(y: ArrayLike, n: int, classes: int | None = None, name: str = "y") -> NDArray[np.int64]:
    """Check that `y` holds a whole number >= 0 for each of `n` examples, and below `classes` if that is given.

    Raises
    ------
    TypeError
        For labels that are not integers.
    ValueError
        For another number of them than examples, and for a label that no class has.
    """
    y = np.asarray(y)
    if y.dtype.kind not in "iu":
        raise TypeError(f"{name} must hold integers, the numbers of the classes; got {y.dtype}")
    if y.shape != (n,):
        raise ValueError(f"{n} examples need {name} of shape ({n},), got {y.shape}")
    if n and (y.min() < 0 or (classes is not None and y.max() >= classes)):
        bad = y.min() if y.min() < 0 else y.max()
        known = "from 0 on" if classes is None else f"0 … {classes - 1}"
        raise ValueError(f"{name} holds the label {bad}, but the classes are {known}")
    return y.astype(np.int64)


# --- losses ----------------------------------------------------------------------------------


def softmax(scores: ArrayLike) -> Array:
    """Turn each row of scores into probabilities, Eq. (19.9), whatever the size of the scores.

    The largest score of a row is subtracted first: that changes nothing and keeps exp from overflowing.

    Parameters
    ----------
    scores : array of shape (N, C)

    Returns
    -------
    ndarray of shape (N, C)
        Positive (or 0 by underflow), each row sums to 1.

    Raises
    ------
    ValueError
        For another shape, or scores that are NaN or infinite.

    Examples
    --------
    >>> softmax([[1000.0, 1000.0, 0.0]]).tolist()
    [[0.5, 0.5, 0.0]]
    """
    scores = _as_scores(scores)
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def softmax_loss(scores: ArrayLike, y: ArrayLike) -> tuple[float, Array]:
    """Compute the cross-entropy of softmax scores, Eq. (19.10), and its gradient (p - onehot(y)) / N, Eq. (19.12).

    Parameters
    ----------
    scores : array of shape (N, C)
        One row an example, one column a class.
    y : array of shape (N,), int
        The right classes, 0 … C - 1.

    Returns
    -------
    loss : float
        Mean over the examples of -log p[y], in nats; ln C if all scores are equal.
    dscores : ndarray of shape (N, C)
        Derivative of the loss by each score; each row sums to 0.

    Raises
    ------
    TypeError
        For labels that are not integers.
    ValueError
        For shapes that disagree, a label that is none of the C columns, NaN or infinite scores.

    References
    ----------
    .. [1] Bishop, Pattern Recognition and Machine Learning, section 4.3.4.

    Examples
    --------
    >>> loss, dscores = softmax_loss([[0.0, 0.0]], [1])
    >>> round(loss, 6), dscores.tolist()
    (0.693147, [[0.5, -0.5]])
    """
    scores = _as_scores(scores)
    return _softmax_loss(scores, as_labels(y, len(scores), scores.shape[1]))


def _softmax_loss(scores: Array, y: NDArray[np.int64]) -> tuple[float, Array]:
    n = np.arange(len(scores))
    z = scores - scores.max(axis=1, keepdims=True)
    right = z[n, y]
    np.exp(z, out=z)
    total = z.sum(axis=1, keepdims=True)
    loss = float(np.mean(np.log(total[:, 0]) - right))
    z /= total
    z[n, y] -= 1
    z /= len(scores)
    return loss, z


def hinge_loss(scores: ArrayLike, y: ArrayLike, margin: float = 1.0) -> tuple[float, Array]:
    """Compute the multi-class hinge loss, Eq. (19.6), and its gradient, Eq. (19.7).

    A class costs what its score exceeds the right one's, less a margin; the right class costs nothing.

    Parameters
    ----------
    scores : array of shape (N, C)
        One row an example, one column a class.
    y : array of shape (N,), int
        The right classes, 0 … C - 1.
    margin : float
        By how much the right score should win; > 0.

    Returns
    -------
    loss : float
        Mean over the examples; (C - 1) margin if all scores are equal.
    dscores : ndarray of shape (N, C)
        Derivative by each score; at a kink, where a class is exactly at the margin, that of its flat side.

    Raises
    ------
    TypeError
        For labels that are not integers.
    ValueError
        For shapes that disagree, a label that is none of the C columns, NaN or infinite scores, a margin <= 0.

    References
    ----------
    .. [1] Crammer & Singer, 2001 (there with the largest violation only); Weston & Watkins, 1999 (this sum).

    Examples
    --------
    >>> loss, dscores = hinge_loss([[3.0, 2.5, -1.0]], [0])
    >>> loss, dscores.tolist()
    (0.5, [[-1.0, 1.0, 0.0]])
    """
    scores = _as_scores(scores)
    if not 0 < margin < np.inf:
        raise ValueError(f"the margin must be > 0, got {margin}")
    return _hinge_loss(scores, as_labels(y, len(scores), scores.shape[1]), margin)


def _hinge_loss(scores: Array, y: NDArray[np.int64], margin: float = 1.0) -> tuple[float, Array]:
    n = np.arange(len(scores))
    excess = scores - scores[n, y][:, None] + scores.dtype.type(margin)
    excess[n, y] = 0
    np.maximum(excess, 0, out=excess)
    loss = float(excess.sum() / len(scores))
    dscores = (excess > 0).astype(scores.dtype)
    dscores[n, y] = -dscores.sum(axis=1)
    dscores /= len(scores)
    return loss, dscores


def _as_scores(scores: ArrayLike) -> Array:
    scores = np.asarray(scores)
    scores = scores if scores.dtype in (np.float32, np.float64) else scores.astype(np.float64)
    if scores.ndim != 2 or scores.size == 0:
        raise ValueError(f"scores are one row an example and one column a class, (N, C); got shape {scores.shape}")
    if not _all_finite(scores):
        raise ValueError("the scores hold NaN or infinity: has training diverged? Try a smaller rate")
    return scores


LOSSES = {"softmax": _softmax_loss, "hinge": _hinge_loss}
"""The losses of a linear classifier by name: (scores, y) to (loss, dscores)."""


# --- nearest neighbours ----------------------------------------------------------------------


def distances(A: ArrayLike, B: ArrayLike, metric: str = "l2") -> Array:
    """Compute the distance of each example of A to each of B: all of them at once, (N, M).

    Parameters
    ----------
    A, B : array of shape (N, …) and (M, …)
        Examples; images are flattened.
    metric : {"l2", "l1", "cosine"}
        Eq. (19.1): root of the summed squares, sum of the magnitudes, or 1 - cosine of the angle.

    Returns
    -------
    ndarray of shape (N, M)

    Raises
    ------
    ValueError
        For examples of different lengths, an unknown metric, an example of zeros under "cosine".

    Notes
    -----
    "l2" is one matrix product, |a|² + |b|² - 2 a·b: an error of about 1e-8 |a| where the distance is 0.

    Examples
    --------
    >>> distances([[0.0, 0.0]], [[3.0, 4.0]], "l1").tolist()
    [[7.0]]
    """
    A, B = _same_length(A, B, metric)
    own, offset = _squares(A, metric), _squares(B, metric)
    return _from_ranks(_ranks(A, B, metric) + offset, own, metric)


class Neighbors(NamedTuple):
    """The k nearest training examples of each example: ``indices`` (M, k) and ``distance`` (M, k), nearest first."""

    indices: NDArray[np.int64]
    distance: Array


def nearest_neighbors(X_train: ArrayLike, X: ArrayLike, k: int = 1, metric: str = "l2") -> Neighbors:
    """Find the k training examples that are nearest to each example.

    Parameters
    ----------
    X_train, X : array of shape (N, …) and (M, …)
        Examples; images are flattened.
    k : int
        1 … N.
    metric : {"l2", "l1", "cosine"}
        As in `distances`.

    Returns
    -------
    Neighbors
        Nearest first; of equally near ones the earlier in the training set comes first.

    Raises
    ------
    TypeError
        For integer images.
    ValueError
        For k outside 1 … N, examples of different lengths, an unknown metric, NaN.

    Notes
    -----
    M N D products.  The M × N distances are never there at once: a block of four millions is ranked
    and forgotten, so memory stays below about 40 MB beside the data, whatever M.  Distances that differ by
    less than rounding (1e-16 of the squared length) count as equal or not by chance.

    References
    ----------
    .. [1] Cover & Hart, Nearest neighbor pattern classification, 1967, doi:10.1109/TIT.1967.1053964.

    Examples
    --------
    >>> nearest_neighbors([[0.0, 0], [5.0, 0]], [[1.0, 0]], k=2)
    Neighbors(indices=array([[0, 1]]), distance=array([[1., 4.]]))
    """
    X_train, X = _same_length(X_train, X, metric)
    if not 1 <= k <= len(X_train):
        raise ValueError(f"k counts neighbours among {len(X_train)} training examples: 1 … {len(X_train)}, got {k}")
    own, offset = _squares(X, metric), _squares(X_train, metric)
    rows = 1 + BLOCK // len(X_train)
    indices, nearest = np.empty((len(X), k), np.int64), np.empty((len(X), k), X.dtype)
    for i in range(0, len(X), rows):
        part = slice(i, i + rows)
        _k_least(_ranks(X[part], X_train, metric), offset, indices[part], nearest[part])
    return Neighbors(indices, _from_ranks(nearest, own, metric))


def vote(labels: ArrayLike) -> NDArray[np.int64]:
    """Take the most frequent label of each row; of equally frequent ones that which comes first in the row.

    Parameters
    ----------
    labels : array of shape (M, k), int >= 0
        Labels of the neighbours, nearest first: so a tie goes to the class with the nearest member.

    Returns
    -------
    ndarray of shape (M,), int

    Examples
    --------
    >>> vote([[2, 1, 1], [3, 0, 5]]).tolist()
    [1, 3]
    """
    labels = np.asarray(labels)
    if labels.ndim != 2 or labels.size == 0:
        raise ValueError(f"labels of neighbours have shape (M, k), got {labels.shape}")
    rows = as_labels(labels.ravel(), labels.size, name="labels").reshape(labels.shape)
    return _vote(rows, int(rows.max()) + 1)


def knn_predict(
    X_train: ArrayLike, y_train: ArrayLike, X: ArrayLike, k: int = 1, metric: str = "l2"
) -> NDArray[np.int64]:
    """Classify by a vote of the k nearest training examples, Eq. (19.2).

    Parameters
    ----------
    X_train, y_train : array of shape (N, …) and (N,)
        The training set, which is the whole model.
    X : array of shape (M, …)
        What to classify.
    k : int
        Neighbours that vote, 1 … N; equal votes go to the class with the nearest member.
    metric : {"l2", "l1", "cosine"}
        As in `distances`.

    Returns
    -------
    ndarray of shape (M,), int

    Raises
    ------
    TypeError, ValueError
        As `nearest_neighbors`, and for labels that do not fit the examples.

    Examples
    --------
    >>> knn_predict([[0.0], [1.0], [5.0]], [0, 0, 1], [[4.0], [0.5]], k=1).tolist()
    [1, 0]
    """
    y_train = as_labels(y_train, len(np.asarray(X_train)), name="y_train")
    return vote(y_train[nearest_neighbors(X_train, X, k, metric).indices])


def _same_length(A: ArrayLike, B: ArrayLike, metric: str) -> tuple[Array, Array]:
    """Both as rows of one length and precision; unit rows for the cosine."""
    if metric not in METRICS:
        raise ValueError(f"metric is one of {', '.join(METRICS)}; got {metric!r}")
    first, second = as_rows(A, "the first set"), as_rows(B, "the second set")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"examples of one length are compared, got {first.shape[1]} and {second.shape[1]} numbers")
    dtype = np.result_type(first, second)
    first, second = first.astype(dtype, copy=False), second.astype(dtype, copy=False)
    if metric == "cosine":
        lengths = [np.linalg.norm(rows, axis=1, keepdims=True) for rows in (first, second)]
        if any((length == 0).any() for length in lengths):
            raise ValueError("an example of zeros has no direction: the cosine distance is undefined")
        first, second = first / lengths[0], second / lengths[1]
    return first, second


def _squares(A: Array, metric: str) -> Array:
    """|a|² of each row, which `_ranks` leaves out; 0 for l1."""
    return np.zeros(len(A), A.dtype) if metric == "l1" else np.einsum("ij,ij->i", A, A)


def _ranks(A: Array, B: Array, metric: str) -> Array:
    """What is left of the (squared) distances without |a|² and |b|²: one matrix product."""
    return _l1(A, B) if metric == "l1" else (-2 * A) @ B.T


def _from_ranks(ranks: Array, own: Array, metric: str) -> Array:
    if metric == "l1":
        return ranks
    squared = np.maximum(ranks + own[:, None], 0)
    return squared / 2 if metric == "cosine" else np.sqrt(squared)


@njit(**FAST)
def _l1(A, B):
    """Sum of |a - b| of every pair of rows."""
    out = np.empty((len(A), len(B)), A.dtype)
    for i in prange(len(A)):
        for j in range(len(B)):
            out[i, j] = _sum_of_magnitudes(A[i], B[j])
    return out


@njit(**SERIAL)
def _sum_of_magnitudes(a, b):
    total = a[0] - a[0]  # zero of a's precision
    for d in range(len(a)):
        total += abs(a[d] - b[d])
    return total


@njit(**SERIAL)  # no threads here: BLAS has just used them, and two pools fight
def _k_least(ranks, offset, indices, least):
    """Write the k least of each row of ranks + offset, ascending, by insertion; the earlier of equals first."""
    k = indices.shape[1]
    for i in range(len(ranks)):
        row, best, who, filled = ranks[i], least[i], indices[i], 0
        for j in range(len(row)):
            d = row[j] + offset[j]
            if filled < k or d < best[k - 1]:
                filled = min(filled + 1, k)
                m = filled - 1
                while m > 0 and best[m - 1] > d:
                    best[m], who[m] = best[m - 1], who[m - 1]
                    m -= 1
                best[m], who[m] = d, j


@njit(**SERIAL)
def _vote(labels, classes):
    winners = np.empty(len(labels), np.int64)
    count = np.zeros(classes, np.int64)
    for i in range(len(labels)):
        count[:] = 0
        for label in labels[i]:
            count[label] += 1
        winner = labels[i, 0]
        for label in labels[i]:
            if count[label] > count[winner]:
                winner = label
        winners[i] = winner
    return winners


# --- linear classifiers ----------------------------------------------------------------------


class Linear(NamedTuple):
    """A linear classifier, scores = X @ W + b: ``W`` (D, C), ``b`` (C,), and the ``losses`` of its training."""

    W: Array
    b: Array
    losses: Array

    def scores(self, X: ArrayLike) -> Array:
        """Score examples (N, …) for every class, Eq. (19.4): (N, C)."""
        X = as_rows(X)
        if X.shape[1] != len(self.W):
            raise ValueError(f"this classifier was made for {len(self.W)} numbers an example, got {X.shape[1]}")
        return X @ self.W + self.b

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Take the class of the highest score, the first of equals: (N,)."""
        return self.scores(X).argmax(axis=1)


class Training(NamedTuple):
    """How `fit_linear` goes downhill.

    ``rule``, one of `STEPS`; its ``rate``; ``epochs`` through the examples; ``batch``, examples a step,
    all of them for 0.
    """

    rule: str = "momentum"
    rate: float = 0.1
    epochs: int = 30
    batch: int = 64


def linear_loss(
    W: Array, b: Array, X: Array, y: ArrayLike, lam: float = 0.0, loss: str = "softmax"
) -> tuple[float, Array, Array]:
    """Compute loss + lam ΣW² of a linear classifier, Eq. (19.14), and its gradients by W and b.

    Parameters
    ----------
    W, b : ndarray of shape (D, C) and (C,)
    X : ndarray of shape (N, D)
    y : array of shape (N,), int
    lam : float
        Weight of the regularisation, >= 0; it does not touch b.
    loss : {"softmax", "hinge"}

    Returns
    -------
    value : float
    dW, db : ndarray of shape (D, C) and (C,)

    Raises
    ------
    TypeError, ValueError
        For shapes that disagree, unknown labels, lam < 0, another loss, NaN.
    """
    X, W, b = as_rows(X), np.asarray(W), np.asarray(b)
    if W.ndim != 2 or len(W) != X.shape[1] or b.shape != W.shape[1:]:
        raise ValueError(
            f"X {X.shape} needs W of shape ({X.shape[1]}, C) and b of shape (C,), got {W.shape}, {b.shape}"
        )
    y = as_labels(y, len(X), W.shape[1])
    _require_regularised(lam, loss)
    _as_scores(W)
    return _linear_loss(W, b, X, y, lam, loss)


def _linear_loss(W: Array, b: Array, X: Array, y: NDArray[np.int64], lam: float, loss: str) -> Any:
    value, dscores = LOSSES[loss](X @ W + b, y)
    dW = X.T @ dscores
    if lam:
        value += lam * float(np.sum(W * W))
        dW += 2 * lam * W
    return value, dW, dscores.sum(axis=0)


def _to_tell_apart(y: ArrayLike, n: int) -> NDArray[np.int64]:
    """Labels of `n` examples, with two classes at least and an example of each class up to the last."""
    y = as_labels(y, n)
    counts = np.bincount(y)
    if np.count_nonzero(counts) < 2:
        raise ValueError(f"all {n} examples are of class {y[0]}: there is nothing to tell apart")
    if not counts.all():
        raise ValueError(f"no example is of class {counts.argmin()}, though classes go up to {len(counts) - 1}")
    return y


def _require_regularised(lam: float, loss: str) -> None:
    if loss not in LOSSES:
        raise ValueError(f"loss is one of {', '.join(LOSSES)}; got {loss!r}")
    if not 0 <= lam < np.inf:
        raise ValueError(f"the weight lam of the regularisation must be >= 0, got {lam}")


def fit_linear(
    X: ArrayLike,
    y: ArrayLike,
    loss: str = "softmax",
    lam: float = 0.0,
    training: Training = Training(),  # noqa: B008  (a NamedTuple of numbers can't change)
    rng: np.random.Generator | int | None = None,
) -> Linear:
    """Train a linear classifier: start at W = 0, b = 0 and go down the gradient of Eq. (19.14).

    Parameters
    ----------
    X, y : array of shape (N, …) and (N,)
        Examples and their classes, 0 … C - 1.
    loss : {"softmax", "hinge"}
    lam : float
        Weight of the regularisation lam ΣW², >= 0; it does not touch b.
    training : Training
        Step rule, rate, epochs and batch.
    rng : Generator or int, optional
        Shuffles the examples before each epoch; without it they come in their order.

    Returns
    -------
    Linear
        ``losses`` holds the mean loss of each epoch, before the steps that it contributed to.

    Raises
    ------
    TypeError, ValueError
        For input that does not fit, one class only, a class without example, an unknown loss or rule.
    FloatingPointError
        If the loss becomes infinite or NaN: the rate is too large.

    Notes
    -----
    Two matrix products a batch, 4 N D C multiplications an epoch; the threads are BLAS's.

    Examples
    --------
    >>> model = fit_linear(np.array([[0.0], [1.0], [2.0], [3.0]]), [0, 0, 1, 1], training=Training(rate=1.0))
    >>> model.predict(np.array([[-1.0], [9.0]])).tolist()
    [0, 1]
    """
    X = as_rows(X, finite=False)
    y, step, batch = _to_tell_apart(y, len(X)), _step(training.rule), training.batch or len(X)
    _require_regularised(lam, loss)
    shuffle = None if rng is None else random_generator(rng)
    W, b = np.zeros((X.shape[1], y.max() + 1), X.dtype), np.zeros(y.max() + 1, X.dtype)
    memory: tuple[Memory, Memory] = ({}, {})
    losses = np.zeros(training.epochs)
    for epoch in range(training.epochs):
        order = None if shuffle is None else shuffle.permutation(len(X))
        for i in range(0, len(X), batch):
            part = slice(i, i + batch) if order is None else order[i : i + batch]
            with np.errstate(over="ignore", invalid="ignore"):  # told by the loss
                value, dW, db = _linear_loss(W, b, X[part], y[part], lam, loss)
                W, b = step(W, dW, memory[0], training.rate), step(b, db, memory[1], training.rate)
            if not np.isfinite(value):
                as_rows(X)  # NaN that came in is told as such
                raise FloatingPointError(
                    f"the loss is {value} in epoch {epoch} at rate {training.rate}: lower the rate"
                )
            losses[epoch] += value * len(y[part]) / len(y)
    if not (_all_finite(W) and _all_finite(b)):
        raise FloatingPointError(f"the weights are not finite after training at rate {training.rate}: lower the rate")
    return Linear(W, b, losses)


def fit_ridge(X: ArrayLike, y: ArrayLike, lam: float) -> Linear:
    """Solve least squares to one-hot targets with weight decay in closed form, Eq. (19.16).

    Parameters
    ----------
    X, y : array of shape (N, …) and (N,)
    lam : float
        Weight of ΣW² beside the mean over the examples of the squared error; b is free.

    Returns
    -------
    Linear
        The unique minimum; ``losses`` holds its value.

    Raises
    ------
    TypeError, ValueError
        For input that does not fit, one class only, lam < 0, or lam = 0 where X leaves W undetermined.

    References
    ----------
    .. [1] Hoerl & Kennard, Ridge regression, 1970, doi:10.1080/00401706.1970.10488634.

    Examples
    --------
    >>> fit_ridge(np.array([[0.0], [2.0]]), [0, 1], 0.0).W.tolist()
    [[-0.5, 0.5]]
    """
    X = as_rows(X)
    y = _to_tell_apart(y, len(X))
    _require_regularised(lam, "softmax")
    Y = np.eye(y.max() + 1, dtype=X.dtype)[y]
    X_mean, Y_mean = X.mean(axis=0), Y.mean(axis=0)
    Xc, Yc = X - X_mean, Y - Y_mean
    A = Xc.T @ Xc / len(X) + lam * np.eye(X.shape[1], dtype=X.dtype)
    try:
        diagonal = np.diag(np.linalg.cholesky(A))
    except np.linalg.LinAlgError:
        diagonal = np.zeros(1)
    if diagonal.min() ** 2 <= 10 * len(A) * np.finfo(X.dtype).eps * A.diagonal().max():
        raise ValueError(f"{len(X)} examples of {X.shape[1]} numbers leave W undetermined at lam = {lam}: raise lam")
    W = np.linalg.solve(A, Xc.T @ Yc / len(X))
    value = np.sum((Xc @ W - Yc) ** 2) / len(X) + lam * np.sum(W * W)
    return Linear(W, Y_mean - X_mean @ W, np.array([value]))


def largest_rate(X: ArrayLike, lam: float = 0.0, loss: str = "softmax") -> float:
    """Bound the rate of plain descent on all examples at once: 2 / L, Eq. (19.19).

    L bounds the curvature: half the largest eigenvalue of X̃ᵀX̃ / N for "softmax", twice for "ridge", plus
    2 lam; X̃ is X with a column of ones, for b.

    Parameters
    ----------
    X : array of shape (N, …)
    lam : float
    loss : {"softmax", "ridge"}
        The hinge has kinks: no bound.

    Returns
    -------
    float
        Below it every step lowers the loss; nearly exact for "ridge", cautious for "softmax".

    References
    ----------
    .. [1] Böhning, Multinomial logistic regression algorithm, 1992, doi:10.1007/BF00048682.

    Examples
    --------
    >>> round(largest_rate(np.array([[0.0], [0.0]])), 6)
    4.0
    """
    X = as_rows(X)
    if loss not in ("softmax", "ridge"):
        raise ValueError(f"a bound is known for softmax and ridge, got {loss!r}")
    _require_regularised(lam, "softmax")
    ones = np.column_stack([X, np.ones(len(X), X.dtype)])
    largest = np.linalg.norm(ones, 2) ** 2 / len(X)
    return float(2 / (largest * (0.5 if loss == "softmax" else 2.0) + 2 * lam))


# --- going downhill --------------------------------------------------------------------------

Memory = dict[str, Any]
"""What a step rule keeps from one step to the next, for one parameter; start with an empty one."""


def plain_step(w: Array, dw: Array, memory: Memory, rate: float) -> Array:
    """Step against the gradient, Eq. (19.17)."""
    return w - rate * dw


def momentum_step(w: Array, dw: Array, memory: Memory, rate: float, beta: float = 0.9) -> Array:
    """Roll on: the velocity is kept by `beta` and pushed by the gradient, Eq. (19.20)."""
    memory["v"] = beta * memory.get("v", 0.0) - rate * dw
    return w + memory["v"]


def nesterov_step(w: Array, dw: Array, memory: Memory, rate: float, beta: float = 0.9) -> Array:
    """Roll on, with the gradient of where the roll leads to, Eq. (19.21); `w` is that look-ahead point."""
    memory["v"] = beta * memory.get("v", 0.0) - rate * dw
    return w + beta * memory["v"] - rate * dw


def adagrad_step(w: Array, dw: Array, memory: Memory, rate: float, tiny: float = 1e-8) -> Array:
    """Divide each coordinate's step by the root of the squares summed so far, Eq. (19.22)."""
    memory["sum"] = memory.get("sum", 0.0) + dw * dw
    return w - rate * dw / (np.sqrt(memory["sum"]) + tiny)


def adam_step(
    w: Array, dw: Array, memory: Memory, rate: float, betas: tuple[float, float] = (0.9, 0.999), tiny: float = 1e-8
) -> Array:
    """Divide the running mean of the gradient by the root of that of its square, both freed of their start at 0, Eq. (19.23)."""
    t = memory["t"] = memory.get("t", 0) + 1
    memory["m"] = betas[0] * memory.get("m", 0.0) + (1 - betas[0]) * dw
    memory["s"] = betas[1] * memory.get("s", 0.0) + (1 - betas[1]) * dw * dw
    m, s = memory["m"] / (1 - betas[0] ** t), memory["s"] / (1 - betas[1] ** t)
    return w - rate * m / (np.sqrt(s) + tiny)


Step = Callable[..., Array]
STEPS: dict[str, Step] = {
    "plain": plain_step,
    "momentum": momentum_step,
    "nesterov": nesterov_step,
    "adagrad": adagrad_step,
    "adam": adam_step,
}
"""The step rules by name: (w, dw, memory, rate) to the new w; they write to `memory` only."""


def _step(rule: str) -> Step:
    if rule not in STEPS:
        raise ValueError(f"rule is one of {', '.join(STEPS)}; got {rule!r}")
    return STEPS[rule]


def descend(
    gradient: Callable[[Array], Array], start: ArrayLike, rule: str = "plain", rate: float = 0.1, steps: int = 50
) -> Array:
    """Go downhill from `start` and return every place on the way.

    Parameters
    ----------
    gradient : callable
        Gradient at a point, of the point's shape.
    start : array
    rule : str
        One of `STEPS`.
    rate : float
        Learning rate, > 0.
    steps : int

    Returns
    -------
    ndarray of shape (steps + 1, …)
        The start first.

    Raises
    ------
    ValueError
        For an unknown rule, a rate <= 0, or a gradient of another shape.
    FloatingPointError
        If the way leaves the finite numbers.

    Examples
    --------
    >>> descend(lambda w: 2 * w, [1.0], rate=0.25, steps=3).ravel().tolist()
    [1.0, 0.5, 0.25, 0.125]
    """
    step = _step(rule)
    memory: Memory = {}
    if not 0 < rate < np.inf:
        raise ValueError(f"the rate must be > 0, got {rate}")
    path = [np.array(start, dtype=np.float64)]
    for k in range(steps):
        dw = np.asarray(gradient(path[-1]))
        if dw.shape != path[-1].shape:
            raise ValueError(f"the gradient at a point of shape {path[-1].shape} has that shape too, got {dw.shape}")
        if not np.isfinite(dw).all():
            raise FloatingPointError(f"the gradient is not finite after {k} steps at rate {rate}: lower the rate")
        path.append(step(path[-1], dw, memory, rate))
    return np.array(path)


def numeric_gradient(f: Callable[[Array], float], w: ArrayLike, h: float = 1e-5) -> Array:
    """Differentiate by central differences, one entry after the other, Eq. (19.8).

    Parameters
    ----------
    f : callable
        A number for an array.
    w : array
        Where; float64, not written to.
    h : float
        Half the distance of the two places: the error is about h² of the curve and 1e-16 / h of rounding.

    Returns
    -------
    ndarray of w's shape

    Raises
    ------
    TypeError
        For float32: seven digits are too few for differences.
    ValueError
        For h <= 0, or where f is not finite.

    Examples
    --------
    >>> numeric_gradient(lambda w: float(np.sum(w**2)), [1.0, -3.0]).round(6).tolist()
    [2.0, -6.0]
    """
    w = np.asarray(w)
    if w.dtype == np.float32:
        raise TypeError("check gradients in float64: float32 keeps seven digits, the difference loses most of them")
    if not 0 < h < np.inf:
        raise ValueError(f"h must be > 0, got {h}")
    moved = w.astype(np.float64)
    gradient = np.zeros_like(moved)
    for place in np.ndindex(moved.shape):
        kept = moved[place]
        moved[place] = kept + h
        above = f(moved)
        moved[place] = kept - h
        gradient[place] = (above - f(moved)) / (2 * h)
        moved[place] = kept
    if not np.isfinite(gradient).all():
        raise ValueError("the function is NaN or infinite near this point")
    return gradient


def relative_error(a: ArrayLike, b: ArrayLike) -> float:
    """Measure how far two gradients are apart: largest difference over the largest entry of both, 0 if both vanish."""
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape:
        raise ValueError(f"two gradients of one shape are compared, got {a.shape} and {b.shape}")
    size = max(np.abs(a).max(initial=0), np.abs(b).max(initial=0))
    return float(np.abs(a - b).max(initial=0) / size) if size > 0 else 0.0


# --- judging ---------------------------------------------------------------------------------


def accuracy(y: ArrayLike, predicted: ArrayLike) -> float:
    """Give the share of predictions that are right."""
    y = np.asarray(y)
    predicted = np.asarray(predicted)
    if y.shape != predicted.shape or y.ndim != 1 or y.size == 0:
        raise ValueError(f"labels and predictions are two lists of one length, got {y.shape} and {predicted.shape}")
    return float(np.mean(y == predicted))


def wilson_interval(share: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Give the range of true accuracies that a share of `n` independent tests leaves likely, Eq. (19.3).

    Parameters
    ----------
    share : float
        Accuracy found, in [0, 1].
    n : int
        Tests that it was found from.
    z : float
        1.96 for 95 %.

    References
    ----------
    .. [1] Wilson, 1927, doi:10.1080/01621459.1927.10502953.

    Examples
    --------
    >>> low, high = wilson_interval(1.0, 100)
    >>> round(low, 3), round(high, 3)
    (0.963, 1.0)
    """
    if n < 1 or not 0 <= share <= 1:
        raise ValueError(f"a share in [0, 1] of at least one test is needed, got {share} of {n}")
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    return max(0.0, float(middle - half)), min(1.0, float(middle + half))


def confusion_matrix(y: ArrayLike, predicted: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Count how often class i (row) was called class j (column).

    Parameters
    ----------
    y, predicted : array of shape (N,), int
    classes : int
        C; labels are 0 … C - 1.

    Returns
    -------
    ndarray of shape (C, C), int
        Rows sum to the number of examples of each class; the trace over N is the accuracy.

    Raises
    ------
    TypeError, ValueError
        For labels that are not integers, of different numbers, or outside 0 … C - 1.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1], [0, 1, 1], 2).tolist()
    [[1, 1], [0, 1]]
    """
    y = as_labels(y, np.asarray(y).size, classes)
    predicted = as_labels(predicted, len(y), classes, "predicted")
    return np.bincount(y * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def k_folds(y: ArrayLike, k: int, rng: np.random.Generator | int) -> list[NDArray[np.int64]]:
    """Deal the examples into k parts of nearly one size, each class in turn, so that all parts have its share.

    Parameters
    ----------
    y : array of shape (N,), int
        Only used to share out the classes.
    k : int
        2 … N; no class may have fewer than 2 examples, or it would be missing where one trains.
    rng : Generator or int

    Returns
    -------
    list of k arrays of int
        Indices, ascending; every example is in exactly one part.

    Raises
    ------
    ValueError
        For k outside 2 … N, or a class with one example only.

    Examples
    --------
    >>> [len(fold) for fold in k_folds([0, 0, 0, 0, 1, 1, 1], 3, 0)]
    [3, 2, 2]
    """
    y = as_labels(y, np.asarray(y).size)
    if not 2 <= k <= len(y):
        raise ValueError(f"{len(y)} examples can be dealt into 2 … {len(y)} parts, got k = {k}")
    if (alone := np.flatnonzero(np.bincount(y) == 1)).size:
        raise ValueError(f"class {alone[0]} has one example only: it cannot be on both sides")
    shuffled = random_generator(rng).permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    return [np.sort(by_class[part::k]) for part in range(k)]


Classifier = Callable[[Array, NDArray[np.int64], Array], Array]
"""Trains and predicts: (X_train, y_train, X) to the labels of X; it never sees those of X."""


def cross_validate(classifier: Classifier, X: ArrayLike, y: ArrayLike, k: int, rng: np.random.Generator | int) -> Array:
    """Train k times on all parts but one, and give the accuracy on each part left out.

    Parameters
    ----------
    classifier : callable
        (X_train, y_train, X_left_out) to predicted labels.
    X, y : array of shape (N, …) and (N,)
    k : int
    rng : Generator or int
        Deals the parts.

    Returns
    -------
    ndarray of shape (k,)

    Raises
    ------
    ValueError
        As `k_folds`, and if the classifier returns another number of labels.

    References
    ----------
    .. [1] Stone, 1974, doi:10.1111/j.2517-6161.1974.tb00994.x.

    Examples
    --------
    >>> X, y = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]]), np.array([0, 0, 0, 1, 1, 1])
    >>> cross_validate(knn_predict, X, y, 3, rng=0).tolist()
    [1.0, 1.0, 1.0]
    """
    X, y = np.asarray(X), as_labels(y, len(np.asarray(X)))
    found = []
    for part in k_folds(y, k, rng):
        kept = np.delete(np.arange(len(y)), part)
        found.append(accuracy(y[part], classifier(X[kept], y[kept], X[part])))
    return np.array(found)


class LieTest(NamedTuple):
    """What an evaluation claims on labels that mean nothing: ``claims`` (runs,), and ``chance``, the most it may hope for."""

    claims: Array
    chance: float

    @property
    def sigma(self) -> float:
        """Standard error of the mean claim."""
        return float(self.claims.std(ddof=1) / np.sqrt(len(self.claims)))

    @property
    def caught(self) -> bool:
        """Tell whether the mean claim lies above chance by more than four standard errors."""
        return bool(self.claims.mean() > self.chance + 4 * self.sigma + 1e-12)


Evaluation = Callable[[Any, NDArray[np.int64], np.random.Generator], float]
"""A whole experiment: (X, y, rng) to the accuracy that it claims."""


def lie_detector(
    evaluation: Evaluation, X: ArrayLike, y: ArrayLike, runs: int = 10, rng: np.random.Generator | int = 0
) -> LieTest:
    """Run a whole experiment on shuffled labels, Eq. (19.24): whoever claims more than chance has seen the answers.

    Parameters
    ----------
    evaluation : callable
        (X, y, rng) to claimed accuracy, with everything that is done to the data inside.
    X, y : array of shape (N, …) and (N,)
    runs : int
        Number of shuffles, >= 2.
    rng : Generator or int

    Returns
    -------
    LieTest
        ``chance`` is the share of the largest class: nobody who does not know the labels has more on average.

    Raises
    ------
    ValueError
        For fewer than two runs, or one class only: every claim is true then.

    Notes
    -----
    Only leaks that carry labels are caught.  Test images that resemble training images more than future
    ones will (the same writer, the same photograph) are not: shuffling breaks that tie too.

    References
    ----------
    .. [1] Ojala & Garriga, Permutation tests for studying classifier performance, JMLR 11, 2010.

    Examples
    --------
    >>> X, y = np.arange(20.0)[:, None], np.arange(20) % 2
    >>> lie_detector(lambda X, y, rng: accuracy(y, knn_predict(X, y, X)), X, y).caught
    True
    """
    X, y = np.asarray(X), as_labels(y, len(np.asarray(X)))
    if runs < 2:
        raise ValueError(f"at least two shuffles are needed, got {runs}")
    if len(np.unique(y)) < 2:
        raise ValueError("all labels are the same: shuffling changes nothing")
    rng = random_generator(rng)
    claims = np.array([evaluation(X, rng.permutation(y), rng) for _ in range(runs)])
    return LieTest(claims, float(np.bincount(y).max() / len(y)))


def shift(images: Array, dx: int = 0, dy: int = 0) -> Array:
    """Move images (N, H, W) or (N, H, W, 3) by whole pixels, right and down; what comes in is 0.

    Examples
    --------
    >>> shift(np.array([[[1.0, 2.0], [3.0, 4.0]]]), dx=1).tolist()
    [[[0.0, 1.0], [0.0, 3.0]]]
    """
    images = np.asarray(images)
    if images.ndim not in (3, 4):
        raise ValueError(f"images have shape (N, H, W) or (N, H, W, 3), got {images.shape}")
    moved, (h, w) = np.zeros_like(images), images.shape[1:3]
    if abs(dx) < w and abs(dy) < h:
        to, back = (
            (slice(max(0, s * dy), h + min(0, s * dy)), slice(max(0, s * dx), w + min(0, s * dx))) for s in (1, -1)
        )
        moved[:, *to] = images[:, *back]
    return moved

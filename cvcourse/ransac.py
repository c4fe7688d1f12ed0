"""RANSAC: fit a model to data of which a part is wrong, by trying small samples and counting who agrees.

`ransac` is one loop over any pair of functions that fit a model and measure residuals; its rounds can
be watched one by one through `trials`.  `ransac_homography` is the same loop compiled for
homographies.  `rounds_needed`, `exact_rounds` and `residual_threshold` give its numbers.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from cvcourse.alignment import SQUARE_LOSES, _dlt_loop, _show_scale, fit_homography, transfer_errors
from cvcourse.compiled import SERIAL
from cvcourse.homogeneous import as_points, random_generator
from cvcourse.images import Array
from cvcourse.transforms import FLAT, homography_of_four

MAX_ROUNDS = 10_000
"""Rounds after which a search ends even if the confidence asks for more."""

REFITS = 20  # the set of inliers settles after two or three; it could also go in circles
BLOCK = 128  # pairs that are counted before a model may be given up
HOPELESS = 4.0  # standard deviations below the best model's share of inliers, Eq. (10.11)


class Estimator(NamedTuple):
    """What `ransac` must know of a model; four things that belong together, so they are one argument.

    ``fit(src, dst)`` estimates it from `sample_size` or more rows, raising ValueError if they do not
    determine it; ``residuals(model, src, dst)`` gives one number >= 0 a row; ``is_degenerate(src, dst)``
    rejects a sample before it is fitted.
    """

    fit: Callable[[Any, Any], Any]
    residuals: Callable[[Any, Any, Any], Any]
    sample_size: int
    is_degenerate: Callable[[Any, Any], bool] | None = None


class Trial(NamedTuple):
    """One round: indices of its sample, its model (None if rejected), who agrees, and the rounds needed by now."""

    sample: NDArray[np.int64]
    model: Any
    inliers: NDArray[np.bool_]
    needed: float


class Consensus(NamedTuple):
    """The model with the most support, refitted; its inliers (N,), bool; the number of rounds that were run."""

    model: Any
    inliers: NDArray[np.bool_]
    rounds: int


# --- how many rounds -------------------------------------------------------------------------


def rounds_needed(inlier_ratio: float, sample_size: int, confidence: float = 0.99) -> float:
    """Count the rounds after which one sample was clean with probability `confidence`, Eq. (10.4).

    Parameters
    ----------
    inlier_ratio : float
        Probability p that a point is an inlier, 0 … 1.
    sample_size : int
        Points s in a sample, >= 1.
    confidence : float
        Probability P of at least one sample without an outlier, 0 < P < 1.

    Returns
    -------
    int, or infinity
        At least 1.  Infinity for p = 0, and where p**s is too small for a float.

    Raises
    ------
    ValueError
        For arguments out of range; certainty, P = 1, would take infinitely many rounds.

    Notes
    -----
    The points of a sample count as independent, as if drawn with replacement: for few points see
    `exact_rounds`.  A sample without an outlier need not give a good model if the inliers are noisy.

    References
    ----------
    .. [1] Fischler & Bolles, Random sample consensus, 1981, doi:10.1145/358669.358692.

    Examples
    --------
    >>> rounds_needed(0.5, 4), rounds_needed(1, 4), rounds_needed(0, 4)
    (72, 1, inf)
    """
    if not 0 <= inlier_ratio <= 1:
        raise ValueError(f"inlier_ratio is a probability, 0 … 1, got {inlier_ratio}")
    _require_sample_size(sample_size)
    return _rounds(float(inlier_ratio) ** sample_size, _require_confidence(confidence))


def exact_rounds(inliers: int, n: int, sample_size: int, confidence: float = 0.99) -> float:
    """Count the rounds as `rounds_needed` does, for samples without repetition from n points, Eq. (10.6).

    Parameters
    ----------
    inliers, n : int
        Of n points so many are inliers.
    sample_size : int
        Points s in a sample, 1 <= s <= n.
    confidence : float
        Probability P of at least one sample without an outlier, 0 < P < 1.

    Returns
    -------
    int, or infinity
        Infinity for fewer than s inliers: no sample can be clean.

    Raises
    ------
    ValueError
        For arguments out of range.

    References
    ----------
    .. [1] The chance of a clean sample is that of the hypergeometric distribution, C(k, s) / C(n, s).

    Examples
    --------
    >>> exact_rounds(6, 12, 4), rounds_needed(6 / 12, 4)
    (150, 72)
    """
    _require_sample_size(sample_size)
    if not sample_size <= n:
        raise ValueError(f"a sample of {sample_size} cannot be drawn from {n} points")
    if not 0 <= inliers <= n:
        raise ValueError(f"of {n} points 0 … {n} are inliers, got {inliers}")
    return _rounds(_clean_chance(int(inliers), int(n), int(sample_size)), _require_confidence(confidence))


@njit(**SERIAL)
def _clean_chance(inliers, n, sample_size):
    """C(k, s) / C(n, s) as a product of s factors, so that no factorial overflows."""
    chance = 1.0
    for i in range(sample_size):
        chance *= max(inliers - i, 0) / (n - i)
    return chance


def _rounds(chance: float, confidence: float) -> float:
    """log(1 - P) / log(1 - chance), rounded up, Eq. (10.7)."""
    if chance <= 0:
        return math.inf
    if chance >= 1:
        return 1
    rounds = math.log1p(-confidence) / math.log1p(-chance)
    return max(1, math.ceil(rounds * (1 - 1e-12))) if math.isfinite(rounds) else math.inf  # 2 + 4e-16 is 2


def residual_threshold(sigma: float, dim: int = 2, coverage: float = 0.95) -> float:
    """Choose the threshold below which the share `coverage` of the inliers' residuals lie, Eq. (10.9).

    The squared length of `dim` independent Gaussian errors is sigma^2 times a chi-squared variable.

    Parameters
    ----------
    sigma : float
        Standard deviation of the noise in each coordinate of a residual, > 0, in its unit.
    dim : int
        Coordinates that make up a residual: 2 for a distance between points, 1 for one from a line.
    coverage : float
        Share of the inliers to keep, 0 < coverage < 1.

    Returns
    -------
    float
        For residuals, not for their squares.

    Raises
    ------
    ValueError
        For arguments out of range.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 4.7.1.

    Examples
    --------
    >>> round(residual_threshold(1.0), 3), round(residual_threshold(1.0, dim=1), 3)
    (2.448, 1.96)
    """
    if not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma is a standard deviation > 0, got {sigma}")
    if dim < 1 or dim != int(dim):
        raise ValueError(f"dim is a number of coordinates, 1 or more, got {dim}")
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is a share between 0 and 1, got {coverage}")
    from scipy.special import gammaincinv

    return float(sigma * math.sqrt(2 * gammaincinv(dim / 2, coverage)))


# --- the generic loop ------------------------------------------------------------------------


def ransac(
    src: ArrayLike,
    dst: ArrayLike,
    estimator: Estimator,
    threshold: float,
    *,
    rng: np.random.Generator | int,
    confidence: float = 0.99,
    max_rounds: int = MAX_ROUNDS,
) -> Consensus:
    """Find the model that most pairs agree with, and fit it to all of them.

    Draw a sample of the least size, fit, count who lies within the threshold, keep the best, Eq. (10.1);
    end when the best one's share of inliers makes a better one unlikely, Eq. (10.8).  Then refit to all
    inliers, and choose them anew, until they stay the same.

    Parameters
    ----------
    src, dst : array with N rows
        What the model relates: points, or the x and the y that a line goes through.
    estimator : Estimator
        How to fit the model and to measure residuals; `HOMOGRAPHY` is one.
    threshold : float
        Largest residual of an inlier, > 0, in the residuals' unit; see `residual_threshold`.
    rng : Generator or int
        Chooses the samples.
    confidence : float
        Probability of having drawn one clean sample, if the best model has all inliers.
    max_rounds : int
        End after so many rounds in any case.

    Returns
    -------
    Consensus
        ``inliers`` are those of the refitted ``model``, so at the same threshold.

    Raises
    ------
    ValueError
        If the lengths disagree, there are fewer rows than a sample needs, arguments are out of range,
        or no sample gave a model.
    TypeError
        If rng is neither a Generator nor an int.

    Notes
    -----
    A model always fits its own sample: a consensus of hardly more than `sample_size` says nothing.
    The *largest* consensus wins; whether it is the wanted one, RANSAC cannot know.

    References
    ----------
    .. [1] Fischler & Bolles, Random sample consensus, 1981, doi:10.1145/358669.358692.

    Examples
    --------
    >>> line = Estimator(lambda x, y: np.polyfit(x, y, 1), lambda m, x, y: abs(np.polyval(m, x) - y), 2)
    >>> ransac([0, 1, 2, 3, 4], [1, 3, 9, 7, 9], line, 0.1, rng=0).inliers
    array([ True,  True, False,  True,  True])
    """
    src, dst = np.asarray(src), np.asarray(dst)
    best: Trial | None = None
    rounds = 0
    for trial in trials(src, dst, estimator, threshold, rng=rng, confidence=confidence):
        rounds += 1
        if trial.inliers.sum() > (best.inliers.sum() if best else 0):
            best = trial
        if rounds >= min(trial.needed, _require_rounds(max_rounds)):
            break
    if best is None:
        raise ValueError(f"no model in {rounds} rounds: all samples were degenerate, or fitted not even themselves")
    return Consensus(*_refit(src, dst, estimator, threshold, best), rounds)


def trials(
    src: ArrayLike,
    dst: ArrayLike,
    estimator: Estimator,
    threshold: float,
    *,
    rng: np.random.Generator | int,
    confidence: float = 0.99,
) -> Iterator[Trial]:
    """Run the rounds of `ransac` one by one, without end: who calls decides when to stop.

    Parameters
    ----------
    src, dst, estimator, threshold, rng, confidence
        As for `ransac`.

    Yields
    ------
    Trial
        ``needed`` is the number of rounds after which to stop, by the best round so far, Eq. (10.8).

    Raises
    ------
    ValueError, TypeError
        As for `ransac`, at the first round; also if `residuals` gives anything but N numbers.

    Examples
    --------
    >>> line = Estimator(lambda x, y: np.polyfit(x, y, 1), lambda m, x, y: abs(np.polyval(m, x) - y), 2)
    >>> first = next(trials([0, 1, 2, 3, 4], [1, 3, 9, 7, 9], line, 0.1, rng=0))
    >>> len(first.sample), int(first.inliers.sum()), first.needed
    (2, 4, 6)
    """
    src, dst, rng = np.asarray(src), np.asarray(dst), random_generator(rng)
    n, size = _require_data(src, dst, estimator.sample_size, threshold), estimator.sample_size
    needed, most, nobody = math.inf, 0, np.zeros(n, dtype=bool)
    _require_confidence(confidence)
    while True:
        sample = rng.choice(n, size, replace=False)
        model, inliers = _fit_or_none(estimator, src[sample], dst[sample]), nobody
        if model is not None:
            inliers = _agreeing(estimator, model, src, dst, threshold)
        if inliers.sum() > most:
            most = int(inliers.sum())
            needed = exact_rounds(most, n, size, confidence)
        yield Trial(sample, model, inliers, needed)


def _fit_or_none(estimator: Estimator, src: Array, dst: Array) -> Any:
    """The model of some rows, or None if they do not determine one."""
    if estimator.is_degenerate is not None and estimator.is_degenerate(src, dst):
        return None
    try:
        return estimator.fit(src, dst)
    except ValueError:
        return None


def _agreeing(estimator: Estimator, model: Any, src: Array, dst: Array, threshold: float) -> NDArray[np.bool_]:
    """Which rows have a residual within the threshold, Eq. (10.1); NaN does not."""
    residuals = np.asarray(estimator.residuals(model, src, dst))
    if residuals.shape != (len(src),):
        raise ValueError(f"residuals must give {len(src)} numbers, one a row, got shape {residuals.shape}")
    return residuals <= threshold


def _refit(src: Array, dst: Array, estimator: Estimator, threshold: float, best: Trial) -> tuple[Any, NDArray]:
    """Fit to all inliers, choose the inliers anew, and so on until they stay the same."""
    model, inliers = best.model, best.inliers
    for _ in range(REFITS):
        try:
            model = estimator.fit(src[inliers], dst[inliers])
        except ValueError:  # all on one line, say: then the model before is the best there is
            break
        before, inliers = inliers, _agreeing(estimator, model, src, dst, threshold)
        if np.array_equal(before, inliers):
            break
    return model, inliers


# --- homographies ----------------------------------------------------------------------------


def is_twisted(src: ArrayLike, dst: ArrayLike) -> bool:
    """Tell whether four pairs cannot be two photographs of a plane: flat or inconsistently turned, Eq. (10.10).

    A camera sees a plane from one side: of the four triangles among the points either all keep their
    sense of turning or all change it (in a mirror).  Otherwise the homography through the four pairs
    sends points between them to infinity.

    Parameters
    ----------
    src, dst : array of shape (4, 2)

    Returns
    -------
    bool
        True as well if three of the points lie on a line in either picture.

    Raises
    ------
    ValueError
        If there are not four points of two finite coordinates each.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., chapter 21 (cheirality).

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> is_twisted(square, 2 * square), is_twisted(square, square[[0, 2, 1, 3]])
    (False, True)
    """
    src, dst = as_points(src, name="src"), as_points(dst, name="dst")
    if not len(src) == len(dst) == 4:
        raise ValueError(f"four pairs are needed, got {len(src)} and {len(dst)} points")
    return bool(_is_twisted(np.ascontiguousarray(src), np.ascontiguousarray(dst)))


@njit(**SERIAL)
def _is_twisted(src, dst):
    """Compare the signs of the areas of the four triangles, Eq. (10.10)."""
    same = 0
    for k in range(4):
        i, j, m = (k + 1) % 4, (k + 2) % 4, (k + 3) % 4
        a, b = _area(src, i, j, m), _area(dst, i, j, m)
        if a * b == 0:
            return True
        same += 1 if a * b > 0 else -1
    return abs(same) != 4


@njit(**SERIAL)
def _area(p, i, j, k):
    """Twice the signed area of the triangle i j k."""
    return (p[j, 0] - p[i, 0]) * (p[k, 1] - p[i, 1]) - (p[j, 1] - p[i, 1]) * (p[k, 0] - p[i, 0])


HOMOGRAPHY = Estimator(fit_homography, transfer_errors, 4, is_twisted)
"""Homographies by the direct linear transform, residuals in pixels of the destination."""


def ransac_homography(
    src: ArrayLike,
    dst: ArrayLike,
    threshold: float,
    *,
    rng: np.random.Generator | int,
    confidence: float = 0.99,
    max_rounds: int = MAX_ROUNDS,
) -> Consensus:
    """Find the homography that most pairs agree with: ``ransac(..., HOMOGRAPHY, ...)``, compiled.

    The same rounds on other random numbers, and the same refit.  Three things make it fast: the
    homography through four pairs is a closed formula; most samples with an outlier are known by their
    turning before it; and a model is given up after a part of the pairs if it stands no chance,
    Eq. (10.11).

    Parameters
    ----------
    src, dst : array of shape (N, 2)
        Corresponding points (x, y), N >= 4, of which some are wrong.
    threshold : float
        Largest distance ``|H src - dst|`` of an inlier, > 0, in pixels of the destination.
    rng : Generator or int
        Gives the seed of the samples: one number is drawn from it.
    confidence : float
        Probability of having drawn one clean sample, if the best model has all inliers.
    max_rounds : int
        End after so many rounds in any case.

    Returns
    -------
    Consensus
        The homography scaled as `fit_homography` scales it, its inliers (N,), and the rounds.

    Raises
    ------
    ValueError
        If the lengths disagree, N < 4, a coordinate is not finite, arguments are out of range, or no
        sample gave a model.
    TypeError
        If rng is neither a Generator nor an int.

    Notes
    -----
    A quarter of a microsecond a round: 0.2 ms for 1000 pairs with 30 % inliers.  Giving up loses a
    model as good as the best with a chance of 1 in 30,000 at each block of 128 pairs.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Algorithm 4.6.
    .. [2] Matas & Chum, Randomized RANSAC with T(d,d) test, 2004, doi:10.1016/j.imavis.2004.02.009.

    Examples
    --------
    >>> src = np.random.default_rng(0).uniform(0, 100, (20, 2))
    >>> dst = np.where(np.arange(20)[:, None] < 12, src + [5, 3], 50)
    >>> found = ransac_homography(src, dst, 1.0, rng=0)
    >>> found.model.round(6) + 0.0, int(found.inliers.sum())
    (array([[1., 0., 5.],
           [0., 1., 3.],
           [0., 0., 1.]]), 12)
    """
    src, dst = np.ascontiguousarray(as_points(src, name="src")), np.ascontiguousarray(as_points(dst, name="dst"))
    _require_data(src, dst, 4, threshold)
    seed = np.uint64(random_generator(rng).integers(2**63))
    miss = math.log1p(-_require_confidence(confidence))
    H, rounds = _search_loop(src, dst, float(threshold) ** 2, miss, _require_rounds(max_rounds), seed)
    if not H.any():
        raise ValueError(f"no model in {rounds} rounds: all samples were degenerate, or fitted not even themselves")
    refitted, inliers, good = _refit_loop(src, dst, H, float(threshold) ** 2)
    if good:
        return Consensus(_show_scale(refitted, src), inliers, rounds)
    best = Trial(np.empty(0, np.int64), H, _agreeing(HOMOGRAPHY, H, src, dst, threshold), rounds)
    return Consensus(*_refit(src, dst, HOMOGRAPHY, threshold, best), rounds)  # hardly spread points: take care


@njit(**SERIAL)
def _random(state, n):
    """A number below n, and the next state of the generator (SplitMix64): the seed alone decides."""
    state += np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    return np.int64(((z >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)), state


@njit(**SERIAL)
def _shuffled(src, dst, state):
    """The pairs in random order, a row for each of x, y, x' and y'."""
    n = len(src)
    order = np.arange(n)
    for i in range(n - 1, 0, -1):
        j, state = _random(state, i + 1)
        order[i], order[j] = order[j], order[i]
    columns = np.empty((4, n))
    for i in range(n):
        columns[0, i], columns[1, i] = src[order[i], 0], src[order[i], 1]
        columns[2, i], columns[3, i] = dst[order[i], 0], dst[order[i], 1]
    return columns, state


@njit(**SERIAL)
def _draw_four(columns, p, q, state):
    """Four different pairs, into p and q."""
    n = columns.shape[1]
    a, state = _random(state, n)
    b, state = _random(state, n - 1)
    c, state = _random(state, n - 2)
    d, state = _random(state, n - 3)
    b += b >= a  # the numbers below n without a ...
    low, high = min(a, b), max(a, b)
    c += c >= low
    c += c >= high
    first, last = min(low, c), max(high, c)
    middle = a + b + c - first - last
    d += d >= first
    d += d >= middle
    d += d >= last
    for k, i in enumerate((a, b, c, d)):
        p[k, 0], p[k, 1], q[k, 0], q[k, 1] = columns[0, i], columns[1, i], columns[2, i], columns[3, i]
    return state


@njit(**SERIAL)
def _count_block(x, y, u, v, H, squared):
    """How many pairs lie within the threshold, without a division: |(w u, w v) - H (x, y, 1)|^2 <= (w t)^2."""
    a, b, c, d, e, f, g, h, i = H[0, 0], H[0, 1], H[0, 2], H[1, 0], H[1, 1], H[1, 2], H[2, 0], H[2, 1], H[2, 2]
    count = 0.0
    for k in range(x.size):
        w = g * x[k] + h * y[k] + i
        du = a * x[k] + b * y[k] + c - u[k] * w
        dv = d * x[k] + e * y[k] + f - v[k] * w
        count += 1.0 if du * du + dv * dv <= squared * w * w else 0.0
    return count


@njit(**SERIAL)
def _count(columns, H, squared, best):
    """Count the inliers of H; 0 as soon as it cannot, or hardly can, have more than `best`, Eq. (10.11)."""
    n = columns.shape[1]
    x, y, u, v = columns[0], columns[1], columns[2], columns[3]
    share, count = best / n, 0.0
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        count += _count_block(x[start:stop], y[start:stop], u[start:stop], v[start:stop], H, squared)
        expected = stop * share
        if count + n - stop <= best or (stop < n and count < expected - HOPELESS * np.sqrt(expected * (1 - share))):
            return 0.0
    return count


@njit(**SERIAL)
def _search_loop(src, dst, squared, miss, max_rounds, seed):
    """The homography through four pairs that most pairs agree with (zeros if there is none), and the rounds."""
    columns, state = _shuffled(src, dst, seed)
    n = len(src)
    best, needed, rounds = 0.0, float(max_rounds), 0
    best_H, p, q = np.zeros((3, 3)), np.empty((4, 2)), np.empty((4, 2))
    while rounds < needed:
        rounds += 1
        state = _draw_four(columns, p, q, state)
        if _is_twisted(p, q):
            continue
        H, flat_src, flat_dst = homography_of_four(p, q)
        if flat_src <= FLAT or flat_dst <= FLAT:
            continue
        count = _count(columns, H, squared, best)
        if count > best:
            best = count
            best_H[:] = H
            chance = _clean_chance(best, n, 4)
            needed = min(needed, miss / np.log1p(-chance)) if chance < 1 else 0.0  # Eq. (10.8)
    return best_H, rounds


@njit(**SERIAL)
def _within(src, dst, H, squared):
    """Which pairs lie within the threshold."""
    inliers = np.empty(len(src), np.bool_)
    for k in range(len(src)):
        x, y = src[k, 0], src[k, 1]
        w = H[2, 0] * x + H[2, 1] * y + H[2, 2]
        du = H[0, 0] * x + H[0, 1] * y + H[0, 2] - dst[k, 0] * w
        dv = H[1, 0] * x + H[1, 1] * y + H[1, 2] - dst[k, 1] * w
        inliers[k] = du * du + dv * dv <= squared * w * w
    return inliers


@njit(**SERIAL)
def _refit_loop(src, dst, H, squared):
    """`_refit` for homographies; at the end, whether every fit was beyond doubt."""
    inliers = _within(src, dst, H, squared)
    for _ in range(REFITS):
        refitted, trust = _dlt_loop(src[inliers], dst[inliers])
        if not trust > SQUARE_LOSES:
            return H, inliers, False
        before, H = inliers, refitted
        inliers = _within(src, dst, H, squared)
        if np.all(inliers == before):
            break
    return H, inliers, True


# --- checks at the door ----------------------------------------------------------------------


def _require_data(src: Array, dst: Array, sample_size: int, threshold: float) -> int:
    """Check what a search is given; the number of rows."""
    _require_sample_size(sample_size)
    if src.ndim == 0 or dst.ndim == 0 or len(src) != len(dst):
        raise ValueError(f"src and dst need the same number of rows, got shapes {src.shape} and {dst.shape}")
    if len(src) < sample_size:
        raise ValueError(f"a sample takes {sample_size} pairs, got {len(src)}")
    if not (math.isfinite(threshold) and threshold > 0):
        raise ValueError(f"threshold is the largest residual of an inlier, > 0, got {threshold}")
    return len(src)


def _require_sample_size(sample_size: int) -> None:
    if sample_size < 1 or sample_size != int(sample_size):
        raise ValueError(f"a sample has 1 or more points, got {sample_size}")


def _require_confidence(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a probability between 0 and 1, both excluded, got {confidence}")
    return float(confidence)


def _require_rounds(max_rounds: int) -> int:
    if max_rounds < 1:
        raise ValueError(f"max_rounds must be 1 or more, got {max_rounds}")
    return int(max_rounds)

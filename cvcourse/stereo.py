"""Stereo: depth from two pictures whose rows correspond, by the disparity of each pixel.

In a rectified pair a point seen at (x, y) on the left appears at (x - d, y) on the right; d is its disparity,
and its depth is ``f B / (d + offset)``.  `match` runs the whole way: costs, semi-global matching, checks, filling.

A disparity map has the left picture's shape and holds pixels; what is not finite is unknown, and comes back as NaN.  A search range
(first, last) is in whole pixels, both ends included.  Costs are small where two windows agree.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from cvcourse import cameras, descriptors, filtering
from cvcourse.compiled import FAST
from cvcourse.homogeneous import transform_points
from cvcourse.images import Array, as_gray, require_image
from cvcourse.sampling import _is_count, _one_of, _shape

COSTS = ("sad", "ssd", "ncc", "census")
SAD, SSD, NCC = range(3)
REASONS = ("found", "outside the right picture", "flat", "end of the search range", "seen by one camera only")
FOUND, OUTSIDE, FLAT, END, HIDDEN = range(5)
BAND = 64  # rows that share their running sums
NO_TEXTURE = 3e-4  # standard deviation, a tenth of a gray level of 255: below it a window is flat
SAME_COST = 1e-6  # a cost curve that varies less, relative to 1, has no minimum
CONTRAST = 0.05  # step in brightness at which a jump of disparity costs half
SMALL_STEP, LARGE_STEP = 3.0, 40.0  # penalties of `match`, in bits of the census
FEWEST = 12  # matched features that make a statement about rows
# Infinity marks candidates that do not exist, so of fast arithmetic all but "no infinities" is allowed.
INFINITE: dict[str, Any] = {**FAST, "fastmath": {"reassoc", "contract", "arcp", "nsz", "nnan"}}
INNER: dict[str, Any] = {key: value for key, value in INFINITE.items() if key != "parallel"}


class CostVolume(NamedTuple):
    """Costs (H, W, D): ``cost[y, x, k]`` compares left (x, y) with right (x - d, y), d = first + k; inf: no such pixel."""

    cost: Array
    first: int


class Path(NamedTuple):
    """The cheapest disparities along a line, as indices (W,), and their total cost."""

    chosen: NDArray[np.int64]
    cost: float


class Matched(NamedTuple):
    """Disparities (H, W), and why a pixel has no measured one: a number (H, W) into `REASONS`, 0 where it has."""

    disparity: Array
    reason: NDArray[np.uint8]


class Cloud(NamedTuple):
    """Points in space (N, 3), in the left camera's frame, and the pixels (N, 2) that show them, (x, y)."""

    X: Array
    x: Array


class Rectified(NamedTuple):
    """How to redraw a pair so that rows correspond.

    Homographies from the pictures as taken to the rectified ones, the new intrinsics, the rotation that both then
    share (world to camera), and the distance of the centres, in the unit of the world.
    """

    H_left: Array
    H_right: Array
    K_left: Array
    K_right: Array
    R: Array
    baseline: float

    @property
    def offset(self) -> float:
        """Difference of the principal points, right minus left, in pixels: what Eq. (15.3) adds to d."""
        return float(self.K_right[0, 2] - self.K_left[0, 2])


# --- costs -----------------------------------------------------------------------------------


def cost_volume(left: Array, right: Array, search: tuple[int, int], cost: str = "ncc", size: int = 7) -> CostVolume:
    """Compare each left window with every right window of its row in the search range, Eqs. (15.7)-(15.10).

    Parameters
    ----------
    left, right : ndarray of shape (H, W)
        Rectified gray pictures of one size and precision.
    search : (first, last)
        Disparities to try, whole pixels, both included; negative ones are allowed.
    cost : {"sad", "ssd", "ncc", "census"}
        Mean absolute difference, mean squared difference, 1 - normalised cross-correlation (0 ... 2), or the number
        of bits that differ of "is this neighbour darker than the middle".
    size : int
        Side of the window, odd; 3, 5 or 7 for the census, whose bits must fit into 64.

    Returns
    -------
    CostVolume
        Of the pictures' precision.  Beyond its border a picture is mirrored.

    Raises
    ------
    TypeError, ValueError
        For pictures that are not gray floating point of one shape and precision, a search range that is no pair of
        whole numbers in order or lies outside the picture's width, an unknown cost, an even or too large size,
        or a picture that is constant.

    Notes
    -----
    Running sums: the work is H W D whatever the size, as is the memory (4 bytes each in float32).

    References
    ----------
    .. [1] Scharstein & Szeliski, A taxonomy and evaluation of dense two-frame stereo, 2002, doi:10.1023/A:1014573219977.
    .. [2] Zabih & Woodfill, Non-parametric local transforms, 1994, doi:10.1007/BFb0028345: the census.

    Examples
    --------
    >>> right = np.array([[0.0, 0.0, 0.9, 0.0, 0.0, 0.0]])
    >>> cost_volume(np.roll(right, 2), right, (0, 3), "sad", 1).cost[0, 4]  # the bright pixel, moved by 2
    array([0.9, 0.9, 0. , 0.9])
    """
    left, right, search = _pair(left, right, search)
    if _one_of("cost", cost, COSTS) == "census":
        return CostVolume(
            _hamming_loop(census(left, size), census(right, size), *search, left.dtype.type(0)), search[0]
        )
    volume = np.empty((*left.shape, search[1] - search[0] + 1), left.dtype)
    _windows(left, right, search, (cost, size), volume, np.empty((0, 0), left.dtype))
    return CostVolume(volume, search[0])


def block_match(left: Array, right: Array, search: tuple[int, int], cost: str = "ncc", size: int = 7) -> Array:
    """Find for each pixel the disparity whose windows agree best: `winner` of `cost_volume`, without keeping it.

    Parameters
    ----------
    left, right, search, cost, size
        As for `cost_volume`; not the census.

    Returns
    -------
    disparity : ndarray of shape (H, W)
        With the fraction of the parabola, Eq. (15.11).  NaN where no candidate lies in the right picture.

    Raises
    ------
    TypeError, ValueError
        As `cost_volume`.

    Examples
    --------
    >>> right = np.random.default_rng(0).random((9, 30))
    >>> block_match(np.roll(right, 5, axis=1), right, (0, 8), "ssd", 3)[4, 12:15].round() + 0.0
    array([5., 5., 5.])
    """
    left, right, search = _pair(left, right, search)
    if _one_of("cost", cost, COSTS[:3]) and search[0] == search[1]:
        raise ValueError(f"a winner needs two candidates or more, got the search range {search}")
    disparity = np.empty(left.shape, left.dtype)
    _windows(left, right, search, (cost, size), np.empty((0, 0, 0), left.dtype), disparity)
    return disparity


def census(image: Array, size: int = 7) -> NDArray[np.uint64]:
    """Describe each pixel by which of its neighbours are darker, one bit each, Eq. (15.10).

    Whatever keeps the order of brightness (exposure, gain, gamma) keeps the code.

    Parameters
    ----------
    image : ndarray of shape (H, W)
    size : {3, 5, 7}
        Side of the neighbourhood.

    Returns
    -------
    ndarray of shape (H, W), uint64

    Examples
    --------
    >>> f"{census(np.array([[0.1, 0.2, 0.3]]), 3)[0, 1]:08b}"  # left of the middle it is darker, in all three rows
    '10010100'
    """
    image = require_image(image, gray=True)
    if size not in (3, 5, 7):
        raise ValueError(f"the census takes a window of 3, 5 or 7, so that its bits fit into 64; got {size!r}")
    (height, width), radius = image.shape, size // 2
    padded = np.pad(image, radius, mode="symmetric")
    code = np.zeros(image.shape, np.uint64)
    for i, j in np.ndindex(size, size):
        if (i, j) != (radius, radius):
            code = code << np.uint64(1) | (padded[i : i + height, j : j + width] < image)
    return code


def _pair(left: Any, right: Any, search: Any) -> tuple[Array, Array, tuple[int, int]]:
    """Check two pictures and a search range at the door."""
    left, right = require_image(left, gray=True, name="left"), require_image(right, gray=True, name="right")
    if left.shape != right.shape or left.dtype != right.dtype:
        raise ValueError(
            f"a rectified pair has one size and precision, got {left.shape} {left.dtype} and {right.shape} {right.dtype}"
        )
    for name, image in (("left", left), ("right", right)):
        if np.ptp(image) == 0:
            raise ValueError(f"the {name} picture is constant: there is nothing to match")
    whole = (
        isinstance(search, tuple | list) and len(search) == 2 and all(isinstance(d, int | np.integer) for d in search)
    )
    if not whole or search[0] > search[1]:
        raise ValueError(f"search must be (first, last), two whole numbers in order, got {search!r}")
    first, last = int(search[0]), int(search[1])
    if first >= left.shape[1] or last <= -left.shape[1]:
        raise ValueError(f"the search range {first} to {last} leaves a picture that is {left.shape[1]} pixels wide")
    return left, right, (first, last)


def _windows(
    left: Array, right: Array, search: tuple[int, int], how: tuple[str, int], volume: Array, best: Array
) -> None:
    """Fill the volume, or the map of winners if the volume is empty."""
    kind, size = COSTS.index(how[0]), how[1]
    if not _is_count(size) or size % 2 == 0 or size > min(left.shape) * 2:
        raise ValueError(f"the window's size must be odd and fit into the picture {left.shape}, got {size!r}")
    none = np.zeros((1, 1), left.dtype)
    stats = [none] * 4
    if kind == NCC:
        level = left.dtype.type(left.mean())
        left, right = left - level, right - level  # digits: products of small numbers
        (mean_l, scale_l), (mean_r, scale_r) = _mean_and_scale(left, size), _mean_and_scale(right, size)
        stats = [mean_l, scale_l, _mirrored(mean_r, search), _mirrored(scale_r, search)]
    left, right = (np.pad(image, size // 2, mode="symmetric") for image in (left, right))
    _window_loop(left, _mirrored(right, search), *stats, *search, size, kind, volume, best)


def _mean_and_scale(image: Array, size: int) -> tuple[Array, Array]:
    """Mean of each window, and 1 over its standard deviation; 0 for a flat one, which correlates with nothing."""
    wide = image.astype(np.float64)
    mean = filtering.box(wide, size)
    deviation = np.sqrt(np.maximum(filtering.box(wide * wide, size) - mean * mean, 0))
    scale = np.where(deviation > NO_TEXTURE, 1 / np.maximum(deviation, NO_TEXTURE), 0)
    return mean.astype(image.dtype), scale.astype(image.dtype)


def _mirrored(image: Array, search: tuple[int, int]) -> Array:
    """Turn the right picture's rows round: then x - d ascends with d.  Empty columns stand for what is outside."""
    return np.pad(image[:, ::-1], ((0, 0), (max(0, -search[0]), max(0, search[1]))))


@njit(**INNER)
def _add(column, left, right, kind):
    """Add what one left pixel costs beside the right pixels, at all disparities."""
    for k in range(column.size):
        if kind == SSD:
            column[k] += (left - right[k]) * (left - right[k])
        elif kind == SAD:
            column[k] += abs(left - right[k])
        else:
            column[k] += left * right[k]


@njit(**INNER)
def _swap(column, left, right, left_old, right_old, kind):
    """Take the pixel that leaves the window off, put the one that enters on."""
    for k in range(column.size):
        if kind == SSD:
            column[k] += (left - right[k]) * (left - right[k]) - (left_old - right_old[k]) * (left_old - right_old[k])
        elif kind == SAD:
            column[k] += abs(left - right[k]) - abs(left_old - right_old[k])
        else:
            column[k] += left * right[k] - left_old * right_old[k]


@njit(**INNER)
def _slide(window, new, old):
    for k in range(window.size):
        window[k] += new[k] - old[k]


@njit(**INNER)
def _mean(window, weight, curve):
    for k in range(window.size):
        curve[k] = window[k] * weight


@njit(**INNER)
def _correlation(window, weight, mean_l, scale_l, mean_r, scale_r, curve):
    """Eq. (15.9): covariance over both deviations; 1 minus it is the cost."""
    one = weight / weight
    for k in range(window.size):
        curve[k] = one - (window[k] * weight - mean_l * mean_r[k]) * scale_l * scale_r[k]


@njit(**INNER)
def _least(curve):
    """Find the least value; a loop of its own, or it would not vectorise."""
    best = curve[0]
    for k in range(1, curve.size):
        best = min(best, curve[k])
    return best


@njit(**INNER)
def _lowest_point(curve):
    """Find where a curve is least, with the fraction of the parabola through its neighbours, Eq. (15.11)."""
    best, k = _least(curve), 0
    while curve[k] != best:
        k += 1
    if k == 0 or k == curve.size - 1:
        return curve.dtype.type(k)
    bend = curve[k - 1] - best + (curve[k + 1] - best)
    if bend <= 0:
        return curve.dtype.type(k)
    return curve.dtype.type(k) + curve.dtype.type(0.5) * (curve[k - 1] - curve[k + 1]) / bend


@njit(**INNER)
def _move_columns(column, left, mirror, y, fresh, n, start, kind):
    """Let the sums of n + 1 pixels down each column begin at row y, anew or from those of row y - 1."""
    width, count = column.shape
    for x in range(width):
        at = start + width - 1 - x  # of d = first in the mirrored row
        if fresh:
            for v in range(y, y + n + 1):
                _add(column[x], left[v, x], mirror[v, at : at + count], kind)
        else:
            new, old = mirror[y + n, at : at + count], mirror[y - 1, at : at + count]
            _swap(column[x], left[y + n, x], new, left[y - 1, x], old, kind)


@njit(**INFINITE)
def _window_loop(left, mirror, mean_l, scale_l, mean_r, scale_r, first, last, size, kind, volume, best):
    """Running sums down the columns, then along the row, for all disparities at once."""
    width, n, count, start = left.shape[1], size - 1, last - first + 1, max(0, first)
    h, w, weight = left.shape[0] - n, width - n, left.dtype.type(1 / size**2)
    for band in prange((h + BAND - 1) // BAND):
        column, none = np.zeros((width, count), left.dtype), np.zeros(count, left.dtype)
        window, curve = np.zeros(count, left.dtype), np.zeros(count, left.dtype)
        for y in range(band * BAND, min(h, (band + 1) * BAND)):
            _move_columns(column, left, mirror, y, y == band * BAND, n, start, kind)
            window[:] = 0
            for x in range(n):
                _slide(window, column[x], none)
            for x in range(w):
                _slide(window, column[x + n], column[x - 1] if x > 0 else none)
                costs = window  # sums, not means: they are least at the same place
                if kind == NCC:
                    at = start + w - 1 - x
                    m, s = mean_r[y, at : at + count], scale_r[y, at : at + count]
                    _correlation(window, weight, mean_l[y, x], scale_l[y, x], m, s, curve)
                    costs = curve
                elif best.size == 0:
                    _mean(window, weight, curve)
                    costs = curve
                low, high = max(0, x - first - w + 1), min(count, x - first + 1)  # where x - d is a pixel
                if best.size > 0:
                    best[y, x] = first + low + _lowest_point(costs[low:high]) if low < high else np.nan
                else:
                    volume[y, x] = costs
                    volume[y, x, : min(low, count)] = np.inf
                    volume[y, x, max(high, 0) :] = np.inf


@njit(**INNER)
def _ones(code):
    """Count the bits of a 64-bit number that are 1: in pairs, in fours, in bytes, then all at once."""
    code = code - ((code >> np.uint64(1)) & np.uint64(0x5555555555555555))
    code = (code & np.uint64(0x3333333333333333)) + ((code >> np.uint64(2)) & np.uint64(0x3333333333333333))
    code = (code + (code >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return (code * np.uint64(0x0101010101010101)) >> np.uint64(56)


@njit(**INFINITE)
def _hamming_loop(left, right, first, last, zero):
    """Count the bits in which two codes differ; `zero` tells the precision of the result."""
    h, w = left.shape
    out = np.empty((h, w, last - first + 1), type(zero))
    for y in prange(h):
        for x in range(w):
            for d in range(first, last + 1):
                inside = 0 <= x - d < w
                bits = _ones(left[y, x] ^ right[y, x - d]) if inside else np.uint64(0)
                out[y, x, d - first] = type(zero)(bits) if inside else np.inf
    return out


# --- from costs to disparities ---------------------------------------------------------------


def winner(volume: CostVolume, subpixel: bool = True) -> Array:
    """Take the cheapest candidate at each pixel, with the fraction of the parabola, Eq. (15.11).

    Parameters
    ----------
    volume : CostVolume
        Of two candidates or more.
    subpixel : bool
        Move to the lowest point of the parabola through the winner and its two neighbours; at the ends of the
        range, and beside a candidate that does not exist, the whole number stays.

    Returns
    -------
    disparity : ndarray of shape (H, W)
        NaN where no candidate exists.

    Examples
    --------
    >>> winner(CostVolume(np.array([[[3.0, 1.0, 2.0]]]), 10))  # by 0.5 (3 - 2) / (3 - 2 + 2)
    array([[11.16666667]])
    """
    cost = _require_volume(volume)
    best: Array = _winner_loop(cost, subpixel)
    return best + cost.dtype.type(volume.first)


@njit(**INFINITE)
def _winner_loop(cost, subpixel):
    h, w, count = cost.shape
    out = np.empty((h, w), cost.dtype)
    for y in prange(h):
        for x in range(w):
            low, high = 0, count
            while high > 0 and cost[y, x, high - 1] == np.inf:
                high -= 1
            while low < high and cost[y, x, low] == np.inf:
                low += 1
            out[y, x] = low + _lowest_point(cost[y, x, low:high]) if low < high else np.nan
    return out if subpixel else np.floor(out + cost.dtype.type(0.5))


def _require_volume(volume: CostVolume) -> Array:
    cost = np.asarray(volume.cost)
    if cost.dtype not in (np.float32, np.float64):
        raise TypeError(f"costs must be float32 or float64, got {cost.dtype}")
    if cost.ndim != 3 or cost.size == 0 or cost.shape[2] < 2:
        raise ValueError(f"costs must have shape (H, W, D) with D >= 2, got {cost.shape}")
    if np.isnan(cost.min()):  # the minimum of what holds a NaN is NaN
        raise ValueError("costs hold NaN; infinity marks a candidate that does not exist")
    return np.require(cost, requirements=["C", "W"])


def seen_from_right(volume: CostVolume) -> CostVolume:
    """Reorder the costs for the right picture's pixels: right (x, y) and left (x + d, y), Eq. (15.12).

    Returns
    -------
    CostVolume
        ``cost[y, x, k]`` is the given ``cost[y, x + d, k]``, d = first + k; inf where that is outside.

    Examples
    --------
    >>> seen_from_right(CostVolume(np.array([[[0.0, np.inf], [1.0, 2.0], [3.0, 4.0]]]), 0)).cost[0]
    array([[ 0.,  2.],
           [ 1.,  4.],
           [ 3., inf]])
    """
    return CostVolume(_seen_from_right_loop(_require_volume(volume), volume.first), volume.first)


@njit(**INFINITE)
def _seen_from_right_loop(cost, first):
    h, w, count = cost.shape
    out = np.empty_like(cost)
    for y in prange(h):
        for x in range(w):
            for k in range(count):
                there = x + first + k
                out[y, x, k] = cost[y, there, k] if 0 <= there < w else np.inf
    return out


def left_right_check(left: ArrayLike, right: ArrayLike, tolerance: float = 1.0) -> NDArray[np.bool_]:
    """Tell where both pictures agree: follow d to the right picture, and its d must lead back, Eq. (15.12).

    Parameters
    ----------
    left, right : array of shape (H, W)
        Disparity maps of the two pictures, both with x_left = x_right + d.  NaN never agrees.
    tolerance : float
        Largest difference, in pixels, >= 0.

    Returns
    -------
    ndarray of shape (H, W), bool
        For the left picture's pixels.

    Raises
    ------
    ValueError
        If the maps' shapes disagree or the tolerance is negative.

    Examples
    --------
    >>> left_right_check([[0.0, 0.0, 2.0, 1.0]], [[2.0, 0.0, 1.0, 1.0]])
    array([[False,  True,  True,  True]])
    """
    left, right = _map(left, "left"), _map(right, "right")
    if left.shape != right.shape:
        raise ValueError(f"left has shape {left.shape}, right {right.shape}")
    if not tolerance >= 0:
        raise ValueError(f"tolerance must be a number >= 0, got {tolerance!r}")
    row, col = np.indices(left.shape)
    known = np.isfinite(left)
    there = np.rint(col - np.where(known, left, 0)).astype(np.int64)
    inside = known & (there >= 0) & (there < left.shape[1])
    back = right[row, np.where(inside, there, 0)]
    agree: NDArray[np.bool_] = inside & (np.abs(np.where(inside, left, np.nan) - back) <= tolerance)
    return agree


def _map(disparity: ArrayLike, name: str = "disparity") -> Array:
    result = np.asarray(disparity, dtype=np.float64)
    if result.ndim != 2 or result.size == 0:
        raise ValueError(f"{name} must have shape (H, W), got {result.shape}")
    return np.where(np.isfinite(result), result, np.nan)


def best_path(cost: ArrayLike, p1: float, p2: float) -> Path:
    """Find the cheapest run of disparities along one row, by dynamic programming, Eqs. (15.13)-(15.14).

    Parameters
    ----------
    cost : array of shape (W, D)
        One row of a cost volume; each pixel has at least one finite candidate.
    p1, p2 : float
        What a step by one disparity, and what any larger one, costs; 0 <= p1 <= p2.

    Returns
    -------
    Path
        No other sequence is cheaper: costs of the pixels plus penalties of the steps.

    Raises
    ------
    ValueError
        For another shape, NaN, penalties out of order, a pixel without a candidate.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 12.5.1.

    Examples
    --------
    >>> best_path([[0, 2, 9], [5, 1, 0], [0, 2, 9]], p1=1, p2=3)  # the middle pixel alone would choose 2
    Path(chosen=array([0, 1, 0]), cost=3.0)
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.ndim != 2 or cost.size == 0 or np.isnan(cost).any():
        raise ValueError(f"a row of costs has shape (W, D) and no NaN, got shape {cost.shape}")
    if np.isinf(cost).all(axis=1).any():
        raise ValueError(f"pixel {int(np.argmax(np.isinf(cost).all(axis=1)))} has no candidate: every cost is infinite")
    p1, p2 = _penalties(p1, p2)
    step = np.abs(np.subtract.outer(np.arange(cost.shape[1]), np.arange(cost.shape[1])))
    penalty = np.where(step == 0, 0, np.where(step == 1, p1, p2))  # [from, to]
    total, origin = cost[0], []
    for row in cost[1:]:
        reached = total[:, None] + penalty
        origin.append(reached.argmin(axis=0))
        total = row + reached.min(axis=0)  # Eq. (15.13)
    chosen = [int(total.argmin())]
    for back in reversed(origin):  # Eq. (15.14)
        chosen.append(int(back[chosen[-1]]))
    return Path(np.array(chosen[::-1]), float(total.min()))


def _penalties(p1: float, p2: float) -> tuple[float, float]:
    if not 0 <= p1 <= p2 < np.inf:
        raise ValueError(f"penalties must be finite with 0 <= p1 <= p2, got p1 = {p1!r}, p2 = {p2!r}")
    return float(p1), float(p2)


def semi_global(volume: CostVolume, p1: float, p2: float, guide: Array | None = None, paths: int = 8) -> CostVolume:
    """Add to each cost what the cheapest paths that arrive from 8 directions cost, Eqs. (15.15)-(15.16).

    Parameters
    ----------
    volume : CostVolume
    p1, p2 : float
        Penalties for a step of one disparity and for a larger one along a path, in the costs' unit, 0 <= p1 <= p2.
    guide : ndarray of shape (H, W), optional
        The left picture.  Where it steps by g, p2 becomes p2 / (1 + g / 0.05), p1 at least: depth jumps where
        brightness does.
    paths : {8, 4, 2}
        Directions: all, along rows and columns, along rows only.

    Returns
    -------
    CostVolume
        Of the same shape; `winner` reads it.

    Raises
    ------
    TypeError, ValueError
        For costs with NaN, penalties out of order, a guide of another shape, another number of paths.

    Notes
    -----
    Time and memory grow as H W D; a second volume is kept while it runs.

    References
    ----------
    .. [1] Hirschmüller, Stereo processing by semiglobal matching and mutual information, 2008,
       doi:10.1109/TPAMI.2007.1166.

    Examples
    --------
    >>> volume = CostVolume(np.array([[[0, 2, 9], [5, 1, 0], [0, 2, 9.0]]]), 0)
    >>> winner(semi_global(volume, 1.0, 3.0, paths=2), subpixel=False)
    array([[0., 1., 0.]])
    """
    cost, (p1, p2) = _require_volume(volume), _penalties(p1, p2)
    if paths not in (2, 4, 8):
        raise ValueError(f"paths must be 8, 4 or 2, got {paths!r}")
    if guide is not None and np.shape(guide) != cost.shape[:2]:
        raise ValueError(f"the guide has shape {np.shape(guide)}, the costs are for {cost.shape[:2]}")
    flat = np.zeros(cost.shape[:2], cost.dtype)
    image = flat if guide is None else require_image(guide, gray=True, name="guide").astype(cost.dtype)
    kind = cost.dtype.type
    return CostVolume(_paths_loop(cost, image, kind(p1), kind(p2), kind(1 / CONTRAST), paths), volume.first)


@njit(**INNER)
def _step(cost, before, least, p1, p2, now):
    """Eq. (15.15) at one pixel, for all disparities; `before` and `now` have a margin of infinity at both ends."""
    jump = least + p2
    for k in range(cost.size):
        stay, near = before[k + 1], min(before[k], before[k + 2]) + p1
        now[k + 1] = cost[k] + min(min(stay, jump), near) - least
    return _least(now[1:-1])


@njit(**INNER)
def _start(cost, now):
    """A path begins: at the border, or beyond a pixel that has no candidate."""
    now[1:-1] = cost
    return _least(cost)


@njit(**INNER)
def _add_paths(out, a, b, c, d):
    for k in range(out.size):
        out[k] = a[k + 1] + b[k + 1] + c[k + 1] + d[k + 1]


@njit(**INFINITE)
def _paths_loop(cost, guide, p1, p2, steepness, paths):
    """Two sweeps, down and up; each follows path 0 along the row and paths 1, 2, 3 from the row before."""
    h, w, count = cost.shape
    inf, one = cost.dtype.type(np.inf), cost.dtype.type(1)
    total = np.empty((2, h, w, count), cost.dtype)
    for sweep in prange(2):
        side = 1 if sweep == 0 else -1  # a sweep down runs to the right, one up to the left
        path = np.full((2, 4, w, count + 2), inf)
        path[:, :, :, 1:-1] = 0  # paths that are not followed add nothing
        least = np.full((2, 4, w), inf)
        for i in range(h):
            y, now, then = i if sweep == 0 else h - 1 - i, i % 2, 1 - i % 2
            for j in range(w):
                x = j if sweep == 0 else w - 1 - j
                for k in range(4):
                    if (paths == 4 and k % 2 == 1) or (paths == 2 and k > 0):
                        continue
                    row = now if k == 0 else then
                    u, v = (x - side, y) if k == 0 else (x + k - 2, y - side)
                    if 0 <= u < w and 0 <= v < h and least[row, k, u] < inf:
                        jump = max(p1, p2 / (one + abs(guide[y, x] - guide[v, u]) * steepness))
                        least[now, k, x] = _step(
                            cost[y, x], path[row, k, u], least[row, k, u], p1, jump, path[now, k, x]
                        )
                    else:
                        least[now, k, x] = _start(cost[y, x], path[now, k, x])
                p = path[now, :, x]
                _add_paths(total[sweep, y, x], p[0], p[1], p[2], p[3])
    out, up = total[0], total[1]
    for y in prange(h):
        out[y] += up[y]
    return out


def is_flat(volume: CostVolume) -> NDArray[np.bool_]:
    """Tell where a cost curve has no minimum: all candidates cost the same, as along a row of one brightness.

    Returns
    -------
    ndarray of shape (H, W), bool
        Also True where fewer than two candidates exist.

    Examples
    --------
    >>> is_flat(CostVolume(np.array([[[1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]]), 0))
    array([[ True, False]])
    """
    cost = _require_volume(volume)
    return np.asarray(_spread_loop(cost) <= SAME_COST)


@njit(**INFINITE)
def _spread_loop(cost):
    """Largest minus least finite cost, relative to 1 or to the largest if that is more; 0 without any."""
    h, w, count = cost.shape
    out = np.zeros((h, w))
    for y in prange(h):
        for x in range(w):
            low, high = np.inf, -np.inf
            for k in range(count):
                value = cost[y, x, k]
                if value < np.inf:
                    low, high = min(low, value), max(high, value)
            if high > low:
                out[y, x] = (high - low) / max(1.0, abs(high))
    return out


def fill(disparity: ArrayLike) -> Array:
    """Fill what is unknown from its own row: with the smaller, farther, of the nearest known to the left and right.

    What one camera alone sees lies behind what hides it from the other, so it takes the background's disparity.

    Parameters
    ----------
    disparity : array of shape (H, W)
        NaN where unknown.

    Returns
    -------
    ndarray of shape (H, W)
        Without NaN.  A row in which nothing is known takes the nearest row that is known.

    Raises
    ------
    ValueError
        If nothing is known at all.

    Examples
    --------
    >>> fill([[np.nan, 7.0, np.nan, np.nan, 3.0]])
    array([[7., 7., 3., 3., 3.]])
    """
    values = _map(disparity)
    known = ~np.isnan(values)
    rows = np.flatnonzero(known.any(axis=1))
    if len(rows) == 0:
        raise ValueError("no disparity is known: there is nothing to fill from")
    nearest = rows[np.abs(np.subtract.outer(np.arange(len(values)), rows)).argmin(axis=1)]
    values, known = values[nearest], known[nearest]
    col, width = np.arange(values.shape[1]), values.shape[1]
    before = np.maximum.accumulate(np.where(known, col, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, col, width)[:, ::-1], axis=1)[:, ::-1]
    padded = np.pad(values, ((0, 0), (1, 1)), constant_values=np.inf)
    row = np.arange(len(values))[:, None]
    return np.minimum(padded[row, before + 1], padded[row, after + 1])


# --- the whole way ---------------------------------------------------------------------------


def match(left: Array, right: Array, search: tuple[int, int], *, filled: bool = True, check: bool = True) -> Matched:
    """Find the disparity of every pixel: census, semi-global matching, both pictures' view, filling, median.

    Parameters
    ----------
    left, right : ndarray of shape (H, W) or (H, W, 3)
        A rectified pair.
    search : (first, last)
        Disparities to try, whole pixels, both included; see `search_range`.
    filled : bool
        Fill what has no measured disparity from its row, and take the median of 5 x 5; else it stays NaN.
    check : bool
        Look at matched features first, whether rows correspond.

    Returns
    -------
    Matched
        Where ``reason`` is not 0, `REASONS` names why nothing was measured.

    Raises
    ------
    TypeError, ValueError
        As `cost_volume`; if the pair is not rectified; if every pixel is flat, so no row has any texture.

    Notes
    -----
    About 40 H W D bytes of memory.

    References
    ----------
    .. [1] Hirschmüller, doi:10.1109/TPAMI.2007.1166, sections 2.2 to 2.4.
    """
    left, right = (as_gray(image).astype(np.float32) for image in (left, right))
    left, right, (first, last) = _pair(left, right, search)
    if check:
        require_rectified(left, right)
    raw = cost_volume(left, right, (first, last), "census", 7)
    flat = is_flat(raw)
    if flat.all():
        raise ValueError("every row is constant: brightness does not change along the rows, so no shift can be told")
    volume = semi_global(raw, SMALL_STEP, LARGE_STEP, guide=left)
    disparity, other = winner(volume).astype(np.float64), winner(seen_from_right(volume))
    reason = np.where(left_right_check(disparity, other), FOUND, HIDDEN).astype(np.uint8)
    reason[(disparity <= first) | (disparity >= last)] = END
    reason[flat] = FLAT
    reason[np.isnan(disparity)] = OUTSIDE
    disparity[reason != FOUND] = np.nan
    if not (reason == FOUND).any():
        raise ValueError(f"no pixel agrees from both sides: is the search range {first} to {last} the right one?")
    return Matched(filtering.median(fill(disparity), 5) if filled else disparity, reason)


def vertical_offsets(left: Array, right: Array) -> Array:
    """Measure how much lower matched features lie in the right picture: 0 throughout, if the pair is rectified.

    Returns
    -------
    ndarray of shape (M,)
        y_right - y_left of the features that are each other's best match, in pixels; M may be 0.
    """
    first, second = descriptors.sift(as_gray(left)), descriptors.sift(as_gray(right))
    if len(first.keypoints) < 2 or len(second.keypoints) < 2:
        return np.empty(0)
    pairs = descriptors.match(first.descriptors, second.descriptors, ratio=0.75, mutual=True)
    i, j = np.asarray(pairs, dtype=np.int64).reshape(-1, 2).T
    return np.asarray(second.keypoints[j, 1] - first.keypoints[i, 1], dtype=np.float64)


def require_rectified(left: Array, right: Array, tolerance: float = 0.75) -> None:
    """Refuse a pair whose rows do not correspond, by its matched features.

    Parameters
    ----------
    left, right : ndarray of shape (H, W) or (H, W, 3)
    tolerance : float
        The largest median of |y_right - y_left|, in pixels.

    Raises
    ------
    ValueError
        If the features lie higher or lower on the right.  Fewer than 12 matches say nothing, and pass.
    """
    offsets = vertical_offsets(left, right)
    if len(offsets) < FEWEST:
        return
    middle = float(np.median(np.abs(offsets)))
    if middle > tolerance:
        raise ValueError(
            f"the pair is not rectified: of {len(offsets)} matched features half lie more than {middle:.1f} px above or "
            f"below their partner (on average {np.median(offsets):+.1f} px); redraw it with stereo.rectify first"
        )


def bad_share(disparity: ArrayLike, truth: ArrayLike, threshold: float = 2.0) -> float:
    """Measure the share of known pixels whose disparity is missing or off by more than `threshold`: "bad-2.0".

    Parameters
    ----------
    disparity, truth : array of shape (H, W)
        In pixels; NaN is unknown.  A NaN of `disparity` where `truth` is known counts as bad.
    threshold : float
        In pixels.

    Raises
    ------
    ValueError
        If the shapes disagree, or nothing of the truth is known.

    Examples
    --------
    >>> bad_share([[10.0, 10.0, np.nan, 10.0]], [[11.0, 13.0, 10.0, np.nan]]).__round__(4)
    0.6667
    """
    disparity, truth = _map(disparity), _map(truth, "truth")
    if disparity.shape != truth.shape:
        raise ValueError(f"disparity has shape {disparity.shape}, truth {truth.shape}")
    known = np.isfinite(truth)
    if not known.any():
        raise ValueError("no pixel of the truth is known")
    return float(1 - np.mean(np.abs(disparity[known] - truth[known]) <= threshold))


# --- depth -----------------------------------------------------------------------------------


def depth(disparity: ArrayLike, focal: float, baseline: float, offset: float = 0.0) -> Array:
    """Turn disparities into depths, Z = f B / (d + offset), Eq. (15.3).

    Parameters
    ----------
    disparity : array of any shape
        In pixels; NaN stays NaN.
    focal : float
        Focal length in pixels, > 0.
    baseline : float
        Distance of the two centres, > 0; depths come in its unit.
    offset : float
        Principal point of the right picture minus that of the left, along x, in pixels.

    Raises
    ------
    ValueError
        If d + offset is not above 0 somewhere: at or beyond infinity.

    Examples
    --------
    >>> depth([10.0, 40.0], focal=1000, baseline=0.2)
    array([20.,  5.])
    """
    d = np.asarray(disparity, dtype=np.float64)
    focal, baseline = _positive("focal", focal), _positive("baseline", baseline)
    if not np.isfinite(offset):
        raise ValueError(f"offset must be a finite number, got {offset!r}")
    beyond = d + offset <= 0
    if beyond.any():
        raise ValueError(
            f"d + offset is not above 0 at {int(beyond.sum())} pixels, the least is {np.nanmin(d) + offset:.3g}: that is "
            "at infinity or behind the cameras; the offset is wrong, or left and right are exchanged"
        )
    return np.asarray(focal * baseline / (d + offset))


def search_range(
    nearest: float, farthest: float, focal: float, baseline: float, offset: float = 0.0
) -> tuple[int, int]:
    """Find the disparities of all depths between two, in whole pixels, both ends included: Eq. (15.5).

    Parameters
    ----------
    nearest, farthest : float
        0 < nearest < farthest; infinity is allowed for the far end.
    focal, baseline, offset
        As for `depth`.

    Examples
    --------
    >>> search_range(2.0, np.inf, focal=1000, baseline=0.2)
    (0, 100)
    """
    if not 0 < nearest < farthest:
        raise ValueError(f"depths must be 0 < nearest < farthest, got {nearest!r} and {farthest!r}")
    product = _positive("focal", focal) * _positive("baseline", baseline)
    low, high = product / farthest - offset, product / nearest - offset
    return int(np.floor(low + 1e-9)), int(np.ceil(high - 1e-9))


def point_cloud(disparity: ArrayLike, K: ArrayLike, baseline: float, offset: float = 0.0) -> Cloud:
    """Put every pixel with a known disparity into space: X = Z K^-1 (x, y, 1), Eq. (15.6).

    Parameters
    ----------
    disparity : array of shape (H, W)
        NaN where unknown.
    K : array of shape (3, 3)
        The left camera's intrinsics.
    baseline, offset
        As for `depth`.

    Returns
    -------
    Cloud
        Row by row.  Colours are ``image[x[:, 1], x[:, 0]]``, with x as integers.

    Raises
    ------
    ValueError
        If nothing is known, K is no intrinsic matrix, or as `depth`.

    Examples
    --------
    >>> point_cloud([[np.nan, 10.0]], np.diag([100.0, 100.0, 1.0]), baseline=0.5).X
    array([[0.05, 0.  , 5.  ]])
    """
    K, values = cameras.require_intrinsics(K), _map(disparity)
    row, col = np.nonzero(np.isfinite(values))
    if len(row) == 0:
        raise ValueError("no disparity is known")
    Z = depth(values[row, col], K[0, 0], baseline, offset)
    x = np.column_stack([col, row])
    return Cloud(np.column_stack([cameras.normalize_pixels(K, x) * Z[:, None], Z]), x)


def rectify(P_left: ArrayLike, P_right: ArrayLike, shape: tuple[int, int]) -> Rectified:
    """Turn both cameras, in thought, until they look the same way, at right angles to their baseline: Eq. (15.17).

    A turn about the centre is a homography, so pictures can be redrawn afterwards, with `warping.warp`.

    Parameters
    ----------
    P_left, P_right : array of shape (3, 4)
        Projection matrices ``K [R | -R c]``, pixels without distortion.
    shape : (height, width)
        Of the pictures; the rectified ones have it too, and keep the middle of each picture in the middle.

    Returns
    -------
    Rectified
        Then depth is `depth` of ``K_left[0, 0]``, ``baseline`` and ``offset``.

    Raises
    ------
    ValueError
        If the centres coincide (a mere turn has no depth), the right camera is on the left, the cameras look in opposite
        directions, or one stands in the other's view, so that the epipole would be in the picture.

    References
    ----------
    .. [1] Fusiello, Trucco & Verri, A compact algorithm for rectification of stereo pairs, 2000,
       doi:10.1007/s001380050120.

    Examples
    --------
    >>> P = [cameras.projection_matrix(np.diag([300.0, 300, 1]), np.eye(3), (c, 0, 0)) for c in (0, 0.25)]
    >>> rectify(*P, (200, 300)).baseline.__round__(9)
    0.25
    """
    (K1, R1, c1), (K2, R2, c2) = (cameras.decompose_projection(P)[:3] for P in (P_left, P_right))
    height, width = _shape(shape)
    R = _common_rotation(R1, R2, c2 - c1)
    f = float(np.mean([K1[0, 0], K1[1, 1], K2[0, 0], K2[1, 1]]))
    middle, turns = (
        [[(width - 1) / 2, (height - 1) / 2]],
        [R @ Ri.T @ np.linalg.inv(K) for K, Ri in ((K1, R1), (K2, R2))],
    )
    if min((T @ [*middle[0], 1])[2] for T in turns) < 0.2 * np.linalg.norm(turns[0] @ [*middle[0], 1]):
        raise ValueError("a camera would have to turn by 80 degrees or more to look at right angles to the baseline")
    (u1, v1), (u2, v2) = (transform_points(T, middle)[0] for T in turns)
    cy = middle[0][1] - f * (v1 + v2) / 2
    K_left, K_right = (cameras.intrinsic_matrix(f, cx=middle[0][0] - f * u, cy=cy) for u in (u1, u2))
    return Rectified(K_left @ turns[0], K_right @ turns[1], K_left, K_right, R, float(np.linalg.norm(c2 - c1)))


def _common_rotation(R1: Array, R2: Array, baseline: Array) -> Array:
    """Rows: along the baseline, down, and forward; as near to both cameras as the baseline allows."""
    length, across, forward = np.linalg.norm(baseline), R1[0] + R2[0], R1[2] + R2[2]
    if length <= 1e-12 * (1 + np.abs(baseline).max()):
        raise ValueError("both cameras stand in one place: a camera that only turns sees no depth")
    x = baseline / length
    if np.linalg.norm(forward) < 0.2:  # of 2
        raise ValueError("the cameras look in opposite directions: they see nothing in common")
    if abs(x @ forward) > 0.9 * np.linalg.norm(forward):
        raise ValueError("one camera stands before the other: the epipole is in the picture, and rows can't be matched")
    if x @ across <= 0:
        raise ValueError("the right camera stands on the left: exchange the two")
    y = np.cross(forward, x)
    y /= np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)])


def _positive(name: str, value: Any) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return float(value)

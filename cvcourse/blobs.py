"""Blobs: regions darker or brighter than what surrounds them, found with their position and size.

The image is filtered at many scales by a Laplacian of Gaussian (`log_stack`) or, faster, by a
difference of Gaussians (`dog_stack`, `dog_pyramid`); a blob is a peak of that stack in x, y *and*
sigma (`find_blobs`).  The response of a bright blob is negative, that of a dark one positive.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from cvcourse.compiled import SERIAL
from cvcourse.edges import laplacian_of_gaussian
from cvcourse.filtering import gaussian
from cvcourse.images import Array, require_image

POLARITIES = ("both", "bright", "dark")


class Blobs(NamedTuple):
    """Blobs, the strongest first.

    ``keypoints`` (N, 2) are (x, y) in pixels; ``scales`` (N,) the sigma in pixels at which the
    response peaks; ``responses`` (N,) the signed response there, negative on a bright blob.
    """

    keypoints: Array
    scales: Array
    responses: Array

    @property
    def radii(self) -> Array:
        """Radius in pixels of the disc whose response peaks at that scale: sqrt(2) sigma, Eq. (5.9)."""
        return math.sqrt(2) * self.scales


class Octave(NamedTuple):
    """One floor of a pyramid: differences of Gaussians on every `step`-th pixel of the image.

    Pixel (x, y) of ``stack`` (S, h, w) lies at (step x, step y) in the image; ``scales`` (S,) are
    in pixels of the image.
    """

    stack: Array
    scales: Array
    step: int


# ---------------------------------------------------------------------------------------------
# Scale space


def log_stack(image: Array, sigmas: ArrayLike, normalised: bool = True) -> Array:
    """Filter an image by the Laplacian of Gaussian at each of several scales.

    ``normalised`` multiplies by sigma squared, Eq. (5.8): only then may responses at different
    scales be compared.  A disc of radius r and contrast c then answers at its centre most strongly
    at sigma = r / sqrt(2), with 2 c / e.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigmas : array_like of shape (S,)
        Scales in pixels, positive and ascending.
    normalised : bool
        Whether to multiply by sigma squared.

    Returns
    -------
    ndarray of shape (S, H, W)
        In the precision of `image`; negative on bright blobs.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, sigmas that are not positive or do not ascend.

    Notes
    -----
    About 32 sigma products a pixel and scale; `dog_stack` approximates it at a fraction of that.

    References
    ----------
    .. [1] Lindeberg, Feature detection with automatic scale selection, 1998, doi:10.1023/A:1008045108935.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(41) - 20, np.arange(41) - 20)
    >>> disc = (np.hypot(x, y) < 8).astype(float)
    >>> log_stack(disc, [4.0, 5.6, 8.0])[:, 20, 20].round(2)
    array([-0.57, -0.74, -0.6 ])
    """
    image = require_image(image, gray=True)
    sigmas = _require_sigmas(sigmas)
    stack = np.empty((len(sigmas), *image.shape), image.dtype)
    for level, sigma in zip(stack, sigmas, strict=True):
        level[:] = laplacian_of_gaussian(image, sigma)
        if normalised:
            level *= image.dtype.type(sigma**2)
    return stack


def dog_stack(image: Array, sigmas: ArrayLike, normalised: bool = True) -> Array:
    """Subtract Gaussian blurs of neighbouring scales: G(sigmas[i + 1]) - G(sigmas[i]).

    By the heat equation this approximates log(k) times the normalised Laplacian of Gaussian, with
    k = sigmas[i + 1] / sigmas[i], Eq. (5.14); ``normalised`` divides by log(k).  The scales that
    belong to the slices are `dog_scales`.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigmas : array_like of shape (S,)
        Scales in pixels, positive and ascending, S >= 2.
    normalised : bool
        Whether to divide by log(k).

    Returns
    -------
    ndarray of shape (S - 1, H, W)
        In the precision of `image`; negative on bright blobs.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, fewer than two sigmas, or such as do not ascend.

    Notes
    -----
    Each blur is made from the one before: variances add, so the step is a Gaussian of
    sqrt(sigmas[i + 1]**2 - sigmas[i]**2).

    References
    ----------
    .. [1] Lowe, Distinctive image features from scale-invariant keypoints, 2004,
       doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(41) - 20, np.arange(41) - 20)
    >>> disc = (np.hypot(x, y) < 8).astype(float)
    >>> dog_stack(disc, [4.0, 5.0, 6.4])[:, 20, 20].round(2)
    array([-0.65, -0.73])
    """
    image = require_image(image, gray=True)
    sigmas = _require_sigmas(sigmas, least=2)
    stack, _ = _differences(gaussian(image, sigmas[0]), sigmas)
    if normalised:
        stack /= np.log(sigmas[1:] / sigmas[:-1]).astype(image.dtype)[:, None, None]
    return stack


def dog_scales(sigmas: ArrayLike) -> Array:
    """Give the scale of each slice of `dog_stack`: the sigma of the LoG that peaks on the same disc.

    G(k s) - G(s) peaks on a disc of radius r = s sqrt(4 log(k) / (1 - k**-2)), Eq. (5.15); the LoG
    does so at r / sqrt(2).  That lies close to sqrt(k) s, the middle of the two.

    Parameters
    ----------
    sigmas : array_like of shape (S,)
        Scales in pixels as for `dog_stack`.

    Returns
    -------
    ndarray of shape (S - 1,)
        In pixels; sqrt(2) times these are radii.

    Raises
    ------
    ValueError
        For fewer than two sigmas, or such as are not positive or do not ascend.

    References
    ----------
    .. [1] Lowe, Distinctive image features from scale-invariant keypoints, 2004,
       doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> dog_scales([1.0, 1.6]).round(3)
    array([1.242])
    """
    sigmas = _require_sigmas(sigmas, least=2)
    k = sigmas[1:] / sigmas[:-1]
    return sigmas[:-1] * np.sqrt(2 * np.log(k) / (1 - k**-2))


def dog_pyramid(image: Array, sigma: float = 1.6, per_octave: int = 4, octaves: int | None = None) -> list[Octave]:
    """Build differences of Gaussians octave by octave, on half as many rows and columns each time.

    When sigma has doubled, every second pixel says all: the next octave starts from those, and
    repeats the same sigmas in its own, larger pixels, Eq. (5.16).  Each octave has `per_octave` scales,
    one more that the next octave repeats, lest a peak fall between the two, and one at either end, so
    that every scale has two neighbours.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma : float
        The smallest blur in pixels, at least 1.
    per_octave : int
        Scales from one octave to the next, at least 1: the factor k is 2**(1 / per_octave).
    octaves : int, optional
        Number of octaves, at least 1; if not given, until the shorter side is below 8 sigma.

    Returns
    -------
    list of Octave
        Normalised as by `dog_stack`.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, sigma below 1, counts below 1.

    Notes
    -----
    All octaves together cost 4/3 of the first.

    References
    ----------
    .. [1] Lowe, Distinctive image features from scale-invariant keypoints, 2004,
       doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> [octave.stack.shape for octave in dog_pyramid(np.zeros((64, 48)), per_octave=2)]
    [(5, 64, 48), (5, 32, 24)]
    """
    image = require_image(image, gray=True)
    if not 1 <= sigma < math.inf:
        raise ValueError(f"sigma must be at least 1 pixel, or the next octave is aliased; got {sigma}")
    n = _require_count("per_octave", per_octave)
    fitting = max(1, int(math.log2(max(1.0, min(image.shape) / (4 * sigma)))))
    count = fitting if octaves is None else _require_count("octaves", octaves)
    sigmas = sigma * 2 ** (np.arange(n + 4) / n)
    pyramid, base = [], gaussian(image, sigma)
    for i in range(count):
        stack, doubled = _differences(base, sigmas, keep=n)
        stack *= image.dtype.type(n / math.log(2))
        pyramid.append(Octave(stack, 2**i * dog_scales(sigmas), 2**i))
        base = np.ascontiguousarray(doubled[::2, ::2])
    return pyramid


def _differences(base: Array, sigmas: Array, keep: int = 0) -> tuple[Array, Array]:
    """Blur on from `base`, whose scale is sigmas[0]; return all differences, and blur number `keep`."""
    stack = np.empty((len(sigmas) - 1, *base.shape), base.dtype)
    blurred = kept = base
    for i in range(len(stack)):
        further = gaussian(blurred, math.sqrt(sigmas[i + 1] ** 2 - sigmas[i] ** 2))
        np.subtract(further, blurred, out=stack[i])
        blurred = further
        kept = blurred if i + 1 == keep else kept
    return stack, kept


# ---------------------------------------------------------------------------------------------
# Peaks


def find_blobs(stack: Array, sigmas: ArrayLike, threshold: float, polarity: str = "both", refine: bool = True) -> Blobs:
    """Find the peaks of a stack in x, y and sigma.

    A peak is a sample whose response is beyond all its 26 neighbours': a maximum above `threshold`
    or a minimum below its negative.  A quadratic in x, y and log(sigma) through the neighbours
    then moves it between the samples, Eq. (5.11).

    Parameters
    ----------
    stack : ndarray of shape (S, H, W)
        From `log_stack` or `dog_stack`.
    sigmas : array_like of shape (S,)
        Their scales (for `dog_stack`: `dog_scales`), growing by a constant factor.
    threshold : float
        Least absolute response, >= 0.
    polarity : {"both", "bright", "dark"}
        Which blobs: bright ones are minima, dark ones maxima.
    refine : bool
        Whether to fit between the samples.

    Returns
    -------
    Blobs
        The strongest first; possibly none.  Of equal neighbours the first counts.  Nothing is found
        at the first and last scale, row and column: there a neighbour is missing.

    Raises
    ------
    TypeError, ValueError
        For a stack of another kind, NaN, sigmas that do not grow by a constant factor or are not one
        for each slice, a negative threshold, an unknown polarity.

    References
    ----------
    .. [1] Brown & Lowe, Invariant features from interest point groups, 2002, doi:10.5244/C.16.23.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(50) - 20.3, np.arange(40) - 18.0)
    >>> disc, sigmas = (np.hypot(x, y) < 8).astype(float), np.geomspace(3, 12, 9)
    >>> blobs = find_blobs(log_stack(disc, sigmas), sigmas, threshold=0.3)
    >>> blobs.keypoints.round(1), blobs.radii.round(1)
    (array([[20.4, 18. ]]), array([8.]))
    """
    stack, sigmas = _require_stack(stack, sigmas)
    threshold, signs = _require_threshold(threshold), _signs(polarity)
    peaks = _peaks_loop(stack, stack.dtype.type(threshold), *signs)
    values, offsets = _fit_loop(stack, peaks)
    if not refine:
        values, offsets = stack[tuple(peaks.T)].astype(np.float64), np.zeros(peaks.shape)
    level, y, x = (peaks + offsets).T
    order = np.argsort(-np.abs(values), kind="stable")
    scales = np.exp(np.interp(level, np.arange(len(sigmas)), np.log(sigmas)))
    return Blobs(np.column_stack([x, y])[order], scales[order], values[order])


def dog_blobs(
    image: Array, threshold: float = 0.1, sigma: float = 1.6, per_octave: int = 4, polarity: str = "both"
) -> Blobs:
    """Detect blobs of every size in a pyramid of differences of Gaussians: the fast detector.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    threshold : float
        Least absolute response; a perfect disc of contrast c answers with 0.74 c.
    sigma : float
        The smallest blur in pixels, at least 1; the smallest blobs found have a radius of
        about 1.9 sigma, the largest one of about a quarter of the shorter side.
    per_octave : int
        Scales to each doubling of sigma, at least 1.
    polarity : {"both", "bright", "dark"}
        Which blobs.

    Returns
    -------
    Blobs
        The strongest first; possibly none.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a parameter out of range.

    Notes
    -----
    One blob that two octaves see counts once.

    References
    ----------
    .. [1] Lowe, Distinctive image features from scale-invariant keypoints, 2004,
       doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(90) - 40.3, np.arange(70) - 35.0)
    >>> blobs = dog_blobs((np.hypot(x, y) < 8).astype(float), threshold=0.3)
    >>> blobs.keypoints.round(1), blobs.radii.round(1), blobs.responses.round(2)
    (array([[40.4, 35. ]]), array([8.]), array([-0.73]))
    """
    threshold, _ = _require_threshold(threshold), _signs(polarity)
    found = [Blobs(np.zeros((0, 2)), np.zeros(0), np.zeros(0))]
    for stack, scales, step in dog_pyramid(image, sigma, per_octave):
        blobs = find_blobs(stack, scales, threshold, polarity)
        blobs = blobs._replace(keypoints=step * blobs.keypoints)
        new = ~_are_known(blobs, found[-1], scales[1], scales[2] / scales[1])
        found.append(Blobs(*(part[new] for part in blobs)))
    together = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.argsort(-np.abs(together[2]), kind="stable")
    return Blobs(*(part[order] for part in together))


def _are_known(blobs: Blobs, before: Blobs, scale: float, k: float) -> Array:
    """Tell which blobs near `scale` the octave `before` has too: within half a scale, and most of a step k."""
    from scipy.spatial import cKDTree

    def places(some: Blobs) -> Array:
        return np.column_stack([some.keypoints / (0.5 * scale), np.log(some.scales) / (0.8 * np.log(k))])

    if len(before.scales) == 0:
        return np.zeros(len(blobs.scales), bool)
    distance, nearest = cKDTree(places(before)).query(places(blobs))
    return (distance < 1) & (np.sign(blobs.responses) == np.sign(before.responses[nearest]))


@njit(**SERIAL)
def _mark_candidates(up, row, low, threshold, mark):
    """Mark the samples beyond the threshold and their four neighbours in the slice; no branch, so it vectorises."""
    for x in range(1, row.size - 1):
        v = row[x]
        most = (v > threshold) & (v > row[x - 1]) & (v >= row[x + 1]) & (v > up[x]) & (v >= low[x])
        least = (v < -threshold) & (v < row[x - 1]) & (v <= row[x + 1]) & (v < up[x]) & (v <= low[x])
        mark[x] = most | least


@njit(**SERIAL)
def _peaks_loop(stack, threshold, bright, dark):
    """List (level, row, column) of the samples beyond all 26 neighbours, and beyond the threshold, Eq. (5.10).

    Of equal neighbours the first counts: those before must be less, those after may be equal.
    """
    levels, h, w = stack.shape
    peaks = np.empty((stack.size // 4 + levels + h + w, 3), np.int64)
    mark = np.zeros(w, np.bool_)
    count = 0
    for s in range(1, levels - 1):
        for y in range(1, h - 1):
            _mark_candidates(stack[s, y - 1], stack[s, y], stack[s, y + 1], threshold, mark)
            for x in range(1, w - 1):
                if mark[x]:
                    largest = stack[s, y, x] > 0
                    if (dark if largest else bright) and _is_peak(stack, s, y, x, largest):
                        peaks[count] = s, y, x
                        count += 1
    return peaks[:count].copy()


@njit(**SERIAL)
def _is_peak(stack, s, y, x, largest):
    v = stack[s, y, x]
    for c in range(s - 1, s + 2):
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                u = stack[c, j, i]
                before = c < s or (c == s and (j < y or (j == y and i < x)))
                if (u > v if largest else u < v) or (before and u == v):
                    return False
    return True


@njit(**SERIAL)
def _fit_loop(stack, peaks):
    """Solve H d = -g for the offset d of each peak, by Cramer's rule; its value is v + g d / 2, Eq. (5.11).

    Where the quadratic has no peak within one sample, three parabolas, one for each axis, do.
    """
    values, offsets = np.empty(len(peaks)), np.empty((len(peaks), 3))
    f = np.empty((3, 3, 3))  # the neighbourhood, indexed by level, row, column
    for n in range(len(peaks)):
        s, y, x = peaks[n]
        f[:] = stack[s - 1 : s + 2, y - 1 : y + 2, x - 1 : x + 2]
        v = f[1, 1, 1]
        gs, gy, gx = (f[2, 1, 1] - f[0, 1, 1]) / 2, (f[1, 2, 1] - f[1, 0, 1]) / 2, (f[1, 1, 2] - f[1, 1, 0]) / 2
        ss, yy, xx = f[2, 1, 1] + f[0, 1, 1] - 2 * v, f[1, 2, 1] + f[1, 0, 1] - 2 * v, f[1, 1, 2] + f[1, 1, 0] - 2 * v
        sy = (f[2, 2, 1] - f[2, 0, 1] - f[0, 2, 1] + f[0, 0, 1]) / 4
        sx = (f[2, 1, 2] - f[2, 1, 0] - f[0, 1, 2] + f[0, 1, 0]) / 4
        yx = (f[1, 2, 2] - f[1, 2, 0] - f[1, 0, 2] + f[1, 0, 0]) / 4
        A, B, C = yy * xx - yx * yx, sx * yx - sy * xx, sy * yx - sx * yy  # cofactors
        D, E, F = ss * xx - sx * sx, sy * sx - ss * yx, ss * yy - sy * sy
        det = ss * A + sy * B + sx * C
        sign = -1 if v > 0 else 1  # definite: all leading minors have the sign they have at such a peak
        fits = sign * ss > 0 and F > 0 and sign * det > 0
        if fits:
            ds, dy, dx = -(A * gs + B * gy + C * gx), -(B * gs + D * gy + E * gx), -(C * gs + E * gy + F * gx)
            fits = max(abs(ds), abs(dy), abs(dx)) <= abs(det)
        if fits:
            ds, dy, dx = ds / det, dy / det, dx / det
        else:
            ds, dy, dx = -gs / ss if ss != 0 else 0.0, -gy / yy if yy != 0 else 0.0, -gx / xx if xx != 0 else 0.0
        values[n] = v + (gs * ds + gy * dy + gx * dx) / 2
        offsets[n, 0], offsets[n, 1], offsets[n, 2] = ds, dy, dx
    return values, offsets


# ---------------------------------------------------------------------------------------------
# Checks at the door


def _require_sigmas(sigmas: ArrayLike, least: int = 1) -> Array:
    values = np.array(sigmas, dtype=np.float64)
    if values.ndim != 1 or len(values) < least:
        raise ValueError(f"sigmas must be a list of at least {least}, got shape {values.shape}")
    if not (np.isfinite(values).all() and values[0] > 0 and (np.diff(values) > 0).all()):
        raise ValueError(f"sigmas must be positive and ascending, got {values}")
    return values


def _require_stack(stack: Array, sigmas: ArrayLike) -> tuple[Array, Array]:
    if not isinstance(stack, np.ndarray) or stack.dtype not in (np.float32, np.float64):
        kind = stack.dtype if isinstance(stack, np.ndarray) else type(stack).__name__
        raise TypeError(f"stack must be an array of float32 or float64, got {kind}")
    if stack.ndim != 3 or stack.size == 0:
        raise ValueError(f"stack must have shape (S, H, W), got {stack.shape}")
    if not np.isfinite(stack).all():
        raise ValueError("stack holds NaN or infinity")
    values = _require_sigmas(sigmas)
    if len(values) != len(stack):
        raise ValueError(f"{len(stack)} slices but {len(values)} sigmas")
    factors = values[1:] / values[:-1]
    if len(factors) and np.ptp(factors) > 1e-3 * (factors[0] - 1):
        raise ValueError(
            f"sigmas must grow by a constant factor, as those of np.geomspace; "
            f"got factors {factors.min():.4g} to {factors.max():.4g}"
        )
    return np.require(stack, requirements=["C", "W"]), values


def _require_threshold(threshold: float) -> float:
    if not 0 <= threshold < math.inf:
        raise ValueError(f"threshold is an absolute response, >= 0; got {threshold}")
    return threshold


def _require_count(name: str, count: int) -> int:
    if not isinstance(count, int | np.integer) or isinstance(count, bool):
        raise TypeError(f"{name} must be an integer, got {count!r}")
    if count < 1:
        raise ValueError(f"{name} must be at least 1, got {count}")
    return int(count)


def _signs(polarity: str) -> tuple[bool, bool]:
    """Tell whether bright and whether dark blobs are wanted."""
    if polarity not in POLARITIES:
        raise ValueError(f"polarity must be one of {', '.join(map(repr, POLARITIES))}; got {polarity!r}")
    return polarity != "dark", polarity != "bright"

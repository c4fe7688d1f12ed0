"""Descriptors: what a keypoint looks like, written so that another photograph gives the same numbers.

`mops` is a small normalised patch, turned upright.  `sift` finds its own keypoints in a scale space
and describes each by histograms of gradient directions; its stages (`scale_space`, `dog_keypoints`,
`dominant_orientations`, `describe`) can be called one by one.  `match` pairs descriptors, `roc` and
`auc` tell how good the pairs are.

Every octave is subsampled about the middle sample, and votes are shared between neighbouring bins,
so a picture turned by 90 degrees has the turned keypoints and the same descriptors, to rounding.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from cvcourse.compiled import FAST, SERIAL
from cvcourse.edges import Polar, gaussian_gradient, polar_gradient
from cvcourse.filtering import gaussian
from cvcourse.homogeneous import as_points
from cvcourse.images import Array, require_image
from cvcourse.sampling import sample

MOPS_SIDE, MOPS_SPACING = 8, 5.0
"""Samples along a side of a MOPS patch, and their distance in pixels: a window of 40 x 40."""

LEVELS, SIGMA, SMALLEST, RIM = 3, 1.6, 16, 5
"""SIFT: levels an octave, blur of its first level in samples, least side of an octave, border left out."""

CONTRAST, EDGE, CLIP = 0.04 / 3, 10.0, 0.2
"""SIFT: least |DoG| at a keypoint, largest ratio of its curvatures, cap of a descriptor's entries."""

BINS, CELLS, DIRECTIONS = 36, 4, 8
"""SIFT: bins of the orientation histogram; cells along a side, and bins a cell, of the descriptor."""


@dataclass(frozen=True, eq=False)
class Octave:
    """Images of one sampling rate, ever more blurred.

    ``levels`` (L + 3, h, w) has the blur ``SIGMA * 2**(i / L)`` samples at level i; sample [row, col]
    lies at ``x = origin[0] + step * col``, ``y = origin[1] + step * row`` of the image.
    """

    levels: Array
    step: float
    origin: tuple[float, float]
    _polar: dict[int, Polar] = field(default_factory=dict, repr=False)

    def polar_gradient(self, i: int) -> Polar:
        """Give length and direction of the gradient of level i, computed once."""
        if i not in self._polar:
            self._polar[i] = polar_gradient(self.levels[i], "central")
        return self._polar[i]


class Features(NamedTuple):
    """Keypoints (N, 2) in (x, y), their scales (N,) in pixels, orientations (N,) in radians, descriptors (N, D)."""

    keypoints: Array
    scales: Array
    orientations: Array
    descriptors: Array


class Nearest(NamedTuple):
    """For each descriptor: index of its nearest, its distance, and distance over that of the second nearest."""

    indices: NDArray[np.int64]
    distance: Array
    ratio: Array


class Roc(NamedTuple):
    """Points of a ROC curve from (0, 0) to (1, 1), and the threshold that gives each (the first is infinite)."""

    fpr: Array
    tpr: Array
    thresholds: Array


# ---------------------------------------------------------------------------------------------
# MOPS


def gradient_orientations(image: Array, keypoints: ArrayLike, sigma: float = 4.5) -> Array:
    """Tell in which direction the brightness around each keypoint grows, Eq. (6.2).

    The gradient of the image smoothed by a Gaussian has one direction; an eigenvector of the
    structure tensor would leave two, 180 degrees apart.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    keypoints : array_like of shape (N, 2)
        Points (x, y); N may be 0.
    sigma : float
        Standard deviation of the smoothing in pixels.

    Returns
    -------
    ndarray of shape (N,)
        Radians in [-pi, pi], from +x towards +y (down); 0 where the gradient is 0.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, keypoints of another shape, a negative sigma.

    References
    ----------
    .. [1] Brown, Szeliski & Winder, Multi-image matching using multi-scale oriented patches, 2005,
       doi:10.1109/CVPR.2005.235.

    Examples
    --------
    >>> falls_upwards = np.outer(np.linspace(0, 1, 41), np.ones(41))
    >>> np.rad2deg(gradient_orientations(falls_upwards, [[20, 20]])).round(3)
    array([90.])
    """
    x, y = _keypoints(keypoints).T
    Ix, Iy = (sample(part, x, y) for part in gaussian_gradient(image, sigma))
    return np.arctan2(Iy + 0.0, Ix + 0.0).astype(np.float64)  # + 0.0: no negative zero


def mops(image: Array, keypoints: ArrayLike, orientations: ArrayLike | None = None) -> Array:
    """Describe keypoints by 8 x 8 samples of the 40 x 40 window around each, turned upright and normalised.

    The image is blurred for the coarse sampling; samples lie on a grid of 5 pixels whose first axis
    points along the orientation, Eq. (6.3); from each its window's mean is subtracted, and the result
    is divided by the standard deviation, Eq. (6.5).

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    keypoints : array_like of shape (N, 2)
        Points (x, y); N may be 0.
    orientations : array_like of shape (N,), optional
        Radians; by default `gradient_orientations`.

    Returns
    -------
    ndarray of shape (N, 64), in the precision of `image`
        Rows of the upright patch one after the other, of mean 0 and variance 1; a window without
        structure (standard deviation lost in rounding) gives zeros.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, arguments of another shape.

    Notes
    -----
    One scale only: 5 pixels are 5 pixels in both photographs.  Beyond the border the image is mirrored.

    References
    ----------
    .. [1] Brown, Szeliski & Winder, Multi-image matching using multi-scale oriented patches, 2005,
       doi:10.1109/CVPR.2005.235.
    .. [2] Szeliski, Computer Vision, 2nd ed., 2022, section 7.1.2.

    Examples
    --------
    >>> image = np.outer(np.linspace(0, 1, 60), np.ones(50))
    >>> mops(image, [[25, 30]]).reshape(8, 8)[3].round(2)
    array([-1.53, -1.09, -0.65, -0.22,  0.22,  0.65,  1.09,  1.53])
    """
    image, keypoints = require_image(image, gray=True), _keypoints(keypoints)
    theta = gradient_orientations(image, keypoints) if orientations is None else orientations
    theta = _per_keypoint(theta, len(keypoints), "orientations")
    v, u = MOPS_SPACING * (np.indices((MOPS_SIDE, MOPS_SIDE)).reshape(2, 64) - (MOPS_SIDE - 1) / 2)
    cos, sin = np.cos(theta)[:, None], np.sin(theta)[:, None]
    x, y = keypoints[:, :1] + cos * u - sin * v, keypoints[:, 1:] + sin * u + cos * v
    patches = sample(gaussian(image, MOPS_SPACING / 2), x, y)
    flat = 8 * np.finfo(image.dtype).eps * np.abs(patches).max(axis=1, keepdims=True)
    patches -= patches.mean(axis=1, keepdims=True)
    deviation = patches.std(axis=1, keepdims=True)
    return np.divide(patches, deviation, out=np.zeros_like(patches), where=deviation > flat)


# ---------------------------------------------------------------------------------------------
# SIFT


def sift(image: Array, contrast: float = CONTRAST, edge: float = EDGE, clip: float = CLIP) -> Features:
    """Find and describe keypoints by the scale-invariant feature transform.

    Extrema of the difference of Gaussians in position and scale, each with one or more dominant
    directions; then 4 x 4 histograms of 8 gradient directions in the frame of each.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point, [0, 1].
    contrast, edge : float
        Which extrema to keep; see `dog_keypoints`.
    clip : float
        Cap of the descriptors' entries; see `describe`.

    Returns
    -------
    Features
        ``keypoints`` (N, 2), ``scales`` (N,), ``orientations`` (N,), ``descriptors`` (N, 128), all
        with N = 0 if there is nothing to find.  A keypoint with several directions appears several times.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, parameters out of range.

    Notes
    -----
    Time grows with the pixels and with the keypoints: 0.2 s for 512 x 512 with 4,000 of them.

    References
    ----------
    .. [1] Lowe, Distinctive image features from scale-invariant keypoints, 2004,
       doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> x, y = np.mgrid[-30:31, -30:31]
    >>> found = sift(np.exp(-(x**2 + y**2) / 50.0))
    >>> found.keypoints[0].round(3), found.scales[:1].round(1), found.descriptors.shape[1]
    (array([30., 30.]), array([4.4]), 128)
    """
    octaves = scale_space(image)
    keypoints, scales = dog_keypoints(octaves, contrast, edge)
    which, orientations = dominant_orientations(octaves, keypoints, scales)
    keypoints, scales = keypoints[which], scales[which]
    return Features(keypoints, scales, orientations, describe(octaves, keypoints, scales, orientations, clip))


def scale_space(image: Array) -> list[Octave]:
    """Blur an image in steps, and halve the sampling rate whenever the blur has doubled.

    The first octave has twice the samples of the image.  Level i is blurred by ``1.6 * 2**(i / 3)``
    samples, on the assumption that the image itself is blurred by half a pixel.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.

    Returns
    -------
    list of Octave
        At least one; the last has a side of 16 samples or just above.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN.

    References
    ----------
    .. [1] Lowe, 2004, section 3, doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> [(octave.levels.shape, octave.step) for octave in scale_space(np.eye(33))]
    [((6, 65, 65), 0.5), ((6, 33, 33), 1.0), ((6, 17, 17), 2.0)]
    """
    image = require_image(image, gray=True)
    base = gaussian(_double(image), math.sqrt(SIGMA**2 - 1))  # half a pixel of blur is one sample now
    sigmas = [SIGMA * 2 ** (i / LEVELS) for i in range(LEVELS + 3)]
    step, x, y = 0.5, 0.0, 0.0
    octaves: list[Octave] = []
    while True:
        levels = [base]
        for before, after in itertools.pairwise(sigmas):
            levels.append(gaussian(levels[-1], math.sqrt(after**2 - before**2)))
        octaves.append(Octave(np.stack(levels), step, (x, y)))
        row, col = ((n - 1) // 2 % 2 for n in base.shape)  # keep the middle sample: both ends are treated alike
        base = np.ascontiguousarray(levels[LEVELS][row::2, col::2])
        x, y, step = x + col * step, y + row * step, 2 * step
        if min(base.shape) < SMALLEST:
            return octaves


def _double(image: Array) -> Array:
    """Put a sample between any two, by bilinear interpolation: (H, W) -> (2H - 1, 2W - 1)."""
    half = image.dtype.type(0.5)
    height, width = image.shape
    wide = np.empty((height, 2 * width - 1), image.dtype)
    wide[:, ::2], wide[:, 1::2] = image, half * (image[:, 1:] + image[:, :-1])
    result = np.empty((2 * height - 1, 2 * width - 1), image.dtype)
    result[::2], result[1::2] = wide, half * (wide[1:] + wide[:-1])
    return result


def dog_keypoints(octaves: list[Octave], contrast: float = CONTRAST, edge: float = EDGE) -> tuple[Array, Array]:
    """Find the extrema of the difference of Gaussians in position and scale.

    A sample larger (or smaller) than its 26 neighbours is moved to the extremum of the quadratic
    through them, Eq. (6.8).  It is kept if |DoG| is at least `contrast` there, and if its two
    principal curvatures have one sign and a ratio of at most `edge`, Eq. (6.9).

    Parameters
    ----------
    octaves : list of Octave
        From `scale_space`.
    contrast : float
        Least absolute value of the DoG, >= 0.
    edge : float
        Largest ratio of the curvatures, >= 1: an edge is sharp one way and flat the other.

    Returns
    -------
    keypoints : ndarray of shape (N, 2)
        Points (x, y) in pixels of the image.
    scales : ndarray of shape (N,)
        Standard deviation of the less blurred Gaussian of the pair, in pixels of the image.

    Raises
    ------
    ValueError
        If contrast is negative or edge below 1.

    References
    ----------
    .. [1] Lowe, 2004, sections 3 and 4, doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> x, y = np.mgrid[-30:31, -30:31]
    >>> dog_keypoints(scale_space(np.exp(-(x**2 + y**2) / 50.0)))[0].round(3) + 0.0
    array([[30., 30.]])
    """
    if not contrast >= 0:
        raise ValueError(f"contrast is a least absolute value, >= 0; got {contrast}")
    if not edge >= 1:
        raise ValueError(f"edge is a ratio of the larger to the smaller curvature, >= 1; got {edge}")
    points, scales = [np.empty((0, 2))], [np.empty(0)]
    for octave in octaves:
        found = _extrema_loop(octave.levels[1:] - octave.levels[:-1], float(contrast), float(edge))
        found = np.unique(found, axis=0)  # two walks may end in one place
        points.append(found[:, :0:-1] * octave.step + octave.origin)
        scales.append(SIGMA * 2 ** (found[:, 0] / LEVELS) * octave.step)
    return np.concatenate(points), np.concatenate(scales)


def dominant_orientations(
    octaves: list[Octave], keypoints: ArrayLike, scales: ArrayLike
) -> tuple[NDArray[np.int64], Array]:
    """Find the directions in which brightness grows around each keypoint: peaks of a histogram.

    Gradients within 4.5 scales vote for one of 36 directions with their length times a Gaussian of
    1.5 scales, Eq. (6.10).  Every peak of at least 0.8 of the highest counts, at most four; a parabola
    refines it, Eq. (6.11).

    Parameters
    ----------
    octaves : list of Octave
        From `scale_space`.
    keypoints : array_like of shape (N, 2)
    scales : array_like of shape (N,)
        In pixels of the image, > 0.

    Returns
    -------
    which : ndarray of shape (M,), int
        Index of the keypoint that each direction belongs to, ascending.
    orientations : ndarray of shape (M,)
        Radians in [0, 2 pi), from +x towards +y (down).

    Raises
    ------
    ValueError
        For arguments of another shape, NaN, or scales that are not positive.

    References
    ----------
    .. [1] Lowe, 2004, section 5, doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> falls_upwards = np.outer(np.linspace(0, 1, 41), np.ones(41))
    >>> np.rad2deg(dominant_orientations(scale_space(falls_upwards), [[20, 20]], [2.0])[1]).round(3)
    array([90.])
    """
    keypoints = _keypoints(keypoints)
    scales = _scales(scales, len(keypoints))
    angles = np.full((len(keypoints), 4), np.nan)
    for rows, polar, places in _by_level(octaves, keypoints, scales):
        angles[rows] = _orientation_loop(*polar, places)
    which, slot = np.nonzero(~np.isnan(angles))
    return which, angles[which, slot] % (2 * np.pi)


def describe(
    octaves: list[Octave], keypoints: ArrayLike, scales: ArrayLike, orientations: ArrayLike, clip: float = CLIP
) -> Array:
    """Describe keypoints by SIFT's 4 x 4 histograms of 8 gradient directions.

    A cell is 3 scales wide.  Each gradient in the turned window votes with its length times a Gaussian
    of two cells, shared among the 2 x 2 x 2 nearest bins of x, y and direction, Eq. (6.12).  The vector is
    normalised, capped at `clip` and normalised again, Eq. (6.13).

    Parameters
    ----------
    octaves : list of Octave
        From `scale_space`.
    keypoints, scales, orientations : array_like of shape (N, 2), (N,), (N,)
        Pixels, pixels (> 0) and radians.
    clip : float
        Cap in units of the vector's length, > 0; 1 or more caps nothing.

    Returns
    -------
    ndarray of shape (N, 128), in the precision of the octaves
        Entry ``(4 * v + u) * 8 + k`` is bin k of the cell in row v, column u of the upright window; length 1,
        or zeros where the window shows no gradient.

    Raises
    ------
    ValueError
        For arguments of another shape, NaN, scales or clip that are not positive.

    References
    ----------
    .. [1] Lowe, 2004, section 6, doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> falls_upwards = np.outer(np.linspace(0, 1, 41), np.ones(41))
    >>> describe(scale_space(falls_upwards), [[20, 20]], [1.6], [np.pi / 2])[0, 40:48].round(3) + 0.0
    array([0.253, 0.   , 0.   , 0.   , 0.   , 0.   , 0.   , 0.   ])
    """
    keypoints = _keypoints(keypoints)
    scales = _scales(scales, len(keypoints))
    orientations = _per_keypoint(orientations, len(keypoints), "orientations")
    if not clip > 0:
        raise ValueError(f"clip is the largest entry of a vector of length 1, > 0; got {clip}")
    descriptors = np.zeros((len(keypoints), CELLS * CELLS * DIRECTIONS), octaves[0].levels.dtype)
    for rows, polar, places in _by_level(octaves, keypoints, scales):
        votes = _descriptor_loop(*polar, places, orientations[rows])
        unit = _unit(votes)
        descriptors[rows] = _unit(np.minimum(unit, clip))
    return descriptors


def _by_level(octaves: list[Octave], keypoints: Array, scales: Array) -> Iterator[tuple[Array, Polar, Array]]:
    """For each level that keypoints lie nearest to: which ones, its gradient, (sigma, row, col) in samples."""
    level = LEVELS * np.log2(scales / (SIGMA * octaves[0].step))  # counted through all octaves
    number = np.clip(np.floor((level - 0.5) / LEVELS), 0, len(octaves) - 1).astype(int)
    level = np.clip(np.rint(level - LEVELS * number), 0, LEVELS + 2).astype(int)
    for o, i in sorted(set(zip(number.tolist(), level.tolist(), strict=True))):
        rows = np.flatnonzero((number == o) & (level == i))
        places = np.column_stack([scales[rows], (keypoints[rows] - octaves[o].origin)[:, ::-1]]) / octaves[o].step
        yield rows, octaves[o].polar_gradient(i), places


def _unit(vectors: Array) -> Array:
    length = np.sqrt(np.sum(vectors**2, axis=1, keepdims=True))
    return np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 0)


# ---------------------------------------------------------------------------------------------
# SIFT's loops


@njit(**SERIAL)
def _is_extremum(d, s, y, x):
    """Larger, or smaller, than the 26 neighbours; of equal neighbours the first in reading order counts."""
    v, sign = d[s, y, x], 1 if d[s, y, x] > 0 else -1
    for c in range(s - 1, s + 2):
        for j in range(y - 1, y + 2):
            for i in range(x - 1, x + 2):
                difference = sign * (v - d[c, j, i])
                before = (c, j, i) < (s, y, x)
                if difference < 0 or (before and difference == 0):
                    return False
    return True


@njit(**SERIAL)
def _newton_step(d, s, y, x):
    """Offset (s, y, x) to the extremum of the quadratic through the 27 samples, Eq. (6.8), and its value."""
    c = d[s, y, x]
    gx, gy = (d[s, y, x + 1] - d[s, y, x - 1]) / 2, (d[s, y + 1, x] - d[s, y - 1, x]) / 2
    gs = (d[s + 1, y, x] - d[s - 1, y, x]) / 2
    xx, yy = d[s, y, x + 1] + d[s, y, x - 1] - 2 * c, d[s, y + 1, x] + d[s, y - 1, x] - 2 * c
    ss = d[s + 1, y, x] + d[s - 1, y, x] - 2 * c
    xy = (d[s, y + 1, x + 1] - d[s, y + 1, x - 1] - d[s, y - 1, x + 1] + d[s, y - 1, x - 1]) / 4
    xs = (d[s + 1, y, x + 1] - d[s + 1, y, x - 1] - d[s - 1, y, x + 1] + d[s - 1, y, x - 1]) / 4
    ys = (d[s + 1, y + 1, x] - d[s + 1, y - 1, x] - d[s - 1, y + 1, x] + d[s - 1, y - 1, x]) / 4
    a, b, e = yy * ss - ys * ys, xs * ys - xy * ss, xy * ys - xs * yy  # cofactors of the Hessian
    det = xx * a + xy * b + xs * e
    if det == 0:
        return 9.0, 9.0, 9.0, 0.0, 0.0, 0.0
    ox = -(a * gx + b * gy + e * gs) / det
    oy = -(b * gx + (xx * ss - xs * xs) * gy + (xy * xs - xx * ys) * gs) / det
    os = -(e * gx + (xy * xs - xx * ys) * gy + (xx * yy - xy * xy) * gs) / det
    return os, oy, ox, c + (gs * os + gy * oy + gx * ox) / 2, xx + yy, xx * yy - xy * xy


@njit(**SERIAL)
def _refine(d, s, y, x, contrast, edge):
    """Walk to the voxel that holds the extremum; tell whether to keep it, and (level, row, column)."""
    for _ in range(5):
        os, oy, ox, value, trace, det = _newton_step(d, s, y, x)
        if max(abs(os), abs(oy), abs(ox)) <= 0.6:
            corner = det > 0 and trace * trace * edge <= (edge + 1) * (edge + 1) * det  # Eq. (6.9)
            return abs(value) >= contrast and corner, s + os, y + oy, x + ox
        if max(abs(os), abs(oy), abs(ox)) > 5:
            break
        s, y, x = s + round(os), y + round(oy), x + round(ox)
        if not (1 <= s < len(d) - 1 and RIM <= y < d.shape[1] - RIM and RIM <= x < d.shape[2] - RIM):
            break
    return False, 0.0, 0.0, 0.0


@njit(**SERIAL)
def _extrema_loop(d, contrast, edge):
    """Rows (level, row, column) of the refined extrema that are kept."""
    found = np.empty((d.size // 16 + 1, 3))
    count, least = 0, max(contrast / 2, 1e-9)  # on the grid an extremum may look lower than it is
    for s in range(1, len(d) - 1):
        for y in range(RIM, d.shape[1] - RIM):
            for x in range(RIM, d.shape[2] - RIM):
                v, left, right = d[s, y, x], d[s, y, x - 1], d[s, y, x + 1]
                if abs(v) <= least or (v > 0 and (v < left or v < right)) or (v < 0 and (v > left or v > right)):
                    continue
                if _is_extremum(d, s, y, x):
                    kept, level, row, col = _refine(d, s, y, x, contrast, edge)
                    if kept and count < len(found):
                        found[count] = level, row, col
                        count += 1
    return found[:count]


@njit(**SERIAL)
def _bell(center, first, n, sigma):
    """exp(-(i - center)^2 / 2 sigma^2) at i = first ... first + n - 1: the window is a product of two of these."""
    weights = np.empty(n)
    for i in range(n):
        weights[i] = math.exp(-((first + i - center) ** 2) / (2 * sigma * sigma))
    return weights


@njit(**SERIAL)
def _window(center, radius, n):
    """First sample inside the image and the number of samples within `radius` of the centre."""
    first = max(0, math.ceil(center - radius))
    return first, max(0, min(n - 1, math.floor(center + radius)) - first + 1)


@njit(**SERIAL)
def _direction_histogram(magnitude, angle, place):
    """Votes for 36 directions around a keypoint, Eq. (6.10), smoothed by (1, 4, 6, 4, 1) / 16."""
    sigma, row, col = place
    y0, ny = _window(row, 4.5 * sigma, magnitude.shape[0])
    x0, nx = _window(col, 4.5 * sigma, magnitude.shape[1])
    weight_y, weight_x = _bell(row, y0, ny, 1.5 * sigma), _bell(col, x0, nx, 1.5 * sigma)
    votes, smooth = np.zeros(BINS), np.empty(BINS)
    for j in range(ny):
        for i in range(nx):
            t = angle[y0 + j, x0 + i] * (BINS / (2 * math.pi)) + BINS
            k, weight = int(t), weight_y[j] * weight_x[i] * magnitude[y0 + j, x0 + i]
            votes[k % BINS] += weight * (k + 1 - t)
            votes[(k + 1) % BINS] += weight * (t - k)
    for k in range(BINS):
        near, far = votes[k - 1] + votes[(k + 1) % BINS], votes[k - 2] + votes[(k + 2) % BINS]
        smooth[k] = (6 * votes[k] + 4 * near + far) / 16
    return smooth


@njit(**FAST)
def _orientation_loop(magnitude, angle, places):
    """For each keypoint up to 4 directions, NaN where fewer."""
    angles = np.full((len(places), 4), np.nan)
    for n in prange(len(places)):
        histogram = _direction_histogram(magnitude, angle, places[n])
        least, count = 0.8 * histogram.max(), 0
        for k in range(BINS):
            before, here, after = histogram[k - 1], histogram[k], histogram[(k + 1) % BINS]
            if here > before and here >= after and here >= least and count < 4:
                peak = k + 0.5 * (before - after) / (before - 2 * here + after)  # Eq. (6.11)
                angles[n, count] = peak * (2 * math.pi / BINS)
                count += 1
    return angles


@njit(**SERIAL)
def _vote(cells, u, v, t, weight):
    """Share a vote among the 8 bins nearest to (u, v, t), Eq. (6.12)."""
    i, j, k = int(u), int(v), int(t)
    a, b, c = u - i, v - j, t - k
    for q in range(2):
        row = weight * (b if q else 1 - b)
        for p in range(2):
            part = row * (a if p else 1 - a)
            cells[j + q, i + p, k % DIRECTIONS] += part * (1 - c)
            cells[j + q, i + p, (k + 1) % DIRECTIONS] += part * c


@njit(**FAST)
def _descriptor_loop(magnitude, angle, places, orientations):
    """The 4 x 4 x 8 votes of each keypoint, not yet normalised; cells have a rim that is thrown away."""
    out = np.empty((len(places), CELLS * CELLS * DIRECTIONS), magnitude.dtype)
    for n in prange(len(places)):
        sigma, row, col = places[n]
        width, theta = 3 * sigma, orientations[n]
        radius = width * (CELLS + 1) / 2 * math.sqrt(2)
        y0, ny = _window(row, radius, magnitude.shape[0])
        x0, nx = _window(col, radius, magnitude.shape[1])
        weight_y, weight_x = _bell(row, y0, ny, 2 * width), _bell(col, x0, nx, 2 * width)
        cos, sin = math.cos(theta) / width, math.sin(theta) / width
        cells = np.zeros((CELLS + 2, CELLS + 2, DIRECTIONS))
        for j in range(ny):
            for i in range(nx):
                dx, dy = x0 + i - col, y0 + j - row
                u, v = cos * dx + sin * dy + 2.5, cos * dy - sin * dx + 2.5  # in cells of the rimmed table
                if 0 < u < CELLS + 1 and 0 < v < CELLS + 1:
                    t = (angle[y0 + j, x0 + i] - theta) * (DIRECTIONS / (2 * math.pi)) + 2 * DIRECTIONS
                    _vote(cells, u, v, t, weight_y[j] * weight_x[i] * magnitude[y0 + j, x0 + i])
        out[n] = cells[1:-1, 1:-1].copy().reshape(-1)
    return out


# ---------------------------------------------------------------------------------------------
# Matching


def nearest(descriptors1: ArrayLike, descriptors2: ArrayLike) -> Nearest:
    """Find for each descriptor of the first set its nearest in the second, and how clear the case is.

    The ratio compares *distances*, not their squares, Eq. (6.15): near 0 the nearest stands alone,
    near 1 the second nearest is as good.

    Parameters
    ----------
    descriptors1, descriptors2 : array_like of shape (N1, D) and (N2, D)
        N1 and N2 may be 0.

    Returns
    -------
    Nearest
        ``indices`` (N1,) into the second set, ``distance`` (N1,) Euclidean, ``ratio`` (N1,) in [0, 1].  With a
        single candidate, or two at distance 0, the ratio is 1: nothing says that the nearest is right.
        With N2 = 0 all three are empty.

    Raises
    ------
    ValueError
        For arguments of another shape, lengths D that differ, NaN.

    Notes
    -----
    N1 N2 D products, as one matrix product a block: ``|a - b|**2 = |a|**2 + |b|**2 - 2 a.b``.
    Of equally near ones the first counts.

    References
    ----------
    .. [1] Lowe, 2004, section 7.1, doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> nearest([[0.0, 0.0]], [[3.0, 4.0], [10.0, 0.0]])
    Nearest(indices=array([0]), distance=array([5.]), ratio=array([0.5]))
    """
    a, b = _descriptors(descriptors1, "descriptors1"), _descriptors(descriptors2, "descriptors2")
    if a.shape[1] != b.shape[1]:
        raise ValueError(f"descriptors of one length are compared, got {a.shape[1]} and {b.shape[1]} numbers")
    dtype = np.result_type(a, b)
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
    if len(b) == 0:
        return Nearest(np.empty(0, np.int64), np.empty(0, dtype), np.empty(0, dtype))
    squares, rows = np.sum(b * b, axis=1), 1 + 2**21 // len(b)  # a block of products stays in the cache
    parts = [_two_nearest_loop(a[i : i + rows] @ b.T, squares) for i in range(0, len(a), rows)]
    two = np.concatenate([np.empty((0, 2), np.int64), *parts])
    first, second = (np.sqrt(np.sum((a - b[two[:, c]]) ** 2, axis=1)) for c in (0, 1))
    ratio = np.divide(first, second, out=np.ones_like(first), where=second > 0)
    return Nearest(two[:, 0].copy(), first, np.minimum(ratio, 1))


@njit(**SERIAL)
def _two_nearest_loop(products, squares):
    """Columns of the least and the second least |b|^2 - 2 a.b of each row; twice the same if there is one."""
    two = np.zeros((len(products), 2), np.int64)
    for i in range(len(products)):
        row, best, other = products[i], 1e300, 1e300  # fastmath knows no infinity
        for j in range(row.size):
            d = squares[j] - 2 * row[j]
            if d < other:
                if d < best:
                    best, other = d, best
                    two[i, 1], two[i, 0] = two[i, 0], j
                else:
                    other = d
                    two[i, 1] = j
    return two


def match(descriptors1: ArrayLike, descriptors2: ArrayLike, ratio: float = 0.8, mutual: bool = False) -> Array:
    """Pair each descriptor with its nearest, if that is clearly nearer than the second nearest.

    Parameters
    ----------
    descriptors1, descriptors2 : array_like of shape (N1, D) and (N2, D)
        N1 and N2 may be 0.
    ratio : float
        Pairs whose distance ratio is below this are kept, in (0, 1]; 1 keeps every pair.  It compares
        distances: 0.8 here is 0.64 between squared distances.
    mutual : bool
        Keep a pair only if each is the other's nearest.

    Returns
    -------
    ndarray of shape (M, 2), int
        Rows (index in the first set, index in the second), the first ascending.

    Raises
    ------
    ValueError
        As `nearest`, or for a ratio outside (0, 1].

    Notes
    -----
    With a single candidate only ``ratio=1`` finds a pair.

    References
    ----------
    .. [1] Lowe, 2004, section 7.1, doi:10.1023/B:VISI.0000029664.99615.94.

    Examples
    --------
    >>> match([[0.0, 0.0], [9.0, 9.0]], [[9.0, 8.0], [0.0, 1.0], [8.0, 9.0]])
    array([[0, 1]])
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio is a bound on distance over second distance, in (0, 1]; got {ratio}")
    found = nearest(descriptors1, descriptors2)
    kept = (found.ratio < ratio) | (ratio == 1)
    if mutual and len(found.indices):
        back = nearest(descriptors2, descriptors1).indices
        kept &= back[found.indices] == np.arange(len(found.indices))
    return np.column_stack([np.flatnonzero(kept), found.indices[kept]])


# ---------------------------------------------------------------------------------------------
# How good the matches are


def roc(scores: ArrayLike, labels: ArrayLike) -> Roc:
    """Sweep a threshold over scores: share of the true that is accepted against share of the false.

    ``tpr = TP / (TP + FN)`` and ``fpr = FP / (FP + TN)``, Eq. (6.17), of the rule "accept if
    score >= threshold", for every threshold that makes a difference.

    Parameters
    ----------
    scores : array_like of shape (N,)
        Higher means "rather true": hand in minus the distance or minus the ratio.
    labels : array_like of shape (N,), bool
        The truth; both kinds must occur.

    Returns
    -------
    Roc
        ``fpr``, ``tpr`` and ``thresholds``, each (K,), from (0, 0) to (1, 1).  Equal scores are accepted
        together: one point, not several.

    Raises
    ------
    ValueError
        For shapes that differ, NaN, labels that are no truth values, or all of one kind.

    References
    ----------
    .. [1] Fawcett, An introduction to ROC analysis, 2006, doi:10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> fpr, tpr, thresholds = roc([0.9, 0.8, 0.7, 0.6], [True, False, True, False])
    >>> fpr, tpr
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]))
    """
    scores, truth = np.asarray(scores, dtype=np.float64), np.asarray(labels)
    if scores.ndim != 1 or truth.shape != scores.shape:
        raise ValueError(f"scores and labels must both have shape (N,), got {scores.shape} and {truth.shape}")
    if np.isnan(scores).any():
        raise ValueError("scores hold NaN")
    if not np.isin(truth, (0, 1)).all():
        raise ValueError(f"labels must be True and False, got {truth.dtype} with other values than 0 and 1")
    true = truth.astype(bool)
    if true.all() or not true.any():
        raise ValueError(f"both true and false pairs are needed, got {true.sum()} true of {len(true)}")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)  # of each run of equal scores
    tp, fp = np.cumsum(true[order])[last], np.cumsum(~true[order])[last]
    fpr, tpr = np.append(0, fp) / fp[-1], np.append(0, tp) / tp[-1]
    return Roc(fpr, tpr, np.append(np.inf, scores[order][last]))


def auc(fpr: ArrayLike, tpr: ArrayLike) -> float:
    """Measure the area under a ROC curve with the trapezoid rule.

    It is the probability that a random true pair scores higher than a random false one, a tie
    counted as one half, Eq. (6.18).

    Parameters
    ----------
    fpr, tpr : array_like of shape (K,)
        Points of the curve in ascending order, K >= 2.

    Returns
    -------
    float
        In [0, 1]; 1/2 is chance.

    Raises
    ------
    ValueError
        For shapes that differ, values outside [0, 1], or points that are not sorted: on unsorted
        ones the trapezoid rule gives a wrong area without complaint.

    References
    ----------
    .. [1] Fawcett, An introduction to ROC analysis, 2006, doi:10.1016/j.patrec.2005.10.010.

    Examples
    --------
    >>> auc([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1])
    0.75
    """
    x, y = np.asarray(fpr, dtype=np.float64), np.asarray(tpr, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape or len(x) < 2:
        raise ValueError(f"fpr and tpr must both have shape (K,), K >= 2; got {x.shape} and {y.shape}")
    if not (np.min([x, y]) >= 0 and np.max([x, y]) <= 1):  # NaN fails both
        raise ValueError("fpr and tpr must lie in [0, 1]: each is a share of its own kind")
    if np.any(np.diff(x) < 0) or np.any(np.diff(y) < 0):
        raise ValueError("the points must be sorted: fpr and tpr may not fall from one to the next")
    return float(np.sum(np.diff(x) * (y[1:] + y[:-1])) / 2)


# ---------------------------------------------------------------------------------------------
# Checks at the door


def _keypoints(keypoints: ArrayLike) -> Array:
    """Check points; unlike elsewhere there may be none, for a detector may find nothing."""
    points = np.asarray(keypoints, dtype=np.float64)
    return points if points.shape == (0, 2) else as_points(points, name="keypoints")


def _per_keypoint(values: ArrayLike, n: int, name: str) -> Array:
    result = np.require(values, np.float64, ["C", "W"])
    if result.shape != (n,):
        raise ValueError(f"{name} must have shape ({n},), one a keypoint; got {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return result


def _scales(scales: ArrayLike, n: int) -> Array:
    result = _per_keypoint(scales, n, "scales")
    if np.any(result <= 0):
        raise ValueError(f"scales are standard deviations in pixels, > 0; got {result.min():g}")
    return result


def _descriptors(descriptors: ArrayLike, name: str) -> Array:
    result = np.asarray(descriptors)
    if result.dtype != np.float32:
        result = result.astype(np.float64)
    if result.ndim != 2 or result.shape[1] == 0:
        raise ValueError(f"{name} must have shape (N, D), got {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} hold NaN or infinity")
    return result

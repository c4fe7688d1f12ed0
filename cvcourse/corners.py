"""Corners: places that every small shift changes, and how well each of them can be localised.

Around each pixel the products of the derivatives are averaged under a Gaussian window: the
structure tensor ``[[Sxx, Sxy], [Sxy, Syy]]``.  A score of it (`harris_response` and two others)
has peaks at corners; `find_peaks` reads them off, `refine_corners` moves them between the pixels,
`position_covariance` tells how far noise can push them and `repeatability` whether a detector
finds them again.  Keypoints are (N, 2) in (x, y).
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from cvcourse.compiled import FAST, SERIAL
from cvcourse.edges import gaussian_gradient
from cvcourse.filtering import gaussian, gaussian_kernel
from cvcourse.homogeneous import as_points, transform_points
from cvcourse.images import Array, require_image


class StructureTensor(NamedTuple):
    """The three different entries of the symmetric 2 x 2 matrix at every pixel, each (H, W)."""

    Sxx: Array
    Sxy: Array
    Syy: Array


class ErrorEllipse(NamedTuple):
    """Half axes in pixels, ``major >= minor``, and the direction of the major one, each (N,).

    ``angle`` is in radians in (-pi/2, pi/2], from +x towards +y (down: clockwise on the screen).
    """

    major: Array
    minor: Array
    angle: Array


# ---------------------------------------------------------------------------------------------
# The structure tensor and three scores of it


def structure_tensor(image: Array, sigma_d: float = 1.0, sigma_w: float = 1.5) -> StructureTensor:
    """Average the products of the derivatives under a Gaussian window, Eq. (4.7).

    ``Sxx = g * Ix^2``, ``Sxy = g * (Ix Iy)``, ``Syy = g * Iy^2``: products first, window second.
    The other way round the determinant would be 0 everywhere.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma_d : float
        Standard deviation of the Gaussian that the derivatives are taken with, pixels, >= 0; 0 is
        the central difference.
    sigma_w : float
        Standard deviation of the window, pixels, >= 0; its weights sum to 1.

    Returns
    -------
    StructureTensor
        ``Sxx, Sxy, Syy`` in (brightness per pixel) squared, in the precision of `image`.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a negative sigma.

    Notes
    -----
    One smoothed gradient and three Gaussians.  The image goes on mirrored beyond its border.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.1.1.

    Examples
    --------
    >>> ramp = np.add.outer(0.2 * np.arange(20), 0.1 * np.arange(20))
    >>> Sxx, Sxy, Syy = structure_tensor(ramp)
    >>> f"{Sxx[10, 10]:.4f} {Sxy[10, 10]:.4f} {Syy[10, 10]:.4f}"
    '0.0100 0.0200 0.0400'
    """
    image = require_image(image, gray=True)
    entries = list(_products_loop(*gaussian_gradient(image, sigma_d)))
    for k in range(3):  # one by one, so that the memory of each product can be used again
        entries[k] = gaussian(entries[k], sigma_w)
    return StructureTensor(*entries)


def harris_response(image: Array, sigma: float = 1.5, alpha: float = 0.05, sigma_d: float = 1.0) -> Array:
    """Score every pixel by ``R = det S - alpha (trace S)^2``, Eq. (4.9).

    Positive at corners, negative along edges, about 0 in flat regions.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma : float
        Standard deviation of the window in pixels, >= 0.
    alpha : float
        In [0, 1/4]; usually 0.04 to 0.06.  At 1/4 nothing is a corner.
    sigma_d : float
        Standard deviation of the derivatives in pixels, >= 0.

    Returns
    -------
    ndarray of shape (H, W)
        In the fourth power of brightness per pixel: an image ``a I + b`` scores a^4 times as much.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a negative sigma, alpha out of its range.

    References
    ----------
    .. [1] Harris & Stephens, A combined corner and edge detector, 1988, doi:10.5244/C.2.23.

    Examples
    --------
    >>> image = np.zeros((20, 24))
    >>> image[8:, 10:] = 1.0
    >>> R = harris_response(image)
    >>> np.sign(R[[9, 15, 9], [11, 9, 20]])  # at the corner, on each edge
    array([ 1., -1., -1.])
    """
    if not 0 <= alpha <= 0.25:
        raise ValueError(f"alpha must lie in [0, 1/4], got {alpha}: above it no matrix scores more than 0")
    Sxx, Sxy, Syy = structure_tensor(image, sigma_d, sigma)
    return _harris_loop(Sxx, Sxy, Syy, Sxx.dtype.type(alpha))


def harmonic_mean_response(image: Array, sigma: float = 1.5, sigma_d: float = 1.0) -> Array:
    """Score every pixel by ``det S / trace S``, half the harmonic mean of the eigenvalues, Eq. (4.11).

    Parameters
    ----------
    image, sigma, sigma_d
        As for `harris_response`.

    Returns
    -------
    ndarray of shape (H, W)
        Squared brightness per pixel, >= 0; 0 where the window is flat.

    Raises
    ------
    TypeError, ValueError
        As for `structure_tensor`.

    References
    ----------
    .. [1] Brown, Szeliski & Winder, Multi-image matching using multi-scale oriented patches, 2005,
       doi:10.1109/CVPR.2005.235.

    Examples
    --------
    >>> harmonic_mean_response(np.ones((4, 5))).max()
    np.float64(0.0)
    """
    Sxx, Sxy, Syy = structure_tensor(image, sigma_d, sigma)
    det, trace = Sxx * Syy - Sxy * Sxy, Sxx + Syy
    return np.divide(np.maximum(det, 0), trace, out=np.zeros_like(trace), where=trace > 0)


def min_eigenvalue_response(image: Array, sigma: float = 1.5, sigma_d: float = 1.0) -> Array:
    """Score every pixel by the smaller eigenvalue of S, Eq. (4.4): the change in the weakest direction.

    Parameters
    ----------
    image, sigma, sigma_d
        As for `harris_response`.

    Returns
    -------
    ndarray of shape (H, W)
        Squared brightness per pixel, >= 0.

    Raises
    ------
    TypeError, ValueError
        As for `structure_tensor`.

    References
    ----------
    .. [1] Shi & Tomasi, Good features to track, 1994, doi:10.1109/CVPR.1994.323794.

    Examples
    --------
    >>> ramp = np.add.outer(np.arange(40.0), np.arange(40.0))  # changes along one direction only
    >>> min_eigenvalue_response(ramp)[20, 20].round(6)
    np.float64(0.0)
    """
    Sxx, Sxy, Syy = structure_tensor(image, sigma_d, sigma)
    return np.maximum((Sxx + Syy) / 2 - np.hypot((Sxx - Syy) / 2, Sxy), 0)


# ---------------------------------------------------------------------------------------------
# From a score to keypoints


def find_peaks(
    response: Array, size: int = 7, threshold: float = 0.01, count: int | None = None, margin: int = 0
) -> Array:
    """List the local maxima of a response, the strongest first, Eq. (4.12).

    A pixel is a peak if it is above ``threshold`` times the largest response, above 0, and no pixel
    of the square window around it is larger.  Of equal pixels in one window only the first in
    reading order (rows from the top, each from the left) can be a peak: a plateau gives one
    keypoint, not many.  At the border the window is cut off.

    Parameters
    ----------
    response : ndarray of shape (H, W)
        Large at what is sought.
    size : int
        Side of the window in pixels, odd.
    threshold : float
        Share of the largest response, in [0, 1).
    count : int, optional
        Keep so many of the strongest; default all.
    margin : int
        Leave out peaks within so many rows or columns of the border, where the response depends
        on pixels that nobody saw.

    Returns
    -------
    keypoints : ndarray of shape (N, 2)
        (x, y) in whole pixels, float64, by falling response, of equal ones in reading order.
        (0, 2) if there are none.

    Raises
    ------
    TypeError, ValueError
        For what is no response, an even size, a threshold outside [0, 1), a negative count or margin.

    Notes
    -----
    Most pixels fall to one of their four neighbours, so the cost hardly grows with `size`.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.1.1.

    Examples
    --------
    >>> response = np.array([[0, 0, 0, 0, 0, 5.0], [0, 7, 7, 0, 0, 0], [0, 0, 0, 0, 0, 0]])
    >>> find_peaks(response, size=3)
    array([[1., 1.],
           [5., 0.]])
    """
    response = require_image(response, gray=True, name="response")
    size, margin = _require_whole("size", size, 1), _require_whole("margin", margin, 0)
    if size % 2 == 0:
        raise ValueError(f"size must be odd, so that the window has a middle; got {size}")
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold is a share of the largest response, in [0, 1); got {threshold}")
    if count is not None:
        count = _require_whole("count", count, 0)
    least = response.dtype.type(max(threshold * float(response.max()), 0.0))
    peaks = np.flatnonzero(_peaks_loop(response, least, size // 2, margin))  # in reading order
    row, col = np.divmod(peaks, response.shape[1])
    order = np.argsort(-response[row, col], kind="stable")[:count]
    return np.column_stack([col[order], row[order]]).astype(np.float64)


def refine_corners(
    image: Array, keypoints: ArrayLike, sigma_w: float = 2.0, sigma_d: float = 1.0, iterations: int = 20
) -> Array:
    """Move keypoints to sub-pixel places: where the edges of their windows meet, Eq. (4.15).

    At a corner p every pixel q of an edge has its gradient at a right angle to q - p.  The p that
    fits best solves a 2 x 2 system with the window's own structure tensor; the window follows p.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point: the image that the keypoints were found in.
    keypoints : array_like of shape (N, 2)
        (x, y) inside the image; N may be 0.
    sigma_w : float
        Standard deviation of the window, pixels, > 0; it is cut at 3 sigma and should hold one corner.
    sigma_d : float
        Standard deviation of the derivatives, pixels, >= 0.
    iterations : int
        At most so many steps; they end when one is shorter than 0.001 pixels.

    Returns
    -------
    keypoints : ndarray of shape (N, 2)
        In the order given.  A point whose window has no corner (flat, or one straight edge), or
        that would move farther than 2 sigma_w, stays where it was.

    Raises
    ------
    TypeError, ValueError
        For what is no gray image, keypoints outside of it, sigmas or iterations out of range.

    References
    ----------
    .. [1] Förstner & Gülch, A fast operator for detection and precise location of distinct points,
       corners and centres of circular features, 1987.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(21) - 10.3, np.arange(21) - 9.6)
    >>> refine_corners(np.tanh(x) * np.tanh(y), [[10, 10]]).round(2)
    array([[10.3,  9.6]])
    """
    image = require_image(image, gray=True)
    keypoints = _require_keypoints(keypoints, image.shape)
    if not 0 < sigma_w < math.inf:
        raise ValueError(f"sigma_w is a standard deviation in pixels, > 0; got {sigma_w}")
    iterations = _require_whole("iterations", iterations, 1)
    Ix, Iy = gaussian_gradient(image.astype(np.float64, copy=False), sigma_d)
    return _refine_loop(Ix, Iy, keypoints, float(sigma_w), iterations)


# ---------------------------------------------------------------------------------------------
# How good is a keypoint?


def position_covariance(
    image: Array, keypoints: ArrayLike, noise: float, sigma_d: float = 1.0, sigma_w: float = 1.5
) -> Array:
    """Predict the covariance of a keypoint's position in another, noisy image, Eq. (4.21).

    The keypoint is found again by moving its Gaussian window w until the weighted sum of squared
    differences is least.  With independent noise in that image's pixels the answer scatters with
    ``noise^2 M^-1 N M^-1``, M the sum of w times the gradient's products, N the same with w^2; for
    a window with equal weights both are the same and ``noise^2 M^-1`` is left.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    keypoints : array_like of shape (N, 2)
        (x, y) inside the image, rounded to whole pixels here; N may be 0.
    noise : float
        Standard deviation of the noise, in brightness, >= 0.
    sigma_d, sigma_w : float
        Standard deviations of derivatives and window, pixels; sigma_w > 0.

    Returns
    -------
    covariance : ndarray of shape (N, 2, 2), float64
        Square pixels, in (x, y) order.

    Raises
    ------
    TypeError, ValueError
        For what is no gray image, keypoints outside of it, a negative noise, or a window that is
        flat or holds one straight edge only: there is no position to find.

    Notes
    -----
    First order: right while the ellipse is small beside the window.  If both images are noisy the
    covariance doubles.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, sections 7.1.1 and 9.1.

    Examples
    --------
    >>> x, y = np.meshgrid(np.arange(21.0) - 10, np.arange(21.0) - 10)
    >>> C = position_covariance(np.tanh(x) * np.tanh(2 * y), [[10, 10]], noise=0.1)
    >>> bool(C[0, 0, 0] > C[0, 1, 1])  # sharper along y, so better known along y
    True
    """
    image = require_image(image, gray=True).astype(np.float64, copy=False)
    keypoints = _require_keypoints(keypoints, image.shape)
    if not 0 <= noise < math.inf:
        raise ValueError(f"noise is a standard deviation in brightness, >= 0; got {noise}")
    if not 0 < sigma_w < math.inf:
        raise ValueError(f"sigma_w is a standard deviation in pixels, > 0; got {sigma_w}")
    col, row = np.floor(keypoints + 0.5).astype(int).T
    M = _matrices(structure_tensor(image, sigma_d, sigma_w), row, col)
    # The square of a Gaussian is a Gaussian, narrower by sqrt(2), that sums to the sum of squares.
    N = _matrices(structure_tensor(image, sigma_d, sigma_w / math.sqrt(2)), row, col)
    flat = np.linalg.det(M) <= 1e-9 * np.trace(M, axis1=1, axis2=2) ** 2
    if flat.any():
        raise ValueError(f"keypoint {int(np.argmax(flat))} lies in no corner: its matrix cannot be inverted")
    inverse = np.linalg.inv(M)
    return noise**2 * np.sum(gaussian_kernel(sigma_w) ** 2) ** 2 * (inverse @ N @ inverse)


def error_ellipse(covariance: ArrayLike, coverage: float = 0.95) -> ErrorEllipse:
    """Turn covariances into ellipses that hold the true point with a given probability, Eq. (4.19).

    Parameters
    ----------
    covariance : array_like of shape (N, 2, 2)
        Symmetric and without negative eigenvalues, as from `position_covariance`.
    coverage : float
        Probability in [0, 1) for Gaussian errors; half axes are
        ``sqrt(-2 ln(1 - coverage))`` standard deviations: 2.45 of them for 0.95.

    Returns
    -------
    ErrorEllipse
        ``major``, ``minor`` (half axes, in the root of the covariance's unit) and ``angle`` (radians).

    Raises
    ------
    ValueError
        For a wrong shape, NaN, matrices that are no covariance, a coverage outside [0, 1).

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., 2004, section 5.2.

    Examples
    --------
    >>> error_ellipse([[[1.0, 0.0], [0.0, 4.0]]], coverage=0.0).major
    array([0.])
    >>> error_ellipse([[[1.0, 0.0], [0.0, 4.0]]]).major.round(2)
    array([4.9])
    """
    C = np.asarray(covariance, dtype=np.float64)
    if C.ndim != 3 or C.shape[1:] != (2, 2):
        raise ValueError(f"covariance must have shape (N, 2, 2), got {C.shape}")
    if not np.isfinite(C).all():
        raise ValueError("covariance holds NaN or infinity")
    if not 0 <= coverage < 1:
        raise ValueError(f"coverage is a probability in [0, 1), got {coverage}")
    values, vectors = np.linalg.eigh(C)
    size = np.abs(C).max(axis=(1, 2), initial=0)
    if np.any(values[:, 0] < -1e-9 * size) or np.any(np.abs(C[:, 0, 1] - C[:, 1, 0]) > 1e-9 * size):
        raise ValueError("a covariance is symmetric and has no negative eigenvalue")
    minor, major = math.sqrt(-2 * math.log1p(-coverage)) * np.sqrt(np.maximum(values, 0)).T
    angle = np.arctan2(vectors[:, 1, 1], vectors[:, 0, 1])
    angle = np.where(angle > np.pi / 2, angle - np.pi, np.where(angle <= -np.pi / 2, angle + np.pi, angle))
    return ErrorEllipse(major, minor, angle)


def repeatability(
    keypoints1: ArrayLike, keypoints2: ArrayLike, T: ArrayLike, shape: tuple[int, ...], tolerance: float = 2.0
) -> float:
    """Measure which share of an image's keypoints is found again in another image, Eq. (4.14).

    Parameters
    ----------
    keypoints1, keypoints2 : array_like of shape (N, 2) and (M, 2)
        (x, y) in either image; M may be 0.
    T : array_like of shape (3, 3)
        The true map: ``keypoint in image 2 ~ T @ keypoint in image 1``.
    shape : tuple of int
        (height, width) of image 2.  Keypoints that T carries out of it do not count.
    tolerance : float
        Largest distance in pixels of image 2 at which a keypoint counts as found again, >= 0.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        For wrong shapes, no keypoints in image 1, none that is visible in image 2.

    References
    ----------
    .. [1] Schmid, Mohr & Bauckhage, Evaluation of interest point detectors, 2000,
       doi:10.1023/A:1008199403446.

    Examples
    --------
    >>> move = [[1, 0, 5], [0, 1, 0], [0, 0, 1]]
    >>> repeatability([[1, 2], [8, 3], [99, 4]], [[6, 2], [2, 2]], move, shape=(20, 30))
    0.5
    """
    from scipy.spatial import cKDTree

    mapped = transform_points(T, as_points(keypoints1, name="keypoints1"))
    found = np.asarray(keypoints2, dtype=np.float64)
    found = found if found.shape == (0, 2) else as_points(found, name="keypoints2")
    height, width = shape[:2]
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"tolerance is a distance in pixels, >= 0; got {tolerance}")
    visible = mapped[np.all((mapped >= -0.5) & (mapped < (width - 0.5, height - 0.5)), axis=1)]
    if len(visible) == 0:
        raise ValueError(f"none of the {len(mapped)} keypoints of image 1 is visible in image 2")
    if len(found) == 0:
        return 0.0
    distance, _ = cKDTree(found).query(visible)
    return float(np.mean(distance <= tolerance))


# ---------------------------------------------------------------------------------------------
# Checks at the door


def _require_whole(name: str, value: Any, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} must be a whole number >= {least}, got {value!r}")
    return int(value)


def _require_keypoints(keypoints: ArrayLike, shape: tuple[int, ...]) -> Array:
    """Check keypoints (N, 2), N >= 0, inside an image of this shape; a float64 copy in C order."""
    points = np.array(keypoints, dtype=np.float64, order="C")
    if points.shape == (0, 2):
        return points
    points = as_points(points, name="keypoints")
    outside = np.any((points < -0.5) | (points >= (shape[1] - 0.5, shape[0] - 0.5)), axis=1)
    if outside.any():
        k = int(np.argmax(outside))
        raise ValueError(f"keypoint {k} at (x, y) = {tuple(points[k].tolist())} lies outside an image of shape {shape}")
    return points


def _matrices(tensor: StructureTensor, row: Array, col: Array) -> Array:
    Sxx, Sxy, Syy = (entry[row, col] for entry in tensor)
    return np.stack([Sxx, Sxy, Sxy, Syy], axis=-1).reshape(-1, 2, 2)


# ---------------------------------------------------------------------------------------------
# Loops


@njit(**SERIAL)
def _product_row(xy, Ix, Iy):
    for x in range(Ix.size):
        xy[x] = Ix[x] * Iy[x]
        Ix[x] *= Ix[x]
        Iy[x] *= Iy[x]


@njit(**FAST)
def _products_loop(Ix, Iy):
    """Ix^2, Ix Iy, Iy^2; the squares take the places of Ix and Iy, which nobody else holds."""
    xy = np.empty_like(Ix)
    for y in prange(len(Ix)):
        _product_row(xy[y], Ix[y], Iy[y])
    return Ix, xy, Iy


@njit(**SERIAL)
def _harris_row(R, Sxx, Sxy, Syy, alpha):
    for x in range(R.size):
        trace = Sxx[x] + Syy[x]
        R[x] = Sxx[x] * Syy[x] - Sxy[x] * Sxy[x] - alpha * trace * trace


@njit(**FAST)
def _harris_loop(Sxx, Sxy, Syy, alpha):
    R = np.empty_like(Sxx)
    for y in prange(len(R)):
        _harris_row(R[y], Sxx[y], Sxy[y], Syy[y], alpha)
    return R


@njit(**SERIAL)
def _is_peak(response, y, x, half):
    """No pixel of the window is larger, none before (y, x) in reading order is equal."""
    h, w = response.shape
    v = response[y, x]
    for j in range(max(y - half, 0), min(y + half + 1, h)):
        for i in range(max(x - half, 0), min(x + half + 1, w)):
            earlier = j < y or (j == y and i < x)
            if response[j, i] > v or (earlier and response[j, i] == v):
                return False
    return True


@njit(**SERIAL)
def _peak_row(peak, response, y, least, half, margin):
    row = response[y]
    for x in range(margin, row.size - margin):
        v = row[x]
        if (
            v > least
            and (half == 0 or x == 0 or v > row[x - 1])
            and (half == 0 or x == row.size - 1 or v >= row[x + 1])
        ):
            peak[x] = _is_peak(response, y, x, half)


@njit(**FAST)
def _peaks_loop(response, least, half, margin):
    h = len(response)
    peak = np.zeros(response.shape, np.bool_)
    for y in prange(h):
        if margin <= y < h - margin:
            _peak_row(peak[y], response, y, least, half, margin)
    return peak


@njit(**SERIAL)
def _meeting_point(Ix, Iy, px, py, sigma):
    """Where the edges of the window around (px, py) meet, Eq. (4.15), and whether there is a corner."""
    h, w = Ix.shape
    reach = 3 * sigma
    a = b = c = u = v = 0.0
    for y in range(max(int(np.ceil(py - reach)), 0), min(int(np.floor(py + reach)) + 1, h)):
        for x in range(max(int(np.ceil(px - reach)), 0), min(int(np.floor(px + reach)) + 1, w)):
            dx, dy = x - px, y - py
            weight = np.exp(-(dx * dx + dy * dy) / (2 * sigma * sigma))
            xx, xy, yy = weight * Ix[y, x] ** 2, weight * Ix[y, x] * Iy[y, x], weight * Iy[y, x] ** 2
            a, b, c = a + xx, b + xy, c + yy
            u, v = u + xx * dx + xy * dy, v + xy * dx + yy * dy
    det = a * c - b * b
    if det <= 1e-6 * (a + c) * (a + c):
        return px, py, False
    return px + (c * u - b * v) / det, py + (a * v - b * u) / det, True


@njit(**FAST)
def _refine_loop(Ix, Iy, keypoints, sigma, iterations):
    refined = keypoints.copy()
    for k in prange(len(keypoints)):
        x0, y0 = keypoints[k]
        x, y = x0, y0
        for _ in range(iterations):
            new_x, new_y, corner = _meeting_point(Ix, Iy, x, y, sigma)
            step = abs(new_x - x) + abs(new_y - y)
            x, y = new_x, new_y
            if not corner or (x - x0) ** 2 + (y - y0) ** 2 > 4 * sigma * sigma:
                x, y = x0, y0
                break
            if step < 1e-3:
                break
        refined[k, 0], refined[k, 1] = x, y
    return refined

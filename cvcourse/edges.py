"""Derivatives of images, and the edges that they show: gradient, Laplacian, Canny.

``Ix`` is the derivative along axis 1 (positive where brightness grows to the right), ``Iy`` along
axis 0 (positive where it grows downwards); both in brightness per pixel.  Every loop here adds in
an order that is the same for x and y and for left and right, and is compiled without leave to
reorder: an image turned by 90 degrees has the turned edges, bit for bit.
"""

import math
from typing import NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import NDArray

from cvcourse.compiled import EXACT, SERIAL
from cvcourse.filtering import border_code, correlate, correlate_separable, extend_ends, source_index, source_row
from cvcourse.images import Array, require_image

SMOOTHING = {"central": (0, 1), "prewitt": (1 / 3, 1 / 3), "sobel": (1 / 4, 1 / 2), "scharr": (3 / 16, 5 / 8)}
"""Weights (beside, middle) of the 3-tap average across the central difference ``[-1, 0, 1] / 2``."""


def _operators() -> dict[str, tuple[Array, Array]]:
    forward = np.array([[0.0, 0.0, 0.0], [0.0, -1.0, 1.0], [0.0, 0.0, 0.0]])
    roberts = np.array([[-0.5, 0.5], [-0.5, 0.5]])
    kernels = {"forward": forward, "roberts": roberts}
    for name, (beside, middle) in SMOOTHING.items():
        kernels[name] = np.outer([beside, middle, beside], [-0.5, 0.0, 0.5])
    return {name: (kernel, np.ascontiguousarray(kernel.T)) for name, kernel in kernels.items()}


OPERATORS = _operators()
"""Name -> the correlation kernels of Ix and Iy, scaled so that the ramp a x + b y gives (a, b).

``forward`` belongs half a pixel right of (below) its pixel, ``roberts`` half a pixel left of and
above it; the others are centred.  Roberts' diagonal differences are rows of ``roberts``, turned
by 45 degrees: the magnitude is the same.
"""

LAPLACIAN = np.array([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])


class Gradient(NamedTuple):
    """Both derivatives of an image, each (H, W), in brightness per pixel."""

    Ix: Array
    Iy: Array


class Polar(NamedTuple):
    """A gradient by length and direction, each (H, W).

    ``orientation`` is in radians in (-pi, pi], from +x towards +y (down: clockwise on the screen).
    """

    magnitude: Array
    orientation: Array


# ---------------------------------------------------------------------------------------------
# First derivatives


def gradient(image: Array, operator: str = "sobel", border: str = "mirror") -> Gradient:
    """Differentiate an image along x and along y with a small kernel.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    operator : {"sobel", "central", "prewitt", "scharr", "forward", "roberts"}
        Which pair of kernels; see `OPERATORS`.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border.

    Returns
    -------
    Ix, Iy : ndarray of shape (H, W)
        Brightness per pixel, in the precision of `image`.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, an unknown operator or border.

    Notes
    -----
    The 3 x 3 operators take 10 additions and 4 products a pixel, in one sweep.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.2.1.

    Examples
    --------
    >>> image = np.array([[0.0, 0.1, 0.2, 0.3]] * 3)
    >>> Ix, Iy = gradient(image)
    >>> Ix[1].round(3), Iy[1].round(3) + 0.0
    (array([0.05, 0.1 , 0.1 , 0.05]), array([0., 0., 0., 0.]))
    """
    image = require_image(image, gray=True)
    code = border_code(border)
    if operator in SMOOTHING:
        beside, middle = SMOOTHING[operator]
        half = image.dtype.type(beside / 2), image.dtype.type(middle / 2)
        return Gradient(*_gradient_loop(image, *half, code))
    if operator not in OPERATORS:
        raise ValueError(f"operator must be one of {', '.join(map(repr, OPERATORS))}; got {operator!r}")
    kernel_x, kernel_y = OPERATORS[operator]
    return Gradient(correlate(image, kernel_x, border), correlate(image, kernel_y, border))


def gaussian_derivative_kernels(sigma: float, truncate: float = 4.0) -> tuple[Array, Array]:
    """Sample a Gaussian and its derivative at the integers, for convolution.

    The Gaussian sums to 1, so a constant stays; the derivative is scaled so that the slope of a
    ramp comes out exactly.  As sigma goes to 0 they become ``[0, 1, 0]`` and the central difference.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels, >= 0.
    truncate : float
        Where to cut, in units of sigma: the radius is ``floor(truncate * sigma + 1/2)``, at least 1.

    Returns
    -------
    g, dg : ndarray of shape (2 * radius + 1,)
        g is even; dg is odd, positive at the left: convolution flips it.

    Raises
    ------
    ValueError
        If sigma is negative or not finite, or truncate is not positive.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.3.

    Examples
    --------
    >>> g, dg = gaussian_derivative_kernels(0.5)
    >>> g.round(3), dg.round(3)
    (array([0.   , 0.106, 0.787, 0.106, 0.   ]), array([ 0.002,  0.495,  0.   , -0.495, -0.002]))
    """
    u, g = _bell(sigma, truncate)
    return g, -u * g / (u**2 @ g)


def _bell(sigma: float, truncate: float) -> tuple[Array, Array]:
    """Sample a Gaussian of sum 1 at the places u; even for sigma = 0 its outer taps are not quite 0."""
    if not 0 <= sigma < math.inf:
        raise ValueError(f"sigma is a standard deviation in pixels, >= 0; got {sigma}")
    if not 0 < truncate < math.inf:
        raise ValueError(f"truncate is a number of sigmas, > 0; got {truncate}")
    radius = max(1, int(truncate * sigma + 0.5))
    sigma = max(sigma, 0.05)  # from here down a neighbour's weight is exp(-200): gone, but no 0 / 0
    u = np.arange(-radius, radius + 1)
    g = np.exp(-(u**2) / (2 * sigma**2))
    return u, g / g.sum()


def gaussian_gradient(image: Array, sigma: float, border: str = "mirror", truncate: float = 4.0) -> Gradient:
    """Differentiate an image smoothed by a Gaussian: convolve once with the derivative of the Gaussian.

    Across the direction of the derivative the image is smoothed with g, along it with g', Eq. (2.4).

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma : float
        Standard deviation of the Gaussian in pixels, >= 0; 0 is the central difference.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border.
    truncate : float
        Where the kernels are cut, in units of sigma.

    Returns
    -------
    Ix, Iy : ndarray of shape (H, W)
        Brightness per pixel, in the precision of `image`.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a negative sigma, an unknown border.

    Notes
    -----
    About 16 sigma products a pixel: the symmetry of the kernels halves them.

    References
    ----------
    .. [1] Canny, A computational approach to edge detection, 1986, doi:10.1109/TPAMI.1986.4767851.

    Examples
    --------
    >>> step = np.repeat([[0.0, 1.0]], 6, axis=1) * np.ones((5, 1))
    >>> gaussian_gradient(step, 1.0).Ix[2, 3:9].round(3)
    array([0.014, 0.122, 0.364, 0.364, 0.122, 0.014])
    """
    image = require_image(image, gray=True)
    code = border_code(border)
    g, dg = gaussian_derivative_kernels(sigma, truncate)
    radius = len(g) // 2
    spare = (0, radius % 2)  # taps of one side, in twos
    g, slope = np.pad(g[radius:], spare), np.pad(-dg[radius:], spare)
    return Gradient(*_gaussian_gradient_loop(image, g.astype(image.dtype), slope.astype(image.dtype), code))


def magnitude_orientation(Ix: Array, Iy: Array) -> Polar:
    """Turn derivatives into length and direction of the gradient.

    ``magnitude = sqrt(Ix**2 + Iy**2)``, ``orientation = atan2(Iy, Ix)``, Eq. (2.5) and (2.6).

    Parameters
    ----------
    Ix, Iy : ndarray of shape (H, W)
        Both float32 or both float64.

    Returns
    -------
    Polar
        ``magnitude`` and ``orientation``, the latter in (-pi, pi], and 0 where the gradient is 0.

    Raises
    ------
    TypeError, ValueError
        For integers, NaN, or shapes or precisions that differ.

    Notes
    -----
    In float32 the angle comes from a polynomial, within 3e-6 rad of `numpy.arctan2` and
    much faster; in float64 from `numpy.arctan2`.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.2.1.

    Examples
    --------
    >>> magnitude_orientation(np.array([[3.0, -1.0]]), np.array([[4.0, 0.0]])).magnitude
    array([[5., 1.]])
    """
    Ix, Iy = _require_alike(Ix=Ix, Iy=Iy)
    if Ix.dtype == np.float32:
        return Polar(*_polar_loop(Ix, Iy))
    return Polar(np.sqrt(Ix * Ix + Iy * Iy), np.arctan2(Iy + 0.0, Ix + 0.0))  # + 0.0: no negative zero


def polar_gradient(image: Array, operator: str = "sobel", border: str = "mirror") -> Polar:
    """Give length and direction of the gradient of an image: `gradient`, then `magnitude_orientation`.

    Parameters
    ----------
    image, operator, border
        As for `gradient`.

    Returns
    -------
    Polar
        ``magnitude`` (brightness per pixel) and ``orientation`` (radians), each (H, W).

    Raises
    ------
    TypeError, ValueError
        As for `gradient`.

    Notes
    -----
    For float32 images and 3 x 3 operators all is done in one sweep, which writes neither Ix nor Iy.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.2.1.

    Examples
    --------
    >>> ramp = np.add.outer(0.2 * np.arange(5), 0.2 * np.arange(6))
    >>> np.rad2deg(polar_gradient(ramp).orientation[2, 3]).round(3)
    np.float64(45.0)
    """
    image = require_image(image, gray=True)
    if image.dtype == np.float32 and operator in SMOOTHING:
        beside, middle = SMOOTHING[operator]
        return Polar(*_polar_gradient_loop(image, np.float32(beside / 2), np.float32(middle / 2), border_code(border)))
    return magnitude_orientation(*gradient(image, operator, border))


# ---------------------------------------------------------------------------------------------
# Second derivatives


def laplacian(image: Array, border: str = "mirror") -> Array:
    """Add the second differences along x and y: four neighbours minus four times the pixel.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border.

    Returns
    -------
    ndarray of shape (H, W)
        Brightness per square pixel: negative on a bright spot, 0 on a ramp.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, an unknown border.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 3.2.3.

    Examples
    --------
    >>> laplacian(np.array([[0.0, 0.0, 1.0, 0.0, 0.0]] * 3))[1]
    array([ 0.,  1., -2.,  1.,  0.])
    """
    return correlate(require_image(image, gray=True), LAPLACIAN, border)


def laplacian_of_gaussian(image: Array, sigma: float, border: str = "mirror", truncate: float = 4.0) -> Array:
    """Convolve with the Laplacian of a Gaussian: the Laplacian of the smoothed image.

    g'' along one axis and g along the other, both ways, added.  The sampled g'' is scaled so that
    the answer is exact on every quadratic; as sigma goes to 0 it becomes `laplacian`.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma : float
        Standard deviation of the Gaussian in pixels, >= 0.
    border : {"mirror", "clamp", "wrap", "zero"}
        How the image goes on beyond its border.
    truncate : float
        Where the kernels are cut, in units of sigma.

    Returns
    -------
    ndarray of shape (H, W)
        Brightness per square pixel, *not* multiplied by sigma squared.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a negative sigma, an unknown border.

    References
    ----------
    .. [1] Marr & Hildreth, Theory of edge detection, 1980, doi:10.1098/rspb.1980.0020.

    Examples
    --------
    >>> x = np.arange(11.0)
    >>> laplacian_of_gaussian(np.add.outer(x * x, x * x), 1.0)[5, 5].round(6)
    np.float64(4.0)
    """
    image = require_image(image, gray=True)
    u, g = _bell(sigma, truncate)
    second = (u**2 - u**2 @ g) * g  # sums to 0
    second *= 2 / (u**2 @ second)
    return correlate_separable(image, g, second, border) + correlate_separable(image, second, g, border)


def zero_crossings(response: Array) -> NDArray[np.bool_]:
    """Mark the pixels where a signed response changes sign.

    Of two neighbours (left-right or up-down) of opposite sign the one nearer to zero is marked, of
    equally near ones the positive; a pixel that is exactly 0 between opposite signs is marked too.

    Parameters
    ----------
    response : ndarray of shape (H, W)
        For example a Laplacian of Gaussian.

    Returns
    -------
    ndarray of shape (H, W), bool

    Raises
    ------
    TypeError, ValueError
        For integers, NaN, a wrong shape.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.2.1.

    Examples
    --------
    >>> zero_crossings(np.array([[-2.0, -1.0, 3.0, 1.0, 0.0, -1.0]])).astype(int)
    array([[0, 1, 0, 0, 1, 0]])
    """
    response = require_image(response, gray=True, name="response")
    height, width = response.shape
    padded = np.pad(response, 1)  # 0 has no sign: nothing changes at the border
    marked = np.zeros((height, width), dtype=bool)
    sides = [padded[1:-1, 2:], padded[1:-1, :-2], padded[2:, 1:-1], padded[:-2, 1:-1]]
    for side in sides:
        nearer = (np.abs(response) < np.abs(side)) | ((np.abs(response) == np.abs(side)) & (response > 0))
        marked |= (np.sign(response) * np.sign(side) < 0) & nearer
    for one, other in (sides[:2], sides[2:]):
        marked |= (response == 0) & (np.sign(one) * np.sign(other) < 0)
    return marked


# ---------------------------------------------------------------------------------------------
# Canny's stages


def non_maximum_suppression(magnitude: Array, Ix: Array, Iy: Array, interpolate: bool = True) -> Array:
    """Keep the magnitude where it is a maximum along the gradient, and write 0 elsewhere.

    The line through the pixel along its gradient cuts the ring of its eight neighbours twice; the
    magnitude there is interpolated between two of them.  With t = minor / major component:
    ``ahead = (1 - t) * straight neighbour + t * diagonal neighbour``, Eq. (2.15).

    Parameters
    ----------
    magnitude, Ix, Iy : ndarray of shape (H, W)
        Length of the gradient and its components, in one precision.
    interpolate : bool
        False rounds the direction to a multiple of 45 degrees and takes one neighbour.

    Returns
    -------
    ndarray of shape (H, W)
        `magnitude` on ridges, 0 elsewhere.

    Raises
    ------
    TypeError, ValueError
        For integers, NaN, or shapes or precisions that differ.

    Notes
    -----
    On a plateau one pixel stays: a ridge pixel must be *greater* than what lies ahead (uphill, on
    the bright side) and *not smaller* than what lies behind.  The rule goes with the gradient,
    so it turns with the image.  Two magnitudes count as equal if they agree in half their digits,
    so that rounding does not decide a tie.  Where the magnitude is 0 nothing is kept; nor are the
    outermost pixels, which have no neighbour on one side.

    References
    ----------
    .. [1] Canny, A computational approach to edge detection, 1986, doi:10.1109/TPAMI.1986.4767851.

    Examples
    --------
    >>> m = np.array([[1.0, 2.0, 2.0, 1.0]] * 3)
    >>> non_maximum_suppression(m, np.ones((3, 4)), np.zeros((3, 4)))[1]
    array([0., 0., 2., 0.])
    """
    magnitude, Ix, Iy = _require_alike(magnitude=magnitude, Ix=Ix, Iy=Iy)
    return _suppression_loop(magnitude, Ix, Iy, _rounding(magnitude), bool(interpolate))


def hysteresis(thinned: Array, low: float, high: float) -> NDArray[np.bool_]:
    """Keep strong pixels, and weak ones that a chain of weak pixels joins to a strong one.

    Strong is ``>= high``, weak is ``>= low``; neighbours are the eight around a pixel.  So the
    result is the union of those connected parts of ``thinned >= low`` that hold a strong pixel.

    Parameters
    ----------
    thinned : ndarray of shape (H, W)
        Gradient magnitude after `non_maximum_suppression`; pixels of 0 are never edges.
    low, high : float
        Thresholds in brightness per pixel, ``0 <= low <= high``.

    Returns
    -------
    ndarray of shape (H, W), bool

    Raises
    ------
    TypeError, ValueError
        For integers, NaN, a wrong shape, thresholds in the wrong order.

    Notes
    -----
    Each pixel is visited once; its own stack, no recursion, so a chain may have any length.

    References
    ----------
    .. [1] Canny, A computational approach to edge detection, 1986, doi:10.1109/TPAMI.1986.4767851.

    Examples
    --------
    >>> hysteresis(np.array([[0.2, 0.3, 0.5, 0.1, 0.3]]), 0.2, 0.5).astype(int)
    array([[1, 1, 1, 0, 0]])
    """
    thinned = require_image(thinned, gray=True, name="thinned")
    if not 0 <= low <= high < math.inf:
        raise ValueError(f"expected thresholds 0 <= low <= high, got low = {low} and high = {high}")
    return _hysteresis_loop(thinned, thinned.dtype.type(low), thinned.dtype.type(high))


def canny(image: Array, sigma: float, low: float, high: float) -> NDArray[np.bool_]:
    """Find edges one pixel wide (Canny's detector).

    Exactly these stages: `gaussian_gradient`, magnitude, `non_maximum_suppression`, `hysteresis`.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma : float
        Standard deviation of the Gaussian in pixels, >= 0.
    low, high : float
        Thresholds on the gradient's magnitude, brightness per pixel, ``0 <= low <= high``.  A step of
        contrast c blurred by b pixels has the magnitude ``c / sqrt(2 pi (sigma**2 + b**2))``.

    Returns
    -------
    ndarray of shape (H, W), bool
        The outermost pixels are never edges.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a negative sigma, thresholds in the wrong order.

    Notes
    -----
    The image goes on beyond its border by mirroring.  Turning the image by 90 degrees turns the
    edges exactly.

    References
    ----------
    .. [1] Canny, A computational approach to edge detection, 1986, doi:10.1109/TPAMI.1986.4767851.
    .. [2] Szeliski, Computer Vision, 2nd ed., 2022, section 7.2.1.

    Examples
    --------
    >>> step = np.repeat([[0.2, 0.7]], 4, axis=1) * np.ones((5, 1))
    >>> canny(step, 1.0, 0.05, 0.1)[2].astype(int)
    array([0, 0, 0, 0, 1, 0, 0, 0])
    """
    Ix, Iy = gaussian_gradient(image, sigma)
    magnitude = np.sqrt(Ix * Ix + Iy * Iy)
    return hysteresis(non_maximum_suppression(magnitude, Ix, Iy), low, high)


def edge_points(edges: NDArray[np.bool_], magnitude: Array, Ix: Array, Iy: Array) -> Array:
    """Place each edge pixel to a fraction of a pixel: the top of a parabola along the gradient.

    The parabola goes through the pixel's magnitude and the two interpolated neighbours that
    `non_maximum_suppression` compares it with, Eq. (2.20).

    Parameters
    ----------
    edges : ndarray of shape (H, W), bool
        Pixels to place, as from `canny`.
    magnitude, Ix, Iy : ndarray of shape (H, W)
        The gradient they were found on.

    Returns
    -------
    ndarray of shape (N, 2), float64
        Points (x, y), row by row in the order of `numpy.nonzero`, each at most half a step from
        its pixel.

    Raises
    ------
    TypeError, ValueError
        For arrays of differing shape, NaN, or an edge that is no ridge of the magnitude.

    References
    ----------
    .. [1] Devernay, A non-maxima suppression method for edge detection with sub-pixel accuracy,
       INRIA RR-2724, 1995.

    Examples
    --------
    >>> m = np.array([[0.0, 2.0, 3.0, 1.0, 0.0]] * 3)
    >>> Ix, Iy = np.ones_like(m), np.zeros_like(m)
    >>> edge_points(non_maximum_suppression(m, Ix, Iy) > 0, m, Ix, Iy).round(3)
    array([[1.833, 1.   ]])
    """
    magnitude, Ix, Iy = _require_alike(magnitude=magnitude, Ix=Ix, Iy=Iy)
    if not isinstance(edges, np.ndarray) or edges.dtype != np.bool_:
        raise TypeError("edges must be an array of bool, as from canny")
    if edges.shape != magnitude.shape:
        raise ValueError(f"edges has shape {edges.shape}, magnitude {magnitude.shape}")
    places = np.ascontiguousarray(np.argwhere(edges))
    off = np.any(places == 0, axis=1) | np.any(places == np.array(edges.shape) - 1, axis=1)
    points, ridge = _points_loop(places[~off], magnitude, Ix, Iy, _rounding(magnitude))
    if off.any() or not ridge.all():
        raise ValueError(f"{off.sum() + (~ridge).sum()} of {len(places)} edge pixels are no maximum along the gradient")
    return points


# ---------------------------------------------------------------------------------------------
# Checks at the door


def _require_alike(**fields: Array) -> list[Array]:
    """Check arrays that belong to one image: one shape, one precision."""
    checked = [require_image(field, gray=True, name=name) for name, field in fields.items()]
    for field, name in zip(checked, fields, strict=True):
        if field.shape != checked[0].shape:
            raise ValueError(f"{next(iter(fields))} has shape {checked[0].shape}, {name} {field.shape}")
        if field.dtype != checked[0].dtype:
            raise TypeError(f"{next(iter(fields))} is {checked[0].dtype}, {name} {field.dtype}: use one precision")
    return checked


def _rounding(magnitude: Array) -> np.floating:
    """Share of a magnitude below which a difference counts as rounding."""
    return magnitude.dtype.type(np.sqrt(np.finfo(magnitude.dtype).eps))


# ---------------------------------------------------------------------------------------------
# Loops


@njit(cache=True)
def _derivatives(nw, n, ne, w, e, sw, s, se, beside, middle):
    """Ix and Iy from the eight neighbours: difference along, average across, in one order for both."""
    Ix = beside * ((ne - nw) + (se - sw)) + middle * (e - w)
    Iy = beside * ((sw - nw) + (se - ne)) + middle * (s - n)
    return Ix, Iy


@njit(cache=True)
def _derivative_row(Ix, Iy, up, row, down, beside, middle, border):
    last = row.size - 1
    for x in range(1, last):
        Ix[x], Iy[x] = _derivatives(
            up[x - 1], up[x], up[x + 1], row[x - 1], row[x + 1], down[x - 1], down[x], down[x + 1], beside, middle
        )
    for x in (0, last):
        left, right = source_index(x - 1, row.size, border), source_index(x + 1, row.size, border)
        nw, w, sw = _value(up, left), _value(row, left), _value(down, left)
        ne, e, se = _value(up, right), _value(row, right), _value(down, right)
        Ix[x], Iy[x] = _derivatives(nw, up[x], ne, w, e, sw, down[x], se, beside, middle)


@njit(cache=True)
def _value(row, x):
    return row[x] if x >= 0 else row.dtype.type(0)


@njit(**EXACT)
def _gradient_loop(f, beside, middle, border):
    h, w = f.shape
    Ix, Iy = np.empty_like(f), np.empty_like(f)
    zeros = np.zeros(w, f.dtype)
    for y in prange(h):
        up, down = source_row(f, zeros, y - 1, border), source_row(f, zeros, y + 1, border)
        _derivative_row(Ix[y], Iy[y], up, f[y], down, beside, middle, border)
    return Ix, Iy


@njit(cache=True)
def _add_sums(out, a, f, g, b, p, q):
    """Add a (f + g) + b (p + q) to a row: taps that lie symmetrically, two pairs a sweep."""
    for x in range(out.size):
        out[x] += a * (f[x] + g[x]) + b * (p[x] + q[x])


@njit(cache=True)
def _add_differences(out, a, f, g, b, p, q):
    """Add a (f - g) + b (p - q) to a row."""
    for x in range(out.size):
        out[x] += a * (f[x] - g[x]) + b * (p[x] - q[x])


@njit(**EXACT)
def _gaussian_gradient_loop(f, g, slope, border):
    """Smooth across, then differentiate along; g and slope hold the taps 0, 1, 2, … of one side."""
    h, w = f.shape
    r = g.size - 1
    zeros = np.zeros(w, f.dtype)
    smooth = np.empty((h, w), f.dtype)  # along x
    for y in prange(h):
        line = np.empty(w + 2 * r, f.dtype)
        line[r : r + w] = f[y]
        extend_ends(line, r, w, border)
        smooth[y] = g[0] * f[y]
        for i in range(1, r, 2):
            a, b = line[r + i : r + i + w], line[r - i : r - i + w]
            _add_sums(smooth[y], g[i], a, b, g[i + 1], line[r + i + 1 : r + i + 1 + w], line[r - i - 1 : r - i - 1 + w])
    Ix, Iy = np.zeros((h, w), f.dtype), np.zeros((h, w), f.dtype)
    for y in prange(h):
        line = np.empty(w + 2 * r, f.dtype)
        middle = line[r : r + w]
        middle[:] = g[0] * f[y]
        for i in range(1, r, 2):
            a, b = source_row(f, zeros, y + i, border), source_row(f, zeros, y - i, border)
            c, d = source_row(f, zeros, y + i + 1, border), source_row(f, zeros, y - i - 1, border)
            _add_sums(middle, g[i], a, b, g[i + 1], c, d)
            a, b = source_row(smooth, zeros, y + i, border), source_row(smooth, zeros, y - i, border)
            c, d = source_row(smooth, zeros, y + i + 1, border), source_row(smooth, zeros, y - i - 1, border)
            _add_differences(Iy[y], slope[i], a, b, slope[i + 1], c, d)
        extend_ends(line, r, w, border)
        for i in range(1, r, 2):
            a, b = line[r + i : r + i + w], line[r - i : r - i + w]
            c, d = line[r + i + 1 : r + i + 1 + w], line[r - i - 1 : r - i - 1 + w]
            _add_differences(Ix[y], slope[i], a, b, slope[i + 1], c, d)
    return Ix, Iy


@njit(cache=True)
def _magnitude_row(magnitude, Ix, Iy):
    for x in range(Ix.size):
        magnitude[x] = np.sqrt(Ix[x] * Ix[x] + Iy[x] * Iy[x])


@njit(error_model="numpy", **SERIAL)
def _orientation_row(orientation, Ix, Iy):
    """atan2 of float32 by a polynomial in the smaller over the larger side: libm's does not vectorise."""
    c0, c1, c2, c3 = (
        np.float32(0.9999993329),
        np.float32(-0.3332985605),
        np.float32(0.1994653599),
        np.float32(-0.1390853351),
    )
    c4, c5, c6, c7 = (
        np.float32(0.0964200441),
        np.float32(-0.0559098861),
        np.float32(0.0218612288),
        np.float32(-0.004054058),
    )
    zero, quarter, half = np.float32(0), np.float32(np.pi / 2), np.float32(np.pi)
    for x in range(Ix.size):
        ax, ay = abs(Ix[x]), abs(Iy[x])
        t = min(ax, ay) / max(ax, ay) if max(ax, ay) > zero else zero
        s = t * t
        a = t * (c0 + s * (c1 + s * (c2 + s * (c3 + s * (c4 + s * (c5 + s * (c6 + s * c7)))))))
        a = quarter - a if ay > ax else a
        a = half - a if Ix[x] < zero else a
        orientation[x] = -a if Iy[x] < zero else a


@njit(**EXACT)
def _polar_loop(Ix, Iy):
    magnitude, orientation = np.empty_like(Ix), np.empty_like(Ix)
    for y in prange(len(Ix)):
        _magnitude_row(magnitude[y], Ix[y], Iy[y])
        _orientation_row(orientation[y], Ix[y], Iy[y])
    return magnitude, orientation


@njit(**EXACT)
def _polar_gradient_loop(f, beside, middle, border):
    h, w = f.shape
    magnitude, orientation = np.empty_like(f), np.empty_like(f)
    zeros = np.zeros(w, f.dtype)
    for y in prange(h):
        Ix, Iy = np.empty(w, f.dtype), np.empty(w, f.dtype)
        up, down = source_row(f, zeros, y - 1, border), source_row(f, zeros, y + 1, border)
        _derivative_row(Ix, Iy, up, f[y], down, beside, middle, border)
        _magnitude_row(magnitude[y], Ix, Iy)
        _orientation_row(orientation[y], Ix, Iy)
    return magnitude, orientation


@njit(error_model="numpy", cache=True)
def _along(gx, gy, nw, n, ne, w, e, sw, s, se, interpolate):
    """Magnitude ahead and behind along the gradient, from the eight neighbours', Eq. (2.15)."""
    number = type(nw)
    zero, one = number(0), number(1)
    right, down = gx >= zero, gy >= zero
    ax, ay = abs(gx), abs(gy)
    t = min(ax, ay) / max(ax, ay) if max(ax, ay) > zero else zero
    if not interpolate:
        t = one if t > math.tan(math.pi / 8) else zero
    diagonal_ahead = (se if down else ne) if right else (sw if down else nw)
    diagonal_behind = (nw if down else sw) if right else (ne if down else se)
    if ax >= ay:  # the line leaves the ring through the column to the right or left
        straight_ahead, straight_behind = (e, w) if right else (w, e)
    else:  # through the row below or above
        straight_ahead, straight_behind = (s, n) if down else (n, s)
    ahead = (one - t) * straight_ahead + t * diagonal_ahead
    behind = (one - t) * straight_behind + t * diagonal_behind
    return ahead, behind


@njit(cache=True)
def _is_ridge(v, ahead, behind, rounding):
    """Greater than what lies ahead, not smaller than what lies behind, Eq. (2.16)."""
    return (v - ahead > rounding * v) & (v - behind >= -rounding * v)


@njit(error_model="numpy", cache=True)
def _suppression_row(thinned, up, row, down, Ix, Iy, rounding, interpolate):
    zero = row.dtype.type(0)
    for x in range(1, row.size - 1):
        v = row[x]
        ahead, behind = _along(
            Ix[x],
            Iy[x],
            up[x - 1],
            up[x],
            up[x + 1],
            row[x - 1],
            row[x + 1],
            down[x - 1],
            down[x],
            down[x + 1],
            interpolate,
        )
        directed = (v > zero) & ((abs(Ix[x]) > zero) | (abs(Iy[x]) > zero))
        thinned[x] = v if directed & _is_ridge(v, ahead, behind, rounding) else zero


@njit(**EXACT)
def _suppression_loop(magnitude, Ix, Iy, rounding, interpolate):
    thinned = np.zeros_like(magnitude)
    for y in prange(1, len(magnitude) - 1):
        up, row, down = magnitude[y - 1], magnitude[y], magnitude[y + 1]
        _suppression_row(thinned[y], up, row, down, Ix[y], Iy[y], rounding, interpolate)
    return thinned


@njit(cache=True)
def _hysteresis_loop(thinned, low, high):
    """Flood from each strong pixel over its weak neighbours, with a stack of pixels still to visit."""
    h, w = thinned.shape
    edge = np.zeros((h, w), np.bool_)
    stack = np.empty((thinned.size, 2), np.int32)
    for y in range(h):
        for x in range(w):
            if thinned[y, x] < high or thinned[y, x] <= 0 or edge[y, x]:
                continue
            edge[y, x] = True
            stack[0] = y, x
            top = 1
            while top:
                top -= 1
                cy, cx = stack[top]
                for v in range(max(cy - 1, 0), min(cy + 2, h)):
                    for u in range(max(cx - 1, 0), min(cx + 2, w)):
                        if not edge[v, u] and thinned[v, u] >= low and thinned[v, u] > 0:
                            edge[v, u] = True
                            stack[top] = v, u
                            top += 1
    return edge


@njit(error_model="numpy", cache=True)
def _points_loop(places, magnitude, Ix, Iy, rounding):
    points, ridge = np.zeros((len(places), 2)), np.zeros(len(places), np.bool_)
    for i in range(len(places)):
        y, x = places[i]
        gx, gy, v = Ix[y, x], Iy[y, x], magnitude[y, x]
        up, row, down = magnitude[y - 1], magnitude[y], magnitude[y + 1]
        ahead, behind = _along(
            gx, gy, up[x - 1], up[x], up[x + 1], row[x - 1], row[x + 1], down[x - 1], down[x], down[x + 1], True
        )
        ridge[i] = (gx != 0 or gy != 0) and _is_ridge(v, ahead, behind, rounding)
        if ridge[i]:  # a step along the gradient goes 1 pixel along its larger component
            step = (ahead - behind) / (2 * ((v - ahead) + (v - behind)))
            step = min(max(step, -0.5), 0.5) / max(abs(gx), abs(gy))
            points[i, 0], points[i, 1] = x + step * gx, y + step * gy
    return points, ridge

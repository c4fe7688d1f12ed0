"""Warping: move an image by a transform of the plane, g(T x) = f(x).

Inverse warping reads, for every output pixel, the source at ``T^-1 x'`` (`warp`); forward warping
writes every source pixel at ``T x`` (`splat`).  An image of width W covers x from -1/2 to W - 1/2,
as in `cvcourse.sampling`: a point there is *inside*, and where an interpolation kernel reaches beyond
it sees the image mirrored.  Outside, the result is 0 and its mask False.
"""

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from cvcourse.compiled import FAST, SERIAL
from cvcourse.homogeneous import to_homogeneous
from cvcourse.images import Array, each_channel, require_image
from cvcourse.sampling import (
    BICUBIC,
    BILINEAR,
    METHODS,
    MIRROR,
    NEAREST,
    REACH,
    SPLINE,
    _cubic_weights,
    _is_inside,
    _lanczos_weights,
    _mix_inside,
    _one_of,
    _shape,
    _tent_weights,
    _value_outside,
    gaussian_pyramid,
)
from cvcourse.transforms import invert, require_transform, translation_matrix

WARPS = METHODS[:SPLINE]  # the spline would need its prefilter first: see `sampling.sample`
IEEE: dict[str, Any] = {"cache": True, "error_model": "numpy"}  # a division by 0 gives infinity, and comparing it works
SLACK = 1e-6  # pixels: rounding must not decide what lies on a border
FEW = 1e-6  # weight: what rounding drops on a pixel doesn't count
BANDS = 2  # canvases that a splat fills side by side; a fixed number keeps the sums' order
PROBES = 8  # footprints longer than this many times their width are made wider
HUGE = 1e6  # pixels: a larger footprint is cut down to it
LARGEST = 2**28  # pixels: an output frame beyond it is a mistake


class Warped(NamedTuple):
    """An image after an inverse warp, and where it has a source: (H, W) of bool."""

    image: Array
    mask: Array


class Splatted(NamedTuple):
    """An image after a forward warp, and how much weight fell on each pixel; 0 is a hole."""

    image: Array
    weight: Array


class Frame(NamedTuple):
    """A transform into an output image, and the (height, width) of that image."""

    T: Array
    shape: tuple[int, int]


# --- inverse warping -------------------------------------------------------------------------


@njit(**IEEE)
def _map_row(T, v, x, y):
    """Where T takes the pixels (0, v), (1, v), ...: not finite where that is at infinity."""
    hx, px = T[0, 0], T[0, 1] * v + T[0, 2]
    hy, py = T[1, 0], T[1, 1] * v + T[1, 2]
    hw, pw = T[2, 0], T[2, 1] * v + T[2, 2]
    for u in range(x.size):
        s = 1 / (hw * u + pw)
        x[u], y[u] = (hx * u + px) * s, (hy * u + py) * s


@njit(**IEEE)
def _covered(x, y, mask, height, width):
    """Which points lie on the square that an image covers, its left and upper border included."""
    low, right, bottom = -0.5 - SLACK, width - 0.5 - SLACK, height - 0.5 - SLACK
    for u in range(x.size):
        mask[u] = (x[u] >= low) & (x[u] < right) & (y[u] >= low) & (y[u] < bottom)


def _row_reader(method: int) -> Any:
    """Compile, for one method, the reading of a row of points; samples beyond the border are mirrored."""
    reach = REACH[method]

    @njit(**SERIAL)
    def read(out, f, x, y, mask):
        for u in range(out.size):
            if not mask[u]:  # its coordinates may be infinite
                out[u] = 0
            elif not _is_inside(f, x[u], y[u], reach):
                out[u] = _value_outside(f, x[u], y[u], method, MIRROR)
            elif method == NEAREST:
                out[u] = f[np.int32(y[u] + 0.5), np.int32(x[u] + 0.5)]
            else:
                x0, y0 = np.int32(x[u]), np.int32(y[u])  # the floor, as both are positive
                tx, ty = x[u] - x0, y[u] - y0
                if method == BILINEAR:
                    out[u] = _mix_inside(f, y0, x0, _tent_weights(ty), _tent_weights(tx))
                elif method == BICUBIC:
                    out[u] = _mix_inside(f, y0 - 1, x0 - 1, _cubic_weights(ty), _cubic_weights(tx))
                else:
                    out[u] = _mix_inside(f, y0 - 2, x0 - 2, _lanczos_weights(ty), _lanczos_weights(tx))

    return read


_read_nearest, _read_bilinear, _read_bicubic, _read_lanczos = (_row_reader(method) for method in range(SPLINE))


@njit(**SERIAL)
def _read_row(out, f, x, y, mask, method):
    if method == NEAREST:
        _read_nearest(out, f, x, y, mask)
    elif method == BILINEAR:
        _read_bilinear(out, f, x, y, mask)
    elif method == BICUBIC:
        _read_bicubic(out, f, x, y, mask)
    else:
        _read_lanczos(out, f, x, y, mask)


@njit(**FAST)
def _warp_loop(f, back, shape, method):
    """Every output pixel x' is f(T^-1 x'), Eq. (8.6)."""
    out, mask = np.empty(shape, f.dtype), np.empty(shape, np.bool_)
    for v in prange(shape[0]):
        x, y = np.empty(shape[1]), np.empty(shape[1])
        _map_row(back, v, x, y)
        _covered(x, y, mask[v], f.shape[0], f.shape[1])
        _read_row(out[v], f, x, y, mask[v], method)
    return out, mask


# --- prefilter -------------------------------------------------------------------------------


@njit(**IEEE)
def _footprint_row(back, v, x, y, mask, ellipse):
    """What one output pixel covers of the source: semi-axes, and the direction of the longer, (4, width).

    The map's derivative J turns the unit circle into an ellipse with the matrix J J', Eq. (8.9).
    """
    for u in range(x.size):
        if not mask[u]:
            continue
        s = 1 / (back[2, 0] * u + back[2, 1] * v + back[2, 2])
        a, b = (back[0, 0] - x[u] * back[2, 0]) * s, (back[0, 1] - x[u] * back[2, 1]) * s
        c, d = (back[1, 0] - y[u] * back[2, 0]) * s, (back[1, 1] - y[u] * back[2, 1]) * s
        xx, xy, yy = a * a + b * b, a * c + b * d, c * c + d * d
        half_gap = (xx - yy) / 2
        root = math.hypot(half_gap, xy)
        ex, ey = (root + half_gap, xy) if half_gap > 0 else (xy, root - half_gap)  # the longer axis' eigenvector
        length = math.hypot(ex, ey)
        ellipse[0, u] = math.sqrt((xx + yy) / 2 + root)
        ellipse[1, u] = math.sqrt(max((xx + yy) / 2 - root, 0.0))
        ellipse[2, u], ellipse[3, u] = (ex / length, ey / length) if length > 0 else (1.0, 0.0)
        if not ellipse[0, u] < HUGE:
            ellipse[:, u] = HUGE, HUGE, 1.0, 0.0


@njit(**SERIAL)
def _level(packed, shapes, k):
    height, width, start = shapes[k]
    return packed[start : start + height * width].reshape(height, width)


@njit(**SERIAL)
def _value(f, x, y, method):
    """Interpolate f at one point; samples beyond the border are mirrored."""
    if not _is_inside(f, x, y, REACH[method]):
        return _value_outside(f, x, y, method, MIRROR)
    x0, y0 = np.int32(x), np.int32(y)
    tx, ty = x - x0, y - y0
    if method == BILINEAR:
        return _mix_inside(f, y0, x0, _tent_weights(ty), _tent_weights(tx))
    if method == BICUBIC:
        return _mix_inside(f, y0 - 1, x0 - 1, _cubic_weights(ty), _cubic_weights(tx))
    return _mix_inside(f, y0 - 2, x0 - 2, _lanczos_weights(ty), _lanczos_weights(tx))


@njit(**SERIAL)
def _blurred_value(packed, shapes, x, y, size, method):
    """The image blurred by variance (size^2 - 1) / 12, Eq. (8.11), between two levels of its pyramid."""
    ratio = 0.75 + size * size / 4  # 4^level, as level l has the variance (4^l - 1) / 3
    k = min(int(0.5 * np.log2(ratio)), len(shapes) - 1)
    step = 2.0**k
    value = _value(_level(packed, shapes, k), x / step, y / step, method)
    t = (ratio / (step * step) - 1) / 3
    if t > 1e-9 and k + 1 < len(shapes):
        value += packed.dtype.type(t) * (
            _value(_level(packed, shapes, k + 1), x / step / 2, y / step / 2, method) - value
        )
    return value


@njit(**SERIAL)
def _filter_row(out, packed, shapes, x, y, mask, ellipse, method):
    """Average probes along the longer axis, each blurred as the shorter asks for, Eq. (8.11)."""
    wide, narrow, along_x, along_y = ellipse
    for u in range(out.size):
        out[u] = 0
        if not mask[u]:
            continue
        major = max(wide[u], 1.0)
        minor = max(narrow[u], 1.0, major / PROBES)
        spread = np.sqrt((major - minor) * (major + minor))  # a line of that length adds the variance that is missing
        n = max(int(np.ceil(spread / minor - 1e-6)), 1)
        if n > 1:
            spread /= np.sqrt(1 - 1 / (n * n))  # n points on it vary less than the whole line
        total = out.dtype.type(0)
        for i in range(n):
            t = ((i + 0.5) / n - 0.5) * spread
            total += _blurred_value(packed, shapes, x[u] + t * along_x[u], y[u] + t * along_y[u], minor, method)
        out[u] = total / out.dtype.type(n)


@njit(**FAST)
def _filtered_warp_loop(packed, shapes, back, shape, method):
    out, mask = np.empty(shape, packed.dtype), np.empty(shape, np.bool_)
    for v in prange(shape[0]):
        x, y = np.empty(shape[1]), np.empty(shape[1])
        ellipse = np.empty((4, shape[1]))
        _map_row(back, v, x, y)
        _covered(x, y, mask[v], shapes[0, 0], shapes[0, 1])
        _footprint_row(back, v, x, y, mask[v], ellipse)
        _filter_row(out[v], packed, shapes, x, y, mask[v], ellipse, method)
    return out, mask


def _packed_pyramid(f: Array) -> tuple[Array, Array]:
    """All levels in one array, and (height, width, start) of each."""
    levels = gaussian_pyramid(f, 1 + (max(f.shape) - 1).bit_length())
    starts = np.cumsum([0] + [level.size for level in levels[:-1]])
    shapes = np.array([(*level.shape, start) for level, start in zip(levels, starts, strict=True)])
    return np.concatenate([level.ravel() for level in levels]), shapes


def warp(
    image: Array, T: ArrayLike, shape: tuple[int, int] | None = None, method: str = "bilinear", antialias: bool = False
) -> Warped:
    """Warp an image by T: inverse warping, ``g(x') = f(T^-1 x')``.

    Every output pixel gets a value, so there are no holes.  Where the picture shrinks, `antialias`
    averages over what the output pixel covers; without it pixels are only picked, and alias.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
    T : array of shape (3, 3)
        Maps points (x, y) of `image` to points of the output: *source to destination*.
    shape : (int, int), optional
        Height and width of the output; by default the image's.  `output_frame` finds those that hold all of it.
    method : {"nearest", "bilinear", "bicubic", "lanczos"}
        As for `sampling.sample`; "nearest" never mixes pixels, so `antialias` doesn't change it.
    antialias : bool
        Blur by a prefilter that follows the map's local scale and direction.

    Returns
    -------
    image : ndarray of shape `shape` (..., 3), in the image's precision
        0 where there is no source.
    mask : ndarray of `shape`, bool
        Where ``T^-1 x'`` lies on the image: -1/2 <= x < W - 1/2 and -1/2 <= y < H - 1/2.

    Raises
    ------
    TypeError, ValueError
        For what is no image, a singular T, an unknown method, a shape that is not two whole numbers >= 1.

    Notes
    -----
    O(neighbours) a pixel; the identity changes no bit.  With `antialias` a pixel is the mean of up to 8
    probes along the longer axis of its footprint, each read between two levels of a Gaussian pyramid
    that fit the shorter axis (at least 1/8 of the longer).

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., sections 3.6.1 and 3.5.2.
    .. [2] McCormack et al., Feline: fast elliptical lines for anisotropic texture mapping, 1999,
       doi:10.1145/311535.311562.

    Examples
    --------
    >>> warp(np.array([[1.0, 2.0, 3.0]]), [[1, 0, 0.5], [0, 1, 0], [0, 0, 1]]).image
    array([[1. , 1.5, 2.5]])
    """
    image = require_image(image)
    shape = image.shape[:2] if shape is None else _shape(shape)
    code = WARPS.index(_one_of("method", method, WARPS))
    back = np.ascontiguousarray(invert(T))

    def one_channel(f: Array) -> tuple[Array, Array]:
        if antialias and code != NEAREST:
            return _filtered_warp_loop(*_packed_pyramid(f), back, shape, code)
        return _warp_loop(f, back, shape, code)

    if image.ndim == 2:
        return Warped(*one_channel(image))
    channels = [one_channel(np.ascontiguousarray(image[:, :, c])) for c in range(3)]
    return Warped(np.stack([channel for channel, _ in channels], axis=-1), channels[0][1])


# --- forward warping -------------------------------------------------------------------------


@njit(**IEEE)
def _drop_row(canvas, row, x, y):
    """Share every pixel among the four neighbours of where it goes, Eq. (8.4)."""
    height, width = canvas.shape[:2]
    one = row.dtype.type(1)
    for u in range(row.size):
        if not ((x[u] > -1) & (x[u] < width) & (y[u] > -1) & (y[u] < height)):
            continue
        x0, y0 = int(np.floor(x[u])), int(np.floor(y[u]))
        tx, ty = row.dtype.type(x[u] - x0), row.dtype.type(y[u] - y0)
        for j in range(2):
            for i in range(2):
                if 0 <= y0 + j < height and 0 <= x0 + i < width:
                    weight = (ty if j else one - ty) * (tx if i else one - tx)
                    canvas[y0 + j, x0 + i, 0] += weight * row[u]
                    canvas[y0 + j, x0 + i, 1] += weight


@njit(**FAST)
def _splat_loop(f, T, shape):
    """Fill one canvas for each band of rows, then add them up and divide by the weights, Eq. (8.5)."""
    canvas = np.zeros((BANDS, shape[0], shape[1], 2), f.dtype)
    for band in prange(BANDS):
        x, y = np.empty(f.shape[1]), np.empty(f.shape[1])
        for v in range(band * f.shape[0] // BANDS, (band + 1) * f.shape[0] // BANDS):
            _map_row(T, v, x, y)
            _drop_row(canvas[band], f[v], x, y)
    out, weights = np.empty(shape, f.dtype), np.empty(shape, f.dtype)
    for v in prange(shape[0]):
        for u in range(shape[1]):
            total, weight = canvas[0, v, u, 0], canvas[0, v, u, 1]
            for band in range(1, BANDS):
                total += canvas[band, v, u, 0]
                weight += canvas[band, v, u, 1]
            seen = weight > FEW
            out[v, u] = total / weight if seen else 0
            weights[v, u] = weight if seen else 0
    return out, weights


def splat(image: Array, T: ArrayLike, shape: tuple[int, int] | None = None) -> Splatted:
    """Warp an image by T forwards: share each pixel among the four nearest of T x, then normalise.

    Needs no inverse, and averages where the picture shrinks; where it grows more than twice, or turned
    by 45 degrees more than sqrt(2) times, holes are left.

    Parameters
    ----------
    image, T, shape
        As for `warp`, but T may be singular.

    Returns
    -------
    image : ndarray of shape `shape` (..., 3), in the image's precision
        The weighted mean of what fell on each pixel; 0 where nothing did.
    weight : ndarray of `shape`, in the image's precision
        The sum of the weights, 0 in holes; about 1 / |det J| elsewhere.

    Raises
    ------
    TypeError, ValueError
        For what is no image, a T that is not (3, 3) and finite, a shape that is not two whole numbers >= 1.

    Notes
    -----
    O(1) a source pixel.  A weight below 1e-6 counts as a hole: rounding alone drops that much.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 3.6.1.

    Examples
    --------
    >>> splat(np.array([[1.0, 2.0]]), [[3, 0, 0.5], [0, 1, 0], [0, 0, 1]], (1, 5))
    Splatted(image=array([[1., 1., 0., 2., 2.]]), weight=array([[0.5, 0.5, 0. , 0.5, 0.5]]))
    """
    image, T = require_image(image), np.ascontiguousarray(require_transform(T))
    shape = image.shape[:2] if shape is None else _shape(shape)
    weights: list[Array] = []

    def one_channel(f: Array) -> Array:
        out, weight = _splat_loop(f, T, shape)
        weights.append(weight)
        return out

    return Splatted(each_channel(one_channel, image), weights[0])


# --- scale and frame -------------------------------------------------------------------------


def local_scale(T: ArrayLike, x: ArrayLike, y: ArrayLike) -> Array:
    """Measure how much T enlarges areas at points (x, y): ``|det J| = |det T| / |w|^3``, Eq. (8.8).

    Parameters
    ----------
    T : array of shape (3, 3)
    x, y : array_like
        Points *before* the map; broadcast against each other.

    Returns
    -------
    ndarray of the coordinates' shape
        Square output pixels a square source pixel: above 1 the picture grows.  Lengths grow by its square
        root only if J has no preferred direction.

    Raises
    ------
    ValueError
        For a T that is not (3, 3) and finite, or a point that T sends to infinity.

    Examples
    --------
    >>> local_scale([[2, 0, 5], [0, 3, 0], [0, 0, 1]], [0, 10], 4)
    array([6., 6.])
    """
    T = require_transform(T)
    x, y = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(y, np.float64))
    w = T[2, 0] * x + T[2, 1] * y + T[2, 2]
    if np.any(w == 0):
        raise ValueError("a point lies on the line that the transform sends to infinity: w = 0")
    return np.abs(np.linalg.det(T)) / np.abs(w) ** 3


def output_frame(T: ArrayLike, shape: tuple[int, int]) -> Frame:
    """Find the smallest output image that holds all of a warped image, and put its offset into T.

    The image covers -1/2 <= x <= W - 1/2; its four outer corners bound it after the map, too.

    Parameters
    ----------
    T : array of shape (3, 3)
        Source to destination.
    shape : (int, int)
        Height and width of the source image; more entries, as of a colour image's shape, are ignored.

    Returns
    -------
    T : ndarray of shape (3, 3)
        The given transform, then a shift by whole pixels to the frame's corner.
    shape : (int, int)
        Of the frame: ``warp(image, *output_frame(T, image.shape))`` shows all of it.

    Raises
    ------
    ValueError
        For a singular T; if the line that T sends to infinity crosses the image, so that no frame can
        hold it; for a frame of more than 2**28 pixels.

    Examples
    --------
    >>> T, shape = output_frame([[0, -1, 0], [1, 0, 0], [0, 0, 1]], (2, 3))
    >>> shape, T[:2, 2]
    ((3, 2), array([1., 0.]))
    """
    T = require_transform(T)
    invert(T)  # refuses what cannot be warped
    height, width = _shape(tuple(shape)[:2])
    corners = np.array([(x, y) for y in (-0.5, height - 0.5) for x in (-0.5, width - 0.5)])
    mapped = to_homogeneous(corners) @ T.T
    w = mapped[:, 2]
    if not (np.all(w > 0) or np.all(w < 0)):
        raise ValueError("part of the image goes to infinity: no frame can hold it; give warp a shape instead")
    points = mapped[:, :2] / w[:, None]
    first = np.ceil(points.min(axis=0) - SLACK)
    size = np.maximum(np.ceil(points.max(axis=0) - SLACK) - first, 1)
    if size[0] * size[1] > LARGEST:
        raise ValueError(f"the frame would be {size[0]:.3g} x {size[1]:.3g} pixels: the image nearly goes to infinity")
    shift = translation_matrix(*-first + 0.0)
    return Frame(shift @ T, (int(size[1]), int(size[0])))

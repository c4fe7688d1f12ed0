"""Panoramas: pictures taken by turning a camera about its centre, laid onto a plane, a cylinder or a sphere.

A camera that only turns sees the same rays again, so its pictures differ by ``H = K R K^-1`` whatever the
scene is.  `stitch` runs the whole way: matches, rotations and focal length, surface, gains, blending.

A panorama is indexed like any image; its pixel (u, v) is the point (u, v) + `Canvas.corner` of the surface.
World directions are (N, 3): x right, y down, z forward; ``X_cam = R @ X``.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike, NDArray

from cvcourse import cameras, descriptors
from cvcourse.alignment import fit_homography
from cvcourse.compiled import FAST
from cvcourse.homogeneous import as_points, random_generator, to_homogeneous
from cvcourse.images import Array, as_gray, require_image
from cvcourse.ransac import ransac_homography
from cvcourse.sampling import (
    _one_of,
    _shape,
    expand,
    from_laplacian_pyramid,
    gaussian_pyramid,
    laplacian_pyramid,
    reduce,
    resize,
)
from cvcourse.transforms import invert
from cvcourse.warping import SLACK, WARPS, Warped, _covered, _read_row

SURFACES = ("plane", "cylinder", "sphere")
BLENDS = ("none", "feather", "multiband")
WIDEST_PLANE = np.deg2rad(50)  # from the middle: beyond it a plane stretches more than 2.4 times
TALLEST_CYLINDER = np.deg2rad(50)  # above and below the equator
STEEPEST = np.deg2rad(80)  # where a plane, or a cylinder, is refused
WORKING_PIXELS = 1_000_000  # larger photographs are made smaller before they are stitched
CANVAS_PIXELS = 12_000_000  # larger panoramas are made smaller
INLIER = 3.0  # pixels between a match and where the homography sends it
HUBER = 1.0  # pixels: residuals beyond it count linearly, not squared
PARALLAX = 3.0  # pixels: a rotation that leaves more than this on the average picture is none
MAGNIFIED = 10.0  # a homography that enlarges more maps a patch onto a speck, as chance does
EQUAL = 1e-9  # rotations nearer to the identity, or to a turn about the optical axis, tell no focal length


class Pair(NamedTuple):
    """Two pictures and what they share: points (M, 2) that agree on one homography, and how many were matched."""

    i: int
    j: int
    src: Array
    dst: Array
    matches: int


class Rotations(NamedTuple):
    """One focal length in pixels, rotations (n, 3, 3) with the first the identity, residuals (N, 2), and of which pair each is."""

    focal: float
    R: Array
    residuals: Array
    pair: NDArray[np.int64]


class Canvas(NamedTuple):
    """A piece of a surface: pixels for a radian, the point of pixel (0, 0), (height, width), whether it goes all round."""

    surface: str
    scale: float
    corner: tuple[int, int]
    shape: tuple[int, int]
    closed: bool = False


class Panorama(NamedTuple):
    """The picture, where it has a source (H, W), and how it was made: K, rotations (n, 3, 3), gains (n,), canvas."""

    image: Array
    mask: Array
    K: Array
    R: Array
    gains: Array
    canvas: Canvas


# --- two views -------------------------------------------------------------------------------


def rotation_homography(K1: ArrayLike, R: ArrayLike, K2: ArrayLike | None = None) -> Array:
    """Build the homography between two pictures of a camera that turned about its centre, Eq. (12.2).

    Parameters
    ----------
    K1 : array of shape (3, 3)
        Intrinsics of the first picture, in pixels.
    R : array of shape (3, 3)
        From the first camera's frame to the second's: ``R2 @ R1.T``.
    K2 : array of shape (3, 3), optional
        Intrinsics of the second picture; by default those of the first.

    Returns
    -------
    H : ndarray of shape (3, 3)
        ``K2 R K1^-1``: ``x2 ~ H @ x1``.  Not rescaled: its third row gives the depth in camera 2 over that in
        camera 1, <= 0 for a point that camera 2 cannot see.

    Raises
    ------
    ValueError
        If a K isn't an intrinsic matrix or R isn't a rotation.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 8.2.3, Eq. (8.38).

    Examples
    --------
    >>> K = np.diag([100.0, 100.0, 1.0])
    >>> H = rotation_homography(K, [[0.6, 0, -0.8], [0, 1, 0], [0.8, 0, 0.6]])
    >>> (H @ [0, 0, 1]).round(9) + 0.0  # what was ahead is now 53 degrees to the left
    array([-80. ,   0. ,   0.6])
    """
    K1 = cameras.require_intrinsics(K1)
    K2 = K1 if K2 is None else cameras.require_intrinsics(K2)
    return K2 @ cameras.require_rotation(R) @ np.linalg.inv(K1)


def focal_from_homography(H: ArrayLike, center: ArrayLike) -> float:
    """Find the focal length of a camera that turned, from the homography between two of its pictures.

    With the origin at the principal point H is the rotation with its third column times f and its
    third row over f; in a rotation both are equally long, Eq. (12.6).

    Parameters
    ----------
    H : array of shape (3, 3)
        First picture to second, both taken at one focal length with square pixels.
    center : array of shape (2,)
        The principal point (x, y), in pixels: the middle of the picture if nothing better is known.

    Returns
    -------
    focal : float
        In pixels.

    Raises
    ------
    ValueError
        If the camera turned about its optical axis only, or not at all: every f fits.

    Notes
    -----
    Exact for an exact H.  With noise the error grows as one over the turn's sine: f from a
    nearly straight look is worth little.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 8.2.3, Eqs. (8.53)-(8.56), uses pairs of rows.

    Examples
    --------
    >>> focal_from_homography([[0.6, 0, -80], [0, 1, 0], [0.008, 0, 0.6]], (0, 0)).__round__(6)
    100.0
    """
    G = _about_center(H, center)
    column, row = np.hypot(G[0, 2], G[1, 2]), np.hypot(G[2, 0], G[2, 1])
    size = np.abs(np.linalg.det(G)) ** (1 / 3)
    if column * row <= (EQUAL * size) ** 2:
        raise ValueError("the camera did not turn away from its optical axis: this homography fits every focal length")
    return float(np.sqrt(column / row))


def _about_center(H: ArrayLike, center: ArrayLike) -> Array:
    """Shift the origin of both pictures to the principal point, Eq. (12.4)."""
    H, (x, y) = np.linalg.inv(invert(H)), as_points(np.atleast_2d(center), name="center")[0]
    back = np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])
    G: Array = np.linalg.inv(back) @ H @ back
    return G


def fit_rotation(directions1: ArrayLike, directions2: ArrayLike) -> Array:
    """Find the rotation that best turns one set of directions into another (Kabsch).

    Parameters
    ----------
    directions1, directions2 : array of shape (N, 3)
        Corresponding directions, N >= 2, of any length > 0.

    Returns
    -------
    R : ndarray of shape (3, 3)
        Minimises the sum of ``|d2 - R d1|^2`` over unit directions.

    Raises
    ------
    ValueError
        If the lengths disagree, or all directions are parallel: then R is not unique.

    References
    ----------
    .. [1] Kabsch, A solution for the best rotation to relate two sets of vectors, 1976, doi:10.1107/S0567739476001873.

    Examples
    --------
    >>> fit_rotation([[1, 0, 0], [0, 1, 0]], [[0, 1, 0], [-1, 0, 0]]).round(9) + 0.0
    array([[ 0., -1.,  0.],
           [ 1.,  0.,  0.],
           [ 0.,  0.,  1.]])
    """
    d1, d2 = _unit(directions1), _unit(directions2)
    if len(d1) != len(d2):
        raise ValueError(f"{len(d1)} directions but {len(d2)} turned ones")
    U, s, Vt = np.linalg.svd(d2.T @ d1)
    if s[1] <= 1e-12 * s[0]:
        raise ValueError("all directions are parallel: a turn about them changes nothing, so R is not unique")
    R: Array = U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt
    return R


def _unit(directions: ArrayLike) -> Array:
    d = as_points(directions, 3, "directions")
    length = np.linalg.norm(d, axis=1, keepdims=True)
    if not length.all():
        raise ValueError(f"direction {int(np.argmin(length))} is zero")
    return d / length


# --- surfaces --------------------------------------------------------------------------------


def to_surface(directions: ArrayLike, surface: str, scale: float = 1.0) -> Array:
    """Project directions onto a plane z = 1, a cylinder about y, or a sphere, and unroll it: Eqs. (12.7)-(12.9).

    Parameters
    ----------
    directions : array of shape (N, 3)
        World directions, of any length > 0.
    surface : {"plane", "cylinder", "sphere"}
    scale : float
        The surface's distance or radius, in pixels: pixels for a radian at the middle.

    Returns
    -------
    points : ndarray of shape (N, 2)
        On the cylinder and the sphere x runs from -pi to pi times `scale`.

    Raises
    ------
    ValueError
        For directions that never meet the surface: behind the plane, or along the cylinder's axis.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 8.2.6.

    Examples
    --------
    >>> to_surface([[1, 1, 1]], "cylinder").round(4)
    array([[0.7854, 0.7071]])
    """
    d, scale = _unit(directions), _positive("scale", scale)
    x, y, z = d.T
    across = z if _one_of("surface", surface, SURFACES) == "plane" else np.hypot(x, z)
    if surface != "sphere" and np.any(across <= 1e-9):
        where = "is not in front of" if surface == "plane" else "runs along the axis of"
        raise ValueError(f"direction {int(np.argmin(across))} {where} the {surface}: it never meets it")
    if surface == "plane":
        return scale * np.column_stack([x / z, y / z])
    height = y / across if surface == "cylinder" else np.arctan2(y, across)
    return scale * np.column_stack([np.arctan2(x, z), height])


def from_surface(points: ArrayLike, surface: str, scale: float = 1.0) -> Array:
    """Find the unit directions of points on an unrolled surface: the inverse of `to_surface`.

    Parameters
    ----------
    points : array of shape (N, 2)
        In pixels; on the cylinder and the sphere x is periodic.
    surface, scale
        As for `to_surface`.

    Returns
    -------
    directions : ndarray of shape (N, 3)

    Examples
    --------
    >>> from_surface([[np.pi / 2, 0]], "sphere").round(9) + 0.0
    array([[1., 0., 0.]])
    """
    x, y = (as_points(points) / _positive("scale", scale)).T
    one = np.ones_like(x)
    if _one_of("surface", surface, SURFACES) == "plane":
        return _unit(np.column_stack([x, y, one]))
    if surface == "cylinder":
        return _unit(np.column_stack([np.sin(x), y, np.cos(x)]))
    return _unit(np.column_stack([np.sin(x) * np.cos(y), np.sin(y), np.cos(x) * np.cos(y)]))


@njit(**FAST)
def _cylinder_loop(f, column, stretch):
    """Eq. (12.10): where a pixel comes from in x depends on its column only, and its y is linear in the row."""
    height, width = f.shape
    middle = f.dtype.type((height - 1) / 2)
    half, right, bottom = f.dtype.type(-0.5), f.dtype.type(width - 1), f.dtype.type(height - 1)
    zero = f.dtype.type(0)
    out, mask = np.empty(f.shape, f.dtype), np.empty(f.shape, np.bool_)
    for v in prange(height):
        row, seen, level = out[v], mask[v], f.dtype.type(v) - middle
        for u in range(width):
            x, y = column[u], level * stretch[u] + middle
            inside = (x >= half) & (y >= half) & (x < right - half) & (y < bottom - half)
            seen[u] = inside
            x, y = min(max(x, zero), right), min(max(y, zero), bottom)  # half a pixel of the border repeats it
            x0, y0 = np.int32(x), np.int32(y)
            tx, ty = x - f.dtype.type(x0), y - f.dtype.type(y0)
            i, j = np.uint32(x0), np.uint32(min(x0 + 1, width - 1))
            up, low = f[np.uint32(y0)], f[np.uint32(min(y0 + 1, height - 1))]
            top, base = up[i] + tx * (up[j] - up[i]), low[i] + tx * (low[j] - low[i])
            row[u] = top + ty * (base - top) if inside else zero
    return out, mask


def cylinder(image: Array, focal: float) -> Warped:
    """Lay a picture onto the cylinder of radius `focal` about its camera's vertical axis, Eq. (12.10).

    Pictures of a camera that pans then differ by a shift.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
        Its principal point is taken to be its middle.
    focal : float
        In pixels.

    Returns
    -------
    image : ndarray of the same shape and precision
        Bilinear; 0 where there is no source.
    mask : ndarray of shape (H, W), bool

    Raises
    ------
    TypeError, ValueError
        For what is no image, or a focal length that is not positive.

    Notes
    -----
    O(1) a pixel, no trigonometry: two tables hold what depends on the column.  Scale 1 in the middle.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 8.2.6.

    Examples
    --------
    >>> cylinder(np.ones((3, 9)), 4.0).mask.astype(int)[0]
    array([0, 1, 1, 1, 1, 1, 1, 1, 0])
    """
    image, focal = require_image(image), _positive("focal", focal)
    middle = (image.shape[1] - 1) / 2
    angle = np.clip((np.arange(image.shape[1]) - middle) / focal, -STEEPEST - 0.1, STEEPEST + 0.1)
    tables = (focal * np.tan(angle) + middle).astype(image.dtype), (1 / np.cos(angle)).astype(image.dtype)
    if image.ndim == 2:
        return Warped(*_cylinder_loop(image, *tables))
    channels = [_cylinder_loop(np.ascontiguousarray(image[:, :, c]), *tables) for c in range(3)]
    return Warped(np.stack([channel for channel, _ in channels], axis=-1), channels[0][1])


@njit(**FAST)
def _surface_loop(f, M, columns, rows, method):
    """A surface's pixel looks along (a b, c, e b), where a, e are its column's and b, c its row's; M takes that to x."""
    shape = (rows.shape[1], columns.shape[1])
    out, mask = np.empty(shape, f.dtype), np.empty(shape, np.bool_)
    for v in prange(shape[0]):
        x, y = np.empty(shape[1]), np.empty(shape[1])
        b, c = rows[0, v], rows[1, v]
        for u in range(shape[1]):
            X, Z = columns[0, u] * b, columns[1, u] * b
            depth = M[2, 0] * X + M[2, 1] * c + M[2, 2] * Z
            s = 1 / max(depth, 1e-9)
            x[u] = (M[0, 0] * X + M[0, 1] * c + M[0, 2] * Z) * s
            y[u] = (M[1, 0] * X + M[1, 1] * c + M[1, 2] * Z) * s
            if depth <= 1e-9:
                x[u] = -1e9  # behind the camera
        _covered(x, y, mask[v], f.shape[0], f.shape[1])
        _read_row(out[v], f, x, y, mask[v], method)
    return out, mask


def render(image: Array, K: ArrayLike, R: ArrayLike, canvas: Canvas, method: str = "bilinear") -> Warped:
    """Lay one picture onto a canvas: inverse warping from a plane, a cylinder or a sphere.

    Parameters
    ----------
    image : ndarray of shape (H, W) or (H, W, 3), float32 or float64
    K, R : array of shape (3, 3)
        The camera of the picture: ``x ~ K R X`` for a world direction X.
    canvas : Canvas
        Of `fit_canvas`, or made by hand.
    method : {"nearest", "bilinear", "bicubic", "lanczos"}

    Returns
    -------
    image : ndarray of shape ``canvas.shape`` (..., 3), in the image's precision
        0 where the camera does not look.
    mask : ndarray of shape ``canvas.shape``, bool

    Raises
    ------
    TypeError, ValueError
        For what is no image, camera or canvas.

    Notes
    -----
    O(neighbours) a pixel; no trigonometry inside the loop.

    Examples
    --------
    >>> canvas = Canvas("sphere", 2.0, (-1, 0), (1, 3))
    >>> render(np.ones((3, 3)), [[2, 0, 1], [0, 2, 1], [0, 0, 1]], np.eye(3), canvas).image
    array([[1., 1., 1.]])
    """
    image, K, R = require_image(image), cameras.require_intrinsics(K), cameras.require_rotation(R)
    code = WARPS.index(_one_of("method", method, WARPS))
    M, (columns, rows) = np.ascontiguousarray(K @ R), _canvas_tables(canvas)
    if image.ndim == 2:
        return Warped(*_surface_loop(image, M, columns, rows, code))
    channels = [_surface_loop(np.ascontiguousarray(image[:, :, c]), M, columns, rows, code) for c in range(3)]
    return Warped(np.stack([channel for channel, _ in channels], axis=-1), channels[0][1])


def _canvas_tables(canvas: Canvas) -> tuple[Array, Array]:
    """What depends on the column, (2, W), and on the row, (2, H), of a canvas' directions."""
    height, width = _shape(canvas.shape)
    scale = _positive("the canvas' scale", canvas.scale)
    x, y = (canvas.corner[0] + np.arange(width)) / scale, (canvas.corner[1] + np.arange(height)) / scale
    flat, level = np.ones(width), np.ones(height)
    surface = _one_of("surface", canvas.surface, SURFACES)
    columns = np.stack([x, flat] if surface == "plane" else [np.sin(x), np.cos(x)])
    rows = np.stack([np.cos(y), np.sin(y)] if surface == "sphere" else [level, y])
    return columns, rows


def fit_canvas(K: ArrayLike, R: ArrayLike, shape: Sequence[int], surface: str = "auto") -> Canvas:
    """Find the piece of a surface that holds all pictures.

    Parameters
    ----------
    K : array of shape (3, 3)
    R : array of shape (n, 3, 3)
        Rotations of the pictures, as `straighten` gives them: the middle looks along z.
    shape : (int, int)
        Height and width of every picture; more entries are ignored.
    surface : {"auto", "plane", "cylinder", "sphere"}
        "auto" takes the plane if all lies within 50 degrees of the middle, else the cylinder if all lies
        within 50 degrees of the horizon, else the sphere.

    Returns
    -------
    Canvas
        At the scale of the pictures' middles, or smaller if it would exceed 12 million pixels.

    Raises
    ------
    ValueError
        If a plane would have to hold a direction more than 80 degrees off its middle, or a cylinder one
        more than 80 degrees above or below its equator.

    Examples
    --------
    >>> fit_canvas(np.diag([100.0, 100.0, 1.0]), [np.eye(3)], (10, 20)).surface
    'plane'
    """
    K, R = cameras.require_intrinsics(K), _rotations(R)
    height, width = _shape(tuple(shape)[:2])
    grid = np.stack(np.meshgrid(np.linspace(-0.5, width - 0.5, 33), np.linspace(-0.5, height - 0.5, 33)), -1)
    directions = np.concatenate([cameras.rays(K, turn, grid.reshape(-1, 2)) for turn in R])
    poles = [pole for pole in (-1, 1) if any(_sees(K, turn, (0, pole, 0), (height, width)) for turn in R)]
    off_axis = np.arccos(np.clip(directions[:, 2].min(), -1, 1))
    steep = np.pi / 2 if poles else np.abs(np.arcsin(np.clip(directions[:, 1], -1, 1))).max()
    if _one_of("surface", surface, ("auto", *SURFACES)) == "auto":
        tall = "cylinder" if steep <= TALLEST_CYLINDER else "sphere"
        surface = "plane" if off_axis <= WIDEST_PLANE else tall
    worst = {"plane": off_axis, "cylinder": steep, "sphere": 0.0}[surface]
    if worst > STEEPEST:
        off = "its middle" if surface == "plane" else "its equator"
        rest = "a cylinder or a sphere" if surface == "plane" else "a sphere"
        raise ValueError(
            f"a {surface} cannot hold directions {np.rad2deg(worst):.0f} degrees off {off} (80 at most): take {rest}"
        )
    points = to_surface(directions, surface)
    closed = surface != "plane" and bool(poles or _largest_gap(points[:, 0])[1] < np.deg2rad(4))
    low, high = points.min(axis=0), points.max(axis=0)
    for pole in poles:  # only a sphere comes here
        low[1], high[1] = min(low[1], pole * np.pi / 2), max(high[1], pole * np.pi / 2)
    if closed:
        low[0], high[0] = -np.pi, np.pi
    scale = min(float(K[0, 0]), float(np.sqrt(CANVAS_PIXELS / np.prod(high - low))))
    first = np.ceil(scale * low - SLACK).astype(int)
    size = np.maximum(np.ceil(scale * high - SLACK).astype(int) - first, 1)
    if closed:
        scale = int(size[0]) / (2 * np.pi)  # a whole number of pixels goes round
    return Canvas(surface, scale, (int(first[0]), int(first[1])), (int(size[1]), int(size[0])), closed)


def _sees(K: Array, R: Array, direction: Sequence[float], shape: tuple[int, int]) -> bool:
    x, y, depth = K @ R @ np.asarray(direction)
    return bool(depth > 0 and -0.5 <= x / depth < shape[1] - 0.5 and -0.5 <= y / depth < shape[0] - 0.5)


def _largest_gap(longitudes: Array) -> tuple[float, float]:
    """Middle and size of the largest stretch of the circle that no point lies in, in radians."""
    angles = np.sort(longitudes % (2 * np.pi))
    gaps = np.diff(angles, append=angles[0] + 2 * np.pi)
    widest = int(np.argmax(gaps))
    return float(angles[widest] + gaps[widest] / 2), float(gaps[widest])


# --- many views ------------------------------------------------------------------------------


def find_pairs(images: Sequence[Array], rng: np.random.Generator | int = 0) -> list[Pair]:
    """Match all pictures with each other: SIFT, the ratio test, RANSAC with a homography.

    Parameters
    ----------
    images : sequence of n ndarrays of shape (H, W) or (H, W, 3), float32 or float64
    rng : Generator or int

    Returns
    -------
    list of n (n - 1) / 2 Pair
        With src in picture i and dst in picture j > i; `overlaps` tells which are to be believed.

    Raises
    ------
    TypeError, ValueError
        For what is no image.

    Notes
    -----
    Time grows with the pixels, and with the square of n.

    References
    ----------
    .. [1] Brown & Lowe, Automatic panoramic image stitching, 2007, doi:10.1007/s11263-006-0002-3.
    """
    rng = random_generator(rng)
    found = [descriptors.sift(as_gray(require_image(image, name=f"image {i}"))) for i, image in enumerate(images)]
    return [_match_pair(i, j, found[i], found[j], rng) for i in range(len(found)) for j in range(i + 1, len(found))]


def _match_pair(i: int, j: int, a: descriptors.Features, b: descriptors.Features, rng: np.random.Generator) -> Pair:
    rows = descriptors.match(a.descriptors, b.descriptors, mutual=True)
    src, dst = a.keypoints[rows[:, 0]], b.keypoints[rows[:, 1]]
    _, once = np.unique(np.column_stack([src, dst]).round(1), axis=0, return_index=True)  # several directions a point
    src, dst = src[np.sort(once)], dst[np.sort(once)]
    if len(src) < 8:
        return Pair(i, j, src[:0], dst[:0], len(src))
    try:
        H, agreed, _ = ransac_homography(src, dst, INLIER, rng=rng)
    except ValueError:  # no sample gave a homography
        return Pair(i, j, src[:0], dst[:0], len(src))
    agreed &= _is_view(H, src)
    return Pair(i, j, src[agreed], dst[agreed], len(src))


def _is_view(H: Array, points: Array) -> NDArray[np.bool_]:
    """Where a homography may be a turn: in front of both cameras, not mirrored, an area at most tenfold or a tenth."""
    w = to_homogeneous(points) @ H[2]
    area = np.linalg.det(H) / np.where(w == 0, np.inf, w) ** 3
    return np.asarray((area > 1 / MAGNIFIED) & (area < MAGNIFIED))


def overlaps(pair: Pair) -> bool:
    """Tell a true overlap from chance: more than 8 + 0.3 times the matches must agree on one homography.

    References
    ----------
    .. [1] Brown & Lowe, 2007, Eq. (13).

    Examples
    --------
    >>> overlaps(Pair(0, 1, np.zeros((11, 2)), np.zeros((11, 2)), 10))
    False
    """
    return len(pair.src) > 8 + 0.3 * pair.matches


def fit_rotations(pairs: Sequence[Pair], focal: float, center: ArrayLike, iterations: int = 50) -> Rotations:
    """Adjust the bundle: all rotations and the focal length together, Eqs. (12.12) and (12.13).

    Starts from the rotations of neighbours, chained from the first picture along the richest pairs; then
    Levenberg-Marquardt on the distances between each match and where the cameras send it, in pixels.

    Parameters
    ----------
    pairs : sequence of Pair
        They must link all pictures 0 ... n - 1.
    focal : float
        First guess, in pixels.
    center : array of shape (2,)
        The principal point of all pictures.
    iterations : int
        At most.

    Returns
    -------
    Rotations

    Raises
    ------
    ValueError
        If a picture is linked to no other.

    Notes
    -----
    Distances beyond 1 pixel count linearly (Huber).  O(n^2) a match, 3 n - 2 unknowns.

    References
    ----------
    .. [1] Brown & Lowe, 2007, section 4.
    .. [2] Szeliski, Computer Vision, 2nd ed., section 8.3.1.
    """
    src, dst = (np.concatenate([pair[k] for pair in pairs]) - np.asarray(center) for k in (2, 3))
    which = np.repeat(np.arange(len(pairs)), [len(pair.src) for pair in pairs])
    ends = np.array([[pair.i, pair.j] for pair in pairs])[which]
    f, R = _positive("focal", focal), _chained(pairs, focal, center)
    residuals, J = _bundle_system(src, dst, ends, f, R)
    damping = 1e-3
    for _ in range(iterations):
        w = np.repeat(_huber_weights(residuals), 2)
        A, b = J.T @ (w[:, None] * J), -J.T @ (w * residuals.ravel())
        step = np.linalg.solve(A + damping * np.diag(np.diag(A)), b)
        turns = [cameras.rotation_from_vector(r) for r in np.vstack([np.zeros(3), step[1:].reshape(-1, 3)])]
        new_f, new_R = f * float(np.exp(step[0])), turns @ R
        trial, trial_J = _bundle_system(src, dst, ends, new_f, new_R)
        gain = _huber_cost(residuals) - _huber_cost(trial)
        if gain < 0:
            damping *= 10
            continue
        f, R, residuals, J, damping = new_f, new_R, trial, trial_J, damping / 10
        if gain <= 1e-10 * _huber_cost(residuals) + 1e-15:
            break
    return Rotations(f, R, residuals, which)


def _chained(pairs: Sequence[Pair], focal: float, center: ArrayLike) -> Array:
    """Rotations from the first picture outwards, always over the richest pair that leads to a new one."""
    n = 1 + max(pair.j for pair in pairs)
    known = {0: np.eye(3)}
    while len(known) < n:
        links = [pair for pair in pairs if (pair.i in known) != (pair.j in known)]
        if not links:
            missing = sorted(set(range(n)) - set(known))
            raise ValueError(f"no pair links image {missing[0]} to image 0, not even by way of others")
        best = max(links, key=lambda pair: len(pair.src))
        step = fit_rotation(*(to_homogeneous((x - np.asarray(center)) / focal) for x in (best.src, best.dst)))
        if best.i in known:
            known[best.j] = step @ known[best.i]
        else:
            known[best.i] = step.T @ known[best.j]
    return np.stack([known[i] for i in range(n)])


def _bundle_system(src: Array, dst: Array, ends: Array, f: float, R: Array) -> tuple[Array, Array]:
    """Residuals (N, 2), Eq. (12.12), and their derivatives (2 N, 3 n - 2) by log f and small turns, Eq. (12.13)."""
    n, N = len(R), len(src)
    q = to_homogeneous(src / f)
    turn = R[ends[:, 1]] @ R[ends[:, 0]].transpose(0, 2, 1)
    p = np.einsum("nij,nj->ni", turn, q)
    u = f * p[:, :2] / p[:, 2:]
    D = np.zeros((N, 2, 3))
    D[:, 0, 0] = D[:, 1, 1] = f / p[:, 2]
    D[:, :, 2] = -u / p[:, 2:]
    by_q = D @ turn
    J = np.zeros((N, 2, 1 + 3 * n))
    J[:, :, 0] = u - np.einsum("nij,nj->ni", by_q[:, :, :2], q[:, :2])
    each = np.arange(N)
    for axis in range(3):
        unit = np.eye(3)[axis]
        J[each, :, 1 + 3 * ends[:, 1] + axis] += np.einsum("nij,nj->ni", D, np.cross(unit, p))
        J[each, :, 1 + 3 * ends[:, 0] + axis] -= np.einsum("nij,nj->ni", by_q, np.cross(unit, q))
    J = np.delete(J, [1, 2, 3], axis=2)  # the first picture stays
    return u - dst, J.reshape(2 * N, -1)


def _huber_weights(residuals: Array) -> Array:
    return HUBER / np.maximum(np.linalg.norm(residuals, axis=1), HUBER)


def _huber_cost(residuals: Array) -> float:
    length = np.linalg.norm(residuals, axis=1)
    return float(np.sum(np.where(length <= HUBER, length**2 / 2, HUBER * (length - HUBER / 2))))


def straighten(R: ArrayLike) -> Array:
    """Turn the world so that a panorama's horizon is level and its middle lies ahead.

    Who pans holds the camera level: its x axes lie in the horizontal plane, and what is perpendicular to
    them is the vertical.  Below 60 degrees of panning they are too parallel to tell; then the mean
    of the pictures' y axes is taken.

    Parameters
    ----------
    R : array of shape (n, 3, 3)

    Returns
    -------
    R : ndarray of shape (n, 3, 3)
        All multiplied by one rotation from the right: what lies between the pictures does not change.

    References
    ----------
    .. [1] Brown & Lowe, 2007, section 5.
    """
    R = _rotations(R)
    ahead, down = R[:, 2], R[:, 1].mean(axis=0)
    angle = np.arccos(np.clip((R[:, 0] @ R[:, 0].T).min(), -1, 1))
    if angle > np.deg2rad(60):
        axis = np.linalg.svd(R[:, 0])[2][-1]  # the direction that is least along any x axis
        down = axis * (1 if axis @ down >= 0 else -1)
    down = down / np.linalg.norm(down)
    east = np.cross(down, R[0, 2] if abs(down @ R[0, 2]) < 0.99 else R[0, 1])
    world = np.stack([east, down, np.cross(east, down)])
    world[[0, 2]] /= np.linalg.norm(east)
    turned = ahead @ world.T
    longitudes = np.arctan2(turned[:, 0], turned[:, 2])
    away, gap = _largest_gap(longitudes)
    middle = away + np.pi if gap > np.deg2rad(60) else longitudes[0]
    turn = cameras.rotation_from_vector([0, -middle, 0])
    level: Array = R @ (turn @ world).T
    return level


# --- blending --------------------------------------------------------------------------------


def feather_weights(shape: Sequence[int]) -> Array:
    """Build weights that fall from 1 in the middle of a picture to nearly 0 at its border.

    The weight is the distance to the nearest border over half the shorter side: a roof.

    Parameters
    ----------
    shape : (int, int)
        Height and width; more entries are ignored.

    Returns
    -------
    ndarray of shape (H, W), all > 0

    Examples
    --------
    >>> feather_weights((1, 3))
    array([[1., 1., 1.]])
    """
    height, width = _shape(tuple(shape)[:2])
    x, y = (np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5 for n in (width, height))
    return np.minimum(y[:, None], x) / (min(height, width) / 2)


def blend(images: Iterable[Array], weights: Sequence[Array]) -> Array:
    """Take the weighted mean of pictures at every pixel (feathering), Eq. (12.15).

    Parameters
    ----------
    images : iterable of n ndarrays of shape (H, W) or (H, W, 3), float32 or float64
        On one canvas.
    weights : sequence of n ndarrays of shape (H, W)
        Not negative; 0 where a picture has no source, so that its black does not count.

    Returns
    -------
    ndarray of the pictures' shape and precision
        0 where all weights are 0.

    Raises
    ------
    TypeError, ValueError
        For what is no image, shapes or numbers that disagree, or a negative weight.

    Examples
    --------
    >>> blend([np.zeros((1, 3)), np.ones((1, 3))], [np.array([[1, 1, 0.0]]), np.array([[0, 1, 1.0]])])
    array([[0. , 0.5, 1. ]])
    """
    weights = _weights(weights)
    total = np.sum(weights, axis=0)
    result = None
    for image, weight in _together(images, weights):
        share = np.divide(weight, total, out=np.zeros_like(total), where=total > 0)
        part = image * _like(share, image)
        result = part if result is None else result + part
    assert result is not None  # _together gives one at least
    return result


def multiband_blend(images: Iterable[Array], weights: Sequence[Array], levels: int = 6) -> Array:
    """Blend each band of frequencies over a width of its own, Eq. (12.16).

    A pixel belongs to the picture of the largest weight, or the first of equals.  The Laplacian pyramids
    of the pictures are mixed by the Gaussian pyramids of these regions: coarse shades over many pixels,
    fine detail over a few.

    Parameters
    ----------
    images, weights
        As for `blend`.
    levels : int
        At most; as many as the canvas allows.  1 cuts hard.

    Returns
    -------
    ndarray of the pictures' shape and precision
        0 where all weights are 0.

    Raises
    ------
    TypeError, ValueError
        As for `blend`, and for levels < 1.

    Notes
    -----
    Where a picture ends it is first continued smoothly, or its black surroundings would shade it.

    References
    ----------
    .. [1] Burt & Adelson, A multiresolution spline, 1983, doi:10.1145/245.247.

    Examples
    --------
    >>> one = np.ones((4, 8))
    >>> multiband_blend([one, 0 * one], [one, one]).min()
    np.float64(1.0)
    """
    weights = _weights(weights)
    if not isinstance(levels, int | np.integer) or levels < 1:
        raise ValueError(f"levels must be a whole number >= 1, got {levels!r}")
    levels = min(int(levels), 1 + (max(weights[0].shape) - 1).bit_length())
    most = np.max(weights, axis=0)
    best = np.argmax(np.array(weights) >= (1 - 1e-9) * most, axis=0)  # rounding does not decide between equals
    seen = most > 0
    bands: list[Array] = []
    totals: list[Array] = []
    for k, (image, weight) in enumerate(_together(images, weights)):
        bands = bands or _empty_pyramid(image, levels)
        totals = totals or _empty_pyramid(weight.astype(image.dtype), levels)
        if not weight.any():
            continue
        box = _box(weight > 0, 2 ** (levels - 1))
        region = gaussian_pyramid(((best == k) & seen)[box].astype(image.dtype), levels)
        known = np.ascontiguousarray(image[box])
        known = known if levels == 1 else _continued(known, weight[box] > 0)
        for level, (band, share) in enumerate(zip(laplacian_pyramid(known, levels), region, strict=True)):
            rows, cols = (
                slice(side.start >> level, (side.start >> level) + n) for side, n in zip(box, share.shape, strict=True)
            )
            bands[level][rows, cols] += band * _like(share, band)
            totals[level][rows, cols] += share
    floor = [np.maximum(total, np.finfo(total.dtype).tiny) for total in totals]
    mixed = [band / _like(total, band) for band, total in zip(bands, floor, strict=True)]
    return from_laplacian_pyramid(mixed) * _like(seen, bands[0])


def _empty_pyramid(image: Array, levels: int) -> list[Array]:
    height, width = image.shape[:2]
    sizes = [(-(-height // 2**level), -(-width // 2**level)) for level in range(levels)]
    return [np.zeros((*size, *image.shape[2:]), image.dtype) for size in sizes]


def _box(mask: NDArray[np.bool_], unit: int) -> tuple[slice, slice]:
    """The rows and columns of a mask with a margin of 4 units, on multiples of the unit: pyramids then fit together."""
    sides = []
    for axis in (1, 0):
        inside, n = np.flatnonzero(mask.any(axis=axis)), mask.shape[1 - axis]
        first, last = int(inside[0]) - 4 * unit, int(inside[-1]) + 1 + 4 * unit
        sides.append(slice(max(first, 0) // unit * unit, min(-(-last // unit) * unit, n)))
    return sides[0], sides[1]


def _continued(image: Array, mask: Array) -> Array:
    """Fill what is outside the mask from its surroundings: means over ever larger squares."""
    if mask.all() or not mask.any():
        return image
    known = _like(mask, image)
    weight = reduce(mask.astype(image.dtype))
    coarse = reduce(image * known) / _like(np.maximum(weight, 1e-6), image)
    filled: Array = np.where(known > 0, image, expand(_continued(coarse, weight > 1e-6), image.shape[:2]))
    return filled


def fit_gains(means: ArrayLike, counts: ArrayLike) -> Array:
    """Find factors that make pictures equally bright where they overlap, Eq. (12.14).

    Least squares in the logarithm, where a factor is a sum: one linear system for all pictures at once,
    so that no error adds up along the chain.

    Parameters
    ----------
    means : array of shape (n, n)
        Entry (i, j): mean brightness of picture i where it overlaps picture j.
    counts : array of shape (n, n)
        Symmetric: pixels of the overlap, 0 if there is none.

    Returns
    -------
    gains : ndarray of shape (n,)
        To multiply the pictures by; their geometric mean is 1.

    Raises
    ------
    ValueError
        For shapes that disagree, a mean <= 0 in an overlap, or pictures that no overlap links.

    References
    ----------
    .. [1] Brown & Lowe, 2007, section 6, with a prior instead of the logarithm.

    Examples
    --------
    >>> fit_gains([[0, 0.5], [0.25, 0]], [[0, 9], [9, 0]]).round(4)
    array([0.7071, 1.4142])
    """
    means, counts = np.asarray(means, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if means.ndim != 2 or means.shape[0] != means.shape[1] or means.shape != counts.shape:
        raise ValueError(f"means and counts must both be (n, n), got {means.shape} and {counts.shape}")
    if not np.array_equal(counts, counts.T) or not np.all(counts >= 0):
        raise ValueError("counts must be symmetric and not negative")
    weight = counts * (1 - np.eye(len(counts)))
    if np.any(means[weight > 0] <= 0):
        raise ValueError("an overlap has a mean of 0 or less: no factor changes black")
    log = np.log(means, out=np.zeros_like(means), where=weight > 0)
    A = np.diag(weight.sum(axis=1)) - weight
    b = np.sum(weight * (log.T - log), axis=1)
    if np.linalg.matrix_rank(A) < len(A) - 1:
        raise ValueError("some pictures overlap no others: their gains are unknown")
    gains: Array = np.exp(np.linalg.lstsq(A, b, rcond=None)[0])  # the shortest solution: the logarithms add up to 0
    return gains


# --- all of it -------------------------------------------------------------------------------


def stitch(
    images: Sequence[Array], surface: str = "auto", blending: str = "multiband", rng: np.random.Generator | int = 0
) -> Panorama:
    """Make one panorama of photographs taken by turning a camera, in any order.

    Matches all pairs, finds rotations and focal length, levels the horizon, chooses the surface, equalises
    brightness and blends.

    Parameters
    ----------
    images : sequence of n >= 2 ndarrays of one shape (H, W) or (H, W, 3), float32 or float64
        Of one camera at one zoom, turned about its centre; each must overlap another by about a fifth.
        Those of more than a million pixels are made smaller.
    surface : {"auto", "plane", "cylinder", "sphere"}
        See `fit_canvas`.
    blending : {"none", "feather", "multiband"}
        "none" cuts hard and leaves the brightness as it is.
    rng : Generator or int

    Returns
    -------
    Panorama

    Raises
    ------
    TypeError, ValueError
        If a picture does not fit; the message says which, and why: another shape, no texture, no overlap
        with the others, or a camera that moved instead of only turning.

    References
    ----------
    .. [1] Brown & Lowe, Automatic panoramic image stitching, 2007, doi:10.1007/s11263-006-0002-3.
    """
    _one_of("surface", surface, ("auto", *SURFACES))
    _one_of("blending", blending, BLENDS)
    images = _one_camera(images)
    center = (np.array(images[0].shape[1::-1]) - 1) / 2
    pairs = find_pairs(images, rng)
    linked = [pair for pair in pairs if overlaps(pair)]
    _require_linked(pairs, linked, len(images))
    found = fit_rotations(linked, _first_focal(linked, center), center)
    _require_rotation_only(linked, found)
    K = cameras.intrinsic_matrix(found.focal, cx=center[0], cy=center[1])
    R = straighten(found.R)
    canvas = fit_canvas(K, R, images[0].shape, surface)
    gains = np.ones(len(images)) if blending == "none" else measure_gains(images, K, R, canvas)
    picture, mask = compose([g * f for g, f in zip(gains.tolist(), images, strict=True)], K, R, canvas, blending)
    return Panorama(np.clip(picture, 0, 1), mask, K, R, gains, canvas)


def compose(images: Sequence[Array], K: ArrayLike, R: ArrayLike, canvas: Canvas, blending: str = "multiband") -> Warped:
    """Lay pictures of known cameras onto a canvas and blend them.

    Parameters
    ----------
    images : sequence of n ndarrays of one shape
    K : array of shape (3, 3)
    R : array of shape (n, 3, 3)
    canvas : Canvas
    blending : {"none", "feather", "multiband"}

    Returns
    -------
    image, mask : as of `render`

    Notes
    -----
    Where the canvas closes, the blend runs over the cut: it is made wider, and trimmed afterwards.
    """
    _one_of("blending", blending, BLENDS)
    margin = min(64, canvas.shape[1] // 2) if canvas.closed else 0
    (x, y), (height, width) = canvas.corner, canvas.shape
    wide = canvas._replace(corner=(x - margin, y), shape=(height, width + 2 * margin))
    roof = feather_weights(images[0].shape).astype(images[0].dtype)
    weights = [render(roof, K, turn, wide).image for turn in _rotations(R)]
    laid = (render(image, K, turn, wide).image for image, turn in zip(images, _rotations(R), strict=True))
    if blending == "feather":
        result = blend(laid, weights)
    else:
        result = multiband_blend(laid, weights, 6 if blending == "multiband" else 1)
    keep = np.s_[:, margin : margin + width]
    return Warped(np.ascontiguousarray(result[keep]), np.max(weights, axis=0)[keep] > 0)


def measure_gains(images: Sequence[Array], K: ArrayLike, R: ArrayLike, canvas: Canvas) -> Array:
    """Compare the brightness of pictures where they overlap, and equalise it: see `fit_gains`.

    Measured on a canvas of an eighth the size: means need no detail.

    Parameters
    ----------
    images, K, R, canvas
        As for `compose`.

    Returns
    -------
    gains : ndarray of shape (n,)
    """
    small = canvas._replace(
        scale=canvas.scale / 8,
        corner=(canvas.corner[0] // 8, canvas.corner[1] // 8),
        shape=(-(-canvas.shape[0] // 8), -(-canvas.shape[1] // 8)),
    )
    laid = [render(as_gray(image), K, turn, small) for image, turn in zip(images, _rotations(R), strict=True)]
    masks = np.stack([one.mask.ravel() for one in laid]).astype(np.float64)
    values = np.stack([one.image.ravel() for one in laid]).astype(np.float64)
    counts = masks @ masks.T
    return fit_gains((values * masks) @ masks.T / np.maximum(counts, 1), counts)


def _one_camera(images: Sequence[Array]) -> list[Array]:
    """Check the pictures' shapes; make large ones smaller."""
    checked = [require_image(image, name=f"image {i}") for i, image in enumerate(images)]
    if len(checked) < 2:
        raise ValueError(f"a panorama needs 2 images at least, got {len(checked)}")
    for i, image in enumerate(checked):
        if image.shape != checked[0].shape:
            raise ValueError(
                f"image {i} has shape {image.shape}, image 0 {checked[0].shape}: all must come from one camera at one "
                "zoom, held the same way"
            )
    factor = np.sqrt(WORKING_PIXELS / np.prod(checked[0].shape[:2]))
    if factor >= 1:
        return checked
    height, width = (round(float(side * factor)) for side in checked[0].shape[:2])
    return [np.clip(resize(image, (height, width), "bilinear"), 0, 1) for image in checked]


def _first_focal(pairs: Sequence[Pair], center: Array) -> float:
    """The median of what the homographies of the pairs say; the picture's width if they say nothing."""
    said = []
    for pair in pairs:
        try:
            said.append(focal_from_homography(fit_homography(pair.src, pair.dst), center))
        except ValueError:
            continue
    width = 2 * float(center.max()) + 1
    return float(np.clip(np.median(said), 0.3 * width, 20 * width)) if said else width


def _require_linked(pairs: Sequence[Pair], linked: Sequence[Pair], n: int) -> None:
    """Refuse pictures that are not linked to the largest group, and say how near they came."""
    group = np.arange(n)
    for pair in linked:
        group[group == group[pair.j]] = group[pair.i]
    largest = np.bincount(group).argmax()
    alone = np.flatnonzero(group != largest)
    if n == 2 and len(alone):
        raise ValueError(f"images 0 and 1 do not overlap: {_shortfall(pairs[0])}")
    if len(alone):
        i = int(alone[0])
        near = [p for p in pairs if i in (p.i, p.j) and largest in (group[p.i], group[p.j])]
        best = max(near, key=lambda pair: (len(pair.src), pair.matches))
        other = best.j if best.i == i else best.i
        rest = f" (nor do images {', '.join(map(str, alone[1:]))})" if len(alone) > 1 else ""
        raise ValueError(
            f"image {i} does not fit the others{rest}: with image {other}, its nearest, {_shortfall(best)}"
        )


def _shortfall(pair: Pair) -> str:
    needed = int(np.floor(8 + 0.3 * pair.matches)) + 1
    return (
        f"it shares {pair.matches} matches, of which {len(pair.src)} agree on one homography, and {needed} would be "
        "needed; photographs must overlap by about a fifth and show texture there"
    )


def _require_rotation_only(pairs: Sequence[Pair], found: Rotations) -> None:
    """Refuse a picture whose matches the best rotations leave far off: its camera moved."""
    length = np.linalg.norm(found.residuals, axis=1)
    typical = np.array([np.median(length[found.pair == k]) for k in range(len(pairs))])
    worst = int(np.argmax(typical))
    if typical[worst] > PARALLAX:
        ends = pairs[worst].i, pairs[worst].j
        misfit = [np.mean([t for p, t in zip(pairs, typical, strict=True) if i in (p.i, p.j)]) for i in ends]
        i, j = ends if misfit[0] > misfit[1] else ends[::-1]
        raise ValueError(
            f"image {i} does not fit image {j}: they agree on a homography but not on a rotation, which leaves their "
            f"matches {typical[worst]:.1f} pixels off ({PARALLAX:g} at most); turn the camera on the spot, without a "
            "step aside and without zooming"
        )


def _rotations(R: ArrayLike) -> Array:
    R = np.asarray(R, dtype=np.float64)
    if R.ndim != 3 or len(R) == 0:
        raise ValueError(f"rotations must have shape (n, 3, 3), got {R.shape}")
    return np.stack([cameras.require_rotation(turn) for turn in R])


def _weights(weights: Sequence[Array]) -> list[Array]:
    checked = [require_image(w, gray=True, name=f"weights {i}") for i, w in enumerate(weights)]
    if not checked:
        raise ValueError("there are no images to blend")
    for i, w in enumerate(checked):
        if w.shape != checked[0].shape:
            raise ValueError(f"weights {i} have shape {w.shape}, weights 0 {checked[0].shape}")
        if np.min(w) < 0:
            raise ValueError(f"weights {i} are negative somewhere: {np.min(w):g}")
    return checked


def _together(images: Iterable[Array], weights: Sequence[Array]) -> Iterable[tuple[Array, Array]]:
    """Pair images with their weights, checked; images may come one by one."""
    count, first = 0, None
    for count, image in enumerate(images, start=1):
        image = require_image(image, name=f"image {count - 1}")
        first = image if first is None else first
        if count > len(weights) or image.shape[:2] != weights[0].shape:
            raise ValueError(f"image {count - 1} of shape {image.shape} has no weights of its shape")
        if image.shape != first.shape or image.dtype != first.dtype:
            raise ValueError(f"image {count - 1} is {image.dtype} {image.shape}, image 0 {first.dtype} {first.shape}")
        yield image, weights[count - 1]
    if count != len(weights):
        raise ValueError(f"{count} images but {len(weights)} weights")


def _like(values: Array, image: Array) -> Array:
    """A gray map in the image's precision, with a third axis if the image has one."""
    values = values.astype(image.dtype)
    return values[..., None] if image.ndim == 3 else values


def _positive(name: str, value: Any) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return float(value)

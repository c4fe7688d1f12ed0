"""Transforms of the plane: five groups of 3 x 3 matrices, how to build, join, undo and recognise them.

A transform ``T`` acts on columns of homogeneous coordinates, ``(x', y', 1) ~ T (x, y, 1)``, so in a
product the right-most factor acts first; `cvcourse.homogeneous.transform_points` applies one to
points.  Angles are in radians, from +x towards +y; with y down that is clockwise on the screen.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from cvcourse.compiled import SERIAL
from cvcourse.homogeneous import as_points
from cvcourse.images import Array

GROUPS = ("translation", "Euclidean", "similarity", "affine", "projective")
"""From the smallest to the largest; each one holds those before it."""

FLAT = 1e-9  # twice a triangle's area, in squared mean distances, below which its corners count as collinear
SINGULAR = 1e-13  # smallest by largest singular value, rows and columns at length 1: rounding alone leaves 1e-16


class Decomposition(NamedTuple):
    """Parts of an affine map; see `decompose`.  Angles in radians, ``scales`` and ``translation`` of shape (2,)."""

    theta: float
    phi: float
    scales: Array
    translation: Array


# ---------------------------------------------------------------------------------------------
# Building


def translation_matrix(tx: float, ty: float) -> Array:
    """Build the shift by (tx, ty) pixels.

    Examples
    --------
    >>> translation_matrix(10, 20) @ [3, 4, 1]
    array([13., 24.,  1.])
    """
    _require_finite(tx=tx, ty=ty)
    return np.array([[1.0, 0.0, tx], [0.0, 1.0, ty], [0.0, 0.0, 1.0]])


def rotation_matrix(theta: float, center: ArrayLike = (0, 0)) -> Array:
    """Build the rotation by `theta` about `center`, Eq. (7.2) moved there by Eq. (7.9).

    Parameters
    ----------
    theta : float
        Radians, from +x towards +y: with y down, clockwise on the screen.
    center : (x, y)
        The point that stays.

    Returns
    -------
    ndarray of shape (3, 3)

    Examples
    --------
    >>> (rotation_matrix(np.pi / 2, center=(1, 1)) @ [3, 1, 1]).round(9)
    array([1., 3., 1.])
    """
    _require_finite(theta=theta)
    c, s = np.cos(theta), np.sin(theta)
    return _about(np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]]), center)


def scale_matrix(sx: float, sy: float | None = None, center: ArrayLike = (0, 0)) -> Array:
    """Build the scaling by `sx` along x and `sy` along y about `center`; a negative one mirrors.

    Parameters
    ----------
    sx, sy : float
        Not 0.  Without `sy` both directions are scaled by `sx`.
    center : (x, y)
        The point that stays.

    Returns
    -------
    ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        For a scale of 0: nothing could undo it.

    Examples
    --------
    >>> scale_matrix(2, -1) @ [3, 4, 1]
    array([ 6., -4.,  1.])
    """
    sy = sx if sy is None else sy
    _require_finite(sx=sx, sy=sy)
    if sx == 0 or sy == 0:
        raise ValueError(f"a scale of 0 flattens the plane and has no inverse, got sx = {sx:g}, sy = {sy:g}")
    return _about(np.diag([sx, sy, 1.0]), center)


def shear_matrix(kx: float, ky: float = 0.0) -> Array:
    """Build the shear x' = x + kx y, y' = y + ky x.

    Raises
    ------
    ValueError
        If kx ky = 1, which flattens the plane onto a line.

    Examples
    --------
    >>> shear_matrix(0.5) @ [3, 4, 1]
    array([5., 4., 1.])
    """
    _require_finite(kx=kx, ky=ky)
    if kx * ky == 1:
        raise ValueError(f"a shear with kx ky = 1 flattens the plane onto a line, got kx = {kx:g}, ky = {ky:g}")
    return np.array([[1.0, kx, 0.0], [ky, 1.0, 0.0], [0.0, 0.0, 1.0]])


def similarity_matrix(scale: float, theta: float, tx: float, ty: float) -> Array:
    """Build the map that scales by `scale` > 0 and turns by `theta` about the origin, then shifts by (tx, ty).

    Examples
    --------
    >>> (similarity_matrix(2, np.pi / 2, 10, 0) @ [3, 4, 1]).round(9)
    array([2., 6., 1.])
    """
    _require_finite(scale=scale, theta=theta, tx=tx, ty=ty)
    if scale <= 0:
        raise ValueError(f"the scale of a similarity is positive, got {scale:g}")
    c, s = scale * np.cos(theta), scale * np.sin(theta)
    return np.array([[c, -s, tx], [s, c, ty], [0.0, 0.0, 1.0]])


def _about(T: Array, center: ArrayLike) -> Array:
    """Make a map that leaves the origin leave `center` instead, Eq. (7.9)."""
    (c,) = as_points(np.asarray(center)[None], name="center")
    T[:2, 2] = c - T[:2, :2] @ c
    return T


# ---------------------------------------------------------------------------------------------
# Joining, undoing, comparing


def compose(*transforms: ArrayLike) -> Array:
    """Multiply transforms as the formula is written: ``compose(A, B)`` is A B, in which B acts first.

    Parameters
    ----------
    *transforms : arrays of shape (3, 3)
        At least one; the last acts first.

    Returns
    -------
    ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        For none, for another shape, NaN or infinity.

    Examples
    --------
    >>> shift, double = translation_matrix(10, 0), scale_matrix(2)
    >>> compose(shift, double) @ [1, 1, 1]  # doubled, then shifted
    array([12.,  2.,  1.])
    """
    if not transforms:
        raise ValueError("compose needs at least one transform")
    result = require_transform(transforms[0])
    for k, T in enumerate(transforms[1:], start=2):
        result = result @ require_transform(T, name=f"transform {k}")
    return result


def invert(T: ArrayLike) -> Array:
    """Find the transform that undoes T: ``invert(T) @ T`` is the identity.

    An affine T gives an affine inverse, its last row exactly (0, 0, 1 / T[2, 2]).

    Parameters
    ----------
    T : array of shape (3, 3)

    Returns
    -------
    ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        For a singular matrix, another shape, NaN or infinity.

    Examples
    --------
    >>> invert([[2, 0, 10], [0, 4, 20], [0, 0, 1]])
    array([[ 0.5 ,  0.  , -5.  ],
           [ 0.  ,  0.25, -5.  ],
           [ 0.  ,  0.  ,  1.  ]])
    """
    T = _require_invertible(T)
    inverse = np.linalg.inv(T) + 0.0  # + 0.0: no negative zeros
    if T[2, 0] == 0 and T[2, 1] == 0:
        inverse[2] = 0, 0, 1 / T[2, 2]
    return inverse


def fix_scale(T: ArrayLike) -> Array:
    """Choose one of the multiples of a homography: Frobenius norm 1, the entry of largest magnitude positive.

    Unlike a division by T[2, 2] it works for every homography, also where that entry is 0.

    Raises
    ------
    ValueError
        For the zero matrix, another shape, NaN or infinity.

    Notes
    -----
    Where two entries of opposite sign are equally large, rounding decides which is positive; to
    compare two transforms use `is_same_transform`.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 4.1.

    Examples
    --------
    >>> fix_scale([[0, 0, -4], [0, -4, 0], [-2, 0, 0]]).round(4) + 0.0
    array([[0.    , 0.    , 0.6667],
           [0.    , 0.6667, 0.    ],
           [0.3333, 0.    , 0.    ]])
    """
    fixed = require_transform(T)
    largest = fixed.flat[np.argmax(np.abs(fixed))]
    if largest == 0:
        raise ValueError("the zero matrix is no transform")
    fixed /= largest  # first, so that squares neither overflow nor vanish
    return fixed / float(np.linalg.norm(fixed))


def is_same_transform(T1: ArrayLike, T2: ArrayLike, atol: float = 1e-9) -> bool:
    """Tell whether two matrices are one transform: equal up to a factor, which may be negative.

    Both are brought to Frobenius norm 1; then no entry may differ by more than `atol`.

    Examples
    --------
    >>> is_same_transform(np.eye(3), -5 * np.eye(3))
    True
    """
    T1, T2 = fix_scale(T1), fix_scale(T2)
    sign = 1.0 if np.sum(T1 * T2) >= 0 else -1.0
    return bool(np.max(np.abs(T1 - sign * T2)) <= atol)


# ---------------------------------------------------------------------------------------------
# Recognising


def decompose(A: ArrayLike) -> Decomposition:
    """Split an affine map into a stretch along two perpendicular axes, a rotation and a translation, Eq. (7.5).

    Its 2 x 2 part is ``R(theta) R(-phi) diag(scales) R(phi)``: turn by phi, scale along x and y, turn
    back, and turn the result by theta.  This is the singular value decomposition in terms of angles.

    Parameters
    ----------
    A : array of shape (3, 3) with last row proportional to (0, 0, 1), or of shape (2, 2)

    Returns
    -------
    Decomposition
        ``theta`` in (-pi, pi], ``phi`` in (-pi/2, pi/2], both in radians; ``scales`` with
        scales[0] >= |scales[1]|, the second negative where A mirrors, 0 where it is singular;
        ``translation`` in pixels, (0, 0) for a 2 x 2 matrix.

    Raises
    ------
    ValueError
        For a projective matrix, another shape, NaN or infinity.

    Notes
    -----
    Where both scales are equal phi is free and set to 0; where they are opposite only the line of
    the mirror is determined, and theta is set to 0.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 2.4.3.

    Examples
    --------
    >>> theta, phi, scales, _ = decompose(compose(rotation_matrix(0.3), scale_matrix(2, 0.5)))
    >>> print(f"{theta:.3f} {phi:.3f} {scales}")
    0.300 0.000 [2.  0.5]
    """
    L, translation = _affine_parts(A)
    (a, b), (c, d) = L
    even, odd = np.array([a + d, c - b]) / 2, np.array([a - d, b + c]) / 2  # rotation and mirror part, Eq. (7.6)
    mean, half = np.hypot(*even), np.hypot(*odd)
    rounding = 1e-14 * (mean + half)
    turn = np.arctan2(even[1], even[0]) if mean > rounding else 0.0
    axis = np.arctan2(odd[1], odd[0]) if half > rounding else turn
    phi = (turn - axis) / 2 % np.pi
    phi -= np.pi * (phi > np.pi / 2)
    return Decomposition(float(turn), float(phi), np.array([mean + half, mean - half]), translation)


def group(T: ArrayLike, tol: float = 1e-9, size: float = 1000.0) -> str:
    """Name the smallest of the five groups that holds a transform.

    Parameters
    ----------
    T : array of shape (3, 3)
        Any multiple of it names the same group.
    tol : float
        Largest departure, as a share, that is taken for rounding or noise.
    size : float
        Extent in pixels of what is transformed: over it the perspective part must change the scale
        by no more than `tol`.

    Returns
    -------
    str
        One of `GROUPS`.  Mirrors belong to no group before "affine": a Euclidean map only turns and shifts.

    Raises
    ------
    ValueError
        For a singular matrix (a group holds only what can be undone), another shape, NaN or
        infinity, a negative tolerance, a size that is not positive.

    Examples
    --------
    >>> [group(T) for T in (np.eye(3), rotation_matrix(1), scale_matrix(3), scale_matrix(-1, 1))]
    ['translation', 'Euclidean', 'similarity', 'affine']
    """
    if not tol >= 0 or not size > 0:
        raise ValueError(f"tol must be at least 0 and size positive, got tol = {tol}, size = {size}")
    T = _require_invertible(T)
    if np.abs(T[2, :2]).sum() * size > tol * abs(T[2, 2]):
        return "projective"
    (a, b), (c, d) = T[:2, :2] / T[2, 2]
    scale = np.hypot(a + d, c - b) / 2  # of the nearest similarity [[p, -q], [q, p]]
    if np.hypot(a - d, b + c) / 2 > tol * scale:
        return "affine"
    if abs(scale - 1) > tol:
        return "similarity"
    return "Euclidean" if np.hypot(a - 1, c) > tol else "translation"


# ---------------------------------------------------------------------------------------------
# Points and lines


def transform_lines(T: ArrayLike, lines: ArrayLike) -> Array:
    """Carry lines to where a transform takes their points: l' = T^-T l, Eq. (7.12).

    Parameters
    ----------
    T : array of shape (3, 3)
    lines : array of shape (N, 3)
        (a, b, c) of a x + b y + c = 0; (0, 0, 1) is the line at infinity.  Only ratios count.

    Returns
    -------
    ndarray of shape (N, 3)
        Not scaled: ``l' . (T x) = l . x`` for every homogeneous point x.

    Raises
    ------
    ValueError
        For a singular T, another shape, NaN or infinity, a line (0, 0, 0).

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eq. (2.6).

    Examples
    --------
    >>> transform_lines(translation_matrix(10, 0), [[1, 0, -3]])  # x = 3 becomes x = 13
    array([[  1.,   0., -13.]])
    """
    lines = as_points(lines, dim=3, name="lines")
    if np.any(empty := ~lines.any(axis=1)):
        raise ValueError(f"line {int(np.argmax(empty))} is (0, 0, 0), which is no line")
    return lines @ invert(T)


def cross_ratio(points: ArrayLike) -> float:
    """Measure (A, B; C, D) = (AC BD) / (BC AD) of four points on a line, with signed distances, Eq. (7.17).

    Every homography keeps it.  It does not change if A, B and C, D trade places as pairs.

    Parameters
    ----------
    points : array of shape (4, 2)
        A, B, C, D in (x, y).  Measured points are projected onto their best line first.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If they are not four, two coincide, or one lies off their line by more than 1 % of their
        spread; for another shape, NaN or infinity.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 2.5.

    Examples
    --------
    >>> f"{cross_ratio([[0, 5], [1, 5], [2, 5], [3, 5]]):.4f}"
    '1.3333'
    """
    points = as_points(points)
    if len(points) != 4:
        raise ValueError(f"a cross-ratio has four points, got {len(points)}")
    centered = points - points.mean(axis=0)
    along, off = np.linalg.svd(centered)[2] @ centered.T
    spread = np.ptp(along)
    a, b, c, d = along
    if spread == 0 or np.min(np.diff(np.sort(along))) <= 1e-12 * spread:
        raise ValueError("two of the four points coincide: their cross-ratio says nothing")
    if np.max(np.abs(off)) > 0.01 * spread:
        raise ValueError(
            f"the four points do not lie on a line: one is {np.max(np.abs(off)):.3g} off, their spread is {spread:.3g}"
        )
    return float((c - a) * (d - b) / ((c - b) * (d - a)))


def through_four_points(src: ArrayLike, dst: ArrayLike) -> Array:
    """Find the one homography that carries four points to four points, Eq. (7.14).

    Each quadruple is the image of the four standard points (1, 0, 0), (0, 1, 0), (0, 0, 1),
    (1, 1, 1) under a matrix that can be written down; go back by one and forth by the other.

    Parameters
    ----------
    src, dst : arrays of shape (4, 2)
        Points in (x, y), in pixels; no three on a line, neither in `src` nor in `dst`.

    Returns
    -------
    H : ndarray of shape (3, 3)
        ``dst ~ H @ src``, of Frobenius norm 1 with its largest entry positive, as `fix_scale` gives.
        H[2, 2] may be 0: then the origin goes to infinity.

    Raises
    ------
    ValueError
        If they are not four pairs, three points lie on a line, or two coincide; for NaN or infinity.

    Notes
    -----
    Exact up to rounding, about ten microseconds.  A crossed or concave quadrilateral has a homography
    too: part of the figure then passes through infinity.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 2.3 and exercise 2.

    Examples
    --------
    >>> square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    >>> H = through_four_points(square, 2 * square + [3, 4])
    >>> (H / H[2, 2]).round(9) + 0.0
    array([[2., 0., 3.],
           [0., 2., 4.],
           [0., 0., 1.]])
    """
    both = []
    for name, points in (("src", src), ("dst", dst)):
        points = np.ascontiguousarray(as_points(points, name=name))
        if len(points) != 4:
            raise ValueError(f"{name} must hold exactly 4 points, got {len(points)}")
        both.append(points)
    H, flat_src, flat_dst = homography_of_four(*both)
    for name, flat in (("src", flat_src), ("dst", flat_dst)):
        if flat <= FLAT:
            raise ValueError(f"three of the four points of {name} lie on a line, or two coincide: no homography")
    return fix_scale(H)


@njit(**SERIAL)
def _centre_and_size(points):
    """Mean, and mean distance from it; 1 where all points coincide."""
    cx = (points[0, 0] + points[1, 0] + points[2, 0] + points[3, 0]) / 4
    cy = (points[0, 1] + points[1, 1] + points[2, 1] + points[3, 1]) / 4
    size = 0.0
    for k in range(4):
        size += np.sqrt((points[k, 0] - cx) ** 2 + (points[k, 1] - cy) ** 2) / 4
    return cx, cy, size if size > 0 else 1.0


@njit(**SERIAL)
def _turn(p, i, j, k):
    """Twice the signed area of triangle i j k: the determinant of its three homogeneous points."""
    return (p[j, 0] - p[i, 0]) * (p[k, 1] - p[i, 1]) - (p[j, 1] - p[i, 1]) * (p[k, 0] - p[i, 0])


@njit(**SERIAL)
def _standard_to(points, B):
    """Fill B, whose columns lambda_i p_i add up to p_4 up to scale, Eq. (7.13); give the flattest triangle.

    The lambda_i are Cramer's determinants, each a triangle's area.
    """
    areas = (_turn(points, 3, 1, 2), _turn(points, 0, 3, 2), _turn(points, 0, 1, 3), _turn(points, 0, 1, 2))
    for i in range(3):
        B[0, i], B[1, i], B[2, i] = areas[i] * points[i, 0], areas[i] * points[i, 1], areas[i]
    return min(abs(areas[0]), abs(areas[1]), abs(areas[2]), abs(areas[3]))


@njit(**SERIAL)
def _adjugate(B):
    """The inverse times the determinant: its rows are the cross products of the columns of B."""
    C = np.empty((3, 3))
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        for r in range(3):
            s, t = (r + 1) % 3, (r + 2) % 3
            C[i, r] = B[s, j] * B[t, k] - B[t, j] * B[s, k]
    return C


@njit(**SERIAL)
def homography_of_four(src, dst):
    """`through_four_points` without its checks, for compiled loops: C-contiguous float64 (4, 2) in.

    Returns H up to scale, and for `src` and `dst` twice the area of the flattest of their four
    triangles in squared mean distances from the mean: at most `FLAT` where three points are collinear.
    """
    ax, ay, s = _centre_and_size(src)
    bx, by, t = _centre_and_size(dst)
    p, q = np.empty((4, 2)), np.empty((4, 2))  # both quadruples around the origin: no digits are lost
    for k in range(4):
        p[k, 0], p[k, 1] = (src[k, 0] - ax) / s, (src[k, 1] - ay) / s
        q[k, 0], q[k, 1] = (dst[k, 0] - bx) / t, (dst[k, 1] - by) / t
    P, Q, H = np.empty((3, 3)), np.empty((3, 3)), np.empty((3, 3))
    flat_src, flat_dst = _standard_to(p, P), _standard_to(q, Q)
    back = _adjugate(P)
    for r in range(3):
        for c in range(3):
            H[r, c] = Q[r, 0] * back[0, c] + Q[r, 1] * back[1, c] + Q[r, 2] * back[2, c]  # Eq. (7.14)
    for r in range(3):  # move src in ...
        H[r, 0], H[r, 1], H[r, 2] = H[r, 0] / s, H[r, 1] / s, H[r, 2] - (H[r, 0] * ax + H[r, 1] * ay) / s
    for c in range(3):  # ... and dst out
        H[0, c], H[1, c] = t * H[0, c] + bx * H[2, c], t * H[1, c] + by * H[2, c]
    return H, flat_src, flat_dst


# ---------------------------------------------------------------------------------------------
# Checks at the door


def require_transform(T: ArrayLike, name: str = "the transform") -> Array:
    """Check a transform at the door: a float64 array of shape (3, 3), finite; it may be singular.

    Raises
    ------
    ValueError
        For another shape, NaN or infinity.
    """
    result = np.array(T, dtype=np.float64)
    if result.shape != (3, 3):
        raise ValueError(f"{name} must have shape (3, 3), got {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return result


def _require_invertible(T: ArrayLike) -> Array:
    """Check that T can be undone, whatever the units of its entries: rows and columns are first scaled alike."""
    T = require_transform(T)
    rows = np.linalg.norm(T, axis=1, keepdims=True)
    columns = np.linalg.norm(T / np.where(rows == 0, 1, rows), axis=0)
    if np.all(rows) and np.all(columns):
        s = np.linalg.svd(T / rows / columns, compute_uv=False)
        if s[2] > SINGULAR * s[0]:
            return T
    raise ValueError("the transform is singular: it flattens the plane onto a line or a point and cannot be undone")


def _affine_parts(A: ArrayLike) -> tuple[Array, Array]:
    """The 2 x 2 part and the translation of an affine map, its last row brought to (0, 0, 1)."""
    if np.shape(A) == (2, 2):
        T = np.eye(3)
        T[:2, :2] = A
        A = T
    T = require_transform(A, name="the affine map")
    if T[2, 0] != 0 or T[2, 1] != 0 or T[2, 2] == 0:
        raise ValueError(f"an affine map has the last row (0, 0, 1) up to scale, got {T[2]}")
    return T[:2, :2] / T[2, 2], T[:2, 2] / T[2, 2]


def _require_finite(**numbers: Any) -> None:
    for name, value in numbers.items():
        if not np.isscalar(value) or not np.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")

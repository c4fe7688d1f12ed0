"""Cameras: from a world point to a pixel by P = K [R | -R c], back along its ray, and the lens in between.

The camera looks along z, x to the right, y down; ``X_cam = R @ (X - c)``, so the rows of R are the
camera's axes in world coordinates and ``t = -R @ c`` is *not* where the camera stands.  World points
are (N, 3), pixels (N, 2) in (x, y) with pixel centres at integers, angles in radians.
"""

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit, prange
from numpy.typing import ArrayLike

from cvcourse.compiled import FAST, SERIAL
from cvcourse.homogeneous import as_points, cross_matrix, null_vector, to_homogeneous
from cvcourse.images import Array

NO_DISTORTION = (0.0, 0.0, 0.0, 0.0)
SINGULAR = 1e-12  # smallest by largest singular value, rows at length 1: rounding alone leaves 1e-16
ORTHOGONAL = 1e-6  # largest entry of R R^T - I that is taken for rounding, also of printed digits
IN_PLANE = 1e-12  # depth by distance below which a point lies in the plane through the centre


class Projected(NamedTuple):
    """Pixels ``x`` of shape (N, 2) and ``depth`` of shape (N,), negative behind the camera; see `project`."""

    x: Array
    depth: Array


class Decomposition(NamedTuple):
    """Parts of a projection matrix: intrinsics, rotation, centre; see `decompose_projection`."""

    K: Array
    R: Array
    c: Array


class FieldOfView(NamedTuple):
    """Angles, in radians, that an image covers; see `field_of_view`."""

    horizontal: float
    vertical: float


# ---------------------------------------------------------------------------------------------
# Intrinsics and pose


def intrinsic_matrix(fx: float, fy: float | None = None, cx: float = 0.0, cy: float = 0.0, skew: float = 0.0) -> Array:
    """Build K, which takes camera coordinates to homogeneous pixels, Eq. (11.4).

    Parameters
    ----------
    fx, fy : float
        Focal length in pixel widths and pixel heights, positive.  Without `fy` pixels are square.
    cx, cy : float
        The principal point, in pixels.
    skew : float
        0 where rows and columns are at right angles.

    Returns
    -------
    ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        For a focal length that is not positive, NaN or infinity.

    Examples
    --------
    >>> intrinsic_matrix(500, cx=320, cy=240) @ [0.1, 0, 1]
    array([370., 240.,   1.])
    """
    fy = fx if fy is None else fy
    return require_intrinsics([[fx, skew, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]])


def rotation_from_angles(yaw: float, pitch: float = 0.0, roll: float = 0.0) -> Array:
    """Build the R of a camera that is turned to the right, then up, then about its own view, Eq. (11.12).

    Parameters
    ----------
    yaw, pitch, roll : float
        Radians.  Positive yaw looks right, positive pitch looks up, positive roll turns the camera
        clockwise as seen from behind it: the picture turns the other way.

    Returns
    -------
    R : ndarray of shape (3, 3)
        World to camera: ``X_cam = R @ (X - c)``; its third row is the direction of view.

    Examples
    --------
    >>> rotation_from_angles(np.pi / 2)[2].round(9) + 0.0  # turned right: it looks along world x
    array([1., 0., 0.])
    """
    angles = _require_vector([yaw, pitch, roll], "the angles")
    turn_y, turn_x, turn_z = (rotation_from_vector(a * axis) for a, axis in zip(angles, np.eye(3)[[1, 0, 2]]))
    return (turn_y @ turn_x @ turn_z).T


def rotation_from_vector(r: ArrayLike) -> Array:
    """Build the rotation about the axis r by the angle ``|r|`` (Rodrigues), Eq. (11.13).

    Parameters
    ----------
    r : array of shape (3,)
        Radians; right-handed about its own direction.

    Returns
    -------
    R : ndarray of shape (3, 3)

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., section 2.1.3, Eq. (2.34).

    Examples
    --------
    >>> rotation_from_vector([0, 0, np.pi / 2]).round(9) @ [1, 0, 0] + 0.0
    array([0., 1., 0.])
    """
    r = _require_vector(r, "the rotation vector")
    half, cross = np.linalg.norm(r) / (2 * np.pi), cross_matrix(r)
    return np.eye(3) + np.sinc(2 * half) * cross + 0.5 * np.sinc(half) ** 2 * (cross @ cross)


def vector_from_rotation(R: ArrayLike) -> Array:
    """Find axis times angle of a rotation: the inverse of `rotation_from_vector`.

    Exact near 0 and near pi too: it goes through the unit quaternion, by its largest component.

    Parameters
    ----------
    R : array of shape (3, 3)

    Returns
    -------
    r : ndarray of shape (3,)
        ``|r| <= pi``; of the two vectors of a half turn the one whose largest entry is positive.

    Raises
    ------
    ValueError
        If R is no rotation.

    Examples
    --------
    >>> vector_from_rotation(rotation_from_vector([0.1, -0.2, 0.3])).round(6)
    array([ 0.1, -0.2,  0.3])
    """
    R = require_rotation(R)
    trace, odd = np.trace(R), np.array([R[2, 1] - R[1, 2], R[0, 2] - R[2, 0], R[1, 0] - R[0, 1]])
    products = np.empty((4, 4))  # 4 q q^T of the quaternion q = (cos, axis sin) of half the angle
    products[0, 0], products[0, 1:], products[1:, 0] = 1 + trace, odd, odd
    products[1:, 1:] = R + R.T + (1 - trace) * np.eye(3)
    q = products[np.argmax(np.diag(products))]
    q = q / np.linalg.norm(q)
    v = q[1:]
    q = q * (np.sign(v[np.argmax(np.abs(v))]) if abs(q[0]) < 1e-12 else np.sign(q[0]))
    sine = np.linalg.norm(q[1:])
    return q[1:] * (2 * np.arctan2(sine, q[0]) / sine if sine > 0 else 2.0)


def look_at(c: ArrayLike, target: ArrayLike, down: ArrayLike = (0, 1, 0)) -> Array:
    """Build the R of a camera at `c` that sees `target` in the middle, upright, Eq. (11.11).

    Parameters
    ----------
    c, target : arrays of shape (3,)
        World points.
    down : array of shape (3,)
        The world's direction that shall point down in the picture; (0, 0, -1) where z is up.

    Returns
    -------
    R : ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        If the target is the centre, or the view is along `down`: then upright says nothing.

    Examples
    --------
    >>> R = look_at((0, 0, -5), (0, 0, 0))
    >>> R + 0.0
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    c, target, down = _require_vector(c, "c"), _require_vector(target, "target"), _require_vector(down, "down")
    forward, length = target - c, np.linalg.norm(target - c)
    if length <= 1e-12 * max(1.0, float(np.abs([c, target]).max())):
        raise ValueError(f"the target is the camera's centre, {c}: there is no direction to look in")
    z = forward / length
    right = np.cross(down, z)
    if np.linalg.norm(right) <= 1e-9 * np.linalg.norm(down) or not down.any():
        raise ValueError(f"the view {z} is along down = {down}: no picture is upright, choose another down")
    x = right / np.linalg.norm(right)
    return np.stack([x, np.cross(z, x), z])


# ---------------------------------------------------------------------------------------------
# The projection matrix


def projection_matrix(K: ArrayLike, R: ArrayLike, c: ArrayLike) -> Array:
    """Build P = K R [I | -c] = K [R | -R c], world to homogeneous pixels, Eq. (11.6).

    Parameters
    ----------
    K : array of shape (3, 3)
        Upper triangular, positive diagonal, K[2, 2] = 1.
    R : array of shape (3, 3)
        World to camera.
    c : array of shape (3,)
        Where the camera stands, in world coordinates: not t = -R c.

    Returns
    -------
    P : ndarray of shape (3, 4)

    Raises
    ------
    ValueError
        If K holds no intrinsics, R is no rotation, c no point.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eq. (6.7).

    Examples
    --------
    >>> projection_matrix(intrinsic_matrix(500, cx=320, cy=240), np.eye(3), (0, 0, -5)).astype(int)
    array([[ 500,    0,  320, 1600],
           [   0,  500,  240, 1200],
           [   0,    0,    1,    5]])
    """
    M = require_intrinsics(K) @ require_rotation(R)
    return np.column_stack([M, -M @ _require_vector(c, "c")]) + 0.0  # + 0.0: no negative zeros


def camera_center(P: ArrayLike) -> Array:
    """Find where the camera stands: the null space of P, Eq. (11.8).

    Parameters
    ----------
    P : array of shape (3, 4)
        Any multiple of it gives the same centre.

    Returns
    -------
    c : ndarray of shape (3,)

    Raises
    ------
    ValueError
        If P is no finite camera: its left 3 x 3 block is singular.

    Examples
    --------
    >>> camera_center(projection_matrix(np.eye(3), np.eye(3), (1, 2, 3))).round(9)
    array([1., 2., 3.])
    """
    P = require_projection(P)
    size = np.linalg.norm(P[:, 3]) / np.linalg.norm(P[:, :3])  # the centre in a unit in which it is near 1
    unit = np.array([1.0, 1.0, 1.0, 1 / size if size > 0 else 1.0])
    rows = P * unit
    v, _ = null_vector(rows / np.linalg.norm(rows, axis=1, keepdims=True))
    return v[:3] / (v[3] * unit[3])


def decompose_projection(P: ArrayLike) -> Decomposition:
    """Take P apart into K, R and c, Eqs. (11.14) and (11.15).

    Parameters
    ----------
    P : array of shape (3, 4)
        P and every multiple of it, also a negative one, give the same parts.

    Returns
    -------
    Decomposition
        K with positive diagonal and K[2, 2] = 1, R with determinant +1, c of shape (3,).

    Raises
    ------
    ValueError
        If P is no finite camera: its left 3 x 3 block is singular.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 6.2.4.

    Examples
    --------
    >>> K = intrinsic_matrix(500, cx=320, cy=240)
    >>> parts = decompose_projection(-3 * projection_matrix(K, look_at((1, 2, -5), (0, 0, 0)), (1, 2, -5)))
    >>> np.allclose(parts.K, K), parts.c.round(9)
    (True, array([ 1.,  2., -5.]))
    """
    P = require_projection(P)
    M = P[:, :3] * np.sign(np.linalg.det(P[:, :3]))  # the sign with which R turns and does not mirror
    K, R = rq(M)
    return Decomposition(K / K[2, 2], R, camera_center(P))


def rq(M: ArrayLike) -> tuple[Array, Array]:
    """Split M into an upper triangle with positive diagonal times an orthogonal matrix, Eq. (11.15).

    It is the QR decomposition of M with its rows reversed and transposed.

    Parameters
    ----------
    M : array of shape (3, 3)
        Regular.

    Returns
    -------
    upper, Q : ndarrays of shape (3, 3)
        ``upper @ Q == M``; det Q has the sign of det M.

    Raises
    ------
    ValueError
        If M is singular: then the split is not unique.

    Examples
    --------
    >>> upper, Q = rq([[0, -2, 0], [3, 0, 0], [0, 0, 1]])
    >>> np.diag(upper), bool(np.linalg.det(Q) > 0)
    (array([2., 3., 1.]), True)
    """
    M = _require_regular(np.array(M, dtype=np.float64), "M")
    Q, R = np.linalg.qr(M[::-1].T)
    signs = np.where(np.diag(R) < 0, -1.0, 1.0)
    upper = (signs[:, None] * R).T[::-1, ::-1] + 0.0
    return np.triu(upper), (Q * signs).T[::-1]


def project(P: ArrayLike, X: ArrayLike, behind: Literal["keep", "raise"] = "keep") -> Projected:
    """Project world points to pixels, and tell how deep each lies along the view, Eqs. (11.6) and (11.9).

    Parameters
    ----------
    P : array of shape (3, 4)
        Any multiple of it, also a negative one, gives the same result.
    X : array of shape (N, 3)
    behind : {"keep", "raise"}
        What becomes of points behind the camera, which the formula projects and a camera does not
        see: they come back with their negative depth, to be dropped, or are refused.

    Returns
    -------
    Projected
        Pixels ``x`` of shape (N, 2) and ``depth`` of shape (N,), in the world's unit.

    Raises
    ------
    ValueError
        For a point at depth 0, which has no image; with ``behind="raise"`` for one behind the
        camera; for a singular P, other shapes, NaN or infinity.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Eqs. (6.1) and (6.15).

    Examples
    --------
    >>> P = projection_matrix(intrinsic_matrix(500, cx=320, cy=240), np.eye(3), (0, 0, -5))
    >>> project(P, [[1, 0, 0], [1, 0, -10]])
    Projected(x=array([[420., 240.],
           [220., 240.]]), depth=array([ 5., -5.]))
    """
    if behind not in ("keep", "raise"):
        raise ValueError(f'behind must be "keep" or "raise", got {behind!r}')
    P, X = require_projection(P), as_points(X, dim=3, name="X")
    homogeneous = to_homogeneous(X) @ P.T
    w = homogeneous[:, 2]
    reach = np.linalg.norm(P[2, :3]) * np.linalg.norm(X, axis=1) + abs(P[2, 3])
    if np.any(flat := np.abs(w) <= IN_PLANE * reach):
        raise ValueError(f"point {int(np.argmax(flat))} lies at depth 0, beside the camera's centre: it has no image")
    depth = _depth_scale(P) * w
    if behind == "raise":
        _refuse_behind(depth)
    return Projected(homogeneous[:, :2] / w[:, None], depth)


def is_in_front(P: ArrayLike, X: ArrayLike) -> Array:
    """Tell which world points lie in front of the camera (cheirality), Eq. (11.9).

    Parameters
    ----------
    P : array of shape (3, 4)
    X : array of shape (N, 3)

    Returns
    -------
    ndarray of shape (N,), bool

    Examples
    --------
    >>> is_in_front(-projection_matrix(np.eye(3), np.eye(3), (0, 0, 0)), [[0, 0, 2], [0, 0, -2]])
    array([ True, False])
    """
    P, X = require_projection(P), as_points(X, dim=3, name="X")
    return _depth_scale(P) * (to_homogeneous(X) @ P[2]) > 0


def rays(K: ArrayLike, R: ArrayLike, x: ArrayLike) -> Array:
    """Find the world directions that are seen at pixels, Eq. (11.10): the points are c + s d, s > 0.

    Parameters
    ----------
    K, R : arrays of shape (3, 3)
    x : array of shape (N, 2)
        Pixels (x, y) of a camera without distortion.

    Returns
    -------
    directions : ndarray of shape (N, 3)
        Unit vectors, pointing out of the camera.

    Examples
    --------
    >>> rays(intrinsic_matrix(500, cx=320, cy=240), np.eye(3), [[320, 240], [820, 240]]).round(4)
    array([[0.    , 0.    , 1.    ],
           [0.7071, 0.    , 0.7071]])
    """
    K, R = require_intrinsics(K), require_rotation(R)
    directions = to_homogeneous(normalize_pixels(K, x)) @ R  # each row is (R^T d)^T
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


def field_of_view(K: ArrayLike, shape: tuple[int, ...]) -> FieldOfView:
    """Measure the angles that an image covers, along the row and the column of its principal point, Eq. (11.16).

    Parameters
    ----------
    K : array of shape (3, 3)
    shape : (H, W) or (H, W, 3)
        Of the image; it reaches from -0.5 to W - 0.5 and from -0.5 to H - 0.5.

    Returns
    -------
    FieldOfView
        ``horizontal`` and ``vertical``, in radians.

    Examples
    --------
    >>> view = field_of_view(intrinsic_matrix(320, cx=319.5, cy=239.5), (480, 640))
    >>> np.rad2deg(view).round(2)
    array([90.  , 73.74])
    """
    K = require_intrinsics(K)
    if len(shape) not in (2, 3) or min(shape[:2]) < 1:
        raise ValueError(f"an image has shape (H, W) or (H, W, 3), got {shape}")
    height, width = shape[:2]
    angles = [
        np.arctan((n - 0.5 - center) / focal) + np.arctan((center + 0.5) / focal)
        for n, center, focal in ((width, K[0, 2], K[0, 0]), (height, K[1, 2], K[1, 1]))
    ]
    return FieldOfView(float(angles[0]), float(angles[1]))


# ---------------------------------------------------------------------------------------------
# The lens


def normalize_pixels(K: ArrayLike, x: ArrayLike) -> Array:
    """Take pixels to normalised coordinates, the plane at depth 1: K^-1 (x, y, 1).

    Parameters
    ----------
    K : array of shape (3, 3)
    x : array of shape (N, 2)

    Returns
    -------
    ndarray of shape (N, 2)

    Examples
    --------
    >>> normalize_pixels(intrinsic_matrix(500, cx=320, cy=240), [[820, 240]])
    array([[1., 0.]])
    """
    K, x = require_intrinsics(K), as_points(x, name="x")
    v = (x[:, 1] - K[1, 2]) / K[1, 1]
    return np.column_stack([(x[:, 0] - K[0, 2] - K[0, 1] * v) / K[0, 0], v])


def distort(x: ArrayLike, k: ArrayLike) -> Array:
    """Move ideal points to where a lens with radial and tangential distortion puts them, Eq. (11.19).

    Parameters
    ----------
    x : array of shape (N, 2)
        Normalised coordinates, (X / Z, Y / Z), not pixels.
    k : (k1, k2, p1, p2)
        Two radial and two tangential coefficients.

    Returns
    -------
    ndarray of shape (N, 2)
        Normalised coordinates.  Beyond `fold_radius` the formula still gives a point, no lens does.

    References
    ----------
    .. [1] Brown, Decentering distortion of lenses, Photogrammetric Engineering 32, 1966.

    Examples
    --------
    >>> distort([[1, 0]], (-0.1, 0, 0, 0))
    array([[0.9, 0. ]])
    """
    x, (k1, k2, p1, p2) = as_points(x, name="x"), require_distortion(k)
    u, v = x.T
    r2 = u * u + v * v
    radial = 1 + r2 * (k1 + r2 * k2)
    return np.column_stack(
        [
            radial * u + 2 * p1 * u * v + p2 * (r2 + 2 * u * u),
            radial * v + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v,
        ]
    )


def fold_radius(k: ArrayLike) -> float:
    """Find the radius at which radial distortion turns back, Eq. (11.20); infinity if it never does.

    Beyond it two ideal points share one image, and the model describes no lens.

    Parameters
    ----------
    k : (k1, k2, p1, p2)
        The tangential coefficients are not looked at.

    Returns
    -------
    float
        In normalised coordinates.

    Examples
    --------
    >>> round(fold_radius((-0.25, 0, 0, 0)), 4)
    1.1547
    """
    k1, k2, _, _ = map(float, require_distortion(k))
    discriminant = 9 * k1 * k1 - 20 * k2
    if discriminant < 0 or min(k1, k2) >= 0:
        return math.inf
    largest = math.sqrt(discriminant) - 3 * k1  # 2 / r^2 at the smaller root of Eq. (11.20)
    return math.sqrt(2 / largest) if largest > 0 else math.inf


def undistort(x: ArrayLike, k: ArrayLike) -> Array:
    """Undo `distort`: find the ideal points that a lens puts at x, by Newton's method, Eq. (11.21).

    Parameters
    ----------
    x : array of shape (N, 2)
        Distorted points in normalised coordinates.
    k : (k1, k2, p1, p2)

    Returns
    -------
    ndarray of shape (N, 2)
        ``distort`` of it is x to about 1e-12; of several such points the one inside the fold.

    Raises
    ------
    ValueError
        For points that the lens puts nowhere: beyond the image of the fold.

    Notes
    -----
    Four to six steps for each point as a rule; all points in parallel.

    Examples
    --------
    >>> undistort([[0.9, 0]], (-0.1, 0, 0, 0)).round(9)
    array([[1., 0.]])
    """
    x, k = np.ascontiguousarray(as_points(x, name="x")), require_distortion(k)
    ideal, found = _undistort(x, k, min(fold_radius(k), 1e150))
    if not found.all():
        n = int(np.argmin(found))
        raise ValueError(
            f"point {n}, {x[n]}, is no image under the distortion {tuple(k.tolist())}: it lies beyond the fold"
        )
    return ideal


@njit(**SERIAL)
def _bend(u, v, k):
    """Eq. (11.19) and its derivatives: the distorted point and the symmetric matrix [[a, b], [b, d]]."""
    k1, k2, p1, p2 = k[0], k[1], k[2], k[3]
    r2 = u * u + v * v
    radial, slope = 1 + r2 * (k1 + r2 * k2), 2 * (k1 + 2 * r2 * k2)
    x = radial * u + 2 * p1 * u * v + p2 * (r2 + 2 * u * u)
    y = radial * v + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v
    a = radial + slope * u * u + 2 * p1 * v + 6 * p2 * u
    b = slope * u * v + 2 * p1 * u + 2 * p2 * v
    d = radial + slope * v * v + 6 * p1 * v + 2 * p2 * u
    return x, y, a, b, d


@njit(**SERIAL)
def _unbend(x, y, k, fold):
    """Newton's method from (x, y) or, if that is beyond the fold, from half-way to it; never leaves the fold."""
    u, v, limit = x, y, fold * fold * 1.0001  # a little slack: tangential terms shift the fold
    if u * u + v * v >= limit:
        shrink = 0.5 * fold / np.sqrt(u * u + v * v)
        u, v = shrink * u, shrink * v
    px, py, a, b, d = _bend(u, v, k)
    while a * d - b * b <= 0 or a + d <= 0:  # start nearer to the middle, where nothing is folded
        u, v = u / 2, v / 2
        px, py, a, b, d = _bend(u, v, k)
    tolerance = 1e-13 * (1 + abs(x) + abs(y))
    for _ in range(60):
        ex, ey, det = x - px, y - py, a * d - b * b
        if abs(ex) + abs(ey) <= tolerance:
            return u, v, True
        du, dv = (d * ex - b * ey) / det, (a * ey - b * ex) / det
        step = 1.0
        for _ in range(40):
            nu, nv = u + step * du, v + step * dv
            px, py, a, b, d = _bend(nu, nv, k)
            if nu * nu + nv * nv < limit and a * d - b * b > 0 and a + d > 0:
                break
            step /= 2
        else:
            return u, v, False
        u, v = nu, nv
    return u, v, abs(x - px) + abs(y - py) <= 10 * tolerance


@njit(**FAST)
def _undistort(x, k, fold):
    """`undistort` without its checks; tells for each point whether it was found."""
    ideal, found = np.empty_like(x), np.empty(len(x), np.bool_)
    for n in prange(len(x)):
        ideal[n, 0], ideal[n, 1], found[n] = _unbend(x[n, 0], x[n, 1], k, fold)
    return ideal, found


def project_distorted(K: ArrayLike, R: ArrayLike, c: ArrayLike, k: ArrayLike, X: ArrayLike) -> Projected:
    """Project world points through a lens: pose, division by depth, distortion, pixels.

    Parameters
    ----------
    K, R : arrays of shape (3, 3)
    c : array of shape (3,)
    k : (k1, k2, p1, p2)
    X : array of shape (N, 3)

    Returns
    -------
    Projected
        Pixels ``x`` of shape (N, 2) and ``depth`` of shape (N,), all positive.

    Raises
    ------
    ValueError
        For points behind the camera or at depth 0, and for points so far to the side that the
        distortion folds them back into the picture.

    Examples
    --------
    >>> K = intrinsic_matrix(500, cx=320, cy=240)
    >>> project_distorted(K, np.eye(3), (0, 0, 0), (-0.1, 0, 0, 0), [[1, 0, 1]]).x
    array([[770., 240.]])
    """
    K = require_intrinsics(K)
    ideal, depth = project(projection_matrix(np.eye(3), R, c), X, behind="raise")
    if np.any(folded := np.hypot(*ideal.T) > fold_radius(k)):
        raise ValueError(
            f"point {int(np.argmax(folded))} is seen at radius {np.hypot(*ideal[np.argmax(folded)]):.3g}, beyond the fold"
            f" of the distortion at {fold_radius(k):.3g}: the model would put it back into the picture"
        )
    return Projected(distort(ideal, k) @ K[:2, :2].T + K[:2, 2], depth)


# ---------------------------------------------------------------------------------------------
# Checks at the door


def require_intrinsics(K: ArrayLike) -> Array:
    """Check K at the door: float64, upper triangular, positive diagonal, K[2, 2] = 1.

    Raises
    ------
    ValueError
        That says which of it does not hold.
    """
    K = _require_matrix(K, (3, 3), "K")
    if K[1, 0] or K[2, 0] or K[2, 1]:
        raise ValueError(f"K must be upper triangular, got\n{K}")
    if abs(K[2, 2] - 1) > 1e-12:
        raise ValueError(f"K[2, 2] must be 1, got {K[2, 2]:g}: divide K by it")
    if K[0, 0] <= 0 or K[1, 1] <= 0:
        raise ValueError(f"focal lengths are positive, got fx = {K[0, 0]:g}, fy = {K[1, 1]:g}")
    return K


def require_rotation(R: ArrayLike) -> Array:
    """Check R at the door: float64 of shape (3, 3), R R^T = I and det R = +1.

    Raises
    ------
    ValueError
        That says which of it does not hold, and by how much.
    """
    R = _require_matrix(R, (3, 3), "R")
    off = float(np.abs(R @ R.T - np.eye(3)).max())
    if off > ORTHOGONAL:
        raise ValueError(f"R is no rotation: R R^T differs from the identity by {off:.2g}")
    if np.linalg.det(R) < 0:
        raise ValueError("R is no rotation: it mirrors, det R = -1; one axis points the wrong way")
    return R


def require_projection(P: ArrayLike) -> Array:
    """Check P at the door: float64 of shape (3, 4), a camera with a finite centre.

    Raises
    ------
    ValueError
        For another shape, NaN or infinity, or a singular left 3 x 3 block.
    """
    P = _require_matrix(P, (3, 4), "P")
    _require_regular(P[:, :3], "the left 3 x 3 block of P")
    return P


def require_distortion(k: ArrayLike) -> Array:
    """Check (k1, k2, p1, p2) at the door: float64 of shape (4,), finite."""
    k = np.array(k, dtype=np.float64)
    if k.shape != (4,):
        raise ValueError(f"the distortion is (k1, k2, p1, p2), got shape {k.shape}")
    if not np.isfinite(k).all():
        raise ValueError(f"the distortion holds NaN or infinity: {k}")
    return k


def _depth_scale(P: Array) -> float:
    """What makes the third homogeneous coordinate a depth, Eq. (11.9)."""
    return float(np.sign(np.linalg.det(P[:, :3])) / np.linalg.norm(P[2, :3]))


def _refuse_behind(depth: Array) -> None:
    if np.any(behind := depth < 0):
        n = int(np.argmax(behind))
        raise ValueError(
            f"{int(behind.sum())} of {len(depth)} points lie behind the camera, the first is point {n} at depth "
            f"{depth[n]:.4g}: a camera does not see them"
        )


def _require_regular(M: Array, name: str) -> Array:
    """Check that M can be inverted, whatever the units of its rows."""
    M = _require_matrix(M, (3, 3), name)
    rows = np.linalg.norm(M, axis=1, keepdims=True)
    if np.all(rows > 0):
        s = np.linalg.svd(M / rows, compute_uv=False)
        if s[2] > SINGULAR * s[0]:
            return M
    raise ValueError(f"{name} is singular: no camera with a centre and a depth has it")


def _require_matrix(matrix: ArrayLike, shape: tuple[int, int], name: str) -> Array:
    result = np.array(matrix, dtype=np.float64)
    if result.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, got {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} holds NaN or infinity")
    return result


def _require_vector(vector: Any, name: str) -> Array:
    result = np.array(vector, dtype=np.float64)
    if result.shape != (3,):
        raise ValueError(f"{name} must hold 3 numbers, got shape {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} must be finite, got {result}")
    return result

"""Structure from motion: cameras and points from photographs alone.

`link_tracks` joins the matches of pairs into tracks, `triangulate_tracks` finds points seen by known
cameras, `fit_pose` and `ransac_pose` find a camera from known points, `bundle_adjust` moves everything
until the picture errors are least.  `reconstruct` is all of it, from a list of photographs.
`fit_similarity_3d` and `align_cameras` compare a result with the truth up to what photographs cannot
tell, `factorize` is the affine shortcut, `write_colmap` and `read_colmap` are the door to COLMAP.

Pixels (x, y) are those of the photograph, pixel centres at integers; ``X_cam = R @ X + t``; a camera's
distortion is (k1, k2), ``x = K (n (1 + k1 r^2 + k2 r^4))`` with n = (X/Z, Y/Z) and r = ``|n|``.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from cvcourse import cameras as pinhole
from cvcourse import descriptors, two_view
from cvcourse.alignment import fit_homography
from cvcourse.calibration import FLAT, fit_projection, pose_from_homography
from cvcourse.compiled import SERIAL
from cvcourse.homogeneous import as_points, random_generator
from cvcourse.images import Array, as_gray, require_image
from cvcourse.ransac import Consensus, Estimator, ransac, ransac_homography
from cvcourse.sampling import resize

TERMS = ("f", "k1", "k2")  # what `bundle_adjust` can estimate of a lens, in this order
ITERATIONS = 60  # of Levenberg-Marquardt; a good start needs five to fifteen
TOLERANCE = 1e-6  # share of the cost below which a step counts as none
STRAIGHT = 1e-3  # second singular value of a point set against the first: below it the points lie on a line

MATCHES = 20  # pairs of photographs with fewer verified matches tell nothing reliable
INLIER = 1.5  # pixels: distance of a match from its epipolar line, of a homography's image from its point
FAR_OFF = 3.0  # pixels: reprojection errors above it are mistakes
PARALLAX = np.deg2rad(2.0)  # smallest angle between the rays of a point that is kept
TURNED = np.deg2rad(1.0)  # median parallax below which a pair has not moved, only turned
RESECT = 4.0  # pixels: threshold of `ransac_pose` inside `reconstruct`


class Cameras(NamedTuple):
    """n cameras: ``K`` (n, 3, 3), ``distortion`` (n, 2) = k1, k2, ``R`` (n, 3, 3) and ``t`` (n, 3), world to camera."""

    K: Array
    distortion: Array
    R: Array
    t: Array

    @property
    def centers(self) -> Array:
        """Where the cameras stand, (n, 3): ``-R^T t``."""
        return -np.einsum("nji,nj->ni", self.R, self.t)


class Seen(NamedTuple):
    """M observations: camera ``view[k]`` sees point ``point[k]`` at the pixel ``x[k]``, (M, 2)."""

    view: NDArray[np.int64]
    point: NDArray[np.int64]
    x: Array


class Adjusted(NamedTuple):
    """What bundle adjustment found: ``residuals`` (M, 2) are seen minus predicted; ``costs`` after each step."""

    cameras: Cameras
    X: Array
    residuals: Array
    costs: Array

    @property
    def rms(self) -> float:
        """Root of the mean squared distance between seen and predicted pixels."""
        return float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=1))))


class Pose(NamedTuple):
    """A camera's place: ``X_cam = R @ X + t``."""

    R: Array
    t: Array


class Similarity(NamedTuple):
    """``X -> scale * R @ X + t``: what photographs alone leave open."""

    scale: float
    R: Array
    t: Array

    def apply(self, X: ArrayLike) -> Array:
        """Move points (N, 3)."""
        moved: Array = self.scale * as_points(X, 3) @ self.R.T + self.t
        return moved

    def apply_to_cameras(self, cameras: Cameras) -> Cameras:
        """Move cameras along, so that they see the moved points where they saw the points, Eq. (17.15)."""
        R = cameras.R @ self.R.T
        return cameras._replace(R=R, t=self.scale * cameras.t - R @ self.t)


class Factorization(NamedTuple):
    """``x[f] = M[f] @ X + t[f]``: ``M`` (F, 2, 3), ``X`` (N, 3), ``t`` (F, 2); the singular values of the centred tracks."""

    M: Array
    X: Array
    t: Array
    singular_values: Array


class Reconstruction(NamedTuple):
    """Cameras, points (N, 3), their colours (N, 3) in [0, 1], and who sees what."""

    cameras: Cameras
    X: Array
    colors: Array
    seen: Seen

    @property
    def residuals(self) -> Array:
        """Seen minus predicted, (M, 2), pixels."""
        return self.seen.x - reproject(self.cameras, self.X, self.seen)

    @property
    def rms(self) -> float:
        """Root of the mean squared distance between seen and predicted pixels."""
        return float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=1))))


# --- tracks ----------------------------------------------------------------------------------


def link_tracks(matches: Mapping[tuple[int, int], ArrayLike], counts: Sequence[int]) -> Array:
    """Join the matches of pairs of pictures into tracks: sets of keypoints that show one point.

    Two keypoints belong together if a chain of matches links them (union-find).  A track with two
    keypoints in one picture contradicts itself and is dropped whole.

    Parameters
    ----------
    matches : dict of (i, j) -> array of shape (M, 2)
        Rows (keypoint of picture i, keypoint of picture j).
    counts : sequence of n ints
        Keypoints of each picture.

    Returns
    -------
    ndarray of shape (L, 3), int
        Rows (track, picture, keypoint), in order of the track and, within it, of the picture.  Tracks
        count from 0 and are at least 2 long.

    Raises
    ------
    ValueError
        For a picture or a keypoint that does not exist, or a picture matched with itself.

    Notes
    -----
    Nearly linear in the number of matches.

    References
    ----------
    .. [1] Moulon & Monasse, Unordered feature tracking made fast and easy, 2012.

    Examples
    --------
    >>> link_tracks({(0, 1): [[0, 2]], (1, 2): [[2, 5]]}, [3, 3, 6])
    array([[0, 0, 0],
           [0, 1, 2],
           [0, 2, 5]])
    """
    start = np.concatenate([[0], np.cumsum(np.asarray(counts, dtype=np.int64))])
    picture = np.repeat(np.arange(len(counts)), np.diff(start))
    pairs = [_nodes(i, j, rows, start) for (i, j), rows in matches.items()]
    root = _roots(np.concatenate([*pairs, np.empty((0, 2), np.int64)]), int(start[-1]))
    order = np.argsort(root, kind="stable")  # within a set the nodes stay in order of the picture
    first = np.flatnonzero(np.diff(root[order], prepend=-1))
    sets = [own for own in np.split(order, first[1:]) if len(own) > 1 and np.diff(picture[own]).all()]
    if not sets:
        return np.empty((0, 3), np.int64)
    track, nodes = np.repeat(np.arange(len(sets)), [len(own) for own in sets]), np.concatenate(sets)
    return np.column_stack([track, picture[nodes], nodes - start[picture[nodes]]])


def _nodes(i: int, j: int, rows: ArrayLike, start: Array) -> Array:
    """The matches of one pair as numbers of nodes, (M, 2)."""
    if not (0 <= i < len(start) - 1 and 0 <= j < len(start) - 1) or i == j:
        raise ValueError(f"matches of pictures ({i}, {j}), but there are pictures 0 … {len(start) - 2}")
    rows = np.asarray(rows, dtype=np.int64).reshape(-1, 2)
    count = np.array([start[i + 1] - start[i], start[j + 1] - start[j]])
    if np.any(rows < 0) or np.any(rows >= count):
        raise ValueError(f"matches of pictures ({i}, {j}) name a keypoint beyond their {count[0]} and {count[1]}")
    return rows + np.array([start[i], start[j]])


@njit(**SERIAL)
def _roots(pairs, n):
    """Union-find with path halving: the root of each node's set is its smallest node."""
    parent = np.arange(n)
    for k in range(len(pairs)):
        a, b = pairs[k, 0], pairs[k, 1]
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        parent[max(a, b)] = min(a, b)
    for k in range(n):  # parents are smaller than their children, so one sweep is enough
        parent[k] = parent[parent[k]]
    return parent


# --- points from cameras ---------------------------------------------------------------------


def triangulate_tracks(cameras: Cameras, seen: Seen) -> Array:
    """Find points in space from any number of views each (DLT), Eq. (17.4).

    Each view gives two rows; the point is the unit vector with the least ``|A X|``.  The rows are in
    coordinates of the camera (pixels divided by K), distortion taken out.

    Parameters
    ----------
    cameras : Cameras
    seen : Seen
        Each point 0 … N - 1 at least twice.

    Returns
    -------
    X : ndarray of shape (N, 4)
        Homogeneous, norm 1, the last entry w >= 0.  For w = 0 the rays are parallel: the point is a
        direction.  So divide by w only where it is not near 0.

    Raises
    ------
    ValueError
        If a point is seen fewer than two times, or indices and shapes disagree.

    Notes
    -----
    Minimises an algebraic error, and does not ask on which side of the cameras the point lies.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 12.2.

    Examples
    --------
    >>> two = Cameras(np.stack([np.eye(3)] * 2), np.zeros((2, 2)), np.stack([np.eye(3)] * 2), [[0, 0, 0], [-1, 0, 0]])
    >>> X = triangulate_tracks(two, Seen([0, 1], [0, 0], [[0.5, 0], [0.25, 0]]))
    >>> (X[:, :3] / X[:, 3:]).round(6) + 0.0
    array([[2., 0., 4.]])
    """
    cameras, seen = _require_cameras(cameras), _require_seen(seen, len(cameras.R))
    times = np.bincount(seen.point)
    if times.min() < 2:
        raise ValueError(f"point {int(np.argmin(times))} is seen {times.min()} times: triangulation needs two views")
    n = _ideal(cameras, seen)
    pose = np.concatenate([cameras.R, cameras.t[:, :, None]], axis=2)[seen.view]
    A = n[:, :, None] * pose[:, 2:] - pose[:, :2]  # (M, 2, 4): the two rows of Eq. (17.4)
    normal = np.zeros((len(times), 4, 4))
    np.add.at(normal, seen.point, A.transpose(0, 2, 1) @ A)
    X: Array = np.linalg.eigh(normal)[1][:, :, 0]
    return X * np.where(X[:, 3:] < 0, -1.0, 1.0)


def parallax(cameras: Cameras, X: ArrayLike, seen: Seen) -> Array:
    """Compute the largest angle between two rays to each point, (N,), radians.

    Parameters
    ----------
    cameras : Cameras
    X : array of shape (N, 3)
    seen : Seen

    Returns
    -------
    ndarray of shape (N,)
        0 for points seen less than twice.
    """
    cameras, X = _require_cameras(cameras), np.ascontiguousarray(as_points(X, 3, "points"))
    seen = _require_seen(seen, len(cameras.R), len(X))
    order = np.argsort(seen.point, kind="stable")
    rays = (X[seen.point] - cameras.centers[seen.view])[order]
    length = np.linalg.norm(rays, axis=1, keepdims=True)
    start = np.searchsorted(seen.point[order], np.arange(len(X) + 1))
    return np.asarray(_widest(rays / np.where(length > 0, length, 1), start))


@njit(**SERIAL)
def _widest(rays, start):
    """The largest angle among the rays start[p] … start[p + 1] of each point."""
    widest = np.zeros(len(start) - 1)
    for p in range(len(widest)):
        least = 1.0
        for i in range(start[p], start[p + 1]):
            for j in range(start[p], i):
                cosine = rays[i, 0] * rays[j, 0] + rays[i, 1] * rays[j, 1] + rays[i, 2] * rays[j, 2]
                least = min(least, cosine)
        widest[p] = np.arccos(max(-1.0, least))
    return widest


# --- a camera from points --------------------------------------------------------------------


def fit_pose(K: ArrayLike, X: ArrayLike, x: ArrayLike, refine: bool = True) -> Pose:
    """Find where a camera with known K stands, from points in space and their pixels (PnP).

    The DLT of lecture 14 on ``K^-1 x`` gives a matrix near ``[R | t]``; the nearest rotation is taken,
    Eq. (17.7), and the pose then moved until the errors in pixels are least.  Points of one plane have
    a homography instead, and start from that.

    Parameters
    ----------
    K : array of shape (3, 3)
    X : array of shape (N, 3)
        N >= 6, or 4 in one plane.
    x : array of shape (N, 2)
        Ideal pixels (no distortion).
    refine : bool
        False stops at the DLT.

    Returns
    -------
    Pose

    Raises
    ------
    ValueError
        For shapes that disagree, too few points, or points that do not determine the pose.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 7.3.

    Examples
    --------
    >>> X = np.array([[0, 0, 4], [1, 0, 5], [0, 1, 5], [1, 1, 4], [2, 1, 6], [1, 2, 7.0]])
    >>> fit_pose(np.eye(3), X - [0, 0, 2], X[:, :2] / X[:, 2:]).t.round(6) + 0.0
    array([0., 0., 2.])
    """
    X, x = as_points(X, 3, "world points"), as_points(x, 2, "image points")
    if len(X) != len(x):
        raise ValueError(f"{len(X)} world points but {len(x)} image points")
    n = pinhole.normalize_pixels(K, x)
    _, spread, axes = np.linalg.svd(X - X.mean(axis=0), full_matrices=False)
    if len(X) > 3 and spread[2] <= FLAT * spread[0]:
        frame = axes * np.sign(np.linalg.det(axes))
        H = fit_homography((X - X.mean(axis=0)) @ frame[:2].T, n)
        R, t = pose_from_homography(np.eye(3), H)
        R, t = R @ frame, t - R @ frame @ X.mean(axis=0)
    else:
        if len(X) < 6:
            raise ValueError(f"a pose by DLT needs 6 points (4 in one plane), got {len(X)}")
        P = fit_projection(X, n)
        U, s, Vt = np.linalg.svd(P[:, :3])  # det > 0, so U Vt is a rotation
        R, t = U @ Vt, P[:, 3] / s.mean()
    return refine_pose(K, Pose(R, t), X, x) if refine else Pose(R, t)


def refine_pose(K: ArrayLike, pose: Pose, X: ArrayLike, x: ArrayLike) -> Pose:
    """Move a pose until the sum of squared errors in pixels is least (Levenberg-Marquardt in six unknowns).

    Parameters
    ----------
    K : array of shape (3, 3)
    pose : Pose
        With the points in front of it.
    X, x : array of shape (N, 3) and (N, 2)
        N >= 3.

    Returns
    -------
    Pose

    Raises
    ------
    ValueError
        For wrong shapes, or a point that does not lie in front of the camera.
    """
    X, x = as_points(X, 3, "world points"), as_points(x, 2, "image points")
    one = Cameras(*(np.asarray(v, dtype=np.float64)[None] for v in (K, (0, 0), pose.R, pose.t)))
    seen = Seen(np.zeros(len(X), np.int64), np.arange(len(X)), x)
    cost, damping = np.sum((x - reproject(one, X, seen)) ** 2), 1e-3
    for _ in range(30):
        residuals = x - reproject(one, X, seen)
        J = jacobian_blocks(one, X, seen)[0].reshape(-1, 6)
        N, g = J.T @ J, J.T @ residuals.ravel()
        step = np.linalg.lstsq(N + damping * np.diag(np.diag(N)), g, rcond=None)[0]
        turn = pinhole.rotation_from_vector(step[:3])
        moved = one._replace(R=turn @ one.R, t=one.t + step[3:])
        error = x - _predicted(moved, X, seen)
        new = np.sum(error**2) if np.all(_depths(moved, X, seen) > 0) else np.inf
        damping = max(damping / 10, 1e-12) if new <= cost else 10 * damping
        if new <= cost:
            one, before, cost = moved, cost, new
            if before - cost <= 1e-9 * before:
                break
        elif damping > 1e6:
            break
    return Pose(one.R[0], one.t[0])


def ransac_pose(
    K: ArrayLike,
    X: ArrayLike,
    x: ArrayLike,
    threshold: float,
    *,
    rng: np.random.Generator | int,
    confidence: float = 0.99,
) -> Consensus:
    """Find the pose that most pairs of points and pixels agree with: `fit_pose` on samples of six.

    Parameters
    ----------
    K : array of shape (3, 3)
    X, x : array of shape (N, 3) and (N, 2)
        N >= 6, some of the pairs wrong.
    threshold : float
        Largest reprojection error of an inlier, pixels.
    rng : Generator or int
    confidence : float

    Returns
    -------
    Consensus
        ``model`` is a Pose.

    Raises
    ------
    ValueError, TypeError
        As for `ransac`.

    Notes
    -----
    Six points are more than are needed (three and a fourth to choose), so many outliers cost many
    rounds: with 50 % of them 292, about half a second.

    Examples
    --------
    >>> X = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    >>> found = ransac_pose(np.eye(3), X, X[:, :2] / (X[:, 2:] + 5), 1e-3, rng=0)
    >>> found.model.t.round(6) + 0.0, int(found.inliers.sum())
    (array([0., 0., 5.]), 20)
    """
    K = pinhole.require_intrinsics(K)

    def errors(pose: Pose, X: Array, x: Array) -> Array:
        q = X @ pose.R.T + pose.t
        ahead = q[:, 2] > 0
        p = q[:, :2] / np.where(ahead, q[:, 2], 1.0)[:, None] @ K[:2, :2].T + K[:2, 2]
        return np.where(ahead, np.hypot(*(x - p).T), np.inf)

    X, x = as_points(X, 3, "world points"), as_points(x, 2, "image points")
    return ransac(X, x, Estimator(lambda X, x: fit_pose(K, X, x), errors, 6), threshold, rng=rng, confidence=confidence)


# --- bundle adjustment -----------------------------------------------------------------------


def reproject(cameras: Cameras, X: ArrayLike, seen: Seen) -> Array:
    """Compute where the cameras see the points, Eq. (17.8).

    Parameters
    ----------
    cameras : Cameras
    X : array of shape (N, 3)
    seen : Seen
        Its pixels are not used.

    Returns
    -------
    ndarray of shape (M, 2)

    Raises
    ------
    ValueError
        If a point does not lie in front of a camera that sees it.
    """
    cameras, X = _require_cameras(cameras), np.ascontiguousarray(as_points(X, 3, "points"))
    seen = _require_seen(seen, len(cameras.R), len(X))
    _require_ahead(cameras, X, seen)
    return _predicted(cameras, X, seen)


def jacobian_blocks(cameras: Cameras, X: ArrayLike, seen: Seen, terms: Sequence[str] = ()) -> tuple[Array, Array]:
    """Differentiate `reproject`: each observation by its own camera and by its own point, Eqs. (17.9) to (17.11).

    Parameters
    ----------
    cameras, X, seen
        As for `reproject`.
    terms : sequence of str
        The first 0 to 3 of `TERMS`.

    Returns
    -------
    A : ndarray of shape (M, 2, 6 + len(terms))
        By a small turn w before R (``exp([w]x) R``), by t, and by the terms.
    B : ndarray of shape (M, 2, 3)
        By the point.
    """
    cameras, X = _require_cameras(cameras), np.ascontiguousarray(as_points(X, 3, "points"))
    seen = _require_seen(seen, len(cameras.R), len(X))
    _require_ahead(cameras, X, seen)
    size = 6 + _count_terms(terms)
    A, B = np.empty((len(seen.x), 2, size)), np.empty((len(seen.x), 2, 3))
    _all_blocks(cameras.R, cameras.t, _lenses(cameras), X, seen.view, seen.point, (0,) * size, A, B)
    upright = np.linalg.inv(_square(cameras.K))[seen.view]  # back from square pixels
    return upright @ A, upright @ B


def bundle_adjust(
    cameras: Cameras,
    X: ArrayLike,
    seen: Seen,
    *,
    terms: Sequence[str] = (),
    shared: bool = False,
    robust: float | None = None,
) -> Adjusted:
    """Move cameras and points together until the sum of squared reprojection errors is least, Eq. (17.1).

    Levenberg-Marquardt with exact derivatives.  A point meets only its own views, so all points are
    eliminated from the normal equations; what remains, the Schur complement of Eq. (17.13), is a
    system in the cameras alone.

    Parameters
    ----------
    cameras, X, seen
        The start, as for `reproject`.  Each point is seen twice at least, each camera sees three.
    terms : sequence of str
        Estimate the first 0 to 3 of `TERMS` as well; else lenses stay as they are.
    shared : bool
        All cameras have one lens: its terms are estimated once.
    robust : float, optional
        Width c, in pixels, of Cauchy's loss ``c^2 log(1 + r^2 / c^2)``, which grows so slowly that
        wrong matches lose their pull; without it, squares.

    Returns
    -------
    Adjusted

    Raises
    ------
    ValueError
        For a start in which a point lies behind a camera, a point seen once, a camera with fewer than
        three points, or terms other than these.

    Notes
    -----
    The seven numbers of a similarity are not determined: damping keeps the step short along them, so
    the result stays near its start, but where it lies means nothing.  With ``fx != fy`` errors along y
    count in pixels of the width fx.  Time grows with the observations and, per point, with the square
    of its views.

    References
    ----------
    .. [1] Triggs et al., Bundle adjustment: a modern synthesis, 2000, doi:10.1007/3-540-44480-7_21.
    .. [2] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Algorithm A6.4.

    Examples
    --------
    >>> R, t = np.stack([np.eye(3)] * 3), np.array([[0, 0, 5], [-1, 0, 5], [0, -1, 5.0]])
    >>> true = Cameras(np.stack([np.diag([500, 500, 1.0])] * 3), np.zeros((3, 2)), R, t)
    >>> X = np.random.default_rng(0).uniform(-1, 1, (20, 3))
    >>> seen = Seen(np.tile(np.arange(3), 20), np.repeat(np.arange(20), 3), np.zeros((60, 2)))
    >>> bundle_adjust(true, X + 0.05 * X**2, seen._replace(x=reproject(true, X, seen))).rms < 1e-3
    True
    """
    cameras, X = _require_cameras(cameras), np.ascontiguousarray(as_points(X, 3, "points"))
    seen = _require_seen(seen, len(cameras.R), len(X))
    _require_enough(cameras, X, seen)
    _require_ahead(cameras, X, seen)
    width = np.inf if robust is None else _positive("robust", robust)
    problem = _Problem(cameras, X, seen, _count_terms(terms), shared, width)
    costs = [problem.cost]
    damping = 1e-4
    for _ in range(ITERATIONS):
        damping = problem.step(damping)
        costs.append(problem.cost)
        if costs[-2] - costs[-1] <= TOLERANCE * costs[-2]:
            break
    found = problem.cameras(cameras)
    return Adjusted(found, problem.X, seen.x - _predicted(found, problem.X, seen), np.array(costs))


class _Problem:
    """The state of a bundle adjustment: unknowns, the arrays of the normal equations, and the cost."""

    def __init__(self, cameras: Cameras, X: Array, seen: Seen, lens: int, shared: bool, width: float) -> None:
        n, size = len(cameras.R), 6 + lens
        order = np.argsort(seen.point * n + seen.view)  # by point: `reduce` takes each point's views together
        self.view, self.point = seen.view[order], seen.point[order]
        self.x = _centred(cameras.K, seen)[order]
        self.start = np.searchsorted(self.point, np.arange(len(X) + 1))
        self.R, self.t, self.lens, self.X, self.width = cameras.R, cameras.t, _lenses(cameras), X, width
        if shared and lens:
            self.lens = np.repeat(self.lens.mean(axis=0)[None], n, axis=0)
        self.fold, self.unknowns = _fold(n, size, shared), (0,) * size
        self.U, self.gc, self.W = np.empty((n, size, size)), np.empty((n, size)), np.empty((len(self.x), size, 3))
        self.V, self.gp, self.inverse = np.empty((len(X), 3, 3)), np.empty((len(X), 3)), np.empty((len(X), 3, 3))
        self.S, self.g = np.empty((n * size, n * size)), np.empty(n * size)
        self.cost = self.total(self.R, self.t, self.lens, self.X)

    def total(self, R: Array, t: Array, lens: Array, X: Array) -> float:
        return float(_cost(R, t, lens, X, self.view, self.point, self.x, self.width))

    def step(self, damping: float) -> float:
        """Take one step that lowers the cost, and return the damping for the next one."""
        blocks = self.U, self.gc, self.V, self.gp, self.W
        _normal_equations(
            self.R, self.t, self.lens, self.X, self.view, self.point, self.x, self.width, self.unknowns, *blocks
        )
        while damping < 1e8:
            moved = self.solve(damping)
            if moved is not None and (cost := self.total(*moved)) < self.cost:
                (self.R, self.t, self.lens, self.X), self.cost = moved, cost
                return max(damping / 10, 1e-12)
            damping *= 10
        return damping

    def solve(self, damping: float) -> tuple[Array, Array, Array, Array] | None:
        """Solve Eq. (17.13) and put the step in; None if the matrix is not positive definite."""
        n, size = self.gc.shape
        arrays = self.unknowns, self.inverse, self.S, self.g
        _reduce(self.U, self.gc, self.V, self.gp, self.W, self.view, self.start, 1 + damping, *arrays)
        S, g = self.S, self.g
        if self.fold is not None:
            S = np.tril(S) + np.tril(S, -1).T
            S, g = self.fold.T @ S @ self.fold, self.fold.T @ g
        try:
            step = cho_solve(cho_factor(S, lower=True, check_finite=False), g, check_finite=False)
        except (LinAlgError, ValueError):
            return None
        if not np.isfinite(step).all():
            return None
        step = (step if self.fold is None else self.fold @ step).reshape(n, size)
        dX = np.empty_like(self.X)
        _back_substitute(step, self.gp, self.W, self.view, self.start, self.unknowns, self.inverse, dX)
        lens = self.lens.copy()
        lens[:, : size - 6] += step[:, 6:]
        return _rotations(step[:, :3].copy()) @ self.R, self.t + step[:, 3:6], lens, self.X + dX

    def cameras(self, start: Cameras) -> Cameras:
        """The cameras as they are now."""
        K = start.K.copy()
        K[:, :2, :2] *= (self.lens[:, 0] / K[:, 0, 0])[:, None, None]
        return Cameras(K, self.lens[:, 1:].copy(), self.R, self.t)


def _fold(n: int, size: int, shared: bool) -> Array | None:
    """The matrix that gives all cameras one lens: n size unknowns from 6 n and a few."""
    if not shared or size == 6:
        return None
    fold = np.zeros((n, size, 6 * n + size - 6))
    for i in range(n):
        fold[i, :6, 6 * i : 6 * i + 6] = np.eye(6)
        fold[i, 6:, 6 * n :] = np.eye(size - 6)
    return fold.reshape(n * size, -1)


@njit(**SERIAL)
def _rotations(vectors):
    """Rodrigues' formula, Eq. (11.13), for many vectors."""
    out = np.empty((len(vectors), 3, 3))
    for n in range(len(vectors)):
        x, y, z = vectors[n, 0], vectors[n, 1], vectors[n, 2]
        angle = np.sqrt(x * x + y * y + z * z) + 1e-300
        x, y, z, c, s = x / angle, y / angle, z / angle, np.cos(angle), np.sin(angle)
        d = 1 - c
        out[n, 0, 0], out[n, 0, 1], out[n, 0, 2] = c + d * x * x, d * x * y - s * z, d * x * z + s * y
        out[n, 1, 0], out[n, 1, 1], out[n, 1, 2] = d * x * y + s * z, c + d * y * y, d * y * z - s * x
        out[n, 2, 0], out[n, 2, 1], out[n, 2, 2] = d * x * z - s * y, d * y * z + s * x, c + d * z * z
    return out


@njit(**SERIAL)
def _cost(R, t, lens, X, view, point, x, width):
    """The sum of squared errors, or of Cauchy's loss; 1e300 if a point is not in front."""
    total = 0.0
    for k in range(len(x)):
        r, s, p = R[view[k]], t[view[k]], X[point[k]]
        qx = r[0, 0] * p[0] + r[0, 1] * p[1] + r[0, 2] * p[2] + s[0]
        qy = r[1, 0] * p[0] + r[1, 1] * p[1] + r[1, 2] * p[2] + s[1]
        qz = r[2, 0] * p[0] + r[2, 1] * p[1] + r[2, 2] * p[2] + s[2]
        if not qz > 0:
            return 1e300
        nx, ny = qx / qz, qy / qz
        rr = nx * nx + ny * ny
        f = lens[view[k], 0] * (1 + rr * (lens[view[k], 1] + rr * lens[view[k], 2]))
        ex, ey = x[k, 0] - f * nx, x[k, 1] - f * ny
        error = ex * ex + ey * ey
        total += error if width > 1e100 else width * width * np.log(1 + error / (width * width))
    return total


@njit(**SERIAL)
def _blocks(r, t, lens, p, unknowns, a, b):
    """The derivatives of one observation by its camera, a, and its point, b; returns the prediction."""
    qx = r[0, 0] * p[0] + r[0, 1] * p[1] + r[0, 2] * p[2]
    qy = r[1, 0] * p[0] + r[1, 1] * p[1] + r[1, 2] * p[2]
    qz = r[2, 0] * p[0] + r[2, 1] * p[1] + r[2, 2] * p[2]
    inverse = 1 / (qz + t[2])
    x, y = (qx + t[0]) * inverse, (qy + t[1]) * inverse
    rr = x * x + y * y
    scale = 1 + rr * (lens[1] + rr * lens[2])
    bend = 2 * lens[0] * (lens[1] + 2 * rr * lens[2])
    f = lens[0] * scale
    dx, dxy, dy = (f + bend * x * x) * inverse, bend * x * y * inverse, (f + bend * y * y) * inverse
    d02, d12 = -dx * x - dxy * y, -dxy * x - dy * y  # D = d(prediction) / d(X_cam), Eq. (17.9)
    a[0, 0], a[0, 1], a[0, 2] = qy * d02 - qz * dxy, qz * dx - qx * d02, qx * dxy - qy * dx  # q x d, Eq. (17.10)
    a[1, 0], a[1, 1], a[1, 2] = qy * d12 - qz * dy, qz * dxy - qx * d12, qx * dy - qy * dxy
    a[0, 3], a[0, 4], a[0, 5] = dx, dxy, d02
    a[1, 3], a[1, 4], a[1, 5] = dxy, dy, d12
    for j in range(3):
        b[0, j] = dx * r[0, j] + dxy * r[1, j] + d02 * r[2, j]  # D R, Eq. (17.11)
        b[1, j] = dxy * r[0, j] + dy * r[1, j] + d12 * r[2, j]
    power = scale
    for j in range(6, len(unknowns)):
        a[0, j], a[1, j] = power * x, power * y
        power = lens[0] * rr if j == 6 else power * rr
    return f * x, f * y


@njit(**SERIAL)
def _all_blocks(R, t, lens, X, view, point, unknowns, A, B):
    """`_blocks` of every observation."""
    for k in range(len(view)):
        _blocks(R[view[k]], t[view[k]], lens[view[k]], X[point[k]], unknowns, A[k], B[k])


@njit(**SERIAL)
def _normal_equations(R, t, lens, X, view, point, x, width, unknowns, U, gc, V, gp, W):
    """The blocks of J^T J and J^T e, Eq. (17.12): U of cameras, V of points, W of observations.

    `unknowns` is any tuple with as many entries as a camera has unknowns: the compiler then knows the
    number and unrolls the small loops, which makes them twice as fast.
    """
    U[:], gc[:], V[:], gp[:] = 0, 0, 0, 0
    size = len(unknowns)
    a, b = np.zeros((2, size)), np.zeros((2, 3))
    for k in range(len(x)):
        c, p = view[k], point[k]
        fx, fy = _blocks(R[c], t[c], lens[c], X[p], unknowns, a, b)
        ex, ey = x[k, 0] - fx, x[k, 1] - fy
        weight = 1.0 if width > 1e100 else 1 / (1 + (ex * ex + ey * ey) / (width * width))
        for i in range(size):
            a0, a1 = weight * a[0, i], weight * a[1, i]
            gc[c, i] += a0 * ex + a1 * ey
            for j in range(size):
                U[c, i, j] += a0 * a[0, j] + a1 * a[1, j]
            for j in range(3):
                W[k, i, j] = a0 * b[0, j] + a1 * b[1, j]
        for i in range(3):
            b0, b1 = weight * b[0, i], weight * b[1, i]
            gp[p, i] += b0 * ex + b1 * ey
            for j in range(3):
                V[p, i, j] += b0 * b[0, j] + b1 * b[1, j]


@njit(**SERIAL)
def _invert(m, damp, out):
    """The inverse of a symmetric 3 x 3 matrix whose diagonal is multiplied by damp (Cramer's rule)."""
    a, b, c = m[0, 0] * damp, m[0, 1], m[0, 2]
    d, e, f = m[1, 1] * damp, m[1, 2], m[2, 2] * damp
    x, y, z = d * f - e * e, c * e - b * f, b * e - c * d
    s = 1 / (a * x + b * y + c * z)
    out[0, 0], out[0, 1], out[0, 2] = s * x, s * y, s * z
    out[1, 0], out[1, 1], out[1, 2] = s * y, s * (a * f - c * c), s * (b * c - a * e)
    out[2, 0], out[2, 1], out[2, 2] = s * z, s * (b * c - a * e), s * (a * d - b * b)


@njit(**SERIAL)
def _reduce(U, gc, V, gp, W, view, start, damp, unknowns, inverse, S, g):
    """S = U - W V^-1 W^T (its lower half) and its right side, Eq. (17.13): pairs of views of one point."""
    size = len(unknowns)
    S[:] = 0
    for c in range(len(gc)):
        for i in range(size):
            g[size * c + i] = gc[c, i]
            for j in range(size):
                S[size * c + i, size * c + j] = U[c, i, j]
            S[size * c + i, size * c + i] = U[c, i, i] * damp
    y = np.empty((size, 3))
    for p in range(len(V)):
        m = inverse[p]
        _invert(V[p], damp, m)
        for k in range(start[p], start[p + 1]):
            row = size * view[k]
            for i in range(size):
                w0, w1, w2 = W[k, i, 0], W[k, i, 1], W[k, i, 2]
                y[i, 0] = w0 * m[0, 0] + w1 * m[1, 0] + w2 * m[2, 0]
                y[i, 1] = w0 * m[0, 1] + w1 * m[1, 1] + w2 * m[2, 1]
                y[i, 2] = w0 * m[0, 2] + w1 * m[1, 2] + w2 * m[2, 2]
                g[row + i] -= y[i, 0] * gp[p, 0] + y[i, 1] * gp[p, 1] + y[i, 2] * gp[p, 2]
            for h in range(start[p], k + 1):  # the lower half: a point's views are in order
                column = size * view[h]
                for i in range(size):
                    for j in range(size):
                        S[row + i, column + j] -= y[i, 0] * W[h, j, 0] + y[i, 1] * W[h, j, 1] + y[i, 2] * W[h, j, 2]


@njit(**SERIAL)
def _back_substitute(step, gp, W, view, start, unknowns, inverse, dX):
    """The points' steps from the cameras': V^-1 (g - W^T step)."""
    for p in range(len(dX)):
        r0, r1, r2 = gp[p, 0], gp[p, 1], gp[p, 2]
        for k in range(start[p], start[p + 1]):
            for i in range(len(unknowns)):
                d = step[view[k], i]
                r0, r1, r2 = r0 - W[k, i, 0] * d, r1 - W[k, i, 1] * d, r2 - W[k, i, 2] * d
        for j in range(3):
            dX[p, j] = inverse[p, j, 0] * r0 + inverse[p, j, 1] * r1 + inverse[p, j, 2] * r2


# --- comparing up to a similarity ------------------------------------------------------------


def fit_similarity_3d(src: ArrayLike, dst: ArrayLike) -> Similarity:
    """Find scale, rotation and translation that bring points nearest to others (Umeyama), Eq. (17.16).

    Parameters
    ----------
    src, dst : array of shape (N, 3)
        Corresponding points, N >= 3, not all on one line.

    Returns
    -------
    Similarity
        ``dst ~ scale * R @ src + t``; never a mirror image.

    Raises
    ------
    ValueError
        If the shapes disagree, N < 3, or the points of either set lie on one line.

    References
    ----------
    .. [1] Umeyama, 1991, doi:10.1109/34.88573.

    Examples
    --------
    >>> X = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    >>> S = fit_similarity_3d(X, 2 * X[:, [1, 2, 0]] + [1, 2, 3])
    >>> round(S.scale, 6), S.t.round(6)
    (2.0, array([1., 2., 3.]))
    """
    src, dst = as_points(src, 3, "source points"), as_points(dst, 3, "destination points")
    if len(src) != len(dst):
        raise ValueError(f"{len(src)} source points but {len(dst)} destination points")
    if len(src) < 3:
        raise ValueError(f"a similarity in space needs 3 points, got {len(src)}")
    p, q = src - src.mean(axis=0), dst - dst.mean(axis=0)
    for name, points in (("source", p), ("destination", q)):
        spread = np.linalg.svd(points, compute_uv=False)
        if spread[1] <= STRAIGHT * spread[0]:
            raise ValueError(f"the {name} points lie on one line: a turn about it would change nothing")
    U, s, Vt = np.linalg.svd(q.T @ p)
    signs = np.array([1, 1, np.sign(np.linalg.det(U @ Vt))])
    R = U @ np.diag(signs) @ Vt
    scale = float(np.sum(s * signs) / np.sum(p**2))
    return Similarity(scale, R, dst.mean(axis=0) - scale * R @ src.mean(axis=0))


def align_cameras(cameras: Cameras, reference: Cameras) -> Similarity:
    """Find the similarity that moves cameras onto those of a reference: turn from the rotations, rest from the centres.

    Works for cameras on a line too, where the centres alone leave a turn about it open.

    Parameters
    ----------
    cameras, reference : Cameras
        The same n >= 2 cameras in two worlds, in one order.

    Returns
    -------
    Similarity
        To `Similarity.apply` to points and `Similarity.apply_to_cameras` to cameras of the first.

    Raises
    ------
    ValueError
        For different numbers of cameras, fewer than 2, or cameras that stand in one place.
    """
    if len(cameras.R) != len(reference.R) or len(cameras.R) < 2:
        raise ValueError(f"two or more cameras in both are needed, got {len(cameras.R)} and {len(reference.R)}")
    U, _, Vt = np.linalg.svd(np.einsum("nji,njk->ik", reference.R, cameras.R))
    R = U @ np.diag([1, 1, np.sign(np.linalg.det(U @ Vt))]) @ Vt
    c, d = cameras.centers, reference.centers
    p, q = (c - c.mean(axis=0)) @ R.T, d - d.mean(axis=0)
    if np.sum(p**2) <= 1e-20 * np.sum(c**2) or not np.sum(p**2) > 0:
        raise ValueError("all cameras stand in one place: the scale is open")
    scale = float(np.sum(p * q) / np.sum(p**2))
    if scale <= 0:
        raise ValueError("the centres of one set are a mirror image of the other's: are both X_cam = R X + t?")
    return Similarity(scale, R, d.mean(axis=0) - scale * R @ c.mean(axis=0))


def rotation_angles(R1: ArrayLike, R2: ArrayLike) -> Array:
    """Compute the angles between corresponding rotations (n, 3, 3), (n,), radians."""
    between = np.asarray(R1, dtype=np.float64) - np.asarray(R2, dtype=np.float64)
    return np.asarray(2 * np.arcsin(np.minimum(1, np.linalg.norm(between, axis=(-2, -1)) / np.sqrt(8))))


# --- factorisation ---------------------------------------------------------------------------


def factorize(x: ArrayLike) -> Factorization:
    """Find affine cameras and points from complete tracks in one singular value decomposition (Tomasi and Kanade).

    The centred tracks are a matrix of rank 3, Eq. (17.18); its factors are known up to a 3 x 3 matrix,
    fixed by asking that each camera's two rows be perpendicular and equally long, Eq. (17.19).

    Parameters
    ----------
    x : array of shape (F, N, 2)
        N >= 4 points in F >= 3 pictures, every point in every picture.

    Returns
    -------
    Factorization
        The first camera's rows lie along the x and y axes; the mirror image in depth fits as well.

    Raises
    ------
    ValueError
        For wrong shapes, too few, NaN (a point missing in a picture), points that lie in a plane or
        cameras that did not turn.

    References
    ----------
    .. [1] Tomasi & Kanade, Shape and motion from image streams under orthography, 1992, doi:10.1007/BF00129684.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 3 or x.shape[2] != 2 or x.shape[0] < 3 or x.shape[1] < 4:
        raise ValueError(f"expected tracks of shape (F >= 3, N >= 4, 2), got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError("a point is missing in a picture (NaN): factorisation needs complete tracks")
    t = x.mean(axis=1)
    U, s, Vt = np.linalg.svd((x - t[:, None]).transpose(0, 2, 1).reshape(-1, x.shape[1]), full_matrices=False)
    if s[2] <= 1e-6 * s[0]:
        raise ValueError("the tracks have rank 2: the points lie in a plane, or the camera did not turn")
    M, X = (U[:, :3] * np.sqrt(s[:3])).reshape(-1, 2, 3), np.sqrt(s[:3])[:, None] * Vt[:3]
    Q = _metric_upgrade(M)
    M, X = M @ Q, np.linalg.solve(Q, X)
    rows = M[0] / np.linalg.norm(M[0], axis=1, keepdims=True)
    first = np.vstack([rows, np.cross(*rows)])
    U2, _, Vt2 = np.linalg.svd(first)
    turn = U2 @ Vt2
    return Factorization(M @ turn.T, (turn @ X).T, t, s)


def _metric_upgrade(M: Array) -> Array:
    """Q with ``(M Q)(M Q)^T`` a multiple of the unit matrix for each camera, least squares in Q Q^T."""
    i, j = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 1, 2, 1, 2, 2])
    twice = np.where(i == j, 1.0, 2.0)

    def row(a: Array, b: Array) -> Array:
        return twice * (a[:, i] * b[:, j] + a[:, j] * b[:, i]) / 2

    a, b = M[:, 0], M[:, 1]
    A = np.concatenate([row(a, b), row(a, a) - row(b, b)])
    _, s, Vt = np.linalg.svd(np.vstack([A, np.zeros((6, 6))]))
    if s[4] <= 1e-9 * s[0]:
        raise ValueError("the cameras' turns leave the shape open: they must turn about more than one axis")
    L = np.empty((3, 3))
    L[i, j] = L[j, i] = Vt[5] * np.sign(Vt[5][[0, 3, 5]].sum())
    values, vectors = np.linalg.eigh(L)
    if values[0] <= 0:
        raise ValueError("no affine camera explains these tracks: too much noise or perspective")
    Q: Array = vectors * np.sqrt(values)
    return Q / np.sqrt(np.mean(np.sum((M @ Q) ** 2, axis=(1, 2))) / 2)


# --- from photographs ------------------------------------------------------------------------


class Matched(NamedTuple):
    """What pairs of pictures share: ``keypoints``, one (n, 2) a picture; ``matches`` (i, j) -> (M, 2), verified.

    ``tried`` (i, j) -> matches before the epipolar test; ``F`` (i, j) -> fundamental matrix; ``shapes`` of the pictures.
    """

    keypoints: list[Array]
    matches: dict[tuple[int, int], Array]
    tried: dict[tuple[int, int], int]
    F: dict[tuple[int, int], Array]
    shapes: list[tuple[int, int]]


def match_images(images: Sequence[Array], rng: np.random.Generator | int = 0) -> Matched:
    """Match all pairs of pictures: SIFT, the ratio test both ways, then one epipolar geometry (RANSAC).

    Parameters
    ----------
    images : sequence of n >= 2 ndarrays of shape (H, W) or (H, W, 3), float32 or float64
    rng : Generator or int

    Returns
    -------
    Matched
        Pairs with fewer than 20 verified matches have none.

    Raises
    ------
    TypeError, ValueError
        For what is no picture, or fewer than two.

    Notes
    -----
    Time grows with the pixels, and with the square of n: for thousands of pictures a retrieval step
    must first say which pairs are worth trying.
    """
    rng = random_generator(rng)
    grays = [as_gray(require_image(image, name=f"image {i}")) for i, image in enumerate(images)]
    if len(grays) < 2:
        raise ValueError(f"structure from motion needs 2 images at least, got {len(grays)}")
    found = [descriptors.sift(gray) for gray in grays]
    spots = [np.unique(f.keypoints.round(1), axis=0, return_index=True, return_inverse=True) for f in found]
    keypoints = [f.keypoints[first] for f, (_, first, _) in zip(found, spots, strict=True)]
    matched = Matched(keypoints, {}, {}, {}, [gray.shape for gray in grays])
    for i in range(len(grays)):
        for j in range(i + 1, len(grays)):
            rows = descriptors.match(found[i].descriptors, found[j].descriptors, mutual=True)
            rows = np.unique(
                np.column_stack([spots[i][2].ravel()[rows[:, 0]], spots[j][2].ravel()[rows[:, 1]]]), axis=0
            )
            matched.tried[i, j] = len(rows)
            _verify(matched, i, j, rows, rng)
    return matched


def _verify(matched: Matched, i: int, j: int, rows: Array, rng: np.random.Generator) -> None:
    """Keep the matches of a pair that agree with one fundamental matrix, or else with one homography."""
    if len(rows) < MATCHES:
        return
    x1, x2 = matched.keypoints[i][rows[:, 0]], matched.keypoints[j][rows[:, 1]]
    try:
        F, inliers, _ = two_view.ransac_fundamental(x1, x2, INLIER, rng=rng)
    except ValueError:  # points of one plane, or a camera that only turned, leave F open
        inliers = np.zeros(len(rows), dtype=bool)
    if inliers.sum() >= MATCHES:
        matched.F[i, j] = F
    else:
        inliers = ransac_homography(x1, x2, INLIER, rng=rng).inliers
    if inliers.sum() >= MATCHES:
        matched.matches[i, j] = rows[inliers]


def focal_from_fundamentals(Fs: Sequence[ArrayLike], center: ArrayLike, width: float) -> float:
    """Guess the focal length that several pictures share from their fundamental matrices.

    For the right K the two singular values of ``E = K^T F K`` are equal, Eq. (17.17); of a hundred
    focal lengths the one is taken for which they are nearest to it, over all pairs.

    Parameters
    ----------
    Fs : sequence of arrays of shape (3, 3)
    center : array of shape (2,)
        The principal point, pixels.
    width : float
        Of the pictures; the answer lies between 0.4 and 4 of it.

    Returns
    -------
    float
        To some percent at best; where the optical axes nearly meet it is anybody's guess.

    Raises
    ------
    ValueError
        If there are no matrices.

    References
    ----------
    .. [1] Sturm, On focal length calibration from two views, 2001, doi:10.1109/CVPR.2001.990525.
    """
    if not len(Fs):
        raise ValueError("no fundamental matrices: nothing tells the focal length")
    cx, cy = np.asarray(center, dtype=np.float64)
    focals = np.geomspace(0.4 * width, 4 * width, 101)
    K = np.stack([pinhole.intrinsic_matrix(f, cx=cx, cy=cy) for f in focals])
    s = np.stack([np.linalg.svd(K.transpose(0, 2, 1) @ np.asarray(F) @ K, compute_uv=False) for F in Fs])
    return float(focals[np.argmin(np.median(1 - s[:, :, 1] / s[:, :, 0], axis=0))])


def reconstruct(
    images: Sequence[Array],
    K: ArrayLike | None = None,
    *,
    terms: Sequence[str] | None = None,
    rng: np.random.Generator | int = 0,
) -> Reconstruction:
    """Reconstruct cameras and coloured points from photographs of one scene, in any order.

    Matches all pairs, links tracks, starts from the pair that shows most depth, and then again and
    again: find the camera that sees most known points, triangulate what is new, adjust everything,
    throw out what does not fit.

    Parameters
    ----------
    images : sequence of n >= 2 ndarrays of shape (H, W) or (H, W, 3), float32 or float64
        From different places, each overlapping others by half.  Those of more than a million pixels
        are made smaller for the work.
    K : array of shape (3, 3), optional
        Of the one camera that took them all, for pixels of ``images``.  Without it the focal length
        is guessed from the pairs, and the principal point taken as the middle; then all must have one shape.
    terms : sequence of str, optional
        What to estimate of the lens, of `TERMS`: nothing if K is given, all if not.
    rng : Generator or int

    Returns
    -------
    Reconstruction
        The first camera at the origin, the farthest other one at distance 1.

    Raises
    ------
    TypeError, ValueError
        If it cannot be done; the message says which views, and why: too few matches, views that no
        matches link, a camera that only turned, a scene that is one plane.

    Notes
    -----
    Five photographs of 640 x 427 take about three seconds, most of it for finding matches.

    References
    ----------
    .. [1] Snavely, Seitz & Szeliski, Photo tourism, 2006, doi:10.1145/1141911.1141964.
    .. [2] Schönberger & Frahm, Structure-from-motion revisited, 2016, doi:10.1109/CVPR.2016.445.
    """
    images = [require_image(image, name=f"image {i}") for i, image in enumerate(images)]
    factor = _working_factor(images)
    small = [_smaller(image, factor) for image in images]
    small_K = None if K is None else _resized_K(pinhole.require_intrinsics(K), factor)
    found = reconstruct_matches(match_images(small, rng), small_K, terms=terms, rng=rng)
    cameras = found.cameras._replace(K=np.stack([_resized_K(k, 1 / factor) for k in found.cameras.K]))
    seen = found.seen._replace(x=(found.seen.x + 0.5) / factor - 0.5)
    return found._replace(cameras=cameras, colors=_colors(images, seen, len(found.X)), seen=seen)


def reconstruct_matches(
    matched: Matched,
    K: ArrayLike | None = None,
    *,
    terms: Sequence[str] | None = None,
    rng: np.random.Generator | int = 0,
) -> Reconstruction:
    """Do what `reconstruct` does after matching: from `match_images` to cameras and points, all gray.

    Parameters, Raises
    ------------------
        As for `reconstruct`.
    """
    _require_linked(matched)
    terms = (() if K is not None else TERMS) if terms is None else tuple(terms)
    _count_terms(terms)
    scene = _Scene(matched, _first_K(matched, K), terms, random_generator(rng))
    scene.start()
    while not scene.placed.all():
        scene.add_view()
        scene.grow()
    scene.grow()
    return scene.result()


class _Scene:
    """A reconstruction that grows: rows (track, view, keypoint), which are trusted, cameras, points by track."""

    def __init__(self, matched: Matched, K: Array, terms: Sequence[str], rng: np.random.Generator) -> None:
        n = len(matched.keypoints)
        self.matched, self.terms, self.rng = matched, terms, rng
        self.rows = link_tracks(matched.matches, [len(k) for k in matched.keypoints])
        self.x = np.concatenate([np.empty((0, 2)), *(matched.keypoints[v][k][None] for _, v, k in self.rows)])
        self.good = np.ones(len(self.rows), dtype=bool)
        self.X = np.full((self.rows[-1, 0] + 1 if len(self.rows) else 0, 3), np.nan)
        self.placed = np.zeros(n, dtype=bool)
        self.cameras = Cameras(np.stack([K] * n), np.zeros((n, 2)), np.stack([np.eye(3)] * n), np.zeros((n, 3)))

    @property
    def known(self) -> NDArray[np.bool_]:
        """Which tracks have a point."""
        return np.isfinite(self.X[:, 0])

    def select(self, keep: NDArray[np.bool_]) -> tuple[Seen, Array, Array]:
        """The observations of some rows, their tracks (numbers of points -> tracks), and the rows themselves."""
        rows = np.flatnonzero(keep)
        tracks, point = np.unique(self.rows[rows, 0], return_inverse=True)
        return Seen(self.rows[rows, 1], point.ravel(), self.x[rows]), tracks, rows

    def start(self) -> None:
        """Place the two views that show most depth."""
        best: tuple[int, Any] = (0, None)
        reasons = []
        for (i, j), rows in self.matched.matches.items():
            trial, reason = self.try_pair(i, j, rows)
            reasons.append(reason)
            if trial[0] > best[0]:
                best = trial
        if best[1] is None:
            _refuse_start(reasons)
        i, j, pose = best[1]
        self.cameras.R[j], self.cameras.t[j] = pose.R, pose.t / np.linalg.norm(pose.t)
        self.placed[[i, j]] = True
        self.grow()

    def try_pair(self, i: int, j: int, rows: Array) -> tuple[tuple[int, Any], str]:
        """How many good points two views give, with their relative pose; or why they cannot start."""
        x1, x2 = self.matched.keypoints[i][rows[:, 0]], self.matched.keypoints[j][rows[:, 1]]
        K = self.cameras.K[i]
        H, flat, _ = ransac_homography(x1, x2, INLIER, rng=self.rng)
        if flat.mean() > 0.9:
            size = np.abs(np.linalg.eigvals(H))  # of K R K^-1 all three have one size
            return (0, None), "turned" if size.max() < 1.04 * size.min() else "flat"
        try:
            E, inliers, _ = two_view.ransac_essential(x1, x2, K, K, INLIER, rng=self.rng)
            pose = two_view.recover_pose(E, x1[inliers], x2[inliers], K, K)
        except ValueError:
            return (0, None), "no pose"
        pair = Cameras(
            np.stack([K] * 2), np.zeros((2, 2)), np.stack([np.eye(3), pose.R]), np.stack([np.zeros(3), pose.t])
        )
        count = int(inliers.sum())
        seen = Seen(np.repeat([0, 1], count), np.tile(np.arange(count), 2), np.concatenate([x1[inliers], x2[inliers]]))
        X, fits = _checked_points(pair, seen)
        angle = parallax(pair, X, seen)[fits] if fits.any() else np.zeros(1)
        if np.median(angle) < TURNED:
            return (0, None), "turned"
        return (int(np.sum(angle > PARALLAX)), (i, j, pose)), "few"

    def add_view(self) -> None:
        """Place the view that sees most known points."""
        usable = self.good & self.known[self.rows[:, 0]] & ~self.placed[self.rows[:, 1]]
        count = np.bincount(self.rows[usable, 1], minlength=len(self.placed))
        for view in np.argsort(-count, kind="stable"):
            if self.placed[view] or count[view] < 8:
                continue
            rows = np.flatnonzero(usable & (self.rows[:, 1] == view))
            K, X = self.cameras.K[view], self.X[self.rows[rows, 0]]
            one = Seen(np.full(len(rows), view), np.arange(len(rows)), self.x[rows])
            ideal = _ideal(self.cameras, one) @ K[:2, :2].T + K[:2, 2]
            try:
                pose, inliers, _ = ransac_pose(K, X, ideal, RESECT, rng=self.rng)
            except ValueError:
                continue
            if inliers.sum() >= max(8, 0.3 * len(rows)):
                self.cameras.R[view], self.cameras.t[view] = pose
                self.good[rows[~inliers]] = False
                self.placed[view] = True
                return
        lost = np.flatnonzero(~self.placed)
        raise ValueError(
            f"{_views(lost)} cannot be placed, seeing {_listed(count[lost])} points of the reconstruction from "
            f"{_views(np.flatnonzero(self.placed))}, too few that fit one camera; "
            "photograph so that every point is seen at least three times"
        )

    def grow(self) -> None:
        """Triangulate, adjust, throw out; twice, for the second time with a better scene."""
        for _ in range(2):
            self.triangulate()
            self.adjust()

    def triangulate(self) -> None:
        """Find points for tracks that have none, where two or more views are placed."""
        usable = self.good & self.placed[self.rows[:, 1]] & ~self.known[self.rows[:, 0]]
        times = np.bincount(self.rows[usable, 0], minlength=len(self.X))
        usable &= times[self.rows[:, 0]] >= 2
        if not usable.any():
            return
        seen, tracks, _ = self.select(usable)
        X, fits = _checked_points(self.cameras, seen)
        if fits.any():
            fits &= parallax(self.cameras, X, seen) > PARALLAX
        self.X[tracks[fits]] = X[fits]

    def adjust(self) -> None:
        """Bundle adjustment of what is placed, then away with what is far off or has no parallax left."""
        seen, tracks, rows = self.select(self.good & self.placed[self.rows[:, 1]] & self.known[self.rows[:, 0]])
        if len(tracks) < MATCHES:
            raise ValueError(f"only {len(tracks)} points can be triangulated: too few matches, or hardly any parallax")
        placed = np.flatnonzero(self.placed)
        part = Cameras(*(v[placed] for v in self.cameras))
        seen = seen._replace(view=np.searchsorted(placed, seen.view))
        terms = self.terms if len(placed) > 2 else ()
        part, X, residuals, _ = bundle_adjust(part, self.X[tracks], seen, terms=terms, shared=True, robust=1.0)
        for mine, new in zip(self.cameras, part, strict=True):
            mine[placed] = new
        self.cameras.K[:], self.cameras.distortion[:] = part.K[0], part.distortion[0]  # also for those to come
        far = np.hypot(*residuals.T) > FAR_OFF
        self.good[rows[far]] = False
        enough = np.bincount(seen.point[~far], minlength=len(X)) >= 2
        enough &= parallax(part, X, Seen(*(v[~far] for v in seen))) > PARALLAX
        self.X[tracks] = np.where(enough[:, None], X, np.nan)

    def result(self) -> Reconstruction:
        """What was found, the first camera at the origin and the farthest at distance 1."""
        seen, tracks, _ = self.select(self.good & self.known[self.rows[:, 0]])
        found = bundle_adjust(self.cameras, self.X[tracks], seen, terms=self.terms, shared=True)
        R, t = found.cameras.R[0], found.cameras.t[0]
        size = np.linalg.norm(found.cameras.centers - found.cameras.centers[0], axis=1).max()
        to_first = Similarity(1 / size, R, t / size)
        return Reconstruction(
            to_first.apply_to_cameras(found.cameras), to_first.apply(found.X), np.full((len(tracks), 3), 0.5), seen
        )


def _checked_points(cameras: Cameras, seen: Seen) -> tuple[Array, NDArray[np.bool_]]:
    """Triangulate, and tell which points are finite, in front of their views and within `FAR_OFF`; others are (0, 0, 0)."""
    homogeneous = triangulate_tracks(cameras, seen)
    fits = homogeneous[:, 3] > 1e-6
    X = homogeneous[:, :3] / np.where(fits, homogeneous[:, 3], 1.0)[:, None]
    ahead = _depths(cameras, X, seen) > 0
    q = np.where(ahead[:, None], X[seen.point], cameras.centers[seen.view] + cameras.R[seen.view, 2])
    each = Seen(seen.view, np.arange(len(seen.x)), seen.x)
    wrong = ~ahead | (np.hypot(*(seen.x - _predicted(cameras, q, each)).T) > FAR_OFF)
    fits[seen.point[wrong]] = False
    return np.where(fits[:, None], X, 0.0), fits


def _first_K(matched: Matched, K: ArrayLike | None) -> Array:
    """The K that is given, or one with a guessed focal length and the principal point in the middle."""
    if K is not None:
        return pinhole.require_intrinsics(K)
    for i, shape in enumerate(matched.shapes):
        if shape != matched.shapes[0]:
            raise ValueError(
                f"image {i} has shape {shape}, image 0 {matched.shapes[0]}: give K, or photographs of one camera"
            )
    height, width = matched.shapes[0]
    center = np.array([width - 1, height - 1]) / 2
    focal = 1.2 * max(width, height)  # where no pair tells one
    if matched.F:
        focal = focal_from_fundamentals(list(matched.F.values()), center, max(width, height))
    return pinhole.intrinsic_matrix(focal, cx=center[0], cy=center[1])


def _require_linked(matched: Matched) -> None:
    """Refuse views that no verified matches link to the largest group, and say how near they came."""
    n = len(matched.keypoints)
    group = np.arange(n)
    for i, j in matched.matches:
        group[group == group[j]] = group[i]
    largest = np.bincount(group, minlength=n).argmax()
    alone = np.flatnonzero(group != largest)
    if len(alone):
        near = max(
            matched.tried,
            key=lambda p: matched.tried[p] if (group[p[0]] == largest) != (group[p[1]] == largest) else -1,
        )
        what = (
            "too few matches"
            if n == 2
            else f"{_views(alone)} {'is' if len(alone) == 1 else 'are'} not linked to {_views(np.flatnonzero(group == largest))}"
        )
        raise ValueError(
            f"{what}: the best pair between them, views {near[0]} and {near[1]}, has {matched.tried[near]} matches, and fewer "
            f"than {MATCHES} of them agree on one epipolar geometry; photographs must overlap by half and show texture"
        )


def _refuse_start(reasons: Sequence[str]) -> None:
    """Say why no pair of views can start."""
    if all(reason == "turned" for reason in reasons):
        raise ValueError(
            "the camera turned but did not move (pure rotation): no depth can be seen from one place; "
            "step aside between photographs, or make a panorama of these"
        )
    if all(reason in ("flat", "turned") for reason in reasons):
        raise ValueError(
            "in every pair of views one homography explains the matches: the scene is one plane, which leaves the "
            "relative pose open; photograph something with depth"
        )
    raise ValueError(
        "no pair of views gives points with enough parallax to start from: too few matches, or places too near each other"
    )


def _listed(numbers: Sequence[int] | Array) -> str:
    return ", ".join(str(int(k)) for k in numbers)


def _views(numbers: Array) -> str:
    return f"view{'' if len(numbers) == 1 else 's'} {_listed(numbers)}"


def _working_factor(images: Sequence[Array]) -> float:
    """By how much to shrink the pictures, so that the largest has a million pixels; 1 if it has fewer."""
    return min(1.0, 1000 / float(np.sqrt(max((image.shape[0] * image.shape[1] for image in images), default=1))))


def _smaller(image: Array, factor: float) -> Array:
    if factor == 1:
        return image
    height, width = (round(side * factor) for side in image.shape[:2])
    return np.clip(resize(image, (height, width), "bilinear"), 0, 1)


def _resized_K(K: Array, factor: float) -> Array:
    """K for a picture resized by a factor, pixel centres at integers."""
    resized = K.copy()
    resized[:2, :2] *= factor
    resized[:2, 2] = factor * (K[:2, 2] + 0.5) - 0.5
    return resized


def _colors(images: Sequence[Array], seen: Seen, n: int) -> Array:
    """The mean colour of each point over the views that see it, (n, 3)."""
    total, times = np.zeros((n, 3)), np.bincount(seen.point, minlength=n)
    for view, image in enumerate(images):
        mine = seen.view == view
        col, row = np.round(seen.x[mine]).astype(int).T
        color = image[np.clip(row, 0, image.shape[0] - 1), np.clip(col, 0, image.shape[1] - 1)]
        np.add.at(total, seen.point[mine], color if image.ndim == 3 else np.repeat(color[:, None], 3, axis=1))
    return total / times[:, None]


# --- COLMAP ----------------------------------------------------------------------------------


class Stored(NamedTuple):
    """A reconstruction with the names and the shapes (H, W) of its photographs."""

    reconstruction: Reconstruction
    names: list[str]
    shapes: list[tuple[int, int]]


def quaternion_from_rotation(R: ArrayLike) -> Array:
    """Compute the unit quaternion (w, x, y, z), w >= 0, of a rotation, Eq. (17.20).

    Examples
    --------
    >>> quaternion_from_rotation(np.diag([1, -1, -1])).tolist()
    [0.0, 1.0, 0.0, 0.0]
    """
    r = pinhole.vector_from_rotation(R)
    half = np.linalg.norm(r) / 2
    q = np.append(np.cos(half), np.sinc(half / np.pi) * r / 2)
    q[np.abs(q) < 1e-16] = 0.0  # the cosine of a quarter turn
    return q


def rotation_from_quaternion(q: ArrayLike) -> Array:
    """Build the rotation of a quaternion (w, x, y, z) of any length > 0, Eq. (17.20).

    Raises
    ------
    ValueError
        For anything but four finite numbers, or all zeros.
    """
    q = np.asarray(q, dtype=np.float64)
    if q.shape != (4,) or not np.isfinite(q).all() or not q.any():
        raise ValueError(f"a quaternion is four numbers (w, x, y, z), not all 0; got {q}")
    w, x, y, z = q / np.linalg.norm(q)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def write_colmap(
    folder: str | Path, reconstruction: Reconstruction, names: Sequence[str], shapes: Sequence[tuple[int, int]]
) -> None:
    """Write cameras.txt, images.txt and points3D.txt, the text format of COLMAP.

    Its quaternions are (w, x, y, z), its poses ours; its pixel centres lie at one half, so half a
    pixel is added to x and to the principal point.  Numbers count from 1.

    Parameters
    ----------
    folder : str or Path
        Made if it is not there; files in it are replaced.
    reconstruction : Reconstruction
    names : sequence of n str
        File names of the photographs, without spaces.
    shapes : sequence of n (H, W)

    Raises
    ------
    ValueError
        For another number of names or shapes than cameras, a name with a space, or a K with skew,
        which COLMAP's models lack.

    References
    ----------
    .. [1] https://colmap.github.io/format.html
    """
    cameras, X, colors, seen = reconstruction
    if not len(names) == len(shapes) == len(cameras.R):
        raise ValueError(f"{len(cameras.R)} cameras, but {len(names)} names and {len(shapes)} shapes")
    if bad := [name for name in names if not name or len(name.split()) != 1]:
        raise ValueError(f"COLMAP's lists are separated by spaces, so a name must have none: {bad[0]!r}")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    lines = {"cameras.txt": [], "images.txt": [], "points3D.txt": []}  # type: dict[str, list[str]]
    tracks: list[list[str]] = [[] for _ in X]
    for i in range(len(names)):
        lines["cameras.txt"].append(_camera_line(i, cameras.K[i], cameras.distortion[i], shapes[i]))
        rows = np.flatnonzero(seen.view == i)
        pose = _numbers([*quaternion_from_rotation(cameras.R[i]), *cameras.t[i]])
        points = [f"{_numbers(seen.x[k] + 0.5)} {seen.point[k] + 1}" for k in rows]
        lines["images.txt"] += [f"{i + 1} {pose} {i + 1} {names[i]}", " ".join(points)]
        for place, k in enumerate(rows):
            tracks[seen.point[k]].append(f"{i + 1} {place}")
    error = np.bincount(seen.point, np.hypot(*reconstruction.residuals.T)) / np.bincount(seen.point)
    for p in range(len(X)):
        rgb = " ".join(str(int(c)) for c in np.clip(np.round(255 * colors[p]), 0, 255))
        lines["points3D.txt"].append(f"{p + 1} {_numbers(X[p])} {rgb} {error[p]:.6f} {' '.join(tracks[p])}")
    for name, text in lines.items():
        (folder / name).write_text(f"# {COLMAP_HEADS[name]}\n" + "\n".join(text) + "\n", encoding="utf-8")


COLMAP_HEADS = {
    "cameras.txt": "CAMERA_ID MODEL WIDTH HEIGHT PARAMS[]",
    "images.txt": "IMAGE_ID QW QX QY QZ TX TY TZ CAMERA_ID NAME, then POINTS2D[] as (X Y POINT3D_ID)",
    "points3D.txt": "POINT3D_ID X Y Z R G B ERROR TRACK[] as (IMAGE_ID POINT2D_IDX)",
}
COLMAP_MODELS = {  # where the parameters lie in (fx, fy, cx, cy, k1, k2, p1, p2)
    "SIMPLE_PINHOLE": (0, 2, 3),
    "PINHOLE": (0, 1, 2, 3),
    "SIMPLE_RADIAL": (0, 2, 3, 4),
    "RADIAL": (0, 2, 3, 4, 5),
    "OPENCV": (0, 1, 2, 3, 4, 5, 6, 7),
}


def _numbers(values: ArrayLike) -> str:
    """Numbers with all their digits: what is read again is the same."""
    return " ".join(repr(float(v)) for v in np.asarray(values))


def _camera_line(i: int, K: Array, distortion: Array, shape: tuple[int, int]) -> str:
    if abs(K[0, 1]) > 1e-9 * K[0, 0]:
        raise ValueError(f"camera {i} has skew {K[0, 1]:g}: COLMAP's models have none")
    values = [K[0, 0], K[1, 1], K[0, 2] + 0.5, K[1, 2] + 0.5, *distortion, 0.0, 0.0]
    model = "RADIAL" if K[0, 0] == K[1, 1] else "OPENCV"
    return f"{i + 1} {model} {shape[1]} {shape[0]} {_numbers([values[k] for k in COLMAP_MODELS[model]])}"


def read_colmap(folder: str | Path) -> Stored:
    """Read what `write_colmap` or COLMAP's model_converter wrote as text.

    Parameters
    ----------
    folder : str or Path
        With cameras.txt, images.txt and points3D.txt.

    Returns
    -------
    Stored
        Cameras in order of their image's number, one a photograph; keypoints without a point are left out.

    Raises
    ------
    FileNotFoundError, ValueError
        If a file is missing, or a camera's model has more than k1 and k2.
    """
    texts = {name: _lines(Path(folder) / name) for name in COLMAP_HEADS}
    lenses = {words[0]: _read_lens(words) for words in (line.split() for line in texts["cameras.txt"] if line)}
    points = [line.split() for line in texts["points3D.txt"] if line]
    number = {words[0]: k for k, words in enumerate(points)}
    X = np.array([words[1:4] for words in points], dtype=np.float64).reshape(-1, 3)
    colors = np.array([words[4:7] for words in points], dtype=np.float64).reshape(-1, 3) / 255
    views, names = [], []
    found: list[tuple[int, int, float, float]] = []
    lines = texts["images.txt"] + [""] * (len(texts["images.txt"]) % 2)
    images = sorted(zip(lines[0::2], lines[1::2], strict=True), key=lambda pair: int(pair[0].split()[0]))
    for i, (head, body) in enumerate(images):
        words = head.split()
        K, distortion, shape = lenses[words[8]]
        pose = np.array(words[1:8], dtype=np.float64)
        views.append((K, distortion, rotation_from_quaternion(pose[:4]), pose[4:], shape))
        names.append(words[9])
        for px, py, p in zip(*(body.split()[k::3] for k in range(3)), strict=True):
            if p in number:
                found.append((i, number[p], float(px) - 0.5, float(py) - 0.5))
    if not views:
        raise ValueError(f"{folder} holds no images")
    table = np.array(found, dtype=np.float64).reshape(-1, 4)
    seen = Seen(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:].copy())
    cameras = Cameras(*(np.stack([view[k] for view in views]) for k in range(4)))
    return Stored(Reconstruction(cameras, X, colors, seen), names, [view[4] for view in views])


def _lines(path: Path) -> list[str]:
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is missing: export the model as text, colmap model_converter --output_type TXT"
        )
    lines = path.read_text(encoding="utf-8").split("\n")
    lines = [line.strip() for line in lines if not line.startswith("#")]
    return lines[:-1] if lines and not lines[-1] else lines


def _read_lens(words: list[str]) -> tuple[Array, Array, tuple[int, int]]:
    """K, distortion and shape from a line of cameras.txt."""
    if words[1] not in COLMAP_MODELS:
        raise ValueError(f"camera {words[0]} has the model {words[1]}; known are {', '.join(COLMAP_MODELS)}")
    values, places = np.zeros(8), COLMAP_MODELS[words[1]]
    values[list(places)] = np.array(words[4:], dtype=np.float64)
    if 1 not in places:
        values[1] = values[0]
    if values[6:].any():
        raise ValueError(f"camera {words[0]} has tangential distortion, which these cameras lack: undistort first")
    K = pinhole.intrinsic_matrix(values[0], values[1], values[2] - 0.5, values[3] - 0.5)
    return K, values[4:6], (int(words[3]), int(words[2]))


# --- at the door -----------------------------------------------------------------------------


def _require_cameras(cameras: Cameras) -> Cameras:
    K, distortion, R, t = (np.array(v, dtype=np.float64, order="C") for v in cameras)
    n = len(R)
    for name, value, shape in (
        ("K", K, (n, 3, 3)),
        ("distortion", distortion, (n, 2)),
        ("R", R, (n, 3, 3)),
        ("t", t, (n, 3)),
    ):
        if value.shape != shape or n == 0:
            raise ValueError(f"cameras: {name} must have shape {shape}, got {value.shape}")
        if not np.isfinite(value).all():
            raise ValueError(f"cameras: {name} holds NaN or infinity")
    if np.any(np.abs(R @ R.transpose(0, 2, 1) - np.eye(3)) > 1e-6) or np.any(np.linalg.det(R) < 0):
        raise ValueError("cameras: R must be rotations: orthogonal, determinant +1")
    if np.any(K[:, [0, 1], [0, 1]] <= 0) or np.any(K[:, 2] != [0, 0, 1]) or np.any(K[:, 1, 0] != 0):
        raise ValueError("cameras: K must be upper triangular with positive focal lengths and K[2, 2] = 1")
    return Cameras(K, distortion, R, t)


def _require_seen(seen: Seen, n: int, points: int | None = None) -> Seen:
    view, point, x = np.array(seen.view, order="C"), np.array(seen.point, order="C"), as_points(seen.x, 2, "seen.x")
    if view.shape != (len(x),) or point.shape != (len(x),):
        raise ValueError(f"seen: {len(x)} pixels, but view has shape {view.shape} and point {point.shape}")
    if not (np.issubdtype(view.dtype, np.integer) and np.issubdtype(point.dtype, np.integer)):
        raise TypeError(f"seen: view and point are indices, integers; got {view.dtype} and {point.dtype}")
    if view.min() < 0 or view.max() >= n:
        raise ValueError(f"seen: views are 0 … {n - 1}, got {view.min()} to {view.max()}")
    if point.min() < 0 or (points is not None and point.max() >= points):
        raise ValueError(
            f"seen: points are 0 … {'' if points is None else points - 1}, got {point.min()} to {point.max()}"
        )
    return Seen(view.astype(np.int64), point.astype(np.int64), x)


def _require_enough(cameras: Cameras, X: Array, seen: Seen) -> None:
    """Every point twice, every camera three times, and no observation double."""
    per_point = np.bincount(seen.point, minlength=len(X))
    if per_point.min() < 2:
        raise ValueError(
            f"point {int(np.argmin(per_point))} is seen {per_point.min()} times: its depth is open, leave it out"
        )
    per_view = np.bincount(seen.view, minlength=len(cameras.R))
    if per_view.min() < 3:
        raise ValueError(
            f"camera {int(np.argmin(per_view))} sees {per_view.min()} points: its pose is open, leave it out"
        )
    double = np.bincount(seen.view * len(X) + seen.point).max() > 1
    if double:
        raise ValueError("a camera sees a point twice: such tracks contradict themselves")


def _require_ahead(cameras: Cameras, X: Array, seen: Seen) -> None:
    depth = _depths(cameras, X, seen)
    if not np.all(depth > 0):
        k = int(np.argmin(depth))
        raise ValueError(
            f"point {seen.point[k]} does not lie in front of camera {seen.view[k]}: its depth is {depth[k]:.3g}"
        )


def _depths(cameras: Cameras, X: Array, seen: Seen) -> Array:
    """How far each observed point lies in front of its camera, (M,)."""
    return _predicted_and_depths(cameras, X, seen)[1]


def _predicted(cameras: Cameras, X: Array, seen: Seen) -> Array:
    """Eq. (17.8), without asking whether the points lie in front."""
    return _predicted_and_depths(cameras, X, seen)[0]


def _predicted_and_depths(cameras: Cameras, X: Array, seen: Seen) -> tuple[Array, Array]:
    predicted, depth = np.empty((len(seen.view), 2)), np.empty(len(seen.view))
    K, distortion, R, t = (np.ascontiguousarray(v) for v in cameras)
    _predict_loop(K, distortion, R, t, np.ascontiguousarray(X), seen.view, seen.point, predicted, depth)
    return predicted, depth


@njit(cache=True, error_model="numpy")
def _predict_loop(K, distortion, R, t, X, view, point, predicted, depth):
    """Eq. (17.8) for each observation."""
    for i in range(len(view)):
        r, s, p, k = R[view[i]], t[view[i]], X[point[i]], K[view[i]]
        qx = r[0, 0] * p[0] + r[0, 1] * p[1] + r[0, 2] * p[2] + s[0]
        qy = r[1, 0] * p[0] + r[1, 1] * p[1] + r[1, 2] * p[2] + s[1]
        depth[i] = r[2, 0] * p[0] + r[2, 1] * p[1] + r[2, 2] * p[2] + s[2]
        nx, ny = qx / depth[i], qy / depth[i]
        rr = nx * nx + ny * ny
        scale = 1 + rr * (distortion[view[i], 0] + rr * distortion[view[i], 1])
        predicted[i, 0] = scale * (k[0, 0] * nx + k[0, 1] * ny) + k[0, 2]
        predicted[i, 1] = scale * k[1, 1] * ny + k[1, 2]


def _ideal(cameras: Cameras, seen: Seen) -> Array:
    """Pixels divided by K, distortion taken out."""
    n = np.empty_like(seen.x)
    for view in np.unique(seen.view):
        mine = seen.view == view
        n[mine] = pinhole.normalize_pixels(cameras.K[view], seen.x[mine])
        if cameras.distortion[view].any():
            n[mine] = pinhole.undistort(n[mine], (*cameras.distortion[view], 0, 0))
    return n


def _centred(K: Array, seen: Seen) -> Array:
    """Pixels counted from the principal point, in square pixels."""
    x = seen.x - K[seen.view, :2, 2]
    A = _square(K)[seen.view]
    x[:, 0] += A[:, 0, 1] * x[:, 1]
    x[:, 1] *= A[:, 1, 1]
    return x


def _square(K: Array) -> Array:
    """(n, 2, 2): from pixels to square pixels of the width fx, without skew."""
    square: Array = K[:, :1, :1] * np.linalg.inv(K[:, :2, :2])
    return square


def _lenses(cameras: Cameras) -> Array:
    """(n, 3): f, k1, k2 for square pixels."""
    return np.column_stack([cameras.K[:, 0, 0], cameras.distortion])


def _count_terms(terms: Sequence[str]) -> int:
    if isinstance(terms, str) or tuple(terms) != TERMS[: len(terms)]:
        raise ValueError(f"terms are (), ('f',), ('f', 'k1') or ('f', 'k1', 'k2'), got {terms!r}")
    return len(terms)


def _positive(name: str, value: Any) -> float:
    if not (np.isfinite(value) and value > 0):
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return float(value)

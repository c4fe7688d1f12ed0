"""Calibration: the camera's own numbers, measured from pictures of points whose places are known.

`fit_projection` finds the 3 x 4 matrix from six or more points in space.  With a flat board the way is
Zhang's: one homography a view, a closed form for K, one pose a view, and then Levenberg-Marquardt on
the distances in pixels, with lens distortion (`calibrate`).  `find_board` finds a chessboard's inner
corners; `stereo_pose` the place of a second camera.

A lens is nine numbers, in the order of `LENS`; a board lies in its own plane Z = 0, its points are
(N, 2); ``X_cam = R @ X + t``.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cvcourse import corners, sampling
from cvcourse.alignment import fit_homography
from cvcourse.filtering import gaussian
from cvcourse.homogeneous import as_points, normalizer, null_vector, to_homogeneous, transform_points
from cvcourse.images import Array, require_image
from cvcourse.transforms import require_transform

LENS = ("fx", "fy", "skew", "cx", "cy", "k1", "k2", "p1", "p2")
TERMS = LENS[2:3] + LENS[5:]  # what `calibrate` can leave out: skew, k1, k2, p1, p2
DEGENERATE = 1e-9  # ratio of singular values of normalised matrices: below it the solution is not unique
FLAT = 1e-4  # thickness of a point set against its width: below it the points count as coplanar
RING = 5  # pixels: radius of the circle on which a chessboard's corner must alternate
LOOSE = 0.1  # standard deviation of a focal length against its value: above it nothing was measured


class Calibration(NamedTuple):
    """A camera, the poses of the boards it saw, and how well all that is known.

    ``K`` (3, 3); ``distortion`` (k1, k2, p1, p2); ``rotations`` (M, 3, 3) and ``translations`` (M, 3),
    board to camera; ``residuals`` (M, N, 2), measured minus predicted, pixels; ``covariance`` (9, 9) of
    the numbers of `LENS`, zero for those that were not estimated.
    """

    K: Array
    distortion: Array
    rotations: Array
    translations: Array
    residuals: Array
    covariance: Array

    @property
    def rms(self) -> float:
        """Root of the mean squared distance between measured and predicted corners, pixels."""
        return float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=-1))))

    @property
    def lens(self) -> Array:
        """The nine numbers of `LENS`."""
        return lens_vector(self.K, self.distortion)

    @property
    def sigma(self) -> Array:
        """Standard deviations of the nine numbers of `LENS`."""
        return np.sqrt(np.diag(self.covariance))


class StereoPose(NamedTuple):
    """Where the right camera stands: ``X_right = R @ X_left + t``.

    ``residuals`` (2, M, N, 2) of the left and the right pictures, pixels; ``covariance`` (6, 6) of a
    small turn (radians) after R and of t (units of the board).
    """

    R: Array
    t: Array
    residuals: Array
    covariance: Array

    @property
    def baseline(self) -> float:
        """Distance of the two centres, in units of the board."""
        return float(np.linalg.norm(self.t))

    @property
    def rms(self) -> float:
        """Root of the mean squared distance between measured and predicted corners, pixels."""
        return float(np.sqrt(np.mean(np.sum(self.residuals**2, axis=-1))))


# --- the projection matrix from points in space ----------------------------------------------


def projection_rows(X: ArrayLike, x: ArrayLike) -> Array:
    """Build the two rows that each pair of a world point and a pixel gives, Eq. (14.3).

    Parameters
    ----------
    X : array of shape (N, 3)
        World points.
    x : array of shape (N, 2)
        Their pixels.

    Returns
    -------
    A : ndarray of shape (2 N, 12)
        The N rows of x, then the N rows of y; ``A @ P.ravel() = 0``.

    Examples
    --------
    >>> projection_rows([[1, 2, 3]], [[5, 7]])[0]
    array([  1.,   2.,   3.,   1.,   0.,   0.,   0.,   0.,  -5., -10., -15.,
            -5.])
    """
    X, x = as_points(X, 3, "world points"), as_points(x, 2, "image points")
    if len(X) != len(x):
        raise ValueError(f"{len(X)} world points but {len(x)} image points")
    homogeneous = to_homogeneous(X)
    A = np.zeros((2, len(X), 3, 4))
    A[0, :, 0] = A[1, :, 1] = homogeneous
    A[:, :, 2] = -x.T[..., None] * homogeneous
    return A.reshape(-1, 12)


def fit_projection(X: ArrayLike, x: ArrayLike) -> Array:
    """Estimate the projection matrix from points in space and their pixels (normalised DLT).

    Eleven unknowns, two equations a point: six points.  P minimises ``|A p|`` for ``|p| = 1``,
    Eq. (14.3); both sets are first moved to their mean and scaled.

    Parameters
    ----------
    X : array of shape (N, 3)
        World points, N >= 6, not all in one plane.
    x : array of shape (N, 2)
        Their pixels (x, y).

    Returns
    -------
    P : ndarray of shape (3, 4)
        Frobenius norm 1, its sign such that the points lie in front of the camera.

    Raises
    ------
    ValueError
        If the shapes disagree, N < 6, the points lie in one plane, or another set that leaves P
        undetermined; or if no camera but only its mirror image sees the points so.

    Notes
    -----
    The error that is least is algebraic, not in pixels.  No distortion.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., Algorithm 7.1 and section 22.1.

    Examples
    --------
    >>> X = np.array([[0, 0, 4], [1, 0, 5], [0, 1, 5], [1, 1, 4], [2, 1, 6], [1, 2, 7.0]])
    >>> P = fit_projection(X, X[:, :2] / X[:, 2:])
    >>> (P / P[2, 2]).round(6) + 0.0
    array([[1., 0., 0., 0.],
           [0., 1., 0., 0.],
           [0., 0., 1., 0.]])
    """
    X, x = as_points(X, 3, "world points"), as_points(x, 2, "image points")
    if len(X) < 6:
        raise ValueError(f"a projection matrix has 11 unknowns and needs 6 points, got {len(X)}")
    thickness = np.linalg.svd(X - X.mean(axis=0), compute_uv=False)
    if thickness[2] <= FLAT * thickness[0]:
        raise ValueError("the world points lie in one plane: they fix a homography, not P; use several views of it")
    T_X, T_x = normalizer(X), normalizer(x)
    p, singular_values = null_vector(projection_rows(transform_points(T_X, X), transform_points(T_x, x)))
    if singular_values[10] < DEGENERATE * singular_values[0]:
        raise ValueError("degenerate points: more than one projection matrix explains them")
    P = np.linalg.inv(T_x) @ p.reshape(3, 4) @ T_X
    P *= np.sign((to_homogeneous(X) @ P[2]).sum()) / np.linalg.norm(P)
    if np.linalg.det(P[:, :3]) <= 0:
        raise ValueError("only a mirrored camera sees these points so: are x and y, or two axes of the world, swapped?")
    return P


# --- Zhang's closed form ---------------------------------------------------------------------


def board_points(shape: tuple[int, int], square: float = 1.0) -> Array:
    """List a chessboard's inner corners (x, y), row by row: ``shape = (columns, rows)`` of them.

    Examples
    --------
    >>> board_points((3, 2), 25.0).tolist()
    [[0.0, 0.0], [25.0, 0.0], [50.0, 0.0], [0.0, 25.0], [25.0, 25.0], [50.0, 25.0]]
    """
    columns, rows = _require_shape(shape)
    if not 0 < square < np.inf:
        raise ValueError(f"square is the side of a square, > 0; got {square}")
    x, y = np.meshgrid(np.arange(columns), np.arange(rows))
    return square * np.column_stack([x.ravel(), y.ravel()]).astype(np.float64)


def zhang_rows(H: ArrayLike) -> Array:
    """Build the two rows ``v`` with ``v @ (B11, B12, B22, B13, B23, B33) = 0`` that a view gives, Eq. (14.9).

    B is ``K^-T K^-1``: the columns of ``K^-1 H`` are perpendicular and equally long.
    """
    return _zhang_rows(require_transform(H)[None])


def _zhang_rows(Hs: Array) -> Array:
    """The rows of all views, (2 M, 6)."""
    h1, h2 = Hs[:, :, 0], Hs[:, :, 1]
    i, j = np.array([0, 0, 1, 0, 1, 2]), np.array([0, 1, 1, 2, 2, 2])
    twice = np.where(i == j, 0.5, 1.0)  # B is symmetric: its entries off the diagonal occur twice

    def rows(a: Array, b: Array) -> Array:
        return twice * (a[:, i] * b[:, j] + a[:, j] * b[:, i])

    return np.concatenate([rows(h1, h2), rows(h1, h1) - rows(h2, h2)])


def intrinsics_from_homographies(Hs: ArrayLike, skew: bool = False) -> Array:
    """Compute K from the homographies of a flat board seen at several tilts (Zhang's closed form).

    Each view gives two linear equations for the image of the absolute conic, Eq. (14.9); K is its
    Cholesky factor, Eq. (14.10).

    Parameters
    ----------
    Hs : array of shape (M, 3, 3)
        Board plane to pixels; M >= 2, or 3 with skew.
    skew : bool
        Estimate the skew too; else it is 0.

    Returns
    -------
    K : ndarray of shape (3, 3)

    Raises
    ------
    ValueError
        For too few views, boards parallel to each other, boards square to the optical axis, or
        homographies so noisy that no camera explains them.

    References
    ----------
    .. [1] Zhang, A flexible new technique for camera calibration, 2000, doi:10.1109/34.888718.

    Examples
    --------
    >>> R = [np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]), np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]])]
    >>> K = np.array([[500, 0, 320], [0, 400, 240], [0, 0, 1.0]])
    >>> intrinsics_from_homographies([K @ np.column_stack([r[:, :2], [0, 0, 9]]) for r in R]).round(6) + 0.0
    array([[500.,   0., 320.],
           [  0., 400., 240.],
           [  0.,   0.,   1.]])
    """
    Hs = np.asarray(Hs, dtype=np.float64)
    if Hs.ndim != 3 or Hs.shape[1:] != (3, 3):
        raise ValueError(f"homographies must have shape (M, 3, 3), got {Hs.shape}")
    if len(Hs) < 2 + skew:
        raise ValueError(f"K {'with' if skew else 'without'} skew needs {2 + skew} views of the board, got {len(Hs)}")
    N = _pixel_frame(Hs)
    kept = np.array([0, 1, 2, 3, 4, 5] if skew else [0, 2, 3, 4, 5])  # without skew B12 = 0
    moved = N @ Hs
    V = _zhang_rows(moved / np.linalg.norm(moved[:, :, :2], axis=(1, 2), keepdims=True))[:, kept]
    b, singular_values = null_vector(V)
    if singular_values[-2] < DEGENERATE * singular_values[0]:
        raise ValueError(
            "the views do not determine K: boards parallel to each other, or square to the optical axis, "
            "repeat one view's equations; tilt them differently"
        )
    B = np.zeros(6)
    B[kept] = b
    B11, B12, B22, B13, B23, B33 = B if b[0] > 0 else -B
    omega = np.array([[B11, B12, B13], [B12, B22, B23], [B13, B23, B33]])
    if np.linalg.eigvalsh(omega)[0] <= 0:
        raise ValueError(
            "no camera explains these views: too much noise for their tilt (are boards nearly parallel?), "
            "or a board that is not flat or not of the shape given"
        )
    K = np.linalg.inv(N) @ np.linalg.inv(np.linalg.cholesky(omega).T)  # omega = K^-T K^-1
    return np.triu(K / K[2, 2])


def pose_from_homography(K: ArrayLike, H: ArrayLike) -> tuple[Array, Array]:
    """Compute the pose (R, t) of a plane from its homography and K, Eq. (14.11).

    The columns of ``K^-1 H`` are ``r1, r2, t`` up to one factor; the nearest rotation is taken, and
    of the two signs the one with the plane's origin in front of the camera.

    Parameters
    ----------
    K, H : array of shape (3, 3)
        ``H`` carries points of the plane Z = 0 to pixels.

    Returns
    -------
    R : ndarray of shape (3, 3)
    t : ndarray of shape (3,)
        In units of the plane's points.

    Raises
    ------
    ValueError
        If K or H is singular, or the plane's origin lies at depth 0.

    Examples
    --------
    >>> R, t = pose_from_homography(np.eye(3), np.diag([-1.0, -1.0, -4.0]))
    >>> np.diag(R).tolist(), (t + 0.0).tolist()
    ([1.0, 1.0, 1.0], [0.0, 0.0, 4.0])
    """
    R, t = _poses(require_transform(K, "K"), require_transform(H, "H")[None])
    return R[0], t[0]


def _poses(K: Array, Hs: Array) -> tuple[Array, Array]:
    """`pose_from_homography` for many: (M, 3, 3) to (M, 3, 3) and (M, 3)."""
    try:
        q = np.linalg.solve(K, Hs)
    except np.linalg.LinAlgError:
        raise ValueError("K is singular") from None
    size = np.linalg.norm(q[:, :, :2], axis=1).sum(axis=1)
    if np.any(np.abs(np.linalg.det(q)) <= 1e-15 * size**2 * np.linalg.norm(q[:, :, 2], axis=1)):
        raise ValueError("H is singular: it does not carry a plane onto a plane")
    if np.any(np.abs(q[:, 2, 2]) <= 1e-12 * np.linalg.norm(q[:, :, 2], axis=1)):
        raise ValueError("the plane's origin lies at depth 0: its pose cannot be told from its mirror image")
    q *= (2 * np.sign(q[:, 2, 2]) / size)[:, None, None]
    normal = np.cross(q[:, :, 0], q[:, :, 1])
    U, _, Vt = np.linalg.svd(np.stack([q[:, :, 0], q[:, :, 1], normal], axis=2))
    return U @ Vt, q[:, :, 2]


# --- everything at once, in pixels -----------------------------------------------------------


def lens_vector(K: ArrayLike, distortion: ArrayLike = (0, 0, 0, 0)) -> Array:
    """Put K and (k1, k2, p1, p2) into the order of `LENS`.

    Examples
    --------
    >>> lens_vector([[500, 0, 320], [0, 400, 240], [0, 0, 1]]).tolist()
    [500.0, 400.0, 0.0, 320.0, 240.0, 0.0, 0.0, 0.0, 0.0]
    """
    K = require_transform(K, "K")
    k = np.asarray(distortion, dtype=np.float64)
    if k.shape != (4,):
        raise ValueError(f"distortion must be (k1, k2, p1, p2), got shape {k.shape}")
    return np.array([K[0, 0], K[1, 1], K[0, 1], K[0, 2], K[1, 2], *k])


def predict_views(board: ArrayLike, lens: ArrayLike, rotations: ArrayLike, translations: ArrayLike) -> Array:
    """Compute where a camera sees a board's points in several poses, Eq. (14.13).

    Parameters
    ----------
    board : array of shape (N, 2)
        Points of the plane Z = 0.
    lens : array of shape (9,)
        In the order of `LENS`; see `lens_vector`.
    rotations, translations : array of shape (M, 3, 3) and (M, 3)
        Board to camera.

    Returns
    -------
    views : ndarray of shape (M, N, 2)

    Raises
    ------
    ValueError
        For wrong shapes, or a point that does not lie in front of the camera.

    Examples
    --------
    >>> lens = lens_vector(np.diag([100.0, 100.0, 1.0]))
    >>> predict_views([[1, 2]], lens, [np.eye(3)], [[0, 0, 10]])
    array([[[10., 20.]]])
    """
    board, lens, rotations, translations = _require_scene(board, lens, rotations, translations)
    q = board @ rotations[:, :, :2].transpose(0, 2, 1)
    if np.any((q + translations[:, None])[..., 2] <= 0):
        raise ValueError("a point of the board does not lie in front of the camera")
    return _project(lens, q + translations[:, None]).transpose(0, 2, 1)


def views_jacobian(board: ArrayLike, lens: ArrayLike, rotations: ArrayLike, translations: ArrayLike) -> Array:
    """Differentiate `predict_views` by the lens and by each view's pose, Eqs. (14.15) to (14.17).

    Returns
    -------
    J : ndarray of shape (M, N, 2, 15)
        By the nine numbers of `LENS`, a small turn w after R (``exp([w]x) R``) and t of that view.
    """
    board, lens, rotations, translations = _require_scene(board, lens, rotations, translations)
    q = board @ rotations[:, :, :2].transpose(0, 2, 1)
    return _derivatives(lens, q, q + translations[:, None])[1].transpose(0, 3, 2, 1)


def calibrate(board: ArrayLike, views: ArrayLike, terms: Sequence[str] = ("k1", "k2", "p1", "p2")) -> Calibration:
    """Estimate a camera and the poses of a flat board from pictures of it.

    Zhang's closed form gives the start; then Levenberg-Marquardt changes lens and poses together
    until the sum of the squared distances in pixels, Eq. (14.14), is least.

    Parameters
    ----------
    board : array of shape (N, 2)
        The board's points in its plane, in any unit; the translations have it too.
    views : array of shape (M, N, 2)
        Where the picture shows each of them, pixels.  M >= 2, or 3 with skew.
    terms : sequence of str
        Which of `TERMS` to estimate besides fx, fy, cx, cy; the others are 0.

    Returns
    -------
    Calibration

    Raises
    ------
    ValueError
        For wrong shapes, NaN (a corner that was not found), unknown terms, too few or degenerate
        views (see `intrinsics_from_homographies`), or if a focal length stays uncertain by more
        than 10 %: the boards then are nearly parallel.

    Notes
    -----
    The normal equations are solved by eliminating each pose: O(M), not O(M^3).  The covariance is
    ``sigma^2 (J^T J)^-1`` with sigma from the residuals, Eq. (14.20); it trusts the model.

    References
    ----------
    .. [1] Zhang, A flexible new technique for camera calibration, 2000, doi:10.1109/34.888718.
    .. [2] Marquardt, An algorithm for least-squares estimation of nonlinear parameters, 1963,
       doi:10.1137/0111030.

    Examples
    --------
    >>> R = [np.array([[1, 0, 0], [0, 0.6, -0.8], [0, 0.8, 0.6]]), np.array([[0.6, 0, 0.8], [0, 1, 0], [-0.8, 0, 0.6]])]
    >>> board, lens = board_points((4, 3)), [500, 400, 0, 320, 240, -0.1, 0, 0, 0]
    >>> calibrate(board, predict_views(board, lens, R, [[0, 0, 9], [0, 0, 8]])).K.round(4) + 0.0
    array([[500.,   0., 320.],
           [  0., 400., 240.],
           [  0.,   0.,   1.]])
    """
    board, views = as_points(board, 2, "board"), _require_views(views, board)
    unknown = set(terms) - set(TERMS)
    if isinstance(terms, str) or unknown:
        raise ValueError(f"terms must be a sequence of {TERMS}, got {terms!r}")
    free = np.array([name not in TERMS or name in terms for name in LENS])
    surplus = views.size - free.sum() - 6 * len(views)
    if surplus <= 0:
        raise ValueError(f"{views.size} coordinates are too few for {free.sum() + 6 * len(views)} unknowns")
    Hs = np.array([_board_homography(board, view, k) for k, view in enumerate(views)])
    K = intrinsics_from_homographies(Hs, "skew" in terms)

    def evaluate(state: tuple[Array, ...]) -> tuple[Array, Array] | None:
        lens, R, t = state
        q = board @ R[:, :, :2].transpose(0, 2, 1)
        return _residuals_and_jacobian(views, lens, q, q + t[:, None])

    def move(state: tuple[Array, ...], shared: Array, own: Array) -> tuple[Array, ...]:
        lens, R, t = state
        return lens + shared, _turns(own[:, :3]) @ R, t + own[:, 3:]

    start = (lens_vector(K), *_poses(K, Hs))
    (lens, R, t), residuals, inverse = _levenberg_marquardt(start, evaluate, move, free)
    covariance = inverse * np.sum(residuals**2) / surplus
    _require_certain(lens, covariance, R)
    return Calibration(intrinsics(lens), lens[5:], R, t, residuals.transpose(0, 2, 1), covariance)


def intrinsics(lens: ArrayLike) -> Array:
    """Take K out of the nine numbers of `LENS`."""
    fx, fy, skew, cx, cy = np.asarray(lens, dtype=np.float64)[:5]
    return np.array([[fx, skew, cx], [0, fy, cy], [0, 0, 1]])


def stereo_pose(board: ArrayLike, left: Calibration, right: Calibration) -> StereoPose:
    """Estimate how the right camera stands to the left one, from a board that both saw.

    Each view of the board gives a guess, Eq. (14.21); their mean is the start.  Then R, t and the
    boards' poses change together until the distances in both cameras' pictures are least, the lenses
    held fixed.

    Parameters
    ----------
    board : array of shape (N, 2)
    left, right : Calibration
        Of this board, view k of both taken at one moment.

    Returns
    -------
    StereoPose

    Raises
    ------
    ValueError
        If the two do not have the same number of views of this board, or the guesses disagree by
        more than 10 degrees: then the pictures are not pairs, or the corners are numbered from
        different ends.

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 18.1.
    """
    board = as_points(board, 2, "board")
    if left.residuals.shape != right.residuals.shape or left.residuals.shape[1] != len(board):
        raise ValueError(
            f"left and right must be calibrations from the same {len(board)} points and the same number of views, "
            f"got residuals of shapes {left.residuals.shape} and {right.residuals.shape}"
        )
    Rs = right.rotations @ left.rotations.transpose(0, 2, 1)  # Eq. (14.21)
    U, _, Vt = np.linalg.svd(Rs.mean(axis=0))
    R = U @ Vt
    _require_agreement(R, Rs)
    t = np.mean(right.translations - left.translations @ R.T, axis=0)
    views = [_seen(board, camera) for camera in (left, right)]

    def evaluate(state: tuple[Array, ...]) -> tuple[Array, Array] | None:
        return _stereo_residuals(board, views, (left.lens, right.lens), state)

    def move(state: tuple[Array, ...], shared: Array, own: Array) -> tuple[Array, ...]:
        R, t, Rs, ts = state
        return _turns(shared[None, :3])[0] @ R, t + shared[3:], _turns(own[:, :3]) @ Rs, ts + own[:, 3:]

    start = (R, t, left.rotations, left.translations)
    (R, t, *_), residuals, inverse = _levenberg_marquardt(start, evaluate, move, np.ones(6, bool))
    covariance = inverse * np.sum(residuals**2) / (residuals.size - 6 - 6 * len(Rs))
    return StereoPose(R, t, np.moveaxis(residuals.reshape(len(Rs), 2, 2, -1), (1, 3), (0, 2)), covariance)


# --- the machinery of the refinement ---------------------------------------------------------
# Inside, coordinates come first: views (M, 2, N), Jacobians (M, parameters, 2, N); rows stay contiguous.


def _project(lens: Array, X: Array) -> Array:
    """Camera-frame points (M, N, 3) to pixels (M, 2, N), Eq. (14.13)."""
    fx, fy, skew, cx, cy, k1, k2, p1, p2 = lens
    x, y = X[..., 0] / X[..., 2], X[..., 1] / X[..., 2]
    r2 = x * x + y * y
    s = 1 + r2 * (k1 + k2 * r2)
    xd = x * s + 2 * p1 * x * y + p2 * (r2 + 2 * x * x)
    yd = y * s + p1 * (r2 + 2 * y * y) + 2 * p2 * x * y
    return np.stack([fx * xd + skew * yd + cx, fy * yd + cy], axis=1)


def _derivatives(lens: Array, q: Array, X: Array) -> tuple[Array, Array]:
    """Pixels (M, 2, N) and their derivatives (M, 15, 2, N) by lens, turn and shift; q are the points before the shift."""
    fx, fy, skew, cx, cy, k1, k2, p1, p2 = lens
    z = 1 / X[..., 2]
    x, y = X[..., 0] * z, X[..., 1] * z
    xx, xy, yy = x * x, x * y, y * y
    r2 = xx + yy
    s, ds = 1 + r2 * (k1 + k2 * r2), 2 * k1 + 4 * k2 * r2
    xd = x * s + 2 * p1 * xy + p2 * (r2 + 2 * xx)
    yd = y * s + p1 * (r2 + 2 * yy) + 2 * p2 * xy
    J = np.zeros((len(X), 15, 2, X.shape[1]))
    J[:, 0, 0], J[:, 1, 1], J[:, 2, 0], J[:, 3, 0], J[:, 4, 1] = xd, yd, yd, 1, 1
    by_k1 = x * r2, y * r2
    columns = by_k1, (by_k1[0] * r2, by_k1[1] * r2), (2 * xy, r2 + 2 * yy), (r2 + 2 * xx, 2 * xy)
    for k, (dx, dy) in enumerate(columns, start=5):  # Eq. (14.15)
        J[:, k, 0], J[:, k, 1] = fx * dx + skew * dy, fy * dy
    a, b, c = s + xx * ds, xy * ds, s + yy * ds  # Eq. (14.16): [[a, b], [b, c]] is distortion's own Jacobian
    if p1 or p2:
        a, b, c = a + 2 * p1 * y + 6 * p2 * x, b + 2 * p1 * x + 2 * p2 * y, c + 6 * p1 * y + 2 * p2 * x
    D = J[:, 12:]
    D[:, 0, 0], D[:, 1, 0] = (fx * a + skew * b) * z, (fx * b + skew * c) * z
    D[:, 0, 1], D[:, 1, 1] = fy * b * z, fy * c * z
    D[:, 2] = -(D[:, 0] * x[:, None] + D[:, 1] * y[:, None])
    J[:, 9:12] = _turned(q, D)
    return np.stack([fx * xd + skew * yd + cx, fy * yd + cy], axis=1), J


def _turned(q: Array, D: Array) -> Array:
    """Derivatives by a small turn of the points q, ``q x D``, from those by a shift, Eq. (14.17)."""
    q0, q1, q2 = np.moveaxis(q, 2, 0)[:, :, None]
    return np.stack([q1 * D[:, 2] - q2 * D[:, 1], q2 * D[:, 0] - q0 * D[:, 2], q0 * D[:, 1] - q1 * D[:, 0]], axis=1)


def _residuals_and_jacobian(views: Array, lens: Array, q: Array, X: Array) -> tuple[Array, Array] | None:
    """Measured minus predicted, and the derivatives of the predicted; None if a point is behind the camera."""
    if X[..., 2].min() <= 0:
        return None
    predicted, J = _derivatives(lens, q, X)
    return views.transpose(0, 2, 1) - predicted, J


def _stereo_residuals(board: Array, views: list[Array], lenses: tuple[Array, Array], state: Any) -> Any:
    """Residuals (M, 4, N) of both cameras, and derivatives (M, 12, 4, N) by R, t and the board's pose."""
    R, t, Rs, ts = state
    q = board @ Rs[:, :, :2].transpose(0, 2, 1)
    X = q + ts[:, None]
    turned = X @ R.T
    first = _residuals_and_jacobian(views[0], lenses[0], q, X)
    second = _residuals_and_jacobian(views[1], lenses[1], turned, turned + t)
    if first is None or second is None:
        return None
    J = np.zeros((len(Rs), 12, 4, len(board)))
    J[:, 6:, :2], J[:, :6, 2:] = first[1][:, 9:], second[1][:, 9:]
    D = np.einsum("mkin,kl->mlin", second[1][:, 12:], R)  # by a shift of the board, seen from the left camera
    J[:, 6:9, 2:], J[:, 9:, 2:] = _turned(q, D), D
    return np.concatenate([first[0], second[0]], axis=1), J


def _turns(w: Array) -> Array:
    """Rotation matrices (M, 3, 3) of small turns (M, 3), by Rodrigues' formula."""
    angle = np.linalg.norm(w, axis=1)[:, None, None] + 1e-300
    skew = np.zeros((len(w), 3, 3))
    skew[:, 2, 1], skew[:, 0, 2], skew[:, 1, 0] = w.T
    skew = (skew - skew.transpose(0, 2, 1)) / angle
    return np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * (skew @ skew)


Evaluate = Callable[[tuple[Array, ...]], tuple[Array, Array] | None]


def _levenberg_marquardt(
    state: tuple[Array, ...], evaluate: Evaluate, move: Callable[..., tuple[Array, ...]], free: Array
) -> tuple[tuple[Array, ...], Array, Array]:
    """Minimise the squared residuals over shared numbers and each view's own six, Eq. (14.18).

    `evaluate` gives residuals and derivatives of a state (None where it is impossible), `move` the
    state after a step.  Returns the best state, its residuals and the inverse of the shared block of
    ``J^T J``, with zeros for what is not `free`.
    """
    found = evaluate(state)
    if found is None:
        raise ValueError("the first guess puts a board behind the camera")
    cost, damping = float(np.sum(found[0] ** 2)), 1e-5
    blocks = _normal_blocks(*found, free)
    for _ in range(60):
        shared, own = _step(blocks, damping)
        step = np.zeros(len(free))
        step[free] = shared
        trial = move(state, step, own)
        tried = evaluate(trial)
        now = np.inf if tried is None else float(np.sum(tried[0] ** 2))
        if tried is None or not now <= cost:
            damping *= 10
            if damping > 1e10:
                break
            continue
        settled = cost - now <= 1e-8 * now or now <= 1e-20 * tried[0].size
        state, found, cost, damping = trial, tried, now, damping / 10
        blocks = _normal_blocks(*found, free)
        if settled:
            break
    inverse = np.zeros((len(free), len(free)))
    try:
        inverse[np.ix_(free, free)] = np.linalg.inv(_reduced(*blocks[:3])[0])
    except np.linalg.LinAlgError:
        raise ValueError("the views do not determine all unknowns: leave terms out or add tilted views") from None
    return state, found[0], inverse


def _normal_blocks(residuals: Array, J: Array, free: Array) -> tuple[Array, Array, Array, Array, Array]:
    """The blocks of ``J^T J`` and ``J^T r``, Eq. (14.18): U, W, V, and the two right sides."""
    M = len(J)
    rows = J.reshape(M, J.shape[1], -1)
    kept = np.r_[free, np.ones(J.shape[1] - len(free), bool)]
    rows, p = rows if kept.all() else rows[:, kept], int(free.sum())
    products, right = rows @ rows.transpose(0, 2, 1), (rows @ residuals.reshape(M, -1, 1))[..., 0]
    return (
        products[:, :p, :p].sum(axis=0),
        products[:, p:, :p],
        products[:, p:, p:],
        right[:, :p].sum(axis=0),
        right[:, p:],
    )


def _step(blocks: tuple[Array, ...], damping: float) -> tuple[Array, Array]:
    """Solve the damped normal equations: first the shared numbers, Eq. (14.19), then each pose."""
    U, W, V, g, h = blocks
    U, V = U.copy(), V.copy()
    U[np.diag_indices(len(U))] *= 1 + damping
    k = np.arange(V.shape[1])
    V[:, k, k] *= 1 + damping
    S, solved = _reduced(U, W, V, h)
    shared = np.linalg.solve(S, g - np.einsum("mkp,mk->p", W, solved[..., -1]))
    return shared, solved[..., -1] - solved[..., :-1] @ shared


def _reduced(U: Array, W: Array, V: Array, h: Array | None = None) -> tuple[Array, Array]:
    """The Schur complement ``U - sum W^T V^-1 W``, and ``V^-1 [W h]``."""
    sides = W if h is None else np.concatenate([W, h[..., None]], axis=2)
    solved = np.linalg.solve(V, sides)
    return U - np.einsum("mkp,mkq->pq", W, solved[..., : W.shape[2]]), solved


# --- the corners of a chessboard -------------------------------------------------------------


def find_board(image: Array, shape: tuple[int, int] = (9, 6)) -> Array:
    """Find a chessboard's inner corners, in order, to a fraction of a pixel.

    Harris corners, Eq. (4.9), at which the brightness turns black, white, black, white around the
    point; from one of them a lattice grows along the edges; then each corner moves to where its
    edges meet, Eq. (4.15).

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    shape : tuple of int
        (columns, rows) of inner corners, each >= 3.

    Returns
    -------
    corners : ndarray of shape (columns * rows, 2), float64
        (x, y), in the order of `board_points`: never mirrored, the first square dark.  If columns
        and rows are both odd or both even several orders begin so; the first corner then is the one
        nearest to the image's upper left.

    Raises
    ------
    TypeError, ValueError
        For what is no gray image; if no board of this shape is found whole, with what was found.

    Notes
    -----
    Squares should be 10 pixels or more, and the white margin be visible.  No part of the board may be hidden.

    References
    ----------
    .. [1] Geiger et al., Automatic camera and range sensor calibration using a single shot, 2012,
       doi:10.1109/ICRA.2012.6224570.
    """
    image, (columns, rows) = require_image(image, gray=True), _require_shape(shape)
    smooth = gaussian(image, 1.0)
    points, directions = _crossings(smooth)
    best: dict[tuple[int, int], int] = {}
    for seed in _seeds(points):
        lattice = _grow(points, directions, seed)
        best = max(best, lattice, key=len)
        grid = _as_grid(lattice, {(columns, rows), (rows, columns)})
        if grid is not None:
            found = _refined(image, points[grid])
            return _ordered(smooth, found, (columns, rows))
    size = f"; its lattice is {_extent(best)}" if best else ""
    raise ValueError(
        f"no whole board of {columns} x {rows} inner corners: the largest piece found has {len(best)} of "
        f"{columns * rows}{size}. Is it hidden, cut off, blurred, or of another shape?"
    )


def _crossings(smooth: Array) -> tuple[Array, Array]:
    """Corners (N, 2) where two dark squares meet two bright ones, and the two edges' directions (N, 2, 2)."""
    peaks = corners.find_peaks(corners.harris_response(smooth, sigma=2.5), size=7, threshold=2e-3, margin=RING + 1)
    if len(peaks) == 0:
        return np.zeros((0, 2)), np.zeros((0, 2, 2))
    peaks = corners.refine_corners(smooth, peaks, sigma_w=2.5)  # Harris peaks lie up to 2 pixels beside a crossing
    angle = np.arange(32) * (np.pi / 16)
    x, y = peaks[:, :1] + RING * np.cos(angle), peaks[:, 1:] + RING * np.sin(angle)
    power = np.abs(np.fft.rfft(sampling.sample(smooth, x, y), axis=1)) ** 2  # by the number of waves around
    total = power[:, 1:].sum(axis=1)
    alternates = (power[:, 2] > 0.4 * total) & (power[:, 1::2].sum(axis=1) < 0.2 * total)
    peaks = _one_each(peaks[alternates & (total > 0.02 * total.max())])
    col, row = np.floor(peaks + 0.5).astype(int).T
    Hxx, Hxy, Hyy = (second[row, col] for second in _hessian(smooth))
    half, twist = (Hxx - Hyy) / 2, np.hypot((Hxx - Hyy) / 2, Hxy)
    ratio = np.clip(-(Hxx + Hyy) / 2 / np.maximum(twist, 1e-12), -1, 1)
    middle, apart = np.arctan2(Hxy, half) / 2, np.arccos(ratio) / 2  # d^T H d = 0 at middle +- apart
    both = np.stack([middle - apart, middle + apart], axis=1)
    return peaks, np.stack([np.cos(both), np.sin(both)], axis=-1)


def _one_each(points: Array) -> Array:
    """Leave out points within 3 pixels of an earlier one."""
    near = np.hypot(*np.moveaxis(points[:, None] - points, 2, 0)) < 3
    return points[~np.any(np.tril(near, -1), axis=1)]


def _hessian(smooth: Array) -> tuple[Array, Array, Array]:
    Iy, Ix = np.gradient(gaussian(smooth, 1.5))
    (Ixy, Ixx), Iyy = np.gradient(Ix), np.gradient(Iy, axis=0)
    return Ixx, Ixy, Iyy


def _seeds(points: Array) -> Array:
    """Corners to begin with: the ones in the middle of all."""
    if len(points) == 0:
        return np.zeros(0, int)
    return np.argsort(np.sum((points - np.median(points, axis=0)) ** 2, axis=1))[:12]


def _grow(points: Array, directions: Array, seed: int) -> dict[tuple[int, int], int]:
    """Number the corners that continue a lattice from a seed: {(column, row): index}."""
    lattice = {(0, 0): int(seed)}
    offset = points - points[seed]
    distance = np.hypot(*offset.T)
    for k, place in enumerate([(1, 0), (0, 1)]):
        along = np.abs(offset @ directions[seed, k]) > 0.95 * distance
        candidates = np.flatnonzero(along & (distance > 0))
        if len(candidates) == 0:
            return lattice
        lattice[place] = int(candidates[np.argmin(distance[candidates])])
    waiting = list(lattice)
    while waiting:
        place = waiting.pop(0)
        for dc, dr in [(1, 0), (0, 1), (-1, 0), (0, -1)]:
            target = place[0] + dc, place[1] + dr
            step = None if target in lattice else _expected_step(points, lattice, place, (dc, dr))
            if step is None:
                continue
            miss = np.hypot(*(points - points[lattice[place]] - step).T)
            nearest = int(np.argmin(miss))
            if miss[nearest] < 0.25 * np.hypot(*step) and nearest not in lattice.values():
                lattice[target] = nearest
                waiting += [target, *(p for p in _around(target) if p in lattice)]
    return lattice


def _around(place: tuple[int, int]) -> list[tuple[int, int]]:
    return [(place[0] + dc, place[1] + dr) for dc in (-1, 0, 1) for dr in (-1, 0, 1) if dc or dr]


def _expected_step(
    points: Array, lattice: dict[tuple[int, int], int], place: tuple[int, int], way: tuple[int, int]
) -> Array | None:
    """The vector to a neighbour that isn't known yet: as long as the step before, or as one beside it."""
    (column, row), (dc, dr) = place, way
    for shift in [(-dc, -dr), (dr, dc), (-dr, -dc)]:
        start = column + shift[0], row + shift[1]
        end = start[0] + dc, start[1] + dr
        if start in lattice and end in lattice:
            return points[lattice[end]] - points[lattice[start]]
    return None


def _as_grid(lattice: dict[tuple[int, int], int], shapes: set[tuple[int, int]]) -> Array | None:
    """The lattice as an array (rows, columns) of indices, if it is a whole rectangle of one of the shapes."""
    places = np.array(list(lattice))
    places -= places.min(axis=0)
    full = np.full(places.max(axis=0)[::-1] + 1, -1)
    full[places[:, 1], places[:, 0]] = list(lattice.values())
    while full.size and (full < 0).any():  # a stray corner outside makes a nearly empty row or column
        row_share, column_share = (full >= 0).mean(axis=1), (full >= 0).mean(axis=0)
        if min(row_share[0], row_share[-1]) <= min(column_share[0], column_share[-1]):
            share, full = min(row_share[0], row_share[-1]), full[1:] if row_share[0] <= row_share[-1] else full[:-1]
        else:
            share = min(column_share[0], column_share[-1])
            full = full[:, 1:] if column_share[0] <= column_share[-1] else full[:, :-1]
        if share > 0.5:
            return None
    return full if full.shape[::-1] in shapes else None


def _extent(lattice: dict[tuple[int, int], int]) -> str:
    columns, rows = (1 + np.ptp(list(lattice), axis=0)).tolist()
    return f"{columns} x {rows}"


def _refined(image: Array, grid: Array) -> Array:
    """Sub-pixel corners (rows, columns, 2); the window holds one corner of the smallest square."""
    side = min(np.hypot(*np.moveaxis(np.diff(grid, axis=k), 2, 0)).min() for k in (0, 1))
    sigma = float(np.clip(side / 5, 1.5, 4.0))
    return corners.refine_corners(image, grid.reshape(-1, 2), sigma_w=sigma).reshape(grid.shape)


def _ordered(smooth: Array, grid: Array, shape: tuple[int, int]) -> Array:
    """The corners row by row: not mirrored, of the shape asked for, the first square dark."""
    ways = [np.rot90(g, k) for g in (grid, grid.transpose(1, 0, 2)) for k in range(4)]
    candidates = []
    for way in ways:
        right, down = way[0, -1] - way[0, 0], way[-1, 0] - way[0, 0]
        if way.shape[1::-1] == shape and right[0] * down[1] - right[1] * down[0] > 0:
            first, second = way[:2, :2].mean(axis=(0, 1)), way[:2, 1:3].mean(axis=(0, 1))
            bright = sampling.sample(smooth, *first) > sampling.sample(smooth, *second)
            candidates.append((bool(bright), float(way[0, 0].sum()), way))
    return min(candidates, key=lambda c: c[:2])[2].reshape(-1, 2)


# --- at the door -----------------------------------------------------------------------------


def _require_shape(shape: Any) -> tuple[int, int]:
    columns, rows = (int(n) for n in shape)
    if (columns, rows) != tuple(shape) or min(columns, rows) < 2:
        raise ValueError(f"shape is (columns, rows) of inner corners, each a whole number >= 2; got {shape}")
    return columns, rows


def _require_views(views: ArrayLike, board: Array) -> Array:
    views = np.array(views, dtype=np.float64)
    if views.ndim != 3 or views.shape[1:] != board.shape:
        raise ValueError(f"views must have shape (M, {len(board)}, 2), one row for each board point; got {views.shape}")
    lost = ~np.isfinite(views).all(axis=2)
    if lost.any():
        k = int(np.argmax(lost.any(axis=1)))
        raise ValueError(f"view {k} has {int(lost[k].sum())} corners that were not found (NaN): leave that view out")
    return views


def _require_scene(board: Any, lens: Any, rotations: Any, translations: Any) -> tuple[Array, Array, Array, Array]:
    board, translations = as_points(board, 2, "board"), as_points(translations, 3, "translations")
    lens, rotations = np.array(lens, dtype=np.float64), np.array(rotations, dtype=np.float64)
    if lens.shape != (9,):
        raise ValueError(f"a lens is nine numbers, {LENS}; got shape {lens.shape}")
    if rotations.shape != (len(translations), 3, 3):
        raise ValueError(f"{len(translations)} translations need as many rotations, got shape {rotations.shape}")
    return board, lens, rotations, translations


def _board_homography(board: Array, view: Array, k: int) -> Array:
    try:
        return fit_homography(board, view)
    except ValueError as reason:
        raise ValueError(f"view {k}: {reason}") from None


def _pixel_frame(Hs: Array) -> Array:
    """Scale and shift that bring the boards' pixels near (0, 0) and (1, 1), from the homographies alone."""
    origins = Hs[:, :2, 2] / Hs[:, 2:, 2]
    size = np.median(np.abs(origins)) if np.isfinite(origins).all() else 0.0
    scale = 1 / size if size > 0 else 1.0
    N = np.diag([scale, scale, 1.0])
    N[:2, 2] = -scale * origins.mean(axis=0) if np.isfinite(origins).all() else 0.0
    return N


def _require_certain(lens: Array, covariance: Array, rotations: Array) -> None:
    variance = np.diag(covariance)[:2]
    share = np.sqrt(np.where(variance > 0, variance, np.inf)) / np.abs(lens[:2])
    if lens[:2].min() <= 0 or not (share < LOOSE).all():
        normals = rotations[:, :, 2]
        apart = np.rad2deg(np.arccos(np.clip(normals @ normals.T, -1, 1))).max()
        raise ValueError(
            f"the focal length stays uncertain by {min(100 * share.max(), 999):.0f} %: the boards' planes differ by at most "
            f"{apart:.1f} degrees; tilt the board by 20 or more, about two axes"
        )


def _require_agreement(R: Array, Rs: Array) -> None:
    off = np.rad2deg(np.arccos(np.clip((np.einsum("ij,mij->m", R, Rs) - 1) / 2, -1, 1)))
    if not (off < 10).all():
        raise ValueError(
            f"the views disagree about the turn between the cameras (view {int(np.argmax(off))} by {off.max():.0f} "
            "degrees): are the pictures pairs, and the corners numbered from the same end in both?"
        )


def _seen(board: Array, camera: Calibration) -> Array:
    """The corners as they were measured."""
    return predict_views(board, camera.lens, camera.rotations, camera.translations) + camera.residuals

"""Single-view metrology: lines, vanishing points, the horizon, and what they measure in one photograph.

Lines are (a, b, c) with ``a x + b y + c = 0`` and a unit normal (a, b); points that may lie at infinity
are homogeneous (3,) vectors of length 1.  Segments are (N, 2, 2): segment, end, (x, y).
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from cvcourse.cameras import require_intrinsics
from cvcourse.compiled import SERIAL
from cvcourse.edges import edge_points, gaussian_gradient, hysteresis, non_maximum_suppression
from cvcourse.homogeneous import as_points, normalizer, null_vector, random_generator, to_homogeneous
from cvcourse.images import Array, require_image
from cvcourse.ransac import Estimator, ransac

SAME = 1e-9  # sine of the angle between two homogeneous vectors, sizes near 1, below which they are one
SCALE = np.array([1e-3, 1e-3, 1.0])  # pixels to a unit in which the coordinates of most pictures are near 1
REWEIGHTINGS = 6  # the weights of Eq. (13.5) settle after three or four
STEP = 1e-3  # pixels: half the step of the central differences of Eq. (13.13)


class VanishingPoint(NamedTuple):
    """A point ``v`` of shape (3,), homogeneous, and which segments point at it, (N,) bool."""

    v: Array
    inliers: Array


class Height(NamedTuple):
    """A height in units of the reference, and its standard deviation; see `measure_height`."""

    value: float
    std: float


# ---------------------------------------------------------------------------------------------
# Points and lines


def line_through(p: ArrayLike, q: ArrayLike) -> Array:
    """Join two points by a line: the cross product l = p x q, Eq. (13.1).

    Parameters
    ----------
    p, q : array of shape (2,) or (3,)
        In (x, y), or homogeneous, where the last coordinate 0 is a direction.

    Returns
    -------
    line : ndarray of shape (3,)
        With a unit normal, so that ``line @ (x, y, 1)`` is a signed distance in pixels; (0, 0, 1)
        where both points lie at infinity.

    Raises
    ------
    ValueError
        If the points coincide; for another shape, NaN, infinity or (0, 0, 0).

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 2.2.1.

    Examples
    --------
    >>> line_through((0, 3), (5, 3)) + 0.0
    array([ 0.,  1., -3.])
    """
    p, q = _homogeneous(p, "p"), _homogeneous(q, "q")
    return _join(p, q, "the two points coincide: many lines go through them")


def intersection(line1: ArrayLike, line2: ArrayLike) -> Array:
    """Cut two lines: the cross product x = l1 x l2, Eq. (13.2).

    Parameters
    ----------
    line1, line2 : array of shape (3,)

    Returns
    -------
    point : ndarray of shape (3,)
        Homogeneous, of length 1; its last coordinate is 0 where the lines are parallel: see `to_pixel`.

    Raises
    ------
    ValueError
        If the lines are one; for another shape, NaN, infinity or (0, 0, 0).

    Examples
    --------
    >>> to_pixel(intersection((0, 1, -3), (1, 0, -2)))
    array([2., 3.])
    """
    l1, l2 = (_unit_line(_homogeneous(line, name)) for line, name in ((line1, "line1"), (line2, "line2")))
    return _fixed(_cross_apart(l1 / SCALE, l2 / SCALE, "the two lines are one: they meet everywhere") / SCALE)


def to_pixel(point: ArrayLike) -> Array:
    """Give the pixel (x, y) of a homogeneous point that is not at infinity.

    Raises
    ------
    ValueError
        If it lies at infinity: the lines through it are parallel in the image.

    Examples
    --------
    >>> to_pixel((4, 6, 2))
    array([2., 3.])
    """
    point = _homogeneous(point, "the point")
    if is_at_infinity(point):
        raise ValueError(
            f"the point lies at infinity, in direction {(point[:2] / np.linalg.norm(point[:2])).round(4)}: "
            "its lines are parallel in the image and it has no pixel"
        )
    return point[:2] / point[2]


def is_at_infinity(point: ArrayLike) -> bool:
    """Tell whether a homogeneous point is so far out (a million pictures) that it has only a direction.

    Examples
    --------
    >>> is_at_infinity((1, 0, 0)), is_at_infinity((5000, 0, 1))
    (True, False)
    """
    point = _homogeneous(point, "the point")
    x, y, w = point * SCALE
    return bool(abs(w) <= 1e-6 * np.hypot(x, y))


# ---------------------------------------------------------------------------------------------
# Segments


def detect_segments(image: Array, sigma: float = 1.0, contrast: float = 0.03, min_length: float = 20.0) -> Array:
    """Find straight segments: edge pixels whose gradients point the same way, joined and fitted by a line.

    Edges of one pixel's width are found as in lecture 02 and placed to a fraction of a pixel.  From the
    strongest outwards, neighbours join as long as their gradient is within 22.5 degrees of the
    segment's mean; each group's line is its principal axis.

    Parameters
    ----------
    image : ndarray of shape (H, W)
        Gray, floating point.
    sigma : float
        Smoothing of the gradient, in pixels.
    contrast : float
        Least gradient that starts an edge, brightness per pixel; it goes on down to half of that.
    min_length : float
        Shortest segment, in pixels, >= 2.

    Returns
    -------
    segments : ndarray of shape (N, 2, 2)
        Longest first; of the two sides of an edge the brighter lies on the right of the way from
        the first end to the second, as seen on the screen.

    Raises
    ------
    TypeError, ValueError
        For integer or colour images, NaN, a contrast or length out of range.

    Notes
    -----
    Groups whose points scatter by more than 0.6 pixels about their line are dropped: arcs.

    References
    ----------
    .. [1] Grompone von Gioi et al., LSD: a line segment detector, 2012, doi:10.5201/ipol.2012.gjmr-lsd.

    Examples
    --------
    >>> image = np.zeros((40, 40))
    >>> image[:, 20:] = 1.0
    >>> detect_segments(image)[0].round(2)
    array([[19.5, 38. ],
           [19.5,  1. ]])
    """
    image = require_image(image, gray=True)
    if not contrast > 0 or not min_length >= 2:
        raise ValueError(f"contrast must be positive and min_length >= 2, got {contrast} and {min_length}")
    Ix, Iy = gaussian_gradient(image, sigma)
    magnitude = np.sqrt(Ix * Ix + Iy * Iy)
    edges = hysteresis(non_maximum_suppression(magnitude, Ix, Iy), contrast / 2, contrast)
    rows, columns = map(np.ascontiguousarray, np.nonzero(edges))
    strength = magnitude[edges].astype(np.float64)
    direction = np.stack([Ix[edges], Iy[edges]], axis=1).astype(np.float64) / strength[:, None]
    index = np.full(edges.shape, -1)
    index[edges] = np.arange(len(rows))
    labels, count = _grow_loop(index, rows, columns, direction, np.argsort(-strength, kind="stable"))
    if count == 0:
        return np.empty((0, 2, 2))
    return _fit_groups(edge_points(edges, magnitude, Ix, Iy), direction, labels, count, min_length)


def _fit_groups(points: Array, direction: Array, labels: Array, count: int, min_length: float) -> Array:
    """Principal axis and ends of each group of points that is long and straight."""
    found = []
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(count + 1))
    for k in np.flatnonzero(np.diff(starts) >= 0.7 * min_length):
        members = order[starts[k] : starts[k + 1]]
        mean = points[members].mean(axis=0)
        centered = points[members] - mean
        (small, _), axes = np.linalg.eigh(centered.T @ centered / len(members))
        u, g = axes[:, 1], direction[members].sum(axis=0)
        u = u * np.sign(g[1] * u[0] - g[0] * u[1] or 1.0)  # the gradient points to the right of u
        along = centered @ u
        if np.ptp(along) >= min_length and small <= 0.6**2:
            found.append(mean + np.outer([along.min(), along.max()], u))
    segments = np.array(found).reshape(-1, 2, 2)
    return segments[np.argsort(-_lengths(segments), kind="stable")]


@njit(**SERIAL)
def _grow_loop(index, rows, columns, direction, order):
    """Number the groups of edge pixels: neighbours whose gradients agree with the mean of their group."""
    labels, stack = np.full(rows.size, -1), np.empty(rows.size, np.int64)
    count = 0
    for seed in order:
        if labels[seed] >= 0:
            continue
        labels[seed], stack[0], top = count, seed, 1
        gx, gy = direction[seed, 0], direction[seed, 1]
        while top > 0:
            top -= 1
            row, column = rows[stack[top]], columns[stack[top]]
            for r in range(max(row - 1, 0), min(row + 2, index.shape[0])):
                for c in range(max(column - 1, 0), min(column + 2, index.shape[1])):
                    k = index[r, c]
                    if k < 0 or labels[k] >= 0:
                        continue
                    agreement = gx * direction[k, 0] + gy * direction[k, 1]
                    if agreement > 0.9239 * np.sqrt(gx * gx + gy * gy):  # cos 22.5 degrees
                        labels[k], stack[top] = count, k
                        top += 1
                        gx, gy = gx + direction[k, 0], gy + direction[k, 1]
        count += 1
    return labels, count


# ---------------------------------------------------------------------------------------------
# Vanishing points


def fit_vanishing_point(segments: ArrayLike) -> Array:
    """Find the point at which segments aim, by least squares: a smallest eigenvector, Eqs. (13.4) and (13.5).

    What is made small is how far each segment's ends lie off the line from its middle to the point.

    Parameters
    ----------
    segments : array of shape (N, 2, 2)
        Images of lines that are parallel in the world, N >= 2.

    Returns
    -------
    v : ndarray of shape (3,)
        Homogeneous, of length 1; ``v[2]`` is near 0 where the segments are parallel in the image.

    Raises
    ------
    ValueError
        For fewer than two segments, one of no length, or all on one line.

    References
    ----------
    .. [1] Szeliski, Computer Vision, 2nd ed., 2022, section 7.4.3.

    Examples
    --------
    >>> to_pixel(fit_vanishing_point([[(0, 0), (1, 1)], [(9, 0), (8, 1)]])).round(9)
    array([4.5, 4.5])
    """
    segments = _require_segments(segments, 2)
    T = normalizer(segments.reshape(-1, 2))
    ends = to_homogeneous(segments.reshape(-1, 2)) @ T.T
    first, last = ends[::2], ends[1::2]
    middle = (first + last) / 2
    lines = np.cross(first, middle)  # its normal has half the segment's length: long ones count more
    v, s = null_vector(lines)
    if s[1] <= 1e-6 * s[0]:
        raise ValueError("all segments lie on one line: every point of it is where they meet")
    for _ in range(REWEIGHTINGS):
        aim = np.cross(middle, v)[:, :2]
        v, _ = null_vector(lines / np.maximum(np.linalg.norm(aim, axis=1), 1e-9)[:, None])
    return _fixed(np.linalg.solve(T, v))


def vanishing_point_errors(v: ArrayLike, segments: ArrayLike) -> Array:
    """Measure how far each segment's ends lie off the line from its middle to v, in pixels, Eq. (13.5).

    Parameters
    ----------
    v : array of shape (3,)
        Homogeneous; it may lie at infinity.
    segments : array of shape (N, 2, 2)

    Returns
    -------
    errors : ndarray of shape (N,)
        Half the length of a segment is the most: that of one that looks across.

    Examples
    --------
    >>> vanishing_point_errors((1, 0, 0), [[(0, 0), (100, 2)]]).round(3)
    array([1.])
    """
    v, segments = _homogeneous(v, "v"), _require_segments(segments, 1)
    middle = to_homogeneous(segments.mean(axis=1))
    aim = np.cross(middle, v)
    length = np.linalg.norm(aim[:, :2], axis=1)
    off = np.abs(np.sum(aim * to_homogeneous(segments[:, 0]), axis=1))
    return np.where(length > 0, off / np.where(length > 0, length, 1.0), 0.0)


def find_vanishing_points(
    segments: ArrayLike, count: int = 3, *, threshold: float = 1.0, rng: np.random.Generator | int
) -> list[VanishingPoint]:
    """Find several vanishing points among mixed segments by RANSAC, the best supported first.

    Two segments fix a point; those that aim at it vote for it.  The winner's segments are refitted
    and taken away, and the search goes on among the rest.

    Parameters
    ----------
    segments : array of shape (N, 2, 2)
    count : int
        How many points to look for; fewer come back when fewer than three segments agree.
    threshold : float
        Largest error of a segment, in pixels; see `vanishing_point_errors`.
    rng : Generator or int

    Returns
    -------
    list of VanishingPoint
        Each with ``inliers`` over all N segments; no segment belongs to two points.

    Raises
    ------
    ValueError
        For fewer than two segments, or if no three of them aim at one point.

    References
    ----------
    .. [1] Fischler & Bolles, Random sample consensus, 1981, doi:10.1145/358669.358692.
    """
    segments, rng = _require_segments(segments, 2), random_generator(rng)
    left, found = np.arange(len(segments)), list[VanishingPoint]()
    while len(found) < count and len(left) >= 3:
        try:
            best = ransac(segments[left, 0], segments[left, 1], SEGMENTS, threshold, rng=rng, max_rounds=2000)
        except ValueError:
            break
        if best.inliers.sum() < 3:
            break
        inliers = np.zeros(len(segments), dtype=bool)
        inliers[left[best.inliers]] = True
        found.append(VanishingPoint(best.model, inliers))
        left = left[~best.inliers]
    if not found:
        raise ValueError(f"no three of the {len(segments)} segments aim at one point within {threshold} px")
    return found


def _fit_pairs(src: Array, dst: Array) -> Array:
    return fit_vanishing_point(np.stack([src, dst], axis=1))


def _errors_of_pairs(v: Array, src: Array, dst: Array) -> Array:
    return vanishing_point_errors(v, np.stack([src, dst], axis=1))


SEGMENTS = Estimator(_fit_pairs, _errors_of_pairs, 2)
"""For `ransac.ransac`: first and last ends of segments are the pairs, a vanishing point is the model."""


# ---------------------------------------------------------------------------------------------
# The camera


def horizon(v1: ArrayLike, v2: ArrayLike) -> Array:
    """Join the vanishing points of two directions of a plane: its vanishing line l = v1 x v2, Eq. (13.6).

    Parameters
    ----------
    v1, v2 : array of shape (3,)
        Homogeneous.

    Returns
    -------
    line : ndarray of shape (3,)
        With a unit normal; (0, 0, 1) where the plane is parallel to the image.

    Raises
    ------
    ValueError
        If both are one point: one direction has no plane.
    """
    v1, v2 = _homogeneous(v1, "v1"), _homogeneous(v2, "v2")
    return _join(v1, v2, "the two vanishing points coincide: one direction has no horizon")


def focal_from_vanishing_points(v1: ArrayLike, v2: ArrayLike, center: ArrayLike) -> float:
    """Find the focal length from two directions at right angles: f**2 = -(v1 - c) . (v2 - c), Eq. (13.8).

    Parameters
    ----------
    v1, v2 : array of shape (3,)
        Homogeneous, both finite.
    center : array of shape (2,)
        The principal point, in pixels; often the image's middle.

    Returns
    -------
    f : float
        In pixels.

    Raises
    ------
    ValueError
        If a point lies at infinity, for then every f will do; or if the points are not on opposite
        sides of the centre: no camera sees right angles so.

    References
    ----------
    .. [1] Caprile & Torre, Using vanishing points for camera calibration, 1990, doi:10.1007/BF00127813.

    Examples
    --------
    >>> focal_from_vanishing_points((-900, 0, 1), (400, 0, 1), (0, 0))
    600.0
    """
    middle = to_pixel(_homogeneous(center, "center"))
    product = float((to_pixel(v1) - middle) @ (to_pixel(v2) - middle))
    if product >= 0:
        raise ValueError(
            f"(v1 - c) . (v2 - c) = {product:.4g}, but minus it is f squared: these are not vanishing points "
            f"of directions at right angles, or {middle} is not the principal point"
        )
    return float(np.sqrt(-product))


def rotation_from_vanishing_points(v1: ArrayLike, v2: ArrayLike, K: ArrayLike) -> Array:
    """Find how the camera is turned: column i of R is K^-1 v_i, Eq. (13.9).

    Parameters
    ----------
    v1, v2 : array of shape (3,)
        Of the world's x and y axes, at right angles.
    K : array of shape (3, 3)

    Returns
    -------
    R : ndarray of shape (3, 3)
        World to camera, the rotation nearest to the measured directions.  A vanishing point does not
        tell a direction from its opposite: here x and y lead away from the camera, and z is x cross y.

    Raises
    ------
    ValueError
        If the two directions are within 1 degree of each other; if K holds no intrinsics.
    """
    K = require_intrinsics(K)
    d = np.linalg.solve(K, np.stack([_homogeneous(v1, "v1"), _homogeneous(v2, "v2")], axis=1))
    d /= np.linalg.norm(d, axis=0)
    d *= np.where(np.abs(d[2]) > 1e-9, np.sign(d[2]), 1.0)
    z = np.cross(d[:, 0], d[:, 1])
    if np.linalg.norm(z) < np.sin(np.deg2rad(1)):
        raise ValueError("the two vanishing points belong to one direction: they fix no rotation")
    U, _, Vt = np.linalg.svd(np.column_stack([d, z / np.linalg.norm(z)]))
    return U @ Vt


# ---------------------------------------------------------------------------------------------
# Measuring


def eye_height_ratio(upright: ArrayLike, vertical: ArrayLike, line: ArrayLike) -> float:
    """Measure an upright object in units of the camera's height above its foot, Eq. (13.11).

    Parameters
    ----------
    upright : array of shape (2, 2)
        Foot and top of the object, in (x, y).
    vertical : array of shape (3,)
        The vertical vanishing point, homogeneous; it may lie at infinity.
    line : array of shape (3,)
        The horizon of the ground.

    Returns
    -------
    float
        1 where the top is on the horizon; negative for a top below its foot.

    Raises
    ------
    ValueError
        If the foot is on the horizon, infinitely far away; if the vertical vanishing point is on it,
        or is the top or the foot.

    References
    ----------
    .. [1] Criminisi, Reid & Zisserman, Single view metrology, 2000, doi:10.1023/A:1026598000963.

    Examples
    --------
    >>> eye_height_ratio([(0, 300), (0, 100)], (0, 1, 0), (0, 1, -50))
    0.8
    """
    upright = as_points(upright, name="upright")
    if upright.shape != (2, 2):
        raise ValueError(f"an upright object is its foot and its top, shape (2, 2), got {upright.shape}")
    v, line = _homogeneous(vertical, "vertical"), _unit_line(_homogeneous(line, "line"))
    v = v / np.linalg.norm(v[:2]) if is_at_infinity(v) else v / v[2]
    foot, top = to_homogeneous(upright)
    if abs(line @ foot) < 1e-6:
        raise ValueError(f"the foot {upright[0]} lies on the horizon: infinitely far away, of any height")
    if abs(line @ v) <= 1e-9 * np.linalg.norm(v):
        raise ValueError("the vertical vanishing point lies on the horizon: it is not that of a vertical")
    across = _upward(foot, v)
    numerator, denominator = np.cross(foot, top) @ across, np.cross(v, top) @ across
    if abs(denominator) <= 1e-9 * np.linalg.norm(v):
        raise ValueError("the top is the vertical vanishing point: infinitely high")
    return float(numerator * (line @ v) / ((line @ foot) * denominator))


def height_ratio(upright: ArrayLike, reference: ArrayLike, vertical: ArrayLike, line: ArrayLike) -> float:
    """Compare the heights of two upright objects on one ground, by cross-ratios, Eq. (13.12).

    Parameters
    ----------
    upright, reference : array of shape (2, 2)
        Foot and top of each, in (x, y).
    vertical : array of shape (3,)
        The vertical vanishing point, homogeneous.
    line : array of shape (3,)
        The horizon of the ground.

    Returns
    -------
    float
        Height of the object in units of the reference.

    Raises
    ------
    ValueError
        As for `eye_height_ratio`, and if foot and top of the reference coincide.

    Examples
    --------
    >>> round(height_ratio([(0, 300), (0, 100)], [(90, 150), (90, 100)], (0, 1, 0), (0, 1, -50)), 9)
    1.6
    """
    unit = eye_height_ratio(reference, vertical, line)
    if unit == 0:
        raise ValueError("foot and top of the reference coincide: it has no height to compare with")
    return eye_height_ratio(upright, vertical, line) / unit


def measure_height(
    upright: ArrayLike, reference: ArrayLike, families: Sequence[ArrayLike], sigma: float, sigma_lines: float = 0.0
) -> Height:
    """Measure a height from segments alone, with the standard deviation that their noise causes, Eq. (13.13).

    Parameters
    ----------
    upright, reference : array of shape (2, 2)
        Foot and top of each, in (x, y).
    families : three arrays of shape (N, 2, 2)
        Segments along two directions of the ground, then along the vertical; two or more of each.
    sigma : float
        Standard deviation of each coordinate of a foot and a top, in pixels.
    sigma_lines : float
        The same for the ends of the segments.

    Returns
    -------
    Height
        In units of the reference.  ``value +- 1.96 std`` covers the truth in 95 of 100 repetitions,
        as long as the errors are small against the lengths that they disturb.

    Raises
    ------
    ValueError
        As for `fit_vanishing_point`, `horizon` and `height_ratio`; for a negative sigma.

    Notes
    -----
    The derivatives by all coordinates are central differences.

    References
    ----------
    .. [1] Criminisi, Reid & Zisserman, Single view metrology, 2000, doi:10.1023/A:1026598000963, section 5.
    """
    if not sigma >= 0 or not sigma_lines >= 0:
        raise ValueError(f"sigma and sigma_lines are standard deviations, >= 0, got {sigma} and {sigma_lines}")
    if len(families) != 3:
        raise ValueError(f"three families of segments are needed, two level and one vertical, got {len(families)}")
    lines = [_require_segments(family, 2) for family in families]
    clicks = np.stack([as_points(upright, name="upright"), as_points(reference, name="reference")])
    aims = [fit_vanishing_point(segments) for segments in lines]
    variance = 0.0
    for which, deviation in enumerate([sigma, *[sigma_lines] * 3]):
        if deviation > 0:
            gradient = [_derivative(clicks, lines, aims, which, k) for k in range([clicks, *lines][which].size)]
            variance += deviation**2 * float(np.sum(np.square(gradient)))
    return Height(_height(clicks, aims), float(np.sqrt(variance)))


def _height(clicks: Array, aims: list[Array]) -> float:
    return height_ratio(clicks[0], clicks[1], aims[2], horizon(aims[0], aims[1]))


def _derivative(clicks: Array, lines: list[Array], aims: list[Array], which: int, k: int) -> float:
    """Derivative of the height by coordinate k of the clicks (which = 0) or of a family of segments."""
    values = []
    for step in (STEP, -STEP):
        moved = [clicks, *lines][which].copy()
        moved.flat[k] += step
        if which == 0:
            values.append(_height(moved, aims))
        else:
            values.append(_height(clicks, [*aims[: which - 1], fit_vanishing_point(moved), *aims[which:]]))
    return (values[0] - values[1]) / (2 * STEP)


def metric_rectification(line: ArrayLike, K: ArrayLike) -> Array:
    """Build the homography that shows a plane as if seen straight on, Eq. (13.15).

    It is what the camera would see if it were turned to look along the plane's normal, which is
    ``K^T l`` for the plane's vanishing line l.

    Parameters
    ----------
    line : array of shape (3,)
        Vanishing line of the plane.
    K : array of shape (3, 3)

    Returns
    -------
    H : ndarray of shape (3, 3)
        Pixels to the plane up to a similarity: angles and ratios of lengths are true.  Its scale is that of pixels.

    Raises
    ------
    ValueError
        If K holds no intrinsics; for a line of another shape, NaN, infinity or (0, 0, 0).

    References
    ----------
    .. [1] Hartley & Zisserman, Multiple View Geometry, 2nd ed., section 8.6.

    Examples
    --------
    >>> metric_rectification((0, 0, 1), np.eye(3)) + 0.0  # it is seen straight on already
    array([[1., 0., 0.],
           [0., 1., 0.],
           [0., 0., 1.]])
    """
    K = require_intrinsics(K)
    normal = K.T @ _homogeneous(line, "line")
    z = normal / np.linalg.norm(normal) * (np.sign(normal[2]) or 1.0)
    axis = np.eye(3)[0] if abs(z[0]) < 0.9 else np.eye(3)[1]
    y = np.cross(z, axis)
    y /= np.linalg.norm(y)
    R = np.stack([np.cross(y, z), y, z])
    return K @ R @ np.linalg.inv(K)


# ---------------------------------------------------------------------------------------------
# Checks at the door


def _upward(foot: Array, v: Array) -> Array:
    """The line from foot to v as a homogeneous vector of length 1: sizes of cross products get their sign by it."""
    aim = np.cross(foot, v)
    length = np.linalg.norm(aim[:2])
    if length <= 1e-9 * np.linalg.norm(v):
        raise ValueError("the foot is the vertical vanishing point: it stands straight below the camera")
    return aim / np.linalg.norm(aim)


def _homogeneous(point: ArrayLike, name: str) -> Array:
    """Check a point (x, y) or a homogeneous 3-vector: float64 of shape (3,)."""
    result = np.array(point, dtype=np.float64)
    if result.shape == (2,):
        result = np.append(result, 1.0)
    if result.shape != (3,):
        raise ValueError(f"{name} must hold 3 homogeneous coordinates, or x and y, got shape {result.shape}")
    if not np.isfinite(result).all():
        raise ValueError(f"{name} holds NaN or infinity: {result}")
    if not result.any():
        raise ValueError(f"{name} is (0, 0, 0), which is no point and no line")
    return result


def _cross_apart(a: Array, b: Array, problem: str) -> Array:
    cross = np.cross(a, b)
    if np.linalg.norm(cross) <= SAME * np.linalg.norm(a) * np.linalg.norm(b):
        raise ValueError(problem)
    return cross


def _join(p: Array, q: Array, problem: str) -> Array:
    return _unit_line(_cross_apart(p * SCALE, q * SCALE, problem) * SCALE)


def _unit_line(line: Array) -> Array:
    length = np.linalg.norm(line[:2])
    if length <= 1e-12 * abs(line[2]):
        return np.array([0.0, 0.0, 1.0])
    return line / length


def _fixed(v: Array) -> Array:
    """Length 1, and the last coordinate positive, or where it is 0 the largest: one of the multiples."""
    v = v / np.linalg.norm(v)
    return v * (np.sign(v[2]) or np.sign(v[np.argmax(np.abs(v))])) + 0.0


def _lengths(segments: Array) -> Array:
    return np.linalg.norm(segments[:, 1] - segments[:, 0], axis=1)


def _require_segments(segments: ArrayLike, least: int) -> Array:
    result = np.array(segments, dtype=np.float64)
    if result.ndim != 3 or result.shape[1:] != (2, 2):
        raise ValueError(f"segments must have shape (N, 2, 2): segment, end, (x, y); got {result.shape}")
    if len(result) < least:
        raise ValueError(f"at least {least} segments are needed, got {len(result)}")
    if not np.isfinite(result).all():
        raise ValueError("segments hold NaN or infinity")
    if np.any(short := _lengths(result) == 0):
        raise ValueError(f"segment {int(np.argmax(short))} has no length: it has no direction")
    return result

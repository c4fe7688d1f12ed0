"""Cameras against truth by construction, laws of projection, SciPy as an oracle, and a measured stereo pair."""

import numpy as np
import pytest
import skimage.data
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy.linalg import rq as scipy_rq
from scipy.optimize import root
from scipy.spatial.transform import Rotation

from cvcourse import cameras as cam

K = cam.intrinsic_matrix(510.0, 495.0, cx=310.0, cy=255.0, skew=3.0)
C = np.array([1.0, -2.0, -8.0])
R = cam.look_at(C, (0.3, 0.2, 0.1))
P = cam.projection_matrix(K, R, C)
X = np.random.default_rng(0).uniform(-2, 2, size=(40, 3))
LENSES = [(-0.3, 0.1, 0.0, 0.0), (0.2, 0.0, 1e-3, -2e-3), (-0.25, 0.0, 2e-3, 1e-3), (0.0, 0.0, 0.0, 0.0)]

angles = st.floats(-3.1, 3.1)
vectors = st.tuples(*[st.floats(-2, 2)] * 3).map(np.array)
few = settings(max_examples=40, deadline=None)


# ---------------------------------------------------------------------------------------------
# Intrinsics and rotations


def test_intrinsics_are_the_matrix_of_the_formula():
    expected = [[510, 3, 310], [0, 495, 255], [0, 0, 1]]
    np.testing.assert_array_equal(K, expected)
    np.testing.assert_array_equal(cam.intrinsic_matrix(2.0), np.diag([2.0, 2.0, 1.0]))


@few
@given(vectors)
@example(np.zeros(3))
@example(np.array([0.0, 1e-9, 0.0]))
def test_rodrigues_agrees_with_scipy(r):
    np.testing.assert_allclose(cam.rotation_from_vector(r), Rotation.from_rotvec(r).as_matrix(), atol=1e-14)


@few
@given(vectors)
@example(np.array([0.0, 0.0, np.pi]))
@example(np.array([1e-12, 0.0, 0.0]))
@example(np.array([0.0, np.pi - 1e-9, 0.0]))
def test_a_rotation_gives_its_vector_back(r):
    assume(np.linalg.norm(r) <= np.pi)
    np.testing.assert_allclose(cam.vector_from_rotation(cam.rotation_from_vector(r)), r, atol=1e-12)


def test_a_half_turn_has_one_vector():
    for axis in ([1, 0, 0], [-1, 0, 0], [1, -2, 2], [-1, 2, -2]):
        r = np.pi * np.array(axis) / np.linalg.norm(axis)
        back = cam.vector_from_rotation(cam.rotation_from_vector(r))
        assert back[np.argmax(np.abs(back))] > 0
        np.testing.assert_allclose(np.abs(back), np.abs(r), atol=1e-7)


def test_angles_look_right_then_up_then_roll():
    view = [cam.rotation_from_angles(*a)[2] for a in ((0.3, 0, 0), (0, 0.3, 0), (0, 0, 0.3), (0.3, 0.2, 0.1))]
    s, c = np.sin(0.3), np.cos(0.3)
    expected = [[s, 0, c], [0, -s, c], [0, 0, 1], [s * np.cos(0.2), -np.sin(0.2), c * np.cos(0.2)]]
    np.testing.assert_allclose(view, expected, atol=1e-15)
    right = cam.rotation_from_angles(0, 0, 0.3)[0]
    np.testing.assert_allclose(right, [c, s, 0], atol=1e-15)  # clockwise seen from behind: the right hand goes down


@few
@given(angles, st.floats(-1.5, 1.5), angles)
def test_angles_agree_with_scipy(yaw, pitch, roll):
    theirs = Rotation.from_euler("YXZ", [yaw, pitch, roll]).as_matrix().T
    np.testing.assert_allclose(cam.rotation_from_angles(yaw, pitch, roll), theirs, atol=1e-14)


@few
@given(vectors, vectors, vectors)
def test_look_at_centres_the_target_and_keeps_it_upright(c, target, down):
    view = target - c
    assume(np.linalg.norm(view) > 0.1 and np.linalg.norm(np.cross(down, view)) > 0.1)
    R = cam.look_at(c, target, down)
    cam.require_rotation(R)
    at = cam.project(cam.projection_matrix(np.eye(3), R, c), [target])
    np.testing.assert_allclose(at.x, [[0, 0]], atol=1e-12)
    np.testing.assert_allclose(at.depth, [np.linalg.norm(view)])
    assert abs((R @ down)[0]) < 1e-12 * np.linalg.norm(down) * 10  # straight down in the picture ...
    assert (R @ down)[1] > 0  # ... and not up


# ---------------------------------------------------------------------------------------------
# The projection matrix


def test_projection_is_the_similar_triangles():
    at = cam.project(cam.projection_matrix(cam.intrinsic_matrix(100, cx=7, cy=5), np.eye(3), (0, 0, 0)), [[2, 3, 4]])
    np.testing.assert_allclose(at.x, [[100 * 2 / 4 + 7, 100 * 3 / 4 + 5]])
    np.testing.assert_allclose(at.depth, [4])


def test_the_centre_is_c_and_not_t():
    t = P[:, 3] @ np.linalg.inv(K).T
    np.testing.assert_allclose(t, -R @ C)
    np.testing.assert_allclose(cam.camera_center(P), C, rtol=1e-12)


def test_depth_is_metric_and_without_the_sign_of_p():
    metric = (X - C) @ R[2]
    for factor in (1.0, -1.0, 1e-6, -7e5):
        at = cam.project(factor * P, X)
        np.testing.assert_allclose(at.depth, metric, rtol=1e-12)
        np.testing.assert_allclose(at.x, cam.project(P, X).x, rtol=1e-12)
        np.testing.assert_array_equal(cam.is_in_front(factor * P, X), metric > 0)


def test_points_behind_are_told_and_refused():
    behind = 2 * C - X  # mirrored through the centre: the same pixels
    at = cam.project(P, behind)
    np.testing.assert_allclose(at.x, cam.project(P, X).x, rtol=1e-9)
    assert np.all(at.depth < 0)
    assert not cam.is_in_front(P, behind).any()
    with pytest.raises(ValueError, match="1 of 41 points lie behind the camera, the first is point 40"):
        cam.project(P, np.vstack([X, behind[:1]]), behind="raise")
    cam.project(P, X, behind="raise")


def test_a_point_beside_the_centre_has_no_image():
    for point in (C, C + 3 * R[0], C - R[1]):
        with pytest.raises(ValueError, match="point 1 lies at depth 0"):
            cam.project(P, [X[0], point])
        assert not cam.is_in_front(P, [point + 1e-3 * -R[2]]).any()


def test_rays_go_back_through_their_points():
    at = cam.project(P, X)
    d = cam.rays(K, R, at.x)
    np.testing.assert_allclose(np.linalg.norm(d, axis=1), 1)
    s = np.linalg.norm(X - C, axis=1, keepdims=True)
    np.testing.assert_allclose(C + s * d, X, atol=1e-12)


@few
@given(
    st.tuples(st.floats(50, 5000), st.floats(50, 5000)),
    st.tuples(st.floats(-500, 500), st.floats(-100, 5000), st.floats(-100, 100)),
    vectors,
    st.tuples(*[st.floats(-1e4, 1e4)] * 3).map(np.array),
    st.sampled_from([1.0, -1.0, -1e-4, 3e6]),
)
@example((500.0, 500.0), (0.0, 0.0, 0.0), np.zeros(3), np.zeros(3), -1.0)
def test_a_projection_matrix_comes_apart_into_its_parts(focal, rest, r, c, factor):
    K, R = cam.intrinsic_matrix(*focal, *rest), cam.rotation_from_vector(r)
    parts = cam.decompose_projection(factor * cam.projection_matrix(K, R, c))
    np.testing.assert_allclose(parts.K, K, rtol=1e-9, atol=1e-8)
    np.testing.assert_allclose(parts.R, R, atol=1e-9)
    np.testing.assert_allclose(parts.c, c, rtol=1e-7, atol=1e-7)


@few
@given(st.integers(0, 10_000))
def test_rq_agrees_with_scipy_up_to_signs(seed):
    M = np.random.default_rng(seed).normal(size=(3, 3))
    upper, Q = cam.rq(M)
    np.testing.assert_allclose(upper @ Q, M, atol=1e-13)
    np.testing.assert_allclose(Q @ Q.T, np.eye(3), atol=1e-13)
    np.testing.assert_array_equal(upper, np.triu(upper))
    assert np.all(np.diag(upper) > 0)
    np.testing.assert_allclose(np.abs(upper), np.abs(scipy_rq(M)[0]), atol=1e-13)


def test_the_field_of_view_is_the_angle_between_the_outer_rays():
    K = cam.intrinsic_matrix(300, 200, cx=100, cy=50, skew=20)
    view = cam.field_of_view(K, (120, 160))
    left, right = cam.rays(K, np.eye(3), [[-0.5, 50], [159.5, 50]])
    np.testing.assert_allclose(view.horizontal, np.arccos(left @ right))
    np.testing.assert_allclose(view.vertical, np.arctan(69.5 / 200) + np.arctan(50.5 / 200))
    assert cam.field_of_view(K, (120, 160, 3)) == view


def test_the_motorcycle_camera_sees_what_its_disparities_say():
    left, _, disparity = skimage.data.stereo_motorcycle()
    focal, baseline, offset = 994.978, 0.193001, 31.086
    K1 = cam.intrinsic_matrix(focal, cx=311.193, cy=254.877)
    K2 = cam.intrinsic_matrix(focal, cx=311.193 + offset, cy=254.877)
    row, col = np.nonzero(np.isfinite(disparity[::40, ::40]))
    x1 = 40.0 * np.column_stack([col, row])
    d = disparity[::40, ::40][row, col].astype(float)
    depth = focal * baseline / (d + offset)
    X = np.column_stack([cam.normalize_pixels(K1, x1) * depth[:, None], depth])
    x2, depth2 = cam.project(cam.projection_matrix(K2, np.eye(3), (baseline, 0, 0)), X)
    np.testing.assert_allclose(x1 - x2, np.column_stack([d, 0 * d]), atol=1e-9)
    np.testing.assert_allclose(depth2, depth)
    assert left.shape[:2] == disparity.shape


# ---------------------------------------------------------------------------------------------
# The lens


def test_distortion_is_the_formula():
    x, y, (k1, k2, p1, p2) = 0.3, -0.4, (-0.2, 0.1, 0.01, -0.02)
    factor = 1 + k1 * 0.25 + k2 * 0.0625
    expected = [
        [
            x * factor + 2 * p1 * x * y + p2 * (0.25 + 2 * x * x),
            y * factor + p1 * (0.25 + 2 * y * y) + 2 * p2 * x * y,
        ]
    ]
    np.testing.assert_allclose(cam.distort([[x, y]], (k1, k2, p1, p2)), expected, rtol=1e-14)


@pytest.mark.parametrize("k", LENSES)
def test_undistort_undoes_distort(k):
    reach = min(0.9 * cam.fold_radius(k), 3.0)
    r, a = np.meshgrid(np.linspace(0, reach, 25), np.linspace(0, 2 * np.pi, 31))
    x = np.column_stack([(r * np.cos(a)).ravel(), (r * np.sin(a)).ravel()])
    np.testing.assert_allclose(cam.undistort(cam.distort(x, k), k), x, atol=1e-10)  # slope near 0.2 at 0.9 of a fold


@pytest.mark.parametrize("k", LENSES)
def test_undistort_agrees_with_scipy(k):
    for x in ([0.5, 0.2], [-0.1, 0.6]):
        theirs = root(lambda z, x=x: cam.distort([z], k)[0] - x, x, tol=1e-13)
        np.testing.assert_allclose(cam.undistort([x], k)[0], theirs.x, atol=1e-10)


@few
@given(st.floats(-0.5, 0.5), st.floats(-0.2, 0.2), st.floats(-5e-3, 5e-3), st.floats(-5e-3, 5e-3), st.integers(0, 99))
def test_undistort_undoes_any_moderate_lens(k1, k2, p1, p2, seed):
    k = (k1, k2, p1, p2)
    r = min(0.6, 0.7 * cam.fold_radius(k))
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi, 20)
    x = np.column_stack([r * np.cos(angle), r * np.sin(angle)])
    np.testing.assert_allclose(cam.undistort(cam.distort(x, k), k), x, atol=1e-10)


def test_the_fold_is_where_the_radius_stops_growing():
    for k in ((-0.3, 0, 0, 0), (-0.3, 0.01, 0, 0), (0.1, -0.2, 0, 0)):
        fold = cam.fold_radius(k)
        r = np.linspace(0, fold, 200)
        image = cam.distort(np.column_stack([r, 0 * r]), k)[:, 0]
        assert np.all(np.diff(image) > 0)
        beyond = cam.distort([[1.001 * fold, 0.0]], k)[0, 0]
        assert beyond < image[-1]
    assert cam.fold_radius((0.1, 0.1, 0, 0)) == np.inf
    assert cam.fold_radius((0.3, 0, 0, 0)) == np.inf  # the root of 9 * 0.3^2 is above 3 * 0.3, by rounding
    assert cam.fold_radius((-0.3, 0.3, 0, 0)) == np.inf  # 0.81 - 20 * 0.3 < 0: k2 pulls it straight in time
    assert cam.fold_radius((0, 0, 0.1, 0.1)) == np.inf


def test_the_branch_inside_the_fold_is_the_one_found():
    k = (-0.25, 0, 0, 0)
    fold = cam.fold_radius(k)
    outer = 1.3 * fold
    image = cam.distort([[outer, 0]], k)
    inner = cam.undistort(image, k)
    assert np.hypot(*inner[0]) < fold
    np.testing.assert_allclose(cam.distort(inner, k), image, atol=1e-12)


def test_points_beyond_the_fold_are_refused():
    k = (-0.25, 0, 0, 0)
    most = cam.distort([[cam.fold_radius(k), 0]], k)[0, 0]
    assert np.isfinite(cam.undistort([[0.9999 * most, 0]], k)).all()
    with pytest.raises(ValueError, match="point 1, .* beyond the fold"):
        cam.undistort([[0, 0], [1.001 * most, 0]], k)
    with pytest.raises(ValueError, match="beyond the fold"):
        cam.undistort([[1e6, 0]], k)


def test_a_distorted_projection_goes_through_the_parts():
    k = (-0.2, 0.05, 1e-3, 2e-3)
    at = cam.project_distorted(K, R, C, k, X)
    ideal = cam.undistort(cam.normalize_pixels(K, at.x), k)
    np.testing.assert_allclose(ideal, cam.normalize_pixels(K, cam.project(P, X).x), atol=1e-12)
    np.testing.assert_allclose(at.depth, cam.project(P, X).depth)
    plain = cam.project_distorted(K, R, C, cam.NO_DISTORTION, X)
    np.testing.assert_allclose(plain.x, cam.project(P, X).x, rtol=1e-12)


def test_a_distorted_projection_refuses_ghosts():
    origin = (np.eye(3), np.zeros(3), (-0.25, 0, 0, 0))
    with pytest.raises(ValueError, match="behind the camera"):
        cam.project_distorted(K, *origin, [[0, 0, -1]])
    with pytest.raises(ValueError, match="point 1 is seen at radius 1.9, beyond the fold .* at 1.15"):
        cam.project_distorted(K, *origin, [[0, 0, 1], [1.9, 0, 1]])


# ---------------------------------------------------------------------------------------------
# Refusals, dtypes and layouts


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cam.intrinsic_matrix(0), "focal lengths are positive, got fx = 0"),
        (lambda: cam.intrinsic_matrix(100, -100), "focal lengths are positive, got fx = 100, fy = -100"),
        (lambda: cam.intrinsic_matrix(np.nan), "K holds NaN"),
        (lambda: cam.rotation_from_angles(np.inf), "the angles must be finite"),
        (lambda: cam.rotation_from_vector([1, 2]), "rotation vector must hold 3 numbers"),
        (lambda: cam.vector_from_rotation(2 * np.eye(3)), "R is no rotation: R R\\^T differs .* by 3"),
        (lambda: cam.vector_from_rotation(np.diag([1.0, 1.0, -1.0])), "R is no rotation: it mirrors"),
        (lambda: cam.look_at((1, 2, 3), (1, 2, 3)), "the target is the camera's centre"),
        (lambda: cam.look_at((0, 0, 0), (0, 5, 0)), "is along down"),
        (lambda: cam.look_at((0, 0, 0), (0, 5, 0), down=(0, 0, 0)), "is along down"),
        (lambda: cam.projection_matrix(K.T, R, C), "K must be upper triangular"),
        (lambda: cam.projection_matrix(2 * K, R, C), r"K\[2, 2\] must be 1, got 2"),
        (lambda: cam.projection_matrix(K, R, [[1, 2, 3]]), "c must hold 3 numbers"),
        (lambda: cam.projection_matrix(K, np.ones((3, 3)), C), "R is no rotation"),
        (lambda: cam.camera_center(np.eye(4)), r"P must have shape \(3, 4\), got \(4, 4\)"),
        (lambda: cam.camera_center(np.eye(4)[[0, 1, 3]]), "left 3 x 3 block of P is singular"),
        (lambda: cam.decompose_projection(np.zeros((3, 4))), "left 3 x 3 block of P is singular"),
        (lambda: cam.rq(np.ones((3, 3))), "M is singular"),
        (lambda: cam.rq(np.ones((2, 2))), "M must have shape"),
        (lambda: cam.project(P, [[1, 2]]), "X must have shape"),
        (lambda: cam.project(P, np.empty((0, 3))), "X is empty"),
        (lambda: cam.project(P, [[1, 2, np.nan]]), "X hold NaN"),
        (lambda: cam.project(P, X, behind="drop"), 'behind must be "keep" or "raise"'),
        (lambda: cam.project(np.outer([1, 2, 3], [1, 2, 3, 4]), X), "singular"),
        (lambda: cam.is_in_front(P, [1, 2, 3]), "X must have shape"),
        (lambda: cam.rays(K, R, X), "x must have shape"),
        (lambda: cam.field_of_view(K, (480,)), "an image has shape"),
        (lambda: cam.field_of_view(K, (480, 0)), "an image has shape"),
        (lambda: cam.distort([[0, 0]], (0.1,)), r"the distortion is \(k1, k2, p1, p2\), got shape \(1,\)"),
        (lambda: cam.undistort([[0, 0]], (np.nan, 0, 0, 0)), "the distortion holds NaN"),
    ],
)
def test_bad_input_is_refused_with_a_reason(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_arguments_are_left_alone_and_any_layout_will_do():
    points, lens = np.asfortranarray(X.astype(np.float32)), np.array([-0.2, 0.0, 0.0, 0.0])
    before = points.copy()
    at = cam.project(P.astype(np.float32), points)
    assert at.x.dtype == np.float64
    np.testing.assert_array_equal(points, before)
    x = np.asfortranarray(cam.normalize_pixels(K, at.x))[::2]
    np.testing.assert_array_equal(cam.undistort(x, lens), cam.undistort(x.copy(), lens))
    assert cam.undistort([[0, 0]], [0, 0, 0, 0]).dtype == np.float64  # integers are numbers here


def test_one_point_and_the_plain_python_agree():
    k = np.array([-0.2, 0.01, 1e-3, 0.0])
    x = np.array([[0.4, -0.3]])
    u, v, found = cam._unbend.py_func(0.4, -0.3, k, cam.fold_radius(k))
    assert found
    np.testing.assert_allclose(cam.undistort(x, k), [[u, v]], atol=1e-13)

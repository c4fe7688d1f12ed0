"""Single-view metrology against truth by construction, laws of projection, and scikit-image and SciPy as oracles."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares
from skimage.transform import probabilistic_hough_line

from cvcourse import cameras, edges, scenes
from cvcourse import single_view as sv
from cvcourse.homogeneous import transform_points

K = cameras.intrinsic_matrix(360.0, cx=239.5, cy=159.5)
C = np.array([-0.6, -0.7, 1.55])
R = cameras.look_at(C, (0.15, 3.0, 1.1), down=(0, 0, -1))
P = cameras.projection_matrix(K, R, C)
V1, V2, VERTICAL = P[:, :3].T  # K R d for the world's axes
HORIZON = sv.horizon(V1, V2)
POST = np.array([(1.0, 3.0, 0.0), (1.0, 3.0, 1.7)])
DOOR = np.array([(0.2, 6.0, 0.0), (0.2, 6.0, 2.0)])

few = settings(max_examples=40, deadline=None)
numbers = st.floats(-2000, 2000)
points = st.tuples(numbers, numbers)


def pixels(X):
    return cameras.project(P, X).x


def family(direction, n, rng, length=2.0):
    """Images of n segments along a world axis, spread over the room."""
    start = np.random.default_rng(rng).uniform((-2, 3, 0), (2, 5.5, 2.5), size=(n, 3))
    shift = length * np.eye(3)[direction] / 2
    return np.stack([pixels(start - shift), pixels(start + shift)], axis=1)


FAMILIES = [family(k, 8, rng=k) for k in range(3)]


def angle(v, w):
    """Between two homogeneous vectors, whatever their factors, seen by the camera."""
    v, w = np.linalg.solve(K, v), np.linalg.solve(K, w)
    return np.arctan2(np.linalg.norm(np.cross(v, w)), abs(v @ w))


# ---------------------------------------------------------------------------------------------
# Points and lines


@few
@given(points, points)
def test_a_line_holds_its_points_and_measures_distance(p, q):
    p, q = np.array(p), np.array(q)
    assume(np.linalg.norm(p - q) > 1)
    line = sv.line_through(p, q)
    assert np.hypot(*line[:2]) == pytest.approx(1)
    assert abs(line @ [*p, 1]) < 1e-8 and abs(line @ [*q, 1]) < 1e-8
    aside = p + 3 * line[:2]
    assert line @ [*aside, 1] == pytest.approx(3, abs=1e-8)


@few
@given(points, points, points)
def test_two_lines_meet_in_the_point_they_share(p, q, r):
    a, b = np.subtract(q, p), np.subtract(r, p)
    size = np.linalg.norm(a) * np.linalg.norm(b)
    assume(min(np.linalg.norm(a), np.linalg.norm(b)) > 1 and abs(a[0] * b[1] - a[1] * b[0]) > 1e-2 * size)
    meeting = sv.intersection(sv.line_through(p, q), sv.line_through(p, r))
    np.testing.assert_allclose(sv.to_pixel(meeting), p, atol=1e-6)  # 2000 px by 1e-2 rad: 8 digits are left


def test_parallel_lines_meet_at_infinity_in_their_direction():
    meeting = sv.intersection(sv.line_through((0, 0), (3, 4)), sv.line_through((50, 0), (53, 4)))
    assert sv.is_at_infinity(meeting) and abs(meeting[0] * 0.8 - meeting[1] * 0.6) < 1e-12
    with pytest.raises(ValueError, match="parallel in the image"):
        sv.to_pixel(meeting)
    np.testing.assert_allclose(sv.line_through((1, 0, 0), (0, 1, 0)), (0, 0, 1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sv.line_through((1, 2), (1, 2)), "points coincide"),
        (lambda: sv.line_through((1, 2, 3, 4), (1, 2)), "3 homogeneous"),
        (lambda: sv.line_through((1, np.nan), (1, 2)), "NaN"),
        (lambda: sv.to_pixel((0, 0, 0)), "no point"),
        (lambda: sv.intersection((0, 1, -3), (0, -2, 6)), "lines are one"),
    ],
)
def test_says_why_points_and_lines_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------------------------------
# Segments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turn", [0.0, 0.2, 0.7, 1.3])
def test_finds_the_sides_of_a_square(dtype, turn):
    corners = 60 * np.array([(np.cos(turn + k), np.sin(turn + k)) for k in np.arange(4) * np.pi / 2]) + (90, 80)
    image = scenes.polygon((160, 180), corners).astype(dtype)
    image = scenes.add_gaussian_noise(image, 0.02, 0)
    found = sv.detect_segments(image)
    assert len(found) == 4
    for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        line = sv.line_through(a, b)
        off = np.abs(np.column_stack([found.reshape(-1, 2), np.ones(8)]) @ line).reshape(4, 2).max(axis=1)
        assert off.min() < 0.3  # the rounding of corners by the smoothing, and noise
    assert np.all(np.linalg.norm(found[:, 1] - found[:, 0], axis=1) > 0.9 * 60 * np.sqrt(2) - 4)


def test_the_brighter_side_is_on_the_right():
    image = np.zeros((40, 60))
    image[:, 30:] = 1.0
    (first, last), *others = sv.detect_segments(image)
    assert not others and first[1] > last[1]  # upwards on the screen: right is +x
    np.testing.assert_allclose([first[0], last[0]], 29.5, atol=1e-9)
    (first, last), *_ = sv.detect_segments(1 - image)
    assert first[1] < last[1]


def test_detection_turns_with_the_image():
    image = scenes.room(K, R, C, (320, 480))
    found, turned = sv.detect_segments(image), sv.detect_segments(np.ascontiguousarray(np.rot90(image)))
    # A few pixels on which two groups may lay claim are shared out in another order: compare the longest.
    back = np.stack([479 - turned[..., 1], turned[..., 0]], axis=-1)
    for segment in found[:10]:
        assert np.abs(back - segment).max(axis=(1, 2)).min() < 3


def test_no_segment_in_a_disc_or_on_nothing():
    assert len(sv.detect_segments(scenes.disc((80, 80), 12.0))) == 0
    assert sv.detect_segments(np.zeros((20, 20))).shape == (0, 2, 2)


def test_agrees_with_the_hough_transform_of_scikit_image():
    image = scenes.polygon((160, 180), [(30, 20), (150, 45), (120, 140), (40, 130)])
    theirs = probabilistic_hough_line(edges.canny(image, 1.0, 0.015, 0.03), line_length=40, line_gap=3, rng=0)
    ours = [sv.line_through(*segment) for segment in sv.detect_segments(image)]
    assert len(ours) == 4
    for p, q in theirs:  # their lines run through pixels: within a pixel of ours
        assert min(max(abs(line @ [*p, 1]), abs(line @ [*q, 1])) for line in ours) < 1.5


def test_says_why_detection_is_refused():
    with pytest.raises(TypeError, match="float"):
        sv.detect_segments(np.zeros((20, 20), np.uint8))
    with pytest.raises(ValueError, match="contrast must be positive"):
        sv.detect_segments(np.zeros((20, 20)), contrast=0)


# ---------------------------------------------------------------------------------------------
# Vanishing points


@pytest.mark.parametrize("k", range(3))
def test_the_vanishing_point_of_a_direction_is_KRd(k):
    v = sv.fit_vanishing_point(FAMILIES[k])
    assert angle(v, P[:, k]) < 1e-9
    assert sv.vanishing_point_errors(v, FAMILIES[k]).max() < 1e-8


def test_lines_parallel_in_the_image_meet_at_infinity():
    upright = cameras.projection_matrix(K, cameras.look_at(C, (C[0], 9, C[2]), down=(0, 0, -1)), C)
    start = np.random.default_rng(2).uniform((-2, 3, 0), (2, 5.5, 1), size=(6, 3))
    ends = [cameras.project(upright, start + np.array([0, 0, h])).x for h in (0, 1)]
    v = sv.fit_vanishing_point(np.stack(ends, axis=1))
    assert sv.is_at_infinity(v) and abs(v[1]) == pytest.approx(1)


def test_the_fit_is_near_the_nonlinear_minimum():
    rng = np.random.default_rng(7)
    noisy = FAMILIES[0] + rng.normal(size=FAMILIES[0].shape)
    v = sv.to_pixel(sv.fit_vanishing_point(noisy))
    best = least_squares(lambda p: sv.vanishing_point_errors([*p, 1], noisy), v)
    mine, least = (np.sum(sv.vanishing_point_errors([*p, 1], noisy) ** 2) for p in (v, best.x))
    assert mine <= 1.02 * least


@few
@given(st.floats(0.2, 5), st.floats(-3, 3), points)
def test_the_fit_moves_with_the_picture(scale, turn, shift):
    T = np.array(
        [
            [scale * np.cos(turn), -scale * np.sin(turn), shift[0]],
            [scale * np.sin(turn), scale * np.cos(turn), shift[1]],
            [0, 0, 1],
        ]
    )
    noisy = FAMILIES[1] + np.random.default_rng(3).normal(size=FAMILIES[1].shape)
    moved = transform_points(T, noisy.reshape(-1, 2)).reshape(noisy.shape)
    there = transform_points(T, [sv.to_pixel(sv.fit_vanishing_point(noisy))])[0]
    np.testing.assert_allclose(sv.to_pixel(sv.fit_vanishing_point(moved)), there, rtol=1e-6, atol=1e-6)


def test_the_error_grows_in_proportion_to_the_noise():
    noise = np.random.default_rng(1).normal(size=FAMILIES[1].shape)
    truth = sv.to_pixel(V2)
    off = [np.linalg.norm(sv.to_pixel(sv.fit_vanishing_point(FAMILIES[1] + s * noise)) - truth) for s in (0.01, 0.1)]
    assert off[1] / off[0] == pytest.approx(10, rel=0.1)


def test_finds_three_directions_in_a_picture_of_the_room():
    image = scenes.add_gaussian_noise(scenes.room(K, R, C, (320, 480)), 0.01, 0)
    found = sv.find_vanishing_points(sv.detect_segments(image), 3, rng=0)
    nearest = [min(angle(point.v, truth) for point in found) for truth in (V1, V2, VERTICAL)]
    assert np.rad2deg(max(nearest)) < 0.5
    assert np.all(np.sum([point.inliers for point in found], axis=0) <= 1)


def test_ransac_ignores_segments_that_aim_elsewhere():
    rng = np.random.default_rng(0)
    clutter = rng.uniform(0, 480, size=(12, 2, 2))
    found = sv.find_vanishing_points(np.concatenate([FAMILIES[1], clutter]), 1, rng=1)[0]
    assert found.inliers[:8].all() and angle(found.v, V2) < 0.02


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sv.fit_vanishing_point(FAMILIES[0][:1]), "at least 2 segments"),
        (lambda: sv.fit_vanishing_point(np.zeros((3, 2))), r"shape \(N, 2, 2\)"),
        (lambda: sv.fit_vanishing_point([[(0, 0), (1, 1)], [(2, 2), (5, 5)]]), "on one line"),
        (lambda: sv.fit_vanishing_point([[(0, 0), (1, 1)], [(2, 2), (2, 2)]]), "segment 1 has no length"),
        (lambda: sv.fit_vanishing_point(np.full((2, 2, 2), np.nan)), "NaN"),
        (lambda: sv.find_vanishing_points(FAMILIES[0][:1], rng=0), "at least 2 segments"),
        (lambda: sv.find_vanishing_points(FAMILIES[0][:2], rng=0), "no three of the 2"),
        (lambda: sv.horizon(V1, -3 * V1), "one direction has no horizon"),
    ],
)
def test_says_why_vanishing_points_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------------------------------
# The camera


def test_the_horizon_is_the_image_of_far_points_at_eye_height():
    far = np.array([(x, 1e7, C[2]) for x in (-5e6, 0, 5e6)])
    line = HORIZON
    assert np.abs(np.column_stack([pixels(far), np.ones(3)]) @ line).max() < 1e-3
    np.testing.assert_allclose(np.abs(line @ P[:, :2]), 0, atol=1e-8)


def test_finds_the_focal_length_and_the_rotation():
    center = K[:2, 2]
    for v, w in ((V1, V2), (V1, VERTICAL), (V2, VERTICAL)):
        assert sv.focal_from_vanishing_points(-2 * v, w, center) == pytest.approx(360)
    found = sv.rotation_from_vanishing_points(-V1, 5 * V2, K)
    np.testing.assert_allclose(found, R, atol=1e-12)
    skewed = sv.rotation_from_vanishing_points(V1 + 0.02 * V2, V2, K)
    np.testing.assert_allclose(skewed @ skewed.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(skewed) == pytest.approx(1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sv.focal_from_vanishing_points((1, 0, 0), V2, (0, 0)), "at infinity"),
        (lambda: sv.focal_from_vanishing_points((90, 0, 1), (70, 0, 1), (0, 0)), "right angles"),
        (lambda: sv.rotation_from_vanishing_points(V1, V1, K), "one direction"),
        (lambda: sv.rotation_from_vanishing_points(V1, V2, np.zeros((3, 3))), "K"),
    ],
)
def test_says_why_no_camera_is_found(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---------------------------------------------------------------------------------------------
# Measuring


@few
@given(st.floats(-2, 2), st.floats(2.5, 6), st.floats(0.1, 2.7))
def test_heights_anywhere_are_exact(x, y, height):
    upright = pixels([(x, y, 0), (x, y, height)])
    assert sv.eye_height_ratio(upright, -4 * VERTICAL, 3 * HORIZON) == pytest.approx(height / C[2], rel=1e-7)
    assert sv.height_ratio(upright, pixels(DOOR), VERTICAL, HORIZON) == pytest.approx(height / 2, rel=1e-7)


def test_a_top_on_the_horizon_is_at_eye_height():
    upright = pixels([(1, 4, 0), (1, 4, C[2])])
    assert abs(HORIZON @ [*upright[1], 1]) < 1e-9
    assert sv.eye_height_ratio(upright, VERTICAL, HORIZON) == pytest.approx(1)


def test_heights_with_the_vertical_point_at_infinity():
    level = cameras.projection_matrix(K, cameras.look_at(C, (C[0], 9, C[2]), down=(0, 0, -1)), C)
    upright = cameras.project(level, POST).x
    assert sv.eye_height_ratio(upright, (0, 1, 0), (0, 1, -159.5)) == pytest.approx(1.7 / C[2])


def test_heights_do_not_depend_on_the_projective_frame():
    """The law behind it: a cross-ratio survives every homography."""
    H = np.array([[1.1, 0.1, 20], [-0.2, 0.9, 5], [2e-4, 1e-4, 1]])
    upright, reference = (transform_points(H, pixels(X)) for X in (POST, DOOR))
    ratio = sv.height_ratio(upright, reference, H @ VERTICAL, HORIZON @ np.linalg.inv(H))
    assert ratio == pytest.approx(0.85)


def test_the_band_covers_the_truth_as_often_as_it_says():
    rng, sigma, sigma_lines, off = np.random.default_rng(0), 0.7, 0.4, []
    for _ in range(80):
        clicks = [pixels(X) + sigma * rng.normal(size=(2, 2)) for X in (POST, DOOR)]
        lines = [f + sigma_lines * rng.normal(size=f.shape) for f in (g[:3] for g in FAMILIES)]
        height = sv.measure_height(*clicks, lines, sigma, sigma_lines)
        off.append((height.value - 0.85) / height.std)
    assert np.mean(np.abs(off) <= 1.96) >= 0.865  # 95 % of 80, 3.5 standard deviations of 2.4 % down
    assert 0.75 < np.sqrt(np.mean(np.square(off))) < 1.25  # and the band is not too wide


def test_the_band_is_proportional_to_the_noise():
    clicks, lines = [pixels(X) for X in (POST, DOOR)], [f[:2] for f in FAMILIES]
    one, two = (sv.measure_height(*clicks, lines, s, s) for s in (0.5, 1.0))
    assert one.value == pytest.approx(0.85) and two.std == pytest.approx(2 * one.std)
    only_clicks, only_lines = sv.measure_height(*clicks, lines, 1.0), sv.measure_height(*clicks, lines, 0, 1.0)
    assert np.hypot(only_clicks.std, only_lines.std) == pytest.approx(two.std)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sv.eye_height_ratio([(0, 50), (0, 10)], (0, 1, 0), (0, 1, -50)), "foot .* on the horizon"),
        (lambda: sv.eye_height_ratio([(0, 90), (0, 10)], (1, 0, 0), (0, 1, -50)), "not that of a vertical"),
        (lambda: sv.eye_height_ratio([(0, 90), (0, 900)], (0, 900, 1), (0, 1, -50)), "infinitely high"),
        (lambda: sv.eye_height_ratio([(0, 900), (0, 90)], (0, 900, 1), (0, 1, -50)), "straight below"),
        (lambda: sv.eye_height_ratio([(0, 900)], (0, 900, 1), (0, 1, -50)), r"shape \(2, 2\)"),
        (lambda: sv.height_ratio([(0, 90), (0, 60)], [(5, 90), (5, 90)], (0, 1, 0), (0, 1, -50)), "has no height"),
        (lambda: sv.measure_height(POST[:, :2], POST[:, :2], FAMILIES[:2], 1.0), "three families"),
        (lambda: sv.measure_height(POST[:, :2], POST[:, :2], FAMILIES, -1.0), "standard deviations"),
    ],
)
def test_says_why_a_height_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_rectification_shows_the_floor_up_to_a_similarity():
    floor = np.array([(-1, 3), (1, 3), (1, 5), (-1, 5), (0.3, 4.1)])
    flat = transform_points(sv.metric_rectification(HORIZON, K), pixels(np.column_stack([floor, np.zeros(5)])))
    ratio = [np.linalg.norm(points[:, None] - points, axis=2) for points in (flat, floor)]
    away = ~np.eye(5, dtype=bool)
    scale = (ratio[0][away] / ratio[1][away]).mean()
    np.testing.assert_allclose(ratio[0], scale * ratio[1], rtol=1e-9, atol=1e-6)


def test_a_plane_seen_straight_on_stays():
    np.testing.assert_allclose(sv.metric_rectification((0, 0, -2), K), np.eye(3), atol=1e-12)
    with pytest.raises(ValueError, match="no line"):
        sv.metric_rectification((0, 0, 0), K)

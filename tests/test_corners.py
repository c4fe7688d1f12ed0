"""Corners against truth by construction, laws, and NumPy, SciPy and scikit-image as oracles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage import feature

from cvcourse import corners, edges, filtering, images, sampling, scenes
from cvcourse.homogeneous import transform_points

TOLERANCE = {np.float32: 2e-6, np.float64: 1e-14}  # of numbers up to 1
SCORES = [corners.harris_response, corners.harmonic_mean_response, corners.min_eigenvalue_response]


def picture(shape=(23, 31), dtype=np.float64, seed=0):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def crossing(x0, y0, shape=(41, 51), turn=0.4, between=1.9):
    """Two blurred edges that cross at (x0, y0): an X-junction, as on a calibration board."""
    x, y = scenes.grid(shape)

    def side(angle):
        return 2 * scenes.coverage((x - x0) * np.cos(angle) + (y - y0) * np.sin(angle), blur=1.0) - 1

    return 0.5 + 0.4 * side(turn) * side(turn + between)


# ---------------------------------------------------------------------------------------------
# The structure tensor and its scores


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_ramp_has_the_tensor_of_its_slopes(dtype):
    image = scenes.ramp((40, 50), 0.01, -0.012, 0.4).astype(dtype)
    S = corners.structure_tensor(image)
    inner = np.s_[12:-12, 12:-12]
    for entry, expected in zip(S, (0.01**2, -0.01 * 0.012, 0.012**2), strict=True):
        assert entry.dtype == dtype
        np.testing.assert_allclose(entry[inner], expected, rtol=2e-4 if dtype == np.float32 else 1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("sigma_d", "sigma_w"), [(0.0, 1.0), (1.0, 1.5), (0.7, 3.0), (1.0, 0.0)])
@pytest.mark.parametrize("shape", [(23, 31), (1, 1), (1, 7), (3, 2)])
def test_the_tensor_is_a_window_sum_of_products(shape, sigma_d, sigma_w, dtype):
    image = picture(shape, dtype)
    Ix, Iy = (d.astype(np.float64) for d in edges.gaussian_gradient(image, sigma_d))
    g = filtering.gaussian_kernel(sigma_w)
    r = len(g) // 2
    row, col = shape[0] // 2, shape[1] - 1  # at the border too
    for entry, product in zip(
        corners.structure_tensor(image, sigma_d, sigma_w), (Ix * Ix, Ix * Iy, Iy * Iy), strict=True
    ):
        window = np.pad(product, r, mode="symmetric")[row : row + 2 * r + 1, col : col + 2 * r + 1]
        assert entry[row, col] == pytest.approx(np.sum(np.outer(g, g) * window), abs=TOLERANCE[dtype])


def test_scores_are_those_of_the_eigenvalues():
    image = picture()
    Sxx, Sxy, Syy = corners.structure_tensor(image, 1.0, 2.0)
    low, high = np.moveaxis(np.linalg.eigvalsh(np.stack([Sxx, Sxy, Sxy, Syy], -1).reshape(*Sxx.shape, 2, 2)), -1, 0)
    np.testing.assert_allclose(
        corners.harris_response(image, 2.0, 0.06), low * high - 0.06 * (low + high) ** 2, atol=1e-13
    )
    np.testing.assert_allclose(corners.harmonic_mean_response(image, 2.0), low * high / (low + high), atol=1e-13)
    np.testing.assert_allclose(corners.min_eigenvalue_response(image, 2.0), low, atol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("score", SCORES)
def test_scores_keep_precision_and_argument(score, dtype):
    image = picture(dtype=dtype)
    before = image.copy()
    result = score(image)
    assert result.dtype == dtype
    assert result.shape == image.shape
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(result, score(image.astype(np.float64)), rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize(("score", "power"), list(zip(SCORES, (4, 2, 2), strict=True)))
def test_scores_scale_with_contrast_and_ignore_brightness(score, power):
    image = picture()
    np.testing.assert_allclose(score(0.5 * image + 0.3), 0.5**power * score(image), rtol=1e-9, atol=1e-16)


@pytest.mark.parametrize("score", SCORES)
def test_scores_turn_with_the_image(score):
    image = np.ascontiguousarray(images.load("camera")[60:187, 130:331])
    for turn in (lambda a: np.rot90(a), lambda a: a.T, lambda a: a[:, ::-1]):
        turned = score(np.ascontiguousarray(turn(image)))
        np.testing.assert_allclose(turned, turn(score(image)), rtol=0, atol=1e-15)


@pytest.mark.parametrize("score", SCORES)
def test_a_corner_scores_more_than_an_edge_and_a_flat_region(score):
    image = scenes.polygon((60, 80), [(20, 15), (90, 15), (90, 80), (20, 80)], blur=0.8)
    R = score(image)
    corner, edge_x, edge_y, flat = R[16, 21], R[40, 20], R[15, 55], R[40, 60]
    assert corner > 1e3 * max(edge_x, edge_y, flat, 0)
    assert (edge_x < 0 and edge_y < 0) == (score is corners.harris_response)
    assert abs(flat) < 1e-9 * corner


def test_harris_of_a_straight_edge_is_minus_alpha_trace_squared():
    image = scenes.step_edge((60, 70), angle=0.6, blur=1.0)
    S = corners.structure_tensor(image)
    middle = np.s_[15:-15, 15:-15]
    trace = (S.Sxx + S.Syy)[middle]
    np.testing.assert_allclose(corners.harris_response(image, alpha=0.04)[middle], -0.04 * trace**2, atol=1e-8)


def test_at_a_quarter_nothing_is_a_corner():
    assert corners.harris_response(picture(), alpha=0.25).max() <= 1e-15


def test_harris_agrees_with_scikit_image():
    image = images.load("camera")
    ours = corners.harris_response(image, 1.5, 0.05)
    Sxx, Sxy, Syy = (
        ndimage.gaussian_filter(a * b, 1.5)
        for g in [[ndimage.gaussian_filter(image, 1.0, order=o) for o in ((0, 1), (1, 0))]]
        for a, b in ((g[0], g[0]), (g[0], g[1]), (g[1], g[1]))
    )
    theirs = Sxx * Syy - Sxy**2 - 0.05 * (Sxx + Syy) ** 2
    # SciPy does not rescale its sampled derivative: 0.2 % in Ix, so under 1 % in its fourth power
    assert np.abs(ours - theirs).max() < 0.01 * ours.max()
    found = corners.find_peaks(corners.harris_response(image, 1.5, 0.05, 0.0), count=100, margin=8)
    # skimage's derivative is Sobel's: not the same score, but largely the same corners
    peaks = feature.corner_peaks(
        feature.corner_harris(image, k=0.05, sigma=1.5),
        min_distance=3,
        threshold_rel=0.0,
        num_peaks=100,
        exclude_border=8,
    )
    assert corners.repeatability(peaks[:, ::-1], found, np.eye(3), image.shape) > 0.8


def test_flat_and_tiny_images_have_no_corners():
    for image in (np.full((20, 30), 0.7), np.ones((1, 1)), np.zeros((1, 9))):
        for score in SCORES:
            R = score(image)
            assert np.abs(R).max() == pytest.approx(0, abs=1e-25)


# ---------------------------------------------------------------------------------------------
# Peaks


def peaks_slowly(response, size, threshold, margin):
    """The rule as written in the docstring, pixel by pixel."""
    h, w = response.shape
    half, found = size // 2, []
    for y, x in np.ndindex(h, w):
        if min(y, x, h - 1 - y, w - 1 - x) < margin or not response[y, x] > max(threshold * response.max(), 0):
            continue
        rivals = [
            (-response[j, i], j, i)
            for j in range(max(y - half, 0), min(y + half + 1, h))
            for i in range(max(x - half, 0), min(x + half + 1, w))
        ]
        if min(rivals) == (-response[y, x], y, x):
            found.append((-response[y, x], y, x))
    return np.array([(x, y) for _, y, x in sorted(found)], dtype=float).reshape(-1, 2)


@settings(max_examples=150, deadline=None)
@given(
    hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.integers(-2, 4).map(float),
    ),
    st.sampled_from([1, 3, 5, 9]),
    st.sampled_from([0.0, 0.3, 0.5]),
    st.integers(0, 3),
)
def test_peaks_are_what_the_rule_says(response, size, threshold, margin):
    found = corners.find_peaks(response, size, threshold, margin=margin)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, peaks_slowly(response, size, threshold, margin))


@pytest.mark.parametrize("layout", [np.ascontiguousarray, np.asfortranarray, lambda a: a[::-1, ::-1][::-1, ::-1]])
def test_peaks_in_any_layout_are_x_y_by_strength(layout):
    response = np.zeros((20, 40))
    response[3, 30], response[15, 4], response[0, 0] = 2.0, 3.0, 1.0
    np.testing.assert_array_equal(corners.find_peaks(layout(response)), [[4, 15], [30, 3], [0, 0]])
    np.testing.assert_array_equal(corners.find_peaks(layout(response), count=1), [[4, 15]])
    np.testing.assert_array_equal(corners.find_peaks(layout(response), threshold=0.5), [[4, 15], [30, 3]])
    np.testing.assert_array_equal(corners.find_peaks(layout(response), margin=4), [[4, 15]])
    assert corners.find_peaks(response, count=0).shape == (0, 2)


def test_two_peaks_nearer_than_half_the_window_are_one():
    response = np.zeros((20, 30))
    response[10, 10], response[10, 13], response[10, 17] = 3.0, 2.0, 1.0
    assert len(corners.find_peaks(response, size=7)) == 2  # at 17 the window reaches 14, not 13
    assert len(corners.find_peaks(response, size=9)) == 1
    assert len(corners.find_peaks(response, size=5)) == 3


def test_a_plateau_is_one_keypoint():
    response = np.zeros((9, 12))
    response[2:5, 3:8] = 1.0
    np.testing.assert_array_equal(corners.find_peaks(response, size=3), [[3, 2]])
    np.testing.assert_array_equal(corners.find_peaks(np.ones((6, 8))), [[0, 0]])


@pytest.mark.parametrize("response", [np.zeros((5, 6)), -np.ones((4, 4)), np.zeros((1, 1))])
def test_no_peaks_are_an_empty_list_of_points(response):
    assert corners.find_peaks(response).shape == (0, 2)


def test_the_detector_finds_the_corners_of_a_board():
    board = scenes.checkerboard(16, (5, 8), blur=1.0)
    # At the very crossing the gradient is 0: a narrow window finds a ring of corners around it.
    found = corners.find_peaks(corners.harris_response(board, sigma=3.0), margin=8)
    truth = np.array([(16 * j - 0.5, 16 * i - 0.5) for i in range(1, 5) for j in range(1, 8)])
    assert len(found) == len(truth)
    assert corners.repeatability(truth, found, np.eye(3), (80, 128), tolerance=0.75) == 1.0


# ---------------------------------------------------------------------------------------------
# Sub-pixel places


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("angle", [0.0, 0.4, 1.3])
def test_refinement_finds_a_crossing_anywhere_between_the_pixels(angle, dtype):
    for x0, y0 in np.random.default_rng(3).uniform((24.5, 16.5), (25.5, 17.5), size=(6, 2)):
        image = crossing(x0, y0, turn=angle).astype(dtype)
        refined = corners.refine_corners(image, [[26, 16], [24, 18]])
        np.testing.assert_allclose(refined, [[x0, y0]] * 2, rtol=0, atol=0.01)


def test_refinement_moves_with_the_image():
    image = np.ascontiguousarray(images.load("camera")[40:240, 100:380])
    keypoints = corners.find_peaks(corners.harris_response(image), count=30, margin=20)
    refined = corners.refine_corners(image, keypoints)
    turned = corners.refine_corners(np.ascontiguousarray(image.T), keypoints[:, ::-1])
    np.testing.assert_allclose(turned[:, ::-1], refined, rtol=0, atol=1e-6)
    shifted = corners.refine_corners(np.roll(image, (3, -5), (0, 1)), np.add(keypoints, (-5, 3)))
    np.testing.assert_allclose(shifted - (-5, 3), refined, rtol=0, atol=1e-6)
    assert np.hypot(*(refined - keypoints).T).max() <= 2 * 2.0


@pytest.mark.parametrize(
    "image", [np.full((20, 30), 0.5), scenes.step_edge((20, 30), 0.0, blur=1.0), scenes.ramp((20, 30), 0.01, 0.01)]
)
def test_what_has_no_corner_stays(image):
    np.testing.assert_array_equal(
        corners.refine_corners(image, [[14, 9], [0, 0], [29, 19]]), [[14, 9], [0, 0], [29, 19]]
    )


def test_no_keypoints_go_through_every_function():
    image, nothing = picture(), np.empty((0, 2))
    assert corners.refine_corners(image, nothing).shape == (0, 2)
    assert corners.position_covariance(image, nothing, 0.1).shape == (0, 2, 2)
    assert [part.shape for part in corners.error_ellipse(np.empty((0, 2, 2)))] == [(0,)] * 3
    assert corners.repeatability([[3, 4]], nothing, np.eye(3), (9, 9)) == 0.0


def test_refinement_does_not_write_to_its_arguments():
    image, keypoints = crossing(20.3, 15.8), np.array([[20.0, 16.0]])
    corners.refine_corners(image, keypoints)
    np.testing.assert_array_equal(keypoints, [[20.0, 16.0]])


# ---------------------------------------------------------------------------------------------
# Covariance, ellipse, repeatability


def test_covariance_is_the_scatter_that_noise_causes():
    """Find a smooth patch again in 1500 noisy copies by least squares: the scatter is the prediction."""
    image = filtering.gaussian(images.load("camera"), 1.5)
    at, sigma_w, noise = np.array([[286.0, 332.0]]), 3.0, 0.01
    x, y = scenes.grid((33, 33))
    x, y = x + at[0, 0] - 16, y + at[0, 1] - 16
    w = np.exp(-((x - at[0, 0]) ** 2 + (y - at[0, 1]) ** 2) / (2 * sigma_w**2))
    Ix = sampling.sample(image, x + 0.5, y, "spline") - sampling.sample(image, x - 0.5, y, "spline")
    Iy = sampling.sample(image, x, y + 0.5, "spline") - sampling.sample(image, x, y - 0.5, "spline")
    A = np.sqrt(w).ravel()[:, None] * np.column_stack([Ix.ravel(), Iy.ravel()])
    n = noise * np.random.default_rng(5).standard_normal((1500, x.size))
    shifts = np.linalg.lstsq(A, (np.sqrt(w).ravel() * n).T, rcond=None)[0]
    C = corners.position_covariance(image, at, noise, sigma_d=0.5, sigma_w=sigma_w)[0]
    # 1500 trials give a variance to 3.7 % (one sigma); smoothing by sigma_d = 0.5 takes some % off the gradient
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(shifts)), np.linalg.eigvalsh(C), rtol=0.2)
    inside = np.einsum("in,ij,jn->n", shifts, np.linalg.inv(C), shifts) < -2 * np.log(0.05)
    assert np.mean(inside) == pytest.approx(0.95, abs=0.025)


def test_covariance_is_quadratic_in_noise_and_falls_with_contrast():
    image, at = crossing(25.2, 17.1), [[25, 17], [24, 18]]
    C = corners.position_covariance(image, at, 0.01)
    np.testing.assert_allclose(corners.position_covariance(image, at, 0.03), 9 * C, rtol=1e-12)
    np.testing.assert_allclose(corners.position_covariance(image / 2 + 0.2, at, 0.01), 4 * C, rtol=1e-9)
    np.testing.assert_allclose(C, np.swapaxes(C, 1, 2), rtol=1e-9)
    turned = corners.position_covariance(np.ascontiguousarray(image.T), np.array(at)[:, ::-1], 0.01)
    np.testing.assert_allclose(turned, C[:, ::-1, ::-1], rtol=1e-9)


def test_error_ellipse_of_a_covariance_that_was_made():
    for angle in (-1.2, 0.0, 0.7, math.pi / 2):
        U = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        C = U @ np.diag([9.0, 4.0]) @ U.T
        one_sigma = 1 - math.exp(-0.5)
        ellipse = corners.error_ellipse([C], coverage=one_sigma)
        np.testing.assert_allclose([ellipse.major[0], ellipse.minor[0]], [3, 2], rtol=1e-9)
        assert math.sin(ellipse.angle[0] - angle) == pytest.approx(0, abs=1e-9)
        assert -math.pi / 2 < ellipse.angle[0] <= math.pi / 2


@pytest.mark.parametrize("coverage", [0.5, 0.95])
def test_error_ellipse_covers_what_it_says(coverage):
    C = np.array([[2.0, 0.9], [0.9, 1.0]])
    points = np.random.default_rng(6).multivariate_normal([0, 0], C, size=20_000)
    major, minor, angle = (part[0] for part in corners.error_ellipse([C], coverage))
    along = points @ [np.cos(angle), np.sin(angle)]
    across = points @ [-np.sin(angle), np.cos(angle)]
    share = np.mean((along / major) ** 2 + (across / minor) ** 2 <= 1)
    assert share == pytest.approx(coverage, abs=0.012)  # three standard deviations


def test_repeatability_counts_only_what_is_visible_and_near():
    T = np.array([[0.5, 0, 3], [0, 2.0, -1], [0, 0, 1]])
    keypoints = np.array([[2.0, 3.0], [10.0, 5.0], [8.0, 40.0]])
    mapped = transform_points(T, keypoints)  # (4, 5), (8, 9), (7, 79): the last one is outside
    assert corners.repeatability(keypoints, mapped, T, (30, 20)) == 1.0
    assert corners.repeatability(keypoints, np.add(mapped[:1], (1.9, 0)), T, (30, 20)) == 0.5
    assert corners.repeatability(keypoints, np.add(mapped[:1], (2.1, 0)), T, (30, 20)) == 0.0
    assert corners.repeatability(keypoints, np.add(mapped[:1], (2.1, 0)), T, (30, 20), tolerance=2.2) == 0.5
    assert corners.repeatability(keypoints, mapped[:1], T, (90, 20)) == pytest.approx(1 / 3)


def test_a_quarter_turn_repeats_everything():
    image = images.load("camera")
    keypoints1, keypoints2 = (
        corners.find_peaks(corners.harris_response(np.ascontiguousarray(f)), count=200, margin=8)
        for f in (image, np.rot90(image, -1))
    )
    T = [[0, -1, 511], [1, 0, 0], [0, 0, 1]]  # clockwise: (x, y) -> (511 - y, x)
    assert corners.repeatability(keypoints1, keypoints2, T, image.shape, tolerance=0.5) > 0.98


# ---------------------------------------------------------------------------------------------
# Refusals

IMAGE = picture()


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: corners.structure_tensor(np.zeros((5, 5), np.uint8)), TypeError, "as_float"),
        (lambda: corners.structure_tensor(np.zeros((5, 5, 3))), ValueError, r"\(H, W\)"),
        (lambda: corners.harris_response(np.full((5, 5), np.nan)), ValueError, "NaN"),
        (lambda: corners.min_eigenvalue_response(np.zeros((0, 5))), ValueError, "empty"),
        (lambda: corners.harmonic_mean_response([[1.0]]), TypeError, "must be an array"),
        (lambda: corners.harris_response(IMAGE, sigma=-1.0), ValueError, "sigma"),
        (lambda: corners.structure_tensor(IMAGE, sigma_d=-1.0), ValueError, "sigma"),
        (lambda: corners.harris_response(IMAGE, alpha=0.3), ValueError, "alpha must lie in"),
        (lambda: corners.harris_response(IMAGE, alpha=math.nan), ValueError, "alpha must lie in"),
        (lambda: corners.find_peaks(np.zeros((5, 5), int)), TypeError, "response"),
        (lambda: corners.find_peaks(IMAGE, size=4), ValueError, "odd"),
        (lambda: corners.find_peaks(IMAGE, size=3.0), ValueError, "size must be a whole number"),
        (lambda: corners.find_peaks(IMAGE, threshold=1.0), ValueError, "share of the largest"),
        (lambda: corners.find_peaks(IMAGE, count=-1), ValueError, "count must be"),
        (lambda: corners.find_peaks(IMAGE, margin=-1), ValueError, "margin must be"),
        (lambda: corners.refine_corners(IMAGE, [[40, 5]]), ValueError, "keypoint 0 .* outside"),
        (lambda: corners.refine_corners(IMAGE, [5, 5]), ValueError, r"\(N, 2\)"),
        (lambda: corners.refine_corners(IMAGE, [[5, np.nan]]), ValueError, "NaN"),
        (lambda: corners.refine_corners(IMAGE, [[5, 5]], sigma_w=0), ValueError, "sigma_w"),
        (lambda: corners.refine_corners(IMAGE, [[5, 5]], iterations=0), ValueError, "iterations"),
        (lambda: corners.position_covariance(IMAGE, [[5, 5]], -0.1), ValueError, "noise"),
        (lambda: corners.position_covariance(IMAGE, [[5, 5]], 0.1, sigma_w=0), ValueError, "sigma_w"),
        (lambda: corners.position_covariance(np.ones((9, 9)), [[5, 5]], 0.1), ValueError, "keypoint 0 lies in no corner"),
        (lambda: corners.position_covariance(scenes.ramp((40, 40), 0.01, 0.01), [[20, 20]], 0.1), ValueError, "no corner"),
        (lambda: corners.error_ellipse(np.eye(2)), ValueError, r"\(N, 2, 2\)"),
        (lambda: corners.error_ellipse([[[1, 0], [0, np.inf]]]), ValueError, "infinity"),
        (lambda: corners.error_ellipse([-np.eye(2)]), ValueError, "no negative eigenvalue"),
        (lambda: corners.error_ellipse([[[1, 0.5], [0, 1]]]), ValueError, "symmetric"),
        (lambda: corners.error_ellipse([np.eye(2)], coverage=1.0), ValueError, "probability"),
        (lambda: corners.repeatability(np.empty((0, 2)), [[1, 1]], np.eye(3), (9, 9)), ValueError, "keypoints1 is empty"),
        (lambda: corners.repeatability([[1, 1]], [[1, 1, 1]], np.eye(3), (9, 9)), ValueError, "keypoints2 must have"),
        (lambda: corners.repeatability([[50, 1]], [[1, 1]], np.eye(3), (9, 9)), ValueError, "none of the 1"),
        (lambda: corners.repeatability([[1, 1]], [[1, 1]], np.eye(3), (9, 9), -1), ValueError, "tolerance"),
    ],
)  # fmt: skip
def test_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()

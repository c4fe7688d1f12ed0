"""Derivatives and edges against truth by construction, laws, and SciPy and scikit-image as oracles."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import feature

from cvcourse import edges, filtering, images, scenes

BORDERS = {"mirror": "symmetric", "clamp": "edge", "wrap": "wrap", "zero": "constant"}
CENTRED = ["central", "prewitt", "sobel", "scharr"]
EPS = {np.float32: 1e-6, np.float64: 1e-14}
TURNS = [
    lambda a: np.rot90(a, 1),
    lambda a: np.rot90(a, 2),
    lambda a: np.rot90(a, 3),
    lambda a: a[:, ::-1],
    lambda a: a.T,
]


def picture(shape=(13, 17), dtype=np.float64, seed=0):
    return np.random.default_rng(seed).random(shape).astype(dtype)


def photo(dtype=np.float64):
    """A real image, neither square nor symmetric, whose gray values tie often."""
    return np.ascontiguousarray(images.load("camera")[60:287, 130:331].astype(dtype))


def padded_correlate(image, kernel, border):
    """The textbook sum over an image that NumPy has padded; anchor at size // 2."""
    kernel = np.asarray(kernel, dtype=np.float64)
    before = [n // 2 for n in kernel.shape]
    after = [n - 1 - n // 2 for n in kernel.shape]
    big = np.pad(image.astype(np.float64), list(zip(before, after, strict=True)), mode=BORDERS[border])
    h, w = image.shape
    result = np.zeros((h, w))
    for i, j in np.ndindex(kernel.shape):
        result += kernel[i, j] * big[i : i + h, j : j + w]
    return result


# ---------------------------------------------------------------------------------------------
# First derivatives


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("operator", edges.OPERATORS)
def test_a_ramp_gives_its_two_slopes(operator, dtype):
    image = scenes.ramp((9, 14), 0.03, -0.05, 0.6).astype(dtype)
    Ix, Iy = edges.gradient(image, operator)
    assert Ix.dtype == Iy.dtype == dtype
    inner = np.s_[1:-1, 1:-1]
    np.testing.assert_allclose(Ix[inner], 0.03, rtol=0, atol=EPS[dtype])
    np.testing.assert_allclose(Iy[inner], -0.05, rtol=0, atol=EPS[dtype])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("operator", edges.OPERATORS)
@pytest.mark.parametrize("shape", [(13, 17), (1, 1), (1, 5), (6, 1), (2, 2), (2, 3)])
def test_every_operator_is_its_kernel_at_every_border(operator, border, shape, dtype):
    image = picture(shape, dtype)
    for result, kernel in zip(edges.gradient(image, operator, border), edges.OPERATORS[operator], strict=True):
        np.testing.assert_allclose(result, padded_correlate(image, kernel, border), rtol=0, atol=EPS[dtype])


@pytest.mark.parametrize(("operator", "oracle"), [("sobel", ndimage.sobel), ("prewitt", ndimage.prewitt)])
def test_operators_agree_with_scipy(operator, oracle):
    image, scale = picture((21, 34)), {"sobel": 8, "prewitt": 6}[operator]
    Ix, Iy = edges.gradient(image, operator)
    np.testing.assert_allclose(Ix, oracle(image, axis=1, mode="reflect") / scale, rtol=0, atol=1e-14)
    np.testing.assert_allclose(Iy, oracle(image, axis=0, mode="reflect") / scale, rtol=0, atol=1e-14)


def test_the_default_operator_is_sobel():
    np.testing.assert_array_equal(edges.gradient(picture()).Ix, edges.gradient(picture(), "sobel").Ix)


def test_roberts_has_the_magnitude_of_its_diagonal_differences():
    image = picture()
    Ix, Iy = edges.gradient(image, "roberts")
    falling, rising = image[1:, 1:] - image[:-1, :-1], image[:-1, 1:] - image[1:, :-1]
    np.testing.assert_allclose(np.hypot(Ix, Iy)[1:, 1:], np.hypot(falling, rising) / np.sqrt(2), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize(("sigma", "truncate"), [(0.0, 4.0), (0.6, 4.0), (1.0, 3.0), (1.7, 4.0), (6.0, 3.0)])
@pytest.mark.parametrize("shape", [(13, 17), (1, 1), (1, 9), (2, 3)])
def test_gaussian_gradient_is_its_kernels_at_every_border(sigma, truncate, border, shape, dtype):
    image = picture(shape, dtype)
    g, dg = edges.gaussian_derivative_kernels(sigma, truncate)
    Ix, Iy = edges.gaussian_gradient(image, sigma, border, truncate)
    assert Ix.dtype == Iy.dtype == dtype
    np.testing.assert_allclose(Ix, padded_correlate(image, np.outer(g, dg[::-1]), border), rtol=0, atol=2 * EPS[dtype])
    np.testing.assert_allclose(Iy, padded_correlate(image, np.outer(dg[::-1], g), border), rtol=0, atol=2 * EPS[dtype])


@pytest.mark.parametrize("sigma", [0.0, 0.04, 0.3, 0.5, 1.0, 2.3, 8.0])
def test_derivative_kernels_keep_constants_and_slopes(sigma):
    g, dg = edges.gaussian_derivative_kernels(sigma)
    u = np.arange(len(g)) - len(g) // 2
    assert g.sum() == pytest.approx(1, abs=1e-14)
    assert dg.sum() == pytest.approx(0, abs=1e-14)
    assert -(u @ dg) == pytest.approx(1, abs=1e-14)  # convolution with dg of the ramp x, at 0
    np.testing.assert_allclose(g, g[::-1], rtol=0, atol=0)
    np.testing.assert_allclose(dg, -dg[::-1], rtol=0, atol=0)
    assert dg[0] >= 0 > dg[len(g) // 2 + 1]


def test_derivative_kernels_end_in_the_central_difference():
    g, dg = edges.gaussian_derivative_kernels(0)
    np.testing.assert_allclose(g, [0, 1, 0], rtol=0, atol=1e-80)
    np.testing.assert_allclose(dg, [0.5, 0, -0.5], rtol=0, atol=1e-15)
    image = picture()
    for smooth, small in zip(edges.gaussian_gradient(image, 0), edges.gradient(image, "central"), strict=True):
        np.testing.assert_allclose(smooth, small, rtol=0, atol=1e-15)


def test_derivative_kernels_use_the_gaussian_of_lecture_1():
    np.testing.assert_allclose(edges.gaussian_derivative_kernels(1.7)[0], filtering.gaussian_kernel(1.7), rtol=1e-14)


@pytest.mark.parametrize("sigma", [1.5, 2.0, 4.0])
def test_gaussian_gradient_agrees_with_scipy(sigma):
    image = picture((41, 57))
    Ix, Iy = edges.gaussian_gradient(image, sigma)
    # SciPy does not rescale the sampled derivative: they differ by what 4 sigma cut off, 0.1 %.
    scale = np.abs(Ix).max()
    assert np.abs(Ix - ndimage.gaussian_filter(image, sigma, order=(0, 1))).max() < 3e-3 * scale
    assert np.abs(Iy - ndimage.gaussian_filter(image, sigma, order=(1, 0))).max() < 3e-3 * scale


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
@pytest.mark.parametrize("angle", [0.0, 0.5, 2.0])
def test_a_step_has_the_peak_that_theory_says(sigma, angle):
    image = scenes.step_edge((81, 81), angle, blur=1.0)
    Ix, Iy = edges.gaussian_gradient(image, sigma)
    peak = np.hypot(Ix, Iy)[40, 40]  # the edge passes through this pixel's centre
    assert peak == pytest.approx(1 / math.sqrt(2 * math.pi * (sigma**2 + 1)), rel=0.01)
    assert math.atan2(Iy[40, 40], Ix[40, 40]) == pytest.approx(angle, abs=1e-3)


def test_noise_in_the_derivative_is_what_theory_says():
    noise = np.random.default_rng(3).normal(0, 0.1, (400, 500))
    for sigma in (1.5, 3.0):
        measured = edges.gaussian_gradient(noise, sigma).Ix.std()
        # 200,000 values, about 12 sigma**2 of them per independent one: 3 % is over 3 standard errors.
        assert measured == pytest.approx(0.1 / (math.sqrt(8 * math.pi) * sigma**2), rel=0.03)


@pytest.mark.parametrize(("operator", "worst"), [("central", 4.3), ("prewitt", 4.4), ("sobel", 2.0), ("scharr", 0.31)])
def test_orientation_error_on_a_grating(operator, worst):
    errors = []
    for angle in np.deg2rad(np.arange(0, 90, 3)):
        wave = scenes.grating((41, 41), 0.2, angle)
        magnitude, orientation = edges.polar_gradient(wave, operator)
        steep = magnitude[2:-2, 2:-2] > magnitude.max() / 2
        off = (orientation[2:-2, 2:-2][steep] - angle + np.pi / 2) % np.pi - np.pi / 2
        errors.append(np.abs(off).max())
    assert np.rad2deg(max(errors)) == pytest.approx(worst, rel=0.03)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("derivative", [edges.gradient, lambda image: edges.gaussian_gradient(image, 1.4)])
def test_turning_the_image_turns_the_magnitude_bit_for_bit(derivative, turn, dtype):
    image = photo(dtype)
    straight = edges.magnitude_orientation(*derivative(image)).magnitude
    turned = edges.magnitude_orientation(*derivative(np.ascontiguousarray(turn(image)))).magnitude
    np.testing.assert_array_equal(turned, turn(straight))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-15)])
def test_magnitude_and_orientation_in_every_direction(dtype, tolerance):
    angle = np.linspace(-np.pi, np.pi, 721)[1:].reshape(20, 36)
    for length in (1e-12, 1.0, 1e6):
        Ix, Iy = (length * np.cos(angle)).astype(dtype), (length * np.sin(angle)).astype(dtype)
        magnitude, orientation = edges.magnitude_orientation(Ix, Iy)
        assert magnitude.dtype == orientation.dtype == dtype
        np.testing.assert_allclose(magnitude, length, rtol=1e-6 if dtype == np.float32 else 1e-14)
        gap = np.angle(np.exp(1j * (orientation.astype(np.float64) - np.arctan2(Iy, Ix, dtype=np.float64))))
        assert np.abs(gap).max() < tolerance


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_orientation_on_the_axes_and_of_no_gradient(dtype):
    Ix = np.array([[1, 0, -1, 0, -1, 0, -0.0, 0, -0.0]], dtype)
    Iy = np.array([[0, 1, 0, -1, -0.0, 0, 0, -0.0, -0.0]], dtype)
    expected = np.array([[0, np.pi / 2, np.pi, -np.pi / 2, np.pi, 0, 0, 0, 0]])
    np.testing.assert_allclose(edges.magnitude_orientation(Ix, Iy).orientation, expected, rtol=0, atol=3e-7)


@pytest.mark.parametrize("border", BORDERS)
@pytest.mark.parametrize("operator", edges.OPERATORS)
def test_polar_gradient_is_the_composition_in_both_precisions(operator, border):
    for dtype in (np.float32, np.float64):
        image = picture((15, 22), dtype)
        expected = edges.magnitude_orientation(*edges.gradient(image, operator, border))
        for got, want in zip(edges.polar_gradient(image, operator, border), expected, strict=True):
            np.testing.assert_array_equal(got, want)


# ---------------------------------------------------------------------------------------------
# Second derivatives


@pytest.mark.parametrize("border", BORDERS)
def test_laplacian_agrees_with_its_kernel_and_with_scipy(border):
    image = picture()
    expected = padded_correlate(image, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], border)
    np.testing.assert_allclose(edges.laplacian(image, border), expected, rtol=0, atol=1e-14)
    if border == "mirror":
        np.testing.assert_allclose(expected, ndimage.laplace(image, mode="reflect"), rtol=0, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.0, 0.4, 1.0, 2.5])
def test_laplacian_of_gaussian_is_exact_on_quadratics(sigma):
    x, y = scenes.grid((41, 43))
    image = 0.003 * x * x - 0.001 * y * y + 0.002 * x * y - 0.05 * x + 0.1
    response = edges.laplacian_of_gaussian(image, sigma)
    np.testing.assert_allclose(response[12:-12, 12:-12], 2 * (0.003 - 0.001), rtol=0, atol=1e-12)
    assert np.abs(edges.laplacian_of_gaussian(np.full((9, 12), 0.7), sigma)).max() < 1e-14


def test_laplacian_of_gaussian_ends_in_the_laplacian():
    image = picture((11, 12))
    np.testing.assert_allclose(edges.laplacian_of_gaussian(image, 0), edges.laplacian(image), rtol=0, atol=1e-14)


def test_laplacian_of_gaussian_agrees_with_scipy():
    image = picture((60, 75))
    response, oracle = edges.laplacian_of_gaussian(image, 3.0), ndimage.gaussian_laplace(image, 3.0)
    assert np.abs(response - oracle).max() < 0.01 * np.abs(oracle).max()  # SciPy's kernel sums to 1e-3 of its size


def test_zero_crossings_of_a_disc_lie_on_its_outline():
    center, radius = (40.3, 37.8), 22.0
    image = scenes.disc((77, 82), radius, center)
    marked = edges.zero_crossings(edges.laplacian_of_gaussian(image, 1.5).round(9))
    y, x = np.nonzero(marked)
    off = np.hypot(x - center[0], y - center[1]) - radius
    assert len(x) > 2 * math.pi * radius * 0.8
    assert np.abs(off).max() < 1.0
    inside = ndimage.label(~marked)[0]  # with 4-neighbours the outline is closed
    assert inside[37, 40] != inside[0, 0]


@pytest.mark.parametrize("turn", TURNS)
def test_zero_crossings_turn_with_the_response(turn):
    response = np.random.default_rng(2).integers(-2, 3, (13, 19)).astype(float)  # many zeros and ties
    np.testing.assert_array_equal(edges.zero_crossings(turn(response)), turn(edges.zero_crossings(response)))


def test_zero_crossings_mark_the_nearer_of_two():
    assert edges.zero_crossings(np.array([[-3.0, 1.0]])).tolist() == [[False, True]]
    assert edges.zero_crossings(np.array([[-1.0], [3.0]])).tolist() == [[True], [False]]
    assert edges.zero_crossings(np.array([[-1.0, 1.0]])).tolist() == [[False, True]]
    assert edges.zero_crossings(np.array([[-1.0, 0.0, 1.0]])).tolist() == [[False, True, False]]
    assert not edges.zero_crossings(np.array([[1.0, 0.0, 1.0, 0.0, 0.0]])).any()


# ---------------------------------------------------------------------------------------------
# Non-maximum suppression


def reference_suppression(magnitude, Ix, Iy, interpolate=True):
    """The same rule by geometry: where the line along the gradient leaves the ring of neighbours."""
    h, w = magnitude.shape
    kept = np.zeros_like(magnitude)
    for y, x in itertools.product(range(1, h - 1), range(1, w - 1)):
        g = np.array([Ix[y, x], Iy[y, x]])
        if magnitude[y, x] == 0 or not g.any():
            continue
        if interpolate:
            dx, dy = g / np.abs(g).max()
        else:
            sector = round(math.atan2(g[1], g[0]) / (math.pi / 4))
            dx, dy = round(math.cos(sector * math.pi / 4)), round(math.sin(sector * math.pi / 4))
        ahead, behind = (
            ndimage.map_coordinates(magnitude, [[y + s * dy], [x + s * dx]], order=1, mode="nearest")[0]
            for s in (1, -1)
        )
        if magnitude[y, x] > ahead and magnitude[y, x] >= behind:
            kept[y, x] = magnitude[y, x]
    return kept


@pytest.mark.parametrize("interpolate", [True, False])
def test_suppression_agrees_with_geometry(interpolate):
    image = picture((23, 31), seed=5)
    Ix, Iy = edges.gaussian_gradient(image, 1.0)
    magnitude = np.hypot(Ix, Iy)
    kept = edges.non_maximum_suppression(magnitude, Ix, Iy, interpolate)
    np.testing.assert_array_equal(kept, reference_suppression(magnitude, Ix, Iy, interpolate))
    assert 0.1 < np.mean(kept > 0) < 0.5


@pytest.mark.parametrize("degrees", range(5, 360, 15))
def test_a_ridge_stays_in_all_octants(degrees):
    angle = np.deg2rad(degrees)
    x, y = scenes.grid((31, 33))
    s = (x - 16.2) * np.cos(angle) + (y - 14.7) * np.sin(angle)
    magnitude = np.exp(-(s**2) / 8)
    kept = edges.non_maximum_suppression(magnitude, np.full_like(s, np.cos(angle)), np.full_like(s, np.sin(angle)))
    inner = np.s_[1:-1, 1:-1]
    steepness = 1 / max(abs(np.cos(angle)), abs(np.sin(angle)))
    ridge, far = np.abs(s[inner]) < 0.45 * steepness, np.abs(s[inner]) > 0.6 * steepness
    assert np.all(kept[inner][ridge] > 0)
    assert np.all(kept[inner][far] == 0)


@pytest.mark.parametrize("interpolate", [True, False])
@pytest.mark.parametrize("gx, gy", [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1)])
def test_of_a_plateau_of_two_the_bright_side_stays(gx, gy, interpolate):
    x, y = scenes.grid((11, 12))
    s = (x - 5) * gx + (y - 5) * gy  # steps along the gradient, 0 and 1 (diagonal: 0 and 2) tie
    magnitude = np.exp(-((s - (abs(gx) + abs(gy)) / 2) ** 2))
    kept = edges.non_maximum_suppression(magnitude, np.full_like(s, gx), np.full_like(s, gy), interpolate)
    assert kept[5, 5] == 0 and kept[5 + gy, 5 + gx] > 0


def test_of_a_long_plateau_the_brightest_end_stays():
    magnitude = np.ones((5, 1)) * np.array([0.0, 1, 2, 2, 2, 2, 1, 0])
    one, zero = np.ones_like(magnitude), np.zeros_like(magnitude)
    assert np.nonzero(edges.non_maximum_suppression(magnitude, one, zero)[2])[0].tolist() == [5]
    assert np.nonzero(edges.non_maximum_suppression(magnitude, -one, zero)[2])[0].tolist() == [2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rounding_does_not_decide_a_tie(degrees, dtype):
    angle = np.deg2rad(degrees)  # cos(90 degrees) is 6e-17, so nothing here is quite symmetric
    image = scenes.step_edge((20, 20), angle, low=0.91, high=0.93).astype(dtype)  # the edge lies between two rows
    edge = edges.canny(image, 1.5, 0.002, 0.004)
    assert edge.sum() == 18
    assert np.all(image[edge] > 0.92)  # the brighter of the two


def test_suppression_keeps_nothing_of_zero_and_nothing_at_the_border():
    zero = np.zeros((6, 7))
    assert not edges.non_maximum_suppression(zero, zero, zero).any()
    assert not edges.non_maximum_suppression(np.ones((6, 7)), zero, zero).any()  # no direction
    peak = np.zeros((5, 6))
    peak[0, :] = peak[:, 0] = peak[-1, :] = peak[:, -1] = 1
    assert not edges.non_maximum_suppression(peak, np.ones((5, 6)), np.ones((5, 6))).any()


def test_suppression_leaves_its_arguments_alone():
    image = picture()
    Ix, Iy = edges.gradient(image)
    fields = np.hypot(Ix, Iy), Ix, Iy
    copies = [field.copy() for field in fields]
    edges.non_maximum_suppression(*fields)
    for field, copy in zip(fields, copies, strict=True):
        np.testing.assert_array_equal(field, copy)


# ---------------------------------------------------------------------------------------------
# Hysteresis


@pytest.mark.parametrize("seed", range(4))
def test_hysteresis_is_the_components_that_hold_a_strong_pixel(seed):
    thinned = np.random.default_rng(seed).random((37, 52))
    low, high = 0.62, 0.97
    labels, _ = ndimage.label(thinned >= low, np.ones((3, 3)))
    expected = np.isin(labels, labels[thinned >= high])
    edge = edges.hysteresis(thinned, low, high)
    np.testing.assert_array_equal(edge, expected)
    assert 0 < np.mean(edge) < np.mean(thinned >= low)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_thresholds_include_equality(dtype):
    thinned = np.array([[0.7, 0.3, 0.3, 0.1, 0.3]], dtype)
    assert edges.hysteresis(thinned, 0.3, 0.7).tolist() == [[True, True, True, False, False]]
    assert not edges.hysteresis(thinned, 0.3, 0.7001).any()
    assert edges.hysteresis(thinned, 0.3001, 0.7).tolist() == [[True, False, False, False, False]]
    assert edges.hysteresis(thinned, 0.3, 0.3).tolist() == [[True, True, True, False, True]]


def test_chains_run_over_diagonals_in_all_directions():
    for snake in (np.eye(7), np.eye(7)[::-1]):
        thinned = 0.5 * snake
        for end in (0, 6):
            strong = thinned.copy()
            strong[end] *= 2
            np.testing.assert_array_equal(edges.hysteresis(strong, 0.5, 1.0), snake > 0)


def test_a_chain_may_be_longer_than_any_recursion():
    n = 301
    snake = np.zeros((n, n))
    snake[::2] = 0.4
    snake[1::4, -1] = snake[3::4, 0] = 0.4  # one path of 45,000 weak pixels
    assert not edges.hysteresis(snake, 0.4, 0.9).any()
    snake[-1, -1] = 0.9
    np.testing.assert_array_equal(edges.hysteresis(snake, 0.4, 0.9), snake > 0)


def test_a_threshold_of_zero_does_not_take_the_empty_pixels():
    thinned = np.array([[0.0, 0.1, 0.0, 0.2, 0.0]])
    assert edges.hysteresis(thinned, 0, 0).tolist() == [[False, True, False, True, False]]
    assert edges.hysteresis(np.array([[0.0, 0.1, 0.2, 0.0]]), 0, 0.2).tolist() == [[False, True, True, False]]


# ---------------------------------------------------------------------------------------------
# Canny


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_canny_is_exactly_its_stages(dtype):
    image = photo(dtype)
    Ix, Iy = edges.gaussian_gradient(image, 1.4)
    thinned = edges.non_maximum_suppression(np.sqrt(Ix * Ix + Iy * Iy), Ix, Iy)
    np.testing.assert_array_equal(edges.canny(image, 1.4, 0.02, 0.06), edges.hysteresis(thinned, 0.02, 0.06))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("sigma", [0.0, 1.4])
@pytest.mark.parametrize("turn", TURNS)
def test_turning_the_image_turns_the_edges_exactly(turn, sigma, dtype):
    image = photo(dtype)
    edge = edges.canny(image, sigma, 0.02, 0.06)
    np.testing.assert_array_equal(edges.canny(np.ascontiguousarray(turn(image)), sigma, 0.02, 0.06), turn(edge))
    assert 0.02 < edge.mean() < 0.3


def test_canny_agrees_with_scikit_image():
    image = images.load("camera")
    # scikit-image takes Sobel (8 times ours) after the Gaussian, and Sobel blurs by a variance of about 0.4.
    oracle = feature.canny(image, 1.4, 0.2, 0.5)
    edge = edges.canny(image, math.sqrt(1.4**2 + 0.4), 0.2 / 8, 0.5 / 8)
    near = [ndimage.binary_dilation(mask, np.ones((3, 3))) for mask in (edge, oracle)]
    precision, recall = np.mean(near[1][edge]), np.mean(near[0][oracle])
    assert 2 * precision * recall / (precision + recall) > 0.93
    assert np.mean(edge == oracle) > 0.97


@pytest.mark.parametrize(("center", "radius", "sigma"), [((50.3, 44.6), 36.0, 1.0), ((49.0, 45.5), 30.0, 2.0)])
def test_one_disc_tests_everything(center, radius, sigma):
    image = scenes.disc((91, 103), radius, center, blur=0.7)
    Ix, Iy = edges.gaussian_gradient(image, sigma)
    magnitude = np.sqrt(Ix * Ix + Iy * Iy)
    edge = edges.hysteresis(edges.non_maximum_suppression(magnitude, Ix, Iy), 0.02, 0.05)
    y, x = np.nonzero(edge)
    off = np.hypot(x - center[0], y - center[1]) - radius
    assert np.abs(off).max() < 0.5 * math.sqrt(2) + 0.1  # half a step along the gradient, at 45 degrees
    around = np.sort(np.arctan2(y - center[1], x - center[0]))
    assert np.diff(around, append=around[0] + 2 * np.pi).max() * radius < 1.6  # no gap
    assert 1.0 < len(x) / (2 * np.pi * radius) < 1.25  # 1 / cos(angle) pixels per pixel of outline
    assert ndimage.label(edge, np.ones((3, 3)))[1] == 1
    outward = np.arctan2(center[1] - y, center[0] - x)  # bright inside: the gradient points to the centre
    turn = np.angle(np.exp(1j * (np.arctan2(Iy, Ix)[edge] - outward)))
    assert np.abs(turn).max() < np.deg2rad(1)

    points = edges.edge_points(edge, magnitude, Ix, Iy)
    r = np.hypot(*(points - center).T) - radius
    assert np.abs(r).max() < 0.13
    assert r.mean() == pytest.approx(-(sigma**2 + 0.7**2) / (2 * radius), abs=0.012)  # smoothing shrinks a disc


@pytest.mark.parametrize("offset", [-0.4, -0.1, 0.0, 0.25, 0.5])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_edge_points_find_a_straight_edge_between_the_pixels(degrees, offset):
    angle = np.deg2rad(degrees)
    image = scenes.step_edge((41, 41), angle, blur=1.0, offset=offset)
    Ix, Iy = edges.gaussian_gradient(image, 1.5)
    magnitude = np.sqrt(Ix * Ix + Iy * Iy)
    edge = edges.canny(image, 1.5, 0.02, 0.05)
    points = edges.edge_points(edge, magnitude, Ix, Iy)
    assert len(points) == 39  # every row (column) but the outermost, once
    along = (points - 20) @ [np.cos(angle), np.sin(angle)]
    np.testing.assert_allclose(along, offset, rtol=0, atol=0.02)


def test_edge_points_come_in_the_order_of_nonzero():
    image = photo()
    Ix, Iy = edges.gaussian_gradient(image, 1.4)
    edge = edges.canny(image, 1.4, 0.02, 0.06)
    points = edges.edge_points(edge, np.sqrt(Ix * Ix + Iy * Iy), Ix, Iy)
    y, x = np.nonzero(edge)
    assert points.shape == (len(x), 2) and points.dtype == np.float64
    assert np.abs(points - np.column_stack([x, y])).max() <= 0.5
    nothing = edges.edge_points(np.zeros_like(edge), Ix, Ix, Iy)
    assert nothing.shape == (0, 2)


# ---------------------------------------------------------------------------------------------
# Shapes, layouts, and refusals


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "reversed"]),
    sigma=st.sampled_from([0.0, 0.8, 3.0]),
    seed=st.integers(0, 999),
)
def test_any_shape_and_layout(shape, dtype, layout, sigma, seed):
    plain = np.random.default_rng(seed).random(shape).astype(dtype)
    image = {
        "C": plain,
        "F": np.asfortranarray(plain),
        "strided": np.repeat(plain, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(plain[::-1])[::-1],
    }[layout]
    before = image.copy()
    for function in (
        edges.gradient,
        edges.polar_gradient,
        lambda f: edges.gaussian_gradient(f, sigma),
        lambda f: [edges.canny(f, sigma, 0.01, 0.02), edges.laplacian(f), edges.laplacian_of_gaussian(f, sigma)],
    ):
        for got, want in zip(function(image), function(plain), strict=True):
            assert got.shape == shape and got.dtype in (dtype, bool)
            np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(image, before)


@settings(max_examples=25, deadline=None)
@given(value=st.floats(0, 1), shape=st.tuples(st.integers(1, 12), st.integers(1, 12)), sigma=st.floats(0, 3))
def test_a_flat_image_has_no_gradient_and_no_edges(value, shape, sigma):
    flat = np.full(shape, value)
    assert not any(field.any() for field in edges.gradient(flat))
    assert max(np.abs(field).max() for field in edges.gaussian_gradient(flat, sigma)) < 1e-15
    assert not edges.canny(flat, sigma, 1e-12, 1e-12).any()


@settings(max_examples=25, deadline=None)
@given(gain=st.sampled_from([0.25, 0.5, 2.0]), seed=st.integers(0, 99), sigma=st.floats(0, 2))
def test_a_gain_of_brightness_and_thresholds_changes_nothing(gain, seed, sigma):
    image = picture((14, 15), seed=seed)  # gains are powers of 2, so rounding scales too
    edge = edges.canny(image, sigma, 0.03, 0.06)
    np.testing.assert_array_equal(edges.canny(gain * image, sigma, gain * 0.03, gain * 0.06), edge)


FIELD = np.ones((4, 5))
CALLS = {
    "gradient": edges.gradient,
    "gaussian_gradient": lambda f: edges.gaussian_gradient(f, 1.0),
    "polar_gradient": edges.polar_gradient,
    "laplacian": edges.laplacian,
    "laplacian_of_gaussian": lambda f: edges.laplacian_of_gaussian(f, 1.0),
    "zero_crossings": edges.zero_crossings,
    "magnitude_orientation": lambda f: edges.magnitude_orientation(f, f),
    "suppression": lambda f: edges.non_maximum_suppression(f, f, f),
    "hysteresis": lambda f: edges.hysteresis(f, 0.1, 0.2),
    "canny": lambda f: edges.canny(f, 1.0, 0.1, 0.2),
    "edge_points": lambda f: edges.edge_points(np.zeros(np.shape(f), bool), f, f, f),
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.ones((4, 5), np.uint8), TypeError, "float32 or float64, got uint8"),
        ([[1.0, 2.0]], TypeError, "must be an array, got list"),
        (np.ones((4, 5, 3)), ValueError, r"shape \(H, W\), got \(4, 5, 3\)"),
        (np.ones(4), ValueError, r"shape \(H, W\), got \(4,\)"),
        (np.ones((0, 5)), ValueError, "empty"),
        (np.full((4, 5), np.nan), ValueError, "NaN"),
        (np.full((4, 5), np.inf), ValueError, "infinity"),
    ],
)
def test_refuses_what_is_no_gray_image(name, image, error, message):
    with pytest.raises(error, match=message):
        CALLS[name](image)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: edges.gradient(FIELD, "sobl"), "'sobel'.*got 'sobl'"),
        (lambda: edges.polar_gradient(FIELD, "sobl"), "got 'sobl'"),
        (lambda: edges.gradient(FIELD, border="reflect"), "border must be one of.*got 'reflect'"),
        (lambda: edges.gradient(FIELD, "roberts", "reflect"), "got 'reflect'"),
        (lambda: edges.gaussian_gradient(FIELD, -1), "sigma.*got -1"),
        (lambda: edges.gaussian_gradient(FIELD, math.nan), "sigma.*got nan"),
        (lambda: edges.gaussian_gradient(FIELD, math.inf), "sigma.*got inf"),
        (lambda: edges.gaussian_gradient(FIELD, 1, "reflect"), "got 'reflect'"),
        (lambda: edges.gaussian_gradient(FIELD, 1, truncate=0), "truncate.*got 0"),
        (lambda: edges.laplacian_of_gaussian(FIELD, -2), "sigma.*got -2"),
        (lambda: edges.canny(FIELD, -1, 0.1, 0.2), "sigma.*got -1"),
        (lambda: edges.canny(FIELD, 1, 0.3, 0.2), "low = 0.3 and high = 0.2"),
        (lambda: edges.hysteresis(FIELD, -0.1, 0.2), "low = -0.1"),
        (lambda: edges.hysteresis(FIELD, 0.1, math.nan), "high = nan"),
        (lambda: edges.magnitude_orientation(FIELD, FIELD.T), r"Ix has shape \(4, 5\), Iy \(5, 4\)"),
        (lambda: edges.non_maximum_suppression(FIELD, FIELD, FIELD.T), r"magnitude has shape \(4, 5\), Iy \(5, 4\)"),
        (lambda: edges.edge_points(np.ones((5, 4), bool), FIELD, FIELD, FIELD), r"edges has shape \(5, 4\)"),
        (lambda: edges.edge_points(np.ones((4, 5), bool), FIELD, FIELD, FIELD), "20 of 20 edge pixels are no maximum"),
    ],
)
def test_says_why_it_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_refuses_mixed_precisions_and_masks_of_numbers():
    with pytest.raises(TypeError, match="Ix is float64, Iy float32: use one precision"):
        edges.magnitude_orientation(FIELD, FIELD.astype(np.float32))
    with pytest.raises(TypeError, match="array of bool"):
        edges.edge_points(FIELD, FIELD, FIELD, FIELD)

"""Filters: truth by construction, laws, refusals, and SciPy as an independent oracle."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cvcourse import filtering, scenes
from cvcourse.images import load

IMAGE = np.random.default_rng(1).random((11, 17))
KERNEL = np.random.default_rng(2).normal(size=(3, 5))  # neither square nor symmetric
PADDING = {"mirror": "symmetric", "clamp": "edge", "wrap": "wrap", "zero": "constant"}
SCIPY = {"mirror": "reflect", "clamp": "nearest", "wrap": "wrap", "zero": "constant"}
TOLERANCE = {"float64": 1e-12, "float32": 2e-5}  # a few hundred roundings of sums of size about 10

borders = st.sampled_from(list(filtering.BORDERS))
images = st.builds(
    lambda shape, dtype, layout, seed: _image(shape, dtype, layout, seed),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([np.float32, np.float64]),
    st.sampled_from(["C", "F", "reversed", "strided", "read-only"]),
    st.integers(0, 99),
)


def _image(shape, dtype, layout, seed):
    """A random image in one of the memory layouts that slicing and transposing produce."""
    image = np.random.default_rng(seed).random(shape).astype(dtype)
    if layout == "F":
        return np.asfortranarray(image)
    if layout == "reversed":
        return image[::-1, ::-1]
    if layout == "strided":
        return np.repeat(image, 2, axis=1)[:, ::2]
    image.flags.writeable = layout != "read-only"
    return image


def by_definition(image, kernel, border, sign):
    """Correlation (sign +1) or convolution (sign -1) by the sum itself, in float64."""
    kernel = np.asarray(kernel, dtype=np.float64)
    reach = max(kernel.shape)
    continued = np.pad(image.astype(np.float64), reach, mode=PADDING[border])
    a, b = kernel.shape[0] // 2, kernel.shape[1] // 2
    result = np.zeros(image.shape)
    for (i, j), weight in np.ndenumerate(kernel):
        top, left = reach + sign * (i - a), reach + sign * (j - b)
        result += weight * continued[top : top + image.shape[0], left : left + image.shape[1]]
    return result


# ------------------------------------------------------------------ correlation and convolution


@pytest.mark.parametrize("border", filtering.BORDERS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (3, 5), (2, 2), (4, 3), (1, 6), (7, 1), (25, 4)])
def test_correlation_and_convolution_are_their_definitions(shape, border):
    kernel = np.random.default_rng(3).normal(size=shape)
    np.testing.assert_allclose(
        filtering.correlate(IMAGE, kernel, border), by_definition(IMAGE, kernel, border, +1), atol=1e-12
    )
    np.testing.assert_allclose(
        filtering.convolve(IMAGE, kernel, border), by_definition(IMAGE, kernel, border, -1), atol=1e-12
    )


@settings(max_examples=60, deadline=None)
@given(images, st.tuples(st.integers(1, 6), st.integers(1, 6)), borders)
def test_any_size_layout_and_precision(image, shape, border):
    kernel = np.random.default_rng(4).normal(size=shape)
    before = image.copy()
    result = filtering.correlate(image, kernel, border)
    assert result.dtype == image.dtype
    assert result.shape == image.shape
    np.testing.assert_array_equal(image, before)
    np.testing.assert_allclose(
        result, by_definition(image, kernel, border, +1), rtol=0, atol=TOLERANCE[image.dtype.name]
    )


@pytest.mark.parametrize("border", filtering.BORDERS)
def test_convolution_agrees_with_scipy(border):
    np.testing.assert_allclose(
        filtering.convolve(IMAGE, KERNEL, border), ndimage.convolve(IMAGE, KERNEL, mode=SCIPY[border]), atol=1e-12
    )


@pytest.mark.parametrize("shape", [(3, 5), (2, 2), (4, 3)])
def test_an_impulse_comes_out_as_the_kernel_with_its_anchor_at_the_impulse(shape):
    kernel = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
    a, b = shape[0] // 2, shape[1] // 2
    result = filtering.convolve(scenes.impulse((11, 13), at=(6, 5)), kernel)
    expected = np.zeros((11, 13))
    expected[5 - a : 5 - a + shape[0], 6 - b : 6 - b + shape[1]] = kernel
    np.testing.assert_array_equal(result, expected)


def test_convolution_commutes_and_associates_where_no_border_interferes():
    f, g = np.zeros((31, 31)), np.random.default_rng(5).random((5, 5))
    f[12:19, 12:19] = np.random.default_rng(6).random((7, 7))
    once = filtering.convolve(filtering.convolve(f, KERNEL, "zero"), g, "zero")
    again = filtering.convolve(filtering.convolve(f, g, "zero"), KERNEL, "zero")
    both = filtering.convolve(f, filtering.convolve(np.pad(g, 4), KERNEL, "zero"), "zero")
    np.testing.assert_allclose(again, once, atol=1e-12)
    np.testing.assert_allclose(both, once, atol=1e-12)


@pytest.mark.parametrize(
    "linear", [lambda f: filtering.correlate(f, KERNEL, "wrap"), lambda f: filtering.gaussian(f, 1.3, "wrap"),
               lambda f: filtering.box(f, 4, "wrap")]
)  # fmt: skip
def test_linear_filters_superpose_and_commute_with_shifts(linear):
    f, g = IMAGE, np.random.default_rng(7).random(IMAGE.shape)
    np.testing.assert_allclose(linear(2 * f - 3 * g), 2 * linear(f) - 3 * linear(g), atol=1e-12)
    np.testing.assert_allclose(linear(np.roll(f, (3, -5), (0, 1))), np.roll(linear(f), (3, -5), (0, 1)), atol=1e-12)


def test_colour_is_filtered_channel_by_channel():
    colour = np.random.default_rng(8).random((9, 12, 3))
    for function in (
        lambda f: filtering.correlate(f, KERNEL), lambda f: filtering.gaussian(f, 1.0), lambda f: filtering.box(f, 3),
        lambda f: filtering.sharpen(f, 1.0, 2.0), lambda f: filtering.median(f, 3), lambda f: filtering.median(f, 5),
        lambda f: filtering.bilateral(f, 1.0, 0.2), lambda f: filtering.threshold(f, 0.5),
    ):  # fmt: skip
        expected = np.stack([function(np.ascontiguousarray(colour[..., c])) for c in range(3)], axis=-1)
        np.testing.assert_array_equal(function(colour), expected)


# ------------------------------------------------------------------ Gaussian and box


@pytest.mark.parametrize("border", filtering.BORDERS)
@pytest.mark.parametrize(("column", "row"), [(3, 5), (2, 7), (6, 1)])
def test_two_passes_equal_the_outer_product(column, row, border):
    column, row = np.random.default_rng(9).normal(size=column), np.random.default_rng(10).normal(size=row)
    np.testing.assert_allclose(
        filtering.correlate_separable(IMAGE, column, row, border),
        filtering.correlate(IMAGE, np.outer(column, row), border),
        atol=1e-12,
    )


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.5, 8.0])
def test_gaussian_kernel_sums_to_one_has_the_stated_radius_and_variance(sigma):
    g = filtering.gaussian_kernel(sigma)
    x = np.arange(len(g)) - len(g) // 2
    assert len(g) == 2 * int(4 * sigma + 0.5) + 1
    assert g.sum() == pytest.approx(1, abs=1e-14)
    np.testing.assert_array_equal(g, g[::-1])
    if sigma >= 1:  # below, sampling at the integers no longer resolves the bell
        assert np.sum(g * x**2) == pytest.approx(sigma**2, rel=0.005)  # cutting at 4 sigma costs 0.1 %


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from([0.0, 0.4, 1.0, 2.7, 6.0]), borders)
def test_gaussian_agrees_with_scipy(image, sigma, border):
    expected = ndimage.gaussian_filter(image.astype(np.float64), sigma, mode=SCIPY[border])
    result = filtering.gaussian(image, sigma, border)
    assert result.dtype == image.dtype
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-12 if image.dtype == np.float64 else 1e-6)


def test_gaussians_in_cascade_add_their_variances():
    image = load("camera")[100:200, 150:290]
    cascade = filtering.gaussian(filtering.gaussian(image, 3.0), 4.0)
    assert np.abs(cascade - filtering.gaussian(image, 5.0)).max() < 1e-3  # what cutting at 4 sigma leaves


@settings(max_examples=40, deadline=None)
@given(images, st.integers(1, 25), borders)
def test_box_agrees_with_its_kernel(image, size, border):
    expected = by_definition(image, np.full((size, size), 1 / size**2), border, +1)
    np.testing.assert_allclose(
        filtering.box(image, size, border), expected, rtol=0, atol=1e-12 if image.dtype == np.float64 else 1e-6
    )


def test_box_does_not_drift_over_many_rows():
    image = np.random.default_rng(11).random((700, 90)).astype(np.float32)  # longer than a band
    np.testing.assert_allclose(
        filtering.box(image, 5), ndimage.uniform_filter(image.astype(float), 5), rtol=0, atol=1e-7
    )


# ------------------------------------------------------------------ sharpening and frequency


def test_sharpening_a_step_overshoots_by_the_predicted_amount():
    step = np.tile((np.arange(80) >= 40).astype(float), (5, 1))
    g = filtering.gaussian_kernel(2.0)
    sharp = filtering.sharpen(step, 2.0, 1.5)
    # the first bright pixel: the blur leaves there all the weights but those left of -0
    blurred = g[: len(g) // 2 + 1].sum()
    assert sharp.max() == pytest.approx(1 + 1.5 * (1 - blurred), abs=1e-12)
    assert sharp.min() == pytest.approx(-1.5 * (1 - blurred), abs=1e-12)


def test_sharpening_leaves_a_constant_alone_and_amount_zero_leaves_all_alone():
    np.testing.assert_allclose(filtering.sharpen(np.full((6, 9), 0.3), 2.0, 3.0), 0.3, atol=1e-14)
    np.testing.assert_array_equal(filtering.sharpen(IMAGE, 2.0, 0.0), IMAGE)


@pytest.mark.parametrize("frequency", [0, 3, -5, 16])
def test_a_wave_leaves_a_filter_multiplied_by_its_response(frequency):
    n = 32
    kernel = np.array([0.2, 0.5, -0.1, 0.7])
    wave = np.exp(2j * np.pi * frequency * np.arange(n) / n)[None]
    result = filtering.convolve(np.ascontiguousarray(wave.real), kernel[None], "wrap") + 1j * filtering.convolve(
        np.ascontiguousarray(wave.imag), kernel[None], "wrap"
    )
    response = filtering.frequency_response(kernel, n)
    f = np.round(np.fft.fftshift(np.fft.fftfreq(n)) * n).astype(int)
    gain = response[(f - frequency) % n == 0][0]
    np.testing.assert_allclose(result, gain * wave, atol=1e-12)


def test_response_of_an_outer_product_is_the_outer_product_of_responses():
    g = filtering.gaussian_kernel(1.5)
    one = filtering.frequency_response(g, 64)
    np.testing.assert_allclose(filtering.frequency_response(np.outer(g, g), 64), np.outer(one, one), atol=1e-12)
    f = np.fft.fftshift(np.fft.fftfreq(64))
    np.testing.assert_allclose(one, np.exp(-2 * (np.pi * f * 1.5) ** 2), atol=2e-4)  # cut at 4 sigma


# ------------------------------------------------------------------ filters without a kernel


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from([1, 3, 5, 7]), borders)
def test_median_agrees_with_scipy(image, size, border):
    result = filtering.median(image, size, border)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, ndimage.median_filter(image, size, mode=SCIPY[border]))


def test_median_works_on_rows_longer_than_a_piece():
    image = np.random.default_rng(12).random((4, 600))
    np.testing.assert_array_equal(filtering.median(image, 5), ndimage.median_filter(image, 5))


def test_median_removes_lone_impulses_and_keeps_a_step():
    step = scenes.step_edge((12, 20), offset=0.5)
    dotted = step.copy()
    dotted[2:10:4, 3:18:5] = 1 - dotted[2:10:4, 3:18:5]
    np.testing.assert_array_equal(filtering.median(dotted, 3), step)


def bilateral_by_definition(image, sigma_space, sigma_range, radius, border):
    f = np.pad(image.astype(np.float64), radius, mode=PADDING[border])
    h, w = image.shape
    top, bottom = np.zeros((h, w)), np.zeros((h, w))
    for i in range(-radius, radius + 1):
        for j in range(-radius, radius + 1):
            if i**2 + j**2 <= radius**2:
                q = f[radius + i : radius + i + h, radius + j : radius + j + w]
                weight = np.exp(-(i**2 + j**2) / (2 * sigma_space**2) - (q - image) ** 2 / (2 * sigma_range**2))
                top, bottom = top + weight * q, bottom + weight
    return top / bottom


@settings(max_examples=40, deadline=None)
@given(images, st.sampled_from([0.7, 2.0]), st.sampled_from([0.01, 0.1, 5.0]), st.integers(0, 4), borders)
def test_bilateral_is_its_definition(image, sigma_space, sigma_range, radius, border):
    expected = bilateral_by_definition(image, sigma_space, sigma_range, radius, border)
    result = filtering.bilateral(image, sigma_space, sigma_range, radius, border)
    assert result.dtype == image.dtype
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-9 if image.dtype == np.float64 else 1e-5)


def test_bilateral_with_a_wide_range_is_a_gaussian_and_its_default_radius_is_two_sigmas():
    wide = filtering.bilateral(IMAGE, 1.5, 1e4, radius=9)
    np.testing.assert_allclose(wide, filtering.gaussian(IMAGE, 1.5, truncate=6), atol=1e-6)
    np.testing.assert_array_equal(filtering.bilateral(IMAGE, 1.6, 0.2), filtering.bilateral(IMAGE, 1.6, 0.2, radius=4))


def test_threshold_is_strict_and_not_linear():
    f = np.array([[0.2, 0.5, 0.8]])
    np.testing.assert_array_equal(filtering.threshold(f, 0.5), [[0, 0, 1]])
    assert not np.array_equal(filtering.threshold(2 * f, 0.5), 2 * filtering.threshold(f, 0.5))
    assert filtering.threshold(f.astype(np.float32), 0.5).dtype == np.float32


# ------------------------------------------------------------------ refusals

DOORS = {
    "correlate": lambda f: filtering.correlate(f, KERNEL),
    "convolve": lambda f: filtering.convolve(f, KERNEL),
    "correlate_separable": lambda f: filtering.correlate_separable(f, [1], [1]),
    "gaussian": lambda f: filtering.gaussian(f, 1.0),
    "box": lambda f: filtering.box(f, 3),
    "sharpen": lambda f: filtering.sharpen(f, 1.0, 1.0),
    "threshold": lambda f: filtering.threshold(f, 0.5),
    "median": lambda f: filtering.median(f, 3),
    "bilateral": lambda f: filtering.bilateral(f, 1.0, 0.1),
}


@pytest.mark.parametrize("door", DOORS)
def test_every_filter_refuses_bad_images(door):
    with pytest.raises(TypeError, match="float32 or float64, got uint8"):
        DOORS[door](np.zeros((4, 5), np.uint8))
    with pytest.raises(ValueError, match="NaN or infinity"):
        DOORS[door](np.array([[0.0, np.nan]]))
    with pytest.raises(ValueError, match="empty"):
        DOORS[door](np.zeros((0, 5)))
    with pytest.raises(ValueError, match=r"got \(5,\)"):
        DOORS[door](np.zeros(5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: filtering.correlate(IMAGE, [1, 2, 3]), ValueError, r"shape \(h, w\).*got \(3,\)"),
        (lambda: filtering.correlate(IMAGE, np.zeros((0, 3))), ValueError, "at least 1"),
        (lambda: filtering.convolve(IMAGE, [[np.inf]]), ValueError, "kernel holds NaN or infinity"),
        (
            lambda: filtering.correlate(IMAGE, KERNEL, "reflect"),
            ValueError,
            "border must be one of 'mirror', 'clamp'.*'reflect'",
        ),
        (lambda: filtering.box(IMAGE, 3, "none"), ValueError, "border must be one of"),
        (lambda: filtering.correlate_separable(IMAGE, [[1]], [1]), ValueError, "column must be a list"),
        (lambda: filtering.correlate_separable(IMAGE, [1], []), ValueError, "row must be a list"),
        (lambda: filtering.correlate_separable(IMAGE, [1], [np.nan]), ValueError, "row holds NaN"),
        (lambda: filtering.gaussian_kernel(-1), ValueError, "sigma is a standard deviation in pixels, >= 0; got -1"),
        (lambda: filtering.gaussian(IMAGE, np.nan), ValueError, "sigma is a standard deviation"),
        (lambda: filtering.gaussian_kernel(1, truncate=0), ValueError, "truncate is a number of sigmas, > 0; got 0"),
        (lambda: filtering.box(IMAGE, 0), ValueError, "size must be at least 1, got 0"),
        (lambda: filtering.box(IMAGE, 2.5), TypeError, "size must be an integer, got 2.5"),
        (lambda: filtering.sharpen(IMAGE, 1.0, np.inf), ValueError, "amount is a finite factor"),
        (lambda: filtering.threshold(IMAGE, np.nan), ValueError, "level is a brightness"),
        (lambda: filtering.median(IMAGE, 4), ValueError, "size must be odd, got 4"),
        (lambda: filtering.median(IMAGE, -3), ValueError, "at least 1, got -3"),
        (lambda: filtering.bilateral(IMAGE, 0, 0.1), ValueError, "both sigmas must be positive, got 0 in space"),
        (lambda: filtering.bilateral(IMAGE, 1, 0.1, radius=-1), ValueError, "radius must be at least 0"),
        (lambda: filtering.frequency_response(np.ones(9), 8), ValueError, r"sides 1 to 8, got shape \(9,\)"),
        (lambda: filtering.frequency_response(np.ones((2, 2, 2)), 8), ValueError, "1-D or 2-D"),
    ],
)
def test_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()

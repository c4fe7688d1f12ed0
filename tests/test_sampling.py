import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from cvcourse import scenes
from cvcourse.filtering import correlate_separable
from cvcourse.sampling import (
    METHODS,
    box,
    bspline,
    cubic,
    expand,
    from_laplacian_pyramid,
    gaussian_pyramid,
    lanczos,
    laplacian_pyramid,
    reduce,
    resize,
    sample,
    spectrum,
    spline_coefficients,
    subsample,
    tent,
)

PAD = {"mirror": "symmetric", "clamp": "edge", "wrap": "wrap", "zero": "constant"}
RESIZERS = METHODS[:4]
KERNELS = {"nearest": box, "bilinear": tent, "bicubic": cubic, "lanczos": lanczos}
IMAGE = np.random.default_rng(3).random((11, 7))  # not square, no symmetry
COLOR = np.random.default_rng(4).random((9, 14, 3))
TOLERANCE = {np.float32: 2e-6, np.float64: 1e-13}  # some ten roundings of values near 1

sizes = st.integers(1, 9)
dtypes = st.sampled_from([np.float32, np.float64])


def random_image(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).random(shape).astype(dtype)


# --- kernels


@pytest.mark.parametrize("kernel", [tent, cubic, lanczos, box])
def test_interpolating_kernels_are_one_at_zero_and_zero_at_other_integers(kernel):
    np.testing.assert_array_equal(kernel(np.arange(-4, 5)), np.arange(-4, 5) == 0)


@pytest.mark.parametrize("kernel", [box, tent, cubic, bspline, lambda x: cubic(x, a=-0.75)])
def test_kernels_add_up_to_one_wherever_they_are_sampled(kernel):
    for t in np.linspace(0, 1, 11):
        assert kernel(t - np.arange(-4, 6)).sum() == pytest.approx(1, abs=1e-14)


def test_lanczos_adds_up_to_one_only_nearly():
    sums = [lanczos(t - np.arange(-4, 6)).sum() for t in np.linspace(0, 1, 101)]
    assert 0.994 < min(sums) < 0.995
    assert max(sums) == pytest.approx(1, abs=1e-12)


def test_bspline_is_the_box_convolved_with_itself_three_times():
    step = 1e-3
    x = np.arange(-4, 4, step) + step / 2
    pulse = np.convolve(box(x), box(x), "same") * step
    spline = np.convolve(pulse, pulse, "same") * step
    # each "same" convolution of an even length moves the result by one sample
    np.testing.assert_allclose(spline, np.interp(x, x + step, bspline(x)), atol=3 * step)


@pytest.mark.parametrize(
    ("a", "degree", "reproduces"), [(-0.5, 2, True), (-0.5, 3, False), (-0.75, 1, False), (-0.75, 2, False)]
)
def test_only_catmull_rom_reproduces_quadratics(a, degree, reproduces):
    k = np.arange(-3, 5)
    t = np.linspace(0, 1, 21)[:, None]
    error = np.abs(cubic(t - k, a) @ (k**degree) - t[:, 0] ** degree).max()
    assert (error < 1e-12) == reproduces


def test_lanczos_needs_a_lobe():
    with pytest.raises(ValueError, match="at least 1; got 0"):
        lanczos(0.5, lobes=0)


# --- sample


def textbook_sample(image, x, y, kernel, border):
    """The sum over all pixels of a padded image, weights normalised: the definition, in full."""
    pad = 12
    wide = np.pad(image, pad, mode=PAD[border])
    wx = kernel(x + pad - np.arange(wide.shape[1]))
    wy = kernel(y + pad - np.arange(wide.shape[0]))
    return wy @ wide @ wx / wy.sum() / wx.sum()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("border", PAD)
@pytest.mark.parametrize("method", RESIZERS)
def test_sample_is_the_weighted_sum_of_the_definition(method, border, dtype):
    rng = np.random.default_rng(1)
    x, y = rng.uniform(-5, 11, 200), rng.uniform(-5, 15, 200)  # inside, on the border and well outside
    values = sample(IMAGE.astype(dtype), x, y, method, border)
    truth = [textbook_sample(IMAGE, *point, KERNELS[method], border) for point in zip(x, y, strict=True)]
    assert values.dtype == dtype
    np.testing.assert_allclose(values, truth, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("border", PAD)
@pytest.mark.parametrize("method", METHODS)
def test_sample_at_the_pixels_gives_the_pixels(method, border):
    x, y = scenes.grid(IMAGE.shape)
    values = sample(IMAGE, x, y, method, border)
    if method == "spline":
        np.testing.assert_allclose(values, IMAGE, rtol=0, atol=1e-14)
    else:
        np.testing.assert_array_equal(values, IMAGE)


@pytest.mark.parametrize(
    ("border", "mode"), [("mirror", "reflect"), ("wrap", "grid-wrap"), ("clamp", "nearest"), ("zero", "grid-constant")]
)
@pytest.mark.parametrize(("method", "order"), [("bilinear", 1), ("spline", 3)])
def test_sample_agrees_with_scipy(method, order, border, mode):
    rng = np.random.default_rng(2)
    x, y = rng.uniform(-4, 10, (5, 30)), rng.uniform(-4, 14, (5, 30))
    truth = ndimage.map_coordinates(IMAGE, [y, x], order=order, mode=mode)
    np.testing.assert_allclose(sample(IMAGE, x, y, method, border), truth, rtol=0, atol=1e-8)  # its prefilter's 4e-9


def test_sample_takes_x_first_and_y_down():
    assert sample(IMAGE, x=6, y=2) == IMAGE[2, 6]
    assert sample(IMAGE, x=2, y=6) == IMAGE[6, 2]


@pytest.mark.parametrize(("x", "column"), [(-0.4, 0), (-0.5, 0), (-0.6, 7), (-1.4, 7), (-1.6, 6), (2.5, 3), (7.5, 0)])
def test_nearest_rounds_to_the_floor_of_x_plus_half(x, column):
    wrapped = scenes.ramp((5, 8), 1, 0)
    assert sample(wrapped, x, 2, "nearest", "wrap") == column
    assert sample(wrapped.T, 2, x, "nearest", "wrap") == column


def test_a_negative_fraction_counts_from_the_floor():
    wrapped = scenes.ramp((5, 8), 1, 0)
    assert sample(wrapped, -0.25, 2, "bilinear", "wrap") == 0.25 * 7  # between columns 7 and 0
    assert sample(wrapped, -1.25, 2, "bilinear", "wrap") == 6.75


@pytest.mark.parametrize("method", ["bilinear", "bicubic"])
def test_a_plane_is_reproduced_inside(method):
    plane = scenes.ramp((9, 12), 0.3, -0.2, 0.5)
    rng = np.random.default_rng(0)
    x, y = rng.uniform(1, 10, 50), rng.uniform(1, 7, 50)
    np.testing.assert_allclose(sample(plane, x, y, method), 0.3 * x - 0.2 * y + 0.5, atol=1e-13)


def test_catmull_rom_reproduces_a_quadratic_and_the_tent_does_not():
    x, y = scenes.grid((9, 12))
    at_x, at_y = np.array([4.5, 3.25]), np.array([4.5, 5.75])
    truth = at_x**2 + at_x * at_y - at_y**2
    np.testing.assert_allclose(sample(x**2 + x * y - y**2, at_x, at_y, "bicubic"), truth, atol=1e-12)
    assert np.abs(sample(x**2, at_x, at_y) - at_x**2).max() == pytest.approx(0.25)  # t (1 - t)


@pytest.mark.parametrize("border", ["mirror", "clamp", "wrap"])
@pytest.mark.parametrize("method", METHODS)
def test_a_constant_stays_constant_everywhere(method, border):
    x, y = np.random.default_rng(0).uniform(-40, 40, (2, 100))
    np.testing.assert_allclose(sample(np.full((4, 3), 0.3), x, y, method, border), 0.3, rtol=0, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, dtypes, st.sampled_from(METHODS), st.sampled_from(sorted(PAD)))
def test_transposing_image_and_coordinates_changes_nothing(h, w, dtype, method, border):
    image = random_image((h, w), dtype)
    x, y = np.random.default_rng(1).uniform(-3, 12, (2, 20))
    one, two = sample(image, x, y, method, border), sample(image.T, y, x, method, border)
    np.testing.assert_allclose(one, two, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("border", PAD)
@pytest.mark.parametrize("method", METHODS)
def test_very_far_points_answer_at_once(method, border):
    far = np.array([-1e9, -12345.5, 98765.25, 1e9])
    values = sample(IMAGE, far, far, method, border)
    period = {"mirror": 2, "wrap": 1}.get(border)
    if border == "zero":
        np.testing.assert_array_equal(values, 0)
    elif border == "clamp":
        np.testing.assert_allclose(values, [IMAGE[0, 0]] * 2 + [IMAGE[-1, -1]] * 2, atol=1e-13)
    else:
        near = sample(IMAGE, far % (period * 7), far % (period * 11), method, border)
        np.testing.assert_allclose(values, near, atol=1e-9)


def test_sample_broadcasts_and_takes_scalars_colour_and_no_points():
    assert sample(IMAGE, 1.5, 2.5).shape == ()
    assert sample(IMAGE, np.arange(4.0), np.arange(3.0)[:, None]).shape == (3, 4)
    assert sample(IMAGE, [], []).shape == (0,)
    colours = sample(COLOR, [1.5, 2.25], [3.0, 0.5], "bicubic")
    assert colours.shape == (2, 3)
    np.testing.assert_array_equal(colours[:, 1], sample(COLOR[..., 1].copy(), [1.5, 2.25], [3.0, 0.5], "bicubic"))


def test_sample_leaves_its_arguments_alone_and_takes_read_only_ones():
    image, x = IMAGE.copy(), np.linspace(-1, 8, 9)
    x.setflags(write=False)
    image.setflags(write=False)
    sample(image, x, x, "spline")
    np.testing.assert_array_equal(image, IMAGE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([np.nan], [0]), "x must be finite and within"),
        (([0], [np.inf]), "y must be finite"),
        (([2e9], [0]), "within"),
        (([0, 1], [0, 1, 2]), "do not broadcast"),
        ((0, 0, "cubic"), "method must be one of 'nearest'.*got 'cubic'"),
        ((0, 0, "bilinear", "reflect"), "border must be one of.*got 'reflect'"),
    ],
)
def test_sample_says_why_it_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        sample(IMAGE, *arguments)


@pytest.mark.parametrize(
    "function",
    [
        lambda image: sample(image, 0, 0),
        lambda image: resize(image, (2, 2)),
        lambda image: subsample(image, 2),
        lambda image: gaussian_pyramid(image, 1),
        lambda image: laplacian_pyramid(image, 1),
        lambda image: from_laplacian_pyramid([image]),
        lambda image: expand(image, (4, 4)),
        reduce,
        spectrum,
        spline_coefficients,
    ],
)
def test_integers_nan_and_wrong_shapes_are_refused(function):
    with pytest.raises(TypeError, match="float32 or float64, got uint8"):
        function(np.zeros((2, 2), np.uint8))
    with pytest.raises(ValueError, match="NaN"):
        function(np.full((2, 2), np.nan))
    with pytest.raises(ValueError, match=r"got \(2,\)"):
        function(np.zeros(2))
    with pytest.raises(ValueError, match="empty"):
        function(np.zeros((0, 2)))


# --- spline_coefficients


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, dtypes, st.sampled_from(["mirror", "wrap"]))
def test_the_spline_of_its_coefficients_is_the_image(h, w, dtype, border):
    image = random_image((h, w), dtype)
    c = spline_coefficients(image, border)
    taps = np.array([1, 4, 1]) / 6
    assert c.dtype == dtype
    np.testing.assert_allclose(correlate_separable(c, taps, taps, border), image, rtol=0, atol=5 * TOLERANCE[dtype])


def test_spline_coefficients_agree_with_scipy_and_refuse_other_borders():
    truth = ndimage.spline_filter(IMAGE, order=3, mode="reflect")
    np.testing.assert_allclose(spline_coefficients(IMAGE), truth, atol=1e-13)
    with pytest.raises(ValueError, match="one of 'mirror', 'wrap'; got 'zero'"):
        spline_coefficients(IMAGE, "zero")


# --- resize


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, dtypes, st.sampled_from(RESIZERS))
def test_resize_to_the_same_shape_is_the_identity_bit_for_bit(h, w, dtype, method):
    image = random_image((h, w), dtype)
    np.testing.assert_array_equal(resize(image, (h, w), method), image)


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.integers(1, 25), st.integers(1, 25), dtypes, st.sampled_from(RESIZERS))
def test_resize_keeps_a_constant_and_the_precision(h, w, rows, cols, dtype, method):
    small = resize(np.full((h, w), 0.3, dtype), (rows, cols), method)
    assert small.shape == (rows, cols)
    assert small.dtype == dtype
    np.testing.assert_allclose(small, 0.3, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("shape", [(5, 20), (23, 3), (1, 1), (30, 15), (8, 5)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
def test_resize_without_antialias_is_sample_at_the_mapped_pixel_centres(method, shape):
    x, y = scenes.grid(shape)
    at_x, at_y = (x + 0.5) * 7 / shape[1] - 0.5, (y + 0.5) * 11 / shape[0] - 0.5
    truth = sample(IMAGE, at_x, at_y, method, "mirror")
    np.testing.assert_allclose(resize(IMAGE, shape, method, antialias=False), truth, atol=1e-13)


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_nearest_repeats_every_pixel_and_enlarging_needs_no_antialias(factor):
    shape = (11 * factor, 7 * factor)
    np.testing.assert_array_equal(resize(IMAGE, shape, "nearest"), np.kron(IMAGE, np.ones((factor, factor))))
    np.testing.assert_array_equal(resize(IMAGE, shape, antialias=True), resize(IMAGE, shape, antialias=False))


@pytest.mark.parametrize("shape", [(10, 15), (17, 22), (30, 40), (90, 61)])
def test_resize_agrees_with_pillow_away_from_the_border(shape):
    from PIL import Image

    image = random_image((40, 60), np.float32)
    for method, how in (("bilinear", 2), ("bicubic", 3), ("lanczos", 1)):
        truth = np.asarray(Image.fromarray(image).resize(shape[::-1], how))
        inside = tuple(slice(-(-n // 4), n - -(-n // 4)) for n in shape)  # it crops the kernel at the border
        np.testing.assert_allclose(resize(image, shape, method)[inside], truth[inside], atol=2e-6)


def stretched_by_definition(n_in, n_out, kernel):
    """Weights over a mirrored row: the kernel stretched by s around x = (x' + 1/2) s - 1/2."""
    s = n_in / n_out
    place = np.arange(-8 * n_in, 9 * n_in)
    x = (np.arange(n_out) + 0.5) * s - 0.5
    weights = kernel((place - x[:, None]) / max(s, 1))
    weights /= weights.sum(axis=1, keepdims=True)
    index = np.pad(np.arange(n_in), 8 * n_in, mode="symmetric")
    return np.stack([np.bincount(index, w, n_in) for w in weights])


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.integers(1, 20), st.integers(1, 20), st.sampled_from(["bilinear", "bicubic", "lanczos"]))
def test_resize_is_its_definition_with_mirrored_borders(h, w, rows, cols, method):
    image = random_image((h, w))
    A, B = stretched_by_definition(h, rows, KERNELS[method]), stretched_by_definition(w, cols, KERNELS[method])
    np.testing.assert_allclose(resize(image, (rows, cols), method), A @ image @ B.T, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", [(20, 33), (96, 140), (40, 60), (31, 200)])
@pytest.mark.parametrize("method", ["bilinear", "bicubic", "lanczos"])
def test_the_centroid_stays_where_it_was(method, shape):
    blob = scenes.disc((64, 90), 11, center=(51.3, 24.7), blur=3)
    small = resize(blob, shape, method)
    x, y = scenes.grid(shape)
    x, y = (x + 0.5) * 90 / shape[1] - 0.5, (y + 0.5) * 64 / shape[0] - 0.5
    assert (x * small).sum() / small.sum() == pytest.approx(51.3, abs=0.05)
    assert (y * small).sum() / small.sum() == pytest.approx(24.7, abs=0.05)


def test_nearest_keeps_the_centroid_when_it_enlarges():
    blob = scenes.disc((64, 90), 11, center=(51.3, 24.7), blur=3)
    small = resize(blob, (320, 270), "nearest")
    x, y = scenes.grid(small.shape)
    assert ((x + 0.5) / 3 * small).sum() / small.sum() == pytest.approx(51.8, abs=1e-3)
    assert ((y + 0.5) / 5 * small).sum() / small.sum() == pytest.approx(25.2, abs=1e-3)


def test_antialias_removes_what_the_new_grid_cannot_hold():
    wave = scenes.grating((60, 80), 0.4, angle=0.5)
    assert np.ptp(resize(wave, (15, 20))[2:-2, 2:-2]) < 0.02
    assert np.ptp(resize(wave, (15, 20), antialias=False)) > 0.5


def test_resize_works_on_colour_and_gives_away_no_view():
    small = resize(COLOR, (5, 6))
    np.testing.assert_array_equal(small[..., 2], resize(COLOR[..., 2].copy(), (5, 6)))
    same = resize(IMAGE, IMAGE.shape, "nearest")
    assert not np.shares_memory(same, IMAGE)


@pytest.mark.parametrize("shape", [(0, 3), (3,), (2, 3, 4), (2.0, 3), 5, (True, 2), (-1, 2)])
def test_a_shape_is_two_whole_numbers(shape):
    with pytest.raises(ValueError, match=r"shape must be \(height, width\)"):
        resize(IMAGE, shape)


def test_resize_knows_no_spline():
    with pytest.raises(
        ValueError, match="method must be one of 'nearest', 'bilinear', 'bicubic', 'lanczos'; got 'spline'"
    ):
        resize(IMAGE, (2, 2), "spline")


# --- subsample


def test_subsample_keeps_every_step_th_pixel():
    np.testing.assert_array_equal(subsample(IMAGE, 3), IMAGE[::3, ::3])
    assert subsample(COLOR, 4).shape == (3, 4, 3)
    assert not np.shares_memory(subsample(IMAGE, 1), IMAGE)


@pytest.mark.parametrize("step", [0, -2, 1.5, True, "2"])
def test_a_step_is_a_whole_number(step):
    with pytest.raises(ValueError, match="step must be a whole number >= 1"):
        subsample(IMAGE, step)


# --- pyramids


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, dtypes)
def test_reduce_is_blur_then_every_second_pixel(h, w, dtype):
    image = random_image((h, w), dtype)
    k = np.array([1, 4, 6, 4, 1]) / 16
    truth = correlate_separable(image, k, k)[::2, ::2]
    assert reduce(image).dtype == dtype
    np.testing.assert_allclose(reduce(image), truth, rtol=0, atol=TOLERANCE[dtype])


@settings(max_examples=60, deadline=None)
@given(sizes, sizes, st.booleans(), st.booleans(), dtypes)
def test_expand_is_zeros_between_the_pixels_then_twice_the_blur(h, w, odd_h, odd_w, dtype):
    image = random_image((h, w), dtype)
    shape = (2 * h - odd_h, 2 * w - odd_w)
    wide = np.pad(image, 2, mode="symmetric")
    spread = np.zeros((2 * h + 8, 2 * w + 8))
    spread[::2, ::2] = wide
    k = np.array([1, 4, 6, 4, 1]) / 8
    truth = ndimage.correlate1d(ndimage.correlate1d(spread, k, axis=0), k, axis=1)[4:, 4:][: shape[0], : shape[1]]
    assert expand(image, shape).dtype == dtype
    np.testing.assert_allclose(expand(image, shape), truth, rtol=0, atol=TOLERANCE[dtype])


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 7), dtypes, st.booleans())
def test_a_laplacian_pyramid_gives_its_image_back(h, w, levels, dtype, colour):
    image = random_image((h, w, 3) if colour else (h, w), dtype)
    levels = min(levels, 1 + (max(h, w) - 1).bit_length())
    pyramid = laplacian_pyramid(image, levels)
    assert len(pyramid) == levels
    assert all(level.dtype == dtype for level in pyramid)
    back = from_laplacian_pyramid(pyramid)
    np.testing.assert_allclose(back, image, rtol=0, atol=levels * np.finfo(dtype).eps)  # a rounding a level


def test_levels_of_both_pyramids():
    gauss, laplace = gaussian_pyramid(COLOR, 4), laplacian_pyramid(COLOR, 4)
    assert [g.shape for g in gauss] == [(9, 14, 3), (5, 7, 3), (3, 4, 3), (2, 2, 3)]
    assert gauss[0] is COLOR
    for fine, coarse, band in zip(gauss, gauss[1:], laplace, strict=False):
        np.testing.assert_array_equal(coarse, reduce(fine))
        np.testing.assert_allclose(band, fine - expand(coarse, fine.shape[:2]), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(laplace[-1], gauss[-1])


def test_constants_pass_through_pyramids_exactly():
    image = np.full((13, 6), 0.3)
    assert all(np.all(level == 0.3) for level in gaussian_pyramid(image, 4))
    assert all(np.abs(level).max() < 1e-16 for level in laplacian_pyramid(image, 4)[:-1])


def test_pixel_u_of_level_l_lies_at_two_to_the_l_u():
    blob = scenes.disc((97, 129), 12, center=(70.4, 40.6), blur=4)
    for level, image in enumerate(gaussian_pyramid(blob, 4)):
        x, y = scenes.grid(image.shape)
        assert 2**level * (x * image).sum() / image.sum() == pytest.approx(70.4, abs=0.01)
        assert 2**level * (y * image).sum() / image.sum() == pytest.approx(40.6, abs=0.01)


@pytest.mark.parametrize("shape", [(9, 13), (1, 5)])
def test_odd_sizes_reduce_and_expand_the_same_from_both_ends(shape):
    image = random_image(shape)
    np.testing.assert_allclose(reduce(image[::-1, ::-1])[::-1, ::-1], reduce(image), atol=1e-15)
    small = reduce(image)
    np.testing.assert_allclose(expand(small[::-1, ::-1], shape)[::-1, ::-1], expand(small, shape), atol=1e-15)


@pytest.mark.parametrize("levels", [0, -1, 6, 2.0, True])
def test_the_number_of_levels_is_checked(levels):
    with pytest.raises(ValueError, match=r"from 1 to 5 for an image of shape \(11, 7\)"):
        gaussian_pyramid(IMAGE, levels)
    with pytest.raises(ValueError, match="levels must be a whole number"):
        laplacian_pyramid(IMAGE, levels)


def test_pyramids_that_do_not_fit_together_are_refused():
    with pytest.raises(ValueError, match=r"\(9, 7\) reduces to \(5, 4\), not to \(6, 4\)"):
        expand(np.zeros((6, 4)), (9, 7))
    with pytest.raises(ValueError, match=r"reduces to \(6, 4\), not to \(5, 4\)"):
        from_laplacian_pyramid([IMAGE, np.zeros((5, 4))])
    with pytest.raises(ValueError, match="of one precision"):
        from_laplacian_pyramid([IMAGE, np.zeros((6, 4), np.float32)])
    with pytest.raises(ValueError, match="all gray or all colour"):
        from_laplacian_pyramid([IMAGE, np.zeros((6, 4, 3))])
    with pytest.raises(ValueError, match="no levels"):
        from_laplacian_pyramid([])


# --- spectrum


@settings(max_examples=30, deadline=None)
@given(sizes, sizes, dtypes)
def test_the_spectrum_has_the_mean_in_its_middle_and_all_the_energy(h, w, dtype):
    image = random_image((h, w), dtype)
    s = spectrum(image)
    assert s.dtype == dtype
    assert s[h // 2, w // 2] == pytest.approx(image.mean(), rel=1e-5)
    assert np.sum(s**2) == pytest.approx(np.mean(image**2), rel=1e-5)


def test_a_grating_has_two_peaks_at_its_frequency():
    s = spectrum(scenes.grating((48, 64), 5 / 64))
    assert s[24, 32] == pytest.approx(0.5)
    assert s[24, 37] == pytest.approx(0.25)
    assert s[24, 27] == pytest.approx(0.25)
    assert np.sum(s > 1e-12) == 3


# --- layouts


@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=1)[:, ::2], lambda a: a[::-1][::-1]]
)
def test_memory_layout_does_not_matter(layout):
    image = layout(IMAGE)
    for function in (
        reduce,
        lambda f: resize(f, (5, 9)),
        lambda f: sample(f, [1.2, -3.4], [0.7, 12.0], "lanczos"),
        lambda f: sample(f, [1.2, -3.4], [0.7, 12.0], "spline", "clamp"),
        lambda f: laplacian_pyramid(f, 2)[0],
    ):
        np.testing.assert_array_equal(function(image), function(IMAGE))

"""Blobs against discs of known place and size, the theory of scale space, and SciPy and scikit-image as oracles."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import feature

from cvcourse import blobs, edges, filtering, images, scenes

SIGMAS = np.geomspace(2, 16, 13)
TURNS = [lambda a: np.rot90(a, 1), lambda a: np.rot90(a, 2), lambda a: a[:, ::-1], lambda a: a.T]


def picture(shape=(33, 47), dtype=np.float64, seed=0):
    return filtering.gaussian(np.random.default_rng(seed).random(shape), 1.0).astype(dtype)


def photo(dtype=np.float64):
    """A real image, neither square nor symmetric."""
    return np.ascontiguousarray(images.load("coins")[20:167, 40:221].astype(dtype))


# ---------------------------------------------------------------------------------------------
# Scale space


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_stack_is_the_laplacian_of_gaussian_times_sigma_squared(dtype):
    image = picture(dtype=dtype)
    raw, stack = blobs.log_stack(image, [1.0, 2.5], normalised=False), blobs.log_stack(image, [1.0, 2.5])
    assert raw.dtype == stack.dtype == dtype and stack.shape == (2, 33, 47)
    for level, sigma in enumerate((1.0, 2.5)):
        np.testing.assert_array_equal(raw[level], edges.laplacian_of_gaussian(image, sigma))
        np.testing.assert_allclose(stack[level], sigma**2 * raw[level], rtol=1e-6 if dtype == np.float32 else 1e-14)


def test_log_stack_agrees_with_scipy():
    image = picture((60, 75))
    for sigma, level in zip([1.5, 4.0], blobs.log_stack(image, [1.5, 4.0]), strict=True):
        oracle = sigma**2 * ndimage.gaussian_laplace(image, sigma)
        # SciPy does not rescale the sampled second derivative, whose sum is 1e-3 of its size
        assert np.abs(level - oracle).max() < 0.02 * np.abs(oracle).max()


@pytest.mark.parametrize("radius", [6.0, 10.0, 15.0])
def test_a_disc_answers_as_theory_says(radius):
    image, ratios = scenes.disc((161, 161), radius), np.array([0.35, 0.5, 1 / math.sqrt(2), 1.0, 1.5])
    measured = blobs.log_stack(image, radius * ratios)[:, 80, 80]
    np.testing.assert_allclose(measured, -np.exp(-1 / (2 * ratios**2)) / ratios**2, rtol=0, atol=0.006)
    raw = np.abs(blobs.log_stack(image, radius * np.geomspace(0.3, 1.2, 61), normalised=False)[:, 80, 80])
    assert np.geomspace(0.3, 1.2, 61)[raw.argmax()] == pytest.approx(0.5, rel=0.025)  # the step is 2.3 %


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dog_stack_is_the_difference_of_blurs(dtype):
    image, sigmas = picture(dtype=dtype), [1.6, 2.0, 3.2]
    stack = blobs.dog_stack(image, sigmas, normalised=False)
    assert stack.dtype == dtype and stack.shape == (2, 33, 47)
    for i in range(2):
        expected = filtering.gaussian(image, sigmas[i + 1]) - filtering.gaussian(image, sigmas[i])
        # blurs are made from one another: each kernel is cut at 4 sigma, which leaves 1e-4 of its weight
        np.testing.assert_allclose(stack[i], expected, rtol=0, atol=1e-3 * np.abs(expected).max())
    normalised = blobs.dog_stack(image, sigmas)
    np.testing.assert_allclose(normalised[1] * np.log(1.6), stack[1], rtol=0, atol=1e-6)


def test_dog_approaches_the_log_with_the_square_of_the_step():
    image, errors = filtering.gaussian(picture((121, 135), seed=2), 3.0), []
    for k in (1.3, 1.6):
        middle = 4.0**2 * edges.laplacian_of_gaussian(image, 4.0, truncate=6)  # cut at 4 sigma it errs by 0.5 %
        dog = blobs.dog_stack(image, [4 / math.sqrt(k), 4 * math.sqrt(k)])[0]
        errors.append(np.abs(dog - middle)[30:-30, 30:-30].max() / np.abs(middle).max())
    assert errors[0] < 0.02
    assert errors[1] / errors[0] == pytest.approx((math.log(1.6) / math.log(1.3)) ** 2, rel=0.1)


@pytest.mark.parametrize("k", [1.1, 1.26, 1.6])
def test_dog_scales_name_the_disc_on_which_the_difference_peaks(k):
    radius, sigmas = 12.0, 12.0 * np.geomspace(0.4, 0.9, 41)
    image = scenes.disc((151, 151), radius)
    centre = [blobs.dog_stack(image, [s, k * s])[0, 75, 75] for s in sigmas]
    best = sigmas[np.argmin(centre)]
    assert math.sqrt(2) * blobs.dog_scales([best, k * best])[0] == pytest.approx(radius, rel=0.02)  # the step is 2 %
    assert blobs.dog_scales([1, k])[0] == pytest.approx(math.sqrt(k), rel=math.log(k) ** 2 / 10)


def test_dog_of_ratio_1_6_peaks_at_0_569_of_the_radius():
    assert 1 / (math.sqrt(2) * blobs.dog_scales([1, 1.6])[0]) == pytest.approx(0.5694, abs=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_pyramid_says_what_the_stack_says(dtype):
    image = photo(dtype)
    pyramid = blobs.dog_pyramid(image, 1.6, per_octave=3, octaves=3)
    assert [octave.step for octave in pyramid] == [1, 2, 4]
    for stack, scales, step in pyramid:
        assert stack.dtype == dtype and len(stack) == len(scales) == 6
        assert stack.shape[1:] == tuple(-(-n // step) for n in image.shape)
        sigmas = step * 1.6 * 2 ** (np.arange(7) / 3)
        np.testing.assert_allclose(scales, blobs.dog_scales(sigmas), rtol=1e-12)
        full = blobs.dog_stack(image, sigmas)[:, ::step, ::step]
        inner = np.s_[:, 24 // step : -24 // step, 24 // step : -24 // step]  # beyond, borders mirror elsewhere
        # Gaussians cut at 4 sigma, and a little aliasing
        assert np.abs(stack - full)[inner].max() < 0.02 * np.abs(full).max()


def test_the_pyramid_ends_where_the_image_is_small():
    assert len(blobs.dog_pyramid(np.zeros((512, 700)))) == 6
    assert len(blobs.dog_pyramid(np.zeros((3, 3)))) == 1
    assert blobs.dog_pyramid(np.zeros((5, 7)), octaves=5)[-1].stack.shape == (7, 1, 1)


# ---------------------------------------------------------------------------------------------
# Peaks


@pytest.mark.parametrize("bright", [True, False])
@pytest.mark.parametrize(("center", "radius"), [((70.3, 41.6), 9.0), ((61.0, 52.5), 5.0), ((80.5, 44.5), 14.3)])
def test_finds_a_disc_where_and_as_large_as_it_is(center, radius, bright):
    low, high = (0.2, 0.7) if bright else (0.7, 0.2)
    image = scenes.disc((97, 131), radius, center, low=low, high=high)
    stacks = [(blobs.log_stack(image, SIGMAS), SIGMAS)]
    stacks += [(blobs.dog_stack(image, SIGMAS), blobs.dog_scales(SIGMAS))]
    for found in [*(blobs.find_blobs(*stack, 0.15) for stack in stacks), blobs.dog_blobs(image, 0.15)]:
        assert len(found.scales) == 1
        assert found.responses[0] == pytest.approx((-1 if bright else 1) * 0.5 * 2 / math.e, rel=0.03)
        # the quadratic in log(sigma) errs by 1 %; the place of a symmetric disc is better known
        assert found.radii[0] == pytest.approx(radius, rel=0.02)
        np.testing.assert_allclose(found.keypoints[0], center, rtol=0, atol=0.06)


def test_the_pyramid_finds_every_size_once():
    for radius in np.geomspace(3.3, 26.4, 61):  # three octaves
        found = blobs.dog_blobs(scenes.disc((131, 120), radius, (58.2, 63.7)), 0.3)
        assert len(found.scales) == 1 and found.radii[0] == pytest.approx(radius, rel=0.02)


def test_no_coin_falls_between_two_octaves():
    coins = filtering.gaussian(images.load("coins"), 1.0)
    sigmas = np.geomspace(9.5, 24, 18)
    truth = blobs.find_blobs(blobs.log_stack(coins, sigmas), sigmas, 0.15, "bright")
    assert len(truth.scales) == 24
    for sigma in 1.6 * 2 ** np.linspace(0, 1, 9):  # the octaves begin elsewhere each time
        found = blobs.dog_blobs(coins, 0.1, sigma, polarity="bright")
        gap = np.linalg.norm(truth.keypoints[:, None] - found.keypoints, axis=2) / truth.scales[:, None]
        near = gap + np.abs(np.log(found.scales / truth.scales[:, None])) < 0.2
        np.testing.assert_array_equal(near.sum(axis=1), 1)


def test_polarity_picks_by_sign_and_strength_orders():
    image = scenes.disc((90, 160), 8, (40.2, 44.1), low=0.5, high=0.7) + scenes.disc(
        (90, 160), 6, (112.6, 50.3), low=0, high=-0.5
    )
    both = blobs.dog_blobs(image, 0.08)
    np.testing.assert_allclose(both.keypoints, [[112.6, 50.3], [40.2, 44.1]], rtol=0, atol=0.06)
    np.testing.assert_allclose(both.responses, [0.365, -0.146], rtol=0.02)
    for polarity, which in (("dark", 0), ("bright", 1)):
        for found in (
            blobs.dog_blobs(image, 0.08, polarity=polarity),
            blobs.find_blobs(blobs.log_stack(image, SIGMAS), SIGMAS, 0.08, polarity),
        ):
            np.testing.assert_allclose(found.keypoints, both.keypoints[which : which + 1], rtol=0, atol=0.03)


def reference_peaks(stack, threshold):
    """Strict peaks by SciPy's filters over all 26 neighbours."""
    ring = np.ones((3, 3, 3), bool)
    ring[1, 1, 1] = False
    high = (stack > ndimage.maximum_filter(stack, footprint=ring, mode="nearest")) & (stack > threshold)
    low = (stack < ndimage.minimum_filter(stack, footprint=ring, mode="nearest")) & (stack < -threshold)
    inner = np.zeros_like(high)
    inner[1:-1, 1:-1, 1:-1] = True
    return np.argwhere((high | low) & inner)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("threshold", [0.0, 0.8])
def test_peaks_are_those_of_all_26_neighbours(threshold, dtype):
    stack = np.random.default_rng(3).normal(size=(6, 23, 31)).astype(dtype)
    sigmas = 2.0 ** np.arange(6)
    found = blobs.find_blobs(stack, sigmas, threshold, refine=False)
    level = np.round(np.log2(found.scales)).astype(int)
    got = {tuple(p) for p in np.column_stack([level, *found.keypoints[:, ::-1].T.astype(int)])}
    expected = reference_peaks(stack, threshold)
    assert got == {tuple(p) for p in expected} and len(got) > 50
    assert np.all(np.diff(np.abs(found.responses)) <= 0)
    strength = stack[tuple(np.array([level, *found.keypoints[:, ::-1].T.astype(int)]))]
    np.testing.assert_array_equal(found.responses, strength.astype(np.float64))


def test_agrees_with_scikit_image_on_a_photograph():
    image = photo()
    # blob_log multiplies by sigma squared too, has the sign turned, and finds bright blobs only
    oracle = feature.blob_log(image, 2, 16, 13, threshold=0.15, overlap=1.0, log_scale=True, exclude_border=1)
    found = blobs.find_blobs(blobs.log_stack(image, SIGMAS), SIGMAS, 0.15, "bright", refine=False)
    inner = (oracle[:, 2] > 2.01) & (oracle[:, 2] < 15.9)  # scikit-image takes peaks of the end scales too
    theirs = {(round(c), round(r), round(s, 3)) for r, c, s in oracle[inner]}
    ours = {(round(x), round(y), round(s, 3)) for (x, y), s in zip(found.keypoints, found.scales, strict=True)}
    assert len(theirs & ours) >= 0.95 * max(len(theirs), len(ours)) and len(ours) > 15


@pytest.mark.parametrize("count", [1, 2, 4, 8])
def test_of_equal_samples_one_is_a_peak(count):
    stack = np.zeros((4, 7, 9))
    for n, (s, y, x) in enumerate(np.ndindex(2, 2, 2)):
        stack[1 + s, 3 + y, 4 + x] = 1.0 if n < count else 0.5
    found = blobs.find_blobs(stack, [1, 2, 4, 8], 0.1)
    assert len(found.scales) == 1


def test_the_fit_is_exact_on_a_quadratic():
    level, y, x = np.meshgrid(np.arange(5), np.arange(9), np.arange(11), indexing="ij")
    for ds, dy, dx, sign in [(0.2, -0.3, 0.4, 1), (-0.45, 0.1, -0.2, -1), (0.0, 0.5, -0.5, 1)]:
        s, v, u = level - 2 - ds, y - 4 - dy, x - 6 - dx
        stack = sign * (3 - 0.5 * s**2 - 0.3 * v**2 - 0.4 * u**2 + 0.1 * s * u - 0.15 * u * v + 0.05 * s * v)
        found = blobs.find_blobs(stack, 2.0 * 1.5 ** np.arange(5), 2.5)
        assert len(found.scales) == 1
        np.testing.assert_allclose(found.keypoints, [[6 + dx, 4 + dy]], rtol=0, atol=1e-12)
        assert found.scales[0] == pytest.approx(2 * 1.5 ** (2 + ds), rel=1e-12)
        assert found.responses[0] == pytest.approx(3 * sign, rel=1e-12)


def test_where_no_quadratic_peaks_the_axes_are_fitted_one_by_one():
    stack = np.zeros((3, 3, 3))
    stack[1, 1, 1], stack[1, 1, 0], stack[1, 1, 2] = 1.0, 0.2, 0.6
    stack[0, 0, 1] = stack[2, 2, 1] = 0.99  # with the mixed term the quadratic is a saddle
    stack[0, 1, 1] = stack[2, 1, 1] = stack[1, 0, 1] = stack[1, 2, 1] = 0.99
    found = blobs.find_blobs(stack, [1, 2, 4], 0.1)
    np.testing.assert_allclose(found.keypoints, [[1 + 0.2 / 1.2, 1]])
    np.testing.assert_allclose(found.scales, [2.0])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 999), levels=st.integers(1, 5), shape=st.tuples(st.integers(1, 8), st.integers(1, 8)))
def test_a_peak_stays_within_one_sample(seed, levels, shape):
    stack = np.random.default_rng(seed).integers(-2, 3, (levels, *shape)).astype(float)  # many ties
    sigmas = 2.0 ** np.arange(levels)
    rough, fine = (blobs.find_blobs(stack, sigmas, 0.5, refine=refine) for refine in (False, True))
    assert len(rough.scales) == len(fine.scales)
    assert (len(rough.scales) > 0) <= (min(stack.shape) >= 3)
    for x, y in fine.keypoints:
        assert np.abs(rough.keypoints - (x, y)).max(axis=1).min() <= 1
    assert np.isfinite(fine.responses).all() and fine.keypoints.shape == (len(fine.scales), 2)


# ---------------------------------------------------------------------------------------------
# Covariance and invariance


@pytest.mark.parametrize("turn", TURNS)
def test_turning_the_image_turns_the_blobs(turn):
    image = photo()
    straight, turned = (blobs.find_blobs(blobs.log_stack(f, SIGMAS), SIGMAS, 0.1) for f in (image, turn(image)))
    marks = np.zeros((2, *image.shape))
    marks[0], marks[1] = scenes.grid(image.shape)
    x, y = (turn(mark) for mark in marks)  # where each pixel of the turned image comes from
    back = np.column_stack([ndimage.map_coordinates(m, turned.keypoints.T[::-1], order=1) for m in (x, y)])
    assert len(back) == len(straight.scales) > 20
    gap = np.abs(back[:, None] - straight.keypoints).max(axis=2) + np.abs(turned.scales[:, None] - straight.scales)
    assert gap.min(axis=1).max() < 1e-6


@pytest.mark.parametrize(
    "find", [lambda f, t: blobs.dog_blobs(f, t), lambda f, t: blobs.find_blobs(blobs.log_stack(f, SIGMAS), SIGMAS, t)]
)
def test_offset_changes_nothing_gain_scales_the_response_negative_swaps_the_sign(find):
    image = photo()
    plain, shifted, half, negative = (
        find(image, 0.1),
        find(image + 0.25, 0.1),
        find(0.5 * image, 0.05),
        find(-image, 0.1),
    )
    assert len(plain.scales) > 20
    np.testing.assert_allclose(shifted.keypoints, plain.keypoints, rtol=0, atol=1e-6)
    np.testing.assert_allclose(half.keypoints, plain.keypoints, rtol=0, atol=1e-12)
    np.testing.assert_allclose(half.responses, 0.5 * plain.responses, rtol=1e-12)
    np.testing.assert_allclose(negative.scales, plain.scales, rtol=1e-12)
    np.testing.assert_allclose(negative.responses, -plain.responses, rtol=1e-12)


def test_the_scale_grows_with_the_image():
    zooms, found = np.array([1.0, 1.5, 2.0, 3.0]), []
    for zoom in zooms:
        image = scenes.disc((int(70 * zoom), int(80 * zoom)), 6.5 * zoom, (38 * zoom, 33 * zoom), blur=1.2 * zoom)
        found.append(blobs.dog_blobs(image, 0.2).scales[0])
    slope = np.polyfit(np.log(zooms), np.log(found), 1)[0]
    assert slope == pytest.approx(1, abs=0.01)


# ---------------------------------------------------------------------------------------------
# Shapes, layouts, and refusals


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    dtype=st.sampled_from([np.float32, np.float64]),
    layout=st.sampled_from(["C", "F", "strided", "reversed", "read-only"]),
    seed=st.integers(0, 999),
)
def test_any_shape_and_layout(shape, dtype, layout, seed):
    plain = np.random.default_rng(seed).random(shape).astype(dtype)
    image = {
        "C": plain,
        "F": np.asfortranarray(plain),
        "strided": np.repeat(plain, 2, axis=1)[:, ::2],
        "reversed": np.ascontiguousarray(plain[::-1])[::-1],
        "read-only": plain.copy(),
    }[layout]
    image.flags.writeable = layout != "read-only"
    before = image.copy()
    for got, want in zip(blobs.dog_blobs(image, 0.01), blobs.dog_blobs(plain, 0.01), strict=True):
        np.testing.assert_array_equal(got, want)
    for build in (blobs.log_stack, blobs.dog_stack):
        stack = build(image, [1.0, 2.0, 4.0])
        assert stack.dtype == dtype and stack.shape[1:] == shape
        np.testing.assert_array_equal(stack, build(plain, [1.0, 2.0, 4.0]))
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("image", [np.full((40, 50), 0.7), np.zeros((1, 1)), np.ones((1, 60)), np.zeros((2, 2))])
def test_a_flat_or_tiny_image_has_no_blobs(image):
    found = blobs.dog_blobs(image, 1e-12)
    assert found.keypoints.shape == (0, 2) and found.radii.shape == found.responses.shape == (0,)


def test_stacks_of_any_layout_are_left_alone():
    stack = blobs.log_stack(picture(), SIGMAS)
    plain = blobs.find_blobs(stack, SIGMAS, 0.01)
    other = np.asfortranarray(stack)
    other.flags.writeable = False
    for got, want in zip(blobs.find_blobs(other, SIGMAS, 0.01), plain, strict=True):
        np.testing.assert_array_equal(got, want)


IMAGE, STACK = np.ones((4, 5)), np.ones((3, 4, 5))
CALLS = {
    "log_stack": lambda f: blobs.log_stack(f, [1.0]),
    "dog_stack": lambda f: blobs.dog_stack(f, [1.0, 2.0]),
    "dog_pyramid": blobs.dog_pyramid,
    "dog_blobs": blobs.dog_blobs,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.ones((4, 5), np.uint8), TypeError, "float32 or float64, got uint8"),
        ([[1.0, 2.0]], TypeError, "must be an array, got list"),
        (np.ones((4, 5, 3)), ValueError, r"shape \(H, W\), got \(4, 5, 3\)"),
        (np.ones((0, 5)), ValueError, "empty"),
        (np.full((4, 5), np.nan), ValueError, "NaN"),
    ],
)
def test_refuses_what_is_no_gray_image(name, image, error, message):
    with pytest.raises(error, match=message):
        CALLS[name](image)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: blobs.log_stack(IMAGE, []), ValueError, r"list of at least 1, got shape \(0,\)"),
        (lambda: blobs.log_stack(IMAGE, 2.0), ValueError, r"list of at least 1, got shape \(\)"),
        (lambda: blobs.log_stack(IMAGE, [0.0, 1.0]), ValueError, "positive and ascending"),
        (lambda: blobs.log_stack(IMAGE, [2.0, 1.0]), ValueError, "positive and ascending, got .2. 1."),
        (lambda: blobs.log_stack(IMAGE, [1.0, math.nan]), ValueError, "positive and ascending"),
        (lambda: blobs.dog_stack(IMAGE, [1.0]), ValueError, "list of at least 2"),
        (lambda: blobs.dog_stack(IMAGE, [1.0, 1.0]), ValueError, "ascending"),
        (lambda: blobs.dog_scales([1.0]), ValueError, "list of at least 2"),
        (lambda: blobs.dog_pyramid(IMAGE, 0.5), ValueError, "at least 1 pixel.*got 0.5"),
        (lambda: blobs.dog_pyramid(IMAGE, math.nan), ValueError, "got nan"),
        (lambda: blobs.dog_pyramid(IMAGE, per_octave=0), ValueError, "per_octave must be at least 1, got 0"),
        (lambda: blobs.dog_pyramid(IMAGE, per_octave=2.0), TypeError, "per_octave must be an integer, got 2.0"),
        (lambda: blobs.dog_pyramid(IMAGE, octaves=0), ValueError, "octaves must be at least 1, got 0"),
        (lambda: blobs.dog_blobs(IMAGE, -0.1), ValueError, "threshold.*got -0.1"),
        (lambda: blobs.dog_blobs(IMAGE, polarity="light"), ValueError, "'both', 'bright', 'dark'; got 'light'"),
        (lambda: blobs.find_blobs(STACK, [1, 2, 4], math.nan), ValueError, "threshold.*got nan"),
        (lambda: blobs.find_blobs(STACK, [1, 2, 4], 0.1, "light"), ValueError, "got 'light'"),
        (lambda: blobs.find_blobs(STACK, [1, 2], 0.1), ValueError, "3 slices but 2 sigmas"),
        (lambda: blobs.find_blobs(STACK, [1, 2, 3], 0.1), ValueError, "constant factor.*got factors 1.5 to 2"),
        (lambda: blobs.find_blobs(IMAGE, [1, 2, 4], 0.1), ValueError, r"shape \(S, H, W\), got \(4, 5\)"),
        (lambda: blobs.find_blobs(np.ones((0, 4, 5)), [], 0.1), ValueError, r"got \(0, 4, 5\)"),
        (lambda: blobs.find_blobs(STACK * np.nan, [1, 2, 4], 0.1), ValueError, "NaN"),
        (lambda: blobs.find_blobs(STACK.astype(int), [1, 2, 4], 0.1), TypeError, "got int64"),
        (lambda: blobs.find_blobs([[[1.0]]], [1], 0.1), TypeError, "got list"),
    ],
)
def test_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()

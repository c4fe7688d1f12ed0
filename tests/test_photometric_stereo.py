import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.cbook import get_sample_data
from scipy import fft

from cvcourse.images import load
from cvcourse.photometric_stereo import (
    Surface,
    angular_error,
    bas_relief_matrix,
    cast_shadows,
    cone_sensitivities,
    depth_from_normals,
    depth_system,
    find_highlight,
    fit_albedo,
    fit_normals,
    flip_y,
    integrate,
    integrate_periodic,
    light_direction,
    light_from_highlight,
    matching_functions,
    metamer,
    noise_gain,
    predicted_error,
    sensor_responses,
    shade,
    slopes,
    surface_normals,
    to_rgb,
    trimmed_weights,
)

RANDOM = np.random.default_rng(18)
WAVELENGTHS = np.arange(390.0, 731.0, 5)
Y, X = np.mgrid[:17, :23].astype(float)  # not square
HILL = 4 * np.exp(-((X - 9) ** 2 + (Y - 6) ** 2) / 30) + 0.1 * X - 0.05 * Y
LIGHTS = np.array([light_direction(a, e) for a, e in [(0.3, 1.0), (2.0, 0.9), (4.4, 1.1), (5.3, 0.8), (1.2, 1.3)]])
STRENGTHS = np.array([1.0, 0.7, 1.2, 0.9, 1.4])
ALBEDO = RANDOM.uniform(0.2, 0.9, HILL.shape)
NORMALS = surface_normals(HILL)
IMAGES = shade(NORMALS, ALBEDO, LIGHTS, STRENGTHS)
dtypes = st.sampled_from([np.float32, np.float64])


@pytest.fixture(scope="module")
def bunny():
    """The measured set: images by kind, lights and normals with y down, strengths, height in pixels, mask."""
    truth, rig = load("photometric/gt"), load("photometric/lights")
    found = {k: np.stack([load(f"photometric/bunny_{k}_{j:02}") for j in range(12)]) for k in ("matte", "glossy")}
    found |= {"mask": truth["mask"], "height": truth["depth"].astype(float) * 128}
    found |= {"normals": flip_y(truth["normals"].astype(float)), "lights": flip_y(rig["lights_toward"])}
    return found | {"intensities": np.array(rig["light_intensity"]), "ball": rig["ball"], "up": truth["normals"]}


def degrees(normals, truth):
    return np.rad2deg(angular_error(normals, truth))


# --- spectra and cones


def test_matching_functions_see_equal_energy_as_white():
    totals = sensor_responses(np.ones(471), matching_functions(np.arange(360.0, 831)))
    np.testing.assert_allclose(totals, 106.86, rtol=0.01)  # the published sum of the tables


def test_cones_peak_where_they_should_and_never_fall_below_zero():
    x = np.arange(390.0, 731)
    S = cone_sensitivities(x)
    np.testing.assert_allclose(S.max(axis=1), 1)
    np.testing.assert_allclose(x[S.argmax(axis=1)], [570, 543, 442], atol=10)  # Stockman and Sharpe's peaks
    assert (S >= 0).all()
    assert S[2, x > 600].max() < 1e-3


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_a_metamer_looks_the_same_and_is_another_spectrum(seed):
    rng = np.random.default_rng(seed)
    f, wish = rng.uniform(0.1, 1, (2, len(WAVELENGTHS)))
    S = cone_sensitivities(WAVELENGTHS)
    g = metamer(f, wish, S)
    np.testing.assert_allclose(sensor_responses(g, S), sensor_responses(f, S), rtol=1e-9)
    assert g.min() >= 0
    assert np.abs(g - f).max() > 0.02


def test_a_metamer_goes_all_the_way_where_it_can():
    S = cone_sensitivities(WAVELENGTHS)
    f = np.full(len(WAVELENGTHS), 0.5)
    other = f + (np.eye(len(f)) - np.linalg.pinv(S) @ S) @ (0.1 * np.sin(WAVELENGTHS / 9))
    np.testing.assert_allclose(metamer(f, other, S), other, atol=1e-12)


def test_metamers_have_one_colour_on_the_screen():
    f, wish = np.full(len(WAVELENGTHS), 0.5), 1 + np.sin(WAVELENGTHS / 15)
    g = metamer(f, wish, cone_sensitivities(WAVELENGTHS))
    white = f @ matching_functions(WAVELENGTHS)[1]
    # The cones come from x, y, z clipped at 0, so equal for L, M, S is equal for X, Y, Z but for what was clipped.
    np.testing.assert_allclose(to_rgb(g, WAVELENGTHS, white), to_rgb(f, WAVELENGTHS, white), atol=0.01)


@pytest.mark.parametrize("peak, channel", [(450, 2), (530, 1), (640, 0)])
def test_pure_lights_have_the_colours_of_the_rainbow(peak, channel):
    light = np.exp(-(((WAVELENGTHS - peak) / 8) ** 2))
    white = sensor_responses(np.full(len(light), 0.1), matching_functions(WAVELENGTHS))[1]
    assert np.argmax(to_rgb(light, WAVELENGTHS, white)) == channel


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: matching_functions([[500.0]]), "row of positive numbers"),
        (lambda: matching_functions([np.nan]), "row of positive numbers"),
        (lambda: sensor_responses([1, 2], np.ones((3, 4))), r"\(3, 4\) and \(2,\)"),
        (lambda: metamer([1, 1], [1, 1, 1], np.ones((1, 2))), "two spectra"),
        (lambda: metamer([1, -1.0], [1, 1], np.ones((1, 2))), "negative"),
        (lambda: metamer([1, 1.0], [1, 1], np.eye(2)), "null space is empty"),
    ],
)
def test_spectra_say_why_they_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- directions: where y is flipped


def test_flipping_twice_changes_nothing():
    v = RANDOM.normal(size=(4, 5, 3)).astype(np.float32)
    assert flip_y(v).dtype == np.float32
    np.testing.assert_array_equal(flip_y(flip_y(v)), v)
    np.testing.assert_array_equal(flip_y([1, 2, 3]), [1, -2, 3])


def test_azimuth_turns_clockwise_on_the_screen():
    """A light from below (y down) brightens the lower half of a ball."""
    y, x = np.mgrid[-10:11, -10:11] / 11.0
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    ball = np.dstack([x, y, z]) * (z > 0)[..., None]
    picture = shade(ball, np.ones(z.shape), light_direction(np.pi / 2, 0.5))
    assert picture[11:].sum() > 2 * picture[:10].sum()
    assert np.argmax(shade(ball, np.ones(z.shape), light_direction(0.0, 0.5)).sum(axis=0)) > 10


def test_the_flip_of_the_measured_set_agrees_with_its_depth(bunny):
    """With y down, height must fall where n_y points down; with y as stored it would rise."""
    zy = np.gradient(bunny["height"], axis=0)
    flat = bunny["mask"] & (np.abs(zy) < 2) & (bunny["normals"][..., 2] > 0.5)
    q = slopes(bunny["normals"])[1]
    wrong = slopes(bunny["up"])[1]
    assert np.corrcoef(q[flat], zy[flat])[0, 1] > 0.8
    assert np.corrcoef(wrong[flat], zy[flat])[0, 1] < -0.8
    steep = flat & (np.abs(q) > 0.3)
    assert np.median(zy[steep] / q[steep]) == pytest.approx(1, abs=0.02)  # unit: one pixel


def test_normals_of_a_plane():
    n = surface_normals(3 * X - 2 * Y, (2.0, 4.0))
    expected = np.array([-1.5, 0.5, 1]) / np.linalg.norm([-1.5, 0.5, 1])
    np.testing.assert_allclose(n, np.broadcast_to(expected, n.shape), atol=1e-12)


def test_normals_of_a_quadratic_are_exact_up_to_the_border():
    p, q = slopes(surface_normals(0.03 * X**2 - 0.02 * X * Y + 0.01 * Y**2))
    np.testing.assert_allclose(p, 0.06 * X - 0.02 * Y, atol=1e-12)
    np.testing.assert_allclose(q, 0.02 * Y - 0.02 * X, atol=1e-12)


# --- rendering


def test_shade_is_lamberts_law():
    for k, light in enumerate(LIGHTS):
        one = shade(NORMALS, ALBEDO, light, [STRENGTHS[k]])
        by_hand = [[max(0, n @ light) for n in row] for row in NORMALS] * ALBEDO * STRENGTHS[k]
        np.testing.assert_allclose(one, by_hand, atol=1e-12)
        np.testing.assert_allclose(one, IMAGES[k], atol=1e-12)
    assert shade(NORMALS, ALBEDO, [0, 0, -1.0]).max() == 0


@pytest.mark.parametrize("tilt", [0.3, 0.6])
def test_a_wall_casts_a_shadow_of_height_over_tangent(tilt):
    z = np.zeros((9, 60))
    z[:, 40] = 10
    for light, side in (
        ([np.cos(tilt), 0, np.sin(tilt)], slice(0, 40)),
        ([-np.cos(tilt), 0, np.sin(tilt)], slice(41, 60)),
    ):
        lit = cast_shadows(z, light)
        shadow = ~lit[:, side]
        expected = min(10 / np.tan(tilt), shadow.shape[1])
        assert shadow.sum(axis=1) == pytest.approx(np.full(9, expected), abs=1)
        assert lit[:, 40].all()


def test_shadows_turn_with_the_scene():
    light = np.array([0.5, 0.3, 0.35])
    light /= np.linalg.norm(light)
    z = RANDOM.uniform(0, 3, (15, 20))
    lit = cast_shadows(z, light, (1.5, 0.8))
    assert 0.05 < lit.mean() < 0.95
    np.testing.assert_array_equal(cast_shadows(z.T.copy(), light[[1, 0, 2]], (0.8, 1.5)), lit.T)
    np.testing.assert_array_equal(cast_shadows(z[:, ::-1].copy(), light * [-1, 1, 1], (1.5, 0.8)), lit[:, ::-1])
    np.testing.assert_array_equal(cast_shadows(7 * z, light, (10.5, 5.6)), lit)


def test_no_shadow_from_straight_above_or_on_a_plane():
    assert cast_shadows(HILL, [0, 0, 1.0]).all()
    assert cast_shadows(0.2 * X - 0.1 * Y, light_direction(0.4, 0.5)).all()


def test_what_faces_away_is_no_longer_lit():
    y, x = np.mgrid[:40, :50]
    hill, light = 20 * np.exp(-((x - 22) ** 2 + (y - 18) ** 2) / 300), light_direction(0.7, 0.35)
    away = surface_normals(hill) @ light < -0.1
    assert away.sum() > 100
    assert not cast_shadows(hill, light)[away].any()


# --- normals and albedo


@given(st.integers(0, 2**32 - 1), st.integers(3, 8), dtypes)
@settings(max_examples=25, deadline=None)
def test_exact_images_give_back_the_surface(seed, K, dtype):
    rng = np.random.default_rng(seed)
    n = rng.normal(size=(4, 7, 3)) * [0.3, 0.3, 0] + [0, 0, 1]
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    albedo, strengths = rng.uniform(0.1, 1, (4, 7)), rng.uniform(0.5, 2, K)
    lights = np.array(
        [light_direction(2 * np.pi * k / K + rng.uniform(0, 0.3), rng.uniform(0.8, 1.2)) for k in range(K)]
    )
    images = np.einsum("hwc,kc->khw", n, lights) * albedo * strengths[:, None, None]  # no shadow: the model is linear
    for weights in (None, rng.uniform(0.1, 1, images.shape)):
        found = fit_normals(images.astype(dtype), lights, strengths, weights)
        assert found.normals.dtype == found.albedo.dtype == dtype
        tolerance = 1e-9 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(found.normals, n, atol=tolerance)
        np.testing.assert_allclose(found.albedo, albedo, atol=tolerance)
        assert found.valid.all()


def test_weighted_fit_is_least_squares_at_each_pixel():
    images = IMAGES + RANDOM.normal(0, 0.05, IMAGES.shape)
    weights = RANDOM.uniform(0, 1, images.shape)
    found, L = fit_normals(images, LIGHTS, STRENGTHS, weights), LIGHTS * STRENGTHS[:, None]
    for row, col in [(0, 0), (5, 19), (16, 22)]:
        root = np.sqrt(weights[:, row, col])
        g = np.linalg.lstsq(root[:, None] * L, root * images[:, row, col])[0]
        np.testing.assert_allclose(found.albedo[row, col] * found.normals[row, col], g, atol=1e-12)
    plain = fit_normals(images, LIGHTS, STRENGTHS)
    ones = fit_normals(images, LIGHTS, STRENGTHS, np.ones_like(images))
    np.testing.assert_allclose(plain.normals, ones.normals, atol=1e-12)


def test_shadows_bias_and_weights_cure():
    clean = shade(NORMALS, ALBEDO, LIGHTS)
    clean[2, 4:9, 3:11] = 0  # a cast shadow in one image
    patch = np.s_[4:9, 3:11]
    assert degrees(fit_normals(clean, LIGHTS).normals, NORMALS)[patch].min() > 5
    np.testing.assert_allclose(fit_normals(clean, LIGHTS, weights=clean > 0).normals, NORMALS, atol=1e-9)
    trimmed = fit_normals(clean, LIGHTS, weights=trimmed_weights(clean, 1, 1))
    np.testing.assert_allclose(trimmed.normals, NORMALS, atol=1e-9)


def test_a_pixel_that_too_few_lights_reach_is_not_valid():
    weights = np.ones(IMAGES.shape, bool)
    weights[:3, 2, 3] = False  # two lights are left
    black = IMAGES.copy()
    black[:, 5, 6] = 0
    found = fit_normals(black, LIGHTS, STRENGTHS, weights)
    assert not found.valid[2, 3] and not found.valid[5, 6] and found.valid.sum() == found.valid.size - 2
    assert not found.normals[2, 3].any() and found.albedo[2, 3] == 0
    assert np.isfinite(found.normals).all()
    plain = fit_normals(black, LIGHTS, STRENGTHS)
    assert not plain.valid[5, 6] and not plain.normals[5, 6].any()


@pytest.mark.parametrize("weighted", [False, True])
def test_three_lights_in_a_plane_at_one_pixel_determine_nothing(weighted):
    flat = np.array([light_direction(0, e) for e in (0.4, 0.9, 1.4)])
    lights = np.vstack([flat, [[0, 0.6, 0.8]]])
    weights = np.ones((4, *HILL.shape))
    weights[3, 1, 1] = 0 if weighted else 1
    found = fit_normals(shade(NORMALS, ALBEDO, lights), lights, weights=weights)
    assert found.valid[1, 1] == (not weighted)


def test_error_is_proportional_to_the_noise_and_as_predicted():
    surface, noise = Surface(NORMALS, ALBEDO, ALBEDO > 0), RANDOM.normal(size=(400, *IMAGES.shape))
    predicted = predicted_error(surface, LIGHTS, 1e-3, STRENGTHS)
    for s in (1.0, 4.0):
        angles = [
            angular_error(fit_normals(IMAGES + s * 1e-3 * one, LIGHTS, STRENGTHS).normals, NORMALS) for one in noise
        ]
        ratio = np.sqrt(np.mean(np.square(angles), axis=0)) / (s * predicted)
        # 400 draws of about two squared normals: the relative error of the rms is 1 / sqrt(4 * 400) to 1 / sqrt(2 * 400).
        assert np.abs(ratio - 1).max() < 5 / np.sqrt(2 * 400)
        assert ratio.mean() == pytest.approx(1, abs=0.01)


def test_predicted_error_knows_which_lights_are_used():
    surface = Surface(NORMALS, ALBEDO, ALBEDO > 0)
    weights = np.ones(IMAGES.shape)
    weights[0, :, 5:9] = 0
    weights[:3, 3, 3] = 0
    found = predicted_error(surface, LIGHTS, 0.01, weights=weights)
    fewer, all_lights = (predicted_error(surface, LIGHTS[k:], 0.01) for k in (1, 0))
    assert np.isinf(found[3, 3])
    np.testing.assert_allclose(found[:, 5:9], fewer[:, 5:9])
    np.testing.assert_allclose(found[:, 10:], all_lights[:, 10:])
    assert (fewer > all_lights).all()


def test_noise_gain_is_nine_over_k_at_best():
    assert noise_gain(np.eye(3)) == pytest.approx(3)
    assert noise_gain(np.vstack([np.eye(3)] * 4)) == pytest.approx(9 / 12)
    assert noise_gain(np.eye(3), [2, 2, 2]) == pytest.approx(3 / 4)
    for _ in range(50):
        lights = RANDOM.normal(size=(6, 3))
        assert noise_gain(lights / np.linalg.norm(lights, axis=1, keepdims=True)) >= 9 / 6
    g = np.linalg.pinv(LIGHTS) @ RANDOM.normal(size=(5, 40000))
    assert g.var(axis=1).sum() == pytest.approx(noise_gain(LIGHTS), rel=0.03)


@given(st.integers(0, 2**32 - 1), st.integers(3, 9), st.booleans())
@settings(max_examples=25, deadline=None)
def test_trimming_keeps_the_middle_of_the_sorted_values(seed, K, ties):
    rng = np.random.default_rng(seed)
    images = rng.random((K, 3, 5))
    images = np.round(images * 3) / 3 if ties else images
    darkest = int(rng.integers(0, K - 2))
    brightest = int(rng.integers(0, K - 2 - darkest))
    rank = np.argsort(np.argsort(images, axis=0, kind="stable"), axis=0)
    expected = (rank >= darkest) & (rank < K - brightest)
    np.testing.assert_array_equal(trimmed_weights(images, darkest, brightest), expected)


def test_albedo_of_each_channel():
    colour = RANDOM.uniform(0.1, 0.9, (*HILL.shape, 3))
    images = np.stack(
        [shade(NORMALS, np.ascontiguousarray(colour[..., c]), LIGHTS, STRENGTHS) for c in range(3)], axis=-1
    )
    np.testing.assert_allclose(fit_albedo(images, LIGHTS, NORMALS, STRENGTHS), colour, atol=1e-12)
    np.testing.assert_allclose(fit_albedo(IMAGES, LIGHTS, NORMALS, STRENGTHS), ALBEDO, atol=1e-12)
    broken = IMAGES.copy()
    broken[1] = 7
    weights = np.ones(IMAGES.shape)
    weights[1] = 0
    np.testing.assert_allclose(fit_albedo(broken, LIGHTS, NORMALS, STRENGTHS, weights), ALBEDO, atol=1e-12)
    assert not fit_albedo(IMAGES, LIGHTS, np.zeros_like(NORMALS)).any()


def test_angular_error():
    assert degrees([0, 0, 1], [0, 0, 5]) == 0
    assert degrees([1, 0, 0], [-1, 0, 0]) == pytest.approx(180)
    assert degrees([0, 0, 0], [0, 0, 1]) == pytest.approx(90)
    assert angular_error([1, 0, 0], [1, 1e-9, 0]) == pytest.approx(1e-9)  # an arccos would say 0
    with pytest.raises(ValueError, match="equal shape"):
        angular_error([1, 0], [1, 0])


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"lights": LIGHTS[:2], "images": IMAGES[:2]}, ValueError, "at least 3 lights, got 2"),
        ({"lights": [light_direction(0, 0.2 * k) for k in range(1, 6)]}, ValueError, "lie in one plane"),
        ({"lights": 3 * LIGHTS}, ValueError, "number 0 has length 3: divide by the length"),
        ({"lights": LIGHTS[:4]}, ValueError, "5 images but 4 lights"),
        ({"lights": LIGHTS[:, :2]}, ValueError, r"shape \(N, 3\)"),
        ({"lights": LIGHTS * np.nan}, ValueError, "NaN"),
        ({"intensities": [1, 2, 3]}, ValueError, "5 positive numbers"),
        ({"intensities": [1, 2, 3, 4, 0]}, ValueError, "5 positive numbers"),
        ({"images": IMAGES * 0}, ValueError, "all in shadow"),
        ({"weights": np.zeros_like(IMAGES)}, ValueError, "all in shadow"),
        ({"weights": np.ones(3)}, ValueError, "images' shape"),
        ({"weights": -IMAGES}, ValueError, "not negative"),
        ({"images": (IMAGES * 255).astype(np.uint8)}, TypeError, "uint8"),
        ({"images": IMAGES[0]}, ValueError, r"shape \(K, H, W\)"),
        ({"images": IMAGES[:, :0]}, ValueError, "empty"),
    ],
)
def test_fit_says_why_it_refuses(change, error, message):
    arguments = {"images": IMAGES, "lights": LIGHTS} | change
    with pytest.raises(error, match=message):
        fit_normals(**arguments)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("weights", [None, np.ones(IMAGES.shape)])
def test_one_bad_value_in_one_image_is_noticed(bad, dtype, weights):
    images = IMAGES.astype(dtype)
    images[3, 11, 22] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        fit_normals(images, LIGHTS, weights=weights)


@pytest.mark.parametrize(
    "counts, message", [((2, 1), "of 5 images 2 would"), ((-1, 0), "darkest"), ((0, 1.5), "brightest")]
)
def test_trimming_says_why_it_refuses(counts, message):
    with pytest.raises(ValueError, match=message):
        trimmed_weights(IMAGES, *counts)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: shade(NORMALS, ALBEDO[1:], LIGHTS), "normals have shape"),
        (lambda: shade(NORMALS, ALBEDO, 2 * LIGHTS[0]), "length 2"),
        (lambda: shade(HILL, ALBEDO, LIGHTS), r"\(H, W, 3\)"),
        (lambda: cast_shadows(HILL, [0.6, 0, -0.8]), "in front"),
        (lambda: cast_shadows(HILL, [0.6, 0, 0.8], (0, 1)), "spacing"),
        (lambda: surface_normals(HILL[:2]), "3 rows"),
        (lambda: flip_y(np.zeros((3, 2))), r"\(\.\.\., 3\)"),
        (lambda: fit_albedo(IMAGES[:3], LIGHTS, NORMALS), "images have shape"),
        (lambda: noise_gain(LIGHTS[:2]), "at least 3"),
        (lambda: bas_relief_matrix(0, 0, 0), "lam > 0"),
        (lambda: bas_relief_matrix(np.nan, 0, 1), "lam > 0"),
        (lambda: find_highlight(np.zeros((4, 4))), "not black"),
        (lambda: light_from_highlight([30, 10], [10, 10], 15), "outside the ball"),
        (lambda: depth_from_normals(NORMALS, np.zeros(HILL.shape, bool)), "empty"),
        (lambda: depth_from_normals(NORMALS, np.ones((3, 3), bool)), "mask must be bool of shape"),
        (lambda: depth_from_normals(NORMALS, np.ones(HILL.shape)), "float64"),
        (lambda: integrate(HILL, HILL[1:]), "q"),
        (lambda: integrate_periodic(HILL, HILL[1:]), "q"),
    ],
)
def test_the_rest_says_why_it_refuses(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# --- the mirror ball


@pytest.mark.parametrize("light", [light_direction(0.5, 1.2), light_direction(3.5, 0.3), np.array([0, 0, 1.0])])
def test_the_normal_at_the_highlight_halves_the_angle(light):
    half = light + np.array([0, 0, 1])
    half /= np.linalg.norm(half)
    found = light_from_highlight([40, 30] + 25 * half[:2], [40, 30], 25)
    np.testing.assert_allclose(found, light, atol=1e-12)


def test_lights_of_the_measured_ball_are_within_half_a_degree(bunny):
    ball = bunny["ball"]
    for k, light in enumerate(bunny["lights"]):
        point = find_highlight(load(f"photometric/chrome_{k:02}"))
        assert degrees(light_from_highlight(point, ball["center_px"], ball["radius_px"]), light) < 0.5


# --- the measured set


def test_normals_of_the_bunny(bunny):
    for kind, plain, trimmed in (("matte", 4.2, 3.1), ("glossy", 8.1, 5.7)):
        images, e = bunny[kind], bunny["intensities"]
        weights = trimmed_weights(images / e[:, None, None], 4, 2)
        for w, limit in ((None, plain), (weights, trimmed)):
            found = fit_normals(images, bunny["lights"], e, w)
            assert degrees(found.normals, bunny["normals"])[bunny["mask"]].mean() <= limit


def test_depth_of_the_bunny(bunny):
    weights = trimmed_weights(bunny["matte"] / bunny["intensities"][:, None, None], 4, 2)
    normals = fit_normals(bunny["matte"], bunny["lights"], bunny["intensities"], weights).normals
    error = (depth_from_normals(normals, bunny["mask"]) - bunny["height"])[bunny["mask"]]
    assert error.std() < 0.04 * np.ptp(bunny["height"][bunny["mask"]])
    assert np.median(np.abs(error - np.median(error))) < 1.3  # pixels, of 162


def test_terrain_with_three_lights():
    with np.load(get_sample_data("jacksboro_fault_dem.npz", asfileobj=False)) as dem:
        z = 2.0 * dem["elevation"]
    n, albedo = surface_normals(z, (74.4, 92.7)), np.full(z.shape, 0.6)
    lights = [light_direction(np.deg2rad(a), np.deg2rad(50)) for a in (30, 150, 270)]
    images, noise = shade(n, albedo, lights), np.random.default_rng(0).normal(size=(3, *z.shape))
    for sigma, expected in ((0.01, 1.4), (0.05, 6.9)):
        median = np.median(degrees(fit_normals(images + sigma * noise, lights).normals, n))
        assert median == pytest.approx(expected, abs=0.06)


# --- depth from normals

QUADRATIC = 0.02 * X**2 - 0.03 * X * Y + 0.015 * Y**2 + 0.3 * X - 0.2 * Y


def exact_normals(p, q):
    n = np.dstack([-p, -q, np.ones_like(p)])
    return n / np.linalg.norm(n, axis=-1, keepdims=True)


QUADRATIC_NORMALS = exact_normals(0.04 * X - 0.03 * Y + 0.3, 0.03 * Y - 0.03 * X - 0.2)


@pytest.mark.parametrize(
    "mask", [None, (X - 9) ** 2 + (Y - 8) ** 2 < 60, (X < 8) | (X > 12), RANDOM.random(X.shape) < 0.7]
)
def test_a_quadratic_is_found_exactly_in_any_mask(mask):
    """Means of two slopes are exact for a quadratic; each connected part has its own constant."""
    found = depth_from_normals(QUADRATIC_NORMALS, mask)
    inside = np.ones(X.shape, bool) if mask is None else mask
    A, _, index = depth_system(QUADRATIC_NORMALS, mask)
    steps = A @ (found - QUADRATIC)[inside]
    np.testing.assert_allclose(steps, 0, atol=1e-9)
    assert not found[~inside].any()
    assert (index >= 0).sum() == inside.sum()
    if mask is None or mask.sum() < 200:
        np.testing.assert_allclose(found[inside], (QUADRATIC - QUADRATIC[inside].mean())[inside], atol=1e-9)


def test_two_parts_have_mean_zero_each():
    found = depth_from_normals(QUADRATIC_NORMALS, X != 10)
    for part in (X < 10, X > 10):
        np.testing.assert_allclose(found[part], QUADRATIC[part] - QUADRATIC[part].mean(), atol=1e-9)


def test_a_single_pixel_has_height_zero():
    one = np.zeros(X.shape, bool)
    one[3, 4] = True
    assert not depth_from_normals(QUADRATIC_NORMALS, one).any()


def test_masked_depth_is_the_least_squares_solution():
    mask = RANDOM.random(X.shape) < 0.8
    n = QUADRATIC_NORMALS + RANDOM.normal(0, 0.1, QUADRATIC_NORMALS.shape)
    n /= np.linalg.norm(n, axis=-1, keepdims=True)
    A, b, _ = depth_system(n, mask)
    z = np.linalg.lstsq(A.toarray(), b)[0]
    found = depth_from_normals(n, mask)[mask]
    assert np.linalg.norm(A @ found - b) == pytest.approx(np.linalg.norm(A @ z - b), rel=1e-9)
    np.testing.assert_allclose(A @ found, A @ z, atol=1e-9)


def test_spacing_carries_units():
    p, q = 0.02 * X - 0.01 * Y, 0.03 * Y - 0.01 * X
    z = 0.01 * X**2 - 0.01 * X * Y + 0.015 * Y**2
    n = exact_normals(p / 3, q / 5)  # metres per metre
    np.testing.assert_allclose(depth_from_normals(n, spacing=(3, 5)), z - z.mean(), atol=1e-9)
    np.testing.assert_allclose(integrate(*slopes(n, (3, 5))), z - z.mean(), atol=1e-9)


@pytest.mark.parametrize("shape", [(6, 9), (9, 6), (1, 7), (7, 1), (1, 1), (2, 2)])
def test_integrate_is_the_least_squares_solution(shape):
    p, q = RANDOM.normal(size=(2, *shape))
    index = np.arange(p.size).reshape(shape)
    rows, b = [], []
    for slope, i, j in ((p, index[:, :-1], index[:, 1:]), (q, index[:-1], index[1:])):
        for first, second in zip(i.ravel(), j.ravel()):
            rows.append(np.eye(p.size)[second] - np.eye(p.size)[first])
            b.append((slope.ravel()[first] + slope.ravel()[second]) / 2)
    z = np.linalg.lstsq(np.array(rows), np.array(b))[0] if rows else np.zeros(p.size)
    np.testing.assert_allclose(integrate(p, q).ravel(), z, atol=1e-10)
    single = integrate(p.astype(np.float32), q.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single.ravel(), z, atol=1e-4)


def test_slopes_of_a_silhouette_are_bounded():
    p, q = slopes(np.array([[[-1.0, 0, 0], [0, 1, 0.0]]]))
    np.testing.assert_allclose([p[0, 0], q[0, 1]], [20, -20])


@pytest.mark.parametrize("shape", [(16, 20), (15, 21)])
def test_periodic_integration_of_a_periodic_surface(shape):
    rng = np.random.default_rng(3)
    H, W = shape
    v, u = 2 * np.pi * fft.fftfreq(H)[:, None], 2 * np.pi * fft.fftfreq(W)[None]
    spectrum = fft.fft2(rng.normal(size=shape)) * (np.hypot(u, v) < 2)  # no frequency near half a cycle per pixel
    spectrum[0, 0] = 0
    z, p, q = (fft.ifft2(one).real for one in (spectrum, 1j * u * spectrum, 1j * v * spectrum))
    np.testing.assert_allclose(integrate_periodic(p, q), z, atol=1e-10)


def test_a_ramp_is_not_periodic():
    z = 0.5 * X
    p = np.full(X.shape, 0.5)
    np.testing.assert_allclose(integrate(p, 0 * p), z - z.mean(), atol=1e-9)
    assert np.ptp(integrate_periodic(p, 0 * p)) == pytest.approx(0, abs=1e-12)


# --- what cannot be known


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(0.3, 3))
@settings(max_examples=25, deadline=None)
def test_the_bas_relief_transform_leaves_every_image_as_it_was(mu, nu, lam):
    G = bas_relief_matrix(mu, nu, lam)
    g = ALBEDO[..., None] * NORMALS
    g2, l2 = g @ np.linalg.inv(G), LIGHTS @ G.T
    np.testing.assert_allclose(g2 @ l2.T, g @ LIGHTS.T, atol=1e-12)
    unit = g2 / np.linalg.norm(g2, axis=-1, keepdims=True)
    np.testing.assert_allclose(unit, surface_normals(lam * HILL + mu * X + nu * Y), atol=1e-9)


def test_arguments_stay_as_they_are():
    before = [a.copy() for a in (IMAGES, LIGHTS, NORMALS, ALBEDO, HILL)]
    fit_normals(IMAGES, LIGHTS, STRENGTHS, trimmed_weights(IMAGES, 1, 1))
    integrate(HILL, HILL), integrate_periodic(HILL, HILL), depth_from_normals(NORMALS), cast_shadows(HILL, LIGHTS[0])
    for now, then in zip((IMAGES, LIGHTS, NORMALS, ALBEDO, HILL), before):
        np.testing.assert_array_equal(now, then)

import numpy as np
import pytest
import skimage.exposure
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage, optimize

from cvcourse import images, panoramas
from cvcourse.cameras import intrinsic_matrix, rotation_from_angles, rotation_from_vector
from cvcourse.homogeneous import to_homogeneous, transform_points
from cvcourse.panoramas import (
    SURFACES,
    Canvas,
    Pair,
    blend,
    compose,
    cylinder,
    feather_weights,
    find_pairs,
    fit_canvas,
    fit_gains,
    fit_rotation,
    fit_rotations,
    focal_from_homography,
    from_surface,
    multiband_blend,
    overlaps,
    render,
    rotation_homography,
    stitch,
    straighten,
    to_surface,
)
from cvcourse.warping import warp

K = intrinsic_matrix(300.0, cx=119.5, cy=99.5)
CENTER = K[:2, 2]
TURN = rotation_from_vector([0.05, -0.3, 0.1])
RANDOM = np.random.default_rng(12)
IMAGE = RANDOM.random((23, 34))  # not square, no symmetry
COLOR = RANDOM.random((12, 17, 3))

dtypes = st.sampled_from([np.float32, np.float64])
turns = st.tuples(*[st.floats(-0.4, 0.4)] * 3).map(rotation_from_vector)


def ring(n, focal=300.0, noise=0.0, rng=0):
    """Pairs of neighbours of n pictures around the full circle, and the rotations that made them."""
    rng = np.random.default_rng(rng)
    R = np.stack([rotation_from_angles(2 * np.pi * i / n, 0.02 * (-1) ** i, 0.01 * i) for i in range(n)])
    camera, pairs = intrinsic_matrix(focal, cx=119.5, cy=99.5), []
    for i in range(n):
        j = (i + 1) % n
        src = rng.uniform(0, (240, 200), (400, 2))
        mapped = to_homogeneous(src) @ rotation_homography(camera, R[j] @ R[i].T).T
        dst = mapped[:, :2] / mapped[:, 2:]
        seen = (mapped[:, 2] > 0) & np.all((dst >= 0) & (dst <= (240, 200)), axis=1)
        src, dst = src[seen], dst[seen] + noise * rng.normal(size=(seen.sum(), 2))
        pairs.append(Pair(i, j, src, dst, len(src)) if i < j else Pair(j, i, dst, src, len(src)))
    return pairs, R


def views(turns, gains=None):
    """Pictures of a virtual camera that turns inside the photograph `camera`; 512 x 512 at f = 600, views at 300."""
    photo = images.load("camera")
    big = intrinsic_matrix(600.0, cx=255.5, cy=255.5)
    gains = gains or [1.0] * len(turns)
    return [
        np.clip(g * warp(photo, rotation_homography(big, R, K), (200, 240), "bicubic", antialias=True).image, 0, 1)
        for g, R in zip(gains, turns, strict=True)
    ]


# --- two views


@given(turns)
@settings(max_examples=20, deadline=None)
def test_rotation_homography_moves_points_like_the_rays(R):
    X = RANDOM.normal(size=(20, 3)) + np.array([0, 0, 5])
    x1, x2 = X @ K.T, (X @ R.T) @ K.T
    moved = to_homogeneous(x1[:, :2] / x1[:, 2:]) @ rotation_homography(K, R).T
    np.testing.assert_allclose(moved[:, 2], x2[:, 2] / x1[:, 2], rtol=1e-9)  # depth over depth
    np.testing.assert_allclose(moved[:, :2] / moved[:, 2:], x2[:, :2] / x2[:, 2:], rtol=1e-7, atol=1e-6)


def test_rotation_homographies_compose_and_zoom():
    other = intrinsic_matrix(500.0, cx=60, cy=40)
    there, back = rotation_homography(K, TURN, other), rotation_homography(other, TURN.T, K)
    np.testing.assert_allclose(back @ there, np.eye(3), atol=1e-12)


@pytest.mark.parametrize("scale", [1, -3.0, 1e-5])
def test_focal_length_comes_back_whatever_the_scale_of_the_homography(scale):
    assert focal_from_homography(scale * rotation_homography(K, TURN), CENTER) == pytest.approx(300, rel=1e-9)


@pytest.mark.parametrize("R", [np.eye(3), rotation_from_angles(0, 0, 0.4)])
def test_a_turn_about_the_optical_axis_tells_no_focal_length(R):
    with pytest.raises(ValueError, match="did not turn away"):
        focal_from_homography(rotation_homography(K, R), CENTER)


@given(turns)
@settings(max_examples=20, deadline=None)
def test_rotation_from_directions_agrees_with_scipy(R):
    d = np.random.default_rng(1).normal(size=(9, 3))
    noisy = d @ R.T + 0.01 * np.random.default_rng(2).normal(size=d.shape)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (d, noisy)]
    from scipy.spatial.transform import Rotation

    oracle = Rotation.align_vectors(unit[1], unit[0])[0].as_matrix()
    np.testing.assert_allclose(fit_rotation(d, noisy), oracle, atol=1e-9)
    np.testing.assert_allclose(fit_rotation(d, d @ R.T), R, atol=1e-9)


@pytest.mark.parametrize(
    "a, b, message",
    [
        ([[1, 0, 0], [2, 0, 0]], [[0, 1, 0]] * 2, "parallel"),
        ([[1, 0, 0], [0, 1, 0]], [[0, 1, 0]], "2 directions but 1"),
        ([[0, 0, 0], [0, 1, 0]], [[0, 1, 0]] * 2, "direction 0 is zero"),
        ([[1, 0]], [[0, 1]], "shape"),
    ],
)
def test_fit_rotation_says_why_it_refuses(a, b, message):
    with pytest.raises(ValueError, match=message):
        fit_rotation(a, b)


# --- surfaces


@pytest.mark.parametrize("surface", SURFACES)
def test_surface_maps_invert_each_other(surface):
    x = RANDOM.uniform(-1.2, 1.2, (50, 2)) * 40
    directions = from_surface(x, surface, 40.0)
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1)
    np.testing.assert_allclose(to_surface(7 * directions, surface, 40.0), x, atol=1e-10)


def test_surfaces_agree_in_the_middle_and_part_at_60_degrees():
    middle, side = [[1e-4, 1e-4, 1]], [[np.sin(np.pi / 3), 0, 0.5]]
    for surface in SURFACES:
        np.testing.assert_allclose(to_surface(middle, surface), [[1e-4, 1e-4]], rtol=1e-7)
    assert [to_surface(side, s)[0, 0].round(4) for s in SURFACES] == [1.7321, 1.0472, 1.0472]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: to_surface([[0, 0, -1]], "plane"), "not in front of the plane"),
        (lambda: to_surface([[0, 0, 1], [0, 1, 0]], "cylinder"), "direction 1 runs along the axis"),
        (lambda: to_surface([[0, 0, 1]], "cone"), "surface"),
        (lambda: from_surface([[0, 0]], "sphere", 0), "scale must be a positive"),
        (lambda: cylinder(IMAGE, -1.0), "focal must be a positive"),
        (lambda: cylinder(IMAGE, np.nan), "focal must be a positive"),
        (lambda: render(IMAGE, K, np.eye(3), Canvas("plane", 9.0, (0, 0), (0, 3))), "shape"),
        (lambda: render(IMAGE, K, 2 * np.eye(3), Canvas("plane", 9.0, (0, 0), (2, 3))), "rotation"),
        (lambda: fit_canvas(K, [rotation_from_angles(a, 0, 0) for a in (-1.2, 1.2)], (200, 240), "plane"), "plane"),
        (lambda: fit_canvas(K, [rotation_from_angles(0, 1.5, 0)], (200, 240), "cylinder"), "take a sphere"),
        (lambda: straighten(np.eye(3)), "shape"),
    ],
)
def test_refusals_of_the_surfaces(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("kernel", [lambda f: cylinder(f, 9.0), lambda f: compose([f], K, [np.eye(3)], None)])
def test_integer_images_are_refused(kernel):
    with pytest.raises((TypeError, AttributeError)):
        kernel(np.ones((4, 5), np.uint8))


def by_hand(image, focal):
    """The cylinder as a formula, SciPy reading the pixels."""
    rows, cols = np.indices(image.shape)
    mx, my = (image.shape[1] - 1) / 2, (image.shape[0] - 1) / 2
    angle = (cols - mx) / focal
    x, y = focal * np.tan(angle) + mx, (rows - my) / np.cos(angle) + my
    value = ndimage.map_coordinates(image, [y, x], order=1, mode="nearest")
    inside = (x >= -0.5) & (x < image.shape[1] - 0.5) & (y >= -0.5) & (y < image.shape[0] - 0.5)
    return np.where(inside & (np.abs(angle) < 1.4), value, 0)


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 3e-5), (np.float64, 1e-10)])  # coordinates to 34, 24 bits
def test_cylinder_is_its_formula(dtype, tolerance):
    result = cylinder(IMAGE.astype(dtype), 20.3)
    assert result.image.dtype == dtype and not result.mask.all()
    np.testing.assert_allclose(result.image, by_hand(IMAGE, 20.3), atol=tolerance)


def test_plain_python_does_the_same():
    middle = (IMAGE.shape[1] - 1) / 2
    angle = (np.arange(IMAGE.shape[1]) - middle) / 30
    tables = 30 * np.tan(angle) + middle, 1 / np.cos(angle)
    np.testing.assert_allclose(panoramas._cylinder_loop.py_func(IMAGE, *tables)[0], cylinder(IMAGE, 30.0).image)


def test_cylinder_of_a_long_lens_is_the_picture():
    np.testing.assert_allclose(cylinder(COLOR, 1e7).image, COLOR, atol=1e-9)


def test_a_pan_is_a_shift_on_the_cylinder():
    photo = views([rotation_from_angles(yaw, 0, 0) for yaw in (0.0, 40 / 300)])
    first, second = (cylinder(f, 300.0) for f in photo)
    both = first.mask[:, 40:] & second.mask[:, :-40]
    shifted = np.abs(first.image[:, 40:] - second.image[:, :-40])[both]
    assert shifted.mean() < 0.015 < 0.05 < np.abs(first.image - second.image)[first.mask & second.mask].mean()


def test_render_on_a_plane_is_the_warp_by_the_homography():
    canvas = Canvas("plane", 300.0, (-150, -120), (240, 300))
    frame = intrinsic_matrix(300.0, cx=150, cy=120)
    photo = images.load("camera")[:200, :240]
    ours, theirs = render(photo, K, TURN, canvas), warp(photo, rotation_homography(K, TURN.T, frame), (240, 300))
    np.testing.assert_array_equal(ours.mask, theirs.mask)
    np.testing.assert_allclose(ours.image, theirs.image, atol=1e-9)


@pytest.mark.parametrize("surface", SURFACES)
def test_render_puts_a_pixel_where_the_map_says(surface):
    spot = np.exp(-(np.add.outer((np.arange(200) - 60) ** 2, (np.arange(240) - 150) ** 2)) / 50.0)
    canvas = fit_canvas(K, [TURN], (200, 240), surface)
    laid = render(spot, K, TURN, canvas).image
    expected = to_surface([np.linalg.inv(K @ TURN) @ [150, 60, 1]], surface, canvas.scale)[0] - canvas.corner
    found = ndimage.center_of_mass(laid)[::-1]
    np.testing.assert_allclose(found, expected, atol=0.2)  # the map stretches one side of the spot more


@given(dtypes, st.sampled_from(SURFACES), st.booleans(), st.integers(1, 9), st.integers(1, 9))
@settings(max_examples=20, deadline=None)
def test_render_keeps_precision_and_layout_does_not_matter(dtype, surface, colour, height, width):
    image = RANDOM.random((height, width, 3) if colour else (height, width)).astype(dtype)
    canvas = Canvas(surface, 5.0, (-6, -4), (7, 11))
    camera = intrinsic_matrix(5.0, cx=(width - 1) / 2, cy=(height - 1) / 2)
    result = render(image, camera, np.eye(3), canvas)
    assert result.image.dtype == dtype and result.image.shape[:2] == result.mask.shape == (7, 11)
    np.testing.assert_array_equal(result.image, render(np.asfortranarray(image), camera, np.eye(3), canvas).image)
    assert not result.image[~result.mask].any() and result.mask[4, 6]


@pytest.mark.parametrize(
    "yaws, pitch, surface", [((-0.3, 0.3), 0, "plane"), ((-1, 0, 1), 0, "cylinder"), ((-1, 1), 0.7, "sphere")]
)
def test_canvas_chooses_the_surface(yaws, pitch, surface):
    canvas = fit_canvas(K, [rotation_from_angles(yaw, pitch, 0) for yaw in yaws], (200, 240))
    assert canvas.surface == surface and not canvas.closed and canvas.scale == 300


def test_canvas_closes_and_covers_the_pole():
    circle = [rotation_from_angles(a, 0, 0) for a in np.arange(12) * np.pi / 6]
    canvas = fit_canvas(K, circle, (200, 240))
    assert canvas.closed and canvas.shape[1] == pytest.approx(2 * np.pi * canvas.scale) == pytest.approx(1885, abs=2)
    up = fit_canvas(K, [rotation_from_vector([np.pi / 2, 0, 0])], (200, 240))
    assert up.surface == "sphere" and up.closed
    assert render(np.ones((200, 240)), K, rotation_from_vector([np.pi / 2, 0, 0]), up).mask[[0, -1]].all(axis=1).any()


# --- many views


def test_bundle_recovers_what_made_it_from_a_bad_guess():
    pairs, R = ring(9)
    found = fit_rotations(pairs, 360.0, CENTER)
    assert found.focal == pytest.approx(300, rel=1e-7)
    np.testing.assert_allclose(found.R, R @ R[0].T, atol=1e-7)


def test_bundle_error_is_proportional_to_the_noise():
    small, large = (abs(fit_rotations(ring(9, noise=s)[0], 320.0, CENTER).focal / 300 - 1) for s in (0.01, 0.1))
    assert 0 < small < 1e-4 and large / small == pytest.approx(10, rel=0.2)


def test_bundle_derivatives():
    _, R = ring(9)
    R, src, dst = R[:3], RANDOM.uniform(-100, 100, (50, 2)), RANDOM.uniform(-100, 100, (50, 2))
    ends = np.repeat([[0, 1], [1, 2]], 25, axis=0)

    def residuals(step):
        turned = [R[0]] + [rotation_from_vector(r) @ R[k + 1] for k, r in enumerate(step[1:].reshape(-1, 3))]
        return panoramas._bundle_system(src, dst, ends, 300 * np.exp(step[0]), np.stack(turned))[0].ravel()

    J = panoramas._bundle_system(src, dst, ends, 300.0, R)[1]
    numeric = optimize.approx_fprime(np.zeros(7), residuals, 1e-7)
    np.testing.assert_allclose(J, numeric, atol=1e-5 * np.abs(J).max())


def test_bundle_refuses_a_picture_that_nothing_links():
    with pytest.raises(ValueError, match="links image 1 to image 0"):
        fit_rotations([Pair(0, 2, np.eye(2) * 9, np.eye(2) * 8, 2)], 300.0, CENTER)


def test_straighten_levels_the_horizon_and_looks_ahead():
    R = np.stack([rotation_from_angles(yaw, 0.3, 0) for yaw in np.linspace(-1, 1, 7)])
    level = straighten(R @ rotation_from_vector([0.4, 1.0, -0.3]))
    np.testing.assert_allclose(level, R, atol=1e-9)  # the middle ahead, the x axes horizontal
    np.testing.assert_allclose(level[0] @ level[3].T, R[0] @ R[3].T, atol=1e-12)


# --- blending


def test_feather_weights_make_a_roof():
    roof = feather_weights((5, 9))
    assert roof.min() == pytest.approx(0.2) and roof.max() == 1
    np.testing.assert_array_equal(roof, roof[::-1, ::-1])


@given(st.integers(1, 3), dtypes, st.booleans(), st.booleans())
@settings(max_examples=20, deadline=None)
def test_blends_keep_a_constant_and_ignore_black_outside(n, dtype, colour, bands):
    rng = np.random.default_rng(n)
    weights = [(rng.random((13, 21)) * (rng.random((13, 21)) > 0.4)).astype(dtype) for _ in range(n)]
    pictures = [np.where(w > 0, dtype(0.3), dtype(0)) for w in weights]
    pictures = [np.stack([f, f, f], axis=-1) for f in pictures] if colour else pictures
    mixed = (multiband_blend if bands else blend)(iter(pictures), weights)
    seen = np.max(weights, axis=0) > 0
    assert mixed.dtype == dtype and mixed.shape == pictures[0].shape
    np.testing.assert_allclose(mixed[seen], 0.3, atol=2e-6)  # float32: some tens of roundings
    assert not mixed[~seen].any()


def test_feathering_is_a_weighted_mean():
    f, g, w = RANDOM.random((3, 6, 7))
    np.testing.assert_allclose(blend([f, g], [w, 1 - w]), w * f + (1 - w) * g)


def test_one_level_cuts_hard_and_more_levels_soften_the_cut():
    left, right = np.full((32, 64), 0.4), np.full((32, 64), 0.6)
    x = np.broadcast_to(np.linspace(0.01, 0.99, 64), (32, 64)).copy()
    hard, soft = (multiband_blend([left, right], [1 - x, x], levels) for levels in (1, 5))
    np.testing.assert_array_equal(hard, np.where(x > 0.5, 0.6, 0.4))
    assert np.abs(np.diff(soft[16])).max() < 0.03 < np.abs(np.diff(hard[16])).max()
    np.testing.assert_allclose(soft + soft[:, ::-1], 1, atol=0.02)  # the two sides are treated alike, but for the grid


ONE = [np.ones((3, 4))]


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: blend([], []), "no images"),
        (lambda: blend(ONE, ONE * 2), "1 images but 2 weights"),
        (lambda: blend(ONE * 2, ONE), "has no weights"),
        (lambda: blend(ONE, [np.ones((4, 3))]), "has no weights of its shape"),
        (lambda: blend(ONE, [-ONE[0]]), "negative"),
        (lambda: blend([ONE[0], ONE[0].astype(np.float32)], ONE * 2), "float32"),
        (lambda: multiband_blend(ONE, ONE, 0), "levels"),
        (lambda: fit_gains([[1, 2]], [[1, 2]]), r"\(n, n\)"),
        (lambda: fit_gains(np.eye(2), [[0, 1], [2, 0]]), "symmetric"),
        (lambda: fit_gains(np.zeros((2, 2)), np.ones((2, 2))), "mean of 0"),
        (lambda: fit_gains(np.ones((3, 3)), [[0, 5, 0], [5, 0, 0], [0, 0, 0]]), "overlap no others"),
    ],
)
def test_refusals_of_the_blends(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_gains_undo_what_was_done():
    gains = np.array([0.7, 1.0, 1.3, 1.1])
    light = RANDOM.uniform(0.2, 0.8, (4, 4))
    counts = np.array([[0, 9, 0, 4], [9, 0, 20, 0], [0, 20, 0, 7], [4, 0, 7, 0]])
    means = gains[:, None] * (light + light.T)
    np.testing.assert_allclose(fit_gains(means, counts) * gains, np.prod(gains) ** 0.25)


def test_multiband_agrees_with_a_blend_by_scikit_image():
    """Both make the seam between a picture and its darker copy invisible: the histograms come near each other."""
    photo = images.load("camera")[::4, ::4]
    x = np.broadcast_to(np.linspace(0.01, 0.99, 128), (128, 128)).copy()
    mixed = multiband_blend([photo, 0.8 * photo], [1 - x, x], 6)
    matched = np.hstack([photo[:, :64], skimage.exposure.match_histograms(0.8 * photo, photo)[:, 64:]])
    step = np.abs(np.diff(mixed, axis=1)[:, 60:67]).mean()
    assert step == pytest.approx(np.abs(np.diff(matched, axis=1)[:, 60:67]).mean(), rel=0.3)


# --- all of it

YAWS = (0.22, -0.2, 0.0)  # not in order


@pytest.fixture(scope="module")
def three():
    turned = [rotation_from_angles(yaw, 0.01 * k, 0.02 * k) for k, yaw in enumerate(YAWS)]
    pictures = views(turned, [0.9, 1.0, 0.85])
    return turned, pictures, stitch(pictures)


def test_stitch_finds_the_cameras(three):
    turned, _, result = three
    assert result.K[0, 0] == pytest.approx(300, rel=0.01)
    corners = [[0, 0], [239, 0], [239, 199], [0, 199]]
    for i in (0, 1):
        true, found = (
            camera @ R[2] @ R[i].T @ np.linalg.inv(camera) for camera, R in ((K, turned), (result.K, result.R))
        )
        error = np.linalg.norm(transform_points(true, corners) - transform_points(found, corners), axis=1)
        assert error.max() < 0.5  # pixels, at points that may lie far outside the overlap


def test_stitch_finds_the_gains_and_shows_all(three):
    _, _, result = three
    np.testing.assert_allclose(result.gains * [0.9, 1.0, 0.85], np.prod([0.9, 0.85]) ** (1 / 3), rtol=0.01)
    assert result.canvas.surface == "plane" and result.image.shape == result.mask.shape == result.canvas.shape
    assert result.image.dtype == np.float64 and result.mask.mean() > 0.7


@pytest.mark.parametrize("blending", ["none", "feather", "multiband"])
def test_seams_shrink_with_the_blending(three, blending):
    turned, _, _ = three
    canvas = fit_canvas(K, straighten(np.stack(turned)), (200, 240))
    flat = [np.full((200, 240), g, np.float32) for g in (0.4, 0.5, 0.6)]
    image, mask = compose(flat, K, straighten(np.stack(turned)), canvas, blending)
    assert image.dtype == np.float32
    jump = np.abs(np.diff(image[100][mask[100]])).max()  # far from the pictures' corners, where all weights are small
    assert jump > 0.09 if blending == "none" else jump < 0.06


def test_stitch_in_float32_keeps_it(three):
    _, pictures, result = three
    again = stitch([f.astype(np.float32) for f in pictures[::2]], "cylinder", "feather")
    assert again.image.dtype == np.float32 and again.canvas.surface == "cylinder"
    assert again.K[0, 0] == pytest.approx(result.K[0, 0], rel=0.01)


def test_stitch_says_which_picture_does_not_fit(three):
    _, pictures, _ = three
    strange = images.load("grass")[:200, :240]
    with pytest.raises(ValueError, match=r"image 1 does not fit the others: with image \d.*matches, of which"):
        stitch([pictures[0], strange, pictures[2]])
    with pytest.raises(ValueError, match="images 0 and 1 do not overlap"):
        stitch([pictures[0], strange])
    with pytest.raises(ValueError, match=r"image 2 has shape \(200, 239\), image 0 \(200, 240\)"):
        stitch([pictures[0], pictures[2], pictures[1][:, :-1]])
    with pytest.raises(ValueError, match="2 images at least"):
        stitch(pictures[:1])
    with pytest.raises(TypeError, match="image 1 must be float32 or float64"):
        stitch([pictures[0], images.as_uint8(pictures[1])])
    with pytest.raises(ValueError, match="blending"):
        stitch(pictures, blending="magic")


def test_pictures_without_texture_do_not_fit():
    with pytest.raises(ValueError, match="shares 0 matches"):
        stitch([np.full((40, 60), 0.5), np.full((40, 60), 0.5)])


def test_a_camera_that_moved_is_told_from_one_that_turned():
    """A plane seen by a camera that steps aside: a homography fits, a rotation does not."""
    pairs, _ = ring(18)
    aside = np.array([[1.0, 0.3, 0.0], [0.0, 1.0, 0.0], [0, 0, 1]])  # no rotation shears
    moved = [p._replace(dst=transform_points(aside, p.dst)) if p.j == 4 else p for p in pairs]
    with pytest.raises(ValueError, match=r"image [34] does not fit image [34].* not on a rotation"):
        panoramas._require_rotation_only(moved, fit_rotations(moved, 300.0, CENTER))


def test_pairs_of_a_photograph_with_itself_and_with_another(three):
    _, pictures, _ = three
    same, other, _ = find_pairs([pictures[0], pictures[0], images.load("grass")[:200, :240]])
    assert overlaps(same) and not overlaps(other) and same.j == 1
    np.testing.assert_allclose(same.src, same.dst)


def test_large_photographs_are_made_smaller():
    large = [np.zeros((1500, 2000)), np.zeros((1500, 2000))]
    assert panoramas._one_camera(large)[0].shape == (866, 1155)


def test_chance_does_not_pass_for_a_view():
    """A homography that squeezes a picture onto a line or a speck has many supporters, and is no turn."""
    points = RANDOM.uniform(0, 200, (30, 2))
    assert panoramas._is_view(rotation_homography(K, TURN), points).all()
    assert panoramas._is_view(5 * np.diag([0.8, 0.8, 1]), points).all()
    for H in (np.diag([1, 0.01, 1]), np.diag([-1, 1, 1]), np.diag([0.1, 0.1, 1])):
        assert not panoramas._is_view(H, points).any()


@pytest.mark.parametrize("colour", [False, True])
def test_multiband_of_patches_is_the_textbook_sum(colour):
    """Small patches on a large canvas, whose pyramids are built on their own boxes; constants and ramps come through."""
    x = np.broadcast_to(np.linspace(0, 1, 301), (83, 301))
    weights = [np.maximum(30 - np.abs(np.arange(301) - c), 0) * np.ones((83, 1)) for c in (60.0, 110.0, 150.0)]
    pictures = [np.where(w > 0, x, 0) for w in weights]
    pictures = [np.stack([f, f, f], axis=-1) for f in pictures] if colour else pictures
    mixed, seen = multiband_blend(pictures, weights, 4), np.max(weights, axis=0) > 0
    truth = np.stack([x, x, x], axis=-1) if colour else x
    assert np.abs(mixed - truth)[seen].max() < 0.02 and not mixed[~seen].any()  # the continuation is not a ramp
    assert np.abs(mixed - truth)[:, 60:150].max() < 0.005

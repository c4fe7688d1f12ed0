import numpy as np
import pytest
from scipy import ndimage

from cvcourse import scenes


def test_impulse_is_given_in_x_y():
    image = scenes.impulse((4, 7), at=(5, 1))
    assert image[1, 5] == image.sum() == 1
    with pytest.raises(ValueError, match="outside"):
        scenes.impulse((4, 7), at=(1, 5))


def test_ramp_has_its_gradient():
    image = scenes.ramp((5, 6), 0.25, -0.5, 3)
    np.testing.assert_allclose(np.diff(image, axis=1), 0.25)
    np.testing.assert_allclose(np.diff(image, axis=0), -0.5)
    assert image[0, 0] == 3


@pytest.mark.parametrize("angle", [0.0, 0.3, 2.0, -2.5])
def test_step_edge_lies_where_it_should(angle):
    image = scenes.step_edge((61, 81), angle, blur=1.5, low=0.2, high=0.9, offset=4.0)
    x, y = scenes.grid((61, 81))
    distance = (x - 40) * np.cos(angle) + (y - 30) * np.sin(angle) - 4.0
    assert np.all((image > 0.55) == (distance > 0))


def test_blur_equals_gaussian_smoothing_of_the_sharp_edge():
    sharp = scenes.step_edge((1, 201))
    smoothed = ndimage.gaussian_filter1d(sharp, 3.0, axis=1, mode="nearest", truncate=8)
    # To the Gaussian's variance 9 the anti-aliased step adds 1/4 (it rises by a half twice), and a
    # sum of samples in place of an integral takes away 1/12.
    soft = scenes.step_edge((1, 201), blur=np.sqrt(9 + 1 / 4 - 1 / 12))
    np.testing.assert_allclose(soft, smoothed, atol=1e-4)


def test_disc_has_the_area_of_a_circle_off_centre():
    image = scenes.disc((90, 120), radius=20.5, center=(70.25, 41.6), low=0, high=1)
    assert image.sum() == pytest.approx(np.pi * 20.5**2, rel=1e-3)
    x, y = scenes.grid((90, 120))
    assert (image * x).sum() / image.sum() == pytest.approx(70.25, abs=1e-2)
    assert (image * y).sum() / image.sum() == pytest.approx(41.6, abs=1e-2)


def test_checkerboard_alternates_and_is_sharp_without_blur():
    image = scenes.checkerboard(square=5, squares=(3, 4))
    row, col = np.indices((15, 20)) // 5
    np.testing.assert_array_equal(image, (row + col) % 2)


def test_checkerboard_blur_is_symmetric_about_a_corner():
    image = scenes.checkerboard(square=16, blur=2.0)
    around = image[24:40, 24:40]  # a corner lies at (31.5, 31.5), the middle of this window
    np.testing.assert_allclose(around, around[::-1, ::-1], atol=1e-12)
    np.testing.assert_allclose(around + around[::-1], 1, atol=1e-12)


def test_grating_has_its_frequency_and_direction():
    image = scenes.grating((64, 64), frequency=np.hypot(5, 3) / 64, angle=np.arctan2(3, 5))
    spectrum = np.abs(np.fft.fft2(image - image.mean()))
    assert sorted(zip(*np.nonzero(spectrum > 0.5 * spectrum.max()), strict=True)) == [(3, 5), (61, 59)]


def test_zone_plate_has_the_stated_local_frequency():
    image = scenes.zone_plate(513, highest=0.25)
    row = image[256, 256:]
    r = np.arange(row.size)
    np.testing.assert_allclose(row, 0.5 + 0.5 * np.cos(np.pi * 0.25 * r**2 / 256), atol=1e-12)
    phase = np.pi * 0.25 * r**2 / 256
    assert np.gradient(phase)[200] / (2 * np.pi) == pytest.approx(0.25 * 200 / 256)


@pytest.mark.parametrize("turn", [1, -1])
def test_polygon_covers_its_area(turn):
    corners = np.array([[10, 8], [60, 20], [52, 50], [15.5, 40]])[::turn]
    x, y = corners.T
    area = 0.5 * abs(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    assert scenes.polygon((60, 80), corners).sum() == pytest.approx(area, rel=2e-3)


def test_noise_has_its_size_and_repeats():
    image = np.full((200, 300), 0.5, np.float32)
    noisy = scenes.add_gaussian_noise(image, 0.1, rng=1)
    assert noisy.dtype == np.float32
    assert (noisy - image).std() == pytest.approx(0.1, rel=0.02)  # 60 000 samples: 0.3 %, six times that
    np.testing.assert_array_equal(noisy, scenes.add_gaussian_noise(image, 0.1, rng=1))
    struck = scenes.add_salt_and_pepper(image, 0.2, rng=2)
    assert np.mean(struck == 0) == pytest.approx(0.1, abs=0.01)  # binomial deviation 0.0012
    assert np.mean(struck == 1) == pytest.approx(0.1, abs=0.01)
    assert np.mean(struck == 0.5) == pytest.approx(0.8, abs=0.01)
    colour = scenes.add_salt_and_pepper(np.full((40, 50, 3), 0.5), 0.5, rng=3)
    assert np.all((colour == colour[..., :1]).all(axis=2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: scenes.grid((0, 3)), ValueError, "at least one pixel"),
        (lambda: scenes.disc((5, 5), 0), ValueError, "positive"),
        (lambda: scenes.step_edge((5, 5), blur=-1), ValueError, "standard deviation"),
        (lambda: scenes.checkerboard(0), ValueError, "at least one pixel"),
        (lambda: scenes.polygon((9, 9), [[0, 0], [4, 4]]), ValueError, "at least 3"),
        (lambda: scenes.polygon((9, 9), [[0, 0], [8, 0], [2, 1], [0, 8]]), ValueError, "not convex"),
        (lambda: scenes.add_gaussian_noise(np.zeros((3, 3)), -1, 0), ValueError, "standard deviation"),
        (lambda: scenes.add_gaussian_noise(np.zeros((3, 3)), 1, None), TypeError, "seed"),
        (lambda: scenes.add_salt_and_pepper(np.zeros((3, 3)), 2, 0), ValueError, "share"),
    ],
)
def test_says_why_it_refuses(call, error, message):
    with pytest.raises(error, match=message):
        call()


def camera(c=(0.0, 0.0, 1.5)):
    K = np.array([[150.0, 0, 79.5], [0, 150, 59.5], [0, 0, 1]])
    return K, np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]]), np.array(c)


def test_the_room_is_where_its_sizes_say():
    """A pixel well inside the image of each thing, and one just above its top, on either side of its edge."""
    K, R, c = camera()
    image = scenes.room(K, R, c, (150, 160))

    def pixel(X):
        x, y, w = K @ R @ (np.array(X) - c)
        return image[round(y / w), round(x / w)]

    for name, (low, high) in scenes.BLOCKS.items():
        middle = (low[0] + high[0]) / 2
        front = pixel((middle, low[1], high[2] - 0.08))
        assert front == pytest.approx(0.55), name
        assert abs(pixel((middle, high[1], high[2] + 0.1)) - front) > 0.04, name
    assert pixel((0.6, 6, 1.9)) == pytest.approx(0.25) and pixel((0.6, 6, 2.15)) == pytest.approx(0.75)


def test_the_room_is_seen_from_inside():
    with pytest.raises(ValueError, match="inside the room"):
        scenes.room(*camera((0, -2, 1.5)), (12, 16))

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from cvcourse import figures, images


def decoded(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_bmp_is_lossless_for_gray_and_colour():
    image = np.random.default_rng(0).random((400, 500))
    np.testing.assert_array_equal(decoded(figures.bmp(image))[..., 1], images.as_uint8(image))
    colour = np.random.default_rng(1).random((400, 390, 3))
    np.testing.assert_array_equal(decoded(figures.bmp(colour)), images.as_uint8(colour))


def test_small_images_are_enlarged_pixel_by_pixel():
    shown = figures.pixels(np.array([[0.0, 1.0]]))
    assert shown.shape == (192, 384)
    assert set(shown[:, :192].ravel()) == {0}
    assert set(shown[:, 192:].ravel()) == {255}


@pytest.mark.parametrize("shape", [(512, 512), (600, 868, 3)])
def test_stored_pictures_are_small_and_true(shape):
    image = np.random.default_rng(2).random(shape) * 0.2 + np.linspace(0, 0.8, shape[1]).reshape(
        1, -1, *[1] * (len(shape) - 2)
    )
    shown = decoded(figures.png(image)).astype(float)
    if shape[0] == 512:
        assert len(figures.png(image)) <= figures.SMALL
    factor = image.shape[0] // shown.shape[0]
    means = np.array([[a.mean() for a in np.array_split(shown[..., 0], 8, axis=1)]])
    first = image[..., 0] if image.ndim == 3 else image
    truth = np.array([[255 * a.mean() for a in np.array_split(first, 8, axis=1)]])
    assert factor in (1, 2)
    np.testing.assert_allclose(means, truth, atol=4)  # 64 colours: half a step of 255 / 64


def test_a_photograph_fits_a_stored_notebook():
    assert len(figures.png(images.load("camera"))) <= figures.SMALL


def test_a_small_red_spot_survives_beside_a_photograph():
    picture = np.repeat(images.load("camera")[:400, :400, None], 3, axis=2)
    picture[10:14, 10:14] = [0.8, 0.0, 0.0]
    shown = decoded(figures.png(picture)).astype(int)
    factor = 400 // shown.shape[0]
    assert shown[12 // factor, 12 // factor, 0] - shown[12 // factor, 12 // factor, 1] > 150


def test_white_and_black_stay_white_and_black():
    picture = np.random.default_rng(3).uniform(0, 1, (400, 500, 3))  # too much for a small PNG
    picture[:, 300:400] = np.linspace(0, 0.05, 400)[:, None, None]  # the mean of near blacks is none, nor that of
    picture[:, 350:400] += 0.95  # near whites
    picture[:200, 400:], picture[200:, 400:] = 0, 1
    shown = decoded(figures.png(picture))
    middle = len(shown) // 2
    assert len(np.unique(shown.reshape(-1, 3), axis=0)) <= 256
    assert set(shown[: middle - 1, -10:].ravel()) == {0}
    assert set(shown[middle + 1 :, -10:].ravel()) == {255}


def test_a_figure_is_drawn_and_closed():
    fig, axes = plt.subplots()
    axes.plot([0, 1])
    shown = figures.pixels(fig)
    assert shown.shape == (256, 640, 3)
    assert shown.min() < 50
    assert not plt.fignum_exists(fig.number)


def test_signed_fields_are_symmetric_about_white():
    coloured = figures.signed(np.array([[-2.0, 0.0, 2.0]]))
    assert coloured[0, 0, 2] > coloured[0, 0, 0]  # blue below zero
    assert coloured[0, 2, 0] > coloured[0, 2, 2]  # red above
    np.testing.assert_allclose(coloured[0, 1], 0.97, atol=0.01)
    assert np.isfinite(figures.signed(np.zeros((2, 2)))).all()


def test_side_by_side_joins_gray_and_colour():
    joined = figures.side_by_side(np.zeros((4, 5)), np.zeros((4, 6, 3)), gap=2)
    assert joined.shape == (4, 13, 3)
    np.testing.assert_array_equal(joined[:, 5:7], 1)
    with pytest.raises(ValueError, match="heights \\[4, 5\\]"):
        figures.side_by_side(np.zeros((4, 5)), np.zeros((5, 5)))


def test_row_gives_each_image_its_share_of_the_width():
    fig = figures.row([np.zeros((10, 30)), np.zeros((10, 10))], ["wide", "square"])
    fig.canvas.draw()
    wide, square = (ax.get_position().width for ax in fig.axes)
    assert wide / square == pytest.approx(3, rel=0.05)
    plt.close(fig)
    with pytest.raises(ValueError, match="2 images but 1 titles"):
        figures.row([np.zeros((2, 2))] * 2, ["one"])


@pytest.mark.parametrize("picture", [None, "text", np.zeros(5), np.zeros((3, 3, 4))])
def test_what_is_no_picture_is_refused(picture):
    with pytest.raises(TypeError, match="a picture is an array"):
        figures.pixels(picture)


def test_integers_and_nan_are_refused():
    with pytest.raises(TypeError, match="floating point"):
        figures.pixels(np.zeros((3, 3), int))
    with pytest.raises(ValueError, match="finite"):
        figures.pixels(np.full((3, 3), np.nan))

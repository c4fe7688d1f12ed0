import hashlib
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cvcourse import images


def test_register_and_folder_agree():
    listed = {path for path, _ in images.registry().values()}
    there = {path for path in images.DATA.rglob("*") if path.is_file() and path.name != "README.md"}
    assert listed == there, "data/README.md and data/ list different files"
    for path, sha256 in images.registry().values():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, path


def test_every_row_of_the_register_is_complete():
    text = (images.DATA / "README.md").read_text("utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| [`")]
    assert len(rows) == len(images.registry())
    for row in rows:
        _, file, origin, licence, lectures, _, _ = (part.strip() for part in row.split("|"))
        assert re.fullmatch(r"\[`(.+)`\]\(\1\)", file)
        assert origin
        assert licence
        assert re.fullmatch(r"\d\d(, \d\d)*", lectures)


@pytest.mark.parametrize("name", images.names())
def test_every_name_loads_without_a_network(name, monkeypatch):
    def refuse(*arguments, **keywords):
        raise OSError("no network in this test")

    monkeypatch.setattr("socket.socket.connect", refuse)
    loaded = images.load(name)
    is_picture = name in images.SCIKIT_IMAGE or images.registry()[name][0].suffix in (".jpg", ".png")
    if is_picture:
        assert loaded.dtype == np.float64
        assert loaded.min() >= 0
        assert loaded.max() <= 1


def test_an_unknown_name_lists_close_ones():
    with pytest.raises(KeyError, match="'camera'"):
        images.load("camra")
    with pytest.raises(KeyError, match="there are apple, "):
        images.load("zzzzzz")


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (3, 2)).save(path)
    monkeypatch.setattr(images, "registry", lambda: {"a": (path, "0" * 64)})
    with pytest.raises(ValueError, match="has changed"):
        images.load("a")
    path.unlink()
    with pytest.raises(ValueError, match="missing"):
        images.load("a")


@pytest.mark.parametrize(
    ("dtype", "white"), [(bool, 1), (np.uint8, 255), (np.uint16, 65535), (np.float32, 1), (np.float64, 1)]
)
def test_as_float_maps_black_and_white(dtype, white):
    np.testing.assert_array_equal(images.as_float(np.array([[0, white]], dtype)), [[0.0, 1.0]])


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((2, 2), np.int64), TypeError, "int64"),
        (np.array([[2.0]]), ValueError, "in \\[0, 1\\], got 2"),
        (np.array([[-0.1]]), ValueError, "got -0.1"),
        (np.array([[np.nan]]), ValueError, "nan"),
    ],
)
def test_as_float_refuses(image, error, message):
    with pytest.raises(error, match=message):
        images.as_float(image)


def test_as_float_copies():
    image = np.zeros((2, 2))
    images.as_float(image)[0, 0] = 1
    assert image[0, 0] == 0


@given(st.integers(0, 255))
def test_uint8_survives_the_way_to_float_and_back(value):
    pixel = np.array([[value]], np.uint8)
    assert images.as_uint8(images.as_float(pixel))[0, 0] == value


def test_as_gray_weights_sum_to_one_and_keep_the_precision():
    image = np.random.default_rng(0).random((4, 5, 3)).astype(np.float32)
    gray = images.as_gray(image)
    assert gray.dtype == np.float32
    np.testing.assert_allclose(
        gray, 0.2126 * image[..., 0] + 0.7152 * image[..., 1] + 0.0722 * image[..., 2], rtol=1e-6
    )
    np.testing.assert_allclose(images.as_gray(np.full((2, 3, 3), 0.25)), 0.25, rtol=1e-15)


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        ([[0.0]], TypeError, "must be an array, got list"),
        (np.zeros((2, 2), np.uint8), TypeError, "images.as_float"),
        (np.zeros((2, 2), np.float16), TypeError, "float16"),
        (np.zeros(4), ValueError, "\\(H, W\\) or \\(H, W, 3\\), got \\(4,\\)"),
        (np.zeros((4, 4, 2)), ValueError, "got \\(4, 4, 2\\)"),
        (np.zeros((0, 4)), ValueError, "empty"),
        (np.array([[np.inf]]), ValueError, "NaN or infinity"),
    ],
)
def test_require_image_says_what_it_expected(image, error, message):
    with pytest.raises(error, match=message):
        images.require_image(image)


def test_require_image_makes_contiguous_and_keeps_precision():
    image = np.zeros((4, 6), np.float32).T
    image.flags.writeable = False
    checked = images.require_image(image)
    assert checked.flags.c_contiguous
    assert checked.flags.writeable, "a read-only array is another type to Numba, so it would compile again"
    assert checked.dtype == np.float32
    with pytest.raises(ValueError, match="must have shape \\(H, W\\), got"):
        images.require_image(np.zeros((2, 2, 3)), gray=True)


def test_psnr_follows_its_definition_and_refuses_other_shapes():
    noise = np.random.default_rng(1).normal(scale=0.1, size=(300, 200))
    # mean square of 60 000 samples: 10 log10 scatters by 4.3 sqrt(2 / 60000) = 0.025 dB
    assert images.psnr(noise, np.zeros((300, 200))) == pytest.approx(20, abs=0.1)
    assert images.psnr(noise, noise) == np.inf
    with pytest.raises(ValueError, match="reference"):
        images.psnr(noise, noise.T)


def test_read_turns_and_flattens(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    Image.new("RGB", (8, 4), "white").save(path, exif=exif)
    assert images.read(path).shape == (8, 4, 3)
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(clear)
    np.testing.assert_array_equal(images.read(clear), 1.0)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.array([[0, 65535]], np.uint16)).save(deep)
    np.testing.assert_array_equal(images.read(deep), [[0.0, 1.0]])


def test_read_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        images.read(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ValueError, match="not a picture"):
        images.read(tmp_path / "text.png")


def test_each_channel_applies_to_planes():
    image = np.random.default_rng(2).random((3, 4, 3))
    np.testing.assert_array_equal(images.each_channel(np.flipud, image), image[::-1])
    np.testing.assert_array_equal(images.each_channel(np.fliplr, image[..., 0]), image[:, ::-1, 0])

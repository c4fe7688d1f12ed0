import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from cvcourse import controls, figures
from cvcourse.controls import Checkbox, Dropdown, FloatSlider, IntSlider, Matrix, Points, Prediction, explore


@pytest.fixture(autouse=True)
def no_sweep(monkeypatch):
    """Most tests look at one call at a time."""
    monkeypatch.setenv("CVCOURSE_SWEEP", "0")


def show_level(level=0.5):
    return np.full((400, 400), level)


def grey(data: bytes) -> float:
    return float(np.asarray(Image.open(io.BytesIO(data)).convert("L")).mean())


def test_the_picture_follows_the_control():
    panel = explore(show_level, level=FloatSlider(0.5, min=0, max=1))
    assert grey(panel.picture.value) == 128
    panel.controls["level"].value = 1.0
    assert grey(panel.picture.value) == 255


def test_the_bundle_shows_the_start_without_a_kernel():
    panel = explore(show_level, level=FloatSlider(0.5, min=0, max=1))
    panel.controls["level"].value = 1.0
    bundle = panel._repr_mimebundle_()
    assert bundle["text/plain"] == "explore(show_level, level=0.5)"
    assert "application/vnd.jupyter.widget-view+json" in bundle
    import base64

    assert grey(base64.b64decode(bundle["image/png"])) == 128


def test_figures_are_shown_too():
    def show_line(slope=1.0):
        fig, axes = plt.subplots()
        axes.plot([0, 1], [0, slope])
        axes.set_ylim(0, 4)
        return fig

    panel = explore(show_line, slope=FloatSlider(1.0, min=0, max=4))
    before = panel.picture.value
    panel.controls["slope"].value = 3.0
    assert panel.picture.value != before
    assert plt.get_fignums() == []


def test_an_error_in_the_callback_is_shown_and_the_next_move_mends_it():
    def show_root(x=1.0):
        if x < 0:
            raise ValueError("no <root> of a negative number")
        return np.full((9, 9), np.sqrt(x))

    panel = explore(show_root, x=FloatSlider(1.0, min=-1, max=1))
    panel.controls["x"].value = -1
    assert "show_root raised ValueError: no &lt;root&gt;" in panel.message.value
    panel.controls["x"].value = 0
    assert panel.message.value == ""


def test_controls_are_labelled():
    panel = explore(show_level, level=FloatSlider(0.5, min=0, max=1))
    assert panel.controls["level"].description == "level"


def test_a_prediction_locks_the_controls_until_it_is_made():
    slider = FloatSlider(0.5, min=0, max=1)
    panel = explore(show_level, predict=Prediction("How bright?", 0.7, "of white"), level=slider)
    assert slider.disabled
    _, (guess, commit, said) = panel.children[0].children[0], panel.children[0].children[1].children
    guess.value = 0.5
    commit.click()
    assert not slider.disabled
    assert said.value == "You said 0.5 of white, measured 0.7 of white: 0.2 of white off."


def test_no_controls_or_no_widgets_are_refused():
    with pytest.raises(ValueError, match="at least one control"):
        explore(show_level)
    with pytest.raises(TypeError, match="level must be a control such as FloatSlider, got float"):
        explore(show_level, level=0.5)


# --- the matrix


def test_matrix_follows_its_cells_and_its_menu():
    matrix = Matrix({"one": [[0, 0], [0, 1]], "two": [[2, 0], [0, 2]]})
    seen = []
    matrix.observe(lambda change: seen.append(change["new"]), "value")
    matrix._menu.value = "two"
    assert seen == [((2, 0), (0, 2))], "choosing a table changes the value once"
    matrix._cells[0][1].value = 5
    assert matrix.value == ((2, 5), (0, 2))
    assert matrix._menu.value == "(by hand)"
    matrix._cells[0][1].value = 0
    assert matrix._menu.value == "two"


# --- the sweep


def test_the_sweep_visits_ends_middle_and_a_random_value(monkeypatch):
    monkeypatch.setenv("CVCOURSE_SWEEP", "1")
    seen = []

    def show_pair(a=2, b=0.5):
        seen.append((a, b))
        return np.full((9, 9), (a + b) / 20)

    explore(show_pair, a=IntSlider(2, min=0, max=10), b=FloatSlider(0.5, min=0, max=1, step=0.25))
    assert {(0, 0.5), (10, 0.5), (5, 0.5), (2, 0.0), (2, 1.0)} <= set(seen)
    assert all(isinstance(a, int) for a, _ in seen)
    again, seen[:] = list(seen), []
    explore(show_pair, a=IntSlider(2, min=0, max=10), b=FloatSlider(0.5, min=0, max=1, step=0.25))
    assert seen == again, "the random values are seeded"


@pytest.mark.parametrize("broken", [0.0, 1.0, 0.5])
def test_a_fault_away_from_the_start_fails(broken, monkeypatch):
    monkeypatch.setenv("CVCOURSE_SWEEP", "1")

    def show_fragile(x=0.25):
        return np.full((9, 9), 1 / (x - broken) if x == broken else x)

    with pytest.raises(RuntimeError, match="show_fragile fails away from its start"):
        explore(show_fragile, x=FloatSlider(0.25, min=0, max=1, step=0.25))


def test_a_dead_control_and_a_wrong_start_fail(monkeypatch):
    monkeypatch.setenv("CVCOURSE_SWEEP", "1")

    def show_half(x=0.5, unused=1):
        return np.full((9, 9), x)

    with pytest.raises(RuntimeError, match="the control unused never changes"):
        explore(show_half, x=FloatSlider(0.5, min=0, max=1), unused=IntSlider(1, min=0, max=3))
    with pytest.raises(RuntimeError, match="x starts at 0.25, its default is 0.5"):
        explore(show_half, x=FloatSlider(0.25, min=0, max=1))


def test_menus_boxes_and_tables_are_swept_whole():
    import random

    chance = random.Random(0)
    assert controls.stops(Dropdown(options=["a", "b", "c"]), chance) == ["a", "b", "c"]
    assert controls.stops(Dropdown(options=[("name", 1), ("other", 2)]), chance) == [1, 2]
    assert controls.stops(Checkbox(False), chance) == [False, True]
    tables = controls.stops(Matrix({"one": [[1, 0]], "two": [[0, 1]]}, min=-1, max=1), chance)
    assert tables[:4] == [((1, 0),), ((0, 1),), ((-1, -1),), ((1, 1),)]


def test_a_picture_is_what_show_must_return():
    with pytest.raises(TypeError, match="a picture is an array"):
        explore(lambda level: "text", level=FloatSlider(0.5, min=0, max=1))
    assert figures.pixels(show_level()).shape == (400, 400)


def show_triangle(corners=((2, 3), (8, 4), (5, 9))):
    fig, axes = plt.subplots(figsize=(4, 2), dpi=100)
    axes.set_position((0, 0, 1, 1))
    axes.set(xlim=(0, 20), ylim=(10, 0))
    axes.fill(*zip(*corners, strict=True))
    return fig


def test_points_carry_the_picture_and_move_it():
    panel = explore(show_triangle, corners=Points(((2, 3), (8, 4), (5, 9)), bounds=(0, 0, 20, 10)))
    points = panel.controls["corners"]
    assert points in panel.children and panel.picture not in panel.children
    before = points.picture
    points.value = ((2, 3), (18, 4), (5, 9))
    assert points.picture != before
    assert points.labels == ("A", "B", "C")


def test_points_know_where_the_axes_lie_in_the_picture():
    panel = explore(show_triangle, corners=Points(((2, 3), (8, 4), (5, 9)), bounds=(0, 0, 20, 10)))
    assert panel.points.frame == pytest.approx((0, 20, 0, 10))


def test_points_on_an_array_count_its_pixels_even_when_it_is_shown_enlarged():
    def show_spot(place=((3, 1),)):
        image = np.zeros((4, 6))
        image[int(place[0][1]), int(place[0][0])] = 1
        return image

    panel = explore(show_spot, place=Points(((3, 1),), bounds=(0, 0, 5, 3)))
    assert panel.points.frame == (-0.5, 5.5, -0.5, 3.5)
    shown = np.asarray(Image.open(io.BytesIO(panel.points.picture)))
    assert shown.shape[:2] == (256, 384)
    assert shown[96, 224].max() == 255  # the middle of pixel (3, 1), 64 times enlarged


def test_what_the_browser_sends_becomes_a_tuple_of_pairs():
    points = Points(((3, 1), (2, 2)), bounds=(0, 0, 5, 3))
    points.set_state({"value": [[4, 1.5], [2, 2]]})
    assert points.value == ((4, 1.5), (2, 2))


def test_a_sweep_lays_points_on_each_other_in_a_row_and_into_the_corners():
    seen = []

    def show_seen(corners=((2, 3), (8, 4), (5, 9))):
        seen.append(corners)
        return show_triangle(corners)

    controls.sweep(show_seen, {"corners": Points(((2, 3), (8, 4), (5, 9)), bounds=(0, 0, 20, 10))})
    assert ((5, 9), (8, 4), (5, 9)) in seen
    assert ((0, 5), (10, 5), (20, 5)) in seen
    assert ((2, 3),) * 3 in seen
    assert {corners[0] for corners in seen} >= {(0, 0), (20, 10), (0, 10), (20, 0)}


def test_points_say_what_is_wrong_with_their_start():
    with pytest.raises(ValueError, match=r"start inside bounds .* got \(6, 1\)"):
        Points(((6, 1),), bounds=(0, 0, 5, 3))
    with pytest.raises(ValueError, match="1 points, 2 labels"):
        Points(((3, 1),), bounds=(0, 0, 5, 3), labels=("a", "b"))
    with pytest.raises(ValueError, match="one Points control"):
        explore(show_triangle, a=Points(((3, 1),), (0, 0, 5, 3)), b=Points(((3, 1),), (0, 0, 5, 3)))

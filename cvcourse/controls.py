"""Controls: `explore` ties sliders to a function that computes a picture.

    explore(show_response, sigma=FloatSlider(1.5, min=0.5, max=6, step=0.5))

The picture stands beside the sliders in the stored notebook, so a page without a kernel shows it.
With ``CVCOURSE_SWEEP=1`` in the environment (the tests set it) `explore` also visits both ends,
the middle and a random value of every control.
"""

import base64
import html
import inspect
import os
import random
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import anywidget
import ipywidgets
import numpy as np
import traitlets
from ipywidgets import Checkbox, Dropdown, FloatSlider, IntSlider, SelectionSlider, ToggleButtons

from cvcourse.figures import bmp, frame, pixels, png

__all__ = [
    "Checkbox",
    "Dropdown",
    "FloatSlider",
    "IntSlider",
    "Matrix",
    "Points",
    "Prediction",
    "SelectionSlider",
    "ToggleButtons",
    "explore",
]


class Prediction(NamedTuple):
    """A number that the reader commits to before the controls unlock.

    ``answer`` is what the lecture measured, in `unit`.
    """

    question: str
    answer: float
    unit: str = ""


class Matrix(ipywidgets.VBox, ipywidgets.ValueWidget):
    """A small table of numbers to edit by hand; its ``value`` is a tuple of rows.

    Parameters
    ----------
    presets : dict of str -> nested sequence
        Named tables to choose from; the first is the start.
    min, max, step : float
        Range of every entry and step of its arrow keys.
    """

    value = traitlets.Tuple()

    def __init__(
        self, presets: dict[str, Any], min: float = -9, max: float = 9, step: float = 1, description: str = ""
    ) -> None:
        self.presets = {name: tuple(tuple(map(float, row)) for row in table) for name, table in presets.items()}
        self.min, self.max, self.description = min, max, description
        self._filling = False
        start = next(iter(self.presets.values()))
        cell = ipywidgets.Layout(width="64px")
        self._cells = [
            [ipywidgets.BoundedFloatText(v, min=min, max=max, step=step, layout=cell) for v in row] for row in start
        ]
        self._menu = ipywidgets.Dropdown(options=[*self.presets, "(by hand)"], description=description)
        super().__init__([self._menu, *(ipywidgets.HBox(row) for row in self._cells)])
        self.value = start
        self._menu.observe(self._choose, "value")
        self.observe(self._fill, "value")
        for entry in self._entries():
            entry.observe(self._read, "value")

    def _entries(self) -> list[ipywidgets.BoundedFloatText]:
        return [entry for row in self._cells for entry in row]

    def _choose(self, change: Any) -> None:
        if change["new"] in self.presets:
            self.value = self.presets[change["new"]]

    def _fill(self, change: Any) -> None:
        self._filling = True
        for row, values in zip(self._cells, change["new"], strict=True):
            for entry, v in zip(row, values, strict=True):
                entry.value = v
        self._filling = False

    def _read(self, change: Any) -> None:
        if self._filling:
            return
        table = tuple(tuple(entry.value for entry in row) for row in self._cells)
        self.value = table
        self._menu.value = next((name for name, preset in self.presets.items() if preset == table), "(by hand)")

    def stops(self, chance: random.Random) -> list[Any]:
        """List the tables that a sweep visits: every preset, both ends, one at random."""
        rows, columns = len(self.value), len(self.value[0])

        def table(entry: Callable[[], float]) -> Any:
            return tuple(tuple(entry() for _ in range(columns)) for _ in range(rows))

        ends = [table(lambda: self.min), table(lambda: self.max)]
        return [*self.presets.values(), *ends, table(lambda: round(chance.uniform(self.min, self.max), 2))]


Pairs = Sequence[tuple[float, float]]


class Points(anywidget.AnyWidget, ipywidgets.ValueWidget):
    """Points on the picture itself, to drag or to move with the arrow keys; ``value`` is a tuple of (x, y).

    If the picture is an image array, x and y count its pixels from 0 at the centre of the first; if it
    is a Figure, they are the data coordinates of its first axes, which must be linear.  A click moves
    the nearest point.

    Parameters
    ----------
    start : sequence of (x, y)
        Where the points are at first.
    bounds : (x0, y0, x1, y1)
        The part of the plane in which they stay.
    step : float
        They stay on multiples of it, and an arrow key moves by it; with Shift by ten of it.
    labels : sequence of str, optional
        Their names, beside the handles; A, B, C … if not given.

    Raises
    ------
    ValueError
        For a start outside the bounds, or another number of labels than points.
    """

    _esm = (Path(__file__).parent / "points.js").read_text("utf-8")
    value = traitlets.Tuple().tag(sync=True, from_json=lambda pairs, widget: tuple(map(tuple, pairs)))
    labels = traitlets.Tuple().tag(sync=True)
    bounds = traitlets.Tuple().tag(sync=True)
    frame = traitlets.Tuple((0.0, 1.0, 0.0, 1.0)).tag(sync=True)
    step = traitlets.Float().tag(sync=True)
    disabled = traitlets.Bool(False).tag(sync=True)
    picture = traitlets.Bytes(b"").tag(sync=True)
    description = traitlets.Unicode("")

    def __init__(
        self, start: Pairs, bounds: tuple[float, float, float, float], step: float = 1, labels: Sequence[str] = ()
    ) -> None:
        labels = tuple(labels) or tuple("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(start)])
        left, top, right, bottom = bounds
        if outside := [point for point in start if not (left <= point[0] <= right and top <= point[1] <= bottom)]:
            raise ValueError(f"the points start inside bounds = (x0, y0, x1, y1) = {bounds}, got {outside[0]}")
        if len(labels) != len(start):
            raise ValueError(f"a label for each point: {len(start)} points, {len(labels)} labels")
        super().__init__(value=tuple(map(tuple, start)), bounds=bounds, step=float(step), labels=labels)

    def stops(self, chance: random.Random) -> list[Any]:
        """List the placements that a sweep visits: in the corners, one on another, in a row, at random."""
        left, top, right, bottom = self.bounds
        start, n = self.value, len(self.value)
        corners = [(left, top), (right, bottom), (left, bottom), (right, top)]
        moved = [((*corner,), *start[1:]) for corner in corners]
        row = tuple((left + (right - left) * k / max(1, n - 1), (top + bottom) / 2) for k in range(n))
        somewhere = tuple(
            (round(chance.uniform(left, right), 2), round(chance.uniform(top, bottom), 2)) for _ in range(n)
        )
        return [*moved, (start[-1], *start[1:]), row, (start[0],) * n, somewhere]


class Explore(ipywidgets.VBox):
    """The controls above their picture; see `explore`."""

    def __init__(
        self, show: Callable[..., Any], controls: dict[str, Any], prediction: Prediction | None = None
    ) -> None:
        self.show, self.controls = show, controls
        self.start = dict(self.values())
        self.message = ipywidgets.HTML()
        self.points = next((control for control in controls.values() if isinstance(control, Points)), None)
        self.picture = ipywidgets.Image(format="bmp")
        self.picture.layout.max_width = "100%"
        self._draw()
        lock = [] if prediction is None else [self._lock(prediction)]
        sliders = [control for control in controls.values() if control is not self.points]
        super().__init__([*lock, *sliders, self.message, self.picture if self.points is None else self.points])
        for control in controls.values():
            control.observe(self._update, "value")

    def values(self) -> dict[str, Any]:
        """Give the present value of every control."""
        return {name: control.value for name, control in self.controls.items()}

    def _draw(self) -> None:
        picture = self.show(**self.values())
        if self.points is None:
            self.picture.value = bmp(picture)
        else:
            self.points.picture = bmp(picture)
            self.points.frame = frame(picture)

    def _update(self, change: Any = None) -> None:
        try:
            self._draw()
            self.message.value = ""
        except Exception as problem:  # the reader must see it: a callback's error is shown nowhere else
            text = html.escape(f"{self.show.__name__} raised {type(problem).__name__}: {problem}")
            self.message.value = f'<span style="color: #D55E00">{text}</span>'

    def _lock(self, prediction: Prediction) -> ipywidgets.Widget:
        for control in self.controls.values():
            control.disabled = True
        guess = ipywidgets.FloatText(description="I predict", layout=ipywidgets.Layout(width="190px"))
        commit = ipywidgets.Button(description="Commit", tooltip="Fix your prediction and unlock the controls")
        said = ipywidgets.HTML()

        def unlock(button: Any) -> None:
            gap = abs(guess.value - prediction.answer)
            unit = f" {prediction.unit}" if prediction.unit else ""
            said.value = f"You said {guess.value:g}{unit}, measured {prediction.answer:.3g}{unit}: {gap:.3g}{unit} off."
            guess.disabled = commit.disabled = True
            for control in self.controls.values():
                control.disabled = False

        commit.on_click(unlock)
        question = ipywidgets.HTMLMath(prediction.question)
        return ipywidgets.VBox([question, ipywidgets.HBox([guess, commit, said])])

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.start.items())
        return f"explore({self.show.__name__}, {shown})"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        data = super()._repr_mimebundle_(**options)
        picture = base64.b64encode(png(self.show(**self.start))).decode()
        return {**data, "text/plain": repr(self), "image/png": picture}


def explore(show: Callable[..., Any], predict: Prediction | None = None, **controls: Any) -> Explore:
    """Tie controls to `show`: the picture follows them.

    Parameters
    ----------
    show : callable
        Takes one keyword per control; returns an image array or a matplotlib Figure.
    predict : Prediction, optional
        Keeps the controls locked until the reader has committed a number.
    **controls
        ipywidgets with a ``value``, named as the parameters of `show`; their start values should be
        the function's defaults.

    Returns
    -------
    Explore
        Show it by ending a cell with it.

    Raises
    ------
    ValueError
        With no controls, or two of kind `Points`.  Whatever `show` raises at its start value, and during a sweep.
    """
    if sum(isinstance(control, Points) for control in controls.values()) > 1:
        raise ValueError("explore takes one Points control; give it all the points")
    if not controls:
        raise ValueError("explore needs at least one control, as sigma=FloatSlider(1, min=0, max=4)")
    for name, control in controls.items():
        if not isinstance(control, ipywidgets.ValueWidget):
            raise TypeError(f"{name} must be a control such as FloatSlider, got {type(control).__name__}")
        if not control.description:
            control.description = name
        if hasattr(control, "style") and hasattr(control.style, "description_width"):
            control.style.description_width = "150px"
        if isinstance(control, FloatSlider | IntSlider | SelectionSlider | Checkbox):
            control.layout.width = "480px"
    if os.environ.get("CVCOURSE_SWEEP") == "1":
        sweep(show, controls)
    return Explore(show, controls, predict)


def sweep(show: Callable[..., Any], controls: dict[str, Any]) -> int:
    """Call `show` at both ends, the middle and a seeded random value of every control.

    Returns the number of calls.

    Raises
    ------
    RuntimeError
        If a call raises, returns no picture, a control never changes the picture, or a control does
        not start at the function's default.
    """
    chance = random.Random(zlib.crc32(show.__name__.encode()))
    start = {name: control.value for name, control in controls.items()}
    for name, parameter in inspect.signature(show).parameters.items():
        if name in start and parameter.default not in (start[name], parameter.empty):
            raise RuntimeError(
                f"{show.__name__}: {name} starts at {start[name]!r}, its default is {parameter.default!r}"
            )
    jobs = [(name, {**start, name: value}) for name in controls for value in stops(controls[name], chance)]
    jobs.append(("", {name: chance.choice(stops(control, chance)) for name, control in controls.items()}))
    first = pixels(show(**start))
    moved = {"": True}
    for name, values in jobs:
        try:
            picture = pixels(show(**values))
        except Exception as problem:
            raise RuntimeError(f"{show.__name__} fails away from its start, at {values}: {problem}") from problem
        moved[name] = moved.get(name, False) or picture.shape != first.shape or bool(np.any(picture != first))
    if dead := [name for name, change in moved.items() if not change]:
        raise RuntimeError(f"{show.__name__}: the control {' and '.join(dead)} never changes the picture")
    return len(jobs)


def stops(control: Any, chance: random.Random) -> list[Any]:
    """List the values of a control that a sweep visits."""
    if isinstance(control, Matrix | Points):
        return control.stops(chance)
    if hasattr(control, "options"):
        return [option[1] if isinstance(option, tuple) else option for option in control.options]
    if isinstance(control.value, bool):
        return [False, True]
    if not hasattr(control, "min"):
        raise TypeError(
            f"a sweep cannot tell the range of {type(control).__name__}; use a slider, a menu or a Checkbox"
        )
    steps = round((control.max - control.min) / control.step)
    kind = type(control.value)
    return [kind(control.min + control.step * k) for k in (0, steps, steps // 2, chance.randint(0, steps))]

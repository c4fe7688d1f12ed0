"""The course as its reader sees it: JupyterLab in a real browser."""

import contextlib
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import sync_playwright

from cvcourse.authoring import NOTEBOOKS

BROWSERS = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "C:/Program Files/Google/Chrome/Application/chrome.exe",
]
# no sandbox: CI runs as root; no background network: the machine may have none
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()
READY = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext"
IDLE = "() => jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status === 'idle'"
RUN_ALL = (
    "() => { window.ran = null; jupyterapp.commands.execute('notebook:run-all-cells').then(r => window.ran = r); }"
)
OUTPUTS = "() => jupyterapp.shell.currentWidget.content.model.toJSON().cells.flatMap(c => c.outputs || [])"


@pytest.fixture(scope="module")
def executable():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        message = "no Chromium or Chrome: install one (Debian, Ubuntu: sudo apt install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A JupyterLab on a copy of the notebooks; gives its address."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(NOTEBOOKS, folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    (folder / "settings" / "@jupyterlab" / "notebook-extension").mkdir()
    tracker = folder / "settings" / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    tracker.write_text('{"windowingMode": "none"}')  # keep cells that are out of sight in the page
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CVCOURSE_")}
    for name in (
        "JUPYTER_CONFIG_DIR",
        "JUPYTER_DATA_DIR",
        "JUPYTER_RUNTIME_DIR",
        "IPYTHONDIR",
        "JUPYTERLAB_WORKSPACES_DIR",
    ):
        environment[name] = str(folder / name.lower())
    environment["JUPYTERLAB_SETTINGS_DIR"] = str(folder / "settings")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--ip=127.0.0.1", f"--port={port}", "--allow-root"]
    command += ["--ServerApp.port_retries=0", "--IdentityProvider.token=", "--expose-app-in-browser"]
    command += ["--LabApp.extension_manager=readonly", f"--ServerApp.root_dir={folder / 'notebooks'}"]
    address = f"http://127.0.0.1:{port}"
    log = (folder / "lab.log").open("w")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as server:
        try:
            wait_for(lambda: urllib.request.urlopen(f"{address}/api", timeout=2).status == 200, 90, folder / "lab.log")
            yield address
        finally:
            server.terminate()


def wait_for(ready, seconds, log=None):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(OSError):
            if ready():
                return
        time.sleep(0.2)
    raise TimeoutError(f"not ready after {seconds} s\n{Path(log).read_text()[-2000:] if log else ''}")


@pytest.fixture(scope="module")
def browser(executable):
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def notebook(lab, browser):
    """Open a notebook in JupyterLab, by its path; its kernel ends with the test."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})

    def open_it(path):
        page.goto(f"{lab}/lab/tree/{path}?reset")
        page.wait_for_function(READY, timeout=90_000)
        page.evaluate(
            "async () => { const w = jupyterapp.shell.currentWidget; await w.context.ready; await w.sessionContext.ready; }"
        )
        page.wait_for_function(IDLE, timeout=90_000)
        return page

    yield open_it
    page.evaluate("async () => { await jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    page.close()


def run_all(page):
    page.evaluate(RUN_ALL)
    page.wait_for_function("() => window.ran !== null", timeout=300_000)
    return page.evaluate("() => window.ran")


def steady_picture(picture):
    """A screenshot of an element, once two in a row agree."""
    before = None
    for _ in range(100):
        now = picture.screenshot()
        if now == before:
            return np.asarray(Image.open(io.BytesIO(now)).convert("L"), float)
        before = now
        time.sleep(0.1)
    raise TimeoutError("the picture does not come to rest")


def next_picture(picture, act):
    """Act, wait until the kernel has sent another picture, and look at it."""
    before = picture.get_attribute("src")
    act()
    wait_for(lambda: picture.get_attribute("src") != before, 30)
    return steady_picture(picture)


def sharpness(picture):
    return np.abs(np.diff(picture, axis=1)).mean()


def test_a_slider_moves_a_picture_of_the_first_lecture(notebook):
    page = notebook("01_filtering.ipynb")
    assert run_all(page) is True
    assert [o for o in page.evaluate(OUTPUTS) if o["output_type"] == "error"] == []
    panel = page.locator(".widget-vbox").filter(has_text="truncate").first  # the control of the Gaussian
    panel.scroll_into_view_if_needed()
    picture, handle = panel.locator("img.widget-image").first, panel.locator(".noUi-handle").first
    before, value = steady_picture(picture), float(handle.get_attribute("aria-valuenow"))
    handle.focus()
    for _ in range(6):
        handle.press("ArrowLeft")
    after = steady_picture(picture)
    assert float(handle.get_attribute("aria-valuenow")) == pytest.approx(value - 0.6)
    assert np.abs(after - before).mean() > 0.5


def test_more_blur_means_less_detail_on_the_map(notebook):
    page = notebook("index.ipynb")
    assert run_all(page) is True
    picture, handle = page.locator("img.widget-image").first, page.locator(".noUi-handle").first
    handle.scroll_into_view_if_needed()
    before = sharpness(steady_picture(picture))
    handle.focus()
    for _ in range(10):
        handle.press("ArrowRight")
    assert sharpness(steady_picture(picture)) < 0.7 * before
    for _ in range(20):
        handle.press("ArrowLeft")
    assert sharpness(steady_picture(picture)) > before


def test_corners_are_dragged_with_the_mouse_and_moved_with_the_keys(notebook):
    """The thermometer of lecture 07: pulling one corner of the square out leaves only a projective map."""
    page = notebook("07_transforms.ipynb")
    assert run_all(page) is True
    panel = page.locator(".jp-OutputArea-output").filter(has_text="held to").first
    panel.scroll_into_view_if_needed()
    corner, picture = panel.locator('button[aria-label^="A:"]'), panel.locator("img.widget-image").first
    assert corner.is_disabled()  # until the reader has committed a prediction
    panel.locator("input[type=number]").first.fill("6")
    panel.get_by_role("button", name="Commit").click()
    corner.and_(page.locator("button:enabled")).wait_for()

    def place():
        return [float(v) for v in re.findall(r"-?[\d.]+", corner.get_attribute("aria-label").split(";")[0])]

    def drag():
        box = corner.bounding_box()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.mouse.down()
        page.mouse.move(box["x"] - 40, box["y"] - 20, steps=8)
        page.mouse.up()

    def press():
        corner.focus()
        corner.press("Shift+ArrowDown")

    before, start = steady_picture(picture), place()
    after, dragged = next_picture(picture, drag), place()
    assert dragged[0] < start[0] - 20 and dragged[1] < start[1] - 10
    assert np.abs(after - before).mean() > 0.5
    pressed = next_picture(picture, press)
    assert place() == [dragged[0], dragged[1] + 50]  # ten steps of 5
    assert np.abs(pressed - after).mean() > 0.5


def test_check_names_the_mistake_in_the_exercise(notebook):
    page = notebook("exercises/01_filtering.ipynb")
    run_all(page)  # stops at the first function that is still to be written
    wrong = """
def conv2d(image, kernel, border="mirror"):
    h, w = kernel.shape
    mode = {"mirror": "symmetric", "clamp": "edge", "wrap": "wrap", "zero": "constant"}[border]
    out, padded = np.zeros(image.shape), np.pad(image, ((h // 2, h // 2), (w // 2, w // 2)), mode)
    for i in range(h):
        for j in range(w):
            out += kernel[i, j] * padded[i : i + image.shape[0], j : j + image.shape[1]]
    return out
check("q1")
"""
    said = page.evaluate(
        """async (code) => {
            const kernel = jupyterapp.shell.currentWidget.sessionContext.session.kernel;
            const future = kernel.requestExecute({code}); let text = '';
            future.onIOPub = m => { text += m.content.text || m.content.evalue || ''; };
            await future.done; return text; }""",
        wrong,
    )
    assert "✗" in said
    assert "this is correlation: the kernel is not flipped" in said
    assert "of 6 points" in said


def test_without_a_kernel_the_stored_page_shows_the_pictures():
    """What GitHub and the static page show: the picture beside every control."""
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        for cell in json.loads(path.read_text("utf-8"))["cells"]:
            shown = [output.get("data", {}) for output in cell.get("outputs", [])]
            if any("application/vnd.jupyter.widget-view+json" in data for data in shown):
                assert any("image/png" in data for data in shown), f"{path.name}: a control without its picture"

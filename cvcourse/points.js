// The picture of `controls.Points` with its handles: drag them with mouse, pen or finger, click where the nearest one
// shall go, or press Tab to reach one and the arrow keys to move it (with Shift ten steps at once).

const RING = `position: absolute; width: 16px; height: 16px; margin: -8px; padding: 0; border: 3px solid #D55E00;
  border-radius: 50%; background: rgba(255, 255, 255, 0.6); box-shadow: 0 0 0 1px white; cursor: grab; touch-action: none;`;
const NAME = `position: absolute; left: 14px; top: -12px; color: #D55E00; font: bold 13px sans-serif;
  text-shadow: 0 0 3px white, 0 0 3px white; pointer-events: none;`;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function render({ model, el }) {
  const stage = document.createElement("div");
  stage.style.cssText = "position: relative; display: inline-block; max-width: 100%; line-height: 0; user-select: none;";
  stage.dataset.lmSuppressShortcuts = "true"; // the notebook's own arrow keys stay out of it
  const image = document.createElement("img");
  image.draggable = false;
  image.className = "widget-image";
  image.style.maxWidth = "100%";
  stage.append(image);
  el.append(stage);

  let points = model.get("value").map((point) => [...point]);
  let waiting = false;
  const handles = points.map((point, k) => addHandle(k));

  function addHandle(k) {
    const handle = document.createElement("button");
    handle.style.cssText = RING;
    const name = document.createElement("span");
    name.style.cssText = NAME;
    name.textContent = model.get("labels")[k];
    handle.append(name);
    handle.addEventListener("pointerdown", (event) => {
      if (!handle.disabled) handle.setPointerCapture(event.pointerId);
      handle.focus();
      event.preventDefault();
    });
    handle.addEventListener("pointermove", (event) => {
      if (handle.hasPointerCapture(event.pointerId)) move(k, ...under(event));
    });
    handle.addEventListener("click", (event) => event.stopPropagation());
    handle.addEventListener("keydown", (event) => {
      if (!(event.key in ARROWS)) return;
      const [right, down] = ARROWS[event.key];
      const [x0, x1, y0, y1] = model.get("frame");
      const step = model.get("step") * (event.shiftKey ? 10 : 1);
      move(k, points[k][0] + right * step * Math.sign(x1 - x0), points[k][1] + down * step * Math.sign(y1 - y0));
      event.preventDefault();
      event.stopPropagation();
    });
    stage.append(handle);
    return handle;
  }

  function under(event) { // the pointer, in the coordinates of the points
    const box = image.getBoundingClientRect();
    const [x0, x1, y0, y1] = model.get("frame");
    return [
      x0 + ((event.clientX - box.left) / box.width) * (x1 - x0),
      y0 + ((event.clientY - box.top) / box.height) * (y1 - y0),
    ];
  }

  function move(k, x, y) {
    const [left, top, right, bottom] = model.get("bounds");
    const step = model.get("step");
    const snap = (v, low, high) => Number((Math.round(Math.min(high, Math.max(low, v)) / step) * step).toFixed(6));
    points[k] = [snap(x, left, right), snap(y, top, bottom)];
    place();
    if (waiting) return; // one message for each picture of the screen is enough
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      model.set("value", points.map((point) => [...point]));
      model.save_changes();
    });
  }

  function place() {
    const [x0, x1, y0, y1] = model.get("frame");
    handles.forEach((handle, k) => {
      const [x, y] = points[k];
      handle.style.left = `${(100 * (x - x0)) / (x1 - x0)}%`;
      handle.style.top = `${(100 * (y - y0)) / (y1 - y0)}%`;
      handle.disabled = model.get("disabled");
      handle.setAttribute("aria-label", `${model.get("labels")[k]}: x ${x}, y ${y}; move it with the arrow keys`);
    });
  }

  function draw() {
    const address = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/bmp" }));
    const before = image.src;
    image.onload = () => before && URL.revokeObjectURL(before);
    image.src = address;
  }

  stage.addEventListener("click", (event) => {
    if (model.get("disabled")) return;
    const [x, y] = under(event);
    const distances = points.map((point) => Math.hypot(point[0] - x, point[1] - y));
    const k = distances.indexOf(Math.min(...distances));
    handles[k].focus();
    move(k, x, y);
  });
  model.on("change:value", () => {
    points = model.get("value").map((point) => [...point]);
    place();
  });
  model.on("change:frame change:disabled", place);
  model.on("change:picture", draw);
  place();
  draw();
}

export default { render };

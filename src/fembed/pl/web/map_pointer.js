// The interactive map: pointer, touch and keyboard.
"use strict";

const NEAR = 11; // pixels within which a sample is meant
let index = null; // the shown samples by cells of the map, to find the nearest one quickly
let lasso = null; // pixels of the line that is being drawn
const pressed = new Map(); // pointers that are down
let press = null; // how the press began, until it moved too far to be a click

function buildIndex() {
  const side = Math.max(1, Math.min(256, Math.ceil(Math.sqrt(n / 4))));
  const [x0, y0, x1, y1] = view.box, steps = [(x1 - x0) / side || 1, (y1 - y0) / side || 1];
  const column = (x) => Math.max(0, Math.min(side - 1, Math.floor((x - x0) / steps[0])));
  const row = (y) => Math.max(0, Math.min(side - 1, Math.floor((y - y0) / steps[1])));
  const cells = new Map();
  for (const i of marks.order) {
    const at = row(marks.places[2 * i + 1]) * side + column(marks.places[2 * i]);
    if (!cells.has(at)) cells.set(at, []);
    cells.get(at).push(i);
  }
  index = { side, column, row, cells };
}

// The shown sample nearest to a pixel, at most `reach` pixels away; null if there is none.
function sampleAt(left, top, reach = NEAR) {
  if (index === null) buildIndex();
  const [x0, y1] = toPlace(left - reach, top - reach), [x1, y0] = toPlace(left + reach, top + reach);
  let best = null, least = reach * reach;
  for (let r = index.row(y0); r <= index.row(y1); r++) {
    for (let c = index.column(x0); c <= index.column(x1); c++) {
      for (const i of index.cells.get(r * index.side + c) ?? []) {
        const [x, y] = toPixel(marks.places[2 * i], marks.places[2 * i + 1]);
        const away = (x - left) ** 2 + (y - top) ** 2;
        if (away <= least) { least = away; best = i; }
      }
    }
  }
  return best;
}

function facts(sample) {
  const rows = labels.map((column) => [column.name, column.shown[column.codes[sample]]]);
  rows.push(["loss", format(loss[sample])]);
  if (kindOf(sample) === "projected") rows.push(["outlier score", format(outlier[sample])]);
  if (state.colour.kind === "gene") {
    rows.push([data.genes[state.colour.gene], format(numbers()[sample])]);
  }
  return rows;
}

function factList(sample) {
  return element("dl", {}, ...facts(sample).flatMap(([name, value]) => [
    element("dt", { textContent: name }), element("dd", { textContent: value }),
  ]));
}

function showTip(sample, left, top) {
  tip.replaceChildren(
    element("strong", { textContent: data.names[sample] }),
    element("span", { className: "tip-kind", textContent: kindOf(sample) }), factList(sample));
  tip.hidden = false;
  const wide = left + tip.offsetWidth + 24 > view.width;
  tip.style.left = `${Math.max(4, wide ? left - tip.offsetWidth - 12 : left + 14)}px`;
  tip.style.top = `${Math.max(0, Math.min(top + 14, view.height - tip.offsetHeight - 4))}px`;
}

function hover(sample, left, top) {
  if (sample === null) tip.hidden = true;
  else if (sample !== state.hovered || tip.hidden) showTip(sample, left, top);
  plot.style.cursor = sample !== null ? "pointer" : state.tool === "move" ? "grab" : "crosshair";
  if (sample === state.hovered) return;
  state.hovered = sample;
  drawFront();
}

function pixelOf(event) {
  const box = plot.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function pointerDown(event) {
  if (event.button !== 0) return;
  plot.setPointerCapture(event.pointerId);
  const at = pixelOf(event);
  pressed.set(event.pointerId, at);
  press = pressed.size === 1 ? at : null;
  if (pressed.size === 1 && (state.tool === "lasso" || event.shiftKey)) lasso = [at];
  else lasso = null;
}

function pointerMove(event) {
  const at = pixelOf(event), before = pressed.get(event.pointerId);
  if (before === undefined) {
    if (event.pointerType !== "touch") hover(sampleAt(...at), ...at);
    return;
  }
  if (press !== null && Math.hypot(at[0] - press[0], at[1] - press[1]) > 4) {
    press = null;
    hover(null);
  }
  if (pressed.size === 2) {
    const [other] = [...pressed].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const span = (place) => Math.hypot(place[0] - other[0], place[1] - other[1]);
    move((at[0] - before[0]) / 2, (at[1] - before[1]) / 2);
    zoom(span(at) / Math.max(1, span(before)), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
  } else if (lasso !== null) {
    lasso.push(at);
    drawFront();
  } else if (press === null) move(at[0] - before[0], at[1] - before[1]);
  pressed.set(event.pointerId, at);
}

function pointerUp(event) {
  if (!pressed.delete(event.pointerId)) return;
  const drawn = lasso, clicked = press;
  lasso = press = null;
  if (clicked !== null) clickAt(clicked, event.pointerType === "touch" ? 20 : NEAR);
  else if (drawn !== null) setSelection(within(drawn));
  else drawFront();
}

function clickAt([left, top], reach) {
  const sample = sampleAt(left, top, reach);
  if (sample !== null) chooseSample(sample);
  else decodePlace(...toPlace(left, top));
}

// The shown samples inside a polygon of pixels.
function within(polygon) {
  const corners = polygon.map(([x, y]) => toPlace(x, y)), found = [];
  for (const i of marks.order) {
    const x = marks.places[2 * i], y = marks.places[2 * i + 1];
    let inside = false;
    for (let k = 0, before = corners.length - 1; k < corners.length; before = k++) {
      const [xa, ya] = corners[k], [xb, yb] = corners[before];
      if ((ya > y) !== (yb > y) && x < (xb - xa) * (y - ya) / (yb - ya) + xa) inside = !inside;
    }
    if (inside) found.push(i);
  }
  return found.sort((a, b) => a - b);
}

function setTool(tool) {
  state.tool = tool;
  root.querySelectorAll("[data-tool]").forEach((button) => {
    button.setAttribute("aria-pressed", String(button.dataset.tool === tool));
  });
  plot.style.cursor = tool === "move" ? "grab" : "crosshair";
}

const KEYS = {
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4),
  0: () => { fit(); redraw(); },
  ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0),
  ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
  l: () => setTool(state.tool === "lasso" ? "move" : "lasso"),
  n: () => find(".names-toggle").click(),
  d: () => find(".dark-toggle").click(),
  g: () => find(".gene-search").focus(),
  s: () => find(".sample-search").focus(),
  Enter: () => decodePlace(view.x, view.y),
  Escape: () => { setSelection(null); chooseNothing(); },
};

function keyDown(event) {
  const writes = event.target.matches("input, select, textarea");
  const elsewhere = document.body.classList.contains("report") && !root.contains(event.target);
  if (writes || elsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("button") && event.key === "Enter") return;
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

function wirePointer() {
  plot.addEventListener("pointerdown", pointerDown);
  plot.addEventListener("pointermove", pointerMove);
  plot.addEventListener("pointerup", pointerUp);
  plot.addEventListener("pointercancel", (event) => {
    pressed.delete(event.pointerId);
    lasso = press = null;
    redraw();
  });
  plot.addEventListener("pointerleave", () => hover(null));
  plot.addEventListener("wheel", (event) => {
    // In a long page the wheel moves the page, until the map has been clicked.
    if (document.body.classList.contains("report") && document.activeElement !== plot) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY * lines)) / 320), ...pixelOf(event));
  }, { passive: false });
  document.addEventListener("keydown", keyDown);
}

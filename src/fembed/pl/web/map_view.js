// The interactive map: which part of it is seen, and from what is chosen to what is drawn.
"use strict";

const view = { x: 0, y: 0, sx: 1, sy: 1, width: 1, height: 1, ratio: 1, whole: 1 };
const layers = ["back", "marks", "front"].map((name) => find(`.${name}`));
const [back, , front] = layers.map((canvas, k) => (k === 1 ? null : canvas.getContext("2d")));
const marks = new Marks(layers[1], n);
const shuffled = permutation(n); // so that no category lies always on top
const EDGE = 26; // pixels that the fitted map keeps free around it,
const TOP_EDGE = 52; // and above it, where the buttons are

function permutation(count) {
  const order = Uint32Array.from({ length: count }, (_, k) => k);
  let seed = 12345;
  for (let k = count - 1; k > 0; k--) {
    seed = (1664525 * seed + 1013904223) >>> 0;
    const other = seed % (k + 1);
    [order[k], order[other]] = [order[other], order[k]];
  }
  return order;
}

const toPixel = (x, y) => [
  (x - view.x) * view.sx + view.width / 2, (view.y - y) * view.sy + view.height / 2,
];
const toPlace = (left, top) => [
  view.x + (left - view.width / 2) / view.sx, view.y - (top - view.height / 2) / view.sy,
];

// A colour of the page's style, by the name of its variable.
function ground(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

// Where samples lie on the chosen axes, and the whole map's box.
function takeAxes() {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < n; i++) {
    const x = coordinate(i, state.axes[0]), y = coordinate(i, state.axes[1]);
    marks.places[2 * i] = x;
    marks.places[2 * i + 1] = y;
    box[0] = Math.min(box[0], x); box[2] = Math.max(box[2], x);
    box[1] = Math.min(box[1], y); box[3] = Math.max(box[3], y);
  }
  marks.changed.places = true;
  view.box = box;
  index = null;
}

function fit() {
  const [x0, y0, x1, y1] = view.box;
  const across = Math.max(x1 - x0, 1e-9), up = Math.max(y1 - y0, 1e-9);
  view.x = (x0 + x1) / 2;
  view.sx = Math.max(1, view.width - 2 * EDGE) / across;
  view.sy = Math.max(1, view.height - EDGE - TOP_EDGE) / up;
  // Distances in the map mean something, so both axes have one scale.
  if (state.axes[1] >= 0) view.sx = view.sy = Math.min(view.sx, view.sy);
  view.y = (y0 + y1) / 2 + (TOP_EDGE - EDGE) / 2 / view.sy;
  view.whole = view.sx;
}

function zoom(factor, left = view.width / 2, top = view.height / 2) {
  const wanted = view.sx * factor;
  if (wanted < 0.2 * view.whole || wanted > 2000 * view.whole) return;
  const [x, y] = toPlace(left, top);
  view.sx *= factor;
  view.sy *= factor;
  view.x = x - (left - view.width / 2) / view.sx;
  view.y = y + (top - view.height / 2) / view.sy;
  redraw();
}

function move(right, down) {
  view.x -= right / view.sx;
  view.y += down / view.sy;
  redraw();
}

// Bring a sample into view, and near enough to be told from its neighbours.
function centreOn(sample) {
  hover(null);
  view.x = marks.places[2 * sample];
  view.y = marks.places[2 * sample + 1];
  const factor = Math.max(1, 3 * view.whole / view.sx);
  view.sx *= factor;
  view.sy *= factor;
  redraw();
}

function resized() {
  const box = plot.getBoundingClientRect();
  if (!box.width || !box.height) return;
  const first = view.width === 1, kept = view.sx / view.whole, [x, y] = [view.x, view.y];
  Object.assign(view, { width: box.width, height: box.height, ratio: window.devicePixelRatio || 1 });
  layers.forEach((canvas) => {
    canvas.width = Math.round(view.width * view.ratio);
    canvas.height = Math.round(view.height * view.ratio);
  });
  fit();
  if (!first) {
    Object.assign(view, { x, y, sx: view.sx * kept, sy: view.sy * kept });
  }
  redraw();
}

// A function from a sample to the three channels of its colour.
function painter() {
  const missing = channels(ground("--missing"));
  if (state.colour.kind === "none") {
    const plain = channels(ground("--plain"));
    return () => plain;
  }
  if (state.colour.kind === "label") {
    const column = labels[state.colour.column];
    const table = column.colours.map((colour) => onGround(channels(colour)));
    return (sample) => table[column.codes[sample]];
  }
  const values = numbers(), [low, high] = limits(values);
  return (sample) => {
    const value = values[sample];
    if (!Number.isFinite(value)) return missing;
    return SHADES[Math.round(255 * Math.max(0, Math.min(1, (value - low) / (high - low))))];
  };
}

// Which samples are grey, because what colours the map is not known of them.
function unknown() {
  if (state.colour.kind === "label") {
    const { categories, codes } = labels[state.colour.column];
    const missing = categories.indexOf("NA");
    return (sample) => codes[sample] === missing;
  }
  const values = numbers();
  return values === null ? () => false : (sample) => !Number.isFinite(values[sample]);
}

// Colours, shapes and order of the samples, after a change of what is chosen.
function paint() {
  const colour = painter(), grey = unknown();
  const column = state.colour.kind === "label" ? labels[state.colour.column] : null;
  const symbols = column && !hasProjected ? column.symbols.map((s) => SYMBOLS.indexOf(s)) : null;
  const chosen = state.selected === null ? null : new Uint8Array(n);
  if (chosen) state.selected.forEach((i) => { chosen[i] = 1; });
  const { colours, shapes } = marks, heights = [[], [], []];
  for (const i of shuffled) {
    if (!shown(i)) continue;
    const other = column && state.highlighted !== null && state.highlighted !== column.codes[i];
    const faint = other || (chosen !== null && !chosen[i]);
    const isGrey = grey(i); // below, where they hide nothing
    const top = column && state.highlighted === column.codes[i] || (chosen && chosen[i]);
    heights[top ? 2 : isGrey ? 0 : 1].push(i);
    colours.set(colour(i), 4 * i);
    colours[4 * i + 3] = faint ? 30 : 222;
    const projected = i >= data.n_training;
    shapes[i] = projected ? 9 : symbols === null ? 0 : symbols[column.codes[i]];
  }
  marks.order = Uint32Array.from(heights.flat());
  Object.assign(marks.changed, { colours: true, shapes: true, order: true });
  index = null;
}

let waitingFrame = null;
let settled = 0;
// Draw at the next frame; names follow once the map stands still.
function redraw() {
  if (waitingFrame === null) {
    waitingFrame = new Promise((done) => requestAnimationFrame(() => {
      waitingFrame = null;
      drawFrame();
      done();
    }));
  }
  clearTimeout(settled);
  settled = setTimeout(() => { placeNames(); drawFront(); }, 90);
  return waitingFrame;
}

function draw() {
  paint();
  return redraw();
}

function pointSize() {
  return SIZE * Math.max(0.8, Math.min(2.6, (view.sx / view.whole) ** 0.3));
}

function drawFrame() {
  drawBack();
  const line = n > 5000 ? 0 : 0.5;
  marks.draw(view, pointSize(), line, channels(ground("--ground")));
  drawFront();
}

function ticks(low, high, room) { // at round numbers
  const rough = (high - low) * 70 / room, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((k) => k * power).find((size) => size >= rough);
  const found = [];
  for (let k = Math.ceil(low / step); k * step <= high; k++) found.push(k * step);
  return found.map((value) => [value, Number(value.toPrecision(6)).toString()]);
}

function drawBack() {
  back.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  back.clearRect(0, 0, view.width, view.height);
  const [x0, y1] = toPlace(0, 0), [x1, y0] = toPlace(view.width, view.height);
  back.strokeStyle = ground("--grid");
  back.lineWidth = 1;
  back.beginPath();
  ticks(x0, x1, view.width).forEach(([x]) => {
    const at = Math.round(toPixel(x, 0)[0]) + 0.5;
    back.moveTo(at, 0);
    back.lineTo(at, view.height);
  });
  ticks(y0, y1, view.height).forEach(([y]) => {
    const at = Math.round(toPixel(0, y)[1]) + 0.5;
    back.moveTo(0, at);
    back.lineTo(view.width, at);
  });
  back.stroke();
  if (state.landscape && landscapePossible()) drawLandscape();
}

function drawFront() {
  front.setTransform(view.ratio, 0, 0, view.ratio, 0, 0);
  front.clearRect(0, 0, view.width, view.height);
  drawTicks();
  drawNeighbours();
  drawNames();
  drawMark();
  drawLasso();
}

function haloed(text, x, y, colour) {
  front.lineJoin = "round";
  front.lineWidth = 3.5;
  front.strokeStyle = ground("--ground");
  front.strokeText(text, x, y);
  front.fillStyle = colour;
  front.fillText(text, x, y);
}

const axisName = (axis) => (axis < 0 ? "loss" : `fembed ${axis + 1}`);

function drawTicks() {
  const [x0, y1] = toPlace(0, 0), [x1, y0] = toPlace(view.width, view.height);
  const soft = ground("--soft");
  front.font = "11px system-ui, sans-serif";
  front.textBaseline = "alphabetic";
  front.textAlign = "center";
  const name = axisName(state.axes[0]), right = view.width - front.measureText(name).width - 16;
  ticks(x0, x1, view.width).forEach(([x, text]) => {
    const at = toPixel(x, 0)[0];
    if (at > 50 && at < right - 20) haloed(text, at, view.height - 6, soft);
  });
  front.textAlign = "right";
  haloed(name, view.width - 8, view.height - 6, soft);
  front.textAlign = "left";
  ticks(y0, y1, view.height).forEach(([y, text]) => {
    const at = toPixel(0, y)[1];
    if (at > 34 && at < view.height - 26) haloed(text, 6, at + 4, soft);
  });
  const up = axisName(state.axes[1]), below = toolsBox()[0] < front.measureText(up).width + 12;
  haloed(up, 6, below ? toolsBox()[3] + 14 : 16, soft);
}

function ring(x, y, radius, width) {
  front.beginPath();
  front.arc(x, y, radius, 0, 2 * Math.PI);
  front.lineWidth = width;
  front.stroke();
}

function drawNeighbours() {
  const at = (i) => toPixel(marks.places[2 * i], marks.places[2 * i + 1]);
  const radius = pointSize() / 2 + 3;
  front.strokeStyle = ground("--ink");
  if (state.current !== null) {
    const [x, y] = at(state.current);
    front.lineWidth = 1;
    front.globalAlpha = 0.6;
    front.beginPath();
    state.neighbours.forEach((i) => { front.moveTo(x, y); front.lineTo(...at(i)); });
    front.stroke();
    front.globalAlpha = 1;
    ring(x, y, radius + 2, 2.2);
  }
  if (state.hovered !== null) ring(...at(state.hovered), radius, 1.4);
}

function drawMark() {
  if (state.mark === null) return;
  const [x, y] = toPixel(...state.mark);
  front.strokeStyle = "#e0007a";
  front.lineWidth = 2.5;
  front.beginPath();
  front.moveTo(x - 10, y);
  front.lineTo(x + 10, y);
  front.moveTo(x, y - 10);
  front.lineTo(x, y + 10);
  front.stroke();
}

function drawLasso() {
  if (lasso === null || lasso.length < 2) return;
  front.beginPath();
  lasso.forEach(([x, y]) => front.lineTo(x, y));
  front.closePath();
  front.fillStyle = "rgba(76, 134, 168, 0.14)";
  front.fill();
  front.strokeStyle = ground("--accent");
  front.lineWidth = 1.5;
  front.setLineDash([5, 4]);
  front.stroke();
  front.setLineDash([]);
}

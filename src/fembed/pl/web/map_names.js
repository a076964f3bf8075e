// The interactive map: names in the map. Categories are named where they form clusters in the part
// that is seen, the largest first, as long as no name lies on another; near by, samples are.
"use strict";

const CELLS = 24; // along a side of the window, to find where a category is densest
const PURE = 0.36; // a name marks a cluster if so much of what lies around it is the category's
const MAX_SAMPLES_NAMED = 40;
let placed = []; // names with their places in the map

function inView() {
  const found = [];
  for (const i of marks.order) {
    const [x, y] = toPixel(marks.places[2 * i], marks.places[2 * i + 1]);
    if (x >= 0 && y >= 0 && x <= view.width && y <= view.height) found.push([i, x, y]);
  }
  return found;
}

function cutText(text, room) {
  if (front.measureText(text).width <= room) return text;
  let [low, high] = [1, text.length];
  const cut = (k) => `${text.slice(0, Math.ceil(0.6 * k))}…${text.slice(text.length - Math.floor(0.4 * k))}`;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (front.measureText(cut(middle)).width <= room) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}

// Where each category is densest in the window, if it marks a cluster there: [code, count, x, y].
function clusters(samples, codes, nCodes) {
  const side = CELLS + 2, everyone = new Float32Array(side * side), of = new Map();
  const cell = (x, y) => (1 + Math.min(CELLS - 1, Math.floor(x / view.width * CELLS)))
    + side * (1 + Math.min(CELLS - 1, Math.floor(y / view.height * CELLS)));
  samples.forEach((sample) => {
    const code = codes[sample[0]], at = cell(sample[1], sample[2]);
    everyone[at] += 1;
    if (!of.has(code)) of.set(code, { members: [], counts: new Map() });
    const one = of.get(code);
    one.members.push([sample[1], sample[2], at]);
    one.counts.set(at, (one.counts.get(at) ?? 0) + 1);
  });
  const around = [-1 - side, -side, 1 - side, -1, 0, 1, side - 1, side, side + 1];
  const found = [];
  of.forEach(({ members, counts }, code) => {
    let best = 0, most = 0;
    counts.forEach((_, at) => {
      const sum = around.reduce((total, by) => total + (counts.get(at + by) ?? 0), 0);
      if (sum > most) { most = sum; best = at; }
    });
    const total = around.reduce((sum, by) => sum + everyone[best + by], 0);
    if (most < PURE * total || most < 0.2 * members.length) return;
    const near = members.filter(([, , at]) => around.includes(at - best));
    const middle = [0, 1].map((k) => near.map((m) => m[k]).sort((a, b) => a - b)[near.length >> 1]);
    found.push([code, members.length, ...middle]);
  });
  return found.sort((a, b) => b[1] - a[1]);
}

function free(boxes, box) {
  if (box[0] < 4 || box[1] < 4 || box[2] > view.width - 4 || box[3] > view.height - 20) return false;
  return boxes.every((b) => box[2] < b[0] || box[0] > b[2] || box[3] < b[1] || box[1] > b[3]);
}

function placeNames() {
  placed = [];
  if (!state.names) return;
  const samples = inView(), boxes = [toolsBox()];
  const put = (text, x, y, size, shifts) => {
    front.font = `${size > 11 ? "600 " : ""}${size}px system-ui, sans-serif`;
    const short = cutText(text, Math.min(220, 0.4 * view.width));
    const half = front.measureText(short).width / 2 + 3, high = 0.62 * size + 2;
    for (const [right, down] of shifts) {
      const [left, top] = [x + right * (half + 5), y + down * (high + 5)];
      const box = [left - half, top - high, left + half, top + high];
      if (!free(boxes, box)) continue;
      boxes.push(box);
      const [atX, atY] = toPlace(x, y);
      placed.push({ text: short, x: atX, y: atY, right: left - x, down: top - y, size });
      return;
    }
  };
  if (state.colour.kind === "label") {
    const column = labels[state.colour.column];
    clusters(samples, column.codes, column.categories.length).forEach(([code, count, x, y]) => {
      if (column.categories[code] === "NA") return;
      const around = [[0, -1], [0, 1], [1, 0], [-1, 0]]; // a name would hide a few points
      put(column.shown[code], x, y, 12.5, count < 6 ? around : [[0, 0], ...around]);
    });
  }
  if (samples.length <= MAX_SAMPLES_NAMED && view.sx > 2 * view.whole) {
    const beside = [[1, 0], [-1, 0], [0, -1], [0, 1]];
    samples.forEach(([i, x, y]) => put(data.names[i], x, y, 10.5, beside));
  }
}

function toolsBox() { // the buttons lie over the map
  const map = plot.getBoundingClientRect(), box = find(".tools").getBoundingClientRect();
  return [box.left - map.left - 4, box.top - map.top, box.right - map.left + 4, box.bottom - map.top + 4];
}

function drawNames() {
  front.textAlign = "center";
  front.textBaseline = "middle";
  const ink = ground("--ink");
  placed.forEach(({ text, x, y, right, down, size }) => {
    const [left, top] = toPixel(x, y);
    front.font = `${size > 11 ? "600 " : ""}${size}px system-ui, sans-serif`;
    haloed(text, left + right, top + down, ink);
  });
  front.textBaseline = "alphabetic";
}

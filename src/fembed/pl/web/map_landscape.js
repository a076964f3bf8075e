// The interactive map: a gene's decoded expression between the samples.
"use strict";

const SIDE = 150; // cells along a side of the grid
let landscape = null; // the picture that was made last, and of what

function landscapePossible() {
  return d === 2 && state.colour.kind === "gene";
}

function landscapeAxes() {
  const box = view.box, margin = 0.06 * Math.max(box[2] - box[0], box[3] - box[1], 1e-9);
  return [0, 1].map((axis) => {
    const low = box[axis] - margin, high = box[axis + 2] + margin;
    return Array.from({ length: SIDE }, (_, k) => low + k * (high - low) / (SIDE - 1));
  });
}

function landscapePicture() {
  const key = `${state.colour.gene} ${state.source}`;
  if (landscape !== null && landscape.key === key) return landscape;
  const box = landscapeAxes(), grid = new Float32Array(SIDE * SIDE * 2);
  for (let r = 0; r < SIDE; r++) {
    for (let c = 0; c < SIDE; c++) grid.set([box[0][c], box[1][r]], 2 * (r * SIDE + c));
  }
  const flat = decoder.gene(state.colour.gene, grid);
  const near = nearSamples(box);
  const [low, high] = limits(numbers());
  const picture = document.createElement("canvas");
  picture.width = picture.height = SIDE;
  const pen = picture.getContext("2d"), image = pen.createImageData(SIDE, SIDE);
  flat.forEach((value, k) => {
    const row = SIDE - 1 - Math.floor(k / SIDE), at = 4 * (row * SIDE + k % SIDE);
    const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
    image.data.set([...SHADES[Math.round(255 * share)], near[k] ? 150 : 0], at);
  });
  pen.putImageData(image, 0, 0);
  landscape = { key, picture, box };
  return landscape;
}

function drawLandscape() {
  const { picture, box } = landscapePicture();
  const half = box.map((axis) => (axis[1] - axis[0]) / 2);
  const [x0, y0] = toPixel(box[0][0] - half[0], box[1][SIDE - 1] + half[1]);
  const [x1, y1] = toPixel(box[0][SIDE - 1] + half[0], box[1][0] - half[1]);
  back.imageSmoothingEnabled = true;
  back.drawImage(picture, x0, y0, x1 - x0, y1 - y0);
}

// Which cells of the grid have a sample near by: elsewhere the decoder was never trained.
function nearSamples(box) {
  const near = new Uint8Array(SIDE * SIDE);
  const steps = box.map((axis) => axis[1] - axis[0]);
  const reach = 0.05 * Math.max(...steps) * SIDE;
  const spans = steps.map((step) => Math.ceil(reach / step));
  const seen = new Uint8Array(SIDE * SIDE); // one sample in a cell is enough
  for (let i = 0; i < n; i++) {
    const x = points[2 * i], y = points[2 * i + 1];
    const c0 = Math.round((x - box[0][0]) / steps[0]), r0 = Math.round((y - box[1][0]) / steps[1]);
    if (seen[r0 * SIDE + c0]) continue;
    seen[r0 * SIDE + c0] = 1;
    for (let r = Math.max(0, r0 - spans[1]); r <= Math.min(SIDE - 1, r0 + spans[1]); r++) {
      for (let c = Math.max(0, c0 - spans[0]); c <= Math.min(SIDE - 1, c0 + spans[0]); c++) {
        if (Math.hypot((c - c0) * steps[0], (r - r0) * steps[1]) <= reach) near[r * SIDE + c] = 1;
      }
    }
  }
  return near;
}

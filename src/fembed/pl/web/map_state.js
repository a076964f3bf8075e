// The interactive map: what the page carries, what is chosen in it, and the values of samples.
// Names, labels and genes are written as text (textContent) by these scripts and never handed to
// plotly, which would read some HTML in them.
"use strict";

const root = document.getElementById("fembed-map");
const data = JSON.parse(document.getElementById("fembed-map-data").textContent);
const find = (selector) => root.querySelector(selector);
const plot = find(".plot");
const tip = find(".tip");

const decoder = new FembedDecoder(data.decoder);
const d = decoder.nComponents;
const n = data.names.length;
const points = fembedArray.float32(data.points);
const loss = fembedArray.float32(data.loss);
const outlier = fembedArray.float32(data.outlier);
const mean = fembedArray.float32(data.mean);
const labels = data.labels.map((column) => ({
  ...column,
  codes: fembedArray[column.wide ? "int32" : "uint16"](column.codes),
}));
const measured = unpackMeasured(data.measured);
const geneRow = new Map(data.genes.map((name, row) => [name.toLowerCase(), row]));

const RAMP = [
  [68, 1, 84], [71, 39, 119], [62, 73, 137], [48, 103, 141], [37, 130, 142],
  [30, 157, 136], [53, 183, 120], [109, 206, 88], [182, 221, 43], [253, 231, 36],
]; // viridis
const MISSING = "#bdbdbd", DIMMED = "#e3e5e8", PLAIN = "#4c6a92";
const SHADES = Array.from({ length: 256 }, (_, k) => shade(k / 255));
const SIZE = n > 20000 ? 3 : n > 5000 ? 4 : n > 1500 ? 5 : 6.5;
const TRACE = hasWebGL() ? "scattergl" : "scatter";
const TOP = 12;

const state = {
  colour: labels.length ? { kind: "label", column: 0 } : { kind: "loss" },
  hidden: labels.map(() => new Set()),
  highlighted: null,
  kinds: { training: true, projected: true },
  source: "decoded",
  landscape: false,
  axes: [0, d > 1 ? 1 : -1],
  selected: null, // sample numbers, or null
  mark: null, // where the decoded point lies, in the plot
};
const cache = new Map(); // decoded genes
const GLYPHS = {
  "circle": "●", "triangle-up": "▲", "square": "■", "diamond": "◆", "triangle-down": "▼",
  "cross": "✚", "x": "✖",
};
const hasProjected = n > data.n_training;

function hasWebGL() {
  try {
    const canvas = document.createElement("canvas");
    return !!(canvas.getContext("webgl") || canvas.getContext("experimental-webgl"));
  } catch (error) {
    return false;
  }
}

function shade(share) {
  const at = Math.max(0, Math.min(1, share)) * (RAMP.length - 1);
  const k = Math.min(RAMP.length - 2, Math.floor(at));
  const mixed = RAMP[k].map((c, i) => Math.round(c + (RAMP[k + 1][i] - c) * (at - k)));
  return `rgb(${mixed.join(",")})`;
}

function unpackMeasured(packed) {
  if (packed === null) return null;
  const genes = fembedArray.int32(packed.genes);
  const at = new Map();
  genes.forEach((gene, k) => at.set(gene, k));
  return {
    at,
    codes: fembedArray.uint16(packed.codes),
    low: fembedArray.float32(packed.low),
    step: fembedArray.float32(packed.step),
  };
}

function decodedGene(gene) {
  if (!cache.has(gene)) {
    if (cache.size > 40) cache.clear();
    cache.set(gene, decoder.gene(gene, points));
  }
  return cache.get(gene);
}

function measuredGene(gene) {
  const k = measured.at.get(gene);
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) {
    const code = measured.codes[k * n + i];
    values[i] = code === 65535 ? NaN : measured.low[k] + code * measured.step[k];
  }
  return values;
}

function hasMeasured(gene) {
  return measured !== null && measured.at.has(gene);
}

// The numbers that samples are coloured by, or null where a label colours them.
function numbers() {
  if (state.colour.kind === "loss") return loss;
  if (state.colour.kind === "outlier") return outlier;
  if (state.colour.kind !== "gene") return null;
  const gene = state.colour.gene;
  return state.source === "measured" && hasMeasured(gene)
    ? measuredGene(gene)
    : decodedGene(gene);
}

// Limits that a few extreme samples do not stretch: the 1st and 99th percentile.
function limits(values) {
  const finite = Array.from(values).filter(Number.isFinite).sort((a, b) => a - b);
  if (!finite.length) return [0, 1];
  const low = finite[Math.floor(0.01 * (finite.length - 1))];
  const high = finite[Math.ceil(0.99 * (finite.length - 1))];
  return high > low ? [low, high] : [low - 0.5, low + 0.5];
}

function coordinate(sample, axis) {
  return axis < 0 ? loss[sample] : points[sample * d + axis];
}

function kindOf(sample) {
  return sample < data.n_training ? "training" : "projected";
}

function format(value) {
  if (!Number.isFinite(value)) return "missing";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

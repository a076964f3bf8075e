// The interactive map: what the page carries, what is chosen in it, and the values of samples.
// Names, labels and genes are written as text (textContent, fillText), never as HTML.
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
const SHADES = Array.from({ length: 256 }, (_, k) => shade(k / 255));
const SIZE = n > 50000 ? 3 : n > 20000 ? 3.6 : n > 5000 ? 4.6 : n > 1500 ? 6 : 8; // pixels
const TOP = 12;
const SYMBOLS = ["circle", "triangle-up", "square", "diamond", "triangle-down", "cross", "x"];
const GLYPHS = ["●", "▲", "■", "◆", "▼", "✚", "✖"];

const state = {
  colour: labels.length ? { kind: "label", column: 0 } : { kind: "loss" },
  hidden: labels.map(() => new Set()),
  highlighted: null, // a category that the pointer is on, in the legend
  kinds: { training: true, projected: true },
  source: "decoded",
  landscape: false,
  axes: [0, d > 1 ? 1 : -1],
  selected: null, // sample numbers, or null
  current: null, // the sample that was clicked or searched
  neighbours: [], // of that sample
  hovered: null,
  mark: null, // where the decoded point lies, in the map
  tool: "move",
  names: true,
  dark: false,
};
const cache = new Map(); // decoded genes
const hasProjected = n > data.n_training;

function shade(share) {
  const at = Math.max(0, Math.min(1, share)) * (RAMP.length - 1);
  const k = Math.min(RAMP.length - 2, Math.floor(at));
  return RAMP[k].map((c, i) => Math.round(c + (RAMP[k + 1][i] - c) * (at - k)));
}

function channels(colour) { // of #rrggbb
  return [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
}

const css = (rgb) => `rgb(${rgb.join(",")})`;

// A colour as it is drawn: on a dark ground, those that are nearly black are made lighter.
function onGround(rgb) {
  const light = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  if (!state.dark || light >= 70) return rgb;
  const share = (70 - light) / (255 - light);
  return rgb.map((c) => Math.round(c + share * (255 - c)));
}

function unpackMeasured(packed) {
  if (packed === null) return null;
  const genes = fembedArray.int32(packed.genes);
  const at = new Map();
  genes.forEach((gene, k) => at.set(gene, k));
  return {
    at,
    genes,
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

function measuredValue(k, sample) { // k: the gene's row among those that are carried
  const code = measured.codes[k * n + sample];
  return code === 65535 ? NaN : measured.low[k] + code * measured.step[k];
}

function measuredGene(gene) {
  const k = measured.at.get(gene);
  return Float32Array.from({ length: n }, (_, i) => measuredValue(k, i));
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
  const finite = values.filter(Number.isFinite).sort(); // typed arrays sort by value
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

function shown(sample) {
  if (!state.kinds[kindOf(sample)]) return false;
  if (state.colour.kind !== "label") return true;
  const k = state.colour.column;
  return !state.hidden[k].has(labels[k].codes[sample]);
}

function format(value) {
  if (!Number.isFinite(value)) return "missing";
  return Math.abs(value) >= 1000 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
}

function counted(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

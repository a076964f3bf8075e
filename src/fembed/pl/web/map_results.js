// The interactive map: a sample and its neighbours, decoded profiles, and selections compared.
"use strict";

const NEIGHBOURS = 10;
const PAIRS = 600_000; // values that a comparison decodes at most

function nearest(x, y) { // of all samples, in the plane that is shown
  let best = 0, least = Infinity;
  for (let i = 0; i < n; i++) {
    const dx = marks.places[2 * i] - x;
    const dy = state.axes[1] < 0 ? 0 : marks.places[2 * i + 1] - y;
    if (dx * dx + dy * dy < least) { least = dx * dx + dy * dy; best = i; }
  }
  return best;
}

// The samples nearest to one in all dimensions: [sample, distance], the nearest first.
function neighboursOf(sample) {
  const found = [];
  for (let i = 0; i < n; i++) {
    if (i === sample) continue;
    let sum = 0;
    for (let k = 0; k < d; k++) sum += (points[i * d + k] - points[sample * d + k]) ** 2;
    if (found.length < NEIGHBOURS || sum < found[found.length - 1][1]) {
      found.push([i, sum]);
      found.sort((a, b) => a[1] - b[1]);
      if (found.length > NEIGHBOURS) found.pop();
    }
  }
  return found.map(([i, sum]) => [i, Math.sqrt(sum)]);
}

function markSample(sample) {
  state.mark = state.axes.map((axis) => coordinate(sample, axis));
}

function chooseSample(sample) {
  const near = neighboursOf(sample);
  state.current = sample;
  state.neighbours = near.map(([i]) => i);
  markSample(sample);
  find(".sample-section").hidden = false;
  find(".sample-name").textContent = data.names[sample];
  find(".sample-facts").replaceChildren(
    element("p", { className: "note", textContent: `A ${kindOf(sample)} sample.` }),
    factList(sample));
  const label = state.colour.kind === "label" ? state.colour.column : 0;
  find(".neighbours").replaceChildren(...near.map(([i, away]) => {
    const column = labels[label];
    const button = element("button", { type: "button", title: `Go to ${data.names[i]}` },
      element("span", { className: "neighbour-name", textContent: data.names[i] }),
      element("span", { className: "neighbour-label",
        textContent: column === undefined ? "" : column.shown[column.codes[i]] }),
      element("span", { className: "gene-value", textContent: format(away) }));
    button.addEventListener("click", () => { hover(null); chooseSample(i); });
    return element("li", {}, button);
  }));
  const point = points.subarray(sample * d, (sample + 1) * d);
  showProfile(point, `At the sample ${data.names[sample]}.`, ".sample-section");
}

function chooseNothing() {
  state.current = state.mark = null;
  state.neighbours = [];
  find(".sample-section").hidden = true;
  find(".sample-search").value = "";
  find(".profile").replaceChildren();
  find(".profile-note").textContent = "Click in the map to decode the expression there.";
  redraw();
}

// In one or two dimensions a place of the map is a point of the embedding. In more it leaves
// the other coordinates open, so the nearest sample's are taken.
function decodePlace(x, y) {
  const near = nearest(x, y);
  if (d > 2) {
    chooseSample(near);
    return;
  }
  chooseNothing();
  state.mark = [x, y];
  const point = Float32Array.from(d === 2 ? [x, y] : [x]);
  const where = Array.from(point, format).join(", ");
  showProfile(point, `At (${where}); the nearest sample is ${data.names[near]}.`, ".profile-section");
}

function showProfile(point, where, section) {
  const values = decoder.profile(point);
  const order = Array.from(values.keys())
    .sort((a, b) => (values[b] - mean[b]) - (values[a] - mean[a]));
  const few = Math.min(TOP, Math.floor(order.length / 2));
  const groups = [
    ["Highest above the mean", order.slice(0, few)],
    ["Furthest below the mean", order.slice(order.length - few).reverse()],
  ];
  find(".profile-note").textContent =
    `${where} Differences from the mean of the training samples' decoded profiles, ${data.scale}.`;
  find(".profile").replaceChildren(...geneLists(groups, (j) => values[j] - mean[j]));
  reveal(section);
  redraw();
}

// Titles, each with a list of genes and bars of their differences.
function geneLists(groups, difference, more = () => null) {
  const widest = Math.max(1e-9, ...groups.flatMap(([, genes]) =>
    genes.map((j) => Math.abs(difference(j)))));
  return groups.flatMap(([title, genes]) => [
    element("h3", { textContent: title }),
    element("ol", { className: "genes" },
      ...genes.map((j) => geneRowOf(j, difference(j), widest, more(j)))),
  ]);
}

function signed(value, digits = 2) {
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;
}

function geneRowOf(gene, difference, widest, more) {
  const bar = element("span", { className: difference < 0 ? "bar below" : "bar above" });
  bar.style.width = `${(100 * Math.abs(difference) / widest).toFixed(1)}%`;
  const button = element("button", { type: "button", title: `${data.genes[gene]}: colour the map by this gene` },
    element("span", { className: "gene-name", textContent: data.genes[gene] }),
    element("span", { className: "gene-bar" }, bar),
    element("span", { className: "gene-value", textContent: signed(difference) }));
  if (more !== null) {
    button.append(element("span", { className: "gene-value effect", textContent: more }));
  }
  button.addEventListener("click", () => setColour({ kind: "gene", gene }));
  return element("li", {}, button);
}

function reveal(section) {
  const side = find(".side");
  side.scrollTo({ top: find(section).offsetTop - side.offsetTop - 8, behavior: "smooth" });
}

function setSelection(samples) {
  state.selected = samples === null || !samples.length ? null : samples;
  const some = state.selected !== null;
  comparison += 1; // one that is still being computed ends
  compared = null;
  const box = find(".selected-names");
  box.hidden = !some;
  box.value = some ? samples.map((i) => data.names[i]).join("\n") : "";
  for (const name of [".copy", ".clear", ".save"]) find(name).disabled = !some;
  find(".compare").hidden = !some || samples.length < 2 || n - samples.length < 2;
  find(".compared").replaceChildren();
  find(".copy").textContent = "copy names";
  if (some) reveal(".selection-section");
  find(".selection-note").textContent = some
    ? summary(samples)
    : "Draw around samples with the lasso, or with the shift key pressed, to list and compare them.";
  return draw();
}

function summary(samples) {
  const count = counted(samples.length, "sample");
  if (state.colour.kind !== "label") return `${count}.`;
  const column = labels[state.colour.column], counts = new Map();
  samples.forEach((i) => {
    const name = column.shown[column.codes[i]];
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  const ranked = [...counts].sort((a, b) => b[1] - a[1]);
  const first = ranked.slice(0, 4).map(([name, k]) => `${name} ${k}`).join(", ");
  return `${count}: ${first}${ranked.length > 4 ? ", …" : ""}.`;
}

async function copyNames() {
  const box = find(".selected-names");
  try {
    await navigator.clipboard.writeText(box.value);
  } catch (error) { // not allowed for this page: the older way
    box.select();
    document.execCommand("copy");
  }
  find(".copy").textContent = "copied";
}

const field = (value) => `"${String(value).replaceAll('"', '""')}"`;

function save(blob, name) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function saveTable(rows, name) {
  const text = rows.map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
  save(new Blob([text], { type: "text/csv;charset=utf-8" }), name);
}

function saveSelection() {
  const header = ["sample", "kind", ...labels.map((column) => column.name),
    ...Array.from({ length: d }, (_, k) => `fembed ${k + 1}`), "loss", "outlier score"];
  const rows = state.selected.map((i) => [
    data.names[i], kindOf(i), ...labels.map((column) => column.categories[column.codes[i]]),
    ...points.subarray(i * d, (i + 1) * d), loss[i], outlier[i],
  ]);
  saveTable([header, ...rows], "selection.csv");
}

let comparison = 0; // the number of the comparison that is wanted
let compared = null; // its genes and numbers

function evenly(samples, most) {
  if (samples.length <= most) return samples;
  return Array.from({ length: most }, (_, k) => samples[Math.floor(k * samples.length / most)]);
}

const breath = () => new Promise((done) => setTimeout(done)); // the page stays alive

// Number, sum and sum of squares of every gene's values in some samples.
async function moments(samples, source, number) {
  const genes = source === "measured" ? measured.genes.length : data.genes.length;
  const [count, sum, square] = [0, 1, 2].map(() => new Float64Array(genes));
  let before = performance.now();
  for (const i of samples) {
    const values = source === "measured" ? null : decoder.profile(points.subarray(i * d, (i + 1) * d));
    for (let j = 0; j < genes; j++) {
      const value = values === null ? measuredValue(j, i) : values[j];
      if (Number.isNaN(value)) continue;
      count[j] += 1; sum[j] += value; square[j] += value * value;
    }
    if (performance.now() - before > 40) {
      await breath();
      if (number !== comparison) return null;
      before = performance.now();
    }
  }
  return { count, sum, square };
}

// The selection against all other shown samples: differences of means, and Cohen's d.
async function compareSelection(source) {
  const number = ++comparison, inside = new Set(state.selected);
  const rest = Array.from(marks.order).filter((i) => !inside.has(i)).sort((a, b) => a - b);
  const most = source === "measured" ? n : Math.max(20, Math.floor(PAIRS / data.genes.length / 2));
  const groups = [evenly(state.selected, most), evenly(rest, most)];
  if (rest.length < 2) return;
  find(".compared").replaceChildren(element("p", { className: "note", textContent: "Computing …" }));
  await breath();
  const of = [];
  for (const group of groups) of.push(await moments(group, source, number));
  if (number !== comparison || of.includes(null)) return;
  const genes = source === "measured" ? Array.from(measured.genes) : data.genes.map((_, j) => j);
  const rows = genes.map((gene, j) => {
    const [na, nb] = of.map((m) => m.count[j]), [ma, mb] = of.map((m, k) => m.sum[j] / [na, nb][k]);
    const [sa, sb] = of.map((m, k) => Math.max(0, m.square[j] - [na, nb][k] * [ma, mb][k] ** 2));
    const sd = Math.sqrt((sa + sb) / (na + nb - 2));
    return { gene, difference: ma - mb, effect: (ma - mb) / sd, inside: ma, rest: mb };
  }).filter((row) => Number.isFinite(row.effect)).sort((a, b) => b.effect - a.effect);
  compared = { source, rows };
  showComparison(groups, [state.selected.length, rest.length]);
}

function showComparison([some, others], [nSelected, nRest]) {
  const { rows, source } = compared, of = new Map(rows.map((row) => [row.gene, row]));
  const few = Math.min(TOP, Math.floor(rows.length / 2));
  const lists = [
    ["Higher in the selection", rows.slice(0, few)],
    ["Lower in the selection", rows.slice(rows.length - few).reverse()],
  ].map(([title, list]) => [title, list.map((row) => row.gene)]);
  const part = some.length < nSelected || others.length < nRest
    ? ` Evenly chosen: ${some.length} and ${others.length} of them.` : "";
  const text = `${counted(nSelected, "sample")} against ${nRest.toLocaleString("en")} others, `
    + `${source} expression, ${data.scale}.${part} Bars: difference of the means. `
    + "Last column: effect size d, the difference in pooled standard deviations"
    + `${source === "decoded" ? " of decoded values, which lack the noise of measured ones" : ""}.`;
  const button = element("button", { type: "button", className: "save-genes", textContent: "save all genes (CSV)" });
  button.addEventListener("click", () => saveTable([
    ["gene", "mean of the selection", "mean of the others", "difference", "effect size d"],
    ...compared.rows.map((row) => [data.genes[row.gene], row.inside, row.rest, row.difference, row.effect]),
  ], "comparison.csv"));
  find(".compared").replaceChildren(
    element("p", { className: "note", textContent: text }),
    ...geneLists(lists, (j) => of.get(j).difference, (j) => `d ${signed(of.get(j).effect, 1)}`),
    button);
  reveal(".compare");
}

function wireResults() {
  find(".copy").addEventListener("click", copyNames);
  find(".save").addEventListener("click", saveSelection);
  find(".clear").addEventListener("click", () => setSelection(null));
  find(".compare-measured").hidden = measured === null;
  find(".compare-decoded").addEventListener("click", () => compareSelection("decoded"));
  find(".compare-measured").addEventListener("click", () => compareSelection("measured"));
  find(".sample-close").addEventListener("click", chooseNothing);
}

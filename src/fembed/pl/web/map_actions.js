// The interactive map: hover, click and lasso; and the beginning of it all.
"use strict";

function facts(sample) {
  const rows = labels.map((column) => [column.name, column.shown[column.codes[sample]]]);
  rows.push(["loss", format(loss[sample])]);
  if (kindOf(sample) === "projected") rows.push(["outlier score", format(outlier[sample])]);
  if (state.colour.kind === "gene") {
    rows.push([data.genes[state.colour.gene], format(numbers()[sample])]);
  }
  return rows;
}

function showTip(sample, event) {
  const table = element("dl", {});
  facts(sample).forEach(([name, value]) => {
    table.append(element("dt", { textContent: name }), element("dd", { textContent: value }));
  });
  tip.replaceChildren(
    element("strong", { textContent: data.names[sample] }),
    element("span", { className: "tip-kind", textContent: kindOf(sample) }), table);
  tip.hidden = false;
  const box = tip.parentElement.getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  tip.style.left = `${x + tip.offsetWidth + 24 > box.width ? x - tip.offsetWidth - 12 : x + 14}px`;
  tip.style.top = `${Math.max(0, Math.min(y + 14, box.height - tip.offsetHeight - 4))}px`;
}

let hovered = null;
function wirePlot() {
  plot.on("plotly_hover", (event) => {
    const sample = event.points[0].customdata;
    if (typeof sample !== "number") return;
    hovered = sample;
    showTip(sample, event.event);
  });
  plot.on("plotly_unhover", () => { hovered = null; tip.hidden = true; });
  plot.on("plotly_selected", (event) => {
    if (!event || !event.points) return;
    setSelection(event.points.map((p) => p.customdata).filter((s) => typeof s === "number"));
  });
  plot.on("plotly_deselect", () => setSelection(null));
  let down = null;
  plot.addEventListener("mousedown", (event) => {
    const area = plot.querySelector(".nsewdrag");
    down = area && event.button === 0 && inside(area, event) && !event.target.closest(".modebar")
      ? { x: event.clientX, y: event.clientY, hovered } : null;
  }, true);
  window.addEventListener("mousemove", (event) => { // a drag is no click, wherever it ends
    if (down && Math.hypot(event.clientX - down.x, event.clientY - down.y) > 4) down = null;
  }, true);
  window.addEventListener("mouseup", (event) => {
    const begun = down;
    down = null;
    if (begun === null) return;
    if (begun.hovered !== null) decodeSample(begun.hovered);
    else decodePlace(event);
  }, true);
}

function inside(area, event) {
  const box = area.getBoundingClientRect();
  return event.clientX >= box.left && event.clientX <= box.right
    && event.clientY >= box.top && event.clientY <= box.bottom;
}

function placeOf(event) {
  const box = plot.querySelector(".nsewdrag").getBoundingClientRect();
  const [x0, x1] = plot.layout.xaxis.range, [y0, y1] = plot.layout.yaxis.range;
  return [
    x0 + (x1 - x0) * (event.clientX - box.left) / box.width,
    y1 - (y1 - y0) * (event.clientY - box.top) / box.height,
  ];
}

function nearest(x, y) {
  let best = 0, least = Infinity;
  for (let i = 0; i < n; i++) {
    const dx = coordinate(i, state.axes[0]) - x;
    const dy = state.axes[1] < 0 ? 0 : coordinate(i, state.axes[1]) - y;
    if (dx * dx + dy * dy < least) { least = dx * dx + dy * dy; best = i; }
  }
  return best;
}

function decodeSample(sample) {
  const point = points.subarray(sample * d, (sample + 1) * d);
  state.mark = state.axes.map((axis) => coordinate(sample, axis));
  showProfile(point, `At the sample ${data.names[sample]}.`);
}

// In one or two dimensions a place of the map is a point of the embedding. In more it leaves
// the other coordinates open, so the nearest sample's are taken.
function decodePlace(event) {
  const [x, y] = placeOf(event);
  const near = nearest(x, y);
  if (d > 2) {
    decodeSample(near);
    return;
  }
  state.mark = [x, y];
  const point = Float32Array.from(d === 2 ? [x, y] : [x]);
  const where = Array.from(point, format).join(", ");
  showProfile(point, `At (${where}); the nearest sample is ${data.names[near]}.`);
}

function showProfile(point, where) {
  const values = decoder.profile(point);
  const order = Array.from(values.keys())
    .sort((a, b) => (values[b] - mean[b]) - (values[a] - mean[a]));
  const few = Math.min(TOP, Math.floor(order.length / 2));
  const groups = [
    ["Highest above the mean", order.slice(0, few)],
    ["Furthest below the mean", order.slice(order.length - few).reverse()],
  ];
  const widest = Math.max(1e-9, ...groups.flatMap(([, genes]) =>
    genes.map((j) => Math.abs(values[j] - mean[j]))));
  find(".profile-note").textContent =
    `${where} Differences from the mean of the training samples' decoded profiles, ${data.scale}.`;
  find(".profile").replaceChildren(...groups.flatMap(([title, genes]) => [
    element("h3", { textContent: title }),
    element("ol", { className: "genes" }, ...genes.map((j) => geneRowOf(j, values[j], widest))),
  ]));
  reveal(".profile-section");
  draw();
}

function reveal(section) {
  const side = find(".side");
  side.scrollTo({ top: find(section).offsetTop - side.offsetTop - 8, behavior: "smooth" });
}

function geneRowOf(gene, value, widest) {
  const difference = value - mean[gene];
  const bar = element("span", { className: difference < 0 ? "bar below" : "bar above" });
  bar.style.width = `${(100 * Math.abs(difference) / widest).toFixed(1)}%`;
  const button = element("button", { type: "button", title: `${data.genes[gene]}: colour the map by this gene` },
    element("span", { className: "gene-name", textContent: data.genes[gene] }),
    element("span", { className: "gene-bar" }, bar),
    element("span", { className: "gene-value",
      textContent: `${difference < 0 ? "−" : "+"}${Math.abs(difference).toFixed(2)}` }));
  button.addEventListener("click", () => setColour({ kind: "gene", gene }));
  return element("li", {}, button);
}

function setSelection(samples) {
  state.selected = samples === null || !samples.length ? null : samples;
  const some = state.selected !== null;
  const box = find(".selected-names");
  box.hidden = !some;
  box.value = some ? samples.map((i) => data.names[i]).join("\n") : "";
  find(".copy").disabled = find(".clear").disabled = !some;
  find(".copy").textContent = "copy names";
  if (some) reveal(".selection-section");
  find(".selection-note").textContent = some
    ? summary(samples)
    : "Draw around samples with the lasso to list them.";
}

function summary(samples) {
  const count = `${samples.length.toLocaleString("en")} sample${samples.length === 1 ? "" : "s"}`;
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

function wirePanel() {
  find(".all").addEventListener("click", () => {
    state.hidden[state.colour.column].clear();
    refreshLegend();
    draw();
  });
  find(".none").addEventListener("click", () => {
    labels[state.colour.column].categories.forEach((_, code) =>
      state.hidden[state.colour.column].add(code));
    refreshLegend();
    draw();
  });
  find(".copy").addEventListener("click", copyNames);
  find(".clear").addEventListener("click", () => { setSelection(null); draw(); });
}

fillMenus();
showKinds();
showGeneOptions();
showLegend();
wireSearch();
wirePanel();
draw().then(wirePlot).then(() => { root.dataset.ready = "yes"; });
window.fembedMap = { decoder, state, data, draw };

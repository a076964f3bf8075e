// The interactive map: from what is chosen to plotly's traces and layout.
"use strict";

function shown(sample) {
  if (!state.kinds[kindOf(sample)]) return false;
  if (state.colour.kind !== "label") return true;
  const k = state.colour.column;
  return !state.hidden[k].has(labels[k].codes[sample]);
}

function painter() {
  if (state.colour.kind === "none") return () => PLAIN;
  if (state.colour.kind === "label") {
    const column = labels[state.colour.column];
    return (sample) => {
      const code = column.codes[sample];
      if (state.highlighted !== null && state.highlighted !== code) return DIMMED;
      return column.colours[code];
    };
  }
  const values = numbers();
  const [low, high] = limits(values);
  return (sample) => {
    const value = values[sample];
    if (!Number.isFinite(value)) return MISSING;
    const share = Math.max(0, Math.min(1, (value - low) / (high - low)));
    return SHADES[Math.round(share * 255)];
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

function trace(kind, paint) {
  let samples = [];
  for (let i = 0; i < n; i++) if (kindOf(i) === kind && shown(i)) samples.push(i);
  const grey = unknown(); // below, where they hide nothing
  samples = [...samples.filter(grey), ...samples.filter((i) => !grey(i))];
  if (state.highlighted !== null && state.colour.kind === "label") {
    const codes = labels[state.colour.column].codes; // the highlighted ones on top
    const top = (i) => codes[i] === state.highlighted;
    samples = [...samples.filter((i) => !top(i)), ...samples.filter(top)];
  }
  const chosen = state.selected === null ? null : new Set(state.selected);
  const projected = kind === "projected";
  const symbols = symbolsOf(samples);
  return {
    type: TRACE,
    mode: "markers",
    name: kind,
    x: samples.map((i) => coordinate(i, state.axes[0])),
    y: samples.map((i) => coordinate(i, state.axes[1])),
    customdata: samples,
    hoverinfo: "none",
    showlegend: false,
    marker: {
      symbol: projected ? "triangle-up" : symbols,
      size: projected ? SIZE * 1.5 : sizesOf(symbols),
      color: samples.map(paint),
      opacity: projected ? 0.95 : 0.85,
      line: { width: projected ? 0.8 : n > 5000 ? 0 : 0.4, color: projected ? "#222" : "#fff" },
    },
    selectedpoints:
      chosen === null ? null : samples.flatMap((i, k) => (chosen.has(i) ? [k] : [])),
    unselected: { marker: { opacity: 0.12 } },
  };
}

// Where no triangle is needed for projected samples, shapes help to tell many labels apart.
function symbolsOf(samples) {
  if (hasProjected || state.colour.kind !== "label") return "circle";
  const column = labels[state.colour.column];
  if (column.symbols.every((symbol) => symbol === "circle")) return "circle";
  return samples.map((i) => column.symbols[column.codes[i]]);
}

function sizesOf(symbols) { // a triangle covers less than a circle of its width
  if (typeof symbols === "string") return SIZE;
  return symbols.map((symbol) => (symbol.startsWith("triangle") ? 1.3 * SIZE : SIZE));
}

function landscapeTrace() {
  const side = 150;
  const box = [0, 1].map((axis) => {
    let low = Infinity, high = -Infinity;
    for (let i = 0; i < n; i++) {
      low = Math.min(low, points[i * d + axis]);
      high = Math.max(high, points[i * d + axis]);
    }
    const margin = 0.06 * (high - low || 1);
    const step = (high - low + 2 * margin) / (side - 1);
    return Array.from({ length: side }, (_, k) => low - margin + k * step);
  });
  const grid = new Float32Array(side * side * 2);
  for (let r = 0; r < side; r++) {
    for (let c = 0; c < side; c++) grid.set([box[0][c], box[1][r]], 2 * (r * side + c));
  }
  const flat = decoder.gene(state.colour.gene, grid);
  const near = nearSamples(box, side);
  const z = box[1].map((_, r) =>
    Array.from(flat.subarray(r * side, (r + 1) * side), (v, c) => (near[r * side + c] ? v : null)));
  const [low, high] = limits(numbers());
  return {
    type: "heatmap", x: box[0], y: box[1], z, zmin: low, zmax: high, zsmooth: false, hoverongaps: false,
    colorscale: RAMP.map((c, k) => [k / (RAMP.length - 1), `rgb(${c.join(",")})`]),
    opacity: 0.55, showscale: false, hoverinfo: "skip",
  };
}

// Which cells of the grid have a sample near by: elsewhere the decoder was never trained.
function nearSamples(box, side) {
  const near = new Uint8Array(side * side);
  const steps = box.map((axis) => axis[1] - axis[0]);
  const reach = 0.05 * Math.max(...steps) * side;
  const spans = steps.map((step) => Math.ceil(reach / step));
  for (let i = 0; i < n; i++) {
    const x = points[2 * i], y = points[2 * i + 1];
    const c0 = Math.round((x - box[0][0]) / steps[0]), r0 = Math.round((y - box[1][0]) / steps[1]);
    for (let r = Math.max(0, r0 - spans[1]); r <= Math.min(side - 1, r0 + spans[1]); r++) {
      for (let c = Math.max(0, c0 - spans[0]); c <= Math.min(side - 1, c0 + spans[0]); c++) {
        if (Math.hypot(box[0][c] - x, box[1][r] - y) <= reach) near[r * side + c] = 1;
      }
    }
  }
  return near;
}

function landscapePossible() {
  return d === 2 && state.colour.kind === "gene";
}

function traces() {
  const paint = painter();
  const list = [];
  if (state.landscape && landscapePossible()) list.push(landscapeTrace());
  list.push(trace("training", paint), trace("projected", paint));
  if (state.mark !== null) {
    list.push({
      type: TRACE, mode: "markers", x: [state.mark[0]], y: [state.mark[1]],
      hoverinfo: "skip", showlegend: false,
      marker: { symbol: "cross-thin-open", size: 20, color: "#d6006c", line: { width: 2.5 } },
    });
  }
  return list;
}

const axisName = (axis) => (axis < 0 ? "loss" : `fembed ${axis + 1}`);

function layout() {
  const axis = (k) => ({
    title: { text: axisName(state.axes[k]), font: { size: 12, color: "#5b6470" } },
    zeroline: false, gridcolor: "#eef0f3", linecolor: "#d5d9de", tickcolor: "#d5d9de",
    tickfont: { size: 11, color: "#7a828c" }, ticks: "outside", ticklen: 4,
  });
  return {
    margin: { l: 52, r: 12, t: 12, b: 44 },
    xaxis: axis(0),
    // Distances in the map mean something, so both axes have one scale.
    yaxis: { ...axis(1), ...(state.axes[1] < 0 ? {} : { scaleanchor: "x" }) },
    hovermode: "closest",
    hoverdistance: 12,
    dragmode: plot.layout ? plot.layout.dragmode : "pan",
    selections: state.selected !== null && plot.layout ? plot.layout.selections : [],
    uirevision: state.axes.join(),
    paper_bgcolor: "#fff",
    plot_bgcolor: "#fff",
    showlegend: false,
    font: { family: "system-ui, sans-serif" },
    modebar: { orientation: "h", bgcolor: "rgba(255,255,255,0.8)" },
  };
}

const CONFIG = {
  scrollZoom: true,
  displaylogo: false,
  displayModeBar: true,
  responsive: true,
  showTips: false,
  modeBarButtons: [
    ["toImage"], ["pan2d", "zoom2d", "lasso2d", "select2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"],
  ], // a list of our own, so that no button can send the figure anywhere
};

function draw() {
  return Plotly.react(plot, traces(), layout(), CONFIG);
}

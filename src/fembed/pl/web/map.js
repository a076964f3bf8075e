// The interactive map. Names, labels and genes are written as text (textContent) by this script
// and never handed to plotly, which would read some HTML in them.
"use strict";

(function () {
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

  // ---- values -------------------------------------------------------------------------------

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

  // ---- drawing ------------------------------------------------------------------------------

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

  function trace(kind, paint) {
    let samples = [];
    for (let i = 0; i < n; i++) if (kindOf(i) === kind && shown(i)) samples.push(i);
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

  // ---- side panel ---------------------------------------------------------------------------

  function element(tag, attributes, ...children) {
    const made = document.createElement(tag);
    Object.assign(made, attributes);
    made.append(...children);
    return made;
  }

  function fillMenus() {
    const menu = find(".colour-by");
    const add = (value, text) => menu.append(element("option", { value, textContent: text }));
    labels.forEach((column, k) => add(`label:${k}`, column.name));
    add("loss", "loss of each sample");
    add("outlier", "outlier score");
    add("none", "nothing");
    menu.value = labels.length ? "label:0" : "loss";
    menu.addEventListener("change", () => {
      const [kind, k] = menu.value.split(":");
      if (kind === "gene") return;
      setColour(kind === "label" ? { kind, column: Number(k) } : { kind });
    });
    if (d > 2) {
      find(".axes").hidden = false;
      [".axis-x", ".axis-y"].forEach((name, side) => {
        const axes = find(name);
        for (let k = 0; k < d; k++) {
          axes.append(element("option", { value: String(k), textContent: String(k + 1) }));
        }
        axes.value = String(state.axes[side]);
        axes.addEventListener("change", () => {
          state.axes[side] = Number(axes.value);
          state.mark = null;
          draw();
        });
      });
    }
  }

  function setColour(colour) {
    state.colour = colour;
    state.highlighted = null;
    const menu = find(".colour-by");
    menu.querySelectorAll("option[value='gene']").forEach((option) => option.remove());
    if (colour.kind === "gene") {
      const name = data.genes[colour.gene];
      menu.append(element("option", { value: "gene", textContent: `gene ${name}` }));
      menu.value = "gene";
      find(".gene-search").value = name;
    } else {
      menu.value = colour.kind === "label" ? `label:${colour.column}` : colour.kind;
      find(".gene-search").value = "";
    }
    showGeneOptions();
    showLegend();
    return draw();
  }

  function showGeneOptions() {
    const isGene = state.colour.kind === "gene";
    find(".gene-options").hidden = !isGene;
    find(".landscape").hidden = !landscapePossible();
    if (!isGene) return;
    const there = hasMeasured(state.colour.gene);
    const [decodedChoice, measuredChoice] = root.querySelectorAll("input[name='fembed-source']");
    measuredChoice.disabled = !there;
    const isMeasured = there && state.source === "measured";
    decodedChoice.checked = !isMeasured;
    measuredChoice.checked = isMeasured;
    const carried = measured === null ? 0 : measured.at.size;
    let note = `${isMeasured ? "Measured" : "Decoded"} expression, ${data.scale}.`;
    if (measured === null) note += " The page carries no measured expression.";
    else if (!there) note += ` Measured values are carried for ${carried} of ${data.genes.length} genes, not for this one.`;
    else if (isMeasured) note += " Grey: not measured.";
    find(".source-note").textContent = note;
  }

  function showKinds() {
    const kinds = find(".kinds");
    kinds.replaceChildren();
    const counts = { training: data.n_training, projected: n - data.n_training };
    const marks = { training: "●", projected: "▲" };
    for (const kind of ["training", "projected"]) {
      if (!counts[kind]) continue;
      const button = element("button", { type: "button", className: "entry kind" },
        element("span", { className: "swatch-mark", textContent: marks[kind] }),
        element("span", { className: "entry-name", textContent: kind }),
        element("span", { className: "count", textContent: counts[kind].toLocaleString("en") }));
      button.setAttribute("aria-pressed", String(state.kinds[kind]));
      button.addEventListener("click", () => {
        state.kinds[kind] = !state.kinds[kind];
        button.setAttribute("aria-pressed", String(state.kinds[kind]));
        draw();
      });
      kinds.append(button);
    }
  }

  function showLegend() {
    const list = find(".legend");
    list.replaceChildren();
    const byLabel = state.colour.kind === "label";
    find(".ramp").hidden = byLabel || state.colour.kind === "none";
    find(".legend-section .legend-buttons").hidden = !byLabel;
    find(".legend-title").textContent = byLabel
      ? labels[state.colour.column].name
      : { loss: "loss", outlier: "outlier score", none: "" }[state.colour.kind]
        ?? data.genes[state.colour.gene];
    if (!byLabel) {
      if (state.colour.kind !== "none") showRamp();
      return;
    }
    const column = labels[state.colour.column];
    const counts = new Array(column.categories.length).fill(0);
    column.codes.forEach((code) => { counts[code] += 1; });
    column.categories.forEach((category, code) => {
      list.append(element("li", {}, legendEntry(column, code, category, counts[code])));
    });
  }

  function legendEntry(column, code, category, count) {
    const hidden = state.hidden[state.colour.column];
    const swatch = element("span", { className: "swatch" });
    swatch.textContent = GLYPHS[hasProjected ? "circle" : column.symbols[code]];
    swatch.style.color = column.colours[code];
    const button = element("button", { type: "button", className: "entry", title: "Click: hide or show. Double click: only this one." },
      swatch,
      element("span", { className: "entry-name", textContent: category }),
      element("span", { className: "count", textContent: count.toLocaleString("en") }));
    button.setAttribute("aria-pressed", String(!hidden.has(code)));
    button.addEventListener("click", () => {
      if (hidden.has(code)) hidden.delete(code);
      else hidden.add(code);
      refreshLegend();
      draw();
    });
    button.addEventListener("dblclick", () => {
      column.categories.forEach((_, other) => hidden.add(other));
      hidden.delete(code);
      refreshLegend();
      draw();
    });
    button.addEventListener("mouseenter", () => highlight(code));
    button.addEventListener("mouseleave", () => highlight(null));
    return button;
  }

  let waiting = 0;
  function highlight(code) {
    clearTimeout(waiting); // passing over the list must not redraw for every entry
    waiting = setTimeout(() => {
      if (state.highlighted === code) return;
      state.highlighted = code;
      draw();
    }, 120);
  }

  function refreshLegend() {
    const hidden = state.hidden[state.colour.column];
    find(".legend").querySelectorAll("button").forEach((button, code) => {
      button.setAttribute("aria-pressed", String(!hidden.has(code)));
    });
  }

  function showRamp() {
    const [low, high] = limits(numbers());
    find(".ramp-bar").style.background =
      `linear-gradient(to right, ${RAMP.map((c) => `rgb(${c.join(",")})`).join(", ")})`;
    find(".ramp .low").textContent = `≤ ${format(low)}`;
    find(".ramp .high").textContent = `≥ ${format(high)}`;
  }

  // ---- gene search --------------------------------------------------------------------------

  function matches(text) {
    const wanted = text.trim().toLowerCase();
    if (!wanted) return [];
    const begins = [], holds = [];
    for (let j = 0; j < data.genes.length && begins.length < 12; j++) {
      const name = data.genes[j].toLowerCase();
      if (name.startsWith(wanted)) begins.push(j);
      else if (holds.length < 12 && name.includes(wanted)) holds.push(j);
    }
    const exact = geneRow.get(wanted);
    const found = [...begins, ...holds].filter((j) => j !== exact);
    return (exact === undefined ? found : [exact, ...found]).slice(0, 12);
  }

  function wireSearch() {
    const box = find(".gene-search"), list = find(".matches");
    let found = [], at = 0;
    const show = () => {
      list.replaceChildren(...found.map((gene, k) => {
        const item = element("li", { textContent: data.genes[gene], className: k === at ? "at" : "" });
        item.setAttribute("role", "option");
        item.addEventListener("mousedown", (event) => { event.preventDefault(); choose(gene); });
        return item;
      }));
      if (box.value.trim() && !found.length) {
        list.append(element("li", { className: "nothing", textContent: "No such gene in the model." }));
      }
      list.hidden = !box.value.trim();
    };
    const choose = (gene) => {
      list.hidden = true;
      box.blur();
      setColour({ kind: "gene", gene });
    };
    box.addEventListener("input", () => { found = matches(box.value); at = 0; show(); });
    box.addEventListener("focus", () => box.select());
    box.addEventListener("blur", () => { list.hidden = true; });
    box.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && found.length) choose(found[at]);
      else if (event.key === "Escape") { list.hidden = true; box.blur(); }
      else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
        event.preventDefault();
        at = Math.max(0, Math.min(found.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
        show();
      }
    });
    root.querySelectorAll("input[name='fembed-source']").forEach((choice) => {
      choice.addEventListener("change", () => {
        state.source = choice.value;
        showGeneOptions();
        showLegend();
        draw();
      });
    });
    find(".landscape input").addEventListener("change", (event) => {
      state.landscape = event.target.checked;
      draw();
    });
  }

  // ---- hover, click, lasso ------------------------------------------------------------------

  function facts(sample) {
    const rows = labels.map((column) => [column.name, column.categories[column.codes[sample]]]);
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
    const button = element("button", { type: "button", title: "Colour the map by this gene" },
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
      const name = column.categories[column.codes[i]];
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
})();

// The interactive map: menus, legend and gene search.
"use strict";

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
  const button = element("button", { type: "button", className: "entry", title: `${category}\nClick: hide or show. Double click: only this one.` },
    swatch,
    element("span", { className: "entry-name", textContent: column.shown[code] }),
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

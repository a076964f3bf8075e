// The interactive map: menus, legend and searches.
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
        if (state.current !== null) markSample(state.current);
        else state.mark = null;
        takeAxes();
        fit();
        draw();
      });
    });
  }
}

function setColour(colour) {
  state.colour = colour;
  clearTimeout(waiting);
  awaited = state.highlighted = null;
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
  if (state.selected !== null) find(".selection-note").textContent = summary(state.selected);
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
  const signs = { training: "●", projected: "▲" };
  for (const kind of ["training", "projected"]) {
    if (!counts[kind] || !hasProjected) continue;
    const button = element("button", { type: "button", className: "entry kind" },
      element("span", { className: "swatch-mark", textContent: signs[kind] }),
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
  const column = byLabel ? labels[state.colour.column] : null;
  find(".legend-filter").hidden = !byLabel || column.categories.length <= 20;
  find(".legend-filter").value = "";
  if (byLabel) {
    const counts = new Array(column.categories.length).fill(0);
    column.codes.forEach((code) => { counts[code] += 1; });
    column.categories.forEach((category, code) => {
      list.append(element("li", {}, legendEntry(column, code, category, counts[code])));
    });
  } else if (state.colour.kind !== "none") showRamp();
  showMore();
}

// A shade at an end of the list says that there is more.
function showMore() {
  const list = find(".legend"), frame = find(".legend-frame");
  frame.classList.toggle("more-above", list.scrollTop > 2);
  frame.classList.toggle(
    "more-below", list.scrollTop + list.clientHeight < list.scrollHeight - 2);
}

function filterLegend() {
  const wanted = find(".legend-filter").value.trim().toLowerCase();
  const column = labels[state.colour.column];
  find(".legend").querySelectorAll("li").forEach((item, code) => {
    item.hidden = !column.categories[code].toLowerCase().includes(wanted);
  });
  showMore();
}

function legendEntry(column, code, category, count) {
  const hidden = state.hidden[state.colour.column];
  const swatch = element("span", { className: "swatch" });
  swatch.textContent = GLYPHS[hasProjected ? 0 : SYMBOLS.indexOf(column.symbols[code])];
  swatch.style.color = css(onGround(channels(column.colours[code])));
  const button = element("button", { type: "button", className: "entry", title: `${category}\nClick: hide or show. Double click: only this one.` },
    swatch,
    element("span", { className: "entry-name", textContent: column.shown[code] }),
    element("span", { className: "count", textContent: count.toLocaleString("en") }));
  button.setAttribute("aria-pressed", String(!hidden.has(code)));
  button.addEventListener("click", () => {
    if (hidden.has(code)) hidden.delete(code);
    else hidden.add(code);
    legendChanged();
  });
  button.addEventListener("dblclick", () => {
    column.categories.forEach((_, other) => hidden.add(other));
    hidden.delete(code);
    legendChanged();
  });
  // Not when the list is filled under a pointer that rests.
  button.addEventListener("mousemove", () => highlight(code));
  button.addEventListener("mouseleave", () => highlight(null));
  return button;
}

let waiting = 0, awaited = null;
function highlight(code) {
  if (code !== null && code === awaited) return;
  awaited = code;
  clearTimeout(waiting); // passing over the list must not redraw for every entry
  waiting = setTimeout(() => {
    // Of a category that is hidden there is nothing to see, and the others stay as they are.
    const hidden = state.colour.kind === "label" && state.hidden[state.colour.column].has(code);
    const wanted = hidden ? null : code;
    if (state.highlighted === wanted) return;
    state.highlighted = wanted;
    draw();
  }, 120);
}

function legendChanged() {
  const hidden = state.hidden[state.colour.column];
  clearTimeout(waiting);
  awaited = state.highlighted = null;
  find(".legend").querySelectorAll("button").forEach((button, code) => {
    button.setAttribute("aria-pressed", String(!hidden.has(code)));
  });
  draw();
}

function showRamp() {
  const [low, high] = limits(numbers());
  find(".ramp-bar").style.background =
    `linear-gradient(to right, ${RAMP.map(css).join(", ")})`;
  find(".ramp .low").textContent = `≤ ${format(low)}`;
  find(".ramp .high").textContent = `≥ ${format(high)}`;
}

// Names that are, begin with, or hold the text, at most 12.
function matches(names, text, exact) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  const begins = [], holds = [];
  for (let j = 0; j < names.length && begins.length < 12; j++) {
    const name = names[j].toLowerCase();
    if (name === wanted) exact = exact ?? j;
    if (name.startsWith(wanted)) begins.push(j);
    else if (holds.length < 12 && name.includes(wanted)) holds.push(j);
  }
  const found = [...begins, ...holds].filter((j) => j !== exact);
  return (exact === undefined ? found : [exact, ...found]).slice(0, 12);
}

// A field that lists names as one types, for the pointer and for the keyboard.
function wireSearch(box, list, names, nothing, choose, exactOf = () => undefined) {
  let found = [], at = 0;
  const show = () => {
    list.replaceChildren(...found.map((row, k) => {
      const item = element("li", { textContent: names[row], className: k === at ? "at" : "" });
      item.setAttribute("role", "option");
      item.setAttribute("aria-selected", String(k === at));
      item.addEventListener("mousedown", (event) => { event.preventDefault(); take(row); });
      return item;
    }));
    if (box.value.trim() && !found.length) {
      list.append(element("li", { className: "nothing", textContent: nothing }));
    }
    list.hidden = !box.value.trim();
    box.setAttribute("aria-expanded", String(!list.hidden));
  };
  const take = (row) => {
    list.hidden = true;
    box.value = names[row];
    box.blur();
    choose(row);
  };
  box.addEventListener("input", () => {
    found = matches(names, box.value, exactOf(box.value));
    at = 0;
    show();
  });
  box.addEventListener("focus", () => box.select());
  box.addEventListener("blur", () => { list.hidden = true; });
  box.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && found.length) take(found[at]);
    else if (event.key === "Escape") { list.hidden = true; box.blur(); }
    else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      at = Math.max(0, Math.min(found.length - 1, at + (event.key === "ArrowDown" ? 1 : -1)));
      show();
    }
  });
}

function setDark(dark) {
  state.dark = dark;
  document.documentElement.dataset.ground = dark ? "dark" : "light";
  find(".dark-toggle").setAttribute("aria-pressed", String(dark));
  showLegend();
  draw();
}

function savePicture() {
  drawFrame(); // WebGL forgets its picture after a frame
  const picture = document.createElement("canvas");
  [picture.width, picture.height] = [layers[0].width, layers[0].height];
  const pen = picture.getContext("2d");
  pen.fillStyle = ground("--ground");
  pen.fillRect(0, 0, picture.width, picture.height);
  layers.forEach((canvas) => pen.drawImage(canvas, 0, 0));
  picture.toBlob((blob) => save(blob, "map.png"));
}

function wireControls() {
  wireSearch(find(".gene-search"), find("#gene-matches"), data.genes, "No such gene in the model.",
    (gene) => setColour({ kind: "gene", gene }), (text) => geneRow.get(text.trim().toLowerCase()));
  wireSearch(find(".sample-search"), find("#sample-matches"), data.names, "No such sample in the map.",
    (sample) => { centreOn(sample); chooseSample(sample); });
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
  find(".all").addEventListener("click", () => {
    state.hidden[state.colour.column].clear();
    legendChanged();
  });
  find(".none").addEventListener("click", () => {
    const hidden = state.hidden[state.colour.column];
    labels[state.colour.column].categories.forEach((_, code) => hidden.add(code));
    legendChanged();
  });
  find(".legend").addEventListener("scroll", showMore);
  find(".legend-filter").addEventListener("input", filterLegend);
  root.querySelectorAll("[data-tool]").forEach((button) => {
    button.addEventListener("click", () => setTool(button.dataset.tool));
  });
  find(".zoom-in").addEventListener("click", () => zoom(1.5));
  find(".zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  find(".fit").addEventListener("click", () => { fit(); redraw(); });
  find(".picture").addEventListener("click", savePicture);
  find(".dark-toggle").addEventListener("click", () => setDark(!state.dark));
  find(".names-toggle").addEventListener("click", () => {
    state.names = !state.names;
    find(".names-toggle").setAttribute("aria-pressed", String(state.names));
    redraw();
  });
}

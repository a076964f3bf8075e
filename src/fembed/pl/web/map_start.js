// The interactive map: the beginning of it all.
"use strict";

takeAxes();
fillMenus();
showKinds();
showGeneOptions();
wirePointer();
wireControls();
wireResults();
setTool("move");
// A map alone follows the reader's system; a report's pictures are white.
setDark(document.body.classList.contains("alone")
  && window.matchMedia("(prefers-color-scheme: dark)").matches);
resized();
new ResizeObserver(resized).observe(plot);
draw().then(() => { root.dataset.ready = "yes"; });
window.fembedMap = {
  decoder, state, data, draw, view, marks, toPixel, toPlace, names: () => placed,
};

const step = (by) => {
  const listed = order(), next = listed[listed.indexOf(current) + by];
  if (next !== undefined) openCase(next);
};
const toggleAll = () => {
  const boxes = layers.map((name) => byId(`show-${name}`)).filter((box) => !box.disabled);
  const shown = boxes.filter((box) => box.checked);
  if (shown.length) toggleAll.kept = shown;
  (shown.length ? shown : toggleAll.kept ?? boxes).forEach((box) => { box.checked = !shown.length; });
  repaint();
};
const ACROSS = { axial: [0, 0, 1], coronal: [0, 1, 0], sagittal: [1, 0, 0] };
const ARROWS = { ArrowUp: 1, ArrowDown: -1, ArrowLeft: 1, ArrowRight: -1 }; // the patient's right is on the left
const move = (event) => {
  const by = ARROWS[event.key], plane = byId("layout").value;
  const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight";
  const axis = event.shiftKey ? ACROSS.coronal : ACROSS[plane] ?? (sideways ? ACROSS.sagittal : ACROSS.axial);
  view.moveCrosshairInVox(...axis.map((size) => size * by));
};
const KEYS = { n: () => step(1), p: () => step(-1), 0: toggleAll };
layers.forEach((name, index) => { KEYS[index + 1] = () => byId(`show-${name}`).click(); });
dialog.addEventListener("keydown", (event) => {
  if (event.target === canvas && event.key !== "Escape") event.stopPropagation(); // NiiVue has keys of its own
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const busy = event.target.matches("select, input[type=range], summary");
  if (event.key in ARROWS && view && scan && !busy) move(event);
  else if (Object.hasOwn(KEYS, event.key) && !event.target.matches("select")) KEYS[event.key]();
  else return;
  event.preventDefault();
}, true);
canvas.addEventListener("keyup", (event) => event.stopImmediatePropagation(), true);

byId("previous").addEventListener("click", () => step(-1));
byId("next").addEventListener("click", () => step(1));
byId("close").addEventListener("click", () => dialog.close());
byId("layout").addEventListener("change", () => view && arrange());
byId("zoom").addEventListener("input", () => view && zoom());
byId("region").addEventListener("change", () => { drawLegends(); repaint(); });
for (const name of layers) {
  byId(`show-${name}`).addEventListener("change", repaint);
  byId(`opacity-${name}`).addEventListener("input", repaint);
}
for (const name of ["dark", "bright"]) byId(name).addEventListener("input", tune);
dialog.addEventListener("close", () => {
  if (dialog.open) return; // opened again before this was told
  latest++;
  if (current !== opened) document.querySelector(`tr[data-case="${CSS.escape(current)}"] button`)?.focus();
});

drawLegends();
window.openCase = openCase;

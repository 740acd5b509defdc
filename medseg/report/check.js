const groups = [...document.querySelectorAll(".group")].map((part) => ({ part, tiles: [...part.querySelectorAll(".tile")] }));
const toggles = [...document.querySelectorAll(".toggle")];
let chosen = null;

const filter = () => {
  const found = searched();
  const off = new Set(toggles.filter((one) => one.getAttribute("aria-pressed") === "false").map((one) => one.dataset.group));
  let total = 0, shown = 0;
  for (const { part, tiles } of groups) {
    let left = 0;
    for (const tile of tiles) {
      const marked = chosen === null || (tile.dataset.sets ?? "").split(" ").includes(chosen);
      tile.hidden = off.has(part.dataset.group) || !marked || !found(tile);
      left += !tile.hidden;
    }
    part.hidden = left === 0;
    total += tiles.length;
    shown += left;
  }
  say(shown, total);
};
toggles.forEach((one) => one.addEventListener("click", () => {
  one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") === "false"));
  filter();
}));
words.addEventListener("input", filter);
all.addEventListener("click", () => {
  chosen = null;
  words.value = "";
  toggles.forEach((one) => one.setAttribute("aria-pressed", "true"));
  filter();
  words.focus();
});
document.querySelectorAll("button.show").forEach((one) => {
  one.hidden = false;
  one.addEventListener("click", () => {
    chosen = one.dataset.set;
    filter();
    form.scrollIntoView();
  });
});
form.hidden = false;

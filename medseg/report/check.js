const form = document.getElementById("filter"), words = document.getElementById("words"), all = document.getElementById("all");
const groups = [...document.querySelectorAll(".group")].map((part) => ({ part, tiles: [...part.querySelectorAll(".tile")] }));
const toggles = [...document.querySelectorAll(".toggle")], texts = new WeakMap();
let chosen = null;

const textOf = (tile) => {
  if (!texts.has(tile)) texts.set(tile, tile.textContent.toLowerCase());
  return texts.get(tile);
};
const filter = () => {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  const off = new Set(toggles.filter((one) => one.getAttribute("aria-pressed") === "false").map((one) => one.dataset.group));
  let total = 0, shown = 0;
  for (const { part, tiles } of groups) {
    let left = 0;
    for (const tile of tiles) {
      const marked = chosen === null || (tile.dataset.sets ?? "").split(" ").includes(chosen);
      tile.hidden = off.has(part.dataset.group) || !marked || !wanted.every((word) => textOf(tile).includes(word));
      left += !tile.hidden;
    }
    part.hidden = left === 0;
    total += tiles.length;
    shown += left;
  }
  document.getElementById("shown").textContent = shown === total ? `${total} scans` : `${shown} of ${total} scans`;
  all.hidden = shown === total;
};
toggles.forEach((one) => one.addEventListener("click", () => {
  one.setAttribute("aria-pressed", String(one.getAttribute("aria-pressed") === "false"));
  filter();
}));
words.addEventListener("input", filter);
form.addEventListener("submit", (event) => event.preventDefault());
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

const copy = async (code, button) => {
  try {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  } catch {
    getSelection().selectAllChildren(code);
    button.textContent = "press Ctrl-C";
  }
  setTimeout(() => { button.textContent = "copy"; }, 2000);
};
document.querySelectorAll("code.setting").forEach((code) => {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.setAttribute("aria-label", `copy ${code.textContent}`);
  button.addEventListener("click", () => copy(code, button));
  code.after(button);
});

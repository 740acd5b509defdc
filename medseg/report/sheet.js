const form = document.getElementById("filter"), words = document.getElementById("words"), all = document.getElementById("all");
const texts = new WeakMap();

const textOf = (tile) => {
  if (!texts.has(tile)) texts.set(tile, tile.textContent.toLowerCase());
  return texts.get(tile);
};
const searched = () => {
  const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
  return (tile) => wanted.every((word) => textOf(tile).includes(word));
};
const say = (shown, total) => {
  document.getElementById("shown").textContent = shown === total ? `${total} scans` : `${shown} of ${total} scans`;
  all.hidden = shown === total;
};
form.addEventListener("submit", (event) => event.preventDefault());

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

const queue = document.getElementById("queue"), order = document.getElementById("order");
const tiles = [...queue.children], choices = [...form.querySelectorAll("input[name=part]")];
const rank = new Map(tiles.map((tile, place) => [tile, place]));

const nameOf = (tile) => tile.querySelector("h3 > span:last-child").textContent;
const dice = (tile) => (tile.dataset.dice ? Number(tile.dataset.dice) : 2);
const volume = (tile) => Number(tile.dataset.ml ?? -1);
const names = new Intl.Collator(undefined, { numeric: true });
const orders = {
  worst: () => 0,
  name: (a, b) => names.compare(nameOf(a), nameOf(b)),
  dice: (a, b) => dice(a) - dice(b),
  volume: (a, b) => volume(b) - volume(a),
};

const filter = () => {
  const found = searched(), part = choices.find((one) => one.checked).value;
  let shown = 0;
  for (const tile of tiles) {
    tile.hidden = (part !== "all" && !tile.dataset.parts.split(" ").includes(part)) || !found(tile);
    shown += !tile.hidden;
  }
  say(shown, tiles.length);
};
const sort = () => {
  const compare = orders[order.value];
  queue.append(...[...tiles].sort((a, b) => compare(a, b) || rank.get(a) - rank.get(b)));
};
words.addEventListener("input", filter);
choices.forEach((one) => one.addEventListener("change", filter));
order.addEventListener("change", sort);
all.addEventListener("click", () => {
  words.value = "";
  choices[0].checked = true;
  filter();
  words.focus();
});
form.hidden = false;
filter();
sort();

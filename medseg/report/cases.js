const table = document.querySelector("table.cases"), body = table.tBodies[0], heads = [...table.querySelectorAll("thead th")];
const rows = [...body.rows], parts = [...form.querySelectorAll("input[name=part]")];
const cohort = document.getElementById("cohort"), region = document.getElementById("region");
const measured = JSON.parse(document.getElementById("measured").textContent), first = Number(table.dataset.first);
const names = new Intl.Collator(undefined, { numeric: true });
let sorted = null;

const filter = () => {
  const found = searched(), kinds = parts.find((one) => one.checked).value.split(" ").filter(Boolean);
  let shown = 0;
  for (const row of rows) {
    const marks = row.dataset.marks.split(" ");
    const inPart = !kinds.length || kinds.some((kind) => marks.includes(kind));
    row.hidden = !inPart || (cohort?.value && !marks.includes(cohort.value)) || !found(row);
    shown += !row.hidden;
  }
  say(shown, rows.length);
};

const valueOf = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
const sort = () => {
  if (sorted === null) return;
  const down = heads[sorted].getAttribute("aria-sort") === "descending";
  const compare = (a, b) => {
    const x = valueOf(a, sorted), y = valueOf(b, sorted);
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = isNaN(x) || isNaN(y) ? names.compare(x, y) : x - y;
    return down ? -order : order;
  };
  body.append(...[...rows].sort(compare));
};
heads.forEach((head, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...head.childNodes);
  head.append(button);
  button.addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    sorted = column;
    sort();
  });
});

region?.addEventListener("change", () => {
  rows.forEach((row, number) => {
    measured[region.value][number].forEach(([text, value], place) => {
      const cell = row.cells[first + place];
      cell.textContent = text;
      cell.dataset.sort = value;
    });
  });
  document.getElementById("measured-region").textContent = region.selectedOptions[0].textContent;
  sort();
});
words.addEventListener("input", filter);
[...parts, cohort].forEach((one) => one?.addEventListener("change", filter));
all.addEventListener("click", () => {
  words.value = "";
  parts[0].checked = true;
  if (cohort) cohort.value = "";
  filter();
  words.focus();
});
form.hidden = false;
filter();

const openable = new Set(rows.map((row) => row.dataset.case).filter(Boolean));
if (typeof openCase === "function") {
  document.querySelectorAll("main [data-open]:not(svg *)").forEach((holder) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "open";
    button.title = "look at it in 3-D";
    button.append(...holder.childNodes);
    holder.append(button);
  });
  document.addEventListener("click", (event) => {
    const name = event.target.closest("[data-open]")?.dataset.open ?? event.target.closest("tr[data-case]")?.dataset.case;
    const meant = event.target.closest("button, svg") || getSelection().isCollapsed;
    if (openable.has(name) && meant) openCase(name);
  });
}

const details = [...document.querySelectorAll("details")];
addEventListener("beforeprint", () => details.forEach((one) => { one.dataset.was = one.open; one.open = true; }));
addEventListener("afterprint", () => details.forEach((one) => { one.open = one.dataset.was === "true"; }));

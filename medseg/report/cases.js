const table = document.querySelector("table.cases");
const rows = [...table.tBodies[0].rows], parts = [...form.querySelectorAll("input[name=part]")];
const cohort = document.getElementById("cohort"), region = document.getElementById("region");
const measured = JSON.parse(document.getElementById("measured").textContent), first = Number(table.dataset.first);

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

const sort = sortable(table);

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

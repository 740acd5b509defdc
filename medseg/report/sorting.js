// Let the columns of a table be sorted by the buttons that their heads become; return what sorts it again as it is.
const sortable = (table) => {
  const heads = [...table.querySelectorAll("thead th")], body = table.tBodies[0];
  const names = new Intl.Collator(undefined, { numeric: true });
  const value = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const again = () => {
    const column = heads.findIndex((head) => head.hasAttribute("aria-sort"));
    if (column < 0) return;
    const down = heads[column].getAttribute("aria-sort") === "descending";
    const compare = (a, b) => {
      const x = value(a, column), y = value(b, column);
      if (x === "" || y === "") return (x === "") - (y === "");
      const order = isNaN(x) || isNaN(y) ? names.compare(x, y) : x - y;
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
  };
  heads.forEach((head) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      again();
    });
  });
  return again;
};

document.querySelectorAll("table.cases").forEach(sortable);

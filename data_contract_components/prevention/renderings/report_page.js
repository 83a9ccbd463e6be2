
"use strict";
// Nothing from the report is read as markup here: texts are compared, and parts are shown or hidden.
const search = document.getElementById("search");
const matches = document.getElementById("matches");
let items = null;

function readItems() {
  const read = (element, texts, rows) => ({
    element,
    text: [...texts].map((part) => part.textContent).join("\n").toLowerCase(),
    clauses: element.querySelector("details.clauses"),
    rows: [...rows].map((row) => ({ element: row, text: row.cells[0].textContent.toLowerCase() })),
  });
  return {
    contracts: [...document.querySelectorAll("article.contract")].map((element) =>
      read(element, element.querySelectorAll(".find"), element.querySelectorAll("details.clauses tbody tr"))),
    tables: [...document.querySelectorAll("tr.table")].map((element) => read(element, element.cells, [])),
  };
}

/** Shows the item if it contains every word; if a word is only in names of columns, shows only these columns. */
function filter({ element, text, clauses, rows }, words) {
  const open = words.filter((word) => !text.includes(word));
  let shown = open.length === 0;
  for (const row of rows) {
    const isMatch = open.every((word) => row.text.includes(word));
    row.element.hidden = !isMatch;
    shown ||= isMatch;
  }
  element.hidden = !shown;
  // What the search opened, it closes again.
  const isOpenedBySearch = shown && open.length > 0;
  if (clauses && isOpenedBySearch && !clauses.open) {
    clauses.open = true;
    clauses.dataset.opened = "";
  } else if (clauses && !isOpenedBySearch && "opened" in clauses.dataset) {
    clauses.open = false;
    delete clauses.dataset.opened;
  }
  return shown;
}

function update() {
  items ??= readItems();
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  const count = (list, noun) => {
    const shown = list.filter((item) => filter(item, words)).length;
    return `${shown} of ${list.length} ${noun}${list.length === 1 ? "" : "s"}`;
  };
  const text = `${count(items.contracts, "contract")} and ${count(items.tables, "table")} match.`;
  matches.textContent = words.length ? text : "";
}

search.addEventListener("input", update);
search.closest("[role=search]").hidden = false;
// A browser that returns to the page restores the words in the field.
if (search.value) update();

"use strict";
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const search = document.getElementById("search");
  const kind = document.getElementById("kind");
  const shown = document.getElementById("shown");
  const rows = all("details[data-verb]");
  // The instances of a cut-over, below its row.
  const groups = all("details.instances");
  const unasked = new Map(groups.map((group) => [group, group.open]));
  const cards = all(".cards button");
  let verb = "";

  const filter = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      const fits = (!verb || row.dataset.verb === verb)
        && (!kind.value || row.dataset.kind === kind.value)
        && words.every((word) => text.includes(word));
      row.hidden = !fits;
      count += fits ? 1 : 0;
    }
    const filters = verb || kind.value || words.length > 0;
    for (const group of groups) {
      group.hidden = ![...group.querySelectorAll("details")].some((row) => !row.hidden);
      group.open = filters ? true : unasked.get(group);
    }
    shown.textContent = count === rows.length ? "" : `${count} of ${rows.length} shown`;
  };
  for (const card of cards) {
    card.addEventListener("click", () => {
      verb = verb === card.dataset.verb ? "" : card.dataset.verb;
      for (const other of cards) {
        other.setAttribute("aria-pressed", String(other.dataset.verb === verb && verb !== ""));
      }
      filter();
    });
  }
  search.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== search) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  const open = (value) => { for (const row of [...rows, ...groups]) { row.open = value; } };
  document.getElementById("open").addEventListener("click", () => {
    open(rows.some((row) => !row.hidden && !row.open));
  });
  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const text = button.previousElementSibling.textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
      } catch {
        const range = document.createRange();
        range.selectNodeContents(button.previousElementSibling);
        const selection = getSelection();
        selection.removeAllRanges();
        selection.addRange(range);
        button.textContent = "Selected";
      }
    });
  }
  // For browsers whose style sheets cannot open a row on paper.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...rows, ...groups].filter((row) => !row.open);
    open(true);
  });
  addEventListener("afterprint", () => { for (const row of closed) { row.open = false; } });
})();

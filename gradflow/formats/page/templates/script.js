"use strict";
// Tables are whole without this: it makes their heads sort and gives long ones a filter.
(() => {
  const FILTERED_FROM = 8;
  const BOUNDS = ["horizon>20", "rate>0.9", "decades>0.01"];

  // The first number of a text on a scale that also holds 1e-603; none sorts last.
  const size = (text) => {
    const plain = text.replace(/(\d),(?=\d{3})/g, "$1").trim();
    if (/^[^\d]*> /.test(plain) || /^[^\d]*inf/.test(plain)) return Infinity;
    const found = plain.match(/^[^\d+\-.]*([-+]?)(\d+\.?\d*|\.\d+)(?:e([-+]?\d+))?/);
    if (!found) return NaN;
    const digits = Number(found[2]);
    if (digits === 0) return 0;
    const log = Math.log10(digits) + Number(found[3] || 0);
    return (found[1] === "-" ? -1 : 1) * (1e6 + log);
  };
  const plain = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
  // What is written in a cell, without the sign before it.
  const text = (row, at) =>
    [...row.cells[at].childNodes].filter((one) => one.nodeType === Node.TEXT_NODE).map((one) => one.data).join("");

  const sort = (table, head, at, rows) => {
    const next = { none: "ascending", ascending: "descending", descending: "none" };
    const order = next[head.getAttribute("aria-sort") || "none"];
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    if (order !== "none") head.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    const isNumber = head.classList.contains("n");
    const from = order === "none" ? rows : [...table.tBodies[0].rows]; // equals stay as they are
    const keyed = from.map((row) => [row, isNumber ? size(text(row, at)) : text(row, at)]);
    if (order !== "none")
      keyed.sort(([, a], [, b]) => {
        if (!isNumber) return sign * a.localeCompare(b, "en", { numeric: true });
        if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) - Number.isNaN(b);
        return a === b ? 0 : sign * (a < b ? -1 : 1);
      });
    table.tBodies[0].append(...keyed.map(([row]) => row));
  };

  // `lstm horizon>50`: every word is in the row, and the number of a column is as said.
  const conditions = (table, query) => {
    const heads = [...table.tHead.rows[0].cells];
    return query.trim().split(/\s+/).filter(Boolean).map((word) => {
      const said = word.match(/^(.+?)(<=|>=|=|<|>)(.+)$/);
      const name = said && plain(said[1]);
      const at = !said ? -1 : heads.findIndex((head) =>
        plain(head.dataset.name || "") === name || plain(head.textContent).startsWith(name));
      if (at < 0) return (row) => row.textContent.toLowerCase().includes(word.toLowerCase());
      const [, , sign, value] = said;
      const bound = size(value);
      const same = (row) => text(row, at).toLowerCase().includes(value.toLowerCase());
      const holds = {
        "<": (row) => size(text(row, at)) < bound,
        ">": (row) => size(text(row, at)) > bound,
        "<=": (row) => size(text(row, at)) <= bound,
        ">=": (row) => size(text(row, at)) >= bound,
        "=": (row) => (Number.isNaN(bound) ? same(row) : size(text(row, at)) === bound),
      }[sign];
      holds.bounds = true;
      return holds;
    });
  };

  const filtered = (table, rows) => {
    const bound = BOUNDS.find((one) => conditions(table, one)[0].bounds);
    const bar = document.createElement("div");
    bar.className = "filter";
    const label = document.createElement("label");
    label.textContent = "Filter";
    const input = document.createElement("input");
    input.type = "search";
    input.id = label.htmlFor = table.id + "-filter";
    input.autocomplete = "off";
    input.spellcheck = false;
    const count = document.createElement("output");
    input.placeholder = "words" + (bound ? `, or a bound: ${bound}` : "");
    const apply = () => {
      const asked = conditions(table, input.value);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !asked.every((holds) => holds(row));
        shown += !row.hidden;
      }
      const all = rows.length.toLocaleString("en");
      count.textContent = asked.length ? `${shown.toLocaleString("en")} of ${all} rows` : `${all} rows`;
    };
    input.addEventListener("input", apply);
    bar.append(label, input, count);
    apply();
    return bar;
  };

  for (const table of document.querySelectorAll(".table table")) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 2) continue;
    [...table.tHead.rows[0].cells].forEach((head, at) => {
      if ("curve" in head.dataset) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      button.addEventListener("click", () => sort(table, head, at, rows));
      head.append(button);
    });
    const place = table.closest(".filtered");
    if (place && rows.length >= FILTERED_FROM) place.prepend(filtered(table, rows));
  }
})();

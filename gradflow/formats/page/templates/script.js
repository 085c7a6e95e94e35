"use strict";
// Tables are whole without this: it makes their heads sort and gives long ones a filter.
(() => {
  const FILTERED_FROM = 8;
  const BOUNDS = ["horizon>20", "rate>0.9", "decades>0.01"];

  // The first number of a text on a scale that also holds 1e-603; none sorts last.
  const size = (text) => {
    const plain = text.replace(/(\d),(?=\d{3})/g, "$1").trim();
    if (/^[^\d]*inf/.test(plain)) return /^[^\d]*-inf/.test(plain) ? -Infinity : Infinity;
    if (/^[^\d]*> /.test(plain)) return Infinity;
    const found = plain.match(/^[^\d+\-.]*([-+]?)(\d+\.?\d*|\.\d+)(?:e([-+]?\d+))?/);
    if (!found) return NaN;
    const digits = Number(found[2]);
    if (digits === 0) return 0;
    const log = Math.log10(digits) + Number(found[3] || 0);
    return (found[1] === "-" ? -1 : 1) * (1e6 + log);
  };
  // The number that is the whole of a text: 0.9, -1, 1e-603, 1,000, inf.
  const NUMBER = /^[-+]?((\d{1,3}(,\d{3})+|\d+)(\.\d*)?|\.\d+)(e[-+]?\d+)?$|^[-+]?inf$/i;
  const whole = (text) => (NUMBER.test(text.trim()) ? size(text.trim().toLowerCase()) : NaN);
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

  // The column of a bound: as many of the words before its sign as are the name or the head of one,
  // or the begin of one head alone.
  const named = (heads, words) => {
    for (let from = 0; from < words.length; from++) {
      const name = plain(words.slice(from).join(" "));
      if (!name) continue;
      const whole = heads.findIndex((head) => [head.dataset.name || "", head.textContent].map(plain).includes(name));
      if (whole >= 0) return [from, whole];
      const begun = heads.filter((head) => plain(head.textContent).startsWith(name));
      if (begun.length === 1) return [from, heads.indexOf(begun[0])];
    }
    return [Math.max(words.length - 1, 0), -1];
  };

  // Whether a text is what is asked for, or has it as one of its words: `lstm` is one of
  // `lstm[forget_bias=0.0]` and none of `lstmp`.
  const says = (text, asked) => {
    const all = text.toLowerCase().trim();
    return all === asked || all.split(/[\s,;:()[\]]+/).includes(asked);
  };

  // What a bound asks of a row; null if it is not understood.
  const bounded = (head, at, sign, value, rows) => {
    const bound = whole(value.replace("\u2212", "-"));
    const isNumber = head.classList.contains("n") && !Number.isNaN(bound);
    if (!value || (sign.length === 1 && value.startsWith("="))) return null;
    if (sign === "=" || sign === "!=") {
      const asked = value.toLowerCase();
      const same = isNumber ? (row) => size(text(row, at)) === bound : (row) => says(text(row, at), asked);
      if (head.classList.contains("n") && !isNumber && !rows.some(same)) return null;
      return sign === "=" ? same : (row) => !same(row);
    }
    if (!isNumber) return null;
    return {
      "<": (row) => size(text(row, at)) < bound,
      ">": (row) => size(text(row, at)) > bound,
      "<=": (row) => size(text(row, at)) <= bound,
      ">=": (row) => size(text(row, at)) >= bound,
    }[sign];
  };

  // `lstm horizon > 50`: every word is in the row, and the number of a column is as said. A word with
  // a sign that no column and no row knows is left out, and told.
  const conditions = (table, query) => {
    const heads = [...table.tHead.rows[0].cells];
    const holds = (row, word) =>
      [...row.cells].some((cell) => cell.textContent.toLowerCase().includes(word.toLowerCase()));
    const rows = [...table.tBodies[0].rows];
    const found = { asked: [], unknown: [], bounds: 0 };
    const words = query.replace(/(?<![<>=!])([^<>=!]+)(<=|>=|!=|=|<|>)\s*(\S*)/g, (whole, before, sign, value) => {
      const said = before.trim().split(/\s+/);
      const [from, at] = named(heads, said);
      const rest = said.slice(from).join(" ") + sign + value;
      const condition = at < 0 ? null : bounded(heads[at], at, sign, value, rows);
      if (condition) found.bounds = found.asked.push(condition);
      else if (at < 0 && rows.some((row) => holds(row, rest)))
        found.asked.push((row) => holds(row, rest));
      else found.unknown.push(rest);
      return ` ${said.slice(0, from).join(" ")} `;
    });
    for (const word of words.split(/\s+/).filter(Boolean)) found.asked.push((row) => holds(row, word));
    return found;
  };

  const filtered = (table, rows) => {
    const bound = BOUNDS.find((one) => conditions(table, one).bounds);
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
      const { asked, unknown } = conditions(table, input.value);
      let shown = 0;
      for (const row of rows) {
        row.hidden = !asked.every((holds) => holds(row));
        shown += !row.hidden;
      }
      const all = rows.length.toLocaleString("en");
      const rest = unknown.length ? `; not understood: ${unknown.join(", ")}` : "";
      count.textContent = (asked.length ? `${shown.toLocaleString("en")} of ${all} rows` : `${all} rows`) + rest;
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
    if (rows.length >= FILTERED_FROM) table.closest(".table").prepend(filtered(table, rows));
  }
})();

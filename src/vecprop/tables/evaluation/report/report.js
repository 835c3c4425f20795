"use strict";
/* Sorting of tables. A button in each head sorts the rows; a third click restores the order. */
const amount = (text) => {
  const match = text.replaceAll(",", "").replace("−", "-").match(/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?/i);
  return match ? parseFloat(match[0]) : NaN;
};
const compared = (x, y, sign) => {
  if (x.text === "" || y.text === "") return (x.text === "") - (y.text === "");
  const isNumber = [x, y].map((cell) => !isNaN(cell.number));
  if (isNumber[0] && isNumber[1]) return sign * (x.number - y.number);
  if (isNumber[0] !== isNumber[1]) return isNumber[0] ? -1 : 1;
  return sign * x.text.localeCompare(y.text, "en", { numeric: true });
};
for (const group of document.querySelectorAll(".long, .sortable")) {
  if (group.parentElement.closest(".long")) continue;
  const tables = group.matches("table") ? [group] : [...group.querySelectorAll("table")];
  const sizes = tables.map((table) => table.tBodies[0].rows.length);
  const original = tables.flatMap((table) => [...table.tBodies[0].rows]);
  const fill = (rows) => {
    let start = 0;
    tables.forEach((table, k) => {
      table.tBodies[0].append(...rows.slice(start, start + sizes[k]));
      start += sizes[k];
    });
  };
  const sort = (column, order) => {
    for (const table of tables)
      [...table.tHead.rows[0].cells].forEach((head, k) => {
        if (k === column && order) head.setAttribute("aria-sort", order);
        else head.removeAttribute("aria-sort");
      });
    if (!order) return fill(original);
    const sign = order === "ascending" ? 1 : -1;
    const keyed = original.map((row) => {
      const text = row.cells[column].textContent.trim();
      return { row, text, number: amount(text) };
    });
    fill(keyed.sort((x, y) => compared(x, y, sign)).map((cell) => cell.row));
  };
  for (const table of tables)
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.matches(".examples") || !head.textContent.trim()) return;
      const orders = ["ascending", "descending", null];
      if (head.matches(".number, .bars")) orders.splice(0, 2, "descending", "ascending");
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Sort";
      button.append(...head.childNodes);
      head.append(button);
      button.onclick = () => {
        const next = orders.indexOf(head.getAttribute("aria-sort")) + 1;
        sort(column, orders[next % 3]);
      };
    });
}

/* The threshold curve: a slider chooses the threshold, and two fields the costs of errors. */
for (const part of document.querySelectorAll(".threshold")) {
  const points = part.dataset.points.trim().split(" ").map((point) => point.split(",").map(Number));
  const share = Number(part.dataset.share);
  const slider = part.querySelector("[type=range]");
  const fields = [...part.querySelectorAll("[type=number]")];
  const svg = part.querySelector("svg");
  const left = 36, width = 312, bottom = 170, height = 160, top = points[points.length - 1][0] || 1;
  const x = (threshold) => left + (width * threshold) / top;
  const percent = (share) => (isFinite(share) ? `${(100 * share).toFixed(1)}%` : "–");
  const costs = () => {
    const [miss, alarm] = fields.map((field) => Math.max(Number(field.value) || 0, 0));
    return points.map(([, hits, alarms]) => miss * share * (1 - hits) + alarm * (1 - share) * alarms);
  };
  const show = (name, k, cost) => {
    const [threshold, recall, alarms] = points[k];
    const hits = share * recall;
    const flagged = hits + (1 - share) * alarms;
    const texts = [
      Number(threshold.toPrecision(3)), percent(hits / flagged), percent(recall), percent(flagged), Number(cost.toPrecision(3)),
    ];
    part.querySelectorAll(`[data-at=${name}]`).forEach((cell, row) => (cell.textContent = texts[row]));
  };
  const update = () => {
    const values = costs();
    const most = Math.max(...values) || 1;
    const line = points.map(([threshold], k) => `${x(threshold).toFixed(1)},${(bottom - (height * values[k]) / most).toFixed(1)}`);
    svg.querySelector(".cost").setAttribute("points", line.join(" "));
    const k = Number(slider.value);
    const here = svg.querySelector(".here");
    for (const end of ["x1", "x2"]) here.setAttribute(end, x(points[k][0]).toFixed(1));
    slider.setAttribute("aria-valuetext", Number(points[k][0].toPrecision(3)));
    show("slider", k, values[k]);
    show("model", Number(part.dataset.chosen), values[part.dataset.chosen]);
    const best = values.indexOf(Math.min(...values));
    show("best", best, values[best]);
  };
  svg.onpointermove = (event) => {
    const box = svg.getBoundingClientRect();
    const threshold = (top * ((event.clientX - box.left) * (360 / box.width) - left)) / width;
    const distances = points.map((point) => Math.abs(point[0] - threshold));
    slider.value = distances.indexOf(Math.min(...distances));
    update();
  };
  for (const field of [slider, ...fields]) field.oninput = update;
  part.classList.add("live");
  update();
}

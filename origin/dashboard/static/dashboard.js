// Charts of the dashboard. Every figure they draw stands in a table of the page as well.
"use strict";

const drawn = new Map();
const dark = matchMedia("(prefers-color-scheme: dark)");

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis(format, size) {
  const ink = colour("--soft");
  const line = { stroke: colour("--line"), width: 1 };
  return { stroke: ink, grid: line, ticks: line, size, values: (_, marks) => marks.map(format) };
}

function amount(value, sign) {
  const size = Math.abs(value);
  const text = size >= 1000 ? size.toLocaleString("en", { maximumFractionDigits: 0 }) : Number(size.toPrecision(3)).toString();
  return `${value < 0 ? "−" : ""}${sign}${text}`;
}

// As the tables tell it: in cents, and what is less in digits that say something.
function money(value, sign) {
  const size = Math.abs(value);
  if (size < 0.1) return amount(value, sign);
  return `${value < 0 ? "−" : ""}${sign}${size.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;
}

// Bars above the line are savings, those below it losses.
function bars(plot) {
  const { ctx } = plot;
  const zero = plot.valToPos(0, "y", true);
  const width = Math.max(2, Math.min(28 * devicePixelRatio, plot.bbox.width / plot.data[0].length / 1.6));
  ctx.save();
  plot.data[1].forEach((value, index) => {
    const x = plot.valToPos(plot.data[0][index], "x", true);
    const y = plot.valToPos(value, "y", true);
    ctx.fillStyle = colour(value < 0 ? "--bad" : "--good");
    ctx.fillRect(x - width / 2, Math.min(y, zero), width, Math.max(1, Math.abs(zero - y)));
  });
  ctx.restore();
}

// 2026-11-01 is 1 Nov, 2026-11 is Nov 2026.
function named(day) {
  const [year, month, number] = day.split("-").map(Number);
  const when = new Date(year, month - 1, number || 1);
  return when.toLocaleDateString("en-GB", number ? { day: "numeric", month: "short" } : { month: "short", year: "numeric" });
}

function days(values) {
  const labels = values.names.map(named);
  // Where nobody points, the legend tells of the last day.
  const told = (many) => (_, value, __, index) => money(index == null ? many.at(-1) : value, values.sign);
  return {
    options: {
      scales: { x: { time: false, range: [-0.6, labels.length - 0.4] }, y: { range: (_, low, high) => padded(Math.min(low, 0), Math.max(high, 0)) } },
      axes: [{ ...axis((at) => (Number.isInteger(at) && labels[at] ? labels[at] : ""), 34), incrs: [1, 2, 5, 7, 10, 14] }, axis((value) => amount(value, values.sign), 74)],
      series: [
        { label: values.names.at(-1)?.length > 7 ? "day" : "month", value: (_, at, __, index) => labels[index == null ? labels.length - 1 : at] ?? "–" },
        { label: "saved", stroke: colour("--good"), paths: () => null, points: { show: false }, value: told(values.saved) },
        { label: "hauls avoided", stroke: colour("--link"), width: 2, points: { show: labels.length < 3, size: 8 }, value: told(values.hauled) },
      ],
      hooks: { draw: [bars] },
    },
    data: [labels.map((_, index) => index), values.saved, values.hauled],
  };
}

function padded(low, high) {
  const room = (high - low || 1) * 0.08;
  return [low < 0 ? low - room : 0, high > 0 ? high + room : 0];
}

// What a million images cost at so many a second; left of the crossing the machine costs more.
function even(values) {
  const marks = [...new Set([...Array(121).keys()].map((step) => values.least * (values.most / values.least) ** (step / 120)).concat(values.break_even, values.here, values.busy))].sort((a, b) => a - b);
  const at = (rate) => (1e6 * values.per_hour) / 3600 / rate;
  const told = (line) => (_, value, __, index) => (index == null ? money(line(values.here), values.sign) : value == null ? "–" : money(value, values.sign));
  const point = (rate, ink, size) => ({ width: 0, stroke: ink, paths: () => null, points: { show: true, size, fill: ink }, value: () => `${money(at(rate), values.sign)} at ${Number(rate.toPrecision(3))}/s` });
  const ours = colour(values.here >= values.break_even ? "--good" : "--bad");
  return {
    options: {
      scales: { x: { time: false, distr: 3 }, y: { distr: 3 } },
      axes: [{ ...axis((rate) => (rate == null ? "" : `${Number(rate.toPrecision(3))}/s`), 34) }, axis((value) => (value == null ? "" : amount(value, values.sign)), 82)],
      series: [
        { label: "images a second", value: (_, rate, __, index) => Number((index == null ? values.here : rate).toPrecision(3)).toString() },
        { label: "machine, of a million", stroke: colour("--ink"), width: 2, points: { show: false }, value: told(at) },
        { label: "haul, of a million", stroke: colour("--link"), width: 2, points: { show: false }, value: told(() => 1e6 * values.haul) },
        { label: "where we are", ...point(values.here, ours, 11) },
        { label: "always at work", ...point(values.busy, colour("--ink"), 6) },
      ],
    },
    data: [marks, marks.map(at), marks.map(() => 1e6 * values.haul), ...[values.here, values.busy].map((one) => marks.map((rate) => (rate === one ? at(rate) : null)))],
  };
}

const KINDS = { days, even };

function draw(source) {
  const target = document.getElementById(source.dataset.target);
  const text = source.dataset.values;
  const known = drawn.get(source.dataset.target);
  if (!target || (known && known.text === text && known.target === target)) return;
  const values = JSON.parse(text);
  const { options, data } = KINDS[source.dataset.chart](values);
  known?.plot.destroy();
  target.replaceChildren();
  const plot = new uPlot({ width: target.clientWidth, height: target.classList.contains("short") ? 190 : 240, cursor: { drag: { x: false, y: false } }, ...options }, data, target);
  drawn.set(target.id, { plot, text, target });
}

function drawAll() {
  for (const source of document.querySelectorAll("[data-chart]")) draw(source);
}

function again() {
  for (const { plot } of drawn.values()) plot.destroy();
  drawn.clear();
  drawAll();
}

document.addEventListener("DOMContentLoaded", () => {
  drawAll();
  document.body.addEventListener("htmx:afterSettle", drawAll);
  dark.addEventListener("change", again);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) again();
    width = innerWidth;
  });
  const sliders = [...document.querySelectorAll(".sliders input[type=range]")];
  const show = (slider) => {
    const value = Number(slider.value);
    const { told } = slider.dataset;
    slider.nextElementSibling.textContent = told === "%" ? `${(100 * value).toFixed(1)} %` : told ? amount(value, told) : String(Number(value.toFixed(2)));
  };
  for (const slider of sliders) {
    show(slider);
    slider.addEventListener("input", () => {
      slider.dataset.moved = "";
      show(slider);
    });
  }
  // What was not moved is as it was, tiers and all: it is not asked for.
  document.body.addEventListener("htmx:configRequest", (event) => {
    if (!event.detail.elt.matches(".sliders")) return;
    for (const slider of sliders) if (!("moved" in slider.dataset)) delete event.detail.parameters[slider.name];
  });
  document.querySelector(".sliders")?.addEventListener("reset", (event) => {
    for (const slider of sliders) delete slider.dataset.moved;
    setTimeout(() => {
      sliders.forEach(show);
      htmx.trigger(event.target, "input");
    });
  });
});

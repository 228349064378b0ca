"use strict";

// Every picture is fetched past the browser's own cache, so that each view asks the edge and the
// badge tells what the edge did. Cache-Status is RFC 9211.
const MAX_AT_ONCE = 6;
const ASK = { cache: "no-store", headers: { accept: "image/avif,image/webp,image/*,*/*;q=0.8" } };
const LABELS = { rehydrated: "Rehydrated", cache: "Cache", origin: "Origin", failed: "Failed" };

function readAnswer(response, size, ms) {
  const status = response.headers.get("cache-status") ?? "";
  const timing = response.headers.get("server-timing") ?? "";
  const nearest = status.split(",").at(-1);
  const detail = /;\s*detail="?([^";]*)/.exec(nearest)?.[1] ?? "";
  const avoided = Number(/(?:^|,)\s*avoided\s*;\s*desc="?(\d+)/.exec(timing)?.[1] ?? 0);
  if (/;\s*hit\b/.test(nearest)) return { outcome: "cache", reason: "", avoided, hauled: 0, size, ms };
  if (detail === "rehydrated") return { outcome: "rehydrated", reason: "", avoided, hauled: 0, size, ms };
  return { outcome: "origin", reason: detail.replace(/^origin:?/, ""), avoided: 0, hauled: size, size, ms };
}

// --- a queue of at most MAX_AT_ONCE requests; what the shopper chose goes first

const waiting = [];
let running = 0;

function enqueue(job, first = false) {
  if (first) waiting.unshift(job);
  else waiting.push(job);
  runNext();
}

function runNext() {
  while (running < MAX_AT_ONCE && waiting.length > 0) {
    running += 1;
    waiting.shift()().finally(() => {
      running -= 1;
      runNext();
      again.disabled = running > 0;
    });
  }
  again.disabled = running > 0;
}

// --- one picture

const views = new Map(); // figure -> what its last answer was

function load(figure, url, first = false) {
  figure.classList.add("loading");
  figure.dataset.wanted = url;
  enqueue(async () => {
    if (figure.dataset.wanted !== url) return;
    const view = await look(figure, url);
    if (figure.dataset.wanted !== url) return;
    figure.classList.remove("loading");
    views.set(figure, view);
    showStatus(figure, view);
    showTotals();
  }, first);
}

async function look(figure, url) {
  const started = performance.now();
  try {
    const response = await fetch(url, ASK);
    const blob = await response.blob();
    const ms = performance.now() - started;
    if (!response.ok) return { outcome: "failed", reason: `status ${response.status}`, avoided: 0, hauled: 0 };
    const image = figure.querySelector(".frame img");
    const picture = URL.createObjectURL(blob);
    image.onload = () => URL.revokeObjectURL(picture);
    image.src = picture;
    image.hidden = false;
    return readAnswer(response, blob.size, ms);
  } catch {
    return { outcome: "failed", reason: "no answer", avoided: 0, hauled: 0 };
  }
}

function showStatus(figure, view) {
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.dataset.outcome = view.outcome;
  badge.textContent = LABELS[view.outcome];
  const words = [];
  if (view.ms !== undefined) words.push(`${Math.round(view.ms)} ms`);
  if (view.reason) words.push(view.reason);
  if (view.avoided) words.push(`${kilobytes(view.avoided)} kB not hauled`);
  else if (view.hauled) words.push(`${kilobytes(view.hauled)} kB hauled`);
  figure.querySelector(".status").replaceChildren(badge, words.join(" · "));
}

// --- totals over what is on the page now

function showTotals() {
  const all = [...views.values()];
  for (const outcome of ["rehydrated", "cache", "origin"]) {
    const these = all.filter((view) => view.outcome === outcome);
    const times = these.map((view) => view.ms);
    show(outcome, these.length, times.length ? `median ${Math.round(median(times))} ms` : "");
  }
  show("avoided", kilobytes(sum(all, "avoided")), "");
  show("hauled", kilobytes(sum(all, "hauled")), "");
}

function show(name, number, note) {
  const box = document.querySelector(`[data-total="${name}"]`);
  box.querySelector("b").textContent = number.toLocaleString("en");
  box.querySelector(".time").textContent = note;
}

const sum = (all, name) => all.reduce((total, view) => total + view[name], 0);
const kilobytes = (bytes) => Math.round(bytes / 1000);

function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// --- the configurator: only combinations that exist can be chosen

const hero = document.querySelector("[data-hero]");
const form = document.querySelector(".configurator");
const again = document.querySelector(".again");
const cards = [...document.querySelectorAll("figure[data-src]")].map((figure) => ({
  figure,
  url: figure.dataset.src,
  options: JSON.parse(figure.dataset.options),
  title: figure.querySelector(".name").textContent,
}));

const wishes = () => Object.fromEntries(new FormData(form));
const fits = (card, wanted) => Object.entries(wanted).every(([name, value]) => card.options[name] === value);

function chooseHero() {
  const wanted = wishes();
  const card = cards.find((one) => fits(one, wanted));
  for (const input of form.elements) {
    if (input.type !== "radio") continue;
    input.disabled = !cards.some((one) => fits(one, { ...wanted, [input.name]: input.value }));
  }
  for (const field of form.querySelectorAll("fieldset")) {
    field.querySelector(".chosen").textContent = wanted[field.dataset.attribute] ?? "";
  }
  if (!card) return;
  form.querySelector("h1").textContent = card.title.charAt(0).toUpperCase() + card.title.slice(1);
  hero.querySelector(".frame img").alt = card.figure.querySelector(".frame img").alt;
  load(hero, card.url, true);
}

form.addEventListener("change", chooseHero);
form.addEventListener("submit", (event) => event.preventDefault());

// --- pictures load as they come into view; "again" asks for all that were shown

const seen = new Set();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      watcher.unobserve(target);
      seen.add(target);
      load(target, target.dataset.src);
    }
  },
  { rootMargin: "300px" },
);

again.addEventListener("click", () => {
  views.clear();
  chooseHero();
  for (const figure of seen) load(figure, figure.dataset.src);
});

chooseHero();
for (const { figure } of cards) watcher.observe(figure);

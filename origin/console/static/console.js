// Comparing pictures and judging by keyboard. Every page works without this file, one mode fewer.
"use strict";

const FLICKER_MS = 500;

function comparison(box) {
  const sides = Object.fromEntries([...box.querySelectorAll("[data-side]")].map((one) => [one.dataset.side, one]));
  const buttons = [...document.querySelectorAll("[data-mode]")].filter((one) => one.tagName === "BUTTON");
  const split = box.querySelector(".split");
  const range = box.querySelector("[data-split]");
  const zoom = document.querySelector("[data-zoom]");
  const pans = [...box.querySelectorAll(".pan")];
  let timer = 0;
  let before = "fit";
  let place = { left: 0, top: 0 };

  function clip() {
    const share = box.dataset.mode === "slider" ? Number(range.value) : 100;
    const pan = sides.original.querySelector(".pan");
    // Setting a style from a script is allowed by the policy; a style attribute would not be.
    pan.style.clipPath = share < 100 ? `inset(0 ${100 - share}% 0 0)` : "";
  }

  function show(mode) {
    // Browsers tell of scrolling a little later than it is done.
    pans.forEach(heed);
    // Flicker tells only where each of the picture's pixels is one of the screen's.
    if (mode === "flicker" && zoom.value === "fit") {
      before = zoom.value;
      zoom.value = "1";
    } else if (box.dataset.mode === "flicker" && mode !== "flicker" && before === "fit") {
      zoom.value = "fit";
    }
    box.dataset.mode = mode;
    clearInterval(timer);
    const pair = mode === "pair" || mode === "slider" || mode === "flicker";
    sides.original.hidden = sides.generated.hidden = !pair;
    sides.difference.hidden = mode !== "difference";
    sides.errors.hidden = mode !== "errors";
    split.hidden = mode !== "slider";
    for (const side of Object.values(sides)) {
      const image = side.querySelector("img");
      if (!side.hidden && image.dataset.src) {
        image.src = image.dataset.src;
        delete image.dataset.src;
      }
      side.style.visibility = "";
      side.style.zIndex = side.dataset.side === "original" && mode === "slider" ? 1 : "";
    }
    for (const one of buttons) one.setAttribute("aria-pressed", String(one.dataset.mode === mode));
    if (mode === "flicker") {
      let original = false;
      const other = () => {
        original = !original;
        sides.original.style.visibility = original ? "visible" : "hidden";
        sides.generated.style.visibility = original ? "hidden" : "visible";
      };
      other();
      timer = setInterval(other, FLICKER_MS);
    }
    clip();
    enlarge();
  }

  function enlarge() {
    box.dataset.zoom = zoom.value;
    for (const image of box.querySelectorAll(".pan img")) {
      const pixels = (Number(image.getAttribute("width")) * Number(zoom.value)) / devicePixelRatio;
      image.style.width = zoom.value === "fit" ? "" : `${pixels}px`;
    }
    together();
  }

  // A picture that was not shown has forgotten where the others were scrolled to.
  function together() {
    for (const pan of pans) {
      if (pan.scrollTop !== place.top) pan.scrollTop = place.top;
      if (pan.scrollLeft !== place.left) pan.scrollLeft = place.left;
    }
  }

  // One that is not shown, or not there yet, says nothing of where somebody wants to look.
  function heed(pan) {
    if (!pan.offsetParent || !pan.querySelector("img").complete) return;
    if (pan.scrollTop === place.top && pan.scrollLeft === place.left) return;
    place = { left: pan.scrollLeft, top: pan.scrollTop };
  }

  for (const pan of pans) {
    pan.addEventListener("scroll", () => {
      heed(pan);
      together();
    });
  }
  for (const one of buttons) one.addEventListener("click", () => show(one.dataset.mode));
  for (const image of box.querySelectorAll("img")) image.addEventListener("load", enlarge);
  range.addEventListener("input", clip);
  zoom.addEventListener("change", () => {
    before = zoom.value;
    enlarge();
  });
  // Beside each other two pictures are too small there.
  if (matchMedia("(max-width: 640px)").matches) show("slider");
  const toggle = (mode) => show(box.dataset.mode === mode ? "pair" : mode);
  const closer = () => {
    zoom.selectedIndex = (zoom.selectedIndex + 1) % zoom.options.length;
    zoom.dispatchEvent(new Event("change"));
  };
  return { z: closer, p: () => show("pair"), s: () => toggle("slider"), f: () => toggle("flicker"), d: () => toggle("difference"), e: () => toggle("errors") };
}

// The next candidate's pictures are drawn while this one is looked at.
function ahead(next) {
  const number = next?.match(/^\/candidates\/(\d+)/)?.[1];
  if (!number) return;
  for (const kind of ["original", "generated"]) new Image().src = `/candidates/${number}/${kind}.webp`;
}

function judging(root) {
  const modes = comparison(root.querySelector("[data-compare]"));
  const send = (name) => () => root.querySelector(`form[data-${name}]`)?.requestSubmit();
  const reasons = [...root.querySelectorAll("form[data-reject] button")];
  const go = (where) => () => { if (where) location.href = where; };
  const keys = {
    ...modes,
    j: go(root.dataset.next),
    k: go(root.dataset.previous),
    a: send("approve"),
    u: send("undo"),
    "?": () => {
      const help = root.querySelector("[data-keys]");
      help.open = !help.open;
    },
    r: () => reasons[0]?.focus(),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range]), textarea, select");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    const act = keys[event.key] ?? (reasons[Number(event.key) - 1] && (() => reasons[Number(event.key) - 1].click()));
    if (act) {
      event.preventDefault();
      act();
    }
  });
}

document.addEventListener("DOMContentLoaded", () => {
  // On a phone lists of places scroll sideways: to where somebody is.
  for (const here of document.querySelectorAll("nav [aria-current=page]")) {
    const list = here.closest("nav");
    const left = here.offsetLeft - list.offsetLeft;
    if (left + here.offsetWidth > list.clientWidth - 8) list.scrollLeft = left - (list.clientWidth - here.offsetWidth) / 2;
  }
  // What was just done is said once: not again when the page is loaded anew.
  const here = new URL(location.href);
  if (here.searchParams.has("said")) {
    here.searchParams.delete("said");
    history.replaceState(history.state, "", here);
  }
  const root = document.querySelector(".judge");
  if (root) judging(root);
  if (root) window.addEventListener("load", () => ahead(root.dataset.next));
  document.querySelector("[data-back]")?.addEventListener("click", (event) => {
    if (history.length > 1) {
      event.preventDefault();
      history.back();
    }
  });
});

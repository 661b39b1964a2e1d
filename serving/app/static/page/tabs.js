// Draw or Photo: tabs that arrows walk, as screen readers expect them.

import { byId } from "./dom.js";

const NAMES = ["draw", "photo"];

export function openTab(name, focus = false) {
  for (const each of NAMES) {
    const tab = byId(`tab-${each}`), open = each === name;
    tab.setAttribute("aria-selected", String(open));
    tab.tabIndex = open ? 0 : -1;
    byId(each).hidden = !open;
    if (open && focus) tab.focus();
  }
}

export function listenToTabs() {
  NAMES.forEach((name, i) => {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => openTab(name));
    tab.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (step) openTab(NAMES.at((i + step) % NAMES.length), true);
    });
  });
}

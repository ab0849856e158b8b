// The fleet page: every device on one canvas, the last day, the map's switch.
import { drawDay } from "./day.js";
import { Grid } from "./grid.js";

const view = document.querySelector("#every-device");
if (view) {
  const grid = new Grid(view.querySelector("#grid"));
  grid.load();
  document.body.addEventListener("fw:fleet", (event) => {
    grid.change(event.detail.changed ?? [], event.detail.devices, event.detail.reload);
    showCounts(event.detail.counts);
  });
  for (const button of view.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => {
      for (const other of view.querySelectorAll("[data-view]")) other.setAttribute("aria-pressed", other === button);
      for (const panel of view.querySelectorAll("[data-panel]")) panel.hidden = panel.dataset.panel !== button.dataset.view;
      grid.draw();
      history.replaceState(null, "", button.dataset.view === "grid" ? "/" : `/?view=${button.dataset.view}`);
    });
  }
}

function showCounts(counts) {
  if (!counts) return;
  const format = new Intl.NumberFormat("en-GB");
  for (const [name, n] of Object.entries(counts)) {
    const node = document.querySelector(`.counts [data-status="${name}"] .n`);
    if (node) node.textContent = format.format(n);
  }
}

const strip = document.querySelector("#day");
if (strip) drawDay(strip);

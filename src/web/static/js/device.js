// The device page: ranges, zoom, the link to the exact view.
import { Charts } from "./charts.js";

const HOUR = 3_600_000;
let charts;

function start() {
  const root = document.querySelector("#charts");
  if (!root || root === charts?.root) return;
  charts?.destroy();
  charts = new Charts(root, { onZoom: zoom });
}

const buttons = () => [...document.querySelectorAll("[data-hours]")];

function show(from, to, hours) {
  for (const button of buttons()) button.setAttribute("aria-pressed", Number(button.dataset.hours) === hours);
  const query = new URLSearchParams(location.search);
  for (const name of ["from", "to", "range"]) query.delete(name);
  if (hours) query.set("range", hours < 48 ? `${hours}h` : `${hours / 24}d`);
  else { query.set("from", new Date(Math.round(from)).toISOString()); query.set("to", new Date(Math.round(to)).toISOString()); }
  history.replaceState(null, "", `${location.pathname}?${query}`);
  const csv = document.querySelector("#csv");
  if (csv) {
    const link = new URL(csv.href);
    link.searchParams.set("from", new Date(Math.round(from)).toISOString());
    link.searchParams.set("to", new Date(Math.round(to)).toISOString());
    csv.href = link;
  }
  document.querySelector("#whole")?.toggleAttribute("hidden", Boolean(hours));
  charts.load(from, to);
}

function zoom(from, to) {
  if (from == null) range(24); else show(from, to, null);
}

function range(hours) {
  const to = Number(charts.root.dataset.last ?? 0) || Date.now();
  const end = Math.max(to, Date.now() - (Date.now() - to > 2 * HOUR ? Infinity : 0));
  show(end - hours * HOUR, end, hours);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-hours]");
  if (button) range(Number(button.dataset.hours));
  if (event.target.closest("#whole")) range(24);
});
document.addEventListener("htmx:after:swap", start);

// Minutes go by: a view that ends now moves on.
let moved = Date.now();
document.body.addEventListener("fw:fleet", () => {
  const pressed = buttons().find((button) => button.getAttribute("aria-pressed") === "true");
  if (!charts || !pressed || Date.now() - moved < 55_000 || document.hidden || Date.now() - charts.to > 2 * HOUR) return;
  moved = Date.now();
  charts.load(Date.now() - Number(pressed.dataset.hours) * HOUR, Date.now());
});
start();
document.body.addEventListener("fw:alert", (event) => {
  const top = document.querySelector("#device-top");
  const mine = Number(top?.dataset.deviceKey) === event.detail.device_key;
  if (mine && !document.querySelector("dialog[open]")) top.dispatchEvent(new CustomEvent("fw:here"));
});

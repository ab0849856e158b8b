// The inbox: one key for each act, several alerts at once, charts of the chosen one.
import { Charts } from "./charts.js";

let charts;
const $ = (selector) => document.querySelector(selector);
const rows = () => [...document.querySelectorAll("#inbox li.row")];
const marked = new Set();

function start() {
  const root = $("#alert-charts");
  if (root !== charts?.root) {
    charts?.destroy();
    charts = root ? new Charts(root) : undefined;
  }
  for (const box of document.querySelectorAll("#inbox input[type=checkbox]")) box.checked = marked.has(box.value);
  const present = new Set([...document.querySelectorAll("#inbox input[type=checkbox]")].map((box) => box.value));
  for (const id of marked) if (!present.has(id)) marked.delete(id);
  countMarked();
}

function countMarked() {
  const bulk = $("#bulk");
  if (!bulk) return;
  bulk.hidden = marked.size === 0;
  bulk.querySelector(".n").textContent = `${marked.size} chosen`;
}

function move(step) {
  const all = rows();
  if (!all.length) return;
  const here = all.findIndex((row) => row.classList.contains("chosen"));
  const next = all[Math.min(all.length - 1, Math.max(0, here + step))];
  if (!next || all[here] === next) return;
  for (const row of all) row.classList.toggle("chosen", row === next);
  next.scrollIntoView({ block: "nearest" });
  next.querySelector("a.open").click();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=checkbox]), select, textarea") || $("dialog[open]")) return;
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "x") $("#inbox li.row.chosen input[type=checkbox]")?.click();
  else return;
  event.preventDefault();
});
document.addEventListener("change", (event) => {
  if (!event.target.matches("#inbox input[type=checkbox]")) return;
  if (event.target.checked) marked.add(event.target.value); else marked.delete(event.target.value);
  countMarked();
});
// While the next alert is on its way, a key must not act on the one before.
const fromInbox = (event) => event.detail.ctx.sourceElement.matches("a.open");
document.addEventListener("htmx:before:request", (event) => { if (fromInbox(event)) document.body.dataset.moving = ""; });
const arrived = () => { delete document.body.dataset.moving; start(); };
document.addEventListener("htmx:error", arrived);
document.addEventListener("htmx:after:swap", arrived);
start();

// What every page has: times, theme, live news, dialogs, messages, keys.
import { connect } from "./live.js";
import { localise } from "./time.js";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

localise();
setInterval(localise, 10_000);
document.addEventListener("htmx:after:swap", () => { localise(); toastsFade(); });

/* theme */
const showTheme = () => {
  for (const button of $$("[data-set-theme]")) button.setAttribute("aria-pressed", button.dataset.setTheme === document.documentElement.dataset.themeWish);
};
document.addEventListener("fw:theme", showTheme);
showTheme();

/* clicks that need no server */
document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest(selector);
  const theme = at("[data-set-theme]");
  if (theme) document.dispatchEvent(new CustomEvent("fw:set-theme", { detail: theme.dataset.setTheme }));
  const opener = at("[data-dialog]");
  if (opener) openDialog(opener.dataset.dialog);
  if (at("[data-close]")) at("dialog")?.close();
  if (at(".toast button")) at(".toast").remove();
  const copy = at("[data-copy]");
  if (copy) copyText(copy);
  for (const menu of $$("details.account[open]")) if (!menu.contains(event.target)) menu.open = false;
});

async function copyText(button) {
  const text = $(button.dataset.copy).textContent;
  await navigator.clipboard.writeText(text);
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1600);
}

/** Open the dialog of that id, unless there is none. */
export function openDialog(id) {
  const dialog = document.getElementById(id);
  if (!dialog || dialog.open) return;
  for (const field of $$("input[data-now]", dialog)) if (!field.value) field.value = localInput(Date.now() + Number(field.dataset.now));
  dialog.showModal();
}
const localInput = (ms) => new Date(ms - new Date(ms).getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

// Date fields hold the reader's wall clock; what is sent is UTC.
document.addEventListener("htmx:config:request", (event) => toUtc(event.detail.ctx.request.body, event.detail.ctx.request.form));
document.addEventListener("submit", (event) => { for (const field of $$("input[data-utc]", event.target)) { const hidden = $(`input[name="${field.dataset.utc}"]`, event.target); if (hidden) hidden.value = field.value ? new Date(field.value).toISOString() : ""; } }, true);
function toUtc(body, form) {
  if (!body || !form) return;
  for (const field of $$("input[data-utc]", form)) body.set(field.dataset.utc, field.value ? new Date(field.value).toISOString() : "");
}

/* messages */
export function toast(text) {
  const box = document.createElement("div");
  box.className = "toast";
  box.textContent = text;
  $("#toasts").append(box);
  toastsFade();
}
function toastsFade() {
  for (const box of $$(".toast:not([data-timed])")) { box.dataset.timed = ""; setTimeout(() => box.remove(), 7000); }
}
toastsFade();
document.addEventListener("htmx:error", (event) => {
  if (event.detail.error?.name !== "AbortError") toast("That did not reach the server. Check the connection, then try again.");
});
document.addEventListener("htmx:response:error", async (event) => {
  const { ctx } = event.detail;
  let detail = "";
  try { detail = JSON.parse(ctx.text).detail; } catch { detail = `The server answered ${ctx.response.status}. Try again; if it stays, look at its log.`; }
  ctx.swap = "none";
  toast(detail);
});

/* keys; those of a page come from its own module */
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input:not([type=checkbox]), textarea, select, [contenteditable]") || $("dialog[open]")) return;
  if (event.key === "/") { const box = $("[data-find]"); if (box) { event.preventDefault(); box.focus(); box.select(); } return; }
  if (event.key === "?") { openDialog("keys-help"); return; }
  if ("moving" in document.body.dataset) return;
  const button = $(`[data-key="${CSS.escape(event.key)}"]:not([disabled])`);
  if (button) { event.preventDefault(); button.click(); }
});

/* on a phone the sections of a page are a row that scrolls */
$(".sections [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

/* live */
const live = $("#live");
if (live) {
  const words = $(".words", live);
  const number = new Intl.NumberFormat("en-GB");
  let lost;
  let recount;
  connect(({ kind, data }) => {
    if (kind === "state") {
      clearTimeout(lost);
      const show = () => { live.dataset.state = data; words.textContent = data === "live" ? live.dataset.words ?? "Live" : "Not live, reconnecting"; };
      if (data === "lost" && live.dataset.state === "live") lost = setTimeout(show, 1500); else show();
      return;
    }
    if (kind === "fleet") {
      live.dataset.words = data.readings_per_min == null ? "Live" : `Live, ${number.format(data.readings_per_min)} readings/min`;
      if (live.dataset.state === "live") words.textContent = live.dataset.words;
    }
    if (kind === "fleet" && data.devices && $("[data-empty]")) { location.reload(); return; } // the first reading came
    if (kind === "alert" && data.what === "fired") $("#news").textContent = `New alert. ${data.sentence}`;
    if (kind !== "fleet") { clearTimeout(recount); recount = setTimeout(countOpen, 400); }
    document.body.dispatchEvent(new CustomEvent(kind === "fleet" ? "fw:fleet" : "fw:alert", { detail: data }));
  });
}

async function countOpen() {
  const answer = await fetch("/api/v1/fleet", { headers: { Accept: "application/json" } });
  const badge = $("#open-alerts");
  if (!answer.ok || !badge) return;
  const { open } = (await answer.json()).alerts;
  badge.textContent = new Intl.NumberFormat("en-GB").format(open);
  badge.hidden = !open;
}

// Live news for this tab, from the one stream all tabs of the browser share.
import { openStream } from "./live-source.js";

const LEASE = "fw-live-leader";
const LEASE_MS = 4000;

/** Call `receive({kind, data})` for every message from now on. */
export function connect(receive) {
  if ("SharedWorker" in window) bySharedWorker(receive);
  else byElection(receive);
}

function bySharedWorker(receive) {
  let port;
  const join = () => {
    const worker = new SharedWorker(new URL("./live-worker.js", import.meta.url), { type: "module", name: "faultwatch" });
    port = worker.port;
    port.onmessage = (event) => receive(event.data);
    port.start();
  };
  join();
  window.addEventListener("pagehide", () => port.postMessage("leave"));
  window.addEventListener("pageshow", (event) => { if (event.persisted) join(); });
}

// Where there are no shared workers, tabs elect one: who holds the lease streams, and tells the others.
function byElection(receive) {
  const me = crypto.getRandomValues(new Uint32Array(2)).join("-");
  const channel = new BroadcastChannel("fw-live");
  let close;
  let state;
  let last = ""; // the newest event's id, whoever streamed it: who takes over catches up from there
  const take = (message) => {
    last = message.id || last;
    receive(message);
  };
  channel.onmessage = (event) => {
    if (event.data === "state?") { if (close && state) channel.postMessage({ ...state, id: last }); } else if (!close) take(event.data);
  };
  const holder = () => {
    const [id, until] = (localStorage.getItem(LEASE) ?? "").split(" ");
    return Number(until) > Date.now() ? id : null;
  };
  const claim = () => localStorage.setItem(LEASE, `${me} ${Date.now() + LEASE_MS}`);
  const lead = () => {
    close ??= openStream((message) => {
      if (message.kind === "state") state = message;
      take(message);
      channel.postMessage(message);
    }, last);
  };
  const stand = () => {
    const current = holder();
    if (current === me) { claim(); lead(); } else if (current) { close?.(); close = undefined; } else {
      claim();
      setTimeout(() => { if (holder() === me) lead(); }, 60 + Math.random() * 120); // two may claim at once; the last write leads
    }
  };
  stand();
  setInterval(stand, LEASE_MS / 2);
  channel.postMessage("state?");
  window.addEventListener("pagehide", () => { if (holder() === me) localStorage.removeItem(LEASE); close?.(); close = undefined; });
}

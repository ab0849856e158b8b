// One event stream: connects, catches up after a break by the last event's id, and says how it stands.
const KINDS = ["alert", "device", "historic_alerts", "fleet"];

/**
 * Open the stream after the event `after` ("": from now on). `post` gets {kind, data, id} for each event and
 * {kind: "state", data: "live" | "lost", id}; `id` is the last event's. Returns close().
 */
export function openStream(post, after = "") {
  let source;
  let last = after;
  let wait = 500;
  let timer;
  let closed = false;
  const start = () => {
    source = new EventSource(`/api/v1/events${last ? `?after=${last}` : ""}`);
    source.onopen = () => { wait = 500; post({ kind: "state", data: "live", id: last }); };
    source.onerror = () => {
      post({ kind: "state", data: "lost", id: last });
      source.close();
      if (!closed) timer = setTimeout(start, wait + Math.random() * 250);
      wait = Math.min(wait * 2, 15_000);
    };
    for (const kind of KINDS) {
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) last = event.lastEventId;
        post({ kind, data: JSON.parse(event.data), id: last });
      });
    }
    source.addEventListener("hello", (event) => {
      if (event.lastEventId) last = event.lastEventId;
      post({ kind: "state", data: "live", id: last });
    });
  };
  start();
  return () => { closed = true; clearTimeout(timer); source.close(); };
}

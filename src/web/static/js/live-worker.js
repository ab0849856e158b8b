// Shared by all tabs of this browser: they have six connections to the server between them, so one stream serves all.
import { openStream } from "./live-source.js";

const ports = new Set();
let state;
let fleet;
let close;

const post = (message) => {
  if (message.kind === "state") state = message;
  if (message.kind === "fleet") fleet = { kind: "fleet", data: { ...message.data, changed: [] } };
  for (const port of ports) port.postMessage(message);
};

self.onconnect = (event) => {
  const port = event.ports[0];
  ports.add(port);
  port.onmessage = (message) => {
    if (message.data === "leave") ports.delete(port);
    if (!ports.size && close) { close(); close = undefined; state = undefined; }
  };
  port.start();
  if (state) port.postMessage(state);
  if (fleet) port.postMessage(fleet);
  close ??= openStream(post);
};

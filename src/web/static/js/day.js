// The last 24 hours of the fleet: how many alerts were open, each new one marked.
import { GUTTER, RIGHT, tokens, xAxis } from "./plot.js";

const uPlot = window.uPlot;
const COLOURS = { anomaly: "suspect", fault: "faulty", sensor: "suspect" };

export async function drawDay(root) {
  const response = await fetch(root.dataset.url, { headers: { Accept: "application/json" } });
  if (!response.ok) { root.textContent = "The last 24 hours could not be loaded. Reload the page."; return; }
  const answer = await response.json();
  await document.fonts.ready;
  let plot;
  const draw = () => {
    plot?.destroy();
    const t = tokens();
    const seconds = (text) => Date.parse(text) / 1000;
    const data = [answer.timestamp.map(seconds), answer.open];
    const top = Math.max(4, ...answer.open) * 1.15;
    root.replaceChildren();
    plot = new uPlot({
      width: root.clientWidth, height: 104, padding: [6, RIGHT, 0, 0], legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: () => [data[0][0], data[0].at(-1)] }, y: { range: () => [0, top] } },
      axes: [xAxis(t, true), { stroke: t.text, font: t.font, size: GUTTER - 14, gap: 6, grid: { stroke: t.line, width: 1 }, ticks: { show: false }, splits: () => [0, Math.ceil(top / 1.15)] }],
      series: [{}, { stroke: t.series, width: 1.2, fill: t.band, paths: uPlot.paths.stepped({ align: 1 }), points: { show: false } }],
      hooks: {
        draw: [(u) => {
          const ratio = devicePixelRatio || 1;
          for (const mark of answer.alerts) {
            u.ctx.fillStyle = t[mark.severity === "critical" ? "faulty" : COLOURS[mark.kind] ?? "silent"];
            u.ctx.fillRect(Math.round(u.valToPos(seconds(mark.fired), "x", true)) - ratio, u.bbox.top, 2 * ratio, u.bbox.height);
          }
        }],
      },
    }, data, root);
  };
  draw();
  new ResizeObserver(() => { if (plot && plot.width !== root.clientWidth) plot.setSize({ width: root.clientWidth, height: 104 }); }).observe(root);
  document.addEventListener("fw:theme", draw);
}

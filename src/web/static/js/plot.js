// What all charts share: tokens of the theme, an x axis in the reader's zone, one gutter so that plotting areas line up.
import { clock, day, hour } from "./time.js";

export const GUTTER = 50;
export const RIGHT = 12;

export function tokens() {
  const style = getComputedStyle(document.documentElement);
  const get = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    series: get("series"), band: get("band"), line: get("line"), text: get("text-2"), quiet: get("text-3"), faulty: get("faulty-cell"),
    suspect: get("suspect-cell"), silent: get("silent"), maintenance: get("maintenance"), accent: get("accent"),
    faultySoft: get("faulty-soft"), suspectSoft: get("suspect-soft"), font: `11px ${get("font")}`, surface: get("surface"),
  };
}

const DAY = 86_400;
const STEPS = [60, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, DAY, 2 * DAY, 7 * DAY];

/** Ticks at round wall-clock times of the reader's zone. */
export function timeSplits(u, _axis, from, to) {
  const room = Math.max(2, Math.floor(u.bbox.width / (devicePixelRatio || 1) / 78));
  const step = STEPS.find((s) => (to - from) / s <= room) ?? 14 * DAY;
  const shift = new Date(from * 1000).getTimezoneOffset() * 60;
  const ticks = [];
  const edge = to - ((to - from) * 14) / Math.max(200, u.bbox.width / (devicePixelRatio || 1)); // no label is cut off
  for (let t = Math.ceil((from - shift) / step) * step + shift; t <= edge; t += step) ticks.push(t);
  return ticks;
}

/** "20:00", with the day below where it changes; days alone where ticks are days apart. */
export function timeLabels(_u, splits) {
  const daily = splits.length > 1 && splits[1] - splits[0] >= DAY;
  let before = "";
  return splits.map((s) => {
    const today = day(s * 1000);
    if (daily) return today;
    const label = splits[1] - splits[0] < 3600 ? clock(s * 1000) : hour(s * 1000);
    const text = today === before ? label : `${label}\n${today}`;
    before = today;
    return text;
  });
}

export const xAxis = (t, shown) => ({
  show: true, stroke: t.text, font: t.font, size: shown ? 42 : 0, gap: 6, splits: timeSplits, values: shown ? timeLabels : () => [],
  grid: { stroke: t.line, width: 1 }, ticks: { show: false },
});

/** Figures with the decimals their step asks for. */
export function figure(value, precision) {
  if (value == null) return "–";
  const size = Math.abs(value);
  const places = precision ? Math.max(0, Math.ceil(-Math.log10(precision) - 1e-9)) : size >= 1000 ? 0 : size >= 100 ? 1 : size >= 1 ? 2 : 3;
  return value.toLocaleString("en-GB", { minimumFractionDigits: Math.min(places, 3), maximumFractionDigits: Math.min(places, 3) });
}

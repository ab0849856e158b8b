// Times as people read them: the reader's zone, 12 or 24 hours as their locale has it, one language on the page.
const hour12 = ["h11", "h12"].includes(new Intl.DateTimeFormat(undefined, { hour: "numeric" }).resolvedOptions().hourCycle);
const make = (options) => new Intl.DateTimeFormat("en-GB", { hour12, ...options });
const clockFormat = make({ hour: hour12 ? "numeric" : "2-digit", minute: "2-digit" });
const hourFormat = make({ hour: "numeric" });
const dayFormat = make({ day: "numeric", month: "short", hour12: undefined });
const yearFormat = make({ day: "numeric", month: "short", year: "numeric", hour12: undefined });
const exactFormat = make({ weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short" });

export const clock = (ms) => clockFormat.format(ms);
export const hour = (ms) => (hour12 ? hourFormat.format(ms).replace(" ", "") : clockFormat.format(ms));
export const day = (ms) => (Date.now() - ms > 300 * 86_400_000 ? yearFormat : dayFormat).format(ms);
export const exact = (ms) => exactFormat.format(ms);
const sameDay = (a, b) => yearFormat.format(a) === yearFormat.format(b);

/** "14:02" today, "3 Nov" before. */
export const brief = (ms) => (sameDay(ms, Date.now()) ? clock(ms) : day(ms));
/** "14:02" today, "3 Nov, 14:02" before. */
export const moment = (ms) => (sameDay(ms, Date.now()) ? clock(ms) : `${day(ms)}, ${clock(ms)}`);

/** "12 s", "48 min", "3 h 12 min", "2 d 4 h", "2,480 d". */
export function duration(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return `${s} s`;
  const min = Math.floor(s / 60);
  if (min < 60) return `${min} min`;
  const h = Math.floor(min / 60);
  if (h < 48) return min % 60 ? `${h} h ${min % 60} min` : `${h} h`;
  const d = Math.floor(h / 24);
  return h % 24 && d < 30 ? `${d} d ${h % 24} h` : `${d.toLocaleString("en")} d`;
}

const styles = { clock, brief, moment, day, ago: (ms) => `${duration(Date.now() - ms)} ago`, since: (ms) => duration(Date.now() - ms) };

/** Write every <time data-as> below `root` in the reader's zone. */
export function localise(root = document) {
  for (const node of root.querySelectorAll("time[data-as]")) {
    const ms = Date.parse(node.dateTime);
    const text = styles[node.dataset.as](ms);
    if (node.textContent !== text) node.textContent = text;
    if (!node.title) node.title = exact(ms);
  }
}

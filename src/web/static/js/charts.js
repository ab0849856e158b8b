// Charts of a device: the score, then one per sensor, on one x axis and one cursor.
import { figure, GUTTER, RIGHT, tokens, xAxis } from "./plot.js";
import { clock, moment } from "./time.js";

const uPlot = window.uPlot;
const MARK_COLOURS = { anomaly: "suspect", fault: "faulty", silent: "silent", sensor: "suspect", threshold: "suspect", site: "silent", maintenance: "maintenance", confirmed: "faulty" };

export class Charts {
  /** `root` carries data-url, data-from, data-to, data-onset, data-sensors, and optionally a list of marks. */
  constructor(root, { onZoom } = {}) {
    this.root = root;
    this.onZoom = onZoom;
    this.plots = [];
    const { url, from, to, onset, until, sensors, severity } = root.dataset;
    Object.assign(this, { url, severity, onset: onset ? Number(onset) / 1000 : null, until: until ? Number(until) / 1000 : null });
    this.only = sensors ? sensors.split(",") : null;
    const script = document.getElementById(root.dataset.marks ?? "");
    this.marks = script ? JSON.parse(script.textContent) : [];
    this.resize = new ResizeObserver(() => this.fit());
    this.resize.observe(root);
    this.retheme = () => this.answer && this.draw();
    document.addEventListener("fw:theme", this.retheme);
    this.load(Number(from), Number(to));
  }

  destroy() {
    this.resize.disconnect();
    document.removeEventListener("fw:theme", this.retheme);
    this.clear();
  }

  /** Fetch what fits the width, from and to in ms, and draw it. */
  async load(from, to) {
    const points = Math.min(2000, Math.max(200, Math.round(this.root.clientWidth / 100) * 100));
    this.request?.abort();
    this.request = new AbortController();
    const query = new URLSearchParams({ from: new Date(from).toISOString(), to: new Date(to).toISOString(), resolution: points });
    if (this.only) query.set("sensors", this.only.join(","));
    const join = this.url.includes("?") ? "&" : "?";
    let answer;
    try {
      const response = await fetch(`${this.url}${join}${query}`, { headers: { Accept: "application/json" }, signal: this.request.signal });
      answer = await response.json();
      if (!response.ok) throw new Error(answer.detail);
    } catch (error) {
      if (error.name === "AbortError") return;
      this.say(`The readings could not be loaded. ${error.message}`);
      return;
    }
    this.from = from;
    this.to = to;
    this.answer = answer;
    await document.fonts.ready;
    this.draw();
  }

  say(text) {
    this.clear();
    this.root.replaceChildren(Object.assign(document.createElement("p"), { className: "empty-chart", textContent: text }));
  }

  clear() {
    for (const { plot } of this.plots) plot.destroy();
    this.plots = [];
  }

  draw() {
    const { answer } = this;
    if (!answer.timestamp.length) { this.say("No readings in this time. Choose a longer range."); return; }
    const t = (this.tokens = tokens());
    const { times, pick } = withGaps(answer);
    const built = document.createDocumentFragment();
    const before = this.plots;
    this.plots = [];
    const names = Object.keys(answer.sensors);
    const specs = [];
    if (answer.score.some((s) => s != null)) specs.push(this.scoreSpec(answer, times, pick, t));
    for (const name of names) specs.push(this.sensorSpec(name, answer, times, pick, t));
    const key = `fw-${this.url}`;
    specs.forEach((spec, i) => {
      const box = document.createElement("section");
      box.className = "chart";
      box.append(head(spec));
      const holder = Object.assign(document.createElement("div"), { className: "plot" });
      holder.setAttribute("role", "img");
      holder.setAttribute("aria-label", spec.words);
      box.append(holder);
      built.append(box);
      spec.holder = holder;
      spec.box = box;
      spec.last = i === specs.length - 1;
      spec.key = key;
    });
    for (const spec of specs) this.plots.push({ spec, plot: this.make(spec, t) });
    for (const { plot } of before) plot.destroy();
    this.root.replaceChildren(built); // all at once, so that nothing jumps
    this.figures(null);
    this.root.dataset.drawn = String(specs.length);
  }

  scoreSpec(answer, times, pick, t) {
    const score = pick(answer.score);
    const limit = answer.threshold;
    const over = limit == null ? score.map(() => null) : score.map((s, i) => (s != null && (s >= limit || (score[i + 1] ?? 0) >= limit || (score[i - 1] ?? 0) >= limit) ? s : null));
    const top = Math.max(limit ? limit * 1.35 : 1, ...score.map((s) => (s ?? 0) * 1.08));
    return {
      title: "Anomaly score", unit: limit == null ? "" : `alert above ${figure(limit, 0.1)}`, height: 82, precision: 0.1, limit, words: "Anomaly score over time",
      data: [times, score, over],
      series: [{}, { stroke: t.series, width: 1.1, fill: t.band, spanGaps: false, points: { show: false } }, { stroke: t.faulty, width: 1.4, fill: this.fade(t.faulty), points: { show: false } }],
      range: [0, top], splits: () => (limit == null ? [0, Math.round(top)] : [0, limit]), outside: (i) => limit != null && (score[i] ?? 0) >= limit, value: (i) => score[i],
    };
  }

  fade(colour) {
    return (u) => {
      const { top, height } = u.bbox;
      const gradient = u.ctx.createLinearGradient(0, top, 0, top + height);
      gradient.addColorStop(0, `${colour}99`);
      gradient.addColorStop(1, `${colour}10`);
      return gradient;
    };
  }

  sensorSpec(name, answer, times, pick, t) {
    const meta = answer.about[name];
    const value = pick(answer.sensors[name]);
    const low = pick(answer.expected[name]?.low ?? []);
    const high = pick(answer.expected[name]?.high ?? []);
    const out = (i) => value[i] != null && low[i] != null && (value[i] < low[i] || value[i] > high[i]);
    const red = value.map((v, i) => (v != null && (out(i) || out(i - 1) || out(i + 1)) ? v : null));
    let [min, max] = [Infinity, -Infinity];
    for (const list of [value, low, high]) for (const v of list) if (v != null) { if (v < min) min = v; if (v > max) max = v; }
    if (!(max >= min)) [min, max] = [0, 1];
    const room = (max - min || Math.abs(max) * 0.1 || 1) * 0.09;
    return {
      title: meta.label, unit: meta.unit, height: 110, precision: meta.precision, words: `${meta.label} over time, with the range that was expected`,
      data: [times, low, high, value, red],
      series: [{}, { points: { show: false }, width: 0, stroke: "transparent", spanGaps: true }, { points: { show: false }, width: 0, stroke: "transparent", spanGaps: true },
        { stroke: t.series, width: 1.1, points: { show: lonely(value), size: 3, fill: t.series } }, { stroke: t.faulty, width: 1.5, points: { show: false } }],
      bands: [{ series: [2, 1], fill: t.band }], range: [min - room, max + room], outside: out, value: (i) => value[i], low, high,
    };
  }

  make(spec, t) {
    const shown = spec.last;
    const options = {
      width: this.width(), height: spec.height + (shown ? 42 : 0), padding: [8, RIGHT, shown ? 2 : 8, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, sync: { key: spec.key, setSeries: false }, drag: { x: true, y: false, setScale: false }, focus: { prox: -1 } },
      scales: { x: { time: false, range: () => [this.from / 1000, this.to / 1000] }, y: { range: () => spec.range } },
      axes: [xAxis(t, shown), { stroke: t.text, font: t.font, size: GUTTER, gap: 6, grid: { stroke: t.line, width: 1 }, ticks: { show: false }, space: 24, ...(spec.splits ? { splits: spec.splits } : {}), values: (_u, ticks) => ticks.map((v) => v.toLocaleString("en-GB", { maximumFractionDigits: spec.low ? 3 : 1 })) }],
      series: spec.series, bands: spec.bands,
      hooks: {
        drawClear: [(u) => this.shade(u, t)],
        draw: [(u) => this.drawMarks(u, spec, t)],
        setCursor: [(u) => { if (u === this.plots[0]?.plot) this.figures(u.cursor.idx); }],
        setSelect: [(u) => {
          if (!this.onZoom || u.select.width < 6) return;
          const from = u.posToVal(u.select.left, "x") * 1000;
          const to = u.posToVal(u.select.left + u.select.width, "x") * 1000;
          u.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          if (to - from >= 60_000) this.onZoom(from, to);
        }],
      },
    };
    const plot = new uPlot(options, spec.data, spec.holder);
    plot.over.addEventListener("dblclick", () => this.onZoom?.(null, null));
    return plot;
  }

  // The time since onset lies behind everything else.
  shade(u, t) {
    if (this.onset == null) return;
    const left = Math.max(u.bbox.left, u.valToPos(this.onset, "x", true));
    const end = this.until == null ? u.bbox.left + u.bbox.width : Math.min(u.bbox.left + u.bbox.width, u.valToPos(this.until, "x", true));
    if (end <= left) return;
    u.ctx.save();
    u.ctx.fillStyle = this.severity === "suspect" ? t.suspectSoft : t.faultySoft;
    u.ctx.globalAlpha = 0.72;
    u.ctx.fillRect(left, u.bbox.top, end - left, u.bbox.height);
    u.ctx.restore();
  }

  drawMarks(u, spec, t) {
    const ratio = devicePixelRatio || 1;
    u.ctx.save();
    if (spec.limit != null) {
      const y = u.valToPos(spec.limit, "y", true);
      u.ctx.strokeStyle = t.faulty; u.ctx.lineWidth = ratio; u.ctx.globalAlpha = 0.55; u.ctx.setLineDash([4 * ratio, 4 * ratio]);
      u.ctx.beginPath(); u.ctx.moveTo(u.bbox.left, y); u.ctx.lineTo(u.bbox.left + u.bbox.width, y); u.ctx.stroke(); u.ctx.setLineDash([]);
    }
    u.ctx.globalAlpha = 1;
    for (const mark of this.marks) {
      const x = Math.round(u.valToPos(mark.at_ms / 1000, "x", true));
      if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
      u.ctx.fillStyle = t[MARK_COLOURS[mark.kind] ?? "quiet"];
      u.ctx.globalAlpha = mark.historic ? 0.45 : 0.85;
      u.ctx.fillRect(x, u.bbox.top, ratio, u.bbox.height);
    }
    u.ctx.restore();
  }

  width() { return Math.max(220, (this.root.querySelector(".plot")?.clientWidth ?? this.root.clientWidth) - horizontalPadding(this.root)); }

  fit() {
    const width = this.plots.length && this.width();
    for (const { plot, spec } of this.plots) if (plot.width !== width) plot.setSize({ width, height: spec.height + (spec.last ? 42 : 0) });
  }

  /** Figures at the right: at the cursor, or the line's last point. */
  figures(at) {
    for (const { spec } of this.plots) {
      const i = at ?? lastIndex(spec.data[spec.low ? 3 : 1]);
      const now = spec.box.querySelector(".now");
      const value = i == null ? null : spec.value(i);
      now.textContent = figure(value, spec.precision);
      now.classList.toggle("outside", i != null && value != null && spec.outside(i));
      const expected = spec.box.querySelector(".expected");
      if (expected) expected.textContent = i != null && spec.low[i] != null ? `expected ${figure(spec.low[i], spec.precision)} to ${figure(spec.high[i], spec.precision)}` : "";
    }
    const when = document.querySelector("[data-cursor-time]");
    if (when) {
      const ms = at == null ? null : this.plots[0]?.spec.data[0][at] * 1000;
      when.textContent = ms ? `at ${this.to - this.from > 86_400_000 ? moment(ms) : clock(ms)}` : when.dataset.cursorTime;
    }
  }
}

const horizontalPadding = (root) => {
  const plot = root.querySelector(".plot");
  if (!plot) return 0;
  const style = getComputedStyle(plot);
  return parseFloat(style.paddingLeft) + parseFloat(style.paddingRight);
};
const lonely = (values) => (values.filter((v) => v != null).length <= 2 ? true : false);

function head(spec) {
  const row = document.createElement("div");
  row.className = "chart-head";
  const part = (name, text) => { const node = document.createElement("span"); node.className = name; node.textContent = text; return node; };
  const figures = part("figures", "");
  figures.append(part("now", ""));
  if (spec.low) figures.append(part("expected", ""));
  const title = document.createElement("h3");
  title.className = "title";
  title.textContent = spec.title;
  row.append(title, part("unit", spec.unit), figures);
  return row;
}

function lastIndex(values) {
  for (let i = values.length - 1; i >= 0; i--) if (values[i] != null) return i;
  return null;
}

// A gap is a gap: where nothing came for more than two intervals, a point without a value breaks the line.
function withGaps(answer) {
  const step = Math.max(answer.interval_ms * 2.5, (answer.bucket_ms ?? 0) * 1.75) / 1000;
  const times = [];
  const source = [];
  answer.timestamp.forEach((text, i) => {
    const at = Date.parse(text) / 1000;
    if (times.length && at - times.at(-1) > step) { times.push((times.at(-1) + at) / 2); source.push(-1); }
    times.push(at);
    source.push(i);
  });
  return { times, pick: (list) => source.map((i) => (i < 0 ? null : list[i] ?? null)) };
}

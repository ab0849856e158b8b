// A cell a device, ordered by site then id, on one canvas: 100,000 of them draw in some tens of milliseconds.
const NAMES = ["learning", "healthy", "suspect", "faulty", "silent", "maintenance"];
const SIZES = [[17, 2], [13, 2], [10, 2], [8, 1], [6, 1], [4, 1], [3, 1], [2, 0]];
const ROOM = 540;

export class Grid {
  constructor(root) {
    this.root = root;
    this.canvas = root.querySelector("canvas");
    this.tip = document.querySelector("#grid-tip");
    this.skeleton = root.querySelector(".skeleton");
    this.canvas.addEventListener("mousemove", (event) => this.hover(event));
    this.canvas.addEventListener("mouseleave", () => { this.tip.hidden = true; });
    this.canvas.addEventListener("click", (event) => { const i = this.at(event); if (i >= 0) location.href = this.address(i); });
    new ResizeObserver(() => this.draw()).observe(root);
    document.addEventListener("fw:theme", () => this.draw());
    document.fonts.ready.then(() => this.draw());
  }

  async load() {
    const answer = await fetch(this.root.dataset.url, { headers: { Accept: "application/json" } });
    if (!answer.ok) { this.skeleton.textContent = "The grid could not be loaded. Reload the page."; return; }
    this.data = await answer.json();
    this.status = Uint8Array.from(this.data.status, (c) => c.charCodeAt(0) - 48);
    this.index = new Map(this.data.keys.map((key, i) => [key, i]));
    this.skeleton.remove();
    this.canvas.hidden = false;
    this.draw();
  }

  /** Take over changes [[key, status code], …]; reload when the fleet has grown. */
  change(changes, devices, all = false) {
    if (!this.data || this.data.unit !== "device") return;
    if (all || (devices !== undefined && devices !== this.status.length)) { this.load(); return; }
    let any = false;
    for (const [key, status] of changes) {
      const i = this.index.get(key);
      if (i !== undefined && this.status[i] !== status) { this.status[i] = status; any = true; }
    }
    if (any) this.draw();
  }

  layout(width) {
    const { sites } = this.data;
    const narrow = width < 560;
    const labelled = sites.length <= 60;
    const left = labelled && !narrow ? 132 : 0;
    for (const [cell, gap] of SIZES) {
      const step = cell + gap;
      const perRow = Math.max(1, Math.floor((width - left) / step));
      const rows = [];
      let y = 0;
      if (labelled) {
        for (const site of sites) {
          const lines = Math.ceil(site.count / perRow);
          const top = narrow ? 24 : Math.max(0, (20 - step) / 2);
          rows.push({ site, y: y + top, labelY: y + (narrow ? 12 : Math.max(10, step / 2 + top)), lines });
          y += top + lines * step + (narrow ? 10 : Math.max(4, 34 - step - top) * (cell >= 13 ? 1 : 0.3));
        }
      } else {
        const count = this.status.length;
        rows.push({ site: { start: 0, count }, y: 0, labelY: null, lines: Math.ceil(count / perRow) });
        y = rows[0].lines * step;
      }
      if (y <= (narrow ? 4 * ROOM : ROOM) || cell === 2) return { cell, step, perRow, left, rows, height: Math.ceil(y) };
    }
    return null;
  }

  draw() {
    if (!this.data || !this.root.clientWidth) return;
    const width = this.root.clientWidth;
    const plan = (this.plan = this.layout(width));
    const ratio = devicePixelRatio || 1;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(plan.height * ratio);
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${plan.height}px`;
    const pen = this.canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const style = getComputedStyle(document.documentElement);
    const token = (name) => style.getPropertyValue(`--${name}`).trim();
    const fill = NAMES.map((name) => token(`${name}-cell`));
    const line = { silent: token("silent"), learning: token("learning"), maintenance: token("maintenance"), suspect: token("suspect") };
    const soft = { suspect: token("suspect-soft"), faulty: token("faulty-soft") };
    const text = [token("text-2"), token("text-3"), token("font")];
    for (const row of plan.rows) {
      if (row.labelY !== null) this.label(pen, row, text);
      for (let k = 0; k < row.site.count; k++) {
        const x = plan.left + (k % plan.perRow) * plan.step;
        const y = row.y + Math.floor(k / plan.perRow) * plan.step;
        this.cell(pen, this.status[row.site.start + k], x, y, plan.cell, fill, line, soft);
      }
    }
  }

  label(pen, row, [strong, quiet, font]) {
    pen.textBaseline = "middle";
    pen.font = `13px ${font}`;
    pen.fillStyle = strong;
    let name = row.site.name;
    const room = this.plan.left ? this.plan.left - 40 : 400;
    while (pen.measureText(name).width > room && name.length > 4) name = `${name.slice(0, -2).trimEnd()}…`;
    pen.fillText(name, 0, row.labelY);
    const w = pen.measureText(name).width;
    pen.font = `12px ${font}`;
    pen.fillStyle = quiet;
    pen.fillText(new Intl.NumberFormat("en-GB").format(row.site.count), w + 6, row.labelY);
  }

  cell(pen, status, x, y, size, fill, line, soft) {
    const name = NAMES[status];
    const c = size / 2;
    if (size < 8) { // too small for shapes: attention fills its cell, the quiet ones stay pale
      pen.fillStyle = status === 4 ? line.silent : fill[status];
      pen.fillRect(x, y, size, size);
      return;
    }
    const box = (colour) => { pen.fillStyle = colour; pen.beginPath(); pen.roundRect(x, y, size, size, size > 11 ? 2.5 : 1.5); pen.fill(); };
    if (status === 1) { box(fill[1]); return; }
    if (soft[name]) box(soft[name]);
    pen.lineWidth = size > 11 ? 1.5 : 1.2;
    pen.beginPath();
    if (name === "suspect") {
      pen.moveTo(x + c, y + size * 0.12); pen.lineTo(x + size * 0.92, y + size * 0.86); pen.lineTo(x + size * 0.08, y + size * 0.86); pen.closePath();
      pen.fillStyle = fill[2]; pen.fill(); pen.lineWidth = 0.8; pen.strokeStyle = line.suspect; pen.stroke();
    } else if (name === "faulty") {
      pen.moveTo(x + c, y + 0.5); pen.lineTo(x + size - 0.5, y + c); pen.lineTo(x + c, y + size - 0.5); pen.lineTo(x + 0.5, y + c); pen.closePath();
      pen.fillStyle = fill[3]; pen.fill();
    } else if (name === "maintenance") {
      pen.strokeStyle = line.maintenance;
      pen.moveTo(x + size * 0.12, y + size * 0.78); pen.lineTo(x + size * 0.62, y + size * 0.14); pen.moveTo(x + size * 0.38, y + size * 0.86); pen.lineTo(x + size * 0.88, y + size * 0.22); pen.stroke();
    } else {
      pen.strokeStyle = line[name];
      if (name === "learning") pen.setLineDash([2.6, 1.7]);
      pen.arc(x + c, y + c, c - 1.6, 0, 2 * Math.PI); pen.stroke(); pen.setLineDash([]);
    }
  }

  at(event) {
    if (!this.plan) return -1;
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left - this.plan.left, event.clientY - box.top];
    if (x < 0) return -1;
    for (const row of this.plan.rows) {
      const line = Math.floor((y - row.y) / this.plan.step);
      const column = Math.floor(x / this.plan.step);
      if (line < 0 || line >= row.lines || column >= this.plan.perRow) continue;
      const k = line * this.plan.perRow + column;
      if (k < row.site.count) return row.site.start + k;
    }
    return -1;
  }

  siteOf(i) {
    const { sites } = this.data;
    let [low, high] = [0, sites.length - 1];
    while (low < high) { const mid = (low + high + 1) >> 1; if (sites[mid].start <= i) low = mid; else high = mid - 1; }
    return sites[low];
  }

  address(i) {
    if (this.data.unit === "site") return `/devices?site=${this.data.keys[i]}`;
    return `/devices/${encodeURIComponent(this.data.ids[i])}${this.data.owners ? `?owner=${encodeURIComponent(this.data.owners[i])}` : ""}`;
  }

  hover(event) {
    const i = this.at(event);
    this.tip.hidden = i < 0;
    this.canvas.style.cursor = i < 0 ? "default" : "pointer";
    if (i < 0) return;
    this.tip.textContent = `${this.data.ids[i]} · ${this.siteOf(i).name} · ${NAMES[this.status[i]]}`;
    const flip = event.clientX > innerWidth - 240;
    this.tip.style.left = flip ? "auto" : `${event.clientX + 14}px`;
    this.tip.style.right = flip ? `${innerWidth - event.clientX + 10}px` : "auto";
    this.tip.style.top = `${event.clientY + 16}px`;
  }
}

/* Charts: passers behind the slider, lamp timelines, power. All share one time axis and one left gutter. */

const INK = "#a7b0c4", LINE_INK = "rgba(167,176,196,.16)", CURSOR = "#fff6e2";
const gutter = (w) => ({ left: w < 600 ? 38 : 46, right: 10 });

/* Light by level: night, embers, lamp, white. Same stops as the picture. */
const WARMTH = [[0, 11, 14, 22], [100, 42, 30, 32], [300, 107, 63, 34], [600, 201, 124, 44], [850, 255, 189, 89], [1000, 255, 241, 208]];

const PALETTE = Array.from({ length: 256 }, (_, i) => {
  const level = i / 255 * 1000;
  let k = 0;
  while (k < WARMTH.length - 2 && level > WARMTH[k + 1][0]) k++;
  const share = (level - WARMTH[k][0]) / (WARMTH[k + 1][0] - WARMTH[k][0]);
  return [1, 2, 3].map((j) => Math.round(mix(WARMTH[k][j], WARMTH[k + 1][j], clamp(share, 0, 1))));
});

/** The time window of the two charts; it moves only when the cursor nears its edge. */
class TimeWindow {
  constructor() { this.span = 0; this.from = FIRST; this.to = LAST; }

  zoom(span, t) { this.span = span; this.from = this.to = NaN; this.keep(t); }

  /** Returns true if the window had to move to hold `t`. */
  keep(t) {
    const before = this.from, whole = LAST - FIRST;
    if (!this.span || this.span >= whole) { this.from = FIRST; this.to = LAST; }
    else if (!(t >= this.from + this.span * 0.04 && t <= this.to - this.span * 0.08)) {
      this.from = clamp(t - this.span * (Number.isNaN(before) ? 0.5 : t > before ? 0.12 : 0.85), FIRST, LAST - this.span);
      this.to = this.from + this.span;
    }
    return before !== this.from;
  }
}

class Chart {
  constructor(canvas, frame) { this.canvas = canvas; this.frame = frame; this.base = document.createElement("canvas"); this.stale = true; }

  layout() {
    Object.assign(this, sharpen(this.canvas));
    this.base.width = this.canvas.width;
    this.base.height = this.canvas.height;
    const edge = gutter(this.w);
    this.left = edge.left;
    this.right = this.w - edge.right;
    this.stale = true;
  }

  x(t) { return mix(this.left, this.right, (t - this.frame.from) / (this.frame.to - this.frame.from)); }

  time(x) { return clamp(mix(this.frame.from, this.frame.to, (x - this.left) / (this.right - this.left)), this.frame.from, this.frame.to); }

  paint(t, ghost) {
    if (this.stale) {
      const c = this.base.getContext("2d");
      c.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      c.clearRect(0, 0, this.w, this.h);
      this.paintBase(c);
      this.stale = false;
    }
    this.c.clearRect(0, 0, this.w, this.h);
    this.c.drawImage(this.base, 0, 0, this.w, this.h);
    if (ghost != null) this.line(ghost, "rgba(255,246,226,.45)", 1);
    this.line(t, CURSOR, 1.5);
  }

  line(t, colour, width) {
    if (t < this.frame.from || t > this.frame.to) return;
    this.c.fillStyle = colour;
    this.c.fillRect(this.x(t) - width / 2, this.plotTop ?? 0, width, (this.plotBottom ?? this.h) - (this.plotTop ?? 0));
  }

  axis(c, bottom) {
    c.font = "11.5px system-ui,sans-serif";
    c.textAlign = "center";
    const list = ticks(this.frame.from, this.frame.to, (this.right - this.left) / 62);
    for (const t of list) {
      const x = this.x(t);
      c.fillStyle = LINE_INK;
      c.fillRect(x, this.plotTop, 1, bottom - this.plotTop);
      c.fillStyle = INK;
      c.fillText(clock(t), clamp(x, this.left + 8, this.right - 12), bottom + 15);
    }
  }

  dusk(c, top, bottom) {
    if (SUN.sunset_ms == null || SUN.sunrise_ms == null) return;
    c.fillStyle = "rgba(120,150,205,.11)";
    const set = clamp(this.x(SUN.sunset_ms), this.left, this.right), rise = clamp(this.x(SUN.sunrise_ms), this.left, this.right);
    c.fillRect(this.left, top, set - this.left, bottom - top);
    c.fillRect(rise, top, this.right - rise, bottom - top);
  }
}

/** Passers per quarter hour, stacked by mode, drawn behind the slider of time. */
class DensityChart extends Chart {
  paintBase(c) {
    const bottom = this.h - 22, tall = bottom - 6;
    this.plotTop = 2;
    this.plotBottom = bottom;
    this.dusk(c, 2, bottom);
    DENSITY.counts.forEach((row, k) => {
      const from = this.x(FIRST + k * QUARTER), to = Math.min(this.x(FIRST + (k + 1) * QUARTER), this.right);
      let y = bottom;
      row.forEach((count, mode) => {
        const height = count / DENSITY.most * tall;
        c.fillStyle = modeColour(mode);
        c.globalAlpha = 0.72;
        c.fillRect(from + 0.5, y - height, Math.max(1, to - from - 1), height);
        y -= height;
      });
    });
    c.globalAlpha = 1;
    c.fillStyle = INK;
    c.font = "11px system-ui,sans-serif";
    c.textAlign = "right";
    c.fillText(String(DENSITY.most), this.left - 6, 12);
    c.fillText("0", this.left - 6, bottom);
    this.axis(c, bottom);
  }
}

/** One row per lamp, light by level; passers drawn as lines once the window is narrow enough to tell them. */
class HeatChart extends Chart {
  paintBase(c) {
    this.plotTop = 2;
    this.plotBottom = this.h - 22;
    const columns = Math.max(1, Math.round((this.right - this.left) * Math.min(this.ratio, 2)));
    const bitmap = document.createElement("canvas"), { from, to } = this.frame;
    bitmap.width = columns;
    bitmap.height = LAMPS;
    const b = bitmap.getContext("2d"), image = b.createImageData(columns, LAMPS);
    for (let lamp = 0; lamp < LAMPS; lamp++) {
      levelSlices(lamp, from, to, columns).forEach((level, k) => {
        const colour = PALETTE[clamp(Math.round(level / 1000 * 255), 0, 255)], at = 4 * (lamp * columns + k);
        image.data[at] = colour[0]; image.data[at + 1] = colour[1]; image.data[at + 2] = colour[2]; image.data[at + 3] = 255;
      });
    }
    b.putImageData(image, 0, 0);
    c.imageSmoothingEnabled = false;
    c.drawImage(bitmap, this.left, this.plotTop, this.right - this.left, this.plotBottom - this.plotTop);
    const tall = (this.plotBottom - this.plotTop) / LAMPS;
    if (tall >= 6) { c.fillStyle = "rgba(11,14,20,.55)"; for (let k = 1; k < LAMPS; k++) c.fillRect(this.left, this.plotTop + k * tall - 0.5, this.right - this.left, 1); }
    this.axis(c, this.plotBottom);
    if (to - from <= 2 * HOUR) this.paintTrips(c, from, to);
    c.font = "11px system-ui,sans-serif";
    c.textAlign = "right";
    c.fillStyle = INK;
    for (let k = 0; k < LAMPS; k++) if (k === 0 || (k + 1) % 5 === 0) c.fillText(String(k + 1), this.left - 6, this.plotTop + (k + 0.5) * tall + 4);
  }

  /** Height of a position along the street, so that a passer crosses each lamp's row when under it. */
  y(metres) {
    const tall = (this.plotBottom - this.plotTop) / LAMPS;
    let k = 0;
    while (k < LAMPS - 2 && metres > POLES[k + 1]) k++;
    const row = LAMPS < 2 ? 0 : k + (metres - POLES[k]) / (POLES[k + 1] - POLES[k]);
    return clamp(this.plotTop + (row + 0.5) * tall, this.plotTop, this.plotBottom);
  }

  paintTrips(c, from, to) {
    c.save();
    c.beginPath();
    c.rect(this.left, this.plotTop, this.right - this.left, this.plotBottom - this.plotTop);
    c.clip();
    c.lineWidth = 1.6;
    for (const trip of TRIPS) {
      if (trip.t1 < from || trip.t0 > to) continue;
      for (const [ink, width] of [["rgba(8,10,18,.7)", 4.4], [modeColour(trip.mode), 2.2]]) {
        c.strokeStyle = ink;
        c.lineWidth = width;
        c.beginPath();
        c.moveTo(this.x(trip.t0), this.y(trip.from));
        POLES.filter((pole) => pole > Math.min(trip.from, trip.to) && pole < Math.max(trip.from, trip.to))
          .sort((a, b) => (trip.to > trip.from ? a - b : b - a))
          .forEach((pole) => c.lineTo(this.x(trip.t0 + Math.abs(pole - trip.from) / trip.metresPerMs), this.y(pole)));
        c.lineTo(this.x(trip.t1), this.y(trip.to));
        c.stroke();
      }
    }
    c.restore();
  }

  lampAt(y) { return clamp(Math.floor((y - this.plotTop) / (this.plotBottom - this.plotTop) * LAMPS), 0, LAMPS - 1); }
}

/** Street power of each way of lighting, W. */
class PowerChart extends Chart {
  constructor(canvas, frame, hidden) { super(canvas, frame); this.hidden = hidden; }

  paintBase(c) {
    this.plotTop = 14;
    this.plotBottom = this.h - 22;
    const shown = SERIES.filter((series) => !this.hidden.has(series.name));
    const most = Math.max(1, ...SERIES.map((series) => series.w.reduce((a, b) => Math.max(a, b), 0)));
    const step = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000].find((one) => most / one <= 5) || 50000;
    const top = Math.ceil(most * 1.02 / step) * step, y = (watts) => mix(this.plotBottom, this.plotTop, watts / top);
    this.dusk(c, this.plotTop, this.plotBottom);
    c.font = "11.5px system-ui,sans-serif";
    c.textAlign = "right";
    for (let watts = 0; watts <= top; watts += step) {
      c.fillStyle = LINE_INK;
      c.fillRect(this.left, y(watts), this.right - this.left, 1);
      c.fillStyle = INK;
      c.fillText(number(watts), this.left - 5, y(watts) + 4);
    }
    this.axis(c, this.plotBottom);
    c.save();
    c.beginPath();
    c.rect(this.left, 0, this.right - this.left, this.h);
    c.clip();
    const ordered = shown.filter((series) => series.name !== "reverbere").concat(shown.filter((series) => series.name === "reverbere"));
    for (const series of ordered) {
      const lead = series.name === "reverbere", colour = SERIES_COLOURS[series.name] || INK;
      const first = Math.max(0, Math.floor(this.frame.from / STEP)), last = Math.min(series.w.length - 1, Math.ceil(this.frame.to / STEP));
      c.beginPath();
      for (let k = first; k <= last; k++) { c.lineTo(this.x(k * STEP), y(series.w[k])); c.lineTo(this.x((k + 1) * STEP), y(series.w[k])); }
      c.strokeStyle = colour;
      c.lineWidth = lead ? 2 : 1.5;
      c.setLineDash(series.name === "bound" ? [3, 3] : series.name === "fixed_dimming" ? [9, 4] : []);
      c.stroke();
      c.setLineDash([]);
      if (!lead) continue;
      c.lineTo(this.x((last + 1) * STEP), this.plotBottom);
      c.lineTo(this.x(first * STEP), this.plotBottom);
      c.fillStyle = "rgba(255,184,77,.16)";
      c.fill();
    }
    c.restore();
  }
}

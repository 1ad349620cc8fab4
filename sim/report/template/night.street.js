/* Street: the side elevation. Poles to scale along the street; cones follow the level of the moment. */

const SPACING = (() => {
  const gaps = POLES.slice(1).map((x, i) => x - POLES[i]).filter((gap) => gap > 0).sort((a, b) => a - b);
  return gaps.length ? gaps[gaps.length >> 1] : STREET.length_m || 30;
})();
const PAD = 14;
const HOUSES = (() => {                       // a roofline made of nothing but arithmetic: same at each opening
  const out = [];
  let seed = 20260, x = -40;
  const draw = () => (seed = (seed * 1103515245 + 12345) % 2147483648) / 2147483648;
  while (x < STREET.length_m + 60) {
    const width = 9 + draw() * 13;
    out.push({ x, width, height: 0.42 + draw() * 0.42, roof: draw() > 0.45, tree: draw() > 0.72 });
    x += width + (draw() > 0.8 ? 7 + draw() * 9 : 0);
  }
  return out;
})();

/* Sky by height of the sun: [degrees, zenith, horizon]. */
const SKY = [
  [-18, [7, 10, 21], [26, 34, 58]], [-12, [9, 14, 34], [34, 43, 76]], [-6, [18, 28, 62], [68, 58, 86]],
  [-2, [38, 56, 104], [176, 106, 82]], [2, [70, 98, 148], [214, 160, 112]], [10, [92, 128, 172], [168, 188, 204]],
];

function skyAt(height) {
  let k = 0;
  while (k < SKY.length - 2 && height > SKY[k + 1][0]) k++;
  const share = clamp((height - SKY[k][0]) / (SKY[k + 1][0] - SKY[k][0]), 0, 1);
  const colour = (i) => `rgb(${SKY[k][i].map((c, j) => Math.round(mix(c, SKY[k + 1][i][j], share))).join(",")})`;
  return { top: colour(1), low: colour(2), daylight: clamp((height + 8) / 12, 0, 1) };
}

/** A canvas sharp on this screen: sets its bitmap to its box and returns {c, w, h} in CSS pixels. */
function sharpen(canvas) {
  const box = canvas.getBoundingClientRect(), ratio = Math.min(window.devicePixelRatio || 1, 2.5);
  canvas.width = Math.max(1, Math.round(box.width * ratio));
  canvas.height = Math.max(1, Math.round(box.height * ratio));
  const c = canvas.getContext("2d");
  c.setTransform(ratio, 0, 0, ratio, 0, 0);
  return { c, w: box.width, h: box.height, ratio };
}

/* One lamp at full level, drawn once and reused for all with a transparency. */
function lightSprite(poleHeight, half, ratio) {
  const canvas = document.createElement("canvas"), width = half * 2 + 40, height = poleHeight + 46;
  canvas.width = Math.ceil(width * ratio);
  canvas.height = Math.ceil(height * ratio);
  const c = canvas.getContext("2d"), middle = width / 2, head = 16, ground = head + poleHeight;
  c.scale(ratio, ratio);
  c.globalCompositeOperation = "lighter";
  for (let k = 0; k < 14; k++) {
    const reach = half * (1 - k / 17), fade = c.createLinearGradient(0, head, 0, ground + 4);
    fade.addColorStop(0, "rgba(255,205,130,.085)");
    fade.addColorStop(0.55, "rgba(255,186,100,.045)");
    fade.addColorStop(1, "rgba(255,176,90,.026)");
    c.fillStyle = fade;
    c.beginPath();
    c.moveTo(middle - 2.5, head);
    c.lineTo(middle + 2.5, head);
    c.lineTo(middle + reach, ground + 3);
    c.lineTo(middle - reach, ground + 3);
    c.fill();
  }
  const disc = (x, y, radius, squash, stops) => {
    c.save();
    c.translate(x, y);
    c.scale(1, squash);
    const glow = c.createRadialGradient(0, 0, 0, 0, 0, radius);
    stops.forEach(([at, colour]) => glow.addColorStop(at, colour));
    c.fillStyle = glow;
    c.fillRect(-radius, -radius, radius * 2, radius * 2);
    c.restore();
  };
  disc(middle, ground + 7, half + 14, 0.2, [[0, "rgba(255,206,138,.62)"], [0.5, "rgba(255,184,100,.30)"], [1, "rgba(255,170,80,0)"]]);
  disc(middle, head, 15, 1, [[0, "rgba(255,236,200,.95)"], [0.25, "rgba(255,205,130,.5)"], [1, "rgba(255,180,90,0)"]]);
  return { canvas, width, height, middle, head };
}

const brightness = (level) => level <= 0 ? 0 : 0.1 + 0.9 * level / 1000;

/* Shapes stand on (0, 0), heading right; `u` is pixels per metre, `stride` metres gone. */
const SHAPES = {
  walker(c, u, stride) {
    const swing = Math.sin(stride * 4) * 0.3;
    c.lineWidth = Math.max(1.6, u * 0.2);
    c.beginPath();
    c.moveTo(-swing * u, 0); c.lineTo(0, -0.85 * u); c.lineTo(swing * u, 0);
    c.moveTo(0, -0.85 * u); c.lineTo(0.05 * u, -1.4 * u);
    c.moveTo(-swing * 0.8 * u, -0.85 * u); c.lineTo(0.04 * u, -1.35 * u); c.lineTo(swing * 0.9 * u, -0.85 * u);
    c.stroke();
    c.beginPath(); c.arc(0.08 * u, -1.66 * u, 0.21 * u, 0, 7); c.fill();
  },
  bicycle(c, u) {
    c.lineWidth = Math.max(1.2, u * 0.12);
    for (const x of [-0.55, 0.55]) { c.beginPath(); c.arc(x * u, -0.36 * u, 0.35 * u, 0, 7); c.stroke(); }
    c.beginPath();
    c.moveTo(-0.55 * u, -0.36 * u); c.lineTo(-0.15 * u, -0.85 * u); c.lineTo(0.4 * u, -0.85 * u); c.lineTo(0.55 * u, -0.36 * u);
    c.moveTo(-0.15 * u, -0.85 * u); c.lineTo(0, -0.36 * u); c.lineTo(0.4 * u, -0.85 * u); c.lineTo(0.42 * u, -1.05 * u);
    c.stroke();
    c.lineWidth = Math.max(1.6, u * 0.19);
    c.beginPath(); c.moveTo(0, -0.36 * u); c.lineTo(-0.15 * u, -0.95 * u); c.lineTo(0.12 * u, -1.45 * u); c.lineTo(0.42 * u, -1.1 * u); c.stroke();
    c.beginPath(); c.arc(0.22 * u, -1.68 * u, 0.2 * u, 0, 7); c.fill();
  },
  car(c, u) {
    c.beginPath();
    c.moveTo(-1.55 * u, -0.28 * u); c.lineTo(-1.55 * u, -0.75 * u); c.lineTo(-1.1 * u, -0.85 * u); c.lineTo(-0.75 * u, -1.35 * u);
    c.lineTo(0.35 * u, -1.35 * u); c.lineTo(0.85 * u, -0.85 * u); c.lineTo(1.5 * u, -0.7 * u); c.lineTo(1.58 * u, -0.28 * u);
    c.fill();
    const ink = c.fillStyle;
    c.fillStyle = "#161b28";
    c.beginPath();
    c.moveTo(-0.85 * u, -0.88 * u); c.lineTo(-0.62 * u, -1.22 * u); c.lineTo(0.28 * u, -1.22 * u); c.lineTo(0.62 * u, -0.88 * u);
    c.fill();
    for (const x of [-0.95, 0.95]) {
      c.fillStyle = "#0b0e14"; c.beginPath(); c.arc(x * u, -0.3 * u, 0.34 * u, 0, 7); c.fill();
      c.fillStyle = ink; c.beginPath(); c.arc(x * u, -0.3 * u, 0.17 * u, 0, 7); c.fill();
    }
    const beam = c.createLinearGradient(1.5 * u, 0, 4.6 * u, 0);
    beam.addColorStop(0, "rgba(255,244,214,.5)");
    beam.addColorStop(1, "rgba(255,244,214,0)");
    c.fillStyle = beam;
    c.beginPath(); c.moveTo(1.55 * u, -0.62 * u); c.lineTo(4.6 * u, -0.75 * u); c.lineTo(4.6 * u, 0); c.fill();
  },
  other(c, u) { c.beginPath(); c.arc(0, -0.8 * u, 0.55 * u, 0, 7); c.fill(); },
};

class Street {
  constructor(canvas) { this.canvas = canvas; this.camera = null; this.dragging = false; this.follow = true; }

  /** Chooses rows, or one sliding window on a narrow screen, and sets the height of the canvas. */
  layout() {
    const width = this.canvas.parentElement.clientWidth, want = (width < 600 ? 50 : 58) / SPACING;
    const rows = Math.max(1, Math.ceil(STREET.length_m * want / (width - 2 * PAD)));
    this.windowed = rows > 3;
    this.count = this.windowed ? 1 : rows;
    this.scale = this.windowed ? want : (width - 2 * PAD) * this.count / STREET.length_m;
    this.pole = width < 600 ? 104 : 96;
    this.rowHeight = this.pole + 92;
    this.top = this.windowed ? 46 : 0;
    this.canvas.style.height = `${this.top + this.rowHeight * this.count + (this.count - 1) * 6}px`;
    Object.assign(this, sharpen(this.canvas));
    this.unit = clamp(this.pole / (STREET.mounting_m || 6), 9, 15);
    this.span = (this.w - 2 * PAD) / this.scale;
    if (this.camera == null) this.camera = STREET.length_m / 2;
    this.light = lightSprite(this.pole, Math.max(18, SPACING * 0.62 * this.scale), this.ratio);
  }

  rows() {
    if (this.windowed) {
      const from = clamp(this.camera - this.span / 2, 0, Math.max(0, STREET.length_m - this.span));
      return [{ y: this.top, from, to: from + this.span }];
    }
    const length = STREET.length_m / this.count;
    return Array.from({ length: this.count }, (_, k) => ({ y: k * (this.rowHeight + 6), from: k * length, to: (k + 1) * length }));
  }

  x(row, metres) { return PAD + (metres - row.from) * this.scale; }

  /** Keeps the window on the passer followed, or on the one nearest to it. */
  chase(t) {
    if (!this.windowed || !this.follow) return;
    const trips = tripsAt(t);
    if (!trips.length) return;
    if (!trips.includes(this.followed)) {
      const gap = (trip) => Math.abs(tripPosition(trip, t) - this.camera);
      this.followed = trips.reduce((a, b) => (gap(b) < gap(a) ? b : a));
    }
    const aim = tripPosition(this.followed, t), gap = aim - this.camera;
    this.camera += this.jump || Math.abs(gap) > this.span * 1.5 ? gap : gap * 0.2;
    this.jump = false;
  }

  paint(t, chosen) {
    const { c } = this, sun = sunHeight(t), sky = skyAt(sun);
    const levels = POLES.map((_, lamp) => levelAt(lamp, t)), trips = tripsAt(t);
    this.chase(t);
    c.clearRect(0, 0, this.w, this.h);
    for (const row of this.rows()) this.paintRow(row, t, sky, sun, levels, trips, chosen);
    if (this.windowed) this.paintMap(t, levels, trips);
    return { sun, levels, trips };
  }

  paintRow(row, t, sky, sun, levels, trips, chosen) {
    const { c, w } = this, ground = row.y + this.rowHeight - 50, bottom = row.y + this.rowHeight;
    c.save();
    c.beginPath();
    c.roundRect(0, row.y, w, this.rowHeight, 8);
    c.clip();
    const fade = c.createLinearGradient(0, row.y, 0, ground);
    fade.addColorStop(0, sky.top);
    fade.addColorStop(1, sky.low);
    c.fillStyle = fade;
    c.fillRect(0, row.y, w, this.rowHeight);
    this.paintStars(row, sun);
    this.paintHouses(row, ground, sky.daylight);
    c.fillStyle = `rgb(${[27, 33, 45].map((base, i) => Math.round(base + sky.daylight * (44 - i * 3))).join(",")})`;
    c.fillRect(0, ground, w, 15);
    c.fillStyle = `rgb(${[13, 17, 26].map((base) => Math.round(base + sky.daylight * 34)).join(",")})`;
    c.fillRect(0, ground + 15, w, bottom - ground - 15);
    c.globalCompositeOperation = "lighter";
    const strength = 1 - 0.62 * sky.daylight;
    POLES.forEach((metres, lamp) => {
      const x = this.x(row, metres);
      if (levels[lamp] <= 0 || x < -this.light.width || x > w + this.light.width) return;
      c.globalAlpha = brightness(levels[lamp]) * strength;
      c.drawImage(this.light.canvas, x - this.light.middle, ground - this.pole - this.light.head, this.light.width, this.light.height);
    });
    c.globalAlpha = 1;
    c.globalCompositeOperation = "source-over";
    if (chosen >= 0) this.paintSensor(row, chosen, ground);
    POLES.forEach((metres, lamp) => this.paintPole(row, this.x(row, metres), ground, lamp, levels[lamp], lamp === chosen));
    for (const trip of trips) this.paintTrip(row, trip, t, ground);
    this.paintScale(row, bottom);
    c.restore();
  }

  paintStars(row, sun) {
    const { c, w } = this, alpha = clamp((-sun - 7) / 8, 0, 1) * 0.7;
    if (!alpha) return;
    c.fillStyle = "#dfe6ff";
    for (let k = 0; k < w / 16; k++) {
      const a = (k * 7919 + row.y * 31) % 997 / 997, b = (k * 104729 + 17) % 613 / 613;
      c.globalAlpha = alpha * (0.25 + 0.75 * ((k * 31) % 7) / 7);
      c.fillRect(a * w, row.y + 3 + b * (this.rowHeight - 120), 1.2, 1.2);
    }
    c.globalAlpha = 1;
  }

  paintHouses(row, ground, daylight) {
    const { c, w } = this;
    c.fillStyle = `rgb(${[11, 14, 24].map((base, i) => Math.round(base + daylight * (58 - i * 4))).join(",")})`;
    for (const house of HOUSES) {
      const x = this.x(row, house.x), width = house.width * this.scale, height = house.height * this.pole;
      if (x > w || x + width < 0) continue;
      c.fillRect(x, ground - height, width + 0.5, height);
      if (house.roof) {
        c.beginPath();
        c.moveTo(x - 2, ground - height);
        c.lineTo(x + width * 0.5, ground - height - 9);
        c.lineTo(x + width + 2, ground - height);
        c.fill();
      }
      if (house.tree) { c.beginPath(); c.ellipse(x + width + 8, ground - 26, 11, 17, 0, 0, 7); c.fill(); }
    }
  }

  paintPole(row, x, ground, lamp, level, chosen) {
    const { c, w } = this, head = ground - this.pole;
    if (x < -20 || x > w + 20) return;
    c.strokeStyle = chosen ? "#f5f1e6" : "#56617a";
    c.lineWidth = chosen ? 2.4 : 1.8;
    c.beginPath();
    c.moveTo(x, ground + 2);
    c.lineTo(x, head + 3);
    c.stroke();
    const warm = brightness(level);
    c.fillStyle = `rgb(${Math.round(mix(88, 255, warm))},${Math.round(mix(98, 222, warm))},${Math.round(mix(122, 160, warm))})`;
    c.beginPath();
    c.roundRect(x - 7, head - 1, 14, 4.5, 2);
    c.fill();
    const label = chosen ? `${lamp + 1} · ${percent(level, 0)}` : (lamp === 0 || (lamp + 1) % 5 === 0 ? String(lamp + 1) : "");
    if (!label) return;
    c.font = chosen ? "600 12.5px system-ui,sans-serif" : "11px system-ui,sans-serif";
    c.textAlign = "center";
    const at = clamp(x, c.measureText(label).width / 2 + 5, w - c.measureText(label).width / 2 - 5);
    c.fillStyle = "rgba(9,12,20,.62)";
    c.beginPath();
    c.roundRect(at - c.measureText(label).width / 2 - 4, head - 22, c.measureText(label).width + 8, 16, 4);
    c.fill();
    c.fillStyle = chosen ? "#fff6e2" : "#c3cadb";
    c.fillText(label, at, head - 10);
  }

  paintSensor(row, lamp, ground) {
    const { c } = this, reach = (STREET.sensor_range_m || 0) * this.scale, x = this.x(row, POLES[lamp]);
    if (!reach || x < -reach || x > this.w + reach) return;
    c.strokeStyle = "rgba(245,241,230,.8)";
    c.lineWidth = 1.3;
    c.setLineDash([4, 4]);
    c.beginPath();
    c.moveTo(x - reach, ground + 10); c.lineTo(x - reach, ground + 14);
    c.lineTo(x + reach, ground + 14); c.lineTo(x + reach, ground + 10);
    c.stroke();
    c.setLineDash([]);
  }

  paintTrip(row, trip, t, ground) {
    const { c } = this, metres = tripPosition(trip, t), x = this.x(row, metres), name = MODES[trip.mode];
    if (x < -60 || x > this.w + 60) return;
    const heading = Math.sign(trip.to - trip.from || trip.direction), wheels = name === "car";
    c.save();
    c.translate(x, ground + (wheels ? (heading > 0 ? 31 : 24) : heading > 0 ? 11 : 7));
    c.scale(heading, 1);
    c.fillStyle = c.strokeStyle = modeColour(trip.mode);
    c.lineCap = c.lineJoin = "round";
    (SHAPES[name] || SHAPES.other)(c, this.unit * (wheels ? 0.95 : 1.05), Math.abs(metres - trip.from));
    c.restore();
  }

  paintScale(row, bottom) {
    const { c } = this, step = [10, 20, 50, 100, 200, 500].find((candidate) => candidate * this.scale > 70) || 1000;
    c.font = "11px system-ui,sans-serif";
    c.fillStyle = "#a7b0c4";
    c.textAlign = "center";
    for (let metres = Math.ceil(row.from / step) * step; metres <= row.to; metres += step) {
      const x = this.x(row, metres), label = `${metres}\u00a0m`, half = c.measureText(label).width / 2;
      c.fillRect(x, bottom - 17, 1, 3);
      c.fillText(label, clamp(x, half + 5, this.w - half - 5), bottom - 4);
    }
  }

  paintMap(t, levels, trips) {
    const { c, w } = this, at = (metres) => 2 + metres / STREET.length_m * (w - 4), row = this.rows()[0];
    c.fillStyle = "#0d1220";
    c.beginPath(); c.roundRect(0, 0, w, 38, 7); c.fill();
    POLES.forEach((metres, lamp) => {
      const warm = brightness(levels[lamp]);
      c.fillStyle = `rgb(${Math.round(mix(52, 255, warm))},${Math.round(mix(60, 196, warm))},${Math.round(mix(80, 110, warm))})`;
      c.beginPath(); c.arc(at(metres), 12, 3, 0, 7); c.fill();
    });
    for (const trip of trips) { c.fillStyle = modeColour(trip.mode); c.fillRect(at(tripPosition(trip, t)) - 1.5, 22, 3, 10); }
    c.strokeStyle = "#f5f1e6";
    c.lineWidth = 1.5;
    c.beginPath(); c.roundRect(at(row.from), 1.5, at(row.to) - at(row.from), 35, 6); c.stroke();
  }

  /** The lamp under a point of the canvas, or -1; {map: metres} on the overview strip. */
  hit(x, y) {
    if (this.windowed && y < this.top) return { map: clamp(x / this.w, 0, 1) * STREET.length_m };
    const row = this.rows().find((one) => y >= one.y && y < one.y + this.rowHeight);
    if (!row) return { lamp: -1 };
    const metres = row.from + (x - PAD) / this.scale;
    let lamp = -1, nearest = SPACING * 0.75;
    POLES.forEach((pole, k) => { if (Math.abs(pole - metres) < nearest) { nearest = Math.abs(pole - metres); lamp = k; } });
    return { lamp };
  }
}

/* Model: what was true at a given moment. Times are ms from the start, levels permille, positions metres. */

const DATA = JSON.parse(document.getElementById("night-data").textContent);
const RESULTS = DATA.results, LINE = DATA.timeline, FIGURES = RESULTS.figures || {};
const STREET = LINE.street, POLES = STREET.poles_m, LAMPS = POLES.length;
const START = Date.parse(LINE.start_utc), MINUTE = 60000, HOUR = 3600000, QUARTER = 900000;
const MODES = LINE.modes, SUN = LINE.sun || {};
const MODE_COLOURS = { walker: "#ff9db8", bicycle: "#6fe0ee", car: "#b9c3e0" };
const SPARE_COLOURS = ["#a6e08a", "#e6d27a", "#d4a6ff"];
const SERIES_COLOURS = { reverbere: "#ffb84d", full_night: "#aeb6c8", fixed_dimming: "#6f9dff", extinction: "#c08cff", bound: "#66d3a4" };

const modeColour = (index) => MODE_COLOURS[MODES[index]] || SPARE_COLOURS[index % SPARE_COLOURS.length];
const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
const mix = (a, b, share) => a + (b - a) * share;

/* The span shown: the night with an hour either side, or everything when that night is not one. */
const [FIRST, LAST] = (() => {
  const whole = [0, LINE.duration_ms];
  if (SUN.sunset_ms == null || SUN.sunrise_ms == null || LINE.duration_ms > 36 * HOUR || SUN.sunrise_ms <= SUN.sunset_ms) return whole;
  return [clamp(SUN.sunset_ms - HOUR, 0, LINE.duration_ms), clamp(SUN.sunrise_ms + HOUR, 0, LINE.duration_ms)];
})();

/** Seconds east of UTC at `t`, following a change of hour during the night. */
function offsetAt(t) {
  let seconds = 0;
  for (const [from, east] of LINE.utc_offsets || []) { if (from <= t || from === 0) seconds = east; }
  return seconds;
}

const localMs = (t) => START + t + offsetAt(t) * 1000;

/** Local wall clock at `t`, "hh:mm" or "hh:mm:ss". */
function clock(t, seconds) {
  return new Date(localMs(t)).toISOString().slice(11, seconds ? 19 : 16);
}

/** Local calendar day at `t` in words. */
function day(t, options) {
  return new Intl.DateTimeFormat(WORDS[lang].locale, { timeZone: "UTC", ...options }).format(new Date(localMs(t)));
}

/** Index of the decision in force for a lamp at `t`, -1 before the first. */
function decisionAt(lamp, t) {
  const list = LINE.levels[lamp] || [];
  let low = 0, high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (list[middle][0] <= t) low = middle + 1; else high = middle;
  }
  return low - 1;
}

const levelIn = (decision, t) => decision[3] <= 0 ? decision[2]
  : mix(decision[1], decision[2], clamp((t - decision[0]) / decision[3], 0, 1));

/** Level of a lamp at `t`, permille. */
function levelAt(lamp, t) {
  const list = LINE.levels[lamp] || [], index = decisionAt(lamp, t);
  return index < 0 ? (list.length ? list[0][1] : 0) : levelIn(list[index], t);
}

/** Mean level of a lamp in each of `columns` equal slices of [from, to), permille. */
function levelSlices(lamp, from, to, columns) {
  const list = LINE.levels[lamp] || [], out = new Float32Array(columns), parts = 4, step = (to - from) / (columns * parts);
  let index = decisionAt(lamp, from), sum = 0;
  for (let k = 0; k < columns * parts; k++) {
    const t = from + (k + 0.5) * step;
    while (index + 1 < list.length && list[index + 1][0] <= t) index++;
    sum += index < 0 ? (list.length ? list[0][1] : 0) : levelIn(list[index], t);
    if (k % parts === parts - 1) { out[(k / parts) | 0] = sum / parts; sum = 0; }
  }
  return out;
}

/** Why a lamp is as it is at `t`: {level, name, text, since} with `since` null before any decision. */
function whyAt(lamp, t) {
  const list = LINE.levels[lamp] || [];
  let index = decisionAt(lamp, t);
  const level = levelAt(lamp, t);
  if (index < 0) return { level, name: "", text: say("lamp.none"), since: null };
  const code = list[index][4], target = list[index][2];
  while (index > 0 && list[index - 1][4] === code && list[index - 1][2] === target) index--;
  const reason = (LINE.reasons || {})[code] || {};
  return { level, name: reason.name, text: titleOf("reason", reason.name, textOf(reason.text) || String(code)), since: list[index][0] };
}

const SERIES = LINE.power.series, STEP = LINE.power.step_ms;
const seriesNamed = (name) => SERIES.find((series) => series.name === name);
const powerAt = (series, t) => series.w[clamp(Math.floor(t / STEP), 0, series.w.length - 1)] ?? 0;

/* Power of one lamp at full level; the table [[permille, W], …] when given, else a share of the full night. */
const LAMP_TABLE = STREET.lamp_power_w || null;
const LAMP_FULL_W = LAMP_TABLE ? LAMP_TABLE[LAMP_TABLE.length - 1][1]
  : seriesNamed("full_night") ? seriesNamed("full_night").w.reduce((a, b) => Math.max(a, b), 0) / LAMPS : null;

/** Electric power of one lamp at a level, W (proportional when no table was given). */
function lampPower(level) {
  if (!LAMP_TABLE) return (LAMP_FULL_W || 0) * level / 1000;
  let before = LAMP_TABLE[0];
  for (const entry of LAMP_TABLE) {
    if (entry[0] >= level) return entry[0] === before[0] ? entry[1] : mix(before[1], entry[1], (level - before[0]) / (entry[0] - before[0]));
    before = entry;
  }
  return before[1];
}

const TRIPS = LINE.trips.map(([t0, mode, direction, speed, from, to]) => {
  const length = Math.abs(to - from) / 1000, metresPerMs = Math.max(speed, 1) / 1e6;
  return { t0, t1: t0 + length / metresPerMs, mode, direction, metresPerMs, from: from / 1000, to: to / 1000 };
}).sort((a, b) => a.t0 - b.t0);

const tripPosition = (trip, t) => trip.from + Math.sign(trip.to - trip.from || trip.direction) * trip.metresPerMs * (t - trip.t0);
const tripsAt = (t) => TRIPS.filter((trip) => trip.t0 <= t && t <= trip.t1);

/** Passers entering per quarter hour: {from, counts[quarter][mode], most}. */
const DENSITY = (() => {
  const counts = Array.from({ length: Math.ceil((LAST - FIRST) / QUARTER) || 1 }, () => MODES.map(() => 0));
  for (const trip of TRIPS) { const row = counts[Math.floor((trip.t0 - FIRST) / QUARTER)]; if (row) row[trip.mode]++; }
  return { counts, most: Math.max(1, ...counts.map((row) => row.reduce((a, b) => a + b, 0))) };
})();

/** Height of the sun at `t`, degrees (0.5° or better is enough to tint a sky). */
function sunHeight(t) {
  const rad = Math.PI / 180, days = (START + t) / 86400000 - 10957.5;
  const anomaly = (357.529 + 0.98560028 * days) * rad, mean = 280.459 + 0.98564736 * days;
  const longitude = (mean + 1.915 * Math.sin(anomaly) + 0.02 * Math.sin(2 * anomaly)) * rad, tilt = 23.439 * rad;
  const declination = Math.asin(Math.sin(tilt) * Math.sin(longitude));
  const ascension = Math.atan2(Math.cos(tilt) * Math.sin(longitude), Math.cos(longitude));
  const sidereal = (280.46062 + 360.98564737 * days + RESULTS.place.longitude_deg) * rad;
  const latitude = RESULTS.place.latitude_deg * rad;
  return Math.asin(Math.sin(latitude) * Math.sin(declination)
    + Math.cos(latitude) * Math.cos(declination) * Math.cos(sidereal - ascension)) / rad;
}

/** A moment worth opening on, {t, trip}: few passers mid-street, lit lamps around them and dim ones elsewhere. */
function goodMoment() {
  const middle = (FIRST + LAST) / 2;
  let best = { t: clamp(middle, FIRST, LAST), trip: null }, bestScore = -Infinity;
  for (const trip of TRIPS) {
    const t = Math.round(mix(trip.t0, trip.t1, 0.42));
    if (t < FIRST || t > LAST) continue;
    const levels = POLES.map((_, lamp) => levelAt(lamp, t)).sort((a, b) => a - b);
    const contrast = (levels[LAMPS - 1] - levels[LAMPS >> 1]) / 1000, company = tripsAt(t).length;
    const score = contrast - 0.9 * Math.abs(t - middle) / (LAST - FIRST) - 0.15 * Math.abs(company - 2) + (MODES[trip.mode] === "car" ? -0.1 : 0);
    if (score > bestScore) { bestScore = score; best = { t, trip }; }
  }
  return best;
}

/** Round local moments in [from, to] about `wanted` in number, following the wall clock. */
function ticks(from, to, wanted) {
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440].map((minutes) => minutes * MINUTE);
  const step = steps.find((candidate) => (to - from) / candidate <= wanted) || steps[steps.length - 1];
  const walk = Math.min(step, HOUR), out = [];
  for (let t = from + ((walk - (localMs(from) % walk)) % walk); t <= to; t += walk) { if (localMs(t) % step === 0) out.push(t); }
  return out;
}

/* The page itself: the moment shown, the controls, and the words and figures around the drawings. */

const $ = (id) => document.getElementById(id);
const HASH = () => new URLSearchParams(location.hash.slice(1));
const GOOD = goodMoment();
const state = { t: GOOD.t, playing: false, speed: 10, lamp: 0, picked: false, hover: -1, ghost: null, dirty: true };
const hidden = new Set();
const whole = { from: FIRST, to: LAST }, frame = new TimeWindow();
const street = new Street($("street"));
const charts = { density: new DensityChart($("density"), whole), heat: new HeatChart($("heat"), frame), power: new PowerChart($("power"), frame, hidden) };

/** A new element with text and children; texts of the data only ever pass through textContent. */
function make(tag, text, ...children) {
  const element = document.createElement(tag);
  if (text != null) element.textContent = text;
  element.append(...children);
  return element;
}

const put = (element, text) => { if (element.textContent !== text) element.textContent = text; };

/* ---- words and figures that change only with the language ---- */

const baselines = FIGURES.baselines || [], passers = FIGURES.passers || {};

function savingWords(permille) {
  return permille < 0 ? say("big.more", { n: percent(-permille, 0) }) : say("big.less", { n: percent(permille, 0) });
}

function renderHeader() {
  document.documentElement.lang = lang;
  document.title = `${RESULTS.place.name} – ${say("page.brand")}`;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say(element.dataset.say);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", say(element.dataset.label));
  $("lang").textContent = say("page.other");
  $("lang").setAttribute("aria-label", say("page.otherLabel"));
  $("lang").lang = lang === "fr" ? "en" : "fr";
  $("place").textContent = RESULTS.place.name;
  const from = SUN.sunset_ms ?? FIRST, to = SUN.sunrise_ms ?? LAST;
  const sameMonth = day(from, { month: "long" }) === day(to, { month: "long" });
  const long = { day: "numeric", month: "long", year: "numeric" };
  const start = sameMonth ? day(from, { day: "numeric" }) : day(from, { day: "numeric", month: "long" });
  const about = [say("page.night", { from: start, to: day(to, long) }),
    say(RESULTS.lamps > 1 ? "page.lamps" : "page.lamp", { n: number(RESULTS.lamps) }), say("page.length", { n: number(STREET.length_m) })];
  if (SUN.sunset_ms != null) about.push(say("page.sunset", { h: clock(SUN.sunset_ms) }));
  if (SUN.sunrise_ms != null) about.push(say("page.sunrise", { h: clock(SUN.sunrise_ms) }));
  if (SUN.sunset_ms == null && SUN.sunrise_ms == null) about.push(say("page.nosun"));
  $("about").replaceChildren(...about.map((text) => make("span", text)));
  $("big-energy").textContent = energy(FIGURES.energy_wh);
  $("big-energy-notes").replaceChildren(
    make("p", say("big.perlamp", { n: number(FIGURES.energy_wh / RESULTS.lamps), h: number(FIGURES.night_h, 1) })),
    make("p", say("big.level", { n: percent(FIGURES.mean_level_permille, 0) })),
    make("p", say("big.lit", { n: percent(FIGURES.lit_share_permille) })));
  const [first, ...others] = baselines;
  const against = (one) => WORDS[lang][`big.vs.${one.name}`] ?? say("big.vs", { name: one.title });
  const note = (one) => make("p", null, make("b", savingWords(one.saving_permille)), " ", make("span", against(one)),
    ...(one.served_permille == null ? [] : [make("small", ` (${say("big.dark", { n: percent(one.served_permille, 0) })})`)]));
  if (first) {
    $("big-saving-title").textContent = say(first.saving_permille < 0 ? "big.excess" : "big.saving");
    $("big-saving").textContent = percent(Math.abs(first.saving_permille), 0);
    $("big-saving-notes").replaceChildren(make("p", against(first)), ...others.map(note));
  }
  $("big-served").textContent = percent(passers.served_permille);
  $("big-served-notes").replaceChildren(make("p", say("big.of", { a: number(passers.served), b: number(passers.total) })),
    make("p", (passers.by_mode || []).map((one) => `${number(one.served)}/${number(one.total)} ${titleOf("mode", one.mode)}`).join(" · ")),
    ...(passers.served_time_permille == null ? [] : [make("p", say("big.servedtime", { n: percent(passers.served_time_permille) }))]));
}

function fillTable(table, headings, rows, none) {
  const head = make("tr", null, ...headings.map((text) => Object.assign(make("th", text), { scope: "col" })));
  const body = rows.map((cells) => make("tr", null, ...cells.map((cell, k) => {
    const element = k ? make("td") : Object.assign(make("th"), { scope: "row" });
    element.append(cell);
    return element;
  })));
  if (!body.length) body.push(make("tr", null, Object.assign(make("td", none), { colSpan: headings.length })));
  table.replaceChildren(make("thead", null, head), make("tbody", null, ...body));
}

function renderFacts() {
  const rows = [[say("facts.energy", { name: say("series.reverbere") }), energy(FIGURES.energy_wh), ""]];
  for (const one of baselines) rows.push([say("facts.energy", { name: titleOf("series", one.name, one.title) }), energy(one.energy_wh), percent(one.saving_permille)]);
  if (FIGURES.bound) rows.push([say("facts.energy", { name: titleOf("series", "bound", FIGURES.bound.title) }), energy(FIGURES.bound.energy_wh),
    FIGURES.bound.energy_wh ? say("facts.above", { n: percent(1000 * (FIGURES.energy_wh / FIGURES.bound.energy_wh - 1)) }) : "–"]);
  const outOf = (one) => say("facts.outof", { a: number(one.served), b: number(one.total), p: percent(one.total ? 1000 * one.served / one.total : null) });
  rows.push([say("facts.servedAll"), outOf(passers), ""]);
  for (const one of passers.by_mode || []) rows.push([say("facts.served", { name: titleOf("mode", one.mode) }), outOf(one), ""]);
  const switchings = FIGURES.switchings_per_lamp || {};
  rows.push([say("facts.servedtime"), percent(passers.served_time_permille), ""], [say("facts.night"), `${number(FIGURES.night_h, 1)}\u00a0h`, ""],
    [say("facts.lit"), percent(FIGURES.lit_share_permille), ""], [say("facts.level"), percent(FIGURES.mean_level_permille), ""],
    [say("facts.full"), percent(FIGURES.full_level_share_permille), ""],
    [say("facts.switch"), `${number(switchings.min)} · ${number(switchings.mean)} · ${number(switchings.max)}`, ""]);
  fillTable($("facts"), [say("facts.item"), say("facts.value"), say("facts.saving")], rows);
  fillTable($("expect"), [say("expect.what"), say("expect.bound"), say("expect.value"), say("expect.verdict")],
    (RESULTS.expectations || []).map((one) => {
      const verdict = make("span", `${one.ok ? "✓" : "✗"} ${say(one.ok ? "expect.ok" : "expect.ko")}`);
      verdict.className = one.ok ? "ok" : "ko";
      return [make("code", one.path.replace(/^expect\./, "")), measured(one.bound), measured(one.value), verdict];
    }), say("expect.none"));
  const sentences = RESULTS.assumptions || [];
  $("assume").replaceChildren(...(sentences.length ? sentences.map(textOf) : [say("assume.none")]).map((text) => make("li", text)));
  const proof = [["proof.scenario", `${RESULTS.scenario.title} (${RESULTS.scenario.file})`], ["proof.sha", RESULTS.scenario.sha256], ["proof.seed", String(RESULTS.seed)],
    ["proof.nights", String(RESULTS.nights)], ["proof.commit", RESULTS.commit + (RESULTS.commit_dirty ? ` (${say("proof.dirty")})` : "")], ["proof.digest", RESULTS.digest]];
  $("proof").replaceChildren(...proof.map(([key, text]) => make("div", null, make("dt", say(key)), make("dd", text))));
}

function renderLegends() {
  const totals = { reverbere: FIGURES.energy_wh, bound: (FIGURES.bound || {}).energy_wh };
  for (const one of baselines) totals[one.name] = one.energy_wh;
  $("series").replaceChildren(...SERIES.map((series) => {
    const swatch = make("i");
    swatch.style.background = SERIES_COLOURS[series.name] || INK;
    const watts = make("span");
    watts.className = "watts";
    watts.dataset.series = series.name;
    const button = make("button", null, swatch, make("b", titleOf("series", series.name, series.title)), make("span", energy(totals[series.name])), watts);
    button.type = "button";
    if (WORDS[lang][`hint.${series.name}`]) button.title = say(`hint.${series.name}`);
    button.setAttribute("aria-pressed", String(!hidden.has(series.name)));
    button.onclick = () => {
      if (!hidden.delete(series.name)) hidden.add(series.name);
      button.setAttribute("aria-pressed", String(!hidden.has(series.name)));
      charts.power.stale = state.dirty = true;
    };
    return button;
  }));
  $("modes").replaceChildren(...MODES.map((name, index) => {
    const swatch = make("i");
    swatch.style.background = modeColour(index);
    return make("span", null, swatch, titleOf("mode", name));
  }));
  $("ramp-low").textContent = percent(0, 0);
  $("ramp-high").textContent = percent(1000, 0);
  const c = $("ramp").getContext("2d");
  for (let x = 0; x < 180; x++) { c.fillStyle = `rgb(${PALETTE[Math.round(x / 179 * 255)].join(",")})`; c.fillRect(x, 0, 1, 10); }
}

/* ---- what changes with the moment ---- */

const lampNear = (metres) => POLES.reduce((best, pole, k) => (Math.abs(pole - metres) < Math.abs(POLES[best] - metres) ? k : best), 0);

function ago(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 90) return say("ago.s", { n: s });
  return s < 3600 ? say("ago.m", { n: Math.floor(s / 60) }) : say("ago.h", { h: Math.floor(s / 3600), m: String(Math.floor(s / 60) % 60).padStart(2, "0") });
}

function renderLamp() {
  const lamp = state.hover >= 0 ? state.hover : state.lamp, why = whyAt(lamp, state.t), level = Math.round(why.level);
  put($("lamp-name"), say("lamp.title", { n: lamp + 1, of: LAMPS }));
  put($("lamp-question"), say(level > 0 ? "lamp.whylit" : "lamp.whydark"));
  put($("lamp-why"), why.text);
  put($("lamp-level"), percent(level, 0));
  $("lamp-gauge").style.width = `${level / 10}%`;
  put($("lamp-since"), why.since == null ? say("lamp.start") : say("lamp.ago", { h: clock(why.since, true), ago: ago(state.t - why.since) }));
  const daytime = SUN.sunset_ms != null && SUN.sunrise_ms != null && (state.t < SUN.sunset_ms || state.t > SUN.sunrise_ms) && level === 0;
  put($("lamp-spared"), daytime ? say("lamp.day") : LAMP_FULL_W == null ? "–" : say(LAMP_TABLE ? "lamp.sparedval" : "lamp.sparedest",
    { a: number(Math.max(0, LAMP_FULL_W - lampPower(level)), 0), b: number(LAMP_FULL_W, 0) }));
}

function renderMoment(scene) {
  put($("clock"), clock(state.t, true));
  put($("day"), day(state.t, { weekday: "long", day: "numeric", month: "long" }));
  const sky = scene.sun > -0.83 ? "day" : scene.sun > -6 ? "civil" : scene.sun > -12 ? "nautical" : scene.sun > -18 ? "astro" : "night";
  put($("sky"), `${say(`sky.${sky}`)}, ${say("sky.sun", { n: number(scene.sun) })}`);
  const count = MODES.map((_, mode) => scene.trips.filter((trip) => trip.mode === mode).length);
  put($("live-passers"), MODES.map((name, mode) => (count[mode] ? `${count[mode]} ${titleOf(count[mode] > 1 ? "mode" : "one", name)}` : "")).filter(Boolean).join(", ") || say("street.nobody"));
  const ours = seriesNamed("reverbere");
  put($("live-power"), ours ? `${number(powerAt(ours, state.t))}\u00a0W` : "–");
  put($("live-level"), percent(scene.levels.reduce((a, b) => a + b, 0) / LAMPS, 0));
  const read = state.ghost ?? state.t;
  put($("power-when"), say("power.at", { h: clock(read) }));
  for (const element of document.querySelectorAll("[data-series]")) put(element, `${number(powerAt(seriesNamed(element.dataset.series), read))}\u00a0W`);
  $("time").value = String(Math.round(state.t));
  $("time").setAttribute("aria-valuetext", clock(state.t, true));
}

function renderButtons() {
  put($("play"), state.playing ? `❚❚ ${say("ctl.pause")}` : `▶ ${say("ctl.play")}`);
  for (const button of document.querySelectorAll("[data-span]")) button.setAttribute("aria-pressed", String(Number(button.dataset.span) === frame.span));
}

function paint() {
  if (frame.keep(state.t)) charts.heat.stale = charts.power.stale = true;
  if (street.windowed && !state.picked && street.followed) state.lamp = lampNear(tripPosition(street.followed, state.t));
  const scene = street.paint(state.t, state.hover >= 0 ? state.hover : state.lamp);
  charts.density.paint(state.t);
  charts.heat.paint(state.t, state.ghost);
  charts.power.paint(state.t, state.ghost);
  renderMoment(scene);
  renderLamp();
}

/* ---- moving in time ---- */

let linkTimer = 0;
/** Keeps the address naming this moment, so that a link can be sent. */
function writeLink() {
  clearTimeout(linkTimer);
  linkTimer = setTimeout(() => {
    if (state.playing) return;
    try { history.replaceState(null, "", `#t=${Math.round(state.t)}${lang === "fr" ? "" : `&lang=${lang}`}`); } catch { /* a file opened where links are refused */ }
  }, 400);
}

function seek(t) { state.t = clamp(t, FIRST, LAST); state.dirty = true; street.jump = true; writeLink(); }

function play(on) {
  state.playing = on;
  if (on && state.t >= LAST) state.t = FIRST;
  if (on) street.follow = true;
  renderButtons();
  writeLink();
}

/** Goes to the moment the next (or previous) passer has come one lamp into the street. */
function toPasser(way) {
  const moment = (trip) => trip.t0 + Math.min((trip.t1 - trip.t0) / 2, SPACING / trip.metresPerMs);
  const list = TRIPS.filter((trip) => moment(trip) >= FIRST && moment(trip) <= LAST).sort((a, b) => moment(a) - moment(b));
  if (!list.length) return;
  const next = way > 0 ? list.find((trip) => moment(trip) > state.t + 1) || list[0]
    : list.filter((trip) => moment(trip) < state.t - 1).pop() || list[list.length - 1];
  street.followed = next;
  street.follow = true;
  seek(moment(next));
}

let before = 0;
function turn(now) {
  const passed = Math.min(100, now - before);
  before = now;
  if (state.playing) {
    state.t += passed * state.speed;
    if (state.t >= LAST) { state.t = LAST; play(false); }
    state.dirty = true;
  }
  if (state.dirty) { state.dirty = false; paint(); }
  requestAnimationFrame(turn);
}

function layout() {
  street.layout();
  for (const chart of Object.values(charts)) chart.layout();
  const edge = gutter($("density").clientWidth);
  $("time").style.left = `${edge.left - 9}px`;
  $("time").style.right = `${edge.right - 9}px`;
  state.dirty = true;
}

function speak(which) {
  lang = which === "en" ? "en" : "fr";
  renderHeader(); renderFacts(); renderLegends(); renderButtons();
  for (const chart of Object.values(charts)) chart.stale = true;
  state.dirty = true;
}

/* ---- hands ---- */

const chooseLamp = (lamp) => {
  state.lamp = (lamp + LAMPS) % LAMPS;
  state.picked = true;
  state.hover = -1;
  if (street.windowed) { street.camera = POLES[state.lamp]; street.follow = false; }
  state.dirty = true;
};
const point = (event, canvas) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };

$("play").onclick = () => play(!state.playing);
$("speed").onchange = (event) => { state.speed = Number(event.target.value); };
$("next").onclick = () => toPasser(1);
$("prev").onclick = () => toPasser(-1);
$("lamp-prev").onclick = () => chooseLamp(state.lamp - 1);
$("lamp-next").onclick = () => chooseLamp(state.lamp + 1);
$("lang").onclick = () => { speak(lang === "fr" ? "en" : "fr"); writeLink(); };
$("time").oninput = (event) => seek(Number(event.target.value));

const overStreet = (event) => {
  const found = street.hit(...point(event, street.canvas));
  if ("map" in found && (street.dragging || event.type === "pointerdown")) { street.camera = found.map; street.follow = false; street.dragging = true; }
  state.hover = found.lamp ?? -1;
  if (event.type === "pointerdown" && state.hover >= 0) { state.lamp = state.hover; state.picked = true; }
  state.dirty = true;
};
street.canvas.addEventListener("pointermove", overStreet);
street.canvas.addEventListener("pointerdown", overStreet);
for (const kind of ["pointerup", "pointercancel", "pointerleave"]) street.canvas.addEventListener(kind, () => { street.dragging = false; state.hover = -1; state.dirty = true; });

for (const name of ["heat", "power"]) {
  const chart = charts[name], canvas = chart.canvas;
  canvas.addEventListener("pointermove", (event) => { state.ghost = chart.time(point(event, canvas)[0]); state.dirty = true; });
  canvas.addEventListener("pointerleave", () => { state.ghost = null; state.dirty = true; });
  canvas.addEventListener("click", (event) => {
    const [x, y] = point(event, canvas);
    if (name === "heat") chooseLamp(chart.lampAt(y));
    seek(chart.time(x));
  });
}
for (const button of document.querySelectorAll("[data-span]")) button.onclick = () => { frame.zoom(Number(button.dataset.span), state.t); charts.heat.stale = charts.power.stale = state.dirty = true; renderButtons(); };

document.addEventListener("keydown", (event) => {
  const tag = event.target.tagName;
  if (event.ctrlKey || event.metaKey || event.altKey || tag === "SELECT" || (event.key === " " && tag === "BUTTON")) return;
  const far = event.shiftKey ? 10 * MINUTE : MINUTE;
  const act = { " ": () => play(!state.playing), ArrowLeft: () => seek(state.t - far), ArrowRight: () => seek(state.t + far),
    n: () => toPasser(1), p: () => toPasser(-1) }[event.key.length > 1 ? event.key : event.key.toLowerCase()];
  if (act) { event.preventDefault(); act(); }
});

function readLink() {
  const wanted = HASH();
  if (wanted.has("lang") && wanted.get("lang") !== lang) speak(wanted.get("lang"));
  if (wanted.get("t") && Number.isFinite(Number(wanted.get("t")))) { seek(Number(wanted.get("t"))); return true; }
  return false;
}
window.addEventListener("hashchange", readLink);

Object.assign($("time"), { min: String(Math.round(FIRST)), max: String(Math.round(LAST)), step: "1" });
speak(HASH().get("lang") || "fr");
layout();
const linked = readLink();
const opening = linked ? tripsAt(state.t)[0] : GOOD.trip;
if (opening) { street.followed = opening; state.lamp = lampNear(tripPosition(opening, state.t)); }
street.jump = true;
paint();
state.playing = !linked && !window.matchMedia("(prefers-reduced-motion: reduce)").matches;
renderButtons();
new ResizeObserver(() => layout()).observe(document.body);
requestAnimationFrame((now) => { before = now; turn(now); });

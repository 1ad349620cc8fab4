/* Words: everything the page says, in French and in English. Data never becomes markup, only text. */

const WORDS = {
  fr: {
    locale: "fr-FR",
    "page.brand": "Réverbère", "page.kind": "Nuit simulée",
    "page.night": "Nuit du {from} au {to}", "page.lamps": "{n} lampes", "page.lamp": "{n} lampe", "page.length": "{n} m de rue",
    "page.sunset": "coucher du soleil {h}", "page.sunrise": "lever {h}", "page.nosun": "sans coucher ni lever ce jour-là",
    "page.other": "English", "page.otherLabel": "Show this page in English",
    "big.energy": "Énergie de la nuit", "big.perlamp": "{n} Wh par lampe, pour {h} h entre coucher et lever",
    "big.level": "niveau moyen {n} sur toute la nuit", "big.lit": "allumées {n} du temps de nuit",
    "big.saving": "Énergie économisée", "big.excess": "Énergie consommée en plus", "big.served": "Passants éclairés",
    "big.vs.full_night": "face au plein feu toute la nuit", "big.vs.fixed_dimming": "face à l’abaissement à heures fixes",
    "big.vs.extinction": "face à l’extinction en cœur de nuit", "big.vs": "face à : {name}",
    "big.more": "{n} de plus", "big.less": "{n} de moins", "big.of": "{a} passants sur {b}",
    "big.dark": "dont {n} des passants éclairés par cette référence", "big.servedtime": "{n} du temps passé dans la rue, au niveau voulu",
    "street.title": "La rue, minute par minute",
    "street.help": "Survolez ou touchez une lampe pour savoir pourquoi elle éclaire.",
    "street.scale": "Longueurs à l’échelle, hauteurs agrandies ; décor et silhouettes indicatifs.",
    "street.label": "Vue de profil de la rue : chaque lampe éclaire selon son niveau à l’instant choisi.",
    "street.onroad": "Dans la rue", "street.nobody": "personne",
    "street.now": "Puissance", "street.avg": "Niveau moyen",
    "ctl.play": "Lecture", "ctl.pause": "Pause", "ctl.speed": "Vitesse", "ctl.next": "Passant suivant",
    "ctl.prev": "Passant précédent", "ctl.time": "Heure de la nuit",
    "ctl.keys": "Clavier : espace = lecture, ← → = 1 minute (Maj : 10 minutes), N / P = passant suivant / précédent.",
    "ctl.density": "Passants par quart d’heure",
    "lamp.title": "Lampe {n} sur {of}", "lamp.whylit": "Pourquoi suis-je allumée ?", "lamp.whydark": "Pourquoi suis-je éteinte ?",
    "lamp.level": "Niveau", "lamp.since": "Depuis", "lamp.ago": "{h} ({ago})", "lamp.spared": "Puissance épargnée",
    "lamp.sparedval": "{a} W sur {b} W", "lamp.sparedest": "environ {a} W sur {b} W", "lamp.day": "il fait jour",
    "lamp.prev": "Lampe précédente", "lamp.next": "Lampe suivante",
    "lamp.none": "Aucune décision encore : la lampe n’a pas reçu d’ordre.", "lamp.start": "le début",
    "ago.s": "il y a {n} s", "ago.m": "il y a {n} min", "ago.h": "il y a {h} h {m}",
    "heat.title": "Chaque lampe, toute la nuit",
    "heat.help": "Une ligne par lampe, une colonne par instant. Cliquez pour aller à cet instant ; resserrez pour voir la lumière précéder les passants.",
    "heat.label": "Niveau de chaque lampe au cours du temps", "heat.zoom": "Fenêtre de temps",
    "zoom.night": "nuit entière", "zoom.h": "1 heure", "zoom.m": "10 min", "heat.key": "niveau",
    "power.title": "Puissance de la rue, en watts", "power.label": "Puissance électrique de la rue en watts, selon la façon d’éclairer",
    "power.help": "Touchez un nom pour montrer ou cacher sa courbe. Survolez la courbe pour lire les valeurs.",
    "power.at": "valeurs à {h}",
    "series.reverbere": "Réverbère", "series.full_night": "Plein feu toute la nuit", "series.fixed_dimming": "Abaissement à heures fixes",
    "series.extinction": "Extinction en cœur de nuit", "series.bound": "Borne du clairvoyant",
    "hint.bound": "le minimum de qui connaîtrait d’avance chaque passage",
    "mode.walker": "piétons", "mode.bicycle": "vélos", "mode.car": "voitures", "mode.bus": "bus", "mode.scooter": "trottinettes", "mode.runner": "coureurs",
    "one.walker": "piéton", "one.bicycle": "vélo", "one.car": "voiture", "one.bus": "bus", "one.scooter": "trottinette", "one.runner": "coureur",
    "reason.program": "L’horaire du programme de nuit le demande.", "reason.sensor": "Un capteur a vu passer quelqu’un par ici.",
    "reason.default": "Aucun ordre ne s’applique : la lampe suit son réglage d’origine.",
    "reason.override": "Une personne habilitée l’a demandé.",
    "reason.inactive": "Hors des heures du programme : rien à éclairer.",
    "reason.failsafe": "L’heure n’est pas sûre : dans le doute, la lampe éclaire.",
    "facts.title": "Les chiffres de la nuit", "facts.item": "Grandeur", "facts.value": "Valeur", "facts.saving": "Économie de Réverbère",
    "facts.energy": "Énergie, {name}", "facts.served": "Passants éclairés, {name}", "facts.servedAll": "Passants éclairés",
    "facts.servedtime": "Temps de présence bien éclairé", "facts.lit": "Part de la nuit allumée", "facts.level": "Niveau moyen",
    "facts.full": "Part de la nuit à plein niveau", "facts.switch": "Changements de niveau par lampe (min, moyenne, max)",
    "facts.night": "Durée de la nuit", "facts.outof": "{a}\u00a0sur\u00a0{b} ({p})", "facts.above": "{n} au-dessus",
    "expect.title": "Ce qui était attendu", "expect.what": "Attente", "expect.bound": "Seuil", "expect.value": "Obtenu", "expect.verdict": "Verdict",
    "expect.ok": "tenu", "expect.ko": "manqué", "expect.none": "Ce scénario n’énonce aucune attente.",
    "assume.title": "Ce qui est simulé, ce qui ne l’est pas", "assume.none": "Aucune hypothèse n’est énoncée.",
    "proof.title": "Refaire le calcul", "proof.scenario": "Scénario", "proof.sha": "Empreinte du scénario", "proof.seed": "Graine",
    "proof.nights": "Nuits", "proof.commit": "Version du code", "proof.dirty": "avec des modifications non enregistrées", "proof.digest": "Empreinte du résultat",
    "proof.note": "Même scénario, même graine, même version : mêmes chiffres. Cette page ne charge rien de l’extérieur.",
    "sky.day": "jour", "sky.civil": "crépuscule civil", "sky.nautical": "crépuscule nautique", "sky.astro": "fin de crépuscule", "sky.night": "nuit noire",
    "sky.sun": "soleil à {n}°",
  },
  en: {
    locale: "en-GB",
    "page.brand": "Réverbère", "page.kind": "Simulated night",
    "page.night": "Night of {from} to {to}", "page.lamps": "{n} lamps", "page.lamp": "{n} lamp", "page.length": "{n} m of street",
    "page.sunset": "sunset {h}", "page.sunrise": "sunrise {h}", "page.nosun": "no sunset or sunrise that day",
    "page.other": "Français", "page.otherLabel": "Afficher cette page en français",
    "big.energy": "Energy of the night", "big.perlamp": "{n} Wh per lamp, for {h} h between sunset and sunrise",
    "big.level": "mean level {n} over the night", "big.lit": "lit {n} of night time",
    "big.saving": "Energy saved", "big.excess": "Energy used in excess", "big.served": "Passers lit",
    "big.vs.full_night": "against full light all night", "big.vs.fixed_dimming": "against dimming at fixed hours",
    "big.vs.extinction": "against switching off at midnight hours", "big.vs": "against: {name}",
    "big.more": "{n} more", "big.less": "{n} less", "big.of": "{a} passers out of {b}",
    "big.dark": "with {n} of passers lit by that baseline", "big.servedtime": "{n} of time spent in the street at the level wanted",
    "street.title": "The street, minute by minute",
    "street.help": "Hover or touch a lamp to know why it is lit.",
    "street.scale": "Lengths to scale, heights enlarged; background and figures are indicative.",
    "street.label": "Side view of the street: each lamp shines at its level at the chosen moment.",
    "street.onroad": "In the street", "street.nobody": "nobody",
    "street.now": "Power", "street.avg": "Mean level",
    "ctl.play": "Play", "ctl.pause": "Pause", "ctl.speed": "Speed", "ctl.next": "Next passer",
    "ctl.prev": "Previous passer", "ctl.time": "Time of night",
    "ctl.keys": "Keyboard: space = play, ← → = 1 minute (Shift: 10 minutes), N / P = next / previous passer.",
    "ctl.density": "Passers per quarter hour",
    "lamp.title": "Lamp {n} of {of}", "lamp.whylit": "Why am I lit?", "lamp.whydark": "Why am I off?",
    "lamp.level": "Level", "lamp.since": "Since", "lamp.ago": "{h} ({ago})", "lamp.spared": "Power not needed",
    "lamp.sparedval": "{a} W out of {b} W", "lamp.sparedest": "about {a} W out of {b} W", "lamp.day": "it is day",
    "lamp.prev": "Previous lamp", "lamp.next": "Next lamp",
    "lamp.none": "No decision yet: the lamp has received no order.", "lamp.start": "the beginning",
    "ago.s": "{n} s ago", "ago.m": "{n} min ago", "ago.h": "{h} h {m} ago",
    "heat.title": "Every lamp, all night",
    "heat.help": "One row per lamp, one column per moment. Click to go to that moment; narrow the window to see light run ahead of passers.",
    "heat.label": "Level of every lamp over time", "heat.zoom": "Time window",
    "zoom.night": "whole night", "zoom.h": "1 hour", "zoom.m": "10 min", "heat.key": "level",
    "power.title": "Power of the street, in watts", "power.label": "Electric power of the street in watts, by way of lighting",
    "power.help": "Touch a name to show or hide its curve. Hover the curve to read values.",
    "power.at": "values at {h}",
    "series.reverbere": "Réverbère", "series.full_night": "Full light all night", "series.fixed_dimming": "Dimming at fixed hours",
    "series.extinction": "Switched off at midnight hours", "series.bound": "Clairvoyant bound",
    "hint.bound": "the least for someone who knew each passage beforehand",
    "mode.walker": "walkers", "mode.bicycle": "bicycles", "mode.car": "cars", "mode.bus": "buses", "mode.scooter": "scooters", "mode.runner": "runners",
    "one.walker": "walker", "one.bicycle": "bicycle", "one.car": "car", "one.bus": "bus", "one.scooter": "scooter", "one.runner": "runner",
    "reason.program": "The night programme asks for it at this hour.", "reason.sensor": "A sensor saw someone pass by here.",
    "reason.default": "No order applies: the lamp follows its factory setting.",
    "reason.override": "An authorised person asked for it.",
    "reason.inactive": "Outside the hours of the programme: nothing to light.",
    "reason.failsafe": "The time is not trusted: in doubt, the lamp shines.",
    "facts.title": "Figures of the night", "facts.item": "Quantity", "facts.value": "Value", "facts.saving": "Saving of Réverbère",
    "facts.energy": "Energy, {name}", "facts.served": "Passers lit, {name}", "facts.servedAll": "Passers lit",
    "facts.servedtime": "Time of presence well lit", "facts.lit": "Share of the night lit", "facts.level": "Mean level",
    "facts.full": "Share of the night at full level", "facts.switch": "Level changes per lamp (min, mean, max)",
    "facts.night": "Length of the night", "facts.outof": "{a}\u00a0of\u00a0{b} ({p})", "facts.above": "{n} above",
    "expect.title": "What was expected", "expect.what": "Expectation", "expect.bound": "Bound", "expect.value": "Obtained", "expect.verdict": "Verdict",
    "expect.ok": "met", "expect.ko": "missed", "expect.none": "This scenario states no expectation.",
    "assume.title": "What is simulated, what is not", "assume.none": "No assumption is stated.",
    "proof.title": "Run it again", "proof.scenario": "Scenario", "proof.sha": "Scenario fingerprint", "proof.seed": "Seed",
    "proof.nights": "Nights", "proof.commit": "Code version", "proof.dirty": "with unrecorded changes", "proof.digest": "Result fingerprint",
    "proof.note": "Same scenario, same seed, same version: same figures. This page loads nothing from outside.",
    "sky.day": "day", "sky.civil": "civil twilight", "sky.nautical": "nautical twilight", "sky.astro": "last twilight", "sky.night": "dark night",
    "sky.sun": "sun at {n}°",
  },
};

let lang = "fr";

/** The words for `key` in the current language, with {holes} filled from `values`. */
function say(key, values) {
  const text = WORDS[lang][key] ?? WORDS.fr[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (hole, name) => (name in values ? String(values[name]) : hole)) : text;
}

/** The title of something named in the data: our words if we have them, else the data's own. */
function titleOf(kind, name, fallback) {
  return WORDS[lang][`${kind}.${name}`] ?? fallback ?? name;
}

/** A text of the data that may be a plain sentence or one sentence per language. */
function textOf(value) {
  return value && typeof value === "object" ? value[lang] ?? value.fr ?? value.en ?? "" : String(value ?? "");
}

/** A bound or a value written by the scenario, as this language writes numbers. */
function measured(text) {
  const plain = String(text).replace(">=", "≥").replace("<=", "≤").replace(/ (?=[%\d])/g, "\u00a0");
  return lang === "fr" ? plain.replace(/(\d)\.(?=\d)/g, "$1,") : plain;
}

const number = (value, digits = 0) => value == null ? "–" : new Intl.NumberFormat(WORDS[lang].locale,
  { minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value).replace("-", "\u2212");
const percent = (permille, digits = 1) => permille == null ? "–"
  : number(permille / 10, digits) + (lang === "fr" ? "\u202f%" : "%");
const energy = (wh) => wh == null ? "–" : Math.abs(wh) < 1000 ? `${number(wh)}\u00a0Wh` : `${number(wh / 1000, wh < 1e5 ? 2 : 1)}\u00a0kWh`;

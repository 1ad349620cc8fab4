"""What the demo's page says, in French and in English: the figures come from the results, the words from here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

FRENCH, ENGLISH = "fr", "en"


@dataclass(frozen=True)
class Words:
    """One language: ``lang`` as HTML names it, ``texts`` by their key, ``comma`` between a figure and its decimals."""

    lang: str
    name: str
    comma: str
    months: tuple[str, ...]
    texts: Mapping[str, str]

    def say(self, key: str, **values: object) -> str:
        """Return a text with its figures in. Raises KeyError for a text or a figure that there is not."""
        return self.texts[key].format(**values)

    def evening(self, day: date) -> str:
        """Return the two days of the night that begins on this one."""
        first, second = ((one.day, self.months[one.month - 1], one.year) for one in (day, day + timedelta(days=1)))
        kept = 1 if first[1:] == second[1:] else 2 if first[2] == second[2] else 3
        return self.say(
            "evening",
            first=" ".join(str(part) for part in first[:kept]),
            second=" ".join(str(part) for part in second),
        )

    def figure(self, text: str) -> str:
        """Return a figure as this language writes it: its comma, and what may not be torn from it."""
        return text.replace(".", self.comma).replace(" ", "\N{NO-BREAK SPACE}")


_EN = {
    "kind": "virtual nodes",
    "night": "Night of {date}, {nodes} nodes",
    "evening": "{first} to {second}",
    "big.energy": "Energy of the night, as the nodes report it",
    "big.energy.note": "simulator, same inputs: <b>{simulator} Wh</b> ({off})",
    "big.saving": "Against lamps that burn all night",
    "big.replay": "Decisions taken again from the journals",
    "replay.same": "{decisions} decisions, no difference",
    "full_night_wh": "Full night",
    "fixed_dimming_wh": "Fixed dimming",
    "extinction_wh": "Extinction",
    "strip": "The light, as the nodes decided it",
    "strip.note": "One row a node, from its journal, up to the last record on its flash; bright is full light.",
    "strip.label": "levels over the night",
    "table": "Lamp by lamp",
    "table.note": "What a node decided in its last minutes was in RAM, and is not in its journal: where it has "
    "fewer decisions than the simulator, that is why. Links: one, and one after each loss.",
    "head.node": "node",
    "head.told": "node's reports, Wh",
    "head.simulator": "simulator, Wh",
    "head.off": "difference",
    "head.decisions": "decisions",
    "head.of_simulator": "of the simulator",
    "head.links": "links",
    "head.starts": "starts",
    "all": "all",
    "facts": "The night",
    "fact.nodes": "nodes",
    "fact.nodes.value": "{nodes}, on {kinds}",
    "fact.broker": "broker",
    "fact.passers": "passers",
    "fact.messages": "messages",
    "fact.links": "links made",
    "fact.wall": "wall clock",
    "fact.wall.value": "{wall} s, on average ×{rate}",
    "fact.cut": "feeder cut",
    "fact.cut.value": "{minutes} min; {torn} of {nodes} nodes were in the middle of a write; back, every lamp "
    "was lit within {lit} ms of its board's start, {light}",
    "light.full": "at full light",
    "light.least": "at {level} at least",
    "real": "What is real",
    "real.firmware": "firmware/main.py and all it starts, byte for byte what a node gets, each in a "
    "MicroPython process of its own with a bounded heap",
    "real.rules": "MQTT 3.1.1 over TLS 1.2 with a certificate for each node, the broker and its rules",
    "real.no_rules": "MQTT 3.1.1 over TLS 1.2 with the broker's certificate; this broker (amqtt) demands none "
    "of a node, and has no rules of who may write",
    "real.torn": "littlefs on a flash image that was cut in the middle of writes; journals, counters, plans "
    "and keys on it",
    "real.flash": "littlefs on a flash image; journals, counters, plans and keys on it",
    "real.wave": "the wave's messages with their authentication and rate limits; energy as the nodes counted "
    "and reported it",
    "double": "What is a double",
    "double.chip": "the chip: pins, PWM, Wi-Fi, ESP-NOW (frames go by UDP on the loopback), RTC and clock chip "
    "are models",
    "double.time": "time: it goes in strides, so that a board may wake a fraction of a second late (its own "
    "clock shows it)",
    "double.presence": "presence: the edges that the simulator gives its lamps are put on the nodes' pins",
    "double.power": "power: the luminaire's declared curve; nobody measured anything. No ESP32 was used",
}

_FR = {
    "kind": "nœuds virtuels",
    "night": "Nuit du {date}, {nodes} nœuds",
    "evening": "{first} au {second}",
    "big.energy": "Énergie de la nuit, d’après les nœuds",
    "big.energy.note": "simulateur, mêmes entrées : <b>{simulator} Wh</b> ({off})",
    "big.saving": "Face à des lampes allumées toute la nuit",
    "big.replay": "Décisions rejouées d’après les journaux",
    "replay.same": "{decisions} décisions, aucune différence",
    "full_night_wh": "Plein feu",
    "fixed_dimming_wh": "Abaissement à heures fixes",
    "extinction_wh": "Extinction",
    "strip": "La lumière, telle que les nœuds l’ont décidée",
    "strip.note": "Une ligne par nœud, d’après son journal, jusqu’au dernier enregistrement de sa mémoire ; "
    "clair : plein feu.",
    "strip.label": "niveaux au cours de la nuit",
    "table": "Lampe par lampe",
    "table.note": "Ce qu’un nœud a décidé dans ses dernières minutes était en mémoire vive et manque à son "
    "journal : c’est pourquoi il a parfois moins de décisions que le simulateur. Liaisons : une, et une après "
    "chaque perte.",
    "head.node": "nœud",
    "head.told": "rapports du nœud, Wh",
    "head.simulator": "simulateur, Wh",
    "head.off": "écart",
    "head.decisions": "décisions",
    "head.of_simulator": "du simulateur",
    "head.links": "liaisons",
    "head.starts": "démarrages",
    "all": "total",
    "facts": "La nuit",
    "fact.nodes": "nœuds",
    "fact.nodes.value": "{nodes}, sur {kinds}",
    "fact.broker": "courtier MQTT",
    "fact.passers": "passants",
    "fact.messages": "messages",
    "fact.links": "liaisons établies",
    "fact.wall": "durée réelle",
    "fact.wall.value": "{wall} s, en moyenne ×{rate}",
    "fact.cut": "coupure du départ",
    "fact.cut.value": "{minutes} min ; {torn} nœuds sur {nodes} étaient au milieu d’une écriture ; au retour, "
    "chaque lampe était allumée au plus {lit} ms après le démarrage de sa carte, {light}",
    "light.full": "à plein feu",
    "light.least": "à {level} au moins",
    "real": "Ce qui est réel",
    "real.firmware": "firmware/main.py et tout ce qu’il lance, octet pour octet ce que reçoit un nœud, chacun "
    "dans son propre processus MicroPython, à mémoire bornée",
    "real.rules": "MQTT 3.1.1 sur TLS 1.2 avec un certificat par nœud, le courtier et ses règles",
    "real.no_rules": "MQTT 3.1.1 sur TLS 1.2 avec le certificat du courtier ; ce courtier (amqtt) n’en demande "
    "pas aux nœuds et n’a pas de règles d’écriture",
    "real.torn": "littlefs sur une image de mémoire flash, coupée au milieu d’écritures ; journaux, compteurs, "
    "plans et clés y sont",
    "real.flash": "littlefs sur une image de mémoire flash ; journaux, compteurs, plans et clés y sont",
    "real.wave": "les messages de la vague, authentifiés et limités en débit ; l’énergie comptée et rapportée "
    "par les nœuds",
    "double": "Ce qui est une doublure",
    "double.chip": "la puce : broches, PWM, Wi-Fi, ESP-NOW (trames en UDP sur la boucle locale), RTC et "
    "horloge sont des modèles",
    "double.time": "le temps : il avance par bonds, une carte peut s’éveiller une fraction de seconde trop "
    "tard (sa propre horloge le montre)",
    "double.presence": "la présence : les fronts que le simulateur donne à ses lampes sont appliqués aux "
    "broches des nœuds",
    "double.power": "la puissance : la courbe déclarée du luminaire ; rien n’a été mesuré. Aucun ESP32 n’a été utilisé",
}

_EN_MONTHS = tuple(
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ]
)
_FR_MONTHS = tuple(
    [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ]
)

LANGUAGES = (Words(FRENCH, "Français", ",", _FR_MONTHS, _FR), Words(ENGLISH, "English", ".", _EN_MONTHS, _EN))

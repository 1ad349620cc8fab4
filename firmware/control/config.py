"""What belongs to one lamp and not to its program: place, luminaire, neighbours, limits, meter."""


class Config:
    """The configuration of one lamp output. The constructor takes what every lamp has; the rest has these defaults.

    ``zone``: the ten integers of `ZoneRule`. ``levels_permille`` and ``powers_mw``: the knots of `PowerCurve`.
    ``start_level_permille``: the level the launcher has put the lamp to before the first step (it fails lit: 1000).

    Street: ``own_id``, ``neighbours`` (pairs of pole id and distance in poles), ``hop_limit``, ``reach``,
    ``bubble_hold_ms``, ``bubble_period_ms``, ``bubble_repeat_ms`` (`Bubble`); ``is_light_ahead`` (`Passage`);
    ``volume_one_per_h`` and ``volume_two_per_h`` (`VolumeClass`; 0: not used), with the share of the program's level
    that is kept one and two classes down; ``rises_per_day`` (`RiseBudget`).

    Limits: ``guard_permille``, ``is_derogated``, ``driver_minimum_permille`` (`Limits`); ``derating``: None or the five
    integers of `ThermalDerating`; ``quiet_ms`` (`FlickerGuard`); ``flux_hours``, ``flux_needs_permille``,
    ``maximum_permille`` (`FluxKeeper`); ``relay``: None or the three integers of `Relay`.

    Night without a clock: ``is_feeder_switched``, ``has_photocell``, ``dim_permille`` (`FailSafe`).

    Monitor: ``meter_limits``: None without a meter, or the 14 integers of `LampHealth`; ``baselines``: None for no
    counters, or (dim from s, dim to s, dim level, off from s, off to s): the declared baselines of `NightCounters`.
    """

    def __init__(
        self,
        zone,
        latitude_udeg: int,
        longitude_udeg: int,
        levels_permille,
        powers_mw,
        standby_mw: int,
        start_level_permille: int = 1000,
    ):
        self.zone = zone
        self.latitude_udeg = latitude_udeg
        self.longitude_udeg = longitude_udeg
        self.levels_permille = levels_permille
        self.powers_mw = powers_mw
        self.standby_mw = standby_mw
        self.start_level_permille = start_level_permille
        self.own_id = 0
        self.neighbours = ()
        self.hop_limit = 2
        self.reach = 1
        self.bubble_hold_ms = 20000
        self.bubble_period_ms = 2000
        self.bubble_repeat_ms = 10000
        self.is_light_ahead = False
        self.volume_one_per_h = 0
        self.volume_two_per_h = 0
        self.volume_one_permille = 700
        self.volume_two_permille = 500
        self.rises_per_day = 300
        self.guard_permille = 0
        self.is_derogated = False
        self.driver_minimum_permille = 1
        self.derating = None
        self.quiet_ms = 10000
        self.flux_hours = (0,)
        self.flux_needs_permille = (1000,)
        self.maximum_permille = 1000
        self.relay = None
        self.is_feeder_switched = False
        self.has_photocell = False
        self.dim_permille = 0
        self.meter_limits = None
        self.baselines = None

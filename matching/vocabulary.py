"""The words of the trade: what carries no meaning, what call centres add, and what is written in several ways."""

_STOP_WORDS = """
a about after again all also although always am an and another any are as at away back be became because been before
being but by can cannot could did do does doing don done down due during each either else even ever every for from get
gets getting go goes going gone got had has have having he her here hers him his how however i if in into is isn it its
itself just let like ll may me might mine more most much must my myself no nor not now of off often on once one only
onto or other our ours out over own per please put quite rather re really s said same say says she should since so some
still such t than that the their them then there these they this those though through thus to told too under until up
upon us use used using ve very was we well went were what when where whether which while who whom whose why will with
within would yet you your yours d m
"""
_BOILERPLATE = """
contact consumer owner complaint stated state dealer dealership manufacturer recall vin nhtsa notice notification letter
vehicle car truck repair tl jb tt ts nlm cb kb ss mr contacted informed advised customer issue problem call called
"""
_PHRASES = """
soc: state of charge
soh: state of health
bms: battery management system, battery management unit
hv: high voltage
lv: low voltage
regen: regenerative braking, regenerative brake
dcdc: dc dc, dc to dc
obc: on board charger, onboard charger
vcu: vehicle control unit
mcu: motor control unit, motor controller
ecu: electronic control unit
ecm: engine control module
pcm: powertrain control module
tcu: telematics control unit
mil: check engine light, check engine lamp, malfunction indicator light, malfunction indicator lamp
abs: anti lock
ota: over the air
hvac: air conditioning, air conditioner
powertrain: power train
drivetrain: drive train
seatbelt: seat belt
airbag: air bag
windshield: wind shield
headlight: head light
taillight: tail light
gearbox: gear box
balljoint: ball joint
tierod: tie rod
"""
_SYNONYMS = """
regen: regeneration
hvac: ac, aircon
insulation: isolation
tire: tyre
gasoline: petrol, gas
hood: bonnet
battery: accumulator, batt
scooter: scooty
transmission: trans
steering: steer
mil: cel
temperature: temp
km: kilometer, kilometre
"""


def _table(text: str) -> dict[str, str]:
    """Every wording -> the one term that stands for it."""
    rows = (line.split(": ") for line in text.strip().splitlines())
    return {wording: term for term, wordings in rows for wording in wordings.split(", ")}


STOP_WORDS = frozenset(_STOP_WORDS.split())
BOILERPLATE = frozenset(_BOILERPLATE.split())
"""Words of call centres and letters that say nothing of the fault. They never become keywords."""

PHRASES = _table(_PHRASES)
"""Matched on folded words before inflection is stripped."""

SYNONYMS = _table(_SYNONYMS)
"""Matched on single words whatever their inflection."""

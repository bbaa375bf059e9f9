"""Workshop tickets for the starter knowledge, worded without its cards at hand, and tickets that no card explains."""

from matching import Case, Vehicle

NEXON = Vehicle("Tata", "Nexon EV", 2021, vehicle_type="four_wheeler")
ATHER = Vehicle("Ather", "450X", 2022, vehicle_type="two_wheeler")
OLA = Vehicle("Ola", "S1 Pro", 2022, vehicle_type="two_wheeler")
TREO = Vehicle("Mahindra", "Treo", 2021, vehicle_type="three_wheeler")
ZS = Vehicle("MG", "ZS EV", 2020, vehicle_type="four_wheeler")

KNOWN: dict[str, tuple[Case, frozenset[str]]] = {
    "pump": (
        Case(
            "On the highway the car loses power after a quarter of an hour and shows a coolant temperature message. "
            "I cannot hear the electric water pump running when ready is on.",
            vehicle=NEXON,
        ),
        frozenset({"thermal-coolant-pump-failure"}),
    ),
    "hall": (
        Case("Scooter shudders when starting off, sometimes I have to push it with my feet to get going.", vehicle=OLA),
        frozenset({"motor-hall-sensor-open"}),
    ),
    "isolation after rain": (
        Case(
            "Isolation fault warning after heavy rain, gone once the car dried for two days. Code P0AA6.", vehicle=NEXON
        ),
        frozenset({"hviso-moisture-connector"}),
    ),
    "12 v": (
        Case(
            "Car would not wake up this morning, no lights on the dash, key fob does nothing. Jump pack on the small "
            "battery got it going, all kinds of warnings came up.",
            vehicle=ZS,
        ),
        frozenset({"lv-12v-battery-aged", "lv-parasitic-drain"}),
    ),
    "side stand": (
        Case(
            "Side stand symbol stays on with the stand folded, throttle dead, washed the bike yesterday.", vehicle=ATHER
        ),
        frozenset({"lv-side-stand-switch-stuck"}),
    ),
    "connector": (
        Case("Smell of burnt plastic, plug between battery pack and controller is brown and molten.", vehicle=TREO),
        frozenset({"wiring-pack-connector-overheated", "battery-removable-pack-connector-burnt"}),
    ),
    "lock": (
        Case(
            "Charging cable will not come out of the car, the flap pin stays locked after the session.", vehicle=NEXON
        ),
        frozenset({"port-lock-actuator-failure"}),
    ),
    "earth": (
        Case("Every time we plug in at the new flat the RCD in the meter box trips.", vehicle=ZS),
        frozenset({"charger-supply-earth-fault-trip"}),
    ),
    "flood": (
        Case("Vehicle stood in flood water up to the seats, battery now reports a leak and mud came out of the pack."),
        frozenset({"battery-water-ingress-flood"}),
    ),
    "brake lamp": (
        Case("Stop lamp glows all the time and the motor does not react to the accelerator grip.", vehicle=ATHER),
        frozenset({"brake-cutoff-switch-stuck"}),
    ),
    "misspelled": (
        Case(
            "conroller gets very hott and cuts powr on long climb with two peple, thermel paste looks dry", vehicle=OLA
        ),
        frozenset({"controller-heat-path-degraded"}),
    ),
    "update": (
        Case("After the over-the-air update the touchscreen hangs at the maker's logo.", vehicle=OLA),
        frozenset({"firmware-update-interrupted"}),
    ),
    "codes only": (Case(error_codes=("P0A3F",), vehicle=NEXON), frozenset({"motor-resolver-signal-lost"})),
    "joint": (
        Case(
            "Clicks from the front wheel when parking with the steering fully turned, grease all over the rim.",
            vehicle=NEXON,
        ),
        frozenset({"drivetrain-outer-cv-joint-worn"}),
    ),
    "belt": (
        Case("The belt chirps and jumped a tooth when I opened the throttle hard.", vehicle=ATHER),
        frozenset({"drivetrain-belt-worn-or-slack"}),
    ),
    "axle oil": (
        Case("Auto rickshaw: rear brake has no bite, drum is full of gear oil.", vehicle=TREO),
        frozenset({"brake-rear-drum-oil-contaminated-3w", "drivetrain-transaxle-oil-leak-3w"}),
    ),
    "cold": (
        Case("In winter below freezing the car refuses to fast charge, battery heater never starts.", vehicle=ZS),
        frozenset({"thermal-battery-heater-cold-charging"}),
    ),
    "display": (
        Case("Condensation inside the instrument screen, it reacts to touches nobody made.", vehicle=OLA),
        frozenset({"display-water-behind-glass"}),
    ),
}
"""Ticket -> the case and the natural keys of the cards that explain it."""

UNKNOWN = {
    "seat": Case("The stitching of the driver's seat came apart and the foam is showing.", vehicle=NEXON),
    "paint": Case("Paint peels off the tailgate after one year.", vehicle=ZS),
    "radio": Case("The radio forgets its stations and Bluetooth calls have an echo.", vehicle=NEXON),
    "wiper": Case("The rear wiper smears and squeaks on a dry window.", vehicle=ZS),
    "tyre": Case(
        "Tyres are worn on the inner edge after ten thousand kilometres, asks for wheel alignment.", vehicle=NEXON
    ),
    "mirror": Case("The left mirror glass fell out at speed.", vehicle=ATHER),
    "invoice": Case("Customer disputes the invoice of the last visit and wants a refund.", vehicle=OLA),
    "wind": Case("Wind whistles at the top of the driver's window above 90 km/h.", vehicle=ZS),
    "insurance": Case("Insurance survey after a parking dent in the rear door, give an estimate."),
    "spare key": Case("Lost one key, wants a second one programmed.", vehicle=NEXON),
    "horn": Case("The horn sounds hoarse.", vehicle=TREO),
    "floor mat": Case("The floor mat slides forward.", vehicle=NEXON),
}

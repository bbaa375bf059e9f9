"""Fault codes in fields and in free text."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from matching.charger_codes import MREC_NAMES, NAMES
from matching.codes import InvalidCode, Scheme, affinity, canonical_code, find_codes, normalise_code


@pytest.mark.parametrize(
    ("text", "canonical", "scheme"),
    [
        ("p0a80", "P0A80", Scheme.dtc),
        ("PO42O", "P0420", Scheme.dtc),
        ("P0A80 1a", "P0A80-1A", Scheme.dtc),
        ("P0A80:1A", "P0A80-1A", Scheme.dtc),
        ("U100087", "U1000-87", Scheme.dtc),
        ("0x0A801A", "P0A80-1A", Scheme.dtc),
        ("0x4A801A", "C0A80-1A", Scheme.dtc),
        ("0x93A21B", "B13A2-1B", Scheme.dtc),
        ("0xD00087", "U1000-87", Scheme.dtc),
        ("SPN 520192 FMI 5", "SPN 520192 FMI 5", Scheme.spn_fmi),
        ("spn:91,fmi:03", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("91/3", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("SPN 91", "SPN 91", Scheme.spn_fmi),
        ("GroundFailure", "GroundFailure", Scheme.charger),
        ("ac_rcd/MREC2GroundFailure", "MREC2GroundFailure", Scheme.charger),
        ("connector_lock/ConnectorLockUnexpectedOpen", "ConnectorLockUnexpectedOpen", Scheme.charger),
        ("E401", "E401", Scheme.oem),
        ("error e-401", "E401", Scheme.oem),
        ("Err-07", "ERR7", Scheme.oem),
        ("7", "ERR7", Scheme.oem),
        ("BMS_a066", "BMSA066", Scheme.oem),
        ("VCFRONT_a180", "VCFRONTA180", Scheme.oem),
        ("930B41", "930B41", Scheme.oem),
        ("P0A801A", "P0A80-1A", Scheme.dtc),
        ("P0A80.1A", "P0A80-1A", Scheme.dtc),
        ("P0A80 (1A)", "P0A80-1A", Scheme.dtc),
        ("P0A80 FTB 1A", "P0A80-1A", Scheme.dtc),
        ("DTC P0A80,", "P0A80", Scheme.dtc),
        ("$0A801A", "P0A80-1A", Scheme.dtc),
        ("0A 80 1A", "P0A80-1A", Scheme.dtc),
        ("0x0A 0x80 0x1A", "P0A80-1A", Scheme.dtc),
        ("SPN 91 (FMI 3)", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("SPN 91/3", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("FMI 3 SPN 91", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("S:520192 F:5", "SPN 520192 FMI 5", Scheme.spn_fmi),
        ("520192:5", "SPN 520192 FMI 5", Scheme.spn_fmi),
        ("SPN 0x5B FMI 3", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("SPN 91 FMI 3 OC 12", "SPN 91 FMI 3", Scheme.spn_fmi),
        ("S12", "S12", Scheme.oem),
        ("ground failure", "GroundFailure", Scheme.charger),
        ("GROUNDFAILURE", "GroundFailure", Scheme.charger),
        ("mrec 5 overvoltage", "MREC5OverVoltage", Scheme.charger),
        ("CX014", "MREC14PilotFault", Scheme.charger),
        ("ac_rcd/DC", "ac_rcd/DC", Scheme.charger),
        ("Permanent Fault", "PermanentFault", Scheme.charger),
        ("current sensor", "CURRENTSENSOR", Scheme.oem),
    ],
)
def test_field_notations_meet(text: str, canonical: str, scheme: Scheme) -> None:
    code = normalise_code(text)
    assert (str(code), code.scheme) == (canonical, scheme)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "code_empty"),
        ("  \t", "code_empty"),
        ("pending", "code_empty"),
        ("P" * 65, "code_length"),
        ("P0A\x0080", "code_characters"),
        ("P4A80", "dtc_second_character"),
        ("U0G00", "dtc_hexadecimal"),
        ("P0A80-XYZ", "dtc_failure_type"),
        ("SPN 524288 FMI 1", "spn_range"),
        ("SPN 91 FMI 32", "fmi_range"),
        ("the car makes a noise", "oem_characters"),
        ("⚡⚡", "oem_characters"),
        ("A1B2C3D4E5F6G7H8I9J0K1L2M3N4O5P6Q7", "oem_length"),
    ],
)
def test_illegal_codes_name_their_rule(text: str, rule: str) -> None:
    with pytest.raises(InvalidCode) as raised:
        normalise_code(text)
    assert raised.value.rule == rule
    assert raised.value.text == text
    assert str(raised.value).endswith(".")


@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("P0A80 pending", "pending"),
        ("P0A80-1A (confirmed)", "confirmed"),
        ("0x0A801A-2F", "confirmed"),
        ("0x0A801A 04", "pending"),
        ("0x0A801A08", "confirmed"),
        ("P0A80:1A [2F]", "confirmed"),
        ("pending: P0A80", "pending"),
        ("permanent code P0A80", "permanent"),
        ("E401", None),
    ],
)
def test_status_is_read_and_kept_apart(text: str, status: str | None) -> None:
    code = normalise_code(text)
    assert code.status == status
    assert status is None or status not in str(code)


@pytest.mark.parametrize(
    ("a", "b", "credit"),
    [
        ("P0A80-1A", "p0a80 1a pending", 1.0),
        ("P0A80-1A", "P0A80", 0.9),
        ("P0A80-1A", "P0A80-16", 0.6),
        ("P0A80", "P0A8F", 0.3),
        ("P0A80", "P0B80", 0.0),
        ("SPN 91 FMI 3", "SPN 91 FMI 4", 0.6),
        ("SPN 91 FMI 3", "SPN 92 FMI 3", 0.0),
        ("MREC2GroundFailure", "GroundFailure", 0.9),
        ("E401", "E402", 0.0),
    ],
)
def test_affinity(a: str, b: str, credit: float) -> None:
    left, right = normalise_code(a), normalise_code(b)
    assert affinity(left, right) == affinity(right, left) == credit


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CHECK ENGINE LIGHT, CODE P0456 AND PO442. CODED BY THE DEALER", ["P0456", "P0442"]),
        ("shows codes E401, E402 and E-403 since Monday", ["E401", "E402", "E403"]),
        ("error code 12 came up after 3 miles", ["ERR12"]),
        ("my Mazda B2300 stores B1342-05 (pending)", ["B1342-05"]),
        ("SPN: 91, FMI: 3 active", ["SPN 91 FMI 3"]),
        ("alert BMS_a066 and DI_a166", ["BMSA066", "DIA166"]),
        ("station reports ac_rcd/MREC2GroundFailure", ["MREC2GroundFailure"]),
        ("station reports NoError", []),
        ("0x0A801A read twice: P0A80-1A", ["P0A80-1A"]),
        ("pending P0A80, then P030400 and C1360(81)", ["P0A80", "P0304-00", "C1360-81"]),
        ("FMI 3 SPN 91; SPN 92/4", ["SPN 91 FMI 3", "SPN 92 FMI 4"]),
        ("the box reports CX002", ["MREC2GroundFailure"]),
        ("display shows E05 and flashes Err-12", ["ERR12", "E05"]),
        ("THE CURRENT MILEAGE WHEN THE BLOCK FAILED, ERROR DETECTED", []),
        ("the recall code was AH02, postal code K1N, steering/ElectroHydraulic", []),
        ("I use E85 in my F150 at 60 mph, stalled 3 times", []),
        ("SPN 999999 FMI 1", []),
        ("", []),
    ],
)
def test_codes_in_free_text(text: str, expected: list[str]) -> None:
    assert [str(code) for code in find_codes(text)] == expected


def test_bare_makers_codes_need_a_card_that_knows_them() -> None:
    assert find_codes("it says e-401 again") == []
    assert [str(code) for code in find_codes("it says e-401 again", known={"E401"})] == ["E401"]


@given(st.text(max_size=70))
@example("1" + 29 * "0")
def test_normalising_is_idempotent_or_refused(text: str) -> None:
    try:
        code = normalise_code(text)
    except InvalidCode:
        assert isinstance(canonical_code(text), str)
        return
    again = normalise_code(str(code))
    assert str(again) == str(code)
    assert affinity(code, again) == 1.0


@given(st.text(max_size=300))
def test_any_text_can_be_scanned(text: str) -> None:
    found = find_codes(text)
    assert len({(code.key, code.detail) for code in found}) == len(found)


def test_every_known_charger_error_is_recognised_however_it_is_written() -> None:
    for name in NAMES.values():
        spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
        for written in (name, name.upper(), name.lower(), spaced, f"evse_manager/{name}"):
            code = normalise_code(written)
            assert (code.scheme, code.base) == (Scheme.charger, name), written
    for number, name in MREC_NAMES.items():
        assert normalise_code(f"CX{number:03d}") == normalise_code(f"MREC{number}{name}")


def test_the_status_found_in_text_is_kept() -> None:
    assert [code.status for code in find_codes("P0A80 (pending), permanent P0A1F, U0100")] == [
        "pending",
        "permanent",
        None,
    ]

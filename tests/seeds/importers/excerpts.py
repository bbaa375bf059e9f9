"""Rows in the two formats, written for the tests."""

import json
from pathlib import Path
from typing import Any

from seeds.importers import nhtsa_complaints, nhtsa_recalls

COMPLAINT = {
    "odi": "11000001",
    "vehicles": [{"make": "VOLTA", "model": "CITY", "year": "2021"}],
    "components": ["STEERING", "ELECTRICAL SYSTEM"],
    "filed": "2022-03-04",
    "incident": "2022-02-28",
    "crash": False,
    "fire": False,
    "injuries": 0,
    "deaths": 0,
    "text": "The contact owns a 2021 Volta City. While driving, the steering assist failed without warning.",
}
RECALL = {
    "campaign": "22V100000",
    "manufacturer": "Volta Motors, Inc.",
    "report_date": "2022-05-01",
    "component": "ELECTRICAL SYSTEM:PROPULSION SYSTEM:TRACTION BATTERY",
    "summary": (
        "Volta Motors, Inc. (Volta) is recalling certain 2020-2021 City vehicles. The high-voltage battery may "
        "experience a short circuit, which can result in a loss of drive power."
    ),
    "consequence": "A short circuit in the battery increases the risk of a fire.",
    "remedy": (
        "Volta will notify owners, and dealers will replace the battery modules, free of charge. The recall began "
        "June 1, 2022. Owners may contact Volta customer service at 1-800-555-0100."
    ),
    "notes": "",
    "vehicles": [
        {"make": "VOLTA", "model": "CITY", "year": "2020"},
        {"make": "VOLTA", "model": "CITY", "year": "2021"},
    ],
}
FLAT_COMPLAINT = {
    "CMPLID": "900001", "ODINO": "11000001", "MFR_NAME": "Volta Motors", "MAKETXT": "VOLTA", "MODELTXT": "CITY",
    "YEARTXT": "2021", "CRASH": "N", "FAILDATE": "20220228", "FIRE": "N", "INJURED": "0", "DEATHS": "0",
    "COMPDESC": "STEERING", "DATEA": "20220306", "LDATE": "20220304", "MILES": "10000",
    "CDESCR": "WHILE DRIVING, THE STEERING ASSIST FAILED WITHOUT WARNING.", "CMPL_TYPE": "IVOQ", "PROD_TYPE": "V",
}  # fmt: skip
FLAT_RECALL = {
    "RECORD_ID": "1", "CAMPNO": "22V100000", "MAKETXT": "VOLTA", "MODELTXT": "CITY", "YEARTXT": "2020",
    "COMPNAME": RECALL["component"], "MFGNAME": "VOLTA MOTORS", "RCLTYPECD": "V", "MFGTXT": "Volta Motors, Inc.",
    "RCDATE": "20220501", "DESC_DEFECT": RECALL["summary"], "CONEQUENCE_DEFECT": RECALL["consequence"],
    "CORRECTIVE_ACTION": RECALL["remedy"],
}  # fmt: skip


def complaint_line(**fields: str) -> str:
    """One line of FLAT_CMPL.txt."""
    row = FLAT_COMPLAINT | fields
    return "\t".join(row.get(name, "") for name in nhtsa_complaints.COLUMNS) + "\tN\tN"


def recall_line(**fields: str) -> str:
    """One line of FLAT_RCL.txt."""
    row = FLAT_RECALL | fields
    return "\t".join(row.get(name, "") for name in nhtsa_recalls.COLUMNS) + "\t0000\tBOSCH"


def json_lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def written(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path

"""The symptom library: what people notice, in the words they use for it."""

from typing import Annotated

from pydantic import ConfigDict, Field
from pymongo import ASCENDING, DESCENDING, IndexModel

from app.ids import new_id
from models.enums import Severity, SubsystemCategory
from models.record import Record
from models.types import Line, ShortText, Strict, SymptomCode


class SymptomContent(Strict):
    symptom_code: SymptomCode
    name: Line
    description: ShortText = ""
    category: SubsystemCategory
    synonyms: Annotated[list[Line], Field(max_length=50)] = []
    severity: Severity = Severity.medium
    safety_critical: bool = False


class Symptom(Record, SymptomContent):
    model_config = ConfigDict(extra="ignore")

    id: str = Field(default_factory=lambda: new_id("symptom"))
    name_key: str = Field(
        default_factory=lambda data: " ".join(data["name"].casefold().split()),
        description="The name, evened out: no two symptoms read the same.",
    )

    class Settings(Record.Settings):
        name = "symptoms"
        indexes = [
            IndexModel([("_id", ASCENDING), ("revision", ASCENDING)]),
            IndexModel([("symptom_code", ASCENDING)], unique=True),
            IndexModel([("name_key", ASCENDING)], unique=True),
            IndexModel([("category", ASCENDING), ("_id", DESCENDING)]),
            IndexModel([("updated_at", ASCENDING), ("_id", ASCENDING)]),
        ]

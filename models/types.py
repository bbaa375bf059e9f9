"""Field types that documents and request schemas share; each limit is stated here once and shows in OpenAPI."""

from decimal import Decimal
from typing import Annotated

from beanie import DecimalAnnotation
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema

from app.clock import to_utc


def _without_control_characters(text: str) -> str:
    for character in text:
        if character < " " and character not in "\n\r\t":
            raise ValueError(f"control character U+{ord(character):04X} is not allowed")
    return text


_Printable = AfterValidator(_without_control_characters)

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), _Printable]
"""One line of text, never empty."""
Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=200), _Printable]
ShortText = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), _Printable]
"""A sentence or two; may be empty."""
Caption = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), _Printable]
"""What stands under a picture; may be empty."""
Text = Annotated[str, StringConstraints(strip_whitespace=True, max_length=20_000), _Printable]
"""Running text; may be empty. 20,000 characters hold the longest owner complaint on record with room to spare."""
Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=120), _Printable]
"""A make, a model, a person, a tool; may be empty."""
ErrorCode = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60), _Printable]
"""A fault code as read from the vehicle or charger; its form is checked by `matching.codes`."""
SymptomCode = Annotated[str, StringConstraints(pattern=r"^SYM_[A-Z0-9]{2,8}_[0-9]{3}$")]
"""A code of the symptom library, for instance SYM_BATT_001."""
_AMOUNT = {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,2})?$"}]}
Money = Annotated[
    DecimalAnnotation,
    Field(ge=Decimal(0), max_digits=14, decimal_places=2),
    WithJsonSchema(_AMOUNT | {"examples": ["1250.00"]}),
]
"""An exact amount in the organisation's currency."""
UtcDatetime = Annotated[AwareDatetime, AfterValidator(to_utc)]
"""An instant; must carry its zone, is kept in UTC."""
Minutes = Annotated[int, Field(ge=0, le=60 * 24 * 60)]
Kilometres = Annotated[int, Field(ge=0, le=5_000_000)]
Rating = Annotated[int, Field(ge=1, le=5)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number from 0 to 1."""
ModelYear = Annotated[int, Field(ge=1950, le=2100)]


class Strict(BaseModel):
    """A value inside a document or a request: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class Measurement(Strict):
    """One reading with its unit, for instance 3.21 V between B+ and B-."""

    quantity: Line
    value: float = Field(allow_inf_nan=False)
    unit: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=20)]
    point: ShortText = ""

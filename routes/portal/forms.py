"""What a form sent, what is wrong with it, and reading it into the models that the services take."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.datastructures import FormData, UploadFile

from app.errors import EfiError, Invalid
from models.types import ShortText
from routes.portal import render

M = TypeVar("M", bound=BaseModel)
CSRF_FIELD = "csrf_token"
ONCE_FIELD = "once"
REVISION_FIELD = "revision"


@dataclass(frozen=True, slots=True)
class Sent:
    """A file as it was sent."""

    name: str
    content: bytes = field(repr=False)


@dataclass
class Form:
    """`values` as they were typed, by name; `errors` are shown beside their fields, `notice` above the form.

    `told` is what else the refusal says (the `extra` of its error).
    """

    values: dict[str, list[str]] = field(default_factory=dict)
    files: dict[str, list[Sent]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    notice: str = ""
    told: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    async def of(cls, data: FormData, *, with_files: bool = True) -> "Form":
        """What was sent; without files, of these only the names."""
        form = cls()
        for name, value in data.multi_items():
            if isinstance(value, UploadFile):
                if value.filename:  # a field in which nothing was chosen is sent too
                    content = await value.read() if with_files else b""
                    form.files.setdefault(name, []).append(Sent(value.filename, content))
            else:
                form.values.setdefault(name, []).append(value.replace("\r\n", "\n"))
        return form

    def get(self, name: str, default: str = "") -> str:
        """The value without surrounding space; the last one if there are several."""
        return self.values[name][-1].strip() if self.values.get(name) else default

    def all(self, name: str) -> list[str]:
        """Every value that is not empty."""
        return [value.strip() for value in self.values.get(name, []) if value.strip()]

    def shown(self, name: str, default: Any = "") -> str:
        """What the field shows: what was typed, else what is stored."""
        return self.values[name][-1] if self.values.get(name) else "" if default is None else str(default)

    def checked(self, name: str, value: str = "yes", default: bool = False) -> bool:
        """Whether a box or a choice is ticked: as sent, else as stored."""
        return value in self.values.get(name, []) if self.values else default

    def lines(self, name: str) -> list[str]:
        """A text area with one entry per line."""
        return [line.strip() for line in self.get(name).splitlines() if line.strip()]

    def said(self, name: str, *, needed: bool = False, kind: Any = ShortText) -> str:
        """What was said in words, as long as `kind` allows. Raises Invalid beside the field, also for nothing where
        something is needed."""
        if needed and not self.get(name):
            raise Invalid.field(name, render.text("form.required"))
        try:
            return _adapter(kind).validate_python(self.get(name))
        except ValidationError as error:
            raise Invalid.field(name, _said(error.errors()[0])) from None

    def revision(self) -> int | None:
        """The revision of the document that the page showed; None if the form has none."""
        return self.number(REVISION_FIELD)

    def number(self, name: str) -> int | None:
        """A whole number that the page put into the form; None if there is none."""
        given = self.get(name)
        return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None

    def typed(self) -> list[tuple[str, str]]:
        """What the person entered, for a page that keeps it."""
        return [(name, value) for name, values in self.values.items() if name != CSRF_FIELD for value in values]

    def refuse(self, error: EfiError | ValidationError) -> None:
        """Note what is wrong: beside the field where it names one, and always in one sentence above."""
        if isinstance(error, ValidationError):
            found = [(".".join(str(part) for part in fault["loc"]), _said(fault)) for fault in error.errors()]
            self._note(found)
            self.notice = ""
            return
        self.told = error.extra
        self._note([(fault["field"], fault["rule"]) for fault in error.extra.get("errors", [])])
        self.notice = "" if error.extra.get("errors") else error.detail

    def _note(self, faults: Iterable[tuple[str, str]]) -> None:
        """The first fault of each field. That of an entry of a list (`codes.0`) stands beside the field of the list,
        that of a part which the form asks for by itself (`measurement.value`) beside the field of the part."""
        for name, rule in faults:
            shown = (name, name.partition(".")[0], name.rpartition(".")[2])
            self.errors.setdefault(next((field for field in shown if field in self.values), name), rule)


@cache
def _adapter(kind: Any) -> TypeAdapter[str]:
    return TypeAdapter(kind)


def _said(fault: Mapping[str, Any]) -> str:
    """The rule without the engine's way of announcing it; an expression says nothing to people."""
    if fault["type"] == "string_pattern_mismatch":
        return render.text("form.pattern")
    if fault["type"] == "too_short" and not fault["ctx"]["actual_length"]:
        return render.text("form.required")
    return str(fault["msg"]).removeprefix("Value error, ").replace("String should", "should").replace("Input ", "")


def read(model: type[M], values: Mapping[str, Any]) -> M:
    """The model out of form values, of which those that are empty are left out. Raises pydantic's ValidationError."""
    return model.model_validate({name: value for name, value in values.items() if value not in ("", None)})

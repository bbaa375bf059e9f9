"""The symptom library."""

from collections.abc import Iterable
from typing import Any

from pymongo.errors import DuplicateKeyError

from app.errors import Duplicate, Invalid, NotFound, Stale
from models.enums import SubsystemCategory
from models.symptom import Symptom, SymptomContent
from services.knowledge.changes import announce
from services.paging import Page, by_index, page
from services.writing import update


async def create(content: SymptomContent) -> Symptom:
    """Raises Duplicate for a code or a name that is taken; names differ by more than letter case and spacing."""
    symptom = Symptom(**content.model_dump())
    await _require_free(symptom)
    try:
        await symptom.insert()
    except DuplicateKeyError:
        raise Duplicate(f"The symptom {content.symptom_code} or its name exists already.") from None
    announce(symptom.id)
    return symptom


async def get(symptom_code: str) -> Symptom:
    """Raises NotFound."""
    symptom = await Symptom.find_one({"symptom_code": symptom_code})
    if symptom is None:
        raise NotFound.of("symptom", symptom_code)
    return symptom


async def list_symptoms(
    *,
    category: SubsystemCategory | None = None,
    code_prefix: str | None = None,
    safety_critical: bool | None = None,
    limit: int = 50,
    after: str | None = None,
) -> Page[Symptom]:
    """Newest first; `code_prefix` is the beginning of the code, for instance SYM_BATT."""
    query: dict[str, Any] = {}
    if category is not None:
        query["category"] = category
    if code_prefix is not None:
        # A range instead of an expression: "~" sorts after every character of a code.
        query["symptom_code"] = {"$gte": code_prefix, "$lt": f"{code_prefix}~"}
    if safety_critical is not None:
        query["safety_critical"] = safety_critical
    first, rest = by_index(query, ("symptom_code", "category"))
    return await page(Symptom, first, also=rest, limit=limit, after=after)


async def edit(symptom: Symptom, content: SymptomContent, *, revision: int) -> Symptom:
    """Replace the content. The code stays: cards name it. Raises Stale, Invalid, Duplicate."""
    if symptom.revision != revision:
        raise Stale(f"{symptom.symptom_code} was changed by somebody else; read it again.")
    if content.symptom_code != symptom.symptom_code:
        raise Invalid.field("symptom_code", "cannot change: cards refer to it", content.symptom_code)
    changed = Symptom(id=symptom.id, **content.model_dump())
    await _require_free(changed)
    edited = await update(symptom, {**content.model_dump(), "name_key": changed.name_key})
    announce(symptom.id)
    return edited


async def require(codes: Iterable[str]) -> None:
    """Raise Invalid unless the library knows every one of these codes."""
    wanted = set(codes)
    require_known(wanted, await known(wanted))


async def known(codes: set[str]) -> set[str]:
    """Those of these codes that the library knows."""
    if not codes:
        return set()
    found = Symptom.get_pymongo_collection().find({"symptom_code": {"$in": sorted(codes)}}, {"symptom_code": 1})
    return {symptom["symptom_code"] async for symptom in found}


def require_known(codes: set[str], library: set[str]) -> None:
    """Raise Invalid, naming each, if some of the codes are not in `library`."""
    unknown = sorted(codes - library)
    if unknown:
        errors = [
            {"field": "symptom_codes", "rule": "is not in the symptom library", "value": code} for code in unknown
        ]
        raise Invalid(f"symptom_codes: not in the symptom library: {', '.join(unknown[:10])}", errors=errors)


async def _require_free(symptom: Symptom) -> None:
    for field, unique in (("symptom_code", "symptom_code"), ("name", "name_key")):
        other = await Symptom.find_one({unique: getattr(symptom, unique)})
        if other is not None and other.id != symptom.id:
            value = getattr(symptom, field)
            raise Duplicate(
                f"{field}: {value!r} is taken by {other.symptom_code}.",
                errors=[{"field": field, "rule": f"must be unique; {other.symptom_code} has it", "value": value}],
            )

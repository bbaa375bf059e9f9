"""What embedding cards has cost once and need not cost again."""

from pydantic import Field
from pymongo import ASCENDING, IndexModel

from models.record import Record


class CardVector(Record):
    """The vector of one card by one embedder; `id` is `<card id>|<embedder>`.

    A cache: whatever is missing or does not fit the card's text any more is embedded anew.
    """

    card_id: str
    embedder: str
    text_hash: bytes
    vector: bytes = Field(description="Little-endian float16, one per dimension.")

    class Settings(Record.Settings):
        name = "card_vectors"
        indexes = [IndexModel([("embedder", ASCENDING), ("_id", ASCENDING)])]


class EmbedderState(Record):
    """Which embedder's vectors are complete; `id` is `cards`. After a change of embedder the former one serves until
    the new one's vectors are."""

    embedder: str

    class Settings(Record.Settings):
        name = "embedder_states"

"""The words of the API's JSON: types that say what they hold, with an example, so that the document needs no more."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.json_schema import WithJsonSchema
from pydantic_core import PydanticCustomError

from webapp.text import has_too_many_marks, storable
from webapp.web import incoming


def _readable(text: str) -> str:
    """Refuses text that cannot be normalised in linear time, and removes what no database stores."""
    if fault := incoming.fault(text):
        raise PydanticCustomError("fault", "{sentence}", {"sentence": fault})
    return storable(text)


def _readable_file(text: str) -> str:
    if has_too_many_marks(text):
        raise PydanticCustomError("fault", "{sentence}", {"sentence": "One letter has too many accents."})
    return storable(text)


def _in_range(at: datetime) -> datetime:
    if not 1970 <= at.year <= 9000:
        raise PydanticCustomError("fault", "{sentence}", {"sentence": "Use a year from 1970 to 9000."})
    return at


class Body(BaseModel):
    """What comes in as JSON: an unknown field is refused, and nothing is converted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Query(BaseModel):
    """What comes in after the question mark: texts, converted to the types of the fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


# What comes in. Every text of a Body or a Query is one of these: tests/api/test_document.py.
Text = Annotated[str, AfterValidator(_readable), Field(examples=["For the spring campaign"])]
# A whole file, which what reads it looks at line by line.
FileText = Annotated[str, AfterValidator(_readable_file)]
Word = Annotated[str, AfterValidator(_readable), Field(max_length=200, examples=["Figma"])]
GivenKey = Annotated[
    str, AfterValidator(_readable), Field(max_length=40, description="An id.", examples=["7K3F9QX0M2TB"])
]
# A time without an offset is refused: no database stores it.
GivenInstant = Annotated[AwareDatetime, AfterValidator(_in_range), Field(examples=["2026-11-30T08:06:00Z"])]
GivenValue = Text | bool | int | float | list[Text]

# What goes out.
Key = Annotated[str, Field(description="An id: 12 letters and digits.", examples=["7K3F9QX0M2TB"])]
Name = Annotated[str, Field(examples=["Rita Lindqvist"])]
AppName = Annotated[str, Field(examples=["Salesforce"])]
GroupName = Annotated[str, Field(examples=["Finance"])]
Email = Annotated[str, Field(examples=["rita@nordlicht.example"])]
Sentence = Annotated[str, Field(examples=["For the spring campaign"])]
Instant = Annotated[
    datetime, WithJsonSchema({"type": "string", "format": "date-time", "examples": ["2026-11-30T08:06:00Z"]})
]
Number = Annotated[int, Field(examples=[2])]
Flag = Annotated[bool, Field(examples=[True])]
Value = str | list[str] | int | float | bool
Values = Annotated[
    dict[str, Value],
    Field(description="Each field’s name with its value.", examples=[{"Role": "Read only", "Region": ["EMEA"]}]),
]


def one_of(kinds: type[StrEnum] | tuple[str, ...], description: str = "") -> Any:
    """A text of an open enumeration: later versions may send others, which a client takes as "something else"."""
    values = [str(one) for one in kinds]
    schema: dict[str, Any] = {"type": "string", "x-extensible-enum": values, "examples": values[:1]}
    if description:
        schema["description"] = description
    return Annotated[str, WithJsonSchema(schema)]

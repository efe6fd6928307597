"""
Documents that a person may write: read with one clear line for what is wrong in them.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.supervisor import Failure

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Count = Annotated[int, Field(gt=0)]


class Part(BaseModel):
    """
    A part of a document: nothing unknown, nothing changed later.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")


class Document(Part):
    """
    A document in a file of its own, YAML or JSON.
    """

    @classmethod
    def read(cls, file: Path) -> Self:
        """
        Read a file.

        Raises:
            Failure: it cannot be read, or says what cannot be.
        """
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))  # which reads JSON too
            return cls.model_validate({} if content is None else content)
        except OSError as error:
            raise Failure(f"{file} cannot be read: {error.strerror}") from None
        except (yaml.YAMLError, UnicodeDecodeError):
            raise Failure(f"{file} is neither YAML nor JSON") from None
        except ValidationError as error:
            first, *_ = error.errors(include_url=False)
            raise Failure(f"{file}: {_name(first['loc'])}{first['msg']}") from None

    def write(self, file: Path) -> None:
        """
        Write a file that `read` reads.

        Raises:
            Failure: it cannot be written.
        """
        try:
            file.write_text(self.model_dump_json(indent=2) + "\n")
        except OSError as error:
            raise Failure(f"{file} cannot be written: {error.strerror}") from None


def _name(location: Iterable[int | str]) -> str:
    name = ".".join(map(str, location))
    return f"{name}: " if name else ""

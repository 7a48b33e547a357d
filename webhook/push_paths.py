"""What may be pushed: one path each, without regard to letter case; and the answer each expects."""

import re
from typing import Annotated

from fastapi import Path
from starlette.convertors import Convertor, register_url_convertor

# Section 1 of the IoT Hub's push documents, in its order (docs/TRACKSOLID_API.md#all-push-paths).
IOT_HUB = (
    "pushevent",
    "pushhb",
    "pushgps",
    "pushalarm",
    "rfid",
    "wgtc",
    "pushoil",
    "pushfileupload",
    "pushtem",
    "pushlbs",
    "pushresourcelist",
    "pushftpfileupload",
    "pushiothubevent",
    "pushpassthroughdata",
    "pushterminaltransinfo",
    "pushinstructresponse",
    "pushfilecontent",
    "pushextendedkks",
    "uploadcallback",
    "generalbusiness",
    "pushobd",
    "pushfaultinfo",
    "pushtripreport",
)
# The Open API has one URL for all its messages, told apart by the form field msgType.
OPEN_API = "push"
TAG = "api/v1/tag/data/push"
PUSHES = (*IOT_HUB, OPEN_API, TAG)

SUCCESS = b'{"code":0,"msg":"success"}'
TAG_SUCCESS = b'{"code":200,"msg":"success"}'


class PushConvertor(Convertor[str]):
    """Matches the catalogue and nothing else, so that an unknown path is a plain 404."""

    # Sources do not agree on the letter case; a slash at the end is a common slip in a form.
    regex = f"(?i:{'|'.join(map(re.escape, PUSHES))})/?"

    def convert(self, value: str) -> str:
        return value.lower().rstrip("/")

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("push", PushConvertor())
ROUTE = "/{push:push}"
Push = Annotated[str, Path(json_schema_extra={"enum": list(PUSHES)})]

"""From the bytes of a multipart form to its fields, piece by piece, with python-multipart.

The receiver and the loader read forms with it. The work is linear in the number of bytes, also for
malformed ones.
"""

import binascii
import logging
from email.errors import MessageError

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

# The parser logs a warning for each malformed form. Senders must not be able to fill the log.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

KIND = "multipart/form-data"
# RFC 2046 allows 70 characters for a boundary. A longer header is not worth its parsing.
LONGEST_CONTENT_TYPE = 1024


class NotAForm(ValueError):
    """The bytes are not a multipart form, or the content type has no valid boundary."""


def is_multipart(content_type: str) -> bool:
    """True if this Content-Type header announces a multipart form."""
    return content_type.partition(";")[0].strip().lower() == KIND


class MultipartReader:
    """Reads a form while its bytes arrive. `content_type` is the header of the request."""

    def __init__(self, content_type: str) -> None:
        """Raises NotAForm if the content type has no boundary or is too long."""
        if len(content_type) > LONGEST_CONTENT_TYPE:
            raise NotAForm("the content type is too long")
        boundary = _options(content_type.encode("latin-1", "replace")).get(b"boundary")
        if not boundary:
            raise NotAForm("the content type has no boundary")
        self._fields: list[tuple[str, bytes]] = []
        self._header = [bytearray(), bytearray()]
        self._headers: dict[bytes, bytes] = {}
        self._value: bytearray | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin_part,
                "on_header_begin": self._begin_header,
                "on_header_field": self._header_name,
                "on_header_value": self._header_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._begin_value,
                "on_part_data": self._data,
                "on_part_end": self._end_part,
            },
        )

    def feed(self, piece: bytes) -> list[tuple[str, bytes]]:
        """Read the next bytes; returns (name, value) of each field that they complete.

        Raises NotAForm if the bytes are malformed.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise NotAForm(str(error)) from None
        complete, self._fields = self._fields, []
        return complete

    def rest(self) -> list[tuple[str, bytes]]:
        """Call after the last bytes: returns (name, value) of a field that has no end, if any."""
        if self._value is not None:
            self._end_part()
        return self._fields

    def _begin_part(self) -> None:
        self._headers = {}

    def _begin_header(self) -> None:
        self._header = [bytearray(), bytearray()]

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _end_header(self) -> None:
        name, value = self._header
        self._headers[bytes(name).lower()] = bytes(value)

    def _begin_value(self) -> None:
        self._value = bytearray()

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._value is not None:
            self._value += data[start:end]

    def _end_part(self) -> None:
        value, self._value = self._value or bytearray(), None
        name = _options(self._headers.get(b"content-disposition", b"")).get(b"name", b"")
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        decoded = _decoded(bytes(value), encoding)
        self._fields.append((name.decode("utf-8", "replace"), decoded))


def _options(header: bytes) -> dict[bytes, bytes]:
    """The parameters of a header, such as boundary or name. Raises NotAForm."""
    try:
        _, options = parse_options_header(header)
    except (MessageError, ValueError, TypeError) as error:
        raise NotAForm(f"a malformed header: {type(error).__name__}") from None
    return options


def _decoded(value: bytes, encoding: bytes) -> bytes:
    """The value without its transfer encoding; unchanged if it is not in that encoding."""
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(value)
    if encoding == b"base64":
        try:
            return binascii.a2b_base64(value)
        except binascii.Error:
            return value
    return value

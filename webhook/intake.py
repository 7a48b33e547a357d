"""The checks of a request: network, encoding, length and token."""

import asyncio
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import structlog
from fastapi import HTTPException, Request

from webhook.push_token import AcceptedTokens
from webhook.spool import MOST_WAITING_BYTES, Overloaded

log = structlog.get_logger()

WHERE_TO_SEND_IT = (
    "no valid token: send it as form field, JSON key or query parameter 'token', "
    "or as header 'X-Token' or 'Authorization: Bearer'"
)


class Intake:
    """The checks before a push is kept. Each raises the HTTP error that the sender gets."""

    def __init__(
        self, tokens: AcceptedTokens, networks: Sequence[IPv4Network | IPv6Network], most_bytes: int
    ) -> None:
        self._tokens = tokens
        self._networks = networks
        self._most_bytes = most_bytes
        self._held_bytes = 0

    def check_network(self, request: Request) -> None:
        """Raises 403 if networks are configured and the sender's is not among them."""
        if self._networks and not self._is_allowed(request):
            raise HTTPException(403, "your network is not on the allow-list")

    async def check_token(self, request: Request, body: bytes = b"") -> None:
        """Raises 401 if no valid token is found. Other requests run between steps of the search."""
        scope = request.scope
        for is_found in self._tokens.search(scope["headers"], scope["query_string"], body):
            if is_found:
                return
            await asyncio.sleep(0)
        raise HTTPException(401, WHERE_TO_SEND_IT, {"WWW-Authenticate": "Bearer"})

    async def check_scraper(self, request: Request) -> None:
        """Raises 401 unless it comes from this machine or an allowed network, or has a token."""
        address = _address(request)
        is_local = address is not None and address.is_loopback
        if not is_local and not self._is_allowed(request):
            await self.check_token(request)

    async def body(self, request: Request) -> bytes:
        """Read the body.

        Raises 413 as soon as it is too long, 415 if it is compressed, Overloaded if too many bytes
        of long bodies are in memory.
        """
        encoding = request.headers.get("content-encoding", "")
        if encoding.lower() not in ("", "identity"):
            raise HTTPException(
                415, "Content-Encoding is not supported: send the body uncompressed"
            )
        if int(request.headers.get("content-length", 0)) > self._most_bytes:
            raise self._too_long()
        pieces: list[bytes] = []
        size = 0
        try:
            async for piece in request.stream():
                pieces.append(piece)
                size += len(piece)
                self._held_bytes += len(piece)
                if size > self._most_bytes:
                    raise self._too_long()
                # All long bodies together are limited. A push in one piece is always read, however
                # much slow senders have sent.
                if len(pieces) > 2 and self._held_bytes > MOST_WAITING_BYTES + self._most_bytes:
                    raise Overloaded
        finally:
            self._held_bytes -= size
        return b"".join(pieces)

    def _too_long(self) -> HTTPException:
        return HTTPException(413, f"the body is longer than {self._most_bytes} bytes")

    def _is_allowed(self, request: Request) -> bool:
        address = _address(request)
        return address is not None and any(address in network for network in self._networks)


def _address(request: Request) -> IPv4Address | IPv6Address | None:
    """The address of the sender; None if a proxy did not pass it on."""
    try:
        address = ip_address(request.client.host if request.client else "")
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address

"""Asking the gatekeeper whether the engine may trade; only a positive, fresh answer counts."""

from __future__ import annotations

import secrets

import aiohttp

from interlock_core.wire import health
from interlock_core.wire.health import ArmedStatus, NotArmed

NONCE_BYTES = 12


class ArmedQuestion:
    """Asks `/health/armed` with a fresh nonce each time."""

    def __init__(self, gatekeeper_url: str, config_sha256: str) -> None:
        self._url = gatekeeper_url + health.PATH_ARMED
        self._config_sha256 = config_sha256
        timeout = aiohttp.ClientTimeout(total=health.TIMEOUT_S)
        self._http = aiohttp.ClientSession(timeout=timeout)

    async def ask(self) -> ArmedStatus | NotArmed:
        """Return the status only if it proves "armed"; never raises."""
        nonce = secrets.token_hex(NONCE_BYTES)
        try:
            async with self._http.get(
                self._url, params={"nonce": nonce}, allow_redirects=False
            ) as response:
                body = await response.read()
                return health.read_armed(
                    response.status, body, nonce=nonce, config_sha256=self._config_sha256
                )
        except TimeoutError:
            return NotArmed(f"the gatekeeper did not answer within {health.TIMEOUT_S} s")
        except (aiohttp.ClientError, OSError) as error:
            return NotArmed(f"the gatekeeper does not answer ({type(error).__name__})")

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

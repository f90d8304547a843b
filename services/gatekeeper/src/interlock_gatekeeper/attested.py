"""Read the preflight's attestation: it holds here and now, or there is a reason why not."""

from __future__ import annotations

from pathlib import Path

from interlock_core.wire import attestation
from interlock_core.wire.attestation import Attestation
from interlock_core.wire.strict import MAX_BYTES, SchemaError
from interlock_gatekeeper.closed_files import ClosedFileError, read_closed

# The preflight may have the key through a group; nobody else may have it, or write either file.
KEY_FORBIDS, FILE_FORBIDS = 0o027, 0o022


def read_attestation(
    path: Path | None,
    key_path: Path | None,
    *,
    now_wall_ns: int,
    config_sha256: str,
    commit: str,
) -> Attestation | str:
    """Return the attestation if it proves 7/7 for this configuration and commit, else why not."""
    if path is None or key_path is None:
        return "set ATTESTATION_FILE and ATTESTATION_KEY_FILE"
    try:
        key = attestation.key_in(read_closed(key_path, forbidden=KEY_FORBIDS, uid=None))
        raw = read_closed(path, forbidden=FILE_FORBIDS, uid=None, max_bytes=MAX_BYTES)
        found = attestation.open_sealed(raw, key)
    except SchemaError as error:
        return f"{path}: not an attestation of this preflight ({error})"
    except (ClosedFileError, ValueError) as error:
        return f"no attestation: {error}"
    why = attestation.problem(
        found, now_wall_ns=now_wall_ns, config_sha256=config_sha256, commit=commit
    )
    return found if why is None else f"attestation {found.report_id}: {why}"

"""Suggestions applied to the settings file, and put back: the file is replaced as a whole."""

from __future__ import annotations

import os
import shutil
import tempfile
import tomllib
from contextlib import suppress
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import orjson

from budget_proxy.analytics.suggestions.base import Setting, Suggestion
from budget_proxy.analytics.suggestions.edits import Edit, value_at, with_setting, without
from budget_proxy.errors import ConfigError, InvalidInput
from budget_proxy.store.applied import Applied
from budget_proxy.store.base import Store
from budget_proxy.types import frozen


@frozen
class Change:
    """A change of a settings file that was made, or would be.

    ``before`` is the file's text, ``None`` where there is none; ``after`` likewise. ``number``
    is what undoes it, ``None`` where nothing was written.
    """

    file: str
    before: str | None
    after: str | None
    setting: Setting
    number: int | None = None


def applied(
    store: Store, found: Suggestion, file: Path, now: float, *, dry_run: bool = False
) -> Change:
    """Write a suggestion's setting into the settings file, and remember how to undo it.

    Raises InvalidInput where the suggestion is no setting, and ConfigError where the file
    cannot be read or written, or the settings would not hold.
    """
    setting = found.setting
    if setting is None:
        raise InvalidInput(f"{found.id} is nothing that a setting does: {found.action}")
    place = file.resolve()
    before = _read(place)
    edit = with_setting(before or "", setting)
    _check(edit.text)
    made = Change(str(place), before, edit.text, setting)
    if dry_run:
        return made
    number = store.save_applied(_remembered(found, setting, place, now, before, edit))
    try:
        _write(place, edit.text, before)
    except ConfigError:
        store.mark_undone(number, now)
        raise
    return Change(made.file, before, edit.text, setting, number)


def undone(store: Store, number: int, now: float, *, dry_run: bool = False) -> Change:
    """Put back what was in the settings file before a suggestion was applied.

    Raises InvalidInput where there is no such, and ConfigError where that part of the file has
    been changed since.
    """
    found = store.applied(number)
    if not found:
        raise InvalidInput(f"nothing was applied under the number {number}")
    was = found[0]
    if was.undone is not None:
        raise InvalidInput(f"number {number} has been undone already")
    place, setting = Path(was.file), Setting(was.path, was.after)
    text = _read(place)
    if text is None:
        raise ConfigError(f"{place} is there no more")
    after: str | None = without(text, was, lambda made: _digest(made) == was.digest_before)
    if was.digest_before is None and not after:
        after = None
    made = Change(str(place), text, after, setting)
    if dry_run:
        return made
    _write(place, after, text)
    store.mark_undone(number, now)
    return Change(made.file, text, after, setting, number)


def _remembered(
    found: Suggestion, setting: Setting, place: Path, now: float, before: str | None, edit: Edit
) -> Applied:
    return Applied(
        ts=now,
        suggestion=orjson.dumps(asdict(found)).decode(),
        file=str(place),
        path=setting.path,
        before=None if before is None else value_at(before, setting.path),
        after=setting.value,
        removed=edit.removed,
        added=edit.added,
        digest_before=None if before is None else _digest(before),
        digest_after=_digest(edit.text),
    )


def _check(text: str) -> None:
    """Raise ConfigError where the settings would not hold with this file."""
    from budget_proxy.settings import load

    load(**tomllib.loads(text))


def _read(place: Path) -> str | None:
    try:
        with place.open(encoding="utf-8", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{place} cannot be read: {error}") from error


def _write(place: Path, text: str | None, before: str | None) -> None:
    """Replace the file's ``before`` by ``text`` in one step; ``None`` stands for no file."""
    if _read(place) != before:
        raise ConfigError(f"{place} was changed by somebody else just now: try again")
    if text is None:
        place.unlink()
        return
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    except OSError as error:
        raise ConfigError(f"{place} cannot be written: {error}") from error
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if before is None:
            Path(name).chmod(0o644)
        else:
            shutil.copymode(place, name)
        Path(name).replace(place)
    except (OSError, UnicodeEncodeError) as error:
        with suppress(OSError):
            Path(name).unlink()
        raise ConfigError(f"{place} cannot be written: {error}") from error


def _digest(text: str) -> str:
    return sha256(text.encode(errors="surrogatepass")).hexdigest()

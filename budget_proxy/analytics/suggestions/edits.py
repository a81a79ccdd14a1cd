"""One setting written into the text of a settings file, and taken out of it again.

The rest of the text stays as it is, comments and order too. Whatever wrote it, the result is read
back with Python's own TOML reader: it must say the same as before but for the one setting.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from difflib import unified_diff
from typing import Any

from budget_proxy.analytics.suggestions.base import Setting
from budget_proxy.errors import ConfigError
from budget_proxy.store.applied import Applied
from budget_proxy.types import frozen


@frozen
class Edit:
    """Lines of a text that gave way to others: ``text`` is the whole of it afterwards."""

    removed: str
    added: str
    text: str


def value_at(text: str, path: tuple[str, ...]) -> Any:
    """What a setting is; ``None`` where it is not set. Raises ConfigError on wrong TOML."""
    found: Any = _parsed(text)
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def with_setting(text: str, setting: Setting) -> Edit:
    """The text with one setting more, or with another value of it.

    Raises ConfigError, with what to write by hand, where the text has a form that leaves no
    place for it.
    """
    from tomlkit.exceptions import TOMLKitError

    wanted = _set(_parsed(text), setting)
    for way in (_in_place, _at_the_end, _at_the_top):
        with suppress(TOMLKitError, TypeError, ValueError, LookupError, AttributeError):
            made = _like(way(text, setting), text)
            made.encode()  # half a surrogate pair is no text
            if tomllib.loads(made) == wanted:
                return _edit(text, made)
    raise _by_hand(setting)


def without(text: str, made: Applied, is_original: Callable[[str], bool]) -> str:
    """The text as it was before a setting was made, though it may have changed elsewhere since.

    Of several places that would do, that which gives the original text, if one does. Raises
    ConfigError where the setting itself has been changed, or where its lines were.
    """
    path, removed, added = made.path, made.removed, made.added
    found = value_at(text, path)
    if found != made.after:
        now = "no longer set" if found is None else f"{found!r} by now"
        raise ConfigError(
            f"{'.'.join(path)} is {now}, not {made.after!r} as it was written: change it by hand"
        )
    wanted = _unset(_parsed(text), path)
    if made.before is not None:
        wanted = _set(wanted, Setting(path, made.before))
    possible = (text[:at] + removed + text[at + len(added) :] for at in _places(text, added))
    same = [before for before in possible if _same(before, wanted)]
    if same:
        return next(filter(is_original, same), same[0])
    raise ConfigError(
        f"the lines about {'.'.join(path)} were changed since it was written: change it by hand"
    )


def diff(before: str, after: str, name: str) -> str:
    """What changes, as a unified diff."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    lines = unified_diff(old, new, name, name)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def _in_place(text: str, setting: Setting) -> str:
    """Where the file has such settings, or could have them: as a person would write it."""
    import tomlkit
    from tomlkit.items import InlineTable

    document = tomlkit.parse(text)
    place: Any = document
    *tables, name = setting.path
    for depth, table in enumerate(tables, 1):
        if table not in place:
            inline = isinstance(place, InlineTable)
            more = depth < len(tables)
            place[table] = tomlkit.inline_table() if inline else tomlkit.table(is_super_table=more)
        place = place[table]
    place[name] = setting.value
    return tomlkit.dumps(document)


def _at_the_end(text: str, setting: Setting) -> str:
    """As a table of its own."""
    *tables, name = setting.path
    start = text if not text or text.endswith("\n") else f"{text}\n"
    return f"{start}\n[{_dotted(tables)}]\n{_line([name], setting)}"


def _at_the_top(text: str, setting: Setting) -> str:
    """As one line with a dotted name."""
    return _line(setting.path, setting) + text


def _line(path: Sequence[str], setting: Setting) -> str:
    import tomlkit

    return f"{_dotted(path)} = {tomlkit.item(setting.value).as_string()}\n"


def _dotted(path: Sequence[str]) -> str:
    import tomlkit

    return ".".join(tomlkit.key(name).as_string() for name in path)


def _like(made: str, text: str) -> str:
    """With the line ends of the text, if all of them are Windows'."""
    windows = text.count("\r\n")
    if windows and windows == text.count("\n"):
        return made.replace("\r\n", "\n").replace("\n", "\r\n")
    return made


def _edit(text: str, made: str) -> Edit:
    """What changed, by whole lines."""
    old, new = text.splitlines(keepends=True), made.splitlines(keepends=True)
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    removed, added = "".join(old[start : len(old) - end]), "".join(new[start : len(new) - end])
    if added.startswith(removed):  # the last line had no end
        removed, added = "", added[len(removed) :]
    return Edit(removed, added, made)


def _places(text: str, lines: str) -> Iterator[int]:
    at = text.rfind(lines) if lines else -1
    while at >= 0:
        yield at
        at = text.rfind(lines, 0, at)


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"the settings file is no valid TOML: {error}") from None


def _set(values: dict[str, Any], setting: Setting) -> dict[str, Any]:
    """Raises ConfigError where something else than a table is in the way."""
    values = deepcopy(values)
    place: Any = values
    for name in setting.path[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise _by_hand(setting)
    place[setting.path[-1]] = setting.value
    return values


def _unset(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    values = deepcopy(values)
    place = values
    for name in path[:-1]:
        place = place[name]
    del place[path[-1]]
    return values


def _same(text: str, wanted: Mapping[str, Any]) -> bool:
    """Whether a text says what is wanted; tables that were left empty count as not there."""
    try:
        return bool(_pruned(tomllib.loads(text)) == _pruned(wanted))
    except tomllib.TOMLDecodeError:
        return False


def _pruned(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    parts = {name: _pruned(part) for name, part in value.items()}
    return {name: part for name, part in parts.items() if part != {}}


def _by_hand(setting: Setting) -> ConfigError:
    *tables, name = setting.path
    place = f" under [{'.'.join(map(_quoted, tables))}]" if tables else ""
    value = _quoted(setting.value) if isinstance(setting.value, str) else setting.value
    return ConfigError(
        f"the settings file has a form into which this cannot be written: add {name} = {value}"
        f"{place} by hand"
    )


def _quoted(text: str) -> str:
    return json.dumps(text)

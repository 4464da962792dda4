"""Read plain tables (of a TOML file) into msgspec structs and collect every mistake, not the first only."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from msgspec import inspect

#: Stands for a value that could not be read; its mistake is in `Reader.mistakes`.
WRONG: Any = object()

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")
_SHOWN = 60

#: Picks the struct to read a table into, where the declared one is a base; None when a mistake was added instead.
Choose = Callable[["Reader", dict[str, Any], str], type[msgspec.Struct] | None]

#: Checks a struct: called with its fields that could be read, by name, and with its table as it stands in the file.
Check = Callable[["Reader", dict[str, Any], dict[str, Any], str], None]


def show(value: Any) -> str:
    """Return `value` as one short line for a message."""
    try:
        text = ascii(value) if not isinstance(value, str) else repr(value)
    except (ValueError, RecursionError):  # an integer of thousands of digits, a list a thousand deep
        text = f"<{type(value).__name__}>"
    text = "".join(mark if mark.isprintable() else "?" for mark in text)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def join(at: str, key: str) -> str:
    """Return the dotted place of `key` beneath `at`, quoted the way TOML would have it."""
    name = key if _BARE_KEY.match(key) else show(key).replace("'", '"')
    return f"{at}.{name}" if at else name


def suggest(word: Any, known: Iterable[str]) -> str:
    """Return `did you mean ...? ` where one of `known` is close to `word`, else an empty string."""
    if not isinstance(word, str):
        return ""
    # A word much longer than a name is none, and would take long to compare.
    close = difflib.get_close_matches(word[:200], list(known), n=1)
    return f"did you mean {join('', close[0])}? " if close else ""


def listing(names: Iterable[str]) -> str:
    """Return names for a message, separated by commas."""
    return ", ".join(join("", name) for name in names) or "none"


class Reader:
    """Reads values by their declared types; a mistake becomes one line `file: place = value is wrong; allowed: ...`."""

    def __init__(
        self, file: str, choose: Mapping[type, Choose] | None = None, checks: Mapping[type, Check] | None = None
    ) -> None:
        self.file = file
        self.mistakes: list[str] = []
        self._choose = dict(choose or {})
        self._checks = dict(checks or {})

    def add(self, at: str, problem: str) -> None:
        """Note a mistake at a place."""
        self.mistakes.append(f"{self.file}: {at} {problem}" if at else f"{self.file}: {problem}")

    def wrong(self, at: str, value: Any, problem: str) -> Any:
        """Note that the value at a place is wrong, and return WRONG."""
        self.add(f"{at} = {show(value)}", problem)
        return WRONG

    def undefined(self, at: str, value: str, defined: Iterable[str]) -> None:
        """Note that a name refers to nothing, with the names there are."""
        names = list(defined)
        self.wrong(at, value, f"is not defined; {suggest(value, names)}defined here: {listing(names)}")

    def read(self, value: Any, declared: Any, at: str = "") -> Any:
        """Return `value` as the declared type, or WRONG after noting every mistake in it."""
        return self._read(value, inspect.type_info(declared), at)

    def _read(self, value: Any, kind: inspect.Type, at: str) -> Any:
        allowed = ""
        while isinstance(kind, inspect.Metadata):
            allowed = (kind.extra_json_schema or {}).get("description", allowed)
            kind = kind.type
        match kind:
            case inspect.StructType():
                return self._struct(value, kind, at)
            case inspect.DictType():
                return self._dict(value, kind, at)
            case inspect.VarTupleType() | inspect.ListType():
                return self._many(value, kind, at)
            case inspect.TupleType():
                return self._few(value, kind, at, allowed)
            case inspect.UnionType():
                return self._union(value, kind, at, allowed)
            case inspect.FloatType() | inspect.IntType():
                return self._number(value, kind, at)
            case inspect.StrType():
                return self._text(value, kind, at, allowed)
            case inspect.BoolType():
                return value if isinstance(value, bool) else self.wrong(at, value, "is not true or false")
            case inspect.LiteralType():
                return self._literal(value, kind, at)
        raise TypeError(f"{at}: a site file has no reader for {kind!r}")

    def _struct(self, value: Any, kind: inspect.StructType, at: str) -> Any:
        if not isinstance(value, dict):
            return self.wrong(at, value, f"is not a table; allowed: a table with {_keys(kind)}")
        if kind.cls in self._choose:
            chosen = self._choose[kind.cls](self, value, at)
            if chosen is None:
                return WRONG
            if chosen is not kind.cls:
                return self.read(value, chosen, at)
        before = len(self.mistakes)
        known = {field.encode_name: field for field in kind.fields}
        for key in value:
            if key not in known:
                self.add(join(at, str(key)), f"is not known; {suggest(key, known)}allowed here: {_keys(kind)}")
        taken: dict[str, Any] = {}
        for key, field in known.items():
            if key in value:
                taken[field.name] = self._read(value[key], field.type, join(at, key))
            elif field.required:
                self.add(join(at, key), f"is missing; it is {describe(field.type)}")
        taken = {name: item for name, item in taken.items() if item is not WRONG}
        for base in kind.cls.__mro__:
            if base in self._checks:
                self._checks[base](self, taken, value, at)
        if len(self.mistakes) > before:
            return WRONG
        try:
            return kind.cls(**taken)
        except (ValueError, TypeError) as error:  # a struct's own check
            self.add(at, " ".join(str(error).split()))
            return WRONG

    def _dict(self, value: Any, kind: inspect.DictType, at: str) -> Any:
        if not isinstance(value, dict):
            return self.wrong(at, value, "is not a table; allowed: a table of named tables")
        taken: dict[str, Any] = {}
        sound = True
        for key, item in value.items():
            place = join(at, str(key))
            named = self._name(key, kind.key_type, place)
            taken[key] = self._read(item, kind.value_type, place)
            sound = sound and named and taken[key] is not WRONG
        most = kind.max_length
        if most is not None and len(value) > most:
            self.add(at, f"has {len(value)} entries; allowed: at most {most}")
            sound = False
        return taken if sound else WRONG

    def _name(self, key: Any, kind: inspect.Type, place: str) -> bool:
        """Check a table's key, whose place already shows it."""
        allowed = "text"
        while isinstance(kind, inspect.Metadata):
            allowed = (kind.extra_json_schema or {}).get("description", allowed)
            kind = kind.type
        if isinstance(key, str) and isinstance(kind, inspect.StrType) and _fits(key, kind):
            return True
        self.add(place, f"is not a name; allowed: {allowed}")
        return False

    def _many(self, value: Any, kind: inspect.VarTupleType | inspect.ListType, at: str) -> Any:
        if not isinstance(value, list | tuple):
            return self.wrong(at, value, f"is not a list; allowed: a list of {describe(kind.item_type, plural=True)}")
        items = [self._read(item, kind.item_type, f"{at}#{n}") for n, item in enumerate(value, 1)]
        sound = all(item is not WRONG for item in items)
        least, most = kind.min_length or 0, kind.max_length
        if len(items) < least or (most is not None and len(items) > most):
            limit = f"{least} or more" if most is None else f"{least} to {most}"
            self.add(at, f"has {len(items)} {'entry' if len(items) == 1 else 'entries'}; allowed: {limit}")
            sound = False
        if not sound:
            return WRONG
        return tuple(items) if isinstance(kind, inspect.VarTupleType) else items

    def _few(self, value: Any, kind: inspect.TupleType, at: str, allowed: str) -> Any:
        count = len(kind.item_types)
        if not isinstance(value, list | tuple) or len(value) != count:
            return self.wrong(at, value, f"is not {allowed or f'a list of {count}'}")
        items = [
            self._read(v, item, f"{at}#{n}") for n, (v, item) in enumerate(zip(value, kind.item_types, strict=True), 1)
        ]
        return WRONG if any(item is WRONG for item in items) else tuple(items)

    def _union(self, value: Any, kind: inspect.UnionType, at: str, allowed: str) -> Any:
        """Read an optional value: TOML has no null, so of `X | None` only X can be meant."""
        options = [option for option in kind.types if not isinstance(option, inspect.NoneType)]
        if len(options) == 1:
            return self._read(value, options[0], at)
        for option in options:
            trial = Reader(self.file, self._choose)
            taken = trial._read(value, option, at)
            if taken is not WRONG:
                return taken
        return self.wrong(at, value, f"is not {allowed or ' or '.join(describe(option) for option in options)}")

    def _number(self, value: Any, kind: inspect.FloatType | inspect.IntType, at: str) -> Any:
        whole = isinstance(kind, inspect.IntType)
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
            return self.wrong(at, value, f"is not {describe(kind)}")
        if isinstance(value, float) and not math.isfinite(value):
            return self.wrong(at, value, f"is not finite; allowed: {_range(kind) or 'finite numbers'}")
        if abs(value) > 1e15 or not _in_range(value, kind):
            return self.wrong(at, value, f"is out of range; allowed: {_range(kind) or 'up to 1e15'}")
        return value if whole else float(value)

    def _text(self, value: Any, kind: inspect.StrType, at: str, allowed: str) -> Any:
        if not isinstance(value, str):
            return self.wrong(at, value, f"is not text; allowed: {allowed or 'text in quotes'}")
        if not _fits(value, kind):
            return self.wrong(at, value, f"is not allowed; allowed: {allowed or 'other text'}")
        return value

    def _literal(self, value: Any, kind: inspect.LiteralType, at: str) -> Any:
        if any(value == option and type(value) is type(option) for option in kind.values):
            return value
        options = [str(option) for option in kind.values]
        return self.wrong(at, value, f"is not known; {suggest(value, options)}allowed: {', '.join(options)}")


def describe(kind: inspect.Type, plural: bool = False) -> str:
    """Return in words what a value of this type is."""
    if isinstance(kind, inspect.Metadata):
        said = (kind.extra_json_schema or {}).get("description")
        return said if said else describe(kind.type, plural)
    words = {
        inspect.StructType: ("a table", "tables"),
        inspect.DictType: ("a table", "tables"),
        inspect.VarTupleType: ("a list", "lists"),
        inspect.ListType: ("a list", "lists"),
        inspect.TupleType: ("a list", "lists"),
        inspect.FloatType: ("a number", "numbers"),
        inspect.IntType: ("a whole number", "whole numbers"),
        inspect.StrType: ("text", "texts"),
        inspect.BoolType: ("true or false", "true or false"),
    }
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(str(option) for option in kind.values)
    if isinstance(kind, inspect.UnionType):
        return " or ".join(
            describe(option, plural) for option in kind.types if not isinstance(option, inspect.NoneType)
        )
    return words.get(type(kind), ("a value", "values"))[plural]


def _keys(kind: inspect.StructType) -> str:
    return ", ".join(sorted(field.encode_name for field in kind.fields))


def _fits(text: str, kind: inspect.StrType) -> bool:
    if kind.min_length is not None and len(text) < kind.min_length:
        return False
    if kind.max_length is not None and len(text) > kind.max_length:
        return False
    return kind.pattern is None or re.search(kind.pattern, text) is not None


def _in_range(value: float, kind: inspect.FloatType | inspect.IntType) -> bool:
    return (
        (kind.ge is None or value >= kind.ge)
        and (kind.gt is None or value > kind.gt)
        and (kind.le is None or value <= kind.le)
        and (kind.lt is None or value < kind.lt)
    )


def _range(kind: inspect.FloatType | inspect.IntType) -> str:
    limits = ((">=", kind.ge), (">", kind.gt), ("<=", kind.le), ("<", kind.lt))
    return " and ".join(f"{sign} {limit:g}" for sign, limit in limits if limit is not None)

"""Command-line options made from the settings: one source for name, type, default and help.

In: sections of ``Settings``. Out: a decorator that gives a command these options and hands it the
merged ``Settings``. Why: thirty options written by hand beside thirty settings would drift apart.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Optional, Union, get_args, get_origin

import typer
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from vdbcluster.config.settings import Settings, load_settings

SHORT = {"collection": "-c"}


def with_settings(
    *sections: str, **parts: tuple[str, ...]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace the parameter ``settings`` of a command by the options of some sections.

    ``parts``: sections of which the command has the named settings only.
    """
    chosen = {section: Settings.model_fields[section].default.__class__ for section in sections}
    chosen |= {section: Settings.model_fields[section].default.__class__ for section in parts}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own if p.name != "settings"]
        options = [_config_option()]
        places: dict[str, tuple[str, str]] = {}
        for section, model in chosen.items():
            for name in parts.get(section, model.model_fields):
                parameter = _option(section, name, model)
                places[parameter.name] = (section, name)
                options.append(parameter)

        def run(**values: Any) -> None:
            given: dict[str, dict[str, Any]] = {section: {} for section in chosen}
            for name, (section, field_name) in places.items():
                said = values.pop(name)
                given[section][field_name] = said if said != [] else None
            settings = load_settings(given, values.pop("config"))
            command(settings=settings, **values)

        run.__signature__ = inspect.Signature([*options, *kept])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*options, *kept]}
        run.__doc__ = command.__doc__
        run.__name__ = command.__name__
        return run

    return decorate


def _config_option() -> inspect.Parameter:
    annotation = Annotated[
        Path | None,
        typer.Option("--config", help="Settings file; default vdbcluster.toml if it is there."),
    ]
    return _parameter("config", annotation)


@cache
def _option(section: str, name: str, model: type[BaseModel]) -> inspect.Parameter:
    """One for all commands that share the setting: they are a thousand, of two hundred settings."""
    field = model.model_fields[name]
    kind = _kind(field.annotation)
    option = typer.Option(
        *_flags(name, field, kind),
        help=" ".join(filter(None, (field.description, _choices(field), _default(field)))),
        metavar=_metavar(field.annotation, kind),
        rich_help_panel=str(model.__doc__).split(":")[0].rstrip("."),
        show_default=False,
    )
    return _parameter(f"{section}_{name}", Annotated[kind, option])


def _flags(name: str, field: FieldInfo, kind: Any) -> list[str]:
    extra = field.json_schema_extra
    flag = str(extra["flag"]) if isinstance(extra, dict) else f"--{name.replace('_', '-')}"
    if kind == bool | None:
        return [f"{flag}/--no-{flag.removeprefix('--')}"]
    return [flag, *([SHORT[name]] if name in SHORT else [])]


def _metavar(annotation: Any, kind: Any) -> str | None:
    """Short, so that the names of options are not cut off on a terminal of 80 columns."""
    short = {int: "N", float: "X", Path: "PATH", bool: None}
    parts = (_number(annotation), *get_args(kind), kind)
    return next((short[part] for part in parts if part in short), "TEXT")


def _number(annotation: Any) -> Any:
    """The type of number that may be given instead of ``auto``; None for other settings."""
    if not _or_auto(annotation):
        return None
    number = next(a for a in get_args(annotation) if get_origin(a) is not Literal)
    return get_args(number)[0] if get_origin(number) is Annotated else number


def _or_auto(annotation: Any) -> bool:
    kinds = get_args(annotation)
    return get_origin(annotation) in (Union, UnionType) and any(
        get_origin(kind) is Literal for kind in kinds if NoneType not in kinds
    )


def _choices(field: FieldInfo) -> str:
    if _or_auto(field.annotation):
        return ""
    kinds = (field.annotation, *get_args(field.annotation))
    chosen = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
    return f"One of {', '.join(map(str, chosen))}." if chosen else ""


def _default(field: FieldInfo) -> str:
    value = field.default
    if value in (None, "", ()) or isinstance(value, (bool, SecretStr)):
        return ""
    return f"Default {value}."


def _kind(annotation: Any) -> Any:
    """The type that the command line parses: optional, secrets as text, tuples as lists."""
    if _or_auto(annotation):
        return str | None  # the settings tell a number from "auto"
    if get_origin(annotation) in (Union, UnionType):
        annotation = next(a for a in get_args(annotation) if a is not NoneType)
    if annotation is SecretStr:
        annotation = str
    if get_origin(annotation) is tuple:
        annotation = list[str]
    return annotation | None if isinstance(annotation, type) else Optional[annotation]  # noqa: UP045


def _parameter(name: str, annotation: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation
    )

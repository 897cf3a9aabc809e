"""An operation of a backend, made of an nn.Module."""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.func import functional_call

from layerlaws.checking.examples import examples
from layerlaws.discovery import catalogue
from layerlaws.language.implementation import cast_to
from layerlaws.language.operations import Operation
from layerlaws.numerics.formats import format_of
from layerlaws.support.errors import WrongUse, known_name
from layerlaws.torch.arrays import from_numpy
from layerlaws.torch.sources import Made, Source, as_built, made

KEPT = 128
"""How many modules are kept for the next call of their size: as many as a law has examples."""

TRIED = 5
"""On how many inputs a module is built, at most, to compare the names of its parameters: it may decline the first."""


def from_module(
    operation: str,
    *,
    build: Callable[..., nn.Module],
    parameters: Mapping[str, Source],
    call: Callable[..., Any],
    results: Sequence[str] = (),
) -> Callable[..., Any]:
    """A function for a backend that carries out an operation by a module, through `torch.func.functional_call`.

    `build` and `call`, and sources that are functions, are given those arguments of the operation that they name.

    operation: its name, as in `layerlaws list`. build: makes the module for the sizes of a call; tensors come without
    numbers (on the device "meta": shape and dtype only). A module is kept for later calls of the same sizes in its
    thread, moved to their dtype and device, and evaluated by `eval()`. parameters: what every parameter and buffer of
    the module is, by the name that `named_parameters` and `named_buffers` give it: an argument's name,
    `transposed("w")`, `packed("a", "b")`, `split("w", 0, of=3)`, a function of arguments, or `as_built` for a buffer.
    call: takes the module first, and returns its result, or a tuple of results. results: their names, if these are not
    all the results of the operation, in its order; laws of the others are then not offered.

    Raises WrongUse, when the backend is loaded, for an operation, argument or result that does not exist, an argument
    that nothing uses, and parameters or buffers that are left out or unknown. The function raises ValueError for a
    parameter whose shape is not the module's.
    """
    known = catalogue().operations
    defined = known[known_name(operation, known, "operation")]
    implementation = _ModuleFunction(
        defined,
        build,
        _names(build, defined),
        {name: made(source) for name, source in parameters.items()},
        call,
        _names(call, defined, skipped=1),
        tuple(results),
    )
    implementation.check()

    def function(**arguments: Any) -> Any:
        return implementation(arguments)

    function.__name__ = function.__qualname__ = operation
    function.__signature__ = inspect.signature(implementation.operation.definition)  # type: ignore[attr-defined]
    function.__wrapped__ = build  # type: ignore[attr-defined]  # where its code is, for what tells versions apart
    return function


class _Kept(threading.local):
    """Modules by what they were built from, the one used last at the end; each thread has its own.

    `functional_call` puts parameters into a module while it is called, so that two threads cannot share one.
    """

    def __init__(self) -> None:
        self.modules: OrderedDict[Any, nn.Module] = OrderedDict()


@dataclass(frozen=True)
class _ModuleFunction:
    """An operation carried out by a module.

    built_from, called_with: the arguments that `build` and `call` name.
    """

    operation: Operation
    build: Callable[..., nn.Module]
    built_from: tuple[str, ...]
    sources: Mapping[str, Made]
    call: Callable[..., Any]
    called_with: tuple[str, ...]
    results: tuple[str, ...]
    kept: _Kept = field(default_factory=_Kept)

    def check(self) -> None:
        """Raises WrongUse for what is wrong whatever the sizes, as `from_module` says."""
        operation, where = self.operation, f"of {self.operation.name} (in from_module)"
        used = {*self.built_from, *self.called_with}
        used |= {name for source in self.sources.values() for name in source.arguments}
        for name in sorted(used):
            known_name(name, operation.parameters, f"argument {where}")
        for name in self.results:
            known_name(name, operation.results, f"result {where}")
        if unused := [name for name in operation.parameters if name not in used]:
            raise WrongUse(
                f"nothing uses {', '.join(unused)} {where}: give every argument to a parameter, or name it in `call`"
            )
        module = self._tried()
        if module is not None:  # one without children is false
            self._check_names(module)

    def __call__(self, arguments: Mapping[str, Any]) -> Any:
        """The results of the operation."""
        module = self._module(arguments)
        caller = _Caller(module, self.call)
        given = {f"module.{name}": x for name, x in self._values(module, arguments).items()}
        inputs = {name: arguments[name] for name in self.called_with}
        return self._arranged(functional_call(caller, given, (), inputs), type(module).__name__)

    def _module(self, arguments: Mapping[str, Any]) -> nn.Module:
        """A module of the sizes of these arguments, in their dtype and on their device."""
        taken = {name: arguments[name] for name in self.built_from}
        like = next((x for x in _tensors(arguments.values()) if x.is_floating_point()), torch.empty(0))
        key = (like.dtype, like.device, *((name, _size(x)) for name, x in taken.items()))
        kept = self.kept.modules
        if key not in kept:
            module = self.build(**{name: _without_numbers(x) for name, x in taken.items()}).eval().to(like.dtype)
            self._check_names(module)
            empty = any(x.is_meta for x in (*module.parameters(), *module.buffers()))
            kept[key] = module if empty else module.to(like.device)
        kept.move_to_end(key)
        while len(kept) > KEPT:
            kept.popitem(last=False)
        return kept[key]

    def _values(self, module: nn.Module, arguments: Mapping[str, Any]) -> dict[str, torch.Tensor]:
        """What each parameter and buffer of the module is in this call. Raises ValueError for a wrong shape."""
        values = {name: source.of(arguments) for name, source in self.sources.items() if source is not as_built}
        own = _state(module)
        for name, x in values.items():
            if x.shape != own[name].shape:
                hint = "; is it transposed?" if x.shape == own[name].shape[::-1] else ""
                raise ValueError(
                    f"{self.sources[name].words} has shape {tuple(x.shape)}, but {name} of {type(module).__name__} "
                    f"has {tuple(own[name].shape)}{hint}"
                )
        return values

    def _check_names(self, module: nn.Module) -> None:
        """Raises WrongUse unless every parameter and buffer is given, by a name that it has, and nothing else is."""
        state, parameters = _state(module), dict(module.named_parameters(remove_duplicate=False))
        for name, source in self.sources.items():
            known_name(name, state, f"parameter or buffer of {type(module).__name__}")
            if source is as_built and name in parameters:
                raise WrongUse(f"{name} of {type(module).__name__} is a parameter: as_built is for buffers only")
        given = {id(state[name]) for name in self.sources}
        left_out = list({id(x): name for name, x in reversed(state.items()) if id(x) not in given}.values())[::-1]
        if left_out:
            raise WrongUse(
                f"{type(module).__name__} has parameters or buffers that from_module({self.operation.name!r}) does not "
                f"give: {', '.join(left_out)}; say in `parameters` which arguments they are (or as_built, for a buffer)"
            )

    def _tried(self) -> nn.Module | None:
        """A module of the size of some input of the operation; None if it can be built for none of the first few."""
        for drawn in examples(self.operation.inputs, TRIED, None):
            arguments = cast_to(drawn, format_of("float32"))
            try:
                return self.build(**{name: _without_numbers(_native(arguments[name])) for name in self.built_from})
            except Exception:  # whatever it declines; the calls of a law tell
                continue
        return None

    def _arranged(self, returned: Any, module: str) -> Any:
        """The results in the order of the operation, with an exception in place of those that are not offered."""
        names = self.operation.results
        if not names:
            return returned
        own = self.results or names
        parts = (returned,) if isinstance(returned, torch.Tensor) else tuple(returned)
        if len(parts) != len(own):
            raise TypeError(
                f"{module} returned {len(parts)} results, not {len(own)} ({', '.join(own)}): name in `results` of "
                "from_module which those are, or pick them in `call`"
            )
        by_name = dict(zip(own, parts, strict=True))
        return tuple(by_name.get(name, NotImplementedError(f"{module} does not return {name}")) for name in names)


class _Caller(nn.Module):
    """A module and how it is called, as one module: what `functional_call` needs."""

    def __init__(self, module: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.module, self.call = module, call

    def forward(self, **arguments: Any) -> Any:
        return self.call(self.module, **arguments)


def _names(function: Callable[..., Any], operation: Operation, skipped: int = 0) -> tuple[str, ...]:
    """The arguments of the operation that a function names, behind its first ones; all if it takes any keyword."""
    parameters = list(inspect.signature(function).parameters.values())[skipped:]
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return operation.parameters
    return tuple(parameter.name for parameter in parameters if parameter.default is parameter.empty)


def _state(module: nn.Module) -> dict[str, torch.Tensor]:
    """Parameters and buffers by name; one that has several names is there under each."""
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _tensors(values: Iterable[Any]) -> Iterable[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, tuple):
            yield from _tensors(value)


def _size(x: Any) -> Any:
    """What a module may be built from: the shape and dtype of a tensor, any other value itself."""
    if isinstance(x, tuple):
        return tuple(map(_size, x))
    return (x.shape, x.dtype) if isinstance(x, torch.Tensor) else x


def _without_numbers(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_without_numbers, x))
    return torch.empty_like(x, device="meta", requires_grad=False) if isinstance(x, torch.Tensor) else x


def _native(x: Any) -> Any:
    if isinstance(x, tuple):
        return tuple(map(_native, x))
    return from_numpy(x) if hasattr(x, "dtype") else x

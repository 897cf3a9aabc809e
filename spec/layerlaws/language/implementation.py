"""One backend's function for one operation, as laws call it: on arrays that carry their allowed errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from layerlaws.language.backend import Backend
from layerlaws.language.operations import Operation
from layerlaws.language.withheld import Unoffered as Unoffered
from layerlaws.language.withheld import Withheld
from layerlaws.numerics.bounded import Bounded, asbounded, error_of, stored, value_of
from layerlaws.numerics.formats import Format, is_float
from layerlaws.numerics.reverse_mode import vjp
from layerlaws.support.errors import Broken
from layerlaws.support.printable import describe, printable
from layerlaws.support.stopwatch import spends

Into = Callable[[NDArray[Any]], Any]
"""Makes a NumPy array one of a backend."""

LONGEST_REASON = 120
"""Characters of a reason for declining an input that are kept."""


class Raised(Exception):
    """A function of the backend raised an exception, the `cause`."""

    def __init__(self, operation: str, cause: BaseException) -> None:
        super().__init__(f"{operation} raised {describe(cause)}")
        self.operation, self.cause = operation, cause


class Declined(Unoffered):
    """A function of the backend does not offer this input: it raised NotImplementedError, the `cause`."""

    def __init__(self, operation: str, cause: NotImplementedError) -> None:
        self.reason = printable(str(cause).strip().partition("\n")[0] or f"{operation} gives no reason", LONGEST_REASON)
        super().__init__(f"{operation} declines this input: {self.reason}")
        self.cause = cause


@dataclass(frozen=True)
class Example:
    """Drawn inputs in a format, and the definitions' results on them, evaluated once for all laws.

    said: results of definitions by the name of their operation.
    """

    inputs: dict[str, Any]
    said: dict[tuple[str, Format], Any] = field(default_factory=dict)

    def matches(self, arguments: Mapping[str, Any]) -> bool:
        """Whether the arguments are the very objects of the inputs, unchanged."""
        return arguments.keys() == self.inputs.keys() and all(arguments[name] is x for name, x in self.inputs.items())


class Implementation:
    """One backend's function for one operation, in one format, as laws call it.

    It takes arrays of the format, or earlier results with their errors, and returns `Bounded` results: the backend's
    numbers with the definition's error bounds. Integers and masks are returned as plain arrays. refusals: the argument
    at fault and the exception of every call that had to be refused and was. layouts: in which layouts of memory arrays
    were offered to the backend, and why they did not reach it; "" where they did. asked: whether it was called.
    """

    def __init__(self, operation: Operation, backend: Backend, format: Format, example: Example | None = None) -> None:
        """example: the drawn inputs; the definition's results on them are computed once."""
        self.operation, self.backend, self.format, self.example = operation, backend, format, example
        self.name = operation.name
        self.refusals: list[tuple[str, BaseException]] = []
        self.layouts: dict[str, str] = {}
        self.asked = False

    def __call__(self, **arguments: Any) -> Any:
        """The results: a `Bounded`, an array, or a tuple of these."""
        return self.compare(**arguments)[0]

    @spends("definition")
    def definition(self, **arguments: Any) -> Any:
        """The definition's results on the same arguments."""
        if self.example is None or not self.example.matches(arguments):
            return stored(self.operation.definition(**self.exact(arguments)))
        key = (self.name, self.format)
        if key not in self.example.said:
            self.example.said[key] = stored(self.operation.definition(**self.exact(arguments)))
        return self.example.said[key]

    def exact(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments of the definition: the values that the backend is given, with the errors they carry."""
        return _mapped(arguments, self._exact)

    def compare(self, **arguments: Any) -> tuple[Any, Any]:
        """The backend's results and the definition's, each evaluated once."""
        expected = self.definition(**arguments)
        return self.beside(self.results(**arguments), expected), expected

    def beside(self, results: Any, expected: Any) -> Any:
        """Plain results with the errors they may have. Raises Broken if their shapes are not the definition's."""
        results = self.as_many(results, expected)
        if isinstance(expected, tuple):
            names = (f"result {number} of {self.name}" for number in range(len(expected)))
            return tuple(map(self._with_error, names, results, expected))
        return self._with_error(f"the result of {self.name}", results, expected)

    def as_many(self, results: Any, expected: Any) -> Any:
        """Results, as many as the definition has. Raises Broken if they are not."""
        several = isinstance(expected, tuple)
        if isinstance(results, tuple) != several or (several and len(results) != len(expected)):
            raise Broken(
                f"{self.name} returned {_described(results)}, not a tuple of {len(expected)} arrays"
                if several
                else f"{self.name} returned a tuple where one array belongs",
                cause=f"wrong number of results from {self.name}",
            )
        return results

    def results(self, **arguments: Any) -> Any:
        """The backend's results as NumPy arrays, in the dtypes it chose."""
        native = self.native(arguments)
        return self.back(self.raw(native))

    @spends("backend")
    def native(self, arguments: Mapping[str, Any], into: Into | None = None) -> dict[str, Any]:
        """The arguments as arrays of the backend, copied, so that the backend may overwrite them.

        into: makes an array one of the backend; by default a copy in C order.
        """
        make = into or (lambda array: self.into(np.array(array, order="C", copy=True)))
        return _mapped(arguments, lambda x: make(self._plain(x)))

    def into(self, array: NDArray[Any]) -> Any:
        """An array as one of the backend. Raises `Declined` or `Raised` if it takes none like that."""
        try:
            return self.backend.from_numpy(array)
        except NotImplementedError as reason:
            raise Declined("from_numpy", reason) from reason
        except Exception as error:
            raise Raised("from_numpy", error) from error

    @spends("backend")
    def raw(self, native: Mapping[str, Any]) -> Any:
        """The backend's own result.

        Raises `Raised` if the function raises, `Declined` if it does not offer this input, `Unoffered` if there is no
        function.
        """
        function = self.backend.function(self.name)
        if function is None:
            raise Unoffered(f"no {self.name}")
        self.asked = True
        try:
            with np.errstate():  # restores what the function sets
                return function(**native)
        except NotImplementedError as reason:
            raise Declined(self.name, reason) from reason
        except (Exception, SystemExit) as error:
            raise Raised(self.name, error) from error

    @spends("backend")
    def back(self, result: Any) -> Any:
        """A result of the backend as NumPy arrays. Raises Broken where it is not an array.

        A NotImplementedError in place of one of several results says that the backend does not offer it.
        """
        if isinstance(result, tuple):
            return tuple(
                Withheld(printable(part)) if isinstance(part, NotImplementedError) else self.back(part)
                for part in result
            )
        try:
            array = self.backend.to_numpy(result)
        except Exception as error:
            raise Broken(
                f"{self.name} returned {_described(result)}, which to_numpy cannot take: {describe(error)}",
                cause=f"no array from {self.name}",
            ) from error
        if not isinstance(array, np.ndarray):
            raise Broken(
                f"{self.name} returned {_described(result)}; to_numpy made {_described(array)} of it",
                cause=f"no array from {self.name}",
            )
        if array.dtype.hasobject:
            raise Broken(f"{self.name} returned an array of Python objects", cause=f"no array from {self.name}")
        return np.asarray(array)  # a subclass may override arithmetic

    def refusal(self, naming: str, arguments: Mapping[str, Any]) -> Any:
        """None if the backend refuses these arguments, otherwise its result. naming: the argument at fault.

        Declining bad input is refusing it.
        """
        try:
            result = self.results(**arguments)
        except (Raised, Declined) as raised:
            self.refusals.append((naming, raised.cause))
            return None
        return result

    @spends("backend")
    def gradient(self, cotangent: Any, into: Into | None = None, /, **arguments: Any) -> dict[str, Any]:
        """Vector-Jacobian product: the gradient of sum(cotangent * result) with respect to every float array argument.

        into: as for `native`. Returns NumPy arrays by argument name. Raises `Unoffered` if the backend has no gradient,
        `Declined` if it has none of this input.
        """
        if self.backend.gradient is None:
            raise Unoffered("it offers no gradient")
        native = self.native({**arguments, "cotangent": cotangent}, into)
        weights = native.pop("cotangent")
        self.asked = True
        try:
            gradients = self.backend.gradient(self.backend.function(self.name), native, weights)
        except NotImplementedError as reason:
            raise Declined(f"gradient of {self.name}", reason) from reason
        except Exception as error:
            raise Raised(f"gradient of {self.name}", error) from error
        return {name: self.back(array) for name, array in gradients.items()}

    def compare_gradient(self, cotangent: Any, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The backend's gradient and the definition's, both with the error that a reverse sweep may make.

        cotangent: as for `gradient`, or earlier results with their errors.
        """
        cotangent = self.offered_weights(cotangent, arguments)
        weights = tuple(map(self._exact, cotangent)) if isinstance(cotangent, tuple) else self._exact(cotangent)
        expected = self.definition_gradient(weights, **arguments)
        return self.beside_gradient(self.gradient(cotangent, **arguments), expected), expected

    def offered_weights(self, cotangent: Any, arguments: Mapping[str, Any]) -> Any:
        """The cotangent, with zeros for the results that the backend withholds; itself where it withholds none."""
        if not isinstance(cotangent, tuple):
            return cotangent
        results = self.results(**arguments)
        withheld = [isinstance(result, Withheld) for result in results] if isinstance(results, tuple) else []
        if not any(withheld):
            return cotangent
        pairs = zip(cotangent, withheld, strict=True)
        return tuple(np.zeros_like(value_of(x)) if missing else x for x, missing in pairs)

    @spends("definition")
    def definition_gradient(self, weights: Any, **arguments: Any) -> dict[str, Any]:
        """The definition's gradient of sum(weights * results), with its errors."""
        gradient = vjp(self.operation.definition, self.exact(arguments))[1](weights)
        return {name: stored(x) for name, x in gradient.items()}

    def beside_gradient(self, gradients: dict[str, Any], expected: dict[str, Any]) -> dict[str, Any]:
        """Plain gradients with the errors they may have. Raises Broken unless arguments and shapes are right."""
        if gradients.keys() != expected.keys():
            raise Broken(
                f"the gradient of {self.name} is by {', '.join(gradients)}, not by {', '.join(expected)}",
                cause=f"gradient of {self.name} by other arguments",
            )
        return {
            name: self._gradient_with_error(f"the gradient of {self.name} by {name}", gradients[name], x)
            for name, x in expected.items()
        }

    def _plain(self, x: Any) -> Any:
        """The array that the backend is given for an argument. Raises TypeError if rounding it would go uncounted."""
        if isinstance(x, Bounded):
            return x.value.astype(self.format.dtype)
        if x.dtype != self.format.dtype and is_float(x):
            cast = x.astype(self.format.dtype)
            if not np.array_equal(cast.astype(x.dtype), x, equal_nan=True):
                raise TypeError(
                    f"{self.name} was given {x.dtype.name} numbers that {self.format.name} does not represent; "
                    "compute them with asbounded(...), so that their rounding is counted"
                )
            return cast
        return x

    def _exact(self, x: Any) -> Any:
        plain = self._plain(x)
        if not is_float(plain):
            return plain
        if isinstance(x, Bounded):
            moved = np.abs(plain.astype(self.format.wide) - x.value).astype(np.float64)
            return Bounded(plain, error_of(x) + moved, self.format)
        return asbounded(plain, self.format)

    def _gradient_with_error(self, what: str, gradient: Any, expected: Any) -> Any:
        if isinstance(expected, tuple):
            return tuple(self._gradient_with_error(what, *pair) for pair in zip(gradient, expected, strict=False))
        return self._with_error(what, gradient, expected)

    def _with_error(self, what: str, result: Any, expected: Any) -> Any:
        """A plain result with its allowed error. what: it is, in words, for messages."""
        if isinstance(result, Withheld):
            return result
        if result.shape != np.shape(value_of(expected)):
            raise Broken(
                f"{what} has shape {result.shape}, expected {np.shape(value_of(expected))}",
                (("returned", result), ("expected", expected)),
                cause=f"wrong shape of {what}",
            )
        if not isinstance(expected, Bounded):
            return result
        if result.dtype.kind in "cOSU":
            raise Broken(
                f"{self.name} returned dtype {result.dtype}, not {self.format.name}",
                cause=f"wrong dtype from {self.name}",
            )
        # Where the definition is not a number, there is nothing to compare with.
        allowed = np.where(np.isnan(expected.value), np.inf, expected.error)
        return Bounded(result.astype(expected.format.wide), allowed, expected.format)


def numbers_of(results: Any) -> Any:
    """What a definition says, without the error, which what is compared with it carries already."""
    if isinstance(results, tuple):
        return tuple(map(numbers_of, results))
    return Bounded(results.value, 0.0, results.format) if isinstance(results, Bounded) else results


def cast_to(arguments: Mapping[str, Any], format: Format) -> dict[str, Any]:
    """Drawn arguments in a format: every float array is rounded to the format, and is exact from then on.

    An argument called `dtype` becomes the name of the format.
    """
    cast = _mapped(arguments, lambda x: x.astype(format.dtype) if isinstance(x, np.ndarray) and is_float(x) else x)
    return {**cast, "dtype": format.name} if "dtype" in cast else cast


def as_exact(arguments: Mapping[str, Any], format: Format) -> dict[str, Any]:
    """Arguments in a format as a definition takes them: every float array with error 0."""
    return _mapped(arguments, lambda x: asbounded(x, format) if is_float(x) else x)


def _mapped(arguments: Mapping[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
    """Arguments with `change` applied to every array, including those in tuples."""
    return {name: _changed(x, change) for name, x in arguments.items()}


def _changed(x: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(x, (np.ndarray, Bounded)):
        return change(x)
    return tuple(_changed(part, change) for part in x) if isinstance(x, tuple) else x


def _described(x: Any) -> str:
    if isinstance(x, (tuple, list)):
        return f"a {type(x).__name__} of {len(x)}"
    return printable(f"a {type(x).__module__}.{type(x).__qualname__}".replace("a builtins.", "a "), 200)

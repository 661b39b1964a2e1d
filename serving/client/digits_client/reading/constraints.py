"""Formats that a caller knows a field to have, and the likeliest text of a format.

    amount      digits, in groups of three or not, and one or two after a point
    score       3:2
    digits:5    exactly five digits
    \\d{3}-?\\d   a regular expression of digits, separators, [0-9], \\d, ., ?, *, +, {m,n}, | and groups

The line reader tells that there is a separator and not which: any sign of a format that is no digit stands
for it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from digits_client.errors import BadRequest

Columns = Sequence[Sequence[float]]  # [t][12]: probabilities of 0–9, separator, nothing
Edge = tuple[frozenset[int], str, int]  # symbols, the sign that a separator is shown as, the next state

SEPARATOR, BLANK = 10, 11
SIGNS = ".,:-/' "  # what a separator may be in a format
DIGITS = frozenset(range(10))
NAMED = {"amount": r"(\d{1,3}([.,']\d{3})+|\d+)([.,]\d\d?)?", "score": r"\d{1,3}[:-]\d{1,3}"}
LONGEST, STATES, TIMES = 100, 300, 32  # characters of a format, states of its automaton, the most in {m,n}
NESTED = 20  # groups within each other
KEPT, LEAST = 16, 1e-6  # texts that are followed in each state; probability below which a symbol is not tried
EXPECTED = (
    "expected amount, score, digits:5 or a regular expression of digits, separators, [0-9], \\d, ., ?, *, +, "
    "{m,n}, | and groups"
)


@dataclass(frozen=True, slots=True)
class Match:
    """The likeliest text of a format: its characters as symbols, as what is shown, and its probability."""

    symbols: tuple[int, ...]
    signs: tuple[str, ...]  # for each symbol; empty for what is no part of the text
    confidence: float  # among all texts, of the format or not

    @property
    def text(self) -> str:
        """What is shown."""
        return "".join(self.signs)


@dataclass(slots=True)
class Format:
    """A format as an automaton: for each state and symbol the next state and the sign that is shown."""

    name: str
    following: list[dict[int, tuple[int, str]]]
    final: frozenset[int]
    separated: bool  # whether it has a separator; otherwise those that were read count as nothing

    def best(self, columns: Columns) -> Match | None:
        """The likeliest text of the format in these columns; None where hardly any is possible."""
        beams: dict[tuple[int, tuple[int, ...]], list[float]] = {(0, ()): [1.0, 0.0]}
        for column in columns:
            p = [float(each) for each in column]
            if not self.separated:
                p[BLANK] += p[SEPARATOR]
                p[SEPARATOR] = 0.0
            beams = _kept(self._step(beams, p))
        texts: dict[str, Match] = {}
        for (state, symbols), (ended, open_) in beams.items():
            if state in self.final:
                signs = self._shown(symbols)
                text = "".join(signs)
                sure = ended + open_ + (texts[text].confidence if text in texts else 0.0)
                texts[text] = Match(symbols, signs, min(1.0, sure))
        best = max(texts.values(), key=lambda each: each.confidence, default=None)
        return best if best is not None and best.confidence > 0 else None

    def _step(
        self, beams: dict[tuple[int, tuple[int, ...]], list[float]], p: Sequence[float]
    ) -> dict[tuple[int, tuple[int, ...]], list[float]]:
        """One column on. Of each text the probabilities that it ended in nothing, and in its last symbol."""
        made: dict[tuple[int, tuple[int, ...]], list[float]] = {}
        live = [symbol for symbol in range(SEPARATOR + 1) if p[symbol] > LEAST]
        for (state, symbols), (ended, open_) in beams.items():
            own = made.setdefault((state, symbols), [0.0, 0.0])
            own[0] += (ended + open_) * p[BLANK]
            last = symbols[-1] if symbols else -1
            if symbols:
                own[1] += open_ * p[last]
            for symbol in live:
                if symbol in self.following[state]:
                    share = (ended if symbol == last else ended + open_) * p[symbol]
                    if share > 0:
                        into = (self.following[state][symbol][0], (*symbols, symbol))
                        made.setdefault(into, [0.0, 0.0])[1] += share
        return made

    def _shown(self, symbols: tuple[int, ...]) -> tuple[str, ...]:
        state, signs = 0, []
        for symbol in symbols:
            state, sign = self.following[state][symbol]
            signs.append(sign)
        return tuple(signs)


def _kept(
    beams: dict[tuple[int, tuple[int, ...]], list[float]],
) -> dict[tuple[int, tuple[int, ...]], list[float]]:
    """The likeliest texts of each state."""
    counts: dict[int, int] = {}
    made = {}
    for key, shares in sorted(beams.items(), key=lambda pair: -sum(pair[1])):
        counts[key[0]] = counts.get(key[0], 0) + 1
        if counts[key[0]] <= KEPT:
            made[key] = shares
    return made


def places(columns: Columns, symbols: Sequence[int]) -> list[int]:
    """The column in which each symbol of a text is surest, along the text's likeliest way."""
    labels = np.array([BLANK, *(each for symbol in symbols for each in (symbol, BLANK))])
    chances = np.log(np.maximum(np.asarray(columns, dtype=np.float64)[:, labels], LEAST))
    skips = np.full(len(labels), -np.inf)  # a label may follow the last but one, if that is another symbol
    skips[2:][(labels[2:] != BLANK) & (labels[2:] != labels[:-2])] = 0.0
    score = np.where(np.arange(len(labels)) < 2, chances[0], -np.inf)
    came = np.zeros(chances.shape, np.int64)
    for t in range(1, len(chances)):
        before = np.concatenate([[-np.inf, -np.inf], score])
        ways = np.stack([score, before[1:-1], before[:-2] + skips])
        came[t] = ways.argmax(axis=0)
        score = ways.max(axis=0) + chances[t]
    at = int(len(labels) - 1 - np.argmax(score[::-1][:2]))
    found = [-1] * len(symbols)
    for t in range(len(chances) - 1, -1, -1):
        if at % 2 and (found[at // 2] < 0 or chances[t, at] > chances[found[at // 2], at]):
            found[at // 2] = t
        at -= int(came[t, at])
    return [max(each, 0) for each in found]


def format_of(text: str) -> Format:
    """The format that a caller named. Raises BadRequest, in one line."""
    pattern = NAMED.get(text, text)
    if text.startswith("digits:"):
        count = text.removeprefix("digits:")
        if not re.fullmatch("[0-9]{1,2}", count) or not 1 <= int(count) <= TIMES:
            raise BadRequest(
                f"the format {text!r} has no count from 1 to {TIMES}: expected one as in digits:5"
            )
        pattern = f"[0-9]{{{int(count)}}}"
    if not pattern or len(pattern) > LONGEST:
        raise BadRequest(f"the format has {len(pattern)} characters, expected 1 to {LONGEST}: {EXPECTED}")
    return _Parser(text, pattern).format()


@dataclass(slots=True)
class _Parser:
    """Recursive descent over a pattern, which makes a non-deterministic automaton as it goes.

    Each part is a pair of states, its first and its last. It is called again for each repetition.
    """

    name: str
    pattern: str
    at: int = 0
    depth: int = 0
    edges: list[list[Edge]] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)  # states that are reached without a symbol

    def format(self) -> Format:
        first, last = self._either()
        if self.at < len(self.pattern):
            raise self._refusal()
        separated = any(SEPARATOR in symbols for edges in self.edges for symbols, _, _ in edges)
        if separated:  # a speck before or behind the text is none of it
            outer, end = self._state(), self._state()
            self.edges[outer].append((frozenset({SEPARATOR}), "", outer))
            self.free[outer].append(first)
            self.edges[end].append((frozenset({SEPARATOR}), "", end))
            self.free[last].append(end)
            first, last = outer, end
        return self._determined(first, last, separated)

    def _refusal(self, why: str = "can't be understood") -> BadRequest:
        return BadRequest(f"the format {self.name!r} {why} at its character {self.at + 1}: {EXPECTED}")

    def _state(self) -> int:
        if len(self.edges) >= 4 * STATES:
            raise BadRequest(f"the format {self.name!r} has too many repetitions: make it shorter")
        self.edges.append([])
        self.free.append([])
        return len(self.edges) - 1

    def _next(self) -> str:
        return self.pattern[self.at] if self.at < len(self.pattern) else ""

    def _either(self) -> tuple[int, int]:
        first, last = self._state(), self._state()
        while True:
            start, end = self._sequence()
            self.free[first].append(start)
            self.free[end].append(last)
            if self._next() != "|":
                return first, last
            self.at += 1

    def _sequence(self) -> tuple[int, int]:
        first = last = self._state()
        while self._next() not in ("", "|", ")"):
            start, end = self._repeated()
            self.free[last].append(start)
            last = end
        return first, last

    def _repeated(self) -> tuple[int, int]:
        began = self.at
        part = self._atom()
        ended = self.at
        least, most = self._times()
        behind = self.at
        if (least, most) == (1, 1):
            return part
        first = last = self._state()
        for count in range(max(least, most or 0, 1)):
            if count:  # the part once more, as states of its own
                self.at = began
                part = self._atom()
            if count >= least:
                self.free[last].append(part[1])
            self.free[last].append(part[0])
            last = part[1]
        if most is None:
            self.free[part[1]].append(part[0])
        if most == 0:
            first = last = self._state()
        self.at = behind
        assert ended <= behind
        return first, last

    def _times(self) -> tuple[int, int | None]:
        sign = self._next()
        simple: dict[str, tuple[int, int | None]] = {"?": (0, 1), "*": (0, None), "+": (1, None)}
        if sign in simple:
            self.at += 1
            times = simple[sign]
        elif found := re.compile(r"\{([0-9]{1,3})(,([0-9]{1,3})?)?\}").match(self.pattern, self.at):
            least = int(found[1])
            most = least if found[2] is None else int(found[3]) if found[3] else None
            if max(least, most or 0) > TIMES or (most is not None and most < least):
                raise self._refusal(f"repeats other than up to {TIMES} times")
            self.at = found.end()
            times = (least, most)
        else:
            return 1, 1
        if self._next() in ("?", "*", "+", "{"):
            raise self._refusal("repeats a repetition")
        return times

    def _atom(self) -> tuple[int, int]:
        sign = self._next()
        if sign == "(":
            self.at += 3 if self.pattern.startswith("(?:", self.at) else 1
            self.depth += 1
            if self.depth > NESTED:
                raise self._refusal("has too many groups within each other")
            part = self._either()
            if self._next() != ")":
                raise self._refusal("has a group without an end")
            self.at += 1
            self.depth -= 1
            return part
        first, last = self._state(), self._state()
        if sign == ".":
            self.at += 1
            symbols, shown = DIGITS | {SEPARATOR}, "."
        elif sign == "[":
            symbols, shown = self._set()
        else:
            symbols, shown = self._one()
        self.edges[first].append((symbols, shown, last))
        return first, last

    def _set(self) -> tuple[frozenset[int], str]:
        found = re.compile(r"\[((?:\\[d.,:/'\- -]|[0-9]-[0-9]|[0-9.,:/' -])+)\]").match(self.pattern, self.at)
        if found is None:
            raise self._refusal("has a set that is not of digits and separators")
        symbols: set[int] = set()
        shown = ""
        for part in re.findall(r"\\.|[0-9]-[0-9]|.", found[1]):
            if part == "\\d":
                symbols |= DIGITS
            elif len(part) == 3:
                symbols |= set(range(int(part[0]), int(part[2]) + 1))
            elif part[-1].isdigit():
                symbols.add(int(part))
            else:
                symbols.add(SEPARATOR)
                shown = shown or part[-1]
        if not symbols:
            raise self._refusal("has an empty set")
        self.at = found.end()
        return frozenset(symbols), shown

    def _one(self) -> tuple[frozenset[int], str]:
        sign = self._next()
        escaped = sign == "\\"
        if escaped:
            self.at += 1
            sign = self._next()
        self.at += 1
        if escaped and sign == "d":
            return DIGITS, ""
        if sign and sign in "0123456789" and not escaped:
            return frozenset({int(sign)}), ""
        if sign and sign in SIGNS:
            return frozenset({SEPARATOR}), sign
        self.at -= 1
        raise self._refusal()

    def _closed(self, states: Iterable[int]) -> frozenset[int]:
        seen, waiting = set(states), list(states)
        while waiting:
            for state in self.free[waiting.pop()]:
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
        return frozenset(seen)

    def _determined(self, first: int, last: int, separated: bool) -> Format:
        """The deterministic automaton."""
        start = self._closed([first])
        numbers, following = {start: 0}, [dict[int, tuple[int, str]]()]
        waiting = [start]
        while waiting:
            states = waiting.pop()
            for symbol in range(SEPARATOR + 1):
                taken = [edge for state in sorted(states) for edge in self.edges[state] if symbol in edge[0]]
                if not taken:
                    continue
                into = self._closed([to for _, _, to in taken])
                if into not in numbers:
                    if len(numbers) == STATES:
                        raise BadRequest(f"the format {self.name!r} has too many cases: make it simpler")
                    numbers[into] = len(following)
                    following.append({})
                    waiting.append(into)
                signs = [shown for _, shown, _ in taken if shown]
                sign = str(symbol) if symbol in DIGITS else signs[0] if signs else ""
                following[numbers[states]][symbol] = (numbers[into], sign)
        final = frozenset(number for states, number in numbers.items() if last in states)
        return Format(self.name, following, final, separated)

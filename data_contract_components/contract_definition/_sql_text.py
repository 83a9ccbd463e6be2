"""The text of an .sql file: where its statements end, which of their words are parameters. The rest is PostgreSQL's."""

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

# As in PostgreSQL's scan.l, with standard_conforming_strings on. What does not end, ends with the file.
_E_STRING = r"'(?:[^'\\]|\\.|'')*(?:'|\\?\Z)"
_NEXT_LINE = r"(?:[ \t\f\v]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f\v]+|--[^\n\r]*[\n\r])*"
_NAME = r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*"
_TOKEN = re.compile(
    rf"""
    (?P<blank> [ \t\n\r\f\v]+ | --[^\n\r]* | /\* )
    | (?P<text> [eE]{_E_STRING}(?:{_NEXT_LINE}{_E_STRING})* | '(?:[^']|'')*(?:'|\Z) | "(?:[^"]|"")*(?:"|\Z) )
    | (?P<dollar> \$(?:{_NAME})?\$ )
    | \$(?P<number> \d+ )
    | %(?P<format> \((?P<key> [^()]+ )\)[sbt] | [sbt](?![A-Za-z0-9_\x80-\U0010ffff]) )
    | (?P<cast> ::+ )
    | (?<![A-Za-z0-9_\\]):(?P<name> {_NAME} )
    | (?P<word> [A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]* | \d+ )
    | (?P<percent> %% )
    | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_BLOCK_COMMENT = re.compile(r"/\*|\*/")
READING_KINDS = ("SELECT", "VALUES", "TABLE")
WRITING_KINDS = ("INSERT", "UPDATE", "DELETE", "MERGE")
# The word behind the statement's, where there is only one. Any of these words may also be a name.
_SECOND_WORDS = {"INSERT": "INTO", "DELETE": "FROM", "MERGE": "INTO"}


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


@dataclass(frozen=True)
class Statement:
    """One statement; `start` and its pieces are offsets in the file. A piece is text, or the number of a parameter.

    `kind` is its first word, behind WITH the one that does something. Parameters up to `last_number` have their number
    in the file.
    """

    kind: str
    start: int
    pieces: tuple[tuple[int, str | int], ...]
    last_number: int = 0

    @property
    def has_parameters(self) -> bool:
        return any(isinstance(piece, int) for _, piece in self.pieces)

    def separate(self) -> "Statement":
        """The same with another parameter wherever one with a name stands: a client puts in a literal there."""
        numbers = itertools.count(self.last_number + 1)
        pieces = (
            (start, next(numbers) if isinstance(p, int) and p > self.last_number else p) for start, p in self.pieces
        )
        return replace(self, pieces=tuple(pieces))

    def render(self, render_parameter: Callable[[int], str] = "${}".format) -> str:
        return "".join(_render_piece(piece, render_parameter) for _, piece in self.pieces)

    def find_offset(self, position: int, render_parameter: Callable[[int], str] = "${}".format) -> int:
        """The offset in the file of what stands at `position`, from 0, of the rendered statement."""
        found = self.start
        for offset, piece in self.pieces:
            length = len(_render_piece(piece, render_parameter))
            if position < length or isinstance(piece, str):
                found = offset + (min(position, length) if isinstance(piece, str) else 0)
            if position < length:
                break
            position -= length
        return found


def _render_piece(piece: str | int, render_parameter: Callable[[int], str]) -> str:
    # With blanks, as "a%s" is no name.
    return piece if isinstance(piece, str) else f" {render_parameter(piece)} "


def find_statements(text: str) -> list[Statement]:
    """The statements of a file, without comments that stand alone."""
    statements: list[Statement] = []
    tokens: list[_Token] = []
    for token in [*_find_tokens(text), _Token("sign", ";", len(text))]:
        if token.kind == "sign" and token.text == ";":
            if any(t.kind != "blank" for t in tokens):
                statements.append(_make_statement(tokens))
            tokens = []
        else:
            tokens.append(token)
    return statements


def _find_tokens(text: str) -> Iterator[_Token]:
    position = 0
    while match := _TOKEN.match(text, position):
        kind, end = str(match.lastgroup), match.end()
        if match.group() == "/*":
            end = _find_end_of_comment(text, end)
        elif kind == "dollar":
            closing = text.find(match.group(), end)
            kind, end = "text", len(text) if closing < 0 else closing + len(match.group())
        yield _Token(kind, text[position:end], position)
        position = end


def _find_end_of_comment(text: str, position: int) -> int:
    depth = 1
    for mark in _BLOCK_COMMENT.finditer(text, position):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    return len(text)


def _make_statement(tokens: list[_Token]) -> Statement:
    while tokens[0].kind == "blank":
        tokens = tokens[1:]
    while tokens[-1].kind == "blank":
        tokens = tokens[:-1]
    numbers: dict[str, int] = {}
    last = max((int(token.text[1:]) for token in tokens if token.kind == "number"), default=0)
    has_format = any(token.kind == "format" for token in tokens)
    pieces: list[tuple[int, str | int]] = []
    previous = ""
    for token in tokens:
        piece: str | int = token.text
        if token.kind == "number":
            piece = int(token.text[1:])
        elif token.kind in ("format", "name"):
            # Each %s is a parameter of its own, and one with a name is the same wherever it stands.
            name = token.text + (str(token.start) if token.text in ("%s", "%b", "%t") else "")
            piece = numbers.setdefault(name, last + len(numbers) + 1)
        elif token.kind == "percent" and has_format:
            piece = "%"
        if isinstance(piece, int) and token.kind != "number" and previous == "IN":
            # Clients put a list in parentheses there.
            pieces += [(token.start, "("), (token.start, piece), (token.start, ")")]
        else:
            pieces.append((token.start, piece))
        previous = previous if token.kind == "blank" else token.text.upper()
    return Statement(_find_kind(tokens), tokens[0].start, tuple(pieces), last)


def _find_kind(tokens: list[_Token]) -> str:
    """The first word; behind WITH the first, outside of parentheses, that is not the name of one of its queries."""
    depth = 0
    words = []
    for token in tokens:
        is_opening = token.kind == "sign" and token.text == "("
        if depth == 0 and (is_opening or token.kind == "word"):
            words.append(token.text.upper())
        depth += is_opening - (token.kind == "sign" and token.text == ")")
    if not words or words[0] == "(":
        return "SELECT"
    if words[0] != "WITH":
        return words[0]
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word in READING_KINDS or (word in _SECOND_WORDS and following == _SECOND_WORDS[word]):
            return word
        if word == "UPDATE" and following not in ("AS", "("):
            return word
    return "SELECT"

"""Texts of any length that want to cost more time than their length is worth."""

from __future__ import annotations

from itertools import count, islice

REPEATED = {
    "quotes": "'",
    "alternating quotes": "'\"",
    "odd quotes": "'\"'",
    "escape strings": "e'\\",
    "unicode strings": "u&'",
    "unicode names": 'u&"',
    "hexadecimal strings": "x' ",
    "backslashes": "\\",
    "backslashes in strings": "'\\'",
    "backslashes and quotes": "'\\",
    "strings and breaks": "'a'\n",
    "strings and comments": "'a' --\n",
    "strings and spaces": "'a' ",
    "quotes and dollar quotes": "$$ '",
    "openings": "(",
    "comment openings": "/*",
    "comment closings": "*/",
    "comments": "/**/",
    "comments in comments": "/*/**/*/",
    "both comments": "/* */-- \n",
    "quotes in comments": "/*'*/'",
    "line comments": "--\n",
    "escape clauses": "escape '\\' ",
    "uescape clauses": "U&'a' uescape '!' ",
    "uescape names": "U&\"a\" uescape '!' ",
    "pluses": "+",
    "signs": "+-",
    "minuses": "-",
    "minuses and spaces": "- ",
    "tildes and signs": "+~",
    "operators": "<=@-+",
    "less and greater": "<>",
    "slashes": "/-",
    "stars": "*",
    "colons": ":",
    "dots": ".",
    "digits and dots": "1.",
    "ranges": "1..",
    "exponents": "1e",
    "radixes": "0x",
    "underscores": "1_",
    "dollars": "$",
    "dollar quotes": "$a$ $b$ ",
    "parameters": "$1",
    "parameters and dollars": "$1$1$",
    "dollar letters": "$a",
    "letters": "a",
    "words": "a ",
    "letters beyond ASCII": "é",
    "lone surrogates": "\udcff",
    "bytes": "\x00\x01",
    "NULs": "\x00",
    "semicolons": "a;",
    "negative constants": "-1,",
    "lists": "in (1,2) or ",
    "open lists": "in (1,",
    "open casts": "in (1::",
    "lists in lists": "in (1,(1,",
    "lists of lists": "in (",
    "arrays": "array[",
    "arrays of one": "any(array[1])",
    "rows": "values (1,2),(1,2),",
    "open rows": "values (1,",
    "values": "values(",
    "cases": "case in (1,",
    "casts": "cast(1 as int),",
    "typed": "date '1'",
    "negations": "not null is ",
    "extracts": "extract(",
    "savepoints": "savepoint a;",
    "limits": "limit all ",
    "tags": "a='b',",
}
PREFIXED = {
    "open string": ("select '", "a"),
    "open dollar quote": ("select $a$", "$a"),
    "long dollar tag": ("select $", "a"),
    "long list": ("in (1", ",1"),
    "long negative list": ("in (-1", ",-1"),
    "long list of casts": ("in (1", ",1::int"),
    "long array": ("array[1", ",1"),
    "long array of arrays": ("array[[1]", ",[1,2]"),
    "many rows": ("values (1,2)", ",(1,2)"),
    "many other rows": ("values (1,2)", ",(1,2),(1)"),
    "a long value": ("set a = b", ",b"),
    "a long comment": ("select 1 /*", "a='b',"),
    "a string, then breaks": ("'a'", "\n"),
    "a string, then line comments": ("'a'", "--\n"),
    "a string, then spaces": ("'a'", " "),
    "spaces": ("a", " "),
}


def hostile(length: int) -> dict[str, str]:
    """Each of them, of so many characters."""
    every = {name: part * (length // len(part)) for name, part in REPEATED.items()}
    for name, (start, part) in PREFIXED.items():
        every[name] = start + part * ((length - len(start)) // len(part))
    every["numbered tags"] = "".join(islice((f"$a{n}$ " for n in count()), length // 9))
    every["names"] = "".join(islice((f"a{n} " for n in count()), length // 7))
    every["closed"] = "(" * (length // 2) + ")" * (length // 2)
    every["closed comments"] = "/*" * (length // 4) + "*/" * (length // 4)
    every["closed tags"] = "select 1 /*" + "a='b'," * (length // 6) + "c='d'*/"
    every["growing rows"] = "values" + ",".join(f"({'1,' * (n % 7)}1)" for n in range(length // 12))
    return every

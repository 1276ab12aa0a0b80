"""Random SELECTs over the tables of tests/unit/sql/rules/sample.py, for rules that rewrite them."""

from __future__ import annotations

from random import Random

from tests.unit.sql.rules.sample import SAMPLE

TYPES = {
    relation.name: {column.name: column.type for column in table.columns.values()}
    for relation, table in SAMPLE.relations.items()
}
NUMBERS = {
    table: [name for name, type_ in columns.items() if type_ in {"bigint", "integer"}]
    for table, columns in TYPES.items()
}
KEYS = {"users": ["id"], "orders": ["id"], "items": ["order_id", "position"]}
_TEXTS = ["'new'", "'open'", "'FR'", "'kind 1'", "'sku 2'", "'name 3'", "'spam'", "'gift'"]

Alias = tuple[str, str]
"""A name in FROM and its table."""


class Statements:
    """Statements of one seed; the same seed gives the same ones."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311 - no secret, and to be the same again

    def distinct(self) -> str:
        """SELECT DISTINCT of some tables of a join."""
        among, from_, where = self._joined(self._random.randint(2, 3))
        shown = self._random.sample(among, self._random.randint(1, len(among) - 1))
        items = [self._column(shown)[0] for _ in range(self._random.randint(1, 3))]
        if self._random.random() < 0.4:
            items += self._key(shown[0])
        return f"select distinct {self._list(items)} from {from_}{where}"

    def either(self) -> str:
        """SELECT of keys with an OR in WHERE."""
        among, from_, where = self._joined(self._random.randint(1, 3), keyed=True)
        items = [name for alias in among for name in self._key(alias)]
        items += [self._column(among)[0]] if self._random.random() < 0.5 else []
        either = f"({self._test(among)} or {self._test(among)})"
        where = f"{where} and {either}" if where else f" where {either}"
        return f"select {self._list(items)} from {from_}{where}"

    def union(self) -> str:
        """UNION of two or three SELECTs of one table, tagged or parted by a condition, or not."""
        table = self._random.choice(list(TYPES))
        columns = KEYS.get(table, []) if self._random.random() < 0.7 else []
        others = [name for name in TYPES[table] if name not in columns]
        columns = [*columns, *self._random.sample(others, 1)]
        parting = self._random.choice(NUMBERS[table])
        tags = self._random.choice(["", "text", "number"])
        parts = [
            self._part(table, columns, parting, tags) for _ in range(self._random.randint(2, 3))
        ]
        return " union ".join(parts)

    def asked(self) -> str:
        """Conditions that rules write anew, in WHERE and as outputs, whatever they stand in."""
        among, from_, where = self._joined(self._random.randint(1, 2), sided=True)
        where = f"{where} and {self._asked(among)}" if where else f" where {self._asked(among)}"
        items = [f"{alias[0]}.{name}" for alias in among for name in TYPES[alias[1]]]
        outputs = self._list(self._random.sample(items, 2))
        output = f", {self._asked(among)} as q" if self._random.random() < 0.4 else ""
        return f"select {outputs}{output} from {from_}{where}"

    def nested(self) -> str:
        """Subqueries in FROM and CTEs that give more than is read of them."""
        inner, names = self._inner()
        read = self._random.sample(names, self._random.randint(1, 2))
        shape = self._random.choice(["from", "from", "lateral", "cte", "materialized", "twice"])
        if shape == "lateral":
            items = ", ".join(f"s.{name}" for name in read)
            return f"select u.id, {items} from users u left join lateral ({inner}) s on u.score = 3"
        condition = f" where s.{self._random.choice(names)} is not null"
        condition = condition if self._random.random() < 0.5 else ""
        items = ", ".join(f"s.{name}" for name in read)
        if shape == "from":
            return f"select {items} from ({inner}) s{condition}"
        how = " materialized" if shape == "materialized" else ""
        joined = f"x s join x t using ({read[0]})" if shape == "twice" else "x s"
        items = ", ".join(read[:1] + [f"s.{name}" for name in read[1:]])
        return f"with x as{how} ({inner}) select {items} from {joined}{condition}"

    def _inner(self) -> tuple[str, list[str]]:
        """A SELECT and the names that it gives; what it says of rows is the same each time."""
        among, from_, where = self._joined(self._random.randint(1, 2))
        columns = [self._column(among)[0] for _ in range(3)]
        number = f"{among[0][0]}.{self._random.choice(NUMBERS[among[0][1]])}"
        shape = self._random.choice(["plain", "group", "one", "window", "distinct", "sets"])
        named = [f"{column} as a{at}" for at, column in enumerate(columns)]
        if "payload" in str(columns):
            shape = "plain"
        groups = {"group": "", "sets": self._random.choice(["rollup ", "cube ", "grouping sets "])}
        if shape in groups:
            first = self._random.choice(["1", columns[0]])
            keys = f"{groups[shape]}({first}, {columns[1]})" if groups[shape] else columns[0]
            named = [named[0], f"min({columns[1]}::text) as a1", f"count({number}) as a2"]
            tail = f" group by {keys}" + self._random.choice(["", f" having count({number}) > 1"])
            return f"select {', '.join(named)} from {from_}{where}{tail}", ["a0", "a1", "a2"]
        if shape == "one":
            named = [f"count({columns[0]}) as a0", f"max({number}) as a1", "count(*) > 2 as a2"]
        elif shape == "window":
            named[2] = f"sum({number}) over (partition by {columns[0]}) as a2"
        distinct = "distinct " * (shape == "distinct")
        return f"select {distinct}{', '.join(named)} from {from_}{where}", ["a0", "a1", "a2"]

    def _asked(self, among: list[Alias]) -> str:
        """One condition, or two, in what may bind it."""
        one = self._askable(among)
        pick = self._random.choice
        around = ["{}", "{}", "not ({})", "({}) is null", "({}) = ({other})", "({}) or {other}"]
        around += ["'v' || ({}) = 'vtrue'", "case when {} then {other} else true end"]
        return pick(around).format(one, other=pick([self._askable, self._test_of])(among))

    def _test_of(self, among: list[Alias]) -> str:
        return self._test(among)

    def _askable(self, among: list[Alias]) -> str:
        name, table = self._random.choice(among)
        number = f"{name}.{self._random.choice(NUMBERS[table])}"
        other, inside = self._subquery(name, number)
        signs = ["=", "<", ">", "<=", ">="]
        constant = self._random.randint(-1, 6)
        return self._random.choice(
            [
                f"(select count(*) from {inside}) {self._random.choice([*signs, '<>'])} "
                f"{self._random.randint(0, 1)}",
                f"(select count({other}) from {inside}) {self._random.choice(['>', '=', '<>'])} 0",
                f"{number} not in (select {other} from {inside})",
                f"not ({number} in (select {other} from {inside}))",
                f"{number} + {constant} {self._random.choice(signs)} {self._random.randint(0, 9)}",
                f"{constant} - {number} {self._random.choice(signs)} {self._random.randint(-9, 2)}",
                f"({number} = 1 or {number} = 3 or ({number} = {constant}))",
                self._dated(name, table),
            ]
        )

    def _subquery(self, outer: str, number: str) -> tuple[str, str]:
        """A column of a number, and the FROM and WHERE of a subquery that gives it."""
        table = self._random.choice(list(TYPES))
        alias = self._random.choice(["i", "i", "t0", table])
        column = f"{alias}.{self._random.choice(NUMBERS[table])}"
        own = f"{alias}.{self._random.choice(NUMBERS[table])}"
        parts = [f"{own} {self._random.choice(['=', '<', '>'])} {self._random.randint(0, 20)}"]
        if alias != outer and self._random.random() < 0.5:
            parts = [f"{own} = {number}", *parts * self._random.randint(0, 1)]
        parts += [f"{column} is not null"] * self._random.randint(0, 1)
        word = self._random.choice([" and ", " and ", " or "])
        where = f" where {word.join(parts)}" if self._random.random() < 0.9 else ""
        return column, f"{table} {alias}{where}"

    def _dated(self, name: str, table: str) -> str:
        times = {"orders": "placed_at", "events": "at", "users": "created_at"}
        if table not in times:
            return f"{name}.{NUMBERS[table][0]} = 2"
        call = self._random.choice(["date({})", "{}::date", "extract(year from {})"])
        sign = self._random.choice(["=", "<", ">", "<=", ">="])
        year = "year" in call
        constant = "2024" if year else self._random.choice(["'2024-01-02'", "date '2024-01-03'"])
        return f"{call.format(f'{name}.{times[table]}')} {sign} {constant}"

    def _part(self, table: str, columns: list[str], parting: str, tags: str) -> str:
        tag = {"": "", "text": f"'{self._random.choice('abcd')}', "}.get(tags)
        tag = f"{self._random.randint(1, 4)}, " if tag is None else tag
        where = f" where {parting} = {self._random.randint(1, 4)}"
        where = where if self._random.random() < 0.8 else ""
        shape = self._random.choice(["plain", "plain", "distinct", "group", "count"])
        names = ", ".join(columns)
        if shape == "count":
            names = ", ".join(["count(*)"] * len(columns))
        group = f" group by {names}" if shape == "group" else ""
        distinct = "distinct " if shape == "distinct" else ""
        return f"select {distinct}{tag}{names} from {table}{where}{group}"

    def _joined(
        self, count: int, keyed: bool = False, sided: bool = False
    ) -> tuple[list[Alias], str, str]:
        tables = list(KEYS if keyed else TYPES)
        among = [(f"t{at}", self._random.choice(tables)) for at in range(count)]
        from_, conditions = f"{among[0][1]} t0", list[str]()
        for at in range(1, count):
            name, table = among[at]
            link = self._link(self._random.choice(among[:at]), among[at])
            sides = ["left join"] * keyed + ["left join", "right join"] * sided
            how = self._random.choice(["join", "join", "cross join", *sides])
            if how == "cross join":
                conditions.append(link)
                from_ += f" cross join {table} {name}"
            else:
                from_ += f" {how} {table} {name} on {link}"
        conditions += [self._condition(among) for _ in range(self._random.randint(0, 2))]
        return among, from_, " where " + " and ".join(conditions) if conditions else ""

    def _link(self, one: Alias, other: Alias) -> str:
        left, right = (self._random.choice(NUMBERS[table]) for _, table in (one, other))
        return f"{one[0]}.{left} = {other[0]}.{right}"

    def _condition(self, among: list[Alias]) -> str:
        shape = self._random.random()
        if shape < 0.6:
            return self._test(among)
        if shape < 0.7:
            return f"{self._column(among)[0]} is {self._random.choice(['', 'not '])}null"
        one, other = self._condition(among), self._condition(among)
        word = self._random.choice(["or", "and"])
        return f"({one} {word} {other})" if shape < 0.9 else f"not ({one} {word} {other})"

    def _test(self, among: list[Alias]) -> str:
        column, type_ = self._column(among)
        sign = self._random.choice(["=", "=", "=", "<>", "<", ">", "in"])
        if sign == "in":
            return f"{column} in ({self._constant(type_)}, {self._constant(type_)})"
        return f"{column} {sign} {self._constant(type_)}"

    def _column(self, among: list[Alias]) -> tuple[str, str]:
        name, table = self._random.choice(among)
        column, type_ = self._random.choice(list(TYPES[table].items()))
        return f"{name}.{column}", type_

    def _key(self, alias: Alias) -> list[str]:
        return [f"{alias[0]}.{column}" for column in KEYS.get(alias[1], [])]

    def _list(self, items: list[str]) -> str:
        return ", ".join(f"{item} as c{at}" for at, item in enumerate(dict.fromkeys(items)))

    def _constant(self, type_: str) -> str:
        if type_ in {"bigint", "integer"}:
            return str(self._random.randint(0, 8))
        if type_.startswith("numeric"):
            return self._random.choice(["0", "1", "1.5", "3.0"])
        if type_.startswith("timestamp") or type_ == "date":
            return self._random.choice(["'2024-01-02'", "'2024-01-03'"])
        if type_ == "jsonb":
            return """'{"a": 1}'"""
        return self._random.choice(["true", "false"] if type_ == "boolean" else _TEXTS)

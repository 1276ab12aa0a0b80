"""SQLAlchemy on psycopg, psycopg2, asyncpg and pg8000: its pool, its ORM, its reflection."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from tests.integration.clients.routes import Both, Route

DRIVERS = ["psycopg", "psycopg2", "pg8000"]


class Base(orm.DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "author"

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    name: orm.Mapped[str] = orm.mapped_column(sa.String(50), unique=True)
    born: orm.Mapped[dt.date | None]
    tags: orm.Mapped[list[str]] = orm.mapped_column(pg.ARRAY(sa.Text), default=list)
    books: orm.Mapped[list[Book]] = orm.relationship(
        back_populates="author", cascade="all, delete-orphan", order_by="Book.title"
    )


class Book(Base):
    __tablename__ = "book"
    __table_args__ = (
        sa.CheckConstraint("price >= 0", name="price_positive"),
        sa.Index("book_by_title", sa.text("lower(title)"), postgresql_where=sa.text("price > 1")),
    )

    id: orm.Mapped[int] = orm.mapped_column(primary_key=True)
    title: orm.Mapped[str]
    price: orm.Mapped[Decimal] = orm.mapped_column(sa.Numeric(8, 2))
    kind: orm.Mapped[str] = orm.mapped_column(sa.Enum("novel", "poem", name="kind"))
    extra: orm.Mapped[dict[str, Any]] = orm.mapped_column(pg.JSONB, default=dict)
    author_id: orm.Mapped[int] = orm.mapped_column(sa.ForeignKey("author.id"))
    author: orm.Mapped[Author] = orm.relationship(back_populates="books")


@contextmanager
def engine(route: Route, driver: str, **options: Any) -> Iterator[sa.Engine]:
    made = sa.create_engine(route.url(f"postgresql+{driver}"), **{"pool_pre_ping": True, **options})
    try:
        yield made
    finally:
        made.dispose()


def authors(count: int) -> list[Author]:
    return [
        Author(
            name=f"author {n}",
            born=dt.date(1900 + n, 1, 1) if n % 3 else None,
            tags=["a", str(n)],
            books=[
                Book(title=f"title {n}-{m}", price=Decimal(m) / 4, kind="poem", extra={"m": m})
                for m in range(n % 4)
            ],
        )
        for n in range(count)
    ]


def pgcode(work: Callable[..., Any], *arguments: Any) -> Any:
    """The SQLSTATE under SQLAlchemy's error, whatever the driver calls it."""
    try:
        work(*arguments)
    except sa.exc.DBAPIError as error:
        found = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
        return found or error.orig.args[0]["C"]
    return "00000"


@pytest.mark.parametrize("driver", DRIVERS)
def test_orm(both: Both, driver: str) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with engine(route, driver) as bound:
            Base.metadata.create_all(bound)
            with orm.Session(bound) as session:
                session.add_all(authors(40))
                session.commit()
                found += [session.scalar(sa.select(sa.func.count()).select_from(Book))]
                query = (
                    sa.select(Author).options(orm.selectinload(Author.books)).order_by(Author.id)
                )
                for author in session.scalars(query.where(Author.born > dt.date(1930, 1, 1))):
                    books = [(b.id, b.title, b.price, b.kind, b.extra) for b in author.books]
                    found += [(author.id, author.name, author.born, author.tags, books)]
                first = session.get_one(Author, 4)
                first.name = "renamed"
                session.flush()
                with pytest.raises(sa.exc.IntegrityError), session.begin_nested():
                    session.execute(sa.insert(Author).values(name="renamed"))
                del first.books[0]
                session.commit()
                found += [[book.title for book in first.books], first.name]
                session.execute(sa.update(Book).values(price=Book.price + 1))
                session.rollback()
                found += [session.scalar(sa.select(sa.func.sum(Book.price)))]
                upsert = pg.insert(Author).values(name="renamed", tags=[]).returning(Author.id)
                upsert = upsert.on_conflict_do_update(
                    index_elements=["name"], set_={"tags": ["new"]}
                )
                found += [session.scalar(upsert)]
                found += [pgcode(session.execute, sa.text("SELECT 1 / 0"))]
        return found

    found = both(scenario)
    assert 60 == found[0]
    assert [["title 3-1", "title 3-2"], "renamed"] == found[-5:-3]
    assert [4, "22012"] == found[-2:]


@pytest.mark.parametrize("driver", DRIVERS)
def test_reflection(both: Both, driver: str) -> None:
    def scenario(route: Route) -> list[Any]:
        with engine(route, driver) as bound:
            Base.metadata.create_all(bound)
            look = sa.inspect(bound)
            tables = look.get_table_names()
            found: list[Any] = [tables, look.get_enums(), look.get_schema_names()]
            for name in tables:
                columns = [
                    (c["name"], str(c["type"]), c["nullable"]) for c in look.get_columns(name)
                ]
                found += [columns, look.get_indexes(name), look.get_pk_constraint(name)]
                found += [look.get_foreign_keys(name), look.get_check_constraints(name)]
            again = sa.MetaData()
            again.reflect(bound)
            found += [str(sa.schema.CreateTable(table)) for table in again.sorted_tables]
            Base.metadata.drop_all(bound)
            return [*found, sa.inspect(bound).get_table_names()]

    found = both(scenario)
    assert ["author", "book"] == sorted(found[0])
    assert [] == found[-1]


@pytest.mark.parametrize("driver", DRIVERS)
def test_core(both: Both, driver: str) -> None:
    table = sa.Table("t", sa.MetaData(), sa.Column("x", sa.Integer), sa.Column("y", sa.Text))

    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with engine(route, driver, isolation_level="AUTOCOMMIT") as bound:
            table.create(bound)
            with bound.connect() as connection:
                rows = [{"x": n, "y": f"text {n}"} for n in range(700)]
                result = connection.execute(
                    sa.insert(table).returning(table.c.x, sort_by_parameter_order=True), rows
                )
                found += [[row.x for row in result]]
            with bound.connect().execution_options(isolation_level="SERIALIZABLE") as connection:
                found += [connection.scalar(sa.text("SHOW transaction_isolation"))]
                options = {"stream_results": True, "yield_per": 100}
                query = sa.select(table.c.x).order_by("x")
                streamed = connection.execute(query, execution_options=options)
                found += [[len(part) for part in streamed.partitions()]]
                connection.execute(sa.delete(table))
                connection.rollback()
            with bound.connect() as connection:
                found += [connection.scalar(sa.select(sa.func.count()).select_from(table))]
        return found

    found = both(scenario)
    assert ["SERIALIZABLE", 700] == [str(found[1]).upper(), found[3]]


def test_threads_share_a_pool(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: dict[int, list[Any]] = {}
        with engine(route, "psycopg", pool_size=4, max_overflow=2, pool_recycle=1) as bound:
            Base.metadata.create_all(bound)

            def work(number: int) -> None:
                for turn in range(5):
                    with orm.Session(bound) as session, session.begin():
                        session.add(Author(name=f"{number} of {turn}", tags=[str(turn)]))
                        session.flush()
                        query = sa.select(sa.func.count()).where(
                            Author.name.startswith(f"{number} of ")
                        )
                        found.setdefault(number, []).append(session.scalar(query))

            threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        return sorted(found.items())

    assert [(number, [1, 2, 3, 4, 5]) for number in range(6)] == both(scenario)


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
def test_async_orm(both: Both, driver: str) -> None:
    async def scenario(route: Route) -> list[Any]:
        bound = create_async_engine(
            route.url(f"postgresql+{driver}"), pool_pre_ping=True, pool_size=4
        )
        async with bound.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            found: list[Any] = [
                await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())
            ]
        async with AsyncSession(bound) as session:
            session.add_all(authors(20))
            await session.commit()

        async def read(number: int) -> list[Any]:
            async with AsyncSession(bound) as session, session.begin():
                query = (
                    sa.select(Author).options(orm.selectinload(Author.books)).order_by(Author.id)
                )
                rows = await session.scalars(query.where(Author.id % 5 == number))
                return [
                    (author.name, author.born, [book.price for book in author.books])
                    for author in rows
                ]

        found += await asyncio.gather(*[read(number % 5) for number in range(15)])
        async with bound.connect() as connection:
            streamed = await connection.stream(sa.select(Book.title).order_by(Book.title))
            found += [[row.title async for row in streamed]]
        await bound.dispose()
        return found

    found = both(lambda route: asyncio.run(scenario(route)))
    assert ("author 4", dt.date(1904, 1, 1), []) == found[1][0]

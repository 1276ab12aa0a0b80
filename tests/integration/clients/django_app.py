"""A small Django application, run as a program: it prints what it found as JSON.

Django's settings are for a whole process, so each way to the server gets a process of its own.
The database comes by libpq's environment variables.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import types
from decimal import Decimal
from typing import Any

import django
from django.apps import AppConfig
from django.conf import settings

APP = "shop"


def configure() -> None:
    names = {"NAME": "PGDATABASE", "HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER"}
    database: dict[str, Any] = {key: os.environ[name] for key, name in names.items()}
    options = {"options": "-c statement_timeout=50s", "server_side_binding": "--bind" in sys.argv}
    if "--pool" in sys.argv:
        options["pool"] = {"min_size": 2, "max_size": 4}
    settings.configure(
        DATABASES={
            "default": {
                **database,
                "PASSWORD": os.environ.get("PGPASSWORD", ""),
                "ENGINE": "django.db.backends.postgresql",
                "OPTIONS": options,
            }
        },
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "shop.Shop"],
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
        TIME_ZONE="Europe/Berlin",
    )
    module = types.ModuleType(APP)
    module.__file__ = __file__
    module.__path__ = []
    module.Shop = type(  # type: ignore[attr-defined]
        "Shop",
        (AppConfig,),
        {"name": APP, "label": APP, "path": os.path.dirname(__file__), "__module__": APP},
    )
    sys.modules[APP] = module
    django.setup()


configure()

from django.contrib.auth.models import Group, User  # noqa: E402 - Django must be set up first
from django.core.management import call_command  # noqa: E402
from django.db import IntegrityError, connection, models, transaction  # noqa: E402
from django.db.models import Avg, Count, F, Q, Sum, Window  # noqa: E402
from django.db.models.functions import Rank, TruncYear, Upper  # noqa: E402


class Maker(models.Model):
    name = models.CharField(max_length=40, unique=True)
    since = models.DateTimeField(null=True)

    class Meta:
        app_label = APP


class Item(models.Model):
    maker = models.ForeignKey(Maker, on_delete=models.CASCADE, related_name="items")
    title = models.TextField(db_index=True)
    price = models.DecimalField(max_digits=8, decimal_places=2)
    extra = models.JSONField(default=dict)
    photo = models.BinaryField(default=b"")
    groups = models.ManyToManyField(Group)

    class Meta:
        app_label = APP
        constraints = (models.CheckConstraint(condition=Q(price__gte=0), name="price_gte_0"),)


def migrate() -> Any:
    call_command("migrate", verbosity=0)
    with connection.schema_editor() as editor:
        editor.create_model(Maker)
        editor.create_model(Item)
    tables = connection.introspection.table_names()
    with connection.cursor() as cursor:
        constraints = connection.introspection.get_constraints(cursor, "shop_item")
    return [
        sorted(tables),
        sorted((c["columns"], c["unique"], c["check"]) for c in constraints.values()),
    ]


def fill() -> Any:
    makers = Maker.objects.bulk_create([Maker(name=f"mäker {n}") for n in range(20)])
    items = [
        Item(
            maker=makers[n % 20],
            title=f"item {n}",
            price=Decimal(n) / 4,
            extra={"n": n},
            photo=bytes([n % 256]),
        )
        for n in range(1000)
    ]
    Item.objects.bulk_create(items, batch_size=300)
    group = Group.objects.create(name="group")
    group.item_set.add(*Item.objects.filter(price__lt=1))
    user = User.objects.create_user("user", password="secret")
    user.groups.add(group)
    return [
        Item.objects.count(),
        list(group.item_set.values_list("title", flat=True).order_by("id")),
    ]


def query() -> Any:
    cheap = (
        Item.objects.select_related("maker")
        .filter(Q(price__lt=2) | Q(title__icontains="ITEM 99"))
        .order_by("id")
    )
    sums = Maker.objects.annotate(total=Sum("items__price"), count=Count("items")).order_by(
        "-total", "name"
    )[:5]
    ranks = Item.objects.annotate(rank=Window(Rank(), order_by=F("price").desc())).order_by("rank")[
        :3
    ]
    Item.objects.filter(extra__n__lt=3).update(title=Upper("title"), price=F("price") + 1)
    made = [
        Maker.objects.get_or_create(name="mäker 1")[1],
        Maker.objects.update_or_create(name="new")[1],
    ]
    return [
        [
            (item.title, str(item.price), item.maker.name, item.extra, bytes(item.photo).hex())
            for item in cheap
        ],
        [(maker.name, str(maker.total), maker.count) for maker in sums],
        [(item.title, item.rank) for item in ranks],
        made,
        str(Item.objects.aggregate(mean=Avg("price"))["mean"]),
        [
            maker.name
            for maker in Maker.objects.prefetch_related("items").order_by("id")
            if len(maker.items.all()) > 49
        ],
        Item.objects.filter(extra__has_key="n").exclude(maker__name__in=["mäker 1"]).count(),
        list(Maker.objects.annotate(year=TruncYear("since")).values_list("year", flat=True)[:2]),
        Item.objects.filter(id__lt=5).explain(costs=False).splitlines()[0].split()[0] != "",
    ]


def iterate() -> Any:
    """By server-side cursors: WITH HOLD outside of a transaction."""
    outside = [item.id for item in Item.objects.order_by("id").iterator(chunk_size=70)]
    with transaction.atomic():
        inside = list(
            Item.objects.values_list("price", flat=True).order_by("id").iterator(chunk_size=70)
        )
    half = Item.objects.order_by("id").iterator(chunk_size=10)
    first = [next(half).title for _ in range(15)]
    half.close()
    return [len(outside), outside[:3], str(sum(inside)), first[-1]]


def transact() -> Any:
    found: list[Any] = []
    try:
        with transaction.atomic():
            Maker.objects.create(name="rolled back")
            raise ZeroDivisionError
    except ZeroDivisionError:
        found.append(Maker.objects.filter(name="rolled back").exists())
    with transaction.atomic():
        Maker.objects.create(name="outer")
        for name in ("outer", "mäker 1", "inner"):
            try:
                with transaction.atomic():
                    Maker.objects.create(name=name)
            except IntegrityError as error:
                found.append(error.__cause__.sqlstate)  # type: ignore[union-attr]
        locked = Maker.objects.select_for_update().get(name="outer")
        transaction.on_commit(lambda: found.append("committed"))
        locked.delete()
    return [
        *found,
        list(Maker.objects.filter(name__in=["outer", "inner"]).values_list("name", flat=True)),
    ]


def at_once() -> Any:
    found: dict[int, Any] = {}

    def work(number: int) -> None:
        for _ in range(5):
            with transaction.atomic():
                Maker.objects.filter(name=f"mäker {number}").update(since="2024-01-01T00:00Z")
                found[number] = str(Maker.objects.get(name=f"mäker {number}").since)
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT current_setting('TimeZone'), current_setting('statement_timeout')"
            )
            found[number] = [found[number], cursor.fetchone()]
        connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(found.items())


def main() -> None:
    steps = (migrate, fill, query, iterate, transact, at_once)
    print(json.dumps({step.__name__: step() for step in steps}))
    connection.close()
    if "--pool" in sys.argv:
        connection.close_pool()


if __name__ == "__main__":
    main()

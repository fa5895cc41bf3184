"""A BI tool as PostgreSQL sees it: psycopg and SQLAlchemy's reflection on schema bi.

usage: bi.py URL EXPECTED-ORDERS      prints what is wrong; exit code 1 when anything is
"""

import sys

import psycopg
import sqlalchemy

url, expected_orders = sys.argv[1], int(sys.argv[2])
wrong: list[str] = []


def expect(is_so: bool, what: str) -> None:
    if not is_so:
        wrong.append(what)


def refused(connection: psycopg.Connection, sql: str) -> bool:
    try:
        connection.execute(sql)
        return False
    except psycopg.Error:
        return True
    finally:
        connection.rollback()


engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
inspector = sqlalchemy.inspect(engine)
views = inspector.get_view_names(schema="bi")
expect({"customers", "products", "orders", "order_lines", "dates", "departments"} <= set(views), f"views are missing: {views}")
metadata = sqlalchemy.MetaData(schema="bi")
metadata.reflect(engine, views=True)
with engine.connect() as connection:
    for name in views:
        table = metadata.tables[f"bi.{name}"]
        for column in inspector.get_columns(name, schema="bi"):
            expect(bool(column["comment"]), f"bi.{name}.{column['name']} has no comment")
            expect(not isinstance(column["type"], sqlalchemy.types.NullType), f"bi.{name}.{column['name']} has a type no tool knows")
        connection.execute(sqlalchemy.select(table).limit(5)).all()

with psycopg.connect(url) as connection:
    def count() -> int:
        return connection.execute("SELECT count(*) FROM bi.orders").fetchone()[0]

    expect(count() == expected_orders, f"{count()} orders are seen instead of {expected_orders}")
    # A BI login can set anything; what it sees goes by who logged in.
    connection.execute("SET muhatap.read_sales = '*'")
    connection.execute("SET muhatap.caller = '00000000-0000-0000-0000-000000000001'")
    expect(count() == expected_orders, "a setting changed what a BI login sees")
    connection.commit()
    connection.execute("SET default_transaction_read_only = off")
    connection.commit()
    for sql in (
        "DELETE FROM bi.orders", "UPDATE crm.sales_order SET amount = 0", "SELECT password_hash FROM crm.app_user", "SELECT * FROM crm.change",
        "SET ROLE crm_app", "SET ROLE crm_owner", "SET SESSION AUTHORIZATION crm_app", "CREATE TABLE bi.x ()", "CREATE TABLE public.x ()"):
        expect(refused(connection, sql), f"a BI login may: {sql}")

print("\n".join(wrong))
sys.exit(1 if wrong else 0)

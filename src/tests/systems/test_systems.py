"""The systems that other tests stand on do what those tests take for granted."""

import os

import psycopg
from sqlalchemy import create_engine, text

from . import s3
from .chromium import Chromium
from .postgresql import Server


def test_each_postgresql_database_is_empty_and_its_own(postgresql_server: Server) -> None:
    for _ in range(2):
        with postgresql_server.database() as url:
            engine = create_engine(url)
            with engine.begin() as connection:
                connection.execute(text("CREATE TABLE readings (id int)"))
            engine.dispose()


def test_a_postgresql_database_goes_even_with_a_connection_open(postgresql_server: Server) -> None:
    with postgresql_server.database() as url:
        left_open = psycopg.connect(url.replace("postgresql+psycopg", "postgresql"))
    left_open.close()


def test_the_database_url_is_for_both_databases(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar() == 1
    engine.dispose()


def test_the_bucket_keeps_what_is_written(moto_server: s3.Bucket) -> None:
    import polars as pl
    from deltalake import DeltaTable, write_deltalake

    assert os.environ["AWS_ENDPOINT_URL"] == moto_server.endpoint
    address = f"{moto_server.url}/readings"
    for version in range(2):
        write_deltalake(address, pl.DataFrame({"pressure": [2.1, 2.2]}), mode="append")
        assert DeltaTable(address).version() == version
    assert pl.read_delta(address).height == 4


def test_the_browser_opens_a_page(chromium: Chromium) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium.executable, args=list(chromium.arguments))
        page = browser.new_page()
        page.goto("data:text/html,<h1>Fleet</h1>")
        assert page.inner_text("h1") == "Fleet"
        browser.close()

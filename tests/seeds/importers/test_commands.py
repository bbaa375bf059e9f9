"""`efi import …` as people type it."""

import asyncio

import pytest
from typer.testing import CliRunner

from app.database import connect, disconnect
from app.security import acting_as, system
from models import ALL_DOCUMENTS
from seeds.importers.commands import SHOWN_BAD_ROWS, import_commands
from tests.seeds.importers.excerpts import COMPLAINT, RECALL, json_lines, written


@pytest.fixture
def invoke(database_url, database_name):
    def with_store(name, work):
        async def run():
            await connect(database_url, database_name, ALL_DOCUMENTS)
            with acting_as(system(name)):
                try:
                    return await work()
                finally:
                    await disconnect()

        return asyncio.run(run())

    return lambda *arguments: CliRunner().invoke(import_commands(with_store), [str(one) for one in arguments])


def test_both_commands_report_what_they_did(invoke, tmp_path):
    recalls = written(tmp_path / "r.jsonl", json_lines(RECALL))
    first = invoke("nhtsa-recalls", recalls)
    assert first.exit_code == 0, first.output
    assert "1 created, 0 updated, 0 there already, 0 refused." in first.stdout
    assert "0 created, 0 updated, 1 there already, 0 refused." in invoke("nhtsa-recalls", recalls).stdout

    complaints = written(tmp_path / "c.jsonl", json_lines(COMPLAINT))
    assert "1 created" in invoke("nhtsa-complaints", "--with-events", complaints).stdout


def test_bad_rows_are_shown_but_not_all_of_many(invoke, tmp_path):
    bad = [COMPLAINT | {"text": ""} for _ in range(SHOWN_BAD_ROWS + 5)]
    output = invoke("nhtsa-complaints", written(tmp_path / "c.jsonl", json_lines(*bad))).stdout
    assert "row 1: has no description" in output
    assert output.count("has no description") == SHOWN_BAD_ROWS
    assert "… and 5 more" in output


def test_a_file_that_is_not_there(invoke, tmp_path):
    assert invoke("nhtsa-recalls", tmp_path / "nothing.zip").exit_code == 2

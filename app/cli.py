"""The command line: `efi serve`, and work on the store beside it.

Commands import what they need when they run, so that asking for help stays quick.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from seeds.importers.commands import import_commands

T = TypeVar("T")

app = typer.Typer(
    name="efi",
    help="EV Failure Intelligence: failure knowledge that learns from every repair.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def _commands() -> None:
    """Keeps `efi` a group of commands however few there are."""


@app.command()
def serve() -> None:
    """Start the service. Settings are environment variables: EFI_HOST, EFI_PORT, EFI_DATA_DIR, EFI_MONGO_URL …"""
    import server

    server.main()


@app.command()
def migrate() -> None:
    """Bring what is stored up to this release. The service does it by itself when it starts."""
    from app.migrations import migrate as run_steps

    steps = with_store("migrate", run_steps)
    typer.echo("\n".join(steps) if steps else "Nothing to do.")


@app.command()
def password(email: str) -> None:
    """Give an account a new password, for instance when an admin has lost theirs. Asks, or reads a line of input."""
    from services.accounts import users

    asked = sys.stdin.isatty()
    new = typer.prompt("New password", hide_input=True, confirmation_prompt=True) if asked else sys.stdin.readline()

    async def change() -> None:
        await users.set_password(await users.with_address(email), new.rstrip("\n"))

    with_store("password", change)
    typer.echo("Changed; all sessions of this account have ended.")


@app.command()
def seed() -> None:
    """Load the starter knowledge: symptoms, vehicles, failure cards. Again, it updates what its files have changed."""
    from rich.console import Console

    from seeds.load import seed as load

    for kind, count in with_store("seed", lambda: load(console=Console(stderr=True))).items():
        typer.echo(f"{kind}: {count}")


@app.command()
def relink() -> None:
    """Make the knowledge graph say what all cards state, and find near duplicates among them."""
    from rich.console import Console
    from rich.progress import Progress

    from services.diagnosis import matches
    from services.diagnosis.live_index import LiveIndex
    from services.knowledge import graph_upkeep
    from services.workflows.graph import relate_all

    async def work() -> int:
        live = LiveIndex()
        cards = await live.read()
        matches.serve(live)
        with Progress(console=Console(stderr=True)) as bar:
            # Deprecated cards are linked too, to end what they stated: there may be a few more of those.
            linking, comparing = bar.add_task("linking", total=cards), bar.add_task("comparing", total=cards)
            changed = await graph_upkeep.relink(lambda done: bar.advance(linking, done))
            return changed + await relate_all(lambda done: bar.advance(comparing, done))

    typer.echo(f"edges changed: {with_store('relink', work)}")


@app.command()
def evaluate(
    folder: Annotated[
        Path | None, typer.Argument(metavar="GOLD", exists=True, file_okay=False, help="Corpus, queries and qrels.")
    ] = None,
    gold: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="The same, as an option.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write the figures here.")] = None,
    svg_file: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Draw the picture here.")] = None,
    extra: Annotated[bool, typer.Option("--extra", help="Add the failures of corpus_extra.jsonl.")] = False,
    scorer: Annotated[list[str] | None, typer.Option(help="Only this scorer; may be given again.")] = None,
) -> None:
    """Measure how well complaints find the known failures behind them, on judged ones. Touches no store of yours."""
    import json

    from rich.console import Console

    from app.embedded_store import EmbeddedStoreError
    from app.embedders import wanted_embedder
    from app.errors import EfiError
    from app.logs import configure_logs
    from app.settings import Settings
    from seeds import gold as gold_set

    judged = folder or gold
    if judged is None:
        raise typer.BadParameter("name the folder of the gold set", param_hint="GOLD")
    for file in filter(None, (json_file, svg_file)):
        if not file.parent.is_dir():  # said now, not after minutes of work
            raise typer.BadParameter(f"there is no folder {file.parent}")
    configure_logs("warning", as_json=False)

    async def work() -> "gold_set.Evaluation":
        async with wanted_embedder(Settings()) as (embedder, off):
            asked = gold_set.Asked(judged, extra=extra, scorers=scorer or ())
            return await gold_set.evaluate_folder(asked, embedder, off=off, console=Console(stderr=True))

    try:
        evaluation = asyncio.run(work())
    except (EmbeddedStoreError, EfiError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    gold_set.print_report(evaluation, Console())
    if json_file is not None:
        json_file.write_text(json.dumps(gold_set.as_json(evaluation), indent=2) + "\n", encoding="utf-8")
    if svg_file is not None:
        svg_file.write_text(gold_set.svg(evaluation), encoding="utf-8")


@app.command()
def replay(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="For instance run_0v7k3m2x9qd4hz6t1b8n.")],
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all of it here.")] = None,
) -> None:
    """Show what a match showed, prove its scores, and match the same complaint again today, side by side."""
    import json

    from rich.console import Console

    from app import replay as replaying
    from app.settings import Settings

    played = with_store("replay", lambda: replaying.replayed(Settings(), run_id))
    replaying.show(played, Console())
    if json_file is not None:
        json_file.write_text(json.dumps(replaying.as_json(played), indent=2) + "\n", encoding="utf-8")


@app.command()
def train(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would come of it; store nothing.")] = False,
) -> None:
    """Learn from technicians' decisions how to weigh what speaks for a card. The service does it by itself each day."""
    from rich.console import Console

    from app import training
    from app.settings import Settings

    done = with_store("train", lambda: training.trained(Settings(), Console(stderr=True), dry_run=dry_run))
    training.show(done, Console())


@app.command()
def reindex(
    embeddings: Annotated[bool, typer.Option("--embeddings", help="Embed every card anew, too.")] = False,
) -> None:
    """Build the matching index anew from the store. A running service takes it over when it is started again."""
    from rich.console import Console

    from app import reindex as rebuild
    from app.settings import Settings

    settings, console = Settings(), Console(stderr=True)
    count = with_store("reindex", lambda: rebuild.reindex(settings, console, embeddings=embeddings))
    typer.echo(f"{count:,} cards indexed.")


@app.command()
def reference() -> None:
    """Print docs/api.md: every path by capability, with who may call it."""
    from app.factory import create_app
    from app.reference import api_reference
    from app.settings import Settings

    typer.echo(api_reference(create_app(Settings(env="test")).openapi()), nl=False)


network_commands = typer.Typer(no_args_is_help=True, help="Exchange approved cards with other services.")
NewFile = Annotated[Path, typer.Argument(dir_okay=False, writable=True, help="One signed bundle per line.")]
BundleFile = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True)]


@network_commands.command("identity")
def network_identity() -> None:
    """Print this service's node id and public key, for the admins of its peers."""
    from services.knowledge.network import identity

    own = with_store("network", identity.own)
    typer.echo(f"node_id: {own.node_id}\npublic_key: {own.public_key}")


@network_commands.command("new-key")
def network_new_key() -> None:
    """Make a new key under the same node id. Peers refuse what it signs until their admins have pinned it."""
    from services.knowledge.network import identity

    own = with_store("network", identity.renew_key)
    typer.echo(f"node_id: {own.node_id}\npublic_key: {own.public_key}")


@network_commands.command("export")
def network_export(
    file: NewFile,
    since: Annotated[int, typer.Option(min=0, help="Number of the change after which to begin.")] = 0,
) -> None:
    """Write the changes of approved cards to a file that peers can import."""
    from services.knowledge.network import changes

    typer.echo(f"Up to change {with_store('network', lambda: changes.write_file(file, since))}.")


@network_commands.command("import")
def network_import(file: BundleFile) -> None:
    """Take in a file that a peer has exported. Importing it again changes nothing."""
    from services.knowledge.network import importing

    typer.echo(with_store("network", lambda: importing.import_file(file)))


@network_commands.command("pull")
def network_pull(node_id: Annotated[str, typer.Argument(metavar="PEER", help="The node id of a peer.")]) -> None:
    """Fetch what is new at a peer."""
    from services.knowledge.network import peers, pulling

    async def work() -> pulling.Pulled:
        return await pulling.pull(await peers.get(node_id))

    pulled = with_store("network", work)
    typer.echo(
        f"{pulled.received} cards and shares of evidence came: {pulled.added} cards added, {pulled.updated} updated, "
        f"{pulled.conflicts} conflicts, {pulled.refused} items refused. Up to its change {pulled.cursor}."
    )


def with_store(command: str, work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` on the store as the command's own actor, also while the service runs; returns what it returns.

    An expected error ends the process with a sentence instead of a traceback.
    """
    from app import database
    from app.embedded_store import EmbeddedStoreError
    from app.errors import EfiError
    from app.logs import configure_logs
    from app.security import acting_as, system
    from app.settings import Settings
    from app.store import open_store
    from services.knowledge import evidence_rows, redaction
    from services.knowledge.network import identity
    from services.workflows.rights import RIGHTS

    async def run(settings: Settings) -> T:
        database.guard.policy = RIGHTS
        evidence_rows.configure(half_life_days=settings.evidence_half_life_days)
        identity.configure(secret_key=settings.signing_key)
        redaction.configure(phone_region=settings.phone_region)
        async with open_store(settings, share=True):
            with acting_as(system(command)):
                return await work()

    settings = Settings()
    configure_logs(settings.log_level, as_json=settings.env == "production")
    try:
        return asyncio.run(run(settings))
    except (EmbeddedStoreError, EfiError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


app.add_typer(import_commands(with_store), name="import")
app.add_typer(network_commands, name="network")


if __name__ == "__main__":
    app()

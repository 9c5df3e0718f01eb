"""A search index that changes as a whole: built beside the live one, flipped by an alias, dropped when canceled.

The engine is Tantivy, which comes as a wheel and keeps each index in a folder. An alias is a symbolic link, and
`rename` puts a new link in the place of the old one in one step: a search sees the release before or the release
after, never a part of each. With Elasticsearch or OpenSearch the steps are the same, and `_aliases` is the flip.
"""

import os
import shutil
from pathlib import Path

import aiohttp
import tantivy
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lockstep.taskkit import SqliteStore, Task, TaskFailed, TaskService

REQUEST_LIMIT_S = 30
HITS = 20


def make_service(folder: Path, *, coordinator_url: str | None = None) -> TaskService:
    """Make the service that keeps its indexes in `folder`, and answers `GET /search?q=` from the live one."""
    indexes, live = folder / "indexes", folder / "live"

    def search(request: Request) -> JSONResponse:
        return JSONResponse(hits(live, request.query_params.get("q", "")))

    service = TaskService(
        "search index",
        version="1.0.0",
        store=SqliteStore(folder / "tasks.db"),
        coordinator_url=coordinator_url,
        routes=[Route("/search", search)],
    )

    @service.stage
    async def build(task: Task) -> None:
        """Build the release's index beside the live one, from nothing each time."""
        shutil.rmtree(indexes / task.id, ignore_errors=True)
        (indexes / task.id).mkdir(parents=True)
        writer = tantivy.Index(schema(), path=str(indexes / task.id)).writer()
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_LIMIT_S)) as web:
            for done, (study, url) in enumerate(zip(task.studies, task.urls, strict=True), start=1):
                writer.add_document(tantivy.Document(study=study, text=await text_of(web, study, url)))
                task.progress(done, of=len(task.studies))
        writer.commit()
        writer.wait_merging_threads()
        task.staged(metrics={"documents": len(task.studies)})

    @service.publish
    def flip(task: Task) -> None:
        """Point the alias at the new index, and then drop the one that it pointed at."""
        before = live.readlink() if live.is_symlink() else None
        if before == Path("indexes", task.id):
            return
        link = folder / f"{task.id}.link"
        link.unlink(missing_ok=True)
        link.symlink_to(Path("indexes", task.id))
        link.rename(live)
        if before is not None:
            shutil.rmtree(folder / before, ignore_errors=True)

    @service.cancel
    def drop(task: Task) -> None:
        """Drop what was built, unless it is live: of that, nothing can be taken back."""
        if not live.is_symlink() or live.readlink() != Path("indexes", task.id):
            shutil.rmtree(indexes / task.id, ignore_errors=True)

    return service


def schema() -> tantivy.Schema:
    """Return what is kept of a study: its id as it is, its text in words."""
    builder = tantivy.SchemaBuilder()
    builder.add_text_field("study", stored=True, tokenizer_name="raw")
    builder.add_text_field("text", stored=False, tokenizer_name="en_stem")
    return builder.build()


def hits(live: Path, question: str) -> list[str]:
    """Return the ids of the studies that the live index finds, best first."""
    if not live.exists() or not question.strip():
        return []
    index = tantivy.Index.open(str(live.resolve()))
    query, _mistakes = index.parse_query_lenient(question, ["text"])
    searcher = index.searcher()
    found = searcher.search(query, HITS).hits
    return [str(searcher.doc(address).get_first("study")) for _score, address in found]


async def text_of(web: aiohttp.ClientSession, study: str, url: str) -> str:
    """Return the words of a study's record, or tell people why there are none."""
    try:
        async with web.get(url) as answer:
            if answer.ok:
                record = (await answer.json())["results"]
                return " ".join(value for value in record.values() if isinstance(value, str))
            problem = f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError, ValueError, KeyError) as error:
        problem = str(error) or type(error).__name__
    raise TaskFailed(f"study {study} could not be fetched from {url}: {problem}", retryable=True)


if __name__ == "__main__":
    make_service(Path(os.environ.get("FOLDER", "search_index"))).run(port=int(os.environ.get("PORT", "8080")))

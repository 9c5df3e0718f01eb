"""A snapshot in S3: one tar per study, staged under a prefix that nobody reads, and published by one small object.

S3 has no rename. So the tars are staged under `staged/<task>/`, copied within the bucket to `public/<release>/`, and
last `public/current.json` is written, which names the release: one PUT, which readers see as a whole or not at all.
The bucket's policy lets the public read `public/*` and nothing else.
"""

import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import aiohttp
import boto3

from lockstep.taskkit import SqliteStore, Task, TaskFailed, TaskService

REQUEST_LIMIT_S = 30
CURRENT = "public/current.json"


def make_service(folder: Path, bucket: str, s3: Any = None, *, coordinator_url: str | None = None) -> TaskService:
    """Make the service that writes to `bucket`; its tasks are kept in `folder`.

    Credentials, region and, for an S3 that is not Amazon's, `AWS_ENDPOINT_URL` come from where boto3 looks for them.
    """
    s3 = s3 or boto3.client("s3")
    service = TaskService(
        "s3 snapshot", version="1.0.0", store=SqliteStore(folder / "tasks.db"), coordinator_url=coordinator_url
    )

    @service.stage
    async def stage(task: Task) -> None:
        """Write each study's tar; one that was written before the process was killed is written again."""
        size = 0
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REQUEST_LIMIT_S)) as web:
            for done, (study, url) in enumerate(zip(task.studies, task.urls, strict=True), start=1):
                tar = packed(f"{study}/study.json", await fetch(web, study, url))
                s3.put_object(Bucket=bucket, Key=f"staged/{task.id}/{study}.tar", Body=tar)
                size += len(tar)
                task.progress(done, of=len(task.studies))
        task.staged(metrics={"tars": len(task.studies), "bytes": size})

    @service.publish
    def publish(task: Task) -> None:
        """Copy, then point at the copies, then tidy up; each of these may be done twice."""
        for key in keys(s3, bucket, f"staged/{task.id}/"):
            copy = f"public/{task.release_id}/{key.rsplit('/', 1)[1]}"
            s3.copy_object(Bucket=bucket, CopySource={"Bucket": bucket, "Key": key}, Key=copy)
            task.check()
        current = {"release": task.release_id, "studies": list(task.studies)}
        s3.put_object(Bucket=bucket, Key=CURRENT, Body=json.dumps(current), ContentType="application/json")
        remove(s3, bucket, f"staged/{task.id}/")

    @service.cancel
    def cancel(task: Task) -> None:
        """Remove what was staged, and copies that nothing points at."""
        remove(s3, bucket, f"staged/{task.id}/")
        if current_release(s3, bucket) != task.release_id:
            remove(s3, bucket, f"public/{task.release_id}/")

    return service


def packed(name: str, content: bytes) -> bytes:
    """Return a tar with one file. The same content gives the same bytes, whenever it is packed."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return whole.getvalue()


def keys(s3: Any, bucket: str, prefix: str) -> list[str]:
    """Return the names of the objects under a prefix, however many pages of them there are."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def remove(s3: Any, bucket: str, prefix: str) -> None:
    """Remove the objects under a prefix."""
    for key in keys(s3, bucket, prefix):
        s3.delete_object(Bucket=bucket, Key=key)


def current_release(s3: Any, bucket: str) -> str | None:
    """Return the id of the release that the public is shown."""
    try:
        return str(json.load(s3.get_object(Bucket=bucket, Key=CURRENT)["Body"])["release"])
    except s3.exceptions.NoSuchKey:
        return None


async def fetch(web: aiohttp.ClientSession, study: str, url: str) -> bytes:
    """Return the record of a study, or tell people why there is none."""
    try:
        async with web.get(url) as answer:
            if answer.ok:
                return await answer.read()
            problem = f"HTTP {answer.status}"
    except (aiohttp.ClientError, TimeoutError) as error:
        problem = str(error) or "no answer in time"
    raise TaskFailed(f"study {study} could not be fetched from {url}: {problem}", retryable=True)


if __name__ == "__main__":
    make_service(Path(os.environ.get("FOLDER", "s3_snapshot")), os.environ["BUCKET"]).run(
        port=int(os.environ.get("PORT", "8080"))
    )

"""The snapshot in S3, with S3 over HTTP as moto plays it: one object decides what is public."""

import importlib.util
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest

from lockstep.stack.processes import free_ports
from lockstep.taskkit.testing import Rehearsal, rehearsal
from tests.coordination import Killable
from tests.examples.processes import EXAMPLES, found

PATH = EXAMPLES / "s3_snapshot" / "s3_snapshot.py"
BUCKET = "snapshots"
ACCESS = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server(said: Path) -> Iterator[str]:
    with said.open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.announcing.sns_server"],
            cwd=EXAMPLES.parent,
            env={**os.environ, **ACCESS},
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.kill()
        server.communicate()


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with s3_server(tmp_path_factory.mktemp("s3") / "said") as url:
        yield url


@pytest.fixture
def s3(s3_url: str) -> Iterator[Any]:
    session = boto3.Session("any", "any", region_name="us-east-1")
    client = session.client("s3", endpoint_url=s3_url)
    client.create_bucket(Bucket=BUCKET)
    for item in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=item["Key"])
    yield client
    client.close()


@pytest.fixture(scope="module")
def example() -> Any:
    spec = importlib.util.spec_from_file_location("example_s3_snapshot", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def stored(s3: Any) -> list[str]:
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


@contextmanager
def release_of(example: Any, s3: Any, folder: Path) -> Iterator[Rehearsal]:
    with rehearsal(lambda url: example.make_service(folder, BUCKET, s3, coordinator_url=url)) as release:
        yield release


def test_a_release_is_public_when_it_is_named(example: Any, s3: Any, tmp_path: Path) -> None:
    """Nothing is under `public/` before, and afterwards there is a tar for each study, with its record."""
    with release_of(example, s3, tmp_path) as release:
        assert release.stage()["metrics"]["tars"] == 2
        assert stored(s3) == sorted(f"staged/{release.task_id}/{study}.tar" for study in release.studies)
        release.publish()
        tars = sorted(f"public/{release.id}/{study}.tar" for study in release.studies)
        assert stored(s3) == [*tars, "public/current.json"]
        body = s3.get_object(Bucket=BUCKET, Key="public/current.json")["Body"]
        assert json.load(body) == {"release": release.id, "studies": list(release.studies)}
        tar = s3.get_object(Bucket=BUCKET, Key=f"public/{release.id}/{release.studies[0]}.tar")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(tar)) as opened:
            record = opened.extractfile(f"{release.studies[0]}/study.json")
            assert record is not None
            assert json.load(record)["results"]["kf_id"] == release.studies[0]


def test_a_canceled_release_leaves_nothing(example: Any, s3: Any, tmp_path: Path) -> None:
    """And what is public stays public."""
    with release_of(example, s3, tmp_path) as first:
        first.stage()
        first.publish()
    public = stored(s3)
    with release_of(example, s3, tmp_path) as second:
        second.stage()
        assert len(stored(s3)) == len(public) + 2
        second.cancel()
    assert stored(s3) == public


@pytest.mark.usefixtures("s3")
def test_it_reaches_level_3(s3_url: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    service = Killable(
        lambda _port: [sys.executable, str(PATH)],
        tmp_path,
        FOLDER=str(tmp_path / "folder"),
        BUCKET=BUCKET,
        AWS_ENDPOINT_URL=s3_url,
        LOCKSTEP_COORDINATOR_URL=f"http://127.0.0.1:{port}",
        **ACCESS,
    )
    assert found(service.checked(port, restart=service.restart)) == (3, {})

"""A STAC API server (stac-fastapi with pgstac on a temporary PostgreSQL) over given collections and items, on loopback."""
import contextlib
import glob
import json
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import psycopg
import pypgstac.db
import pypgstac.load
import pypgstac.migrate
import pytest

PATIENCE = 120  # seconds until a process must be ready


def programs():
    """The folder of the newest PostgreSQL that has PostGIS."""
    found = [pathlib.Path(path).parts[4] for path in glob.glob("/usr/share/postgresql/*/extension/postgis.control")]
    folders = [pathlib.Path("/usr/lib/postgresql", version, "bin") for version in sorted(found, key=float)]
    folders = [folder for folder in folders if (folder / "initdb").exists()]
    if not folders:
        missing = "PostgreSQL with PostGIS is not here (apt-get install postgresql-postgis)"
        pytest.fail(missing) if os.environ.get("CI") == "true" else pytest.skip(missing)
    return folders[-1]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def process(*command, log, ended_by, **options):
    """Runs until the end of the block; then it gets a signal, and is killed if that does not end it."""
    with open(log, "w") as output:
        running = subprocess.Popen(list(map(str, command)), stdout=output, stderr=output, stdin=subprocess.DEVNULL, **options)
    try:
        yield running
    finally:
        running.send_signal(ended_by)
        try:
            running.wait(10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def wait_for(ready, errors, running, log):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return ready()
        except errors as error:
            if running.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{running.args[0]} is not ready: {error}\n{pathlib.Path(log).read_text()[-4000:]}")
        time.sleep(0.05)


@contextlib.contextmanager
def database():
    """A new PostgreSQL cluster on a loopback port; gives the port. The server refuses to run as root."""
    folder = programs()
    with tempfile.TemporaryDirectory(prefix="stac-server-") as place:
        place, options = pathlib.Path(place), {}
        if os.geteuid() == 0:
            users = {user.pw_name: user for user in pwd.getpwall()}
            user = users.get("postgres") or users["nobody"]
            options = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
            shutil.chown(place, user.pw_uid, user.pw_gid)
        subprocess.run([folder / "initdb", "--pgdata", place / "data", "--username", "test", "--auth", "trust", "--no-sync",
                        "--encoding", "UTF8", "--locale", "C.UTF-8"], check=True, capture_output=True, cwd=place, **options)
        port = free_port()
        settings = {"listen_addresses": "127.0.0.1", "port": port, "unix_socket_directories": "", "fsync": "off",
                    "full_page_writes": "off", "synchronous_commit": "off", "jit": "off"}
        arguments = [f"--{name}={value}" for name, value in settings.items()]
        log = place / "postgres.log"
        command = [folder / "postgres", "-D", place / "data", *arguments]
        # SIGQUIT: it waits for no client and writes nothing more.
        with process(*command, log=log, ended_by=signal.SIGQUIT, cwd=place, **options) as running:
            connect = lambda: psycopg.connect(f"host=127.0.0.1 port={port} user=test dbname=postgres").close()
            wait_for(connect, psycopg.OperationalError, running, log)
            yield port


@contextlib.contextmanager
def stac_server(collections, items, queryables):
    """The URL of a server that has them; queryables are names of properties and their JSON schemas."""
    with database() as port, tempfile.TemporaryDirectory() as place:
        db = pypgstac.db.PgstacDB(f"host=127.0.0.1 port={port} user=test dbname=postgres")
        pypgstac.migrate.Migrate(db).run_migration()
        loader = pypgstac.load.Loader(db)
        loader.load_collections(iter(collections))
        loader.load_items(iter(items))
        for name, schema in queryables.items():
            db.query_one("SELECT upsert_queryable(%s, %s)", (name, json.dumps(schema)))
        db.close()
        web, log = free_port(), pathlib.Path(place, "server.log")
        settings = {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "test", "PGPASSWORD": "-", "PGDATABASE": "postgres",
                    "ENABLED_EXTENSIONS": "query,sort,fields,filter,pagination,collection_search",
                    "USE_API_HYDRATE": "true"}
        command = [sys.executable, "-m", "uvicorn", "--factory", "stac_fastapi.pgstac.app:create_app", "--port", web]
        with process(*command, log=log, ended_by=signal.SIGKILL, cwd=place, env=os.environ | settings) as running:
            url = f"http://127.0.0.1:{web}"
            wait_for(lambda: urllib.request.urlopen(url, timeout=PATIENCE).close(), OSError, running, log)
            yield url

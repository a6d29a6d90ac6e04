"""The whole arena, as `make run` starts it: real processes, killed without warning while people vote."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import xmlrpc.client
from hashlib import sha256
from pathlib import Path

import psutil
import psycopg
import pytest
from supervisor.xmlrpc import SupervisorTransport

from arena.run.home import make_run_folder
from tests.casts import browser
from tests.casts.http_listener import HttpListener
from tests.casts.ports import free_port

pytestmark = pytest.mark.processes
CHECKOUT = Path(__file__).resolve().parents[2]
GATE_MS = 300
WORKERS = ["urgent", "ingest", "worker", "slow"]


class RunningArena:
    def __init__(self, home):
        self.home = home
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        stores = ("DATABASE_URL", "REDIS_URL", "SECRET_KEY")
        self.environment = {name: value for name, value in os.environ.items() if name not in stores}
        self.environment |= {"ARENA_HOME": str(home), "PORT": str(self.port)}
        self.output = (home.parent / "output").open("w+")

    def __enter__(self):
        command = [sys.executable, "-m", "arena.run"]
        self.process = subprocess.Popen(
            command, cwd=CHECKOUT, env=self.environment, stdout=self.output, stderr=self.output, start_new_session=True
        )
        self.wait_for(lambda: "Ready at" in self.printed(), 300, "the arena to be ready")
        return self

    def __exit__(self, *exc):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def printed(self):
        return Path(self.output.name).read_text()

    def wait_for(self, holds, seconds, what):
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.printed()[-3000:]
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}:\n{self.printed()[-3000:]}"
            time.sleep(0.2)

    def manage(self, *arguments):
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=CHECKOUT, env=self.environment, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip

    def query(self, sql, *parameters):
        """Rows straight from PostgreSQL, past every layer of ours."""
        with psycopg.connect(
            json.loads((self.home / "run.json").read_text())["DATABASE_OWNER_URL"], autocommit=True
        ) as db:
            cursor = db.execute(sql, parameters)
            return cursor.fetchall() if cursor.description else None

    @property
    def supervisor(self):
        folder = Path(json.loads((self.home / "run.json").read_text())["folder"])
        transport = SupervisorTransport(None, None, f"unix://{folder / 'supervisor.sock'}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def kill(self, *names):
        for process in self.supervisor.getAllProcessInfo():
            if process["name"] in names and process["pid"]:
                os.kill(process["pid"], signal.SIGKILL)

    def kill_web_and_its_children(self):
        (web,) = [process["pid"] for process in self.supervisor.getAllProcessInfo() if process["name"] == "web"]
        for process in [*psutil.Process(web).children(recursive=True), psutil.Process(web)]:
            process.kill()

    def leaderboard(self, study):
        return HttpListener(self.address).until_answered("GET", f"/api/leaderboard/?study={study}")[1]


@pytest.fixture(scope="module")
def arena():
    # pytest's own temporary folders are closed to the account that PostgreSQL runs under as root.
    folder = make_run_folder(None, prefix="arena-test-")
    folder.chmod(0o755)
    with RunningArena(folder / "home") as running:
        running.query("UPDATE arena_study SET min_listen_ms = %s WHERE slug = 'open'", GATE_MS)
        yield running
    shutil.rmtree(folder)


def test_the_demo_leaves_nothing_empty(arena):
    simulated = arena.leaderboard("simulated")
    (group,) = simulated["groups"]
    assert simulated["simulated"]
    assert simulated["n_votes"] + sum(simulated["about"]["excluded"].values()) == 360
    assert simulated["n_votes"] > 250  # the rest: "both bad", and listeners who did not listen
    assert len(group) == 6
    assert group[0]["system"] == "hazel"
    assert group[-1]["system"] == "birch"
    fresh = arena.leaderboard("open")
    assert fresh["reward_model"]
    assert len(fresh["not_yet_rated"]) == 6
    arena.wait_for(
        lambda: all(row["n_clips"] == 8 for row in arena.leaderboard("open")["not_yet_rated"]), 60, "all rewards"
    )
    status, page = HttpListener(arena.address).send("GET", "/")
    assert status == 200
    assert b"imulated" in page


def test_no_vote_is_lost_or_counted_twice_while_everything_is_killed(arena):
    acknowledged, stop = [], threading.Event()

    def listen(number):
        listener = HttpListener(arena.address).agree("open")
        for turn in range(10):
            battle, key, status, answer = listener.play_battle("open", "AB"[(number + turn) % 2])
            assert status == 201, answer
            acknowledged.append((battle["id"], sha256(key.encode()).hexdigest(), answer["id"]))

    def kill():
        for names in (["web"], WORKERS, ["gpu"], ["web", *WORKERS, "gpu"], ["beat"], ["web"]):
            if stop.wait(1.5):
                return
            arena.kill(*names)

    listeners = [threading.Thread(target=listen, args=(number,)) for number in range(20)]
    killer = threading.Thread(target=kill)
    for thread in [*listeners, killer]:
        thread.start()
    for thread in listeners:
        thread.join(180)
    killer.join()
    stop.set()

    assert len(acknowledged) == 200
    stored = arena.query(
        "SELECT battle_id::text, idempotency_key, vote.id FROM annotations_vote vote "
        "JOIN arena_battle battle ON battle.id = battle_id JOIN arena_study study ON study.id = battle.study_id "
        "WHERE study.slug = 'open'"
    )
    assert sorted(stored) == sorted(acknowledged)
    arena.wait_for(lambda: arena.leaderboard("open")["n_votes"] == 200, 180, "the board to count 200 votes")


SLOW_COMMIT = """
    CREATE FUNCTION take_your_time() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock(424242), pg_sleep(3); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER slow_commit AFTER INSERT ON annotations_vote DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION take_your_time();
"""
# By its lock, which everybody sees: what another role waits for, the owner of the tables does not.
SLEEPING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 424242 AND granted"
VOTES_OF = (
    "SELECT count(*) FROM annotations_vote vote JOIN arena_battle b ON b.id = vote.battle_id WHERE b.rater_id = %s"
)


def test_a_page_whose_server_is_killed_between_vote_and_answer_casts_one_vote(arena):
    with browser.chromium() as chromium:
        visitor = browser.Visitor(chromium.new_context().new_page(), arena.address)
        with visitor.page.expect_response("**/api/raters/") as joined:
            visitor.open("/listen/open/").agree()
        rater = joined.value.json()["id"]
        visitor.hear_both()
        arena.query(SLOW_COMMIT)
        try:
            visitor.press("a")
            arena.wait_for(lambda: arena.query(SLEEPING)[0][0] == 1, 20, "the vote to be committing")
            arena.kill_web_and_its_children()
            arena.wait_for(lambda: arena.query(VOTES_OF, rater)[0][0] == 1, 20, "the vote that nobody acknowledged")
        finally:
            arena.query("DROP FUNCTION take_your_time() CASCADE")
        visitor.page.set_default_timeout(60_000)
        visitor.sees("You preferred A.")
    assert arena.query(VOTES_OF, rater) == [(1,)]


def test_clips_that_come_in_while_workers_die_all_end_up_scored(arena, tmp_path):
    from scoring.demo.synth import PROMPTS, SYSTEMS, generate, write_wav

    rows = ["path,system,prompt"]
    for number, system in enumerate(SYSTEMS):
        write_wav(tmp_path / f"{number}.wav", generate(system.slug, PROMPTS[0], seed=99, seconds=8), 44_100)
        rows.append(f'{number}.wav,{system.slug},"A prompt that is new"')
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    arena.manage("import_clips", str(tmp_path / "manifest.csv"))
    for _ in range(2):
        arena.kill("gpu", *WORKERS)
        time.sleep(3)
    unscored = (
        "SELECT count(*) FROM arena_clip c WHERE status <> 'rejected' AND NOT EXISTS (SELECT FROM scoring_reward r "
        "JOIN scoring_rewardmodel m ON m.id = r.reward_model_id WHERE r.clip_id = c.id AND m.status = 'live')"
    )
    arena.wait_for(lambda: arena.query(unscored) == [(0,)], 180, "all clips to be scored")
    twice = "SELECT clip_id FROM scoring_reward GROUP BY clip_id, reward_model_id, protocol HAVING count(*) > 1"
    assert arena.query(twice) == []


def test_votes_succeed_without_redis_and_are_counted_when_it_is_back(arena):
    before = arena.leaderboard("open")["n_votes"]
    arena.supervisor.stopProcess("redis")
    _, _, status, _ = HttpListener(arena.address).agree("open").play_battle("open")
    arena.supervisor.startProcess("redis")
    assert status == 201
    # More, not one more: the next edition, up to a minute later, also counts what tests before this one have voted.
    arena.wait_for(lambda: arena.leaderboard("open")["n_votes"] > before, 400, "the board to count the vote")


def test_no_log_remembers_where_a_listener_came_from(arena):
    listener = HttpListener(arena.address)
    came = "/listen/open/?PROLIFIC_PID=somebody"
    assert listener.send("GET", came, **{"User-Agent": "a-browser", "Referer": arena.address + came})[0] == 200
    logs = [path for path in (arena.home / "log").rglob("*") if path.is_file()]
    arena.wait_for(lambda: any(b"/listen/open/" in path.read_bytes() for path in logs), 20, "the request in the log")
    assert not [path for path in logs if b"somebody" in path.read_bytes() or b"a-browser" in path.read_bytes()]

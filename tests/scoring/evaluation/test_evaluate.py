"""`manage.py evaluate`: a model over a benchmark's files and over damaged clips, whatever those files are."""

import csv
import json
import re

import numpy as np
import pytest
import torch
from django.core.management import CommandError, call_command

from arena import audio
from arena.models import Clip
from arena.services import ingest_clip, register_clip
from scoring.demo.synth import write_wav
from scoring.evaluation.benchmark import RewardCache
from scoring.evaluation.probes import PROBES
from scoring.evaluation.rewardbench import tables
from scoring.jury import hearing, scorers
from scoring.management.commands import evaluate
from scoring.reward.encoders import get_encoder
from scoring.reward.head import RankNetHead
from scoring.reward.scorer import Scorer
from scoring.training.candidates import store_model
from tests.casts.reward_models import make_live

RATE = 16_000


@pytest.fixture(autouse=True)
def few_bootstraps(monkeypatch):
    monkeypatch.setattr(tables, "BOOTSTRAPS", 20)


def tone(pitch, seconds=2.0):
    """A little two-channel music: a tone with a beat."""
    t = np.arange(round(RATE * seconds)) / RATE
    return np.tile((0.3 * np.sin(2 * np.pi * pitch * t) * (1 + np.sin(4 * np.pi * t)) / 2).astype("f4"), (2, 1))


def make_model(name):
    """A live model whose head is not trained, over the encoder that needs no weights."""
    encoder = get_encoder("spectral")
    torch.manual_seed(len(name))
    return make_live(store_model(RankNetHead(encoder.dimension, (8,)), [encoder], name))


@pytest.fixture
def model(db):
    return make_model("first")


class Bench:
    """A folder in the benchmark's layout: six clips with opinions, a pair of each kind; and the command on it."""

    def __init__(self, folder, capsys):
        self.folder, self.data, self.capsys = folder, folder / "data", capsys
        self.data.mkdir()
        self.lines = [
            {"source": "PAM (music)", "audio-path": f"human_eval/{n}.wav", "prompt": f"song {n}", "musicality": n}
            for n in range(6)
        ]
        self.lines += [
            {"source": "Music Arena", **self.pair(0, 1), "preference": "A"},
            {"source": "cmi-arena-annotation", **self.pair(2, 3), "preference-musicality": "model_b"},
        ]
        for n in range(6):
            self.write(f"human_eval/{n}.wav", tone(220 + 60 * n))

    def pair(self, a, b):
        return {"audio-path": f"human_eval/{a}.wav", "audio2": f"human_eval/{b}.wav", "prompt": f"song {a}"}

    def write(self, path, sound):
        (self.data / path).parent.mkdir(parents=True, exist_ok=True)
        write_wav(self.data / path, sound, RATE)

    def run(self, *options):
        lines = (json.dumps({"split": "test", **line}) for line in self.lines)
        (self.data / "all_test.jsonl").write_text("\n".join(lines) + "\n")
        call_command("evaluate", "cmi-rewardbench", str(self.folder), "--cache", str(self.cache), *options)
        return self.capsys.readouterr().out

    @property
    def cache(self):
        return self.folder / "cache.jsonl"

    def cached(self):
        return [json.loads(line) for line in self.cache.read_text().splitlines()]


@pytest.fixture
def bench(tmp_path, capsys):
    return Bench(tmp_path, capsys)


@pytest.fixture
def heard(monkeypatch):
    """The (length, prompt) of every sound that a model scores."""
    seen = []
    score = Scorer.score

    def listen(self, waveforms, sample_rates, prompts):
        seen.extend((len(waveform), prompt) for waveform, prompt in zip(waveforms, prompts, strict=True))
        return score(self, waveforms, sample_rates, prompts)

    monkeypatch.setattr(Scorer, "score", listen)
    return seen


def rewards_of(model, bench, *numbers):
    sounds = [audio.decode_once(bench.data / f"human_eval/{n}.wav") for n in numbers]
    scorer = scorers.load_scorer(model.pk)
    return scorer.score([s for s, _ in sounds], [r for _, r in sounds], [""] * len(sounds))


# ---- CMI-RewardBench -----------------------------------------------------------------------------------


def test_the_tables_are_of_the_live_models_rewards(model, bench, tmp_path):
    text = bench.run("--json", str(tmp_path / "out.json"))
    assert text.startswith(
        f"first (sha256 {model.sha256[:12]}), which reads no prompts: CMI-RewardBench, 8 clips, 0 of"
    )
    out = json.loads((tmp_path / "out.json").read_text())
    figures = {(f["dataset"], f["task"], f["metric"]): f["figure"] for f in out["summary"]}
    expected = np.corrcoef(rewards_of(model, bench, *range(6)), np.arange(6))[0, 1]
    assert figures["PAM", "musicality", "LCC"] == pytest.approx(expected, abs=1e-4)
    a, b, c, d = rewards_of(model, bench, 0, 1, 2, 3)
    assert figures["MusicArena", "preference", "ACC"] == float(a >= b)
    assert figures["CMI-Pref", "musicality", "ACC"] == float(d >= c)
    assert out["sha256"] == model.sha256


def test_each_clip_is_scored_once_for_each_of_its_prompts(model, bench, heard):
    bench.lines += [dict(bench.lines[0]), {**bench.lines[0], "prompt": "another"}]
    bench.run()
    # Clips 1 and 3 are also asked for under the prompts of their pairs.
    assert sorted(prompt for _, prompt in heard) == sorted(
        ["another", *(f"song {n}" for n in range(6)), "song 0", "song 2"]
    )


def test_with_the_empty_protocol_no_prompt_is_read(model, bench, heard):
    bench.run("--prompt-protocol", "empty")
    assert [prompt for _, prompt in heard] == [""] * 6


def test_another_run_scores_nothing_again_and_says_the_same(model, bench, heard):
    first, n = bench.run(), len(heard)
    assert bench.run() == first
    assert len(heard) == n == len(bench.cached())


def test_another_model_has_rewards_of_its_own(model, bench, heard):
    bench.run()
    make_model("second")
    bench.run("--model", "first")
    assert len(heard) == 8
    assert bench.run("--model", "second").startswith("second")
    assert len(heard) == 16


def test_the_same_bytes_under_another_name_are_known(model, bench, heard):
    bench.run()
    heard.clear()
    (bench.data / "human_eval/copy.wav").write_bytes((bench.data / "human_eval/0.wav").read_bytes())
    bench.lines.append({**bench.lines[0], "audio-path": "human_eval/copy.wav"})
    bench.run()
    assert heard == []


def test_a_file_that_changed_is_scored_anew(model, bench, heard):
    bench.run()
    heard.clear()
    bench.write("human_eval/5.wav", tone(900))
    bench.run()
    assert [prompt for _, prompt in heard] == ["song 5"]


def test_a_run_that_was_stopped_goes_on_where_it_was(model, bench, heard, monkeypatch):
    monkeypatch.setattr(hearing, "BATCH", 2)
    decode, calls = audio.decode_once, []

    def full_disk(path, **options):
        calls.append(path)
        if len(calls) > 5:
            raise audio.AudioUnavailable("The disk is full.")
        return decode(path, **options)

    monkeypatch.setattr(audio, "decode_once", full_disk)
    with pytest.raises(CommandError, match="The disk is full"):
        bench.run()
    done = len(bench.cached())
    assert 0 < done < 8
    monkeypatch.setattr(audio, "decode_once", decode)
    heard.clear()
    bench.run()
    assert len(heard) == 8 - done


def test_a_line_of_the_cache_that_was_cut_short_counts_as_not_there(tmp_path):
    path = tmp_path / "folder" / "cache.jsonl"
    RewardCache(path, "m").add("f", "a prompt\u2028of two lines", 0.1)
    RewardCache(path, "m").add("g", "", -1.5)
    path.write_bytes(path.read_bytes()[:-4])
    again = RewardCache(path, "m")
    assert again.get("f", "a prompt\u2028of two lines") == 0.1
    assert again.get("g", "") is None
    again.add("g", "", -1.5)
    assert RewardCache(path, "m").get("g", "") == -1.5
    assert RewardCache(path, "other").get("g", "") is None


def test_a_file_that_cannot_be_heard_is_counted_with_its_reason_and_never_scored_as_silence(model, bench, tmp_path):
    (bench.data / "human_eval/5.wav").write_bytes(b"RIFF and nothing else")
    (bench.data / "human_eval/1.wav").unlink()
    bench.lines += [
        {**bench.lines[0], "audio-path": ""},
        {**bench.lines[0], "audio-path": "../../secret.wav"},
        {**bench.lines[0], "audio-path": "/etc/hostname"},
    ]
    text = bench.run("--json", str(tmp_path / "out.json"))
    assert "CMI-RewardBench, 11 clips, 6 of them without a reward" in text
    assert "human_eval/5.wav: This is not a WAV, FLAC" in text
    assert "human_eval/1.wav: There is no such file." in text
    assert "(no file): The row names no file." in text
    assert "../../secret.wav: The path leads out of the benchmark's folder." in text
    out = json.loads((tmp_path / "out.json").read_text())
    rows = {(row["dataset"], row["task"]): (row["rows"], row["used"], row["without_reward"]) for row in out["rows"]}
    assert rows["PAM", "musicality"] == (9, 4, 5)
    assert rows["MusicArena", "preference"] == (1, 0, 1)
    assert len(out["without_reward"]) == 6


def test_a_sound_that_the_encoder_refuses_does_not_take_the_others_of_its_batch_down(model, bench, monkeypatch):
    hear = hearing.hear

    def with_a_hole(path):
        sound = hear(path)
        if path.name == "2.wav":
            sound.waveform[100] = np.nan
        return sound

    monkeypatch.setattr(hearing, "hear", with_a_hole)
    text = bench.run()
    assert "human_eval/2.wav: ValueError: waveform 0 of the batch: holds NaN or infinite samples" in text
    assert "CMI-RewardBench, 8 clips, 1 of them without a reward" in text
    assert len(bench.cached()) == 7


def failing_scorer(model, monkeypatch, failure, length=None):
    """The model's scorer, which raises `failure` for a batch with a sound of that length; None: for every batch."""
    scorer = scorers.load_scorer(model.pk)
    score = scorer.score

    def fail(sounds, *others):
        if length is None or any(len(sound) == length for sound in sounds):
            raise failure
        return score(sounds, *others)

    monkeypatch.setattr(scorer, "score", fail)
    monkeypatch.setattr(scorers, "load_scorer", lambda _: scorer)


def test_whatever_an_encoder_raises_is_the_story_of_one_file(model, bench, monkeypatch):
    bench.write("human_eval/4.wav", tone(300, seconds=1))
    failing_scorer(model, monkeypatch, RuntimeError("kernel larger than input"), length=RATE)
    assert "human_eval/4.wav: RuntimeError: kernel larger than input" in bench.run()
    assert len(bench.cached()) == 7


def test_a_device_out_of_memory_stops_the_run_and_blames_no_file(model, bench, monkeypatch):
    failing_scorer(model, monkeypatch, torch.OutOfMemoryError("of 80 GiB"))
    with pytest.raises(CommandError, match="the device ran out of memory: of 80 GiB"):
        bench.run()
    assert not bench.cache.exists()


def test_a_reward_that_is_no_number_is_no_reward(model, bench, monkeypatch):
    scorer = scorers.load_scorer(model.pk)
    monkeypatch.setattr(scorer, "score", lambda sounds, *_: np.full(len(sounds), np.nan, "f4"))
    monkeypatch.setattr(scorers, "load_scorer", lambda _: scorer)
    text = bench.run()
    assert "The reward is not a finite number." in text
    assert not bench.cache.exists()


def test_the_tables_come_as_csv_with_the_predictions_for_the_benchmarks_own_script(model, bench, tmp_path):
    bench.lines.append({**bench.lines[0], "source": "elsewhere"})
    bench.run("--csv", str(tmp_path / "out"))
    with (tmp_path / "out" / "summary.csv").open() as file:
        figures = list(csv.DictReader(file))
    assert {figure["dataset"] for figure in figures} == {"PAM", "MusicArena", "CMI-Pref"}
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {
        "summary.csv",
        "detail.csv",
        "rows.csv",
        "published.csv",
        "without_reward.csv",
        "results.jsonl",
    }
    results = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    assert len(results) == 8
    assert results[0]["predicted_musicality"] == pytest.approx(float(rewards_of(model, bench, 0)[0]), abs=1e-5)
    assert results[7]["predicted_preference-musicality"] in ("model_a", "model_b")


def test_a_table_as_csv_has_no_cell_that_a_spreadsheet_runs(tmp_path):
    rows = [{"file": "=1.wav", "reason": "-", "reward": -1.5}]
    evaluate.write_csv(tmp_path / "t.csv", rows)
    assert (tmp_path / "t.csv").read_text() == "file,reason,reward\n'=1.wav,'-,-1.5\n"


def test_a_folder_that_is_not_the_benchmarks_and_a_model_that_is_not_there_say_so(model, bench, tmp_path):
    with pytest.raises(CommandError, match=r"all_test.jsonl does not exist: DIR is the benchmark's folder"):
        call_command("evaluate", "cmi-rewardbench", str(tmp_path / "nowhere"))
    with pytest.raises(CommandError, match=r"There is no reward model 'secnd'\. There are: first\."):
        bench.run("--model", "secnd")
    bench.lines[0]["musicality"] = "good"
    with pytest.raises(CommandError, match="line 1: musicality is 'good', not a number"):
        bench.run()


@pytest.mark.django_db
def test_without_a_live_model_there_is_nothing_to_evaluate(bench):
    with pytest.raises(CommandError, match=r"No reward model is live\. There are: none yet\."):
        bench.run()


# ---- probes --------------------------------------------------------------------------------------------


def probes(capsys, *arguments):
    call_command("evaluate", "probes", *map(str, arguments))
    return capsys.readouterr().out


@pytest.fixture
def clips(db, tmp_path):
    """Four clips by two systems, as they are after ingest."""
    for number, (system, song) in enumerate((system, song) for system in ("alder", "birch") for song in (1, 2)):
        path = tmp_path / f"{system}{song}.wav"
        write_wav(path, tone(220 + 40 * number), RATE)
        clip, _ = register_clip(path, system=system, prompt=f"song {song}")
        ingest_clip(clip.pk)


def test_every_probe_of_the_arenas_clips_is_in_the_table(model, clips, capsys, tmp_path):
    text = probes(capsys, "--sample", 3, "--json", tmp_path / "out.json")
    assert "sanity probes of 3 clips of the arena" in text
    for probe in PROBES:
        assert re.search(rf"^  {re.escape(probe.name)} +{probe.expect} +[+-]", text, re.MULTILINE)
    out = json.loads((tmp_path / "out.json").read_text())
    first = [str(clip) for clip in Clip.objects.order_by("sha256")[:3]]
    assert [original["name"] for original in out["originals"]] == first
    assert [original["prompt"] for original in out["originals"]] == [
        clip.prompt.text for clip in Clip.objects.order_by("sha256")[:3]
    ]
    (silence,) = [probe for probe in out["probes"] if probe["probe"] == "silence"]
    differences = np.subtract(silence["rewards"], [original["reward"] for original in out["originals"]])
    assert silence["difference"] == pytest.approx(differences.mean())
    assert silence["n"] == 3


def test_probes_of_files_say_where_damage_is_preferred_and_where_nothing_could_be_scored(model, capsys, tmp_path):
    scorer = scorers.load_scorer(model.pk)
    loud = type(scorer)(scorer.head, scorer.encoders)
    loud.score = lambda sounds, *_: np.array([np.abs(sound).mean() for sound in sounds], "f4")
    write_wav(tmp_path / "a.wav", tone(220), RATE)
    write_wav(tmp_path / "b.wav", tone(330), RATE)
    write_wav(tmp_path / "short.wav", tone(330, seconds=0.4), RATE)
    (tmp_path / "broken.wav").write_bytes(b"")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scorers, "load_scorer", lambda _: loud)
        text = probes(capsys, *(tmp_path / name for name in ("a.wav", "b.wav", "short.wav", "broken.wav")))
    assert "sanity probes of 4 files, with an empty prompt" in text
    assert "2 of 4 originals have a reward" in text
    preferred, left_out = text.split("Where the model prefers what should be worse to its original:")[1].split(
        "Without a reward, and so left out:"
    )
    assert re.search(r"white noise 0 dBFS: 2 of 2: .*\ba\.wav \+0\.7", preferred)
    assert "level +12 dB" not in preferred  # it is not damaged
    assert re.search(r"level \+12 dB +equal +\+0\.\d\d +0\.\d\d +0 % +2 +- +", text)
    assert re.search(
        r"Expectations that failed:\n  white noise 0 dBFS: \+0.\d\d, expected lower: noise is not music", text
    )
    assert "original: 2\n    " in left_out
    assert left_out.count("broken.wav: The file is empty (0 bytes).") == 1
    assert "short.wav: The audio lasts 0.40 s; at least 1 s is needed." in left_out


@pytest.mark.slow
def test_only_the_first_half_minute_of_a_clip_is_probed(model, capsys, tmp_path, heard):
    write_wav(tmp_path / "long.wav", tone(220, seconds=31), RATE)
    probes(capsys, tmp_path / "long.wav")
    assert {length for length, _ in heard} == {30 * RATE}


def test_probes_without_clips_in_the_arena_ask_for_files(model, capsys):
    with pytest.raises(CommandError, match="no ready clip to make probes of: name files"):
        probes(capsys)

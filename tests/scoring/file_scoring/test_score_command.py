"""`manage.py score`: a manifest of files, or of pairs, becomes a CSV of rewards that can be gone on with."""

import csv
import os

import pytest
from django.core.management import CommandError, call_command

from arena.models import Clip
from scoring.file_scoring import manifest_rows
from scoring.jury import hearing, scorers
from scoring.models import Reward
from tests.casts.audio_files import music, write_plain_wav
from tests.casts.score import make_model, silence, sound


@pytest.fixture
def model(db):
    return make_model()


@pytest.fixture
def folder(tmp_path):
    """Six sounds, 0.wav to 5.wav."""
    for number in range(6):
        sound(tmp_path, f"{number}.wav", seed=number)
    return tmp_path


@pytest.fixture
def counted(monkeypatch):
    """The paths that were really scored, in order."""
    paths, really = [], hearing.rewards_of_files

    def counting(scorer, files):
        files = list(files)
        paths.extend(path.name for path, _ in files)
        return really(scorer, files)

    monkeypatch.setattr(hearing, "rewards_of_files", counting)
    return paths


def manifest(folder, *lines):
    path = folder / "manifest.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def scored(folder, *options):
    """The rows that `score manifest.csv` writes."""
    call_command("score", str(folder / "manifest.csv"), "--output", str(folder / "out.csv"), *options)
    return written(folder)


def written(folder):
    with (folder / "out.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_gets_its_reward_and_keeps_its_own_columns(study, model, folder):
    for number, clip in enumerate(Clip.objects.order_by("pk")):
        Reward.objects.create(clip=clip, reward_model=model, value=-1e6 if number < 3 else 1e6)
    manifest(folder, "path,prompt,step", '0.wav,"calm, and slow",1', "1.wav,,2")
    first, second = scored(folder)
    assert (first["prompt"], first["step"], second["step"]) == ("calm, and slow", "1", "2")
    alone = next(hearing.rewards_of_files(scorers.load_scorer(model.pk), [(folder / "0.wav", "calm, and slow")]))
    assert float(first["reward"]) == pytest.approx(alone, abs=1e-4)
    assert (first["percentile"], first["error"], first["kept"]) == ("50.0", "", "True")
    assert first["reward_model"] == "jury"


def test_a_bad_row_carries_its_reason_the_others_are_scored_and_the_exit_says_so(model, folder):
    silence(folder)
    manifest(folder, "path,prompt", "0.wav,x", "none.wav,x", "silent.wav,x", ",x", "1.wav", "2.wav,x,y", "3.wav,x")
    with pytest.raises(CommandError, match=r"5 rows failed[\s\S]*none\.wav: path: There is no such file"):
        scored(folder)
    rows = written(folder)
    assert [bool(row["reward"]) for row in rows] == [True, False, False, False, False, False, True]
    assert [row["kept"] for row in rows] == ["True", *["False"] * 5, "True"]
    assert "silent" in rows[2]["error"]
    assert rows[4]["error"] == "Line 6: 1 cell where the header has 2."


def test_a_row_that_is_no_text_has_its_line_and_the_file_of_results_can_be_read(model, folder):
    rows = ["path,prompt", "0.wav,caf\xe9", "1.wav,nul \0 here", "2.wav,fine"]
    (folder / "manifest.csv").write_bytes("\n".join(rows).encode("latin-1"))
    with pytest.raises(CommandError, match="2 rows failed"):
        scored(folder)
    rows = written(folder)
    assert [row["error"][:8] for row in rows] == ["Line 2: ", "Line 3: ", ""]
    assert "in Windows-1252 it is \u00e9" in rows[0]["error"]


def test_a_manifest_whose_rows_run_together_is_refused_before_anything_is_scored(model, folder, counted):
    manifest(folder, "path,prompt", '0.wav,"oops', "1.wav,x", "2.wav,x")
    with pytest.raises(CommandError, match=r"Line 2 \(row 1\): the quote that opens here is never closed"):
        scored(folder)
    assert counted == []
    assert not (folder / "out.csv").exists()


def test_a_prompt_is_the_same_however_its_accents_were_typed(model, folder):
    manifest(folder, "path,prompt", "0.wav,caf\u00e9", "0.wav,cafe\u0301")
    first, second = scored(folder)
    assert first["reward"] == second["reward"]


def test_a_second_run_scores_only_what_is_new_or_changed(model, folder, counted):
    manifest(folder, "path,prompt", "0.wav,x", "1.wav,x", "2.wav,x")
    before = scored(folder)
    counted.clear()
    write_plain_wav(folder / "1.wav", music(2, seed=99), 48_000)
    manifest(folder, "path,prompt", "3.wav,x", "2.wav,another", "1.wav,x", "0.wav,x")
    after = scored(folder)
    assert counted == ["3.wav", "2.wav", "1.wav"]
    assert after[3] == before[0]
    assert after[2]["reward"] != before[1]["reward"]
    assert [row["path"] for row in after] == ["3.wav", "2.wav", "1.wav", "0.wav"]


def test_texts_that_a_spreadsheet_would_run_are_marked_and_still_known_in_the_next_run(model, folder, counted):
    for number, name in enumerate(("-take.wav", "=1.wav")):
        sound(folder, name, seed=number)
    prompts = ["=1+1", "'=1+1", "-1.5", '"a\rb"']
    manifest(folder, "path,prompt", *(f"{path},{prompt}" for path in ("-take.wav", "'=1.wav") for prompt in prompts))
    before = scored(folder)
    assert [row["path"] for row in before] == ["'-take.wav"] * 4 + ["'=1.wav"] * 4
    assert [row["prompt"] for row in before] == ["'=1+1", "'=1+1", "-1.5", "a\rb"] * 2
    counted.clear()
    assert scored(folder) == before
    assert counted == []


def test_a_failed_row_is_tried_again(model, folder, counted):
    silence(folder, "late.wav")
    manifest(folder, "path", "0.wav", "late.wav")
    with pytest.raises(CommandError):
        scored(folder)
    sound(folder, "late.wav")
    counted.clear()
    assert all(row["reward"] for row in scored(folder))
    assert counted == ["late.wav"]


def test_another_models_rewards_are_not_taken_for_this_ones(model, folder, counted):
    make_model("other", seed=4, status="candidate")
    manifest(folder, "path", "0.wav")
    (first,) = scored(folder)
    (second,) = scored(folder, "--model", "other")
    assert counted == ["0.wav", "0.wav"]
    assert (first["reward_model"], second["reward_model"]) == ("jury", "other")
    assert first["reward"] != second["reward"]


def test_what_was_written_before_a_kill_is_not_scored_again(model, folder, counted, monkeypatch):
    monkeypatch.setattr(manifest_rows, "ROWS", 2)
    manifest(folder, "path,prompt", *(f'{n}.wav,"two\nlines"' for n in range(6)))
    really = hearing.rewards_of_files

    def killed(scorer, files):
        if len(counted) == 4:
            raise KeyboardInterrupt
        return really(scorer, files)

    monkeypatch.setattr(hearing, "rewards_of_files", killed)
    with pytest.raises(KeyboardInterrupt):
        scored(folder)
    assert len(written(folder)) == 4
    with (folder / "out.csv").open("a") as file:
        file.write('4.wav,"two\nli')  # the batch that the kill cut off
    monkeypatch.setattr(hearing, "rewards_of_files", really)
    counted.clear()
    rows = scored(folder)
    assert counted == ["4.wav", "5.wav"]
    assert [row["path"] for row in rows] == [f"{n}.wav" for n in range(6)]
    assert all(row["reward"] and row["kept"] == "True" for row in rows)


def test_kept_are_those_over_a_reward_or_the_best_share(model, folder):
    manifest(folder, "path", *(f"{n}.wav" for n in range(6)))
    rewards = sorted((float(row["reward"]) for row in scored(folder)), reverse=True)

    def kept(*options):
        return sorted((float(row["reward"]) for row in scored(folder, *options) if row["kept"] == "True"), reverse=True)

    assert kept("--top-share", "0.5") == rewards[:3]
    assert kept("--top-share", "0.4") == rewards[:3], "rounded up to a whole file"
    assert kept("--min-reward", str(rewards[1])) == rewards[:2]
    assert kept("--min-reward", str(rewards[1]), "--top-share", "0.1") == rewards[:1]


def test_pairs_get_rewards_margin_and_calibrated_probability(model, folder):
    manifest(folder, "path_a,path_b,prompt", "0.wav,1.wav,x", "1.wav,0.wav,x", "2.wav,2.wav,x")
    one, turned, same = scored(folder)
    margin = float(one["margin"])
    assert margin == pytest.approx(float(one["reward_a"]) - float(one["reward_b"]), abs=2e-6)
    assert float(turned["margin"]) == pytest.approx(-margin, abs=1e-5)
    assert float(one["probability"]) + float(turned["probability"]) == pytest.approx(1, abs=1e-5)
    assert (float(same["margin"]), float(same["probability"])) == (0, 0.5)
    least = str(abs(margin) * 0.9)
    assert [row["kept"] for row in scored(folder, "--min-margin", least)] == ["True", "True", "False"]


def test_a_file_of_many_pairs_is_scored_once(model, folder, counted):
    manifest(folder, "path_a,path_b", "0.wav,1.wav", "0.wav,2.wav", "1.wav,2.wav")
    assert len(scored(folder)) == 3
    assert sorted(counted) == ["0.wav", "1.wav", "2.wav"]


def test_a_pair_names_the_file_that_is_bad(model, folder):
    silence(folder)
    manifest(folder, "path_a,path_b", "0.wav,silent.wav", "0.wav,none.wav")
    with pytest.raises(CommandError):
        scored(folder)
    assert [row["error"].split(":")[0] for row in written(folder)] == ["path_b", "path_b"]


@pytest.mark.parametrize(
    ("header", "options", "reason"),
    [
        ("file", (), "needs either path, or path_a and path_b"),
        ("path,path_a,path_b", (), "needs either"),
        ("path,reward", (), "reward are written by scoring"),
        ("path,x,x", (), "named twice"),
        ("path", ("--min-margin", "1"), "min_margin: the manifest is of files"),
        ("path_a,path_b", ("--top-share", "0.1"), "top_share: the manifest is of pairs"),
        ("path", ("--top-share", "1.5"), "top-share"),
        ("path", ("--min-reward", "nan"), "min-reward"),
        ("path", ("--model", "nobody"), "no reward model 'nobody'. There are: jury"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_written(model, tmp_path, header, options, reason):
    manifest(tmp_path, header, header)
    with pytest.raises(CommandError, match=reason):
        scored(tmp_path, *options)
    assert not (tmp_path / "out.csv").exists()


def test_a_file_with_other_columns_is_not_overwritten(model, folder):
    manifest(folder, "path", "0.wav")
    (folder / "out.csv").write_text("my,own\nfile,here\n")
    with pytest.raises(CommandError, match="with other columns"):
        scored(folder)
    assert (folder / "out.csv").read_text() == "my,own\nfile,here\n"


def test_two_runs_do_not_write_one_file(model, folder):
    from scoring.file_scoring.manifest import Results, read_manifest

    listed = read_manifest(manifest(folder, "path", "0.wav"))
    results = Results(folder / "out.csv", listed.columns + listed.results)
    with pytest.raises(CommandError, match="another run"):
        scored(folder)
    results.close()
    assert len(scored(folder)) == 1


def test_a_model_that_cannot_be_loaded_is_named(model, folder):
    os.unlink(model.weights.path)
    manifest(folder, "path", "0.wav")
    with pytest.raises(CommandError, match="jury cannot be loaded"):
        scored(folder)

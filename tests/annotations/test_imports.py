import json

import pytest
from django.core.management import CommandError, call_command

from annotations import imports
from annotations.imports import import_votes
from annotations.models import Vote
from arena.models import Battle, Prompt, Rater, Study, System
from arena.refusals import Conflict, Refusal
from scoring.boards.refit import refit_board

ROWS = "battle_id,preference,system_a,system_b\nb1,A,x,y\nb2,B,x,y\nb3,TIE,y,z\nb4,BOTH_BAD,x,z\n"


@pytest.fixture
def votes_csv(tmp_path, db):
    def write(text, name="their votes.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_imported_votes_give_a_board_in_a_study_of_their_own(votes_csv, client):
    call_command("import_votes", votes_csv(ROWS))
    study = Study.objects.get(slug="their-votes")
    edition = refit_board(study)
    assert edition.n_votes == 3
    assert edition.excluded == {"both_bad": 1}
    assert edition.result["n_without_rater"] == 3
    assert edition.result["n_raters"] == 0
    battle = Battle.objects.get(external_id="b1")
    assert (battle.kind, battle.clip_a, battle.pair_probability, battle.vote.preference) == (
        "imported",
        None,
        None,
        "A",
    )
    assert client.get("/boards/their-votes/").status_code == 200


def test_votes_of_one_rater_are_one_cluster_and_the_label_is_not_kept(votes_csv):
    text = "battle_id,preference,system_a,system_b,rater,prompt,time\n" + "".join(
        f"b{i},A,x,y,wilhelmina@example.org,a song,2026-02-0{i + 1}T10:00:00Z\n" for i in range(3)
    )
    import_votes(votes_csv(text), "s")
    rater = Rater.objects.get()
    assert rater.votes.count() == 3
    assert "wilhelmina" not in json.dumps([str(value) for value in Rater.objects.values_list().get()])
    vote = Vote.objects.order_by("received_at").first()
    assert vote.received_at.isoformat() == "2026-02-01T10:00:00+00:00"
    assert vote.battle.prompt.text == "a song"


def test_importing_again_changes_nothing(votes_csv):
    path = votes_csv(ROWS)
    import_votes(path, "s")
    report = import_votes(path, "s")
    assert (report.imported, report.already_there, report.bad) == (0, 4, [])
    assert Vote.objects.count() == 4


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("b9,MAYBE,x,y", "preference is 'MAYBE'"),
        ("b9,,x,y", "preference is empty"),
        ("b9,A,x,x", "both systems are 'x'"),
        (",A,x,y", "battle_id is empty"),
        ("b9,A,x,", "system_b is empty"),
        ("b9,A,x", "3 cells where the header has 4"),
        ("b9,A,x,y,z", "more cells"),
        ("b9,A,x,n\0l", "system_b holds a NUL character: remove it"),
        ("b1,B,x,y", "stored already"),
        (f"b9,A,x,{'y' * 101}", "longer than 100"),
    ],
)
def test_a_row_that_does_not_fit_is_named_and_the_rest_goes_in(votes_csv, capsys, row, reason):
    path = votes_csv(ROWS + row + "\nb10,A,y,x\n")
    with pytest.raises(CommandError, match="5 votes imported, 0 already stored, 1 rows rejected"):
        call_command("import_votes", path)
    error = capsys.readouterr().err
    assert reason in error
    assert f"{path}:6:" in error
    assert Vote.objects.count() == 5


def test_a_time_that_is_none_is_named(votes_csv):
    report = import_votes(votes_csv("battle_id,preference,system_a,system_b,time\nb,A,x,y,yesterday\n"), "s")
    assert report.bad == [
        (2, "time is 'yesterday', not ISO 8601 such as 2026-02-14T20:00:00Z, nor seconds or milliseconds since 1970")
    ]


@pytest.mark.parametrize(
    "time",
    [1712010912345, "1712010912345", 1712010912345.0, "1712010912345.0", 1712010912.345, "1712010912.345"],
)
def test_a_time_in_milliseconds_or_seconds_since_1970_is_that_moment(votes_csv, time):
    row = {"battle_id": "b", "preference": "A", "system_a": "x", "system_b": "y", "time": time}
    assert import_votes(votes_csv(json.dumps(row), "v.jsonl"), "s").imported == 1
    assert Vote.objects.get().received_at.isoformat() == "2024-04-01T22:35:12.345000+00:00"


@pytest.mark.parametrize("time", ["1712-01-09T23:45:00Z", "17120109", "2199-01-01", "171201091234567", "1.71201E+12"])
def test_a_time_that_no_vote_can_have_is_named(votes_csv, time):
    report = import_votes(votes_csv(f"battle_id,preference,system_a,system_b,time\nb,A,x,y,{time}\n"), "s")
    assert "time is" in report.bad[0][1]
    assert not Study.objects.exists()


def test_a_time_that_only_exists_in_its_own_zone_is_named(votes_csv):
    text = "battle_id,preference,system_a,system_b,time\nb,A,x,y,9999-12-31T23:59:59-12:00\n"
    assert "time is" in import_votes(votes_csv(text), "s").bad[0][1]


def test_a_byte_that_is_not_utf8_is_the_matter_of_its_row(votes_csv):
    path = votes_csv(ROWS)
    path.write_bytes(path.read_bytes() + b"b9,A,x,caf\xe9\n" + b"b10,A,x,y\n")
    report = import_votes(path, "s")
    assert report.imported == 5
    ((line, reason),) = report.bad
    assert line == 6
    assert "system_b holds the byte 0xE9, not UTF-8 text (in Windows-1252 it is \u00e9)" in reason


def test_a_long_cell_and_deep_json_stop_nothing(votes_csv):
    text = f"battle_id,preference,system_a,system_b,prompt\nb1,A,x,y,{'la ' * 60_000}\nb2,A,x,y,short\n"
    assert import_votes(votes_csv(text), "s").imported == 2
    row = json.dumps({"battle_id": "b1", "preference": "A", "system_a": "x", "system_b": "y"})
    deep = votes_csv("[" * 100_000 + "\n" + row, "v.jsonl")
    assert import_votes(deep, "t").imported == 1


def test_a_file_name_that_cannot_name_a_study_asks_for_one(votes_csv):
    with pytest.raises(CommandError, match="--study"):
        call_command("import_votes", votes_csv(ROWS, "голоса.csv"))
    assert not Study.objects.exists()


def test_a_missing_column_is_an_error_before_anything_is_written(votes_csv):
    with pytest.raises(Refusal, match="system_b"):
        import_votes(votes_csv("battle_id,preference,system_a\nb1,A,x\n"), "s")
    assert not Study.objects.exists()


def test_an_unclosed_quote_costs_the_whole_file_and_no_vote_is_lost_in_silence(votes_csv, client):
    rows = [f"{n},A,m1,m2,prompt {n}" for n in range(1, 60)]
    rows[29] = '30,A,m1,m2,"oops'
    path = votes_csv("\r\n".join(["battle_id,preference,system_a,system_b,prompt", *rows]) + "\r\n")
    with pytest.raises(CommandError, match=r"Line 31 \(row 30\): the quote that opens here is never closed"):
        call_command("import_votes", path)
    assert not Study.objects.exists()
    assert not System.objects.exists()


def test_quotes_within_texts_and_cells_of_several_lines_are_kept(votes_csv):
    rows = ['b1,A,x,y,12" vinyl', 'b2,A,x,y,"12"" vinyl, loud"', 'b3,A,x,y,"one, two\nthree, four, five\n\nsix"']
    report = import_votes(votes_csv("\n".join(["battle_id,preference,system_a,system_b,prompt", *rows])), "s")
    assert (report.imported, report.bad) == (3, [])
    texts = set(Battle.objects.values_list("prompt__text", flat=True))
    assert texts == {'12" vinyl', '12" vinyl, loud', "one, two\nthree, four, five\n\nsix"}


def test_a_file_without_a_good_row_leaves_nothing_behind(votes_csv, client):
    path = votes_csv("battle_id,preference,system_a,system_b,rater,prompt\nb1,MAYBE,x,y,r,p\nb2,A,x,x,r,p\n")
    with pytest.raises(CommandError, match="0 votes imported"):
        call_command("import_votes", path, "--study", "gone")
    for model in (Study, System, Prompt, Rater, Battle):
        assert not model.objects.exists()
    assert client.get("/boards/gone/").status_code == 404


# ---- one name, however its accents were typed ----

COMPOSED, DECOMPOSED = "Caf\u00e9", "Cafe\u0301"


def test_composed_and_decomposed_names_prompts_and_raters_are_one(votes_csv):
    text = "battle_id,preference,system_a,system_b,prompt,rater\n" + "".join(
        f"{n},A,{name},other,{name} music,{name}\n" for n, name in enumerate((COMPOSED, DECOMPOSED))
    )
    assert import_votes(votes_csv(text), "s").imported == 2
    assert set(System.objects.values_list("name", flat=True)) == {COMPOSED, "other"}
    assert Prompt.objects.get().text == f"{COMPOSED} music"
    assert Rater.objects.get().votes.count() == 2
    report = import_votes(votes_csv(text.replace(COMPOSED, DECOMPOSED)), "s")
    assert (report.imported, report.already_there, report.bad) == (0, 2, [])


def test_a_system_and_its_prompt_against_itself_in_another_form_is_refused(votes_csv):
    text = f"battle_id,preference,system_a,system_b\n1,A,{COMPOSED},{DECOMPOSED}\n"
    assert "both systems are" in import_votes(votes_csv(text), "s").bad[0][1]


def test_rows_stored_in_another_form_before_are_found(votes_csv, monkeypatch):
    system, prompt = System.objects.create(name=DECOMPOSED), Prompt.objects.create(text=DECOMPOSED)
    text = f"battle_id,preference,system_a,system_b,prompt,rater\n1,A,{COMPOSED},other,{COMPOSED},{DECOMPOSED}\n"
    with monkeypatch.context() as before:  # as labels were once hashed
        before.setattr(imports, "nfc", lambda label: label)
        import_votes(votes_csv(text), "s")
    import_votes(votes_csv(text.replace("\n1,", "\n2,")), "s")
    battles = Battle.objects.all()
    assert {battle.system_a for battle in battles} == {system}
    assert {battle.prompt for battle in battles} == {prompt}
    assert Rater.objects.get().votes.count() == 2


def test_json_lines_are_read_too(votes_csv):
    lines = [json.dumps({"battle_id": i, "preference": "A", "system_a": "x", "system_b": "y"}) for i in range(3)]
    report = import_votes(votes_csv("\n".join([*lines, "{broken", "[]"]), "v.jsonl"), "s")
    assert report.imported == 3
    assert [line for line, _ in report.bad] == [4, 5]


def test_votes_are_not_imported_into_a_study_with_battles_of_its_own(study, rater, votes_csv):
    from arena.serving import serve_battle

    serve_battle(rater, study)
    with pytest.raises(Conflict, match="--study"):
        import_votes(votes_csv(ROWS), "open")


def test_a_system_known_already_is_the_same_system(study, votes_csv):
    import_votes(votes_csv("battle_id,preference,system_a,system_b\nb1,A,alder,new one\n"), "s")
    assert System.objects.filter(name="alder").count() == 1
    assert Study.objects.get(slug="s").systems.count() == 2

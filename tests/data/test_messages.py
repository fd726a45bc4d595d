from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo

from normexp.data.messages import messages, plain, reading, splits_of
from normexp.data.splits import split_of


@pytest.mark.parametrize(
    ("key", "text", "plainly"),
    [
        ("Save %(name)s", "%(name)s sichern", "X0 sichern"),
        ("%s of %(cnt)s selected", "%(cnt)s, davon %s gewählt", "X1 , davon X0 gewählt"),
        ("Open {file} now", "Jetzt {file}\nöffnen", "Jetzt X0 öffnen"),
        ("Size: %1", "Größe: %1", "Größe: X0"),
        ("<b>Welcome</b> &amp; hello", "<b>Willkommen</b> &amp; hallo", "Willkommen & hallo"),
        ("Over 50%% full", "Über 50%% voll", "Über 50% voll"),
        ("Save %(name)s", "Sichern", ""),  # a placeholder is lost
        ("N j, Y", "j. F Y", ""),  # not in words
        ("See https://example.org for help", "Siehe https://example.org", ""),
    ],
)
def test_a_text_in_words_is_left(key, text, plainly):
    assert plain(key, text) == plainly


def test_what_a_text_reads_like():
    assert reading("Save  the 3 FILES: X0!") == "save the files"


def package(folder: Path, name: str, catalogues: dict[str, list[tuple]]) -> None:
    for language, entries in catalogues.items():
        catalogue = Catalog(locale=language)
        for key, text, *context in entries:
            catalogue.add(key, text, context=context[0] if context else None)
        path = folder / name / "locale" / language / "LC_MESSAGES" / "some.mo"
        path.parent.mkdir(parents=True)
        with path.open("wb") as file:
            write_mo(file, catalogue)
    (folder / name / "__init__.py").write_text("raise RuntimeError('imported')")


def test_messages_are_joined_by_their_key(tmp_path, monkeypatch):
    german = [
        ("Good morning", "Guten Morgen"),
        ("May", "Mai", "month"),
        ("May", "Darf", "verb"),
        (("one file", "%d files"), ("eine Datei", "%d Dateien")),  # with plural forms
        ("Notebook", "Notebook"),  # reads like the English
        ("Not yet", ""),
    ]
    package(tmp_path, "one_test_package", {"de": german, "pt_BR": [("Good morning", "Bom dia")]})
    package(tmp_path, "other_test_package", {"de_DE": [("Good morning", "Moin"), ("Good night", "Gute Nacht")]})
    monkeypatch.syspath_prepend(tmp_path)
    found, used = messages(["one_test_package", "other_test_package"], ["en", "de", "pt"])
    assert used == {"one_test_package", "other_test_package"}
    assert sorted(found, key=str) == [
        {"en": "Good morning", "de": "Guten Morgen", "pt": "Bom dia"},
        {"en": "Good night", "de": "Gute Nacht"},
        {"en": "May", "de": "Darf"},
        {"en": "May", "de": "Mai"},
    ]


def test_two_regions_of_a_language_must_be_named(tmp_path, monkeypatch):
    both = {"pt_BR": [("Good morning", "Bom dia")], "pt_PT": [("Good morning", "Bons dias")]}
    package(tmp_path, "regional_test_package", both)
    monkeypatch.syspath_prepend(tmp_path)
    assert messages(["regional_test_package"], ["pt"]) == ([], set())
    assert messages(["regional_test_package"], ["pt_PT"])[0][0]["pt_PT"] == "Bons dias"


def test_rows_that_are_linked_share_a_split():
    chains = [[(i, "a"), (i, "b")] for i in range(50)] + [[(i, "b"), (i, "c")] for i in range(50)]
    found = splits_of([*chains, [(0, "d")], []])
    assert found[:50] == found[50:100]
    assert set(found[:50]) == {"train", "valid", "test"}
    assert found[0] == split_of(repr((0, "a")))
    assert found[100] == split_of(repr((0, "d")))
    reversed_order = splits_of([[], [(0, "d")], *reversed(chains)])
    assert reversed_order == found[::-1]

"""The data map: docs/data-map.md, written from the declarations; a test compares the two."""

from django.conf import settings

from .declaration import declarations, split

PLACE = settings.BASE_DIR / "docs" / "data-map.md"

INTRODUCTION = """\
# Data map

What the arena stores of people, field by field, and what becomes of it. Written by `manage.py data_map --write` from
what each model declares in its class `Personal`; a test holds this page equal to the models, and a table that leads to
a rater or an account, or can hold text, fails the tests until it declares what it holds. The withdrawal
(`DELETE /api/raters/me/`) follows from the same declarations, in one transaction.

A rater is a random number in a signed cookie: no name, no address, no account. Researchers and staff have accounts.
"""
ERASED = "What a withdrawal erases of a rater"
STAYS = "What stays, and why"
ACCOUNTS = "What is stored of researchers and staff, and goes with the account"
OF_NOBODY = "Text about nobody"
OUTSIDE = """\
## Outside the database

| Where | What it holds of people | Until when |
| --- | --- | --- |
| Cookies in the browser | the signed number of the rater; the chosen language; a token against forged requests | the \
rater's goes with the withdrawal |
| Storage in the browser | answers on their way to the server, settings, what the rater was told | the page `/me/` \
clears all of it with the withdrawal |
| `media/uploads` | audio that researchers sent | it is scored; a file without a row: a day |
| `media`, otherwise | clips, excerpts, weights, and releases, which hold votes under pseudonyms | they stay |
| The access log | times, paths (with the numbers of battles) and statuses; no address, query, referrer or browser | \
whoever runs the server rotates it |
| The log of the web process | who signed in to the admin, or failed to, with the address | whoever runs the server \
rotates it |
| Redis | messages that name a task, none with a rater | seconds |
| Backups of the database | all of the above | whoever runs the server decides; one that is restored has withdrawn \
data again |
"""


def data_map() -> str:
    """The page, as Markdown."""
    declared = declarations()
    of_raters = [table for table in declared if table.rater]
    of_accounts = [table for table in declared if not table.rater]
    erased = _rows(of_raters, "deleted", "the row is deleted") + _rows(of_raters, "blanked", "emptied, the row stays")
    with_account = _rows([table for table in of_accounts if table.user], "deleted", "deleted")
    with_account += _rows([table for table in of_accounts if not table.user], "deleted", "stays until it runs out")
    return "\n".join(
        [
            INTRODUCTION,
            _section(ERASED, ("Table", "Fields", "What they hold", "At a withdrawal", "Deleted earlier"), erased),
            _section(STAYS, ("Table", "Fields", "What they hold, and why it stays"), _rows(declared, "kept")),
            _section(ACCOUNTS, ("Table", "Fields", "What they hold", "With it", "Deleted earlier"), with_account),
            _section(OF_NOBODY, ("Table", "Fields", "What they hold"), _rows(declared, "not_personal")),
            OUTSIDE,
        ]
    )


def _section(title, header, rows):
    lines = [_line(header), _line(["---"] * len(header)), *map(_line, rows)]
    return "\n".join([f"## {title}", "", *lines, ""])


def _rows(declared, fate, becomes=None):
    """[table, fields, what they hold] for each entry with this fate; with `becomes`, also what happens and when."""
    return [
        [
            table.model._meta.label,
            ", ".join(f"`{name}`" for name in split(names)),
            sentence,
            *([becomes, table.lifetime] if becomes else []),
        ]
        for table in declared
        for names, sentence in getattr(table, fate).items()
    ]


def _line(cells):
    return f"| {' | '.join(cells)} |"

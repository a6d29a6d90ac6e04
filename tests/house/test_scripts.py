"""The page's scripts use nothing that browsers since Safari 15 may lack: `older.js` has it in other words."""

import re

from django.conf import settings

TOO_NEW = re.compile(
    r"AbortSignal\.(timeout|any)|structuredClone|Object\.(hasOwn|groupBy)|\.at\(-|\.replaceAll\(|\.replaceChildren\("
    r"|\.showModal\(|\.(findLast|findLastIndex|toSorted|toReversed)\(|Promise\.withResolvers|\.checkVisibility\("
)
IN_OTHER_WORDS = "older.js"


def test_no_script_calls_what_older_browsers_lack():
    scripts = [path for path in (settings.BASE_DIR / "static/js").glob("*.js") if path.name != IN_OTHER_WORDS]
    assert len(scripts) > 20
    found = {path.name: match[0] for path in scripts if (match := TOO_NEW.search(path.read_text(encoding="utf-8")))}
    assert found == {}

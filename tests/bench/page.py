"""From the vote to the next sound: the page in a real Chromium, the server on this machine, the next pair fetched."""

import os
import shutil
import tempfile
from pathlib import Path
from statistics import median, quantiles

VISITORS = 8  # each hears three pairs, and so gives two times
WATCH = """() => {
    globalThis.waits = [];
    let pressed = 0;
    addEventListener('keydown', ({ key }) => { if (key === 'a') pressed = performance.now(); }, true);
    const start = AudioBufferSourceNode.prototype.start;
    AudioBufferSourceNode.prototype.start = function watched(at, ...rest) {
        const ahead = Math.max(0, at - this.context.currentTime) * 1000;
        if (pressed) { waits.push(performance.now() - pressed + ahead); pressed = 0; }
        return start.call(this, at, ...rest);
    };
}"""


def run() -> list[dict]:
    """Milliseconds from the key that votes to the first sample of the next pair, over the real server: median, 90th
    percentile, worst."""
    if not shutil.which("chromium"):
        return [{"what": "vote to next sound", "skipped": "there is no chromium here"}]
    import tests.services  # noqa: F401 - starts the databases and sets the environment for the settings

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "arena.settings")
    import django

    django.setup()
    from django.contrib.staticfiles.handlers import StaticFilesHandler
    from django.core.management import call_command
    from django.test.testcases import LiveServerThread

    call_command("migrate", verbosity=0)
    build_stage()
    server = LiveServerThread("127.0.0.1", StaticFilesHandler)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    waits = measure(f"http://127.0.0.1:{server.port}")
    server.terminate()
    return [
        {
            "what": "vote to next sound",
            "n": len(waits),
            "median_ms": round(median(waits)),
            "p90_ms": round(quantiles(waits, n=10)[-1]),
            "worst_ms": round(max(waits)),
        }
    ]


def build_stage():
    from django.conf import settings

    from arena.models import Study
    from tests.casts import browser

    with tempfile.TemporaryDirectory() as folder:
        browser.build_study(browser.cut_excerpts(Path(folder)), Path(settings.MEDIA_ROOT))
    Study.objects.filter(slug="stage").update(reveal=False)


def measure(address):
    from tests.casts import browser

    waits = []
    with browser.chromium() as chromium:
        for _ in range(VISITORS):
            context = chromium.new_context()
            visitor = browser.Visitor(context.new_page(), address)
            visitor.open().agree().press("?").page.get_by_label("Start the next pair automatically").check()
            visitor.press("Escape").page.evaluate(WATCH)
            for number in (2, 3):
                with visitor.page.expect_response(lambda answer: answer.url.endswith("/B")):
                    visitor.hear_both()
                visitor.page.wait_for_load_state("networkidle")
                visitor.press("a").sees(f"Pair {number} of 3")
            waits += visitor.page.evaluate("waits")
            context.close()
    return waits

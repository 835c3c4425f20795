"""Test the playground in a real browser."""

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vecprop import load

pytest.importorskip(
    "bokeh", reason='The playground needs Bokeh: pip install "vecprop[playground]".'
)
playwright = pytest.importorskip(
    "playwright.sync_api", reason="Needs Playwright: pip install playwright."
)
BROWSER = (
    shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        BROWSER is None,
        reason=(
            "No Chromium on the PATH: install it, for instance by `apt-get install"
            " chromium`."
        ),
    ),
]
COMMAND = [sys.executable, "-m", "vecprop", "playground", "--no-browser"]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Return the address of a running playground, and interrupt it after the test."""
    with subprocess.Popen(
        COMMAND, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout
        found = re.search(r"http\S+", server.stdout.readline())
        assert found
        yield found[0]
        server.send_signal(2)
        out, errors = server.communicate(timeout=20)
        assert out.endswith("\nThe playground has stopped.\n")
        assert errors == ""
        assert server.returncode == 0


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture
def window(browser: Any, url: str) -> Iterator[Any]:
    """Return a function that opens a window; errors and foreign requests fail the test."""
    wrong: list[str] = []
    contexts = []

    def open_window(**settings: Any) -> Any:
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console",
            lambda said: wrong.append(said.text) if said.type == "error" else None,
        )
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        page.on(
            "request",
            lambda request: (
                wrong.append(request.url) if is_foreign(request.url) else None
            ),
        )
        page.goto(url)
        page.wait_for_selector("#run:enabled")
        page.wait_for_function("document.querySelector('#train').textContent !== '–'")
        return page

    def is_foreign(address: str) -> bool:
        return not address.startswith(
            (url, url.replace("http", "ws", 1), "data:", "blob:")
        )

    yield open_window
    for context in contexts:
        context.close()
    assert wrong == []


def text(page: Any, selector: str) -> str:
    return page.locator(selector).inner_text()


def changed(page: Any, selector: str, before: str) -> str:
    """Wait until the text of an element changes, and return it."""
    page.wait_for_function(
        "([where, before]) => document.querySelector(where).innerText !== before",
        arg=[selector, before],
    )
    return text(page, selector)


def said(page: Any) -> str:
    page.wait_for_selector("#said:not([hidden])")
    return text(page, "#said")


def taken(page: Any, selector: str, folder: Path) -> Path:
    """Return the file that a button downloads."""
    page.click("#tab-take")
    with page.expect_download() as waiting:
        page.click(selector)
    path = folder / waiting.value.suggested_filename
    waiting.value.save_as(path)
    return path


def upload(page: Any, name: str, content: str) -> None:
    page.set_input_files(
        "#upload", {"name": name, "mimeType": "text/csv", "buffer": content.encode()}
    )


def choose(page: Any, name: str, value: str) -> None:
    """Set the value of a control and wait for the answer."""
    field = page.locator(f"[name={name}]")
    if field.evaluate("field => field.tagName") == "SELECT":
        field.select_option(value)
    else:
        field.fill(value)
        field.dispatch_event("change")
    page.wait_for_function(
        "name => document.querySelector('#text').value.includes(name + '=')", arg=name
    )


def test_it_trains_and_steps_in_a_narrow_and_dark_window(window: Any) -> None:
    page = window(viewport={"width": 380, "height": 700}, color_scheme="dark")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert sum(map(int, re.findall(r"\d+", colour)[:3])) < 200
    first = text(page, "#train")
    page.click("[data-do=step]")
    second = changed(page, "#train", first)
    assert text(page, "#epochs") == "1"
    page.keyboard.press("e")
    assert changed(page, "#train", second) != first
    page.keyboard.press("r")
    page.wait_for_function("document.querySelector('#epochs').textContent === '0'")
    assert text(page, "#train") == first
    before = {
        name: text(page, name)
        for name in ("#epochs", "#steps", "#train", "#test", "#right")
    }
    page.click("#run")
    page.wait_for_function(
        "Number(document.querySelector('#epochs').textContent.replace(',', '')) > 10"
    )
    for name, number in before.items():
        changed(page, name, number)
    page.click("#run")
    page.wait_for_function("document.querySelector('#run').textContent.includes('Run')")
    stopped = text(page, "#epochs")
    page.wait_for_timeout(300)
    assert text(page, "#epochs") == stopped


def test_the_check_passes_and_names_a_deliberate_mistake(window: Any) -> None:
    page = window()
    page.click("#tab-check")
    page.click("#check")
    page.wait_for_function(
        "document.querySelector('#report').textContent.includes('PASS: No gradient"
        " errors')"
    )
    choose(page, "mistake", "sum_for_mean")
    page.click("#check")
    page.wait_for_function(
        "document.querySelector('#report').textContent.includes('FAIL')"
    )
    assert "sum" in text(page, "#report")


def test_invalid_input_is_reported_and_reset(window: Any) -> None:
    page = window()
    page.fill("[name=learning_rate]", "-1")
    page.dispatch_event("[name=learning_rate]", "change")
    assert said(page) == "Learning rate must be a number from 0 to 100, got -1."
    page.wait_for_function(
        "document.querySelector('[name=learning_rate]').value === '0.1'"
    )
    for layers in ("a,b", "1e999", "８"):
        page.fill("[name=layers]", layers)
        page.press("[name=layers]", "Enter")
        start = (
            "Hidden layers must be at most 6 integers from 1 to 64 (such as 8, 8), got "
        )
        page.wait_for_function(
            "start => document.querySelector('#said').textContent.startsWith(start)",
            arg=start,
        )
        page.wait_for_function("document.querySelector('[name=layers]').value === '3'")
    page.fill("#row", "")
    page.press("#row", "Enter")
    page.wait_for_function(
        "document.querySelector('#said').textContent.endsWith('point must be a"
        " number.')"
    )
    page.click("#tab-take")
    page.fill("#text", "data=none")
    page.click("#open")
    page.wait_for_function(
        "document.querySelector('#said').textContent.startsWith('data must be')"
    )


def test_the_script_makes_the_bits_of_the_page(window: Any, tmp_path: Path) -> None:
    page = window()
    choose(page, "dropout", "0.1")
    choose(page, "batch", "32")
    page.keyboard.press("Tab")
    page.click("[data-do=epoch]")
    page.wait_for_function("document.querySelector('#epochs').textContent === '1'")
    page.click("#tab-numbers")
    box = page.locator(".picture.wide").bounding_box()
    # on or near an edge
    page.mouse.click(box["x"] + box["width"] * 0.37, box["y"] + box["height"] * 0.28)
    choose(page, "learning_rate", "0.05")
    page.click("[data-do=step]")
    page.wait_for_function("document.querySelector('#steps').textContent !== '5'")
    page.click("[data-do=epoch]")
    page.wait_for_function("document.querySelector('#epochs').textContent === '2'")
    script = taken(page, "[data-take=script]", tmp_path)
    model = taken(page, "[data-take=model]", tmp_path)
    code = (
        f"{script.read_text(encoding='utf-8')}\nimport numpy\nnumpy.save('theta.npy',"
        " theta)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "theta.npy").tobytes() == load(model).theta.tobytes()


def test_a_weight_is_chosen_and_changed(window: Any) -> None:
    page = window()
    box = page.locator(".picture.wide").bounding_box()
    side = box["width"] / 600 * 82  # the side of a unit
    corner = (
        box["x"] + box["width"] / 2 - side / 2,
        box["y"] + box["height"] / 2 + side / 2,
    )
    page.mouse.click(*corner)  # the bias of the middle unit
    page.wait_for_selector("#weight:not([hidden])")
    assert text(page, "#weight-name") == "layer 0 (Dense) b[1]"
    before = text(page, "#train")
    page.fill("#weight input[type=number]", "3")
    changed(page, "#train", before)
    page.click("#run")
    for kind in ("number", "range"):
        page.wait_for_function(
            f"Math.abs(document.querySelector('#weight [type={kind}]').value - 3) >"
            " 0.05"
        )
    page.click("#row")
    page.keyboard.press("Control+a")
    page.keyboard.type("1")
    page.wait_for_timeout(800)  # until the trace is redrawn
    page.keyboard.type("7")
    assert page.input_value("#row") == "17"
    page.click("#run")
    choose(page, "layers", "2")
    page.wait_for_selector("#weight", state="hidden")


def told(page: Any, start: str) -> str:
    """Return the report to screen readers when it starts with a text."""
    page.wait_for_function(
        "start => document.querySelector('#spoken').textContent.startsWith(start)",
        arg=start,
    )
    return page.locator("#spoken").text_content()


def test_points_and_weights_are_changed_by_keys(window: Any) -> None:
    page = window()
    page.get_by_role("application", name="Map").focus()
    page.keyboard.press("ArrowRight")
    first = told(page, "point ")
    page.keyboard.press("ArrowUp")
    page.wait_for_function(
        "first => document.querySelector('#spoken').textContent !== first", arg=first
    )
    row = re.findall(r"point (\d+)", told(page, "point "))[0]
    before = text(page, "#train")
    page.keyboard.press("Shift+ArrowLeft")
    moved = changed(page, "#train", before)
    assert f"training loss {moved}," in told(page, f"point {row}")
    page.click("#tab-check")
    page.get_by_role("application", name="Map").focus()
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "numbers"
    assert page.input_value("#row") == row
    page.keyboard.press("Delete")
    changed(page, "#train", moved)
    told(page, "epoch 0")
    page.get_by_role("application", name="Network").focus()
    page.keyboard.press("ArrowRight")
    assert told(page, "layer 0 (Dense) W[0, 0]: ")
    value = float(page.input_value("#weight [type=number]"))
    page.keyboard.press("Shift+ArrowUp")
    page.wait_for_function(
        f"document.querySelector('#weight [type=number]').value > {value + 0.9}"
    )
    page.keyboard.press("ArrowDown")
    page.wait_for_function(
        f"document.querySelector('#weight [type=number]').value < {value + 0.95}"
    )
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.ariaLabel") == "Weight value"
    page.click("#run")
    page.wait_for_function("document.querySelector('#epochs').textContent !== '0'")
    page.click("#run")
    page.wait_for_function("document.querySelector('#run').innerText.includes('Run')")
    assert f"epoch {text(page, '#epochs')}, step" in told(page, "epoch ")


TABS = ("numbers", "check", "hidden", "gradients", "momentum", "starts", "take")
CONTRAST = r"""
() => {
  const parse = (colour) => [...colour.match(/[\d.]+/g).map(Number), 1].slice(0, 4)
  const over = (a, b) => [0, 1, 2].map((k) => a[k] * a[3] + b[k] * (1 - a[3]))
  const linear = (byte) => (byte / 255 <= 0.04045 ? byte / 255 / 12.92 : ((byte / 255 + 0.055) / 1.055) ** 2.4)
  const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
  const low = []
  const check = (element, part = null) => {
    const isShown = element.checkVisibility({visibilityProperty: true})
    if (!isShown || element.closest("script, style, :disabled, [aria-hidden=true]")) return
    const style = getComputedStyle(element, part)
    let back = [255, 255, 255], opacity = part ? Number(style.opacity) : 1
    const around = []
    for (let each = element; each; each = each.parentElement) around.unshift(getComputedStyle(each))
    for (const each of around) {
      back = over(parse(each.backgroundColor), back)
      opacity *= Number(each.opacity)
    }
    const [r, g, b, a] = parse(style.color)
    const [dark, light] = [over([r, g, b, a * opacity], back), back].map(luminance).sort((x, y) => x - y)
    const contrast = (light + 0.05) / (dark + 0.05)
    if (contrast < 4.5) low.push(`${contrast.toFixed(2)}: ${element.outerHTML.slice(0, 80)}`)
  }
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (texts.nextNode()) if (texts.currentNode.textContent.trim()) check(texts.currentNode.parentElement)
  for (const field of document.querySelectorAll("input, select, textarea")) check(field)
  for (const field of document.querySelectorAll("[placeholder]")) check(field, "::placeholder")
  return low
}
"""
"""Return the texts with a contrast below 4.5."""

FOCUS = """
() => {
  const element = document.activeElement, {x, y} = element.getBoundingClientRect()
  const hasOutline = getComputedStyle(element).outlineStyle !== "none"
  const isVisible = element === document.body || (!element.shadowRoot && hasOutline)
  return [`${element.tagName} ${element.id} ${element.name ?? element.ariaLabel} ${x} ${y}`, isVisible]
}
"""
"""Return the focused element and whether its focus is visible."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_all_texts_have_enough_contrast(window: Any, scheme: str) -> None:
    page = window(color_scheme=scheme)
    for tab in TABS:
        page.click(f"#tab-{tab}")
        assert page.evaluate(CONTRAST) == []


def test_all_controls_and_pictures_have_names_and_show_the_focus(window: Any) -> None:
    page = window()
    pictures = set()
    for tab in TABS:
        page.click(f"#tab-{tab}")
        for node in page.context.new_cdp_session(page).send(
            "Accessibility.getFullAXTree"
        )["nodes"]:
            can_focus = any(
                each["name"] == "focusable" for each in node.get("properties", [])
            )
            role, name = (node.get(part, {}).get("value") for part in ("role", "name"))
            if not node["ignored"] and (
                can_focus or role in ("image", "application", "Canvas")
            ):
                assert name, node
                pictures |= {name} if role in ("image", "application") else set()
    assert len(pictures) == 7
    ids = page.evaluate(
        "[...document.querySelectorAll('[id]')].map((element) => element.id)"
    )
    assert len(ids) == len(set(ids))
    page.focus("#run")
    page.keyboard.press("Tab")
    seen = []
    while (focused := page.evaluate(FOCUS)) not in seen:
        seen.append(focused)
        page.keyboard.press("Tab")
    assert len(seen) > 40
    assert [name for name, is_visible in seen if not is_visible] == []


def test_points_are_added_moved_and_removed(window: Any) -> None:
    page = window()
    page.check("#adds")
    before = text(page, "#train")
    box = page.locator(".picture.square").bounding_box()
    corner = box["x"] + box["width"] * 0.93, box["y"] + box["height"] * 0.07
    page.mouse.click(*corner)
    after = changed(page, "#train", before)
    page.uncheck("#adds")
    page.mouse.click(*corner)
    page.wait_for_function("document.querySelector('#row').value === '200'")
    page.mouse.move(*corner)
    page.mouse.down()
    page.mouse.move(corner[0] - 60, corner[1] + 90, steps=5)
    page.mouse.up()
    moved = changed(page, "#train", after)
    page.keyboard.press("Delete")
    changed(page, "#train", moved)
    assert text(page, "#train") == before
    page.select_option("#target-class", "1")
    choose(page, "momentum", "0.8")
    assert page.input_value("#target-class") == "1"


def test_a_user_table_trains_and_hostile_names_stay_text(window: Any) -> None:
    page = window()
    nasty = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    classes = (nasty, r"$$\href{http://evil.example}{x}$$")
    rows = "\n".join(f"{k},{k % 7},{classes[k % 2]}" for k in range(40))
    upload(
        page, f"{nasty.replace('/', '')}.csv", f'"{nasty}",$$x^2$$,"=cmd()"\n{rows}\n'
    )
    page.wait_for_selector("#columns:not([hidden])")
    page.wait_for_function(
        "document.querySelector('#classes').innerText.includes('alert(2)')"
    )
    page.click("[data-do=step]")
    page.wait_for_function("document.querySelector('#epochs').textContent === '1'")
    assert page.locator("#classes img, #classes script, #columns img").count() == 0
    upload(page, "<img src=x onerror=alert(3)>.csv", "1\n")
    assert said(page).startswith(
        "<img src=x onerror=alert(3)>.csv has 1 columns and 0 rows"
    )
    page.wait_for_timeout(300)


def test_every_tab_draws_and_settings_can_be_restored(
    window: Any, tmp_path: Path
) -> None:
    page = window()
    for data, layers in (("wave", "4 2"), ("blobs", ""), ("spirals", "8 8 8")):
        page.select_option("[name=data]", data)
        page.fill("[name=layers]", layers)  # answers must not overwrite typed values
        page.wait_for_function(
            "data => document.querySelector('#text').value.includes(data)", arg=data
        )
        page.dispatch_event("[name=layers]", "change")
        for tab in ("hidden", "gradients", "momentum", "numbers"):
            page.click(f"#tab-{tab}")
            page.click("[data-do=epoch]")
        assert page.locator("#said").is_hidden()
    page.click("#tab-starts")
    page.fill("#count", "5")
    page.fill("#epochs-of-starts", "20")
    page.click("#start-many")
    page.wait_for_function(
        "document.querySelector('#starts-said').textContent.startsWith('5 of 5 starts')"
    )
    picture = taken(page, "#picture", tmp_path)
    assert picture.read_bytes().startswith(b"\x89PNG")
    settings = page.input_value("#text")
    other = window()
    other.click("#tab-take")
    other.fill("#text", settings)
    other.click("#open")
    other.wait_for_function("document.querySelector('[name=data]').value === 'spirals'")
    assert other.input_value("[name=layers]") == "8, 8, 8"


def test_windows_are_separate_and_a_reloaded_page_resumes(window: Any) -> None:
    page, other = window(), window()
    choose(page, "layers", "5, 4")
    page.check("#adds")
    box = page.locator(".picture.square").bounding_box()
    before = text(page, "#train")
    page.mouse.click(box["x"] + box["width"] * 0.93, box["y"] + box["height"] * 0.07)
    added = changed(page, "#train", before)
    page.click("[data-do=epoch]")
    trained = changed(page, "#train", added)
    assert text(other, "#epochs") == "0"
    copy = page.context.new_page()
    copy.goto(page.url)
    # as in a copied tab
    copy.evaluate(
        "key => sessionStorage.window = key", page.evaluate("sessionStorage.window")
    )
    copy.reload()
    copy.wait_for_function("document.querySelector('#train').textContent !== '–'")
    assert text(copy, "#epochs") == "0"
    page.reload()
    page.wait_for_function("document.querySelector('#epochs').textContent === '1'")
    assert text(page, "#train") == trained
    assert page.input_value("[name=layers]") == "5, 4"
    page.fill("#row", "200")  # the new point
    page.press("#row", "Enter")
    page.click("[data-do=epoch]")
    page.wait_for_function("document.querySelector('#epochs').textContent === '2'")
    assert page.locator("#said").is_hidden()


def test_a_page_reloads_after_its_connection_breaks(window: Any) -> None:
    page = window()
    page.add_init_script(
        "window.sockets = []; window.WebSocket = class extends WebSocket "
        "{ constructor(...given) { super(...given); sockets.push(this) } }"
    )
    page.reload()
    page.wait_for_function("document.querySelector('#train').textContent !== '–'")
    page.click("[data-do=epoch]")
    page.wait_for_function("document.querySelector('#epochs').textContent === '1'")
    page.evaluate("window.isOld = true; sockets.forEach(socket => socket.close())")
    page.wait_for_selector("#lost:not([hidden])")
    page.wait_for_function(
        "!window.isOld && document.querySelector('#epochs')?.textContent === '1'"
    )
    assert page.locator("#lost").is_hidden()
    page.click("[data-do=epoch]")
    page.wait_for_function("document.querySelector('#epochs').textContent === '2'")


@pytest.mark.parametrize("runs", [False, True])
def test_a_suspended_or_stopped_server_is_reported(browser: Any, runs: bool) -> None:
    with subprocess.Popen(COMMAND, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        found = re.search(r"http\S+", server.stdout.readline())
        assert found
        context = browser.new_context()
        page = context.new_page()
        page.goto(found[0])
        page.wait_for_function("document.querySelector('#train')?.textContent !== '–'")
        choose(page, "layers", "5")
        if runs:
            page.click("#run")
            page.wait_for_function(
                "document.querySelector('#epochs').textContent !== '0'"
            )
        server.send_signal(signal.SIGSTOP)
        page.click("[data-do=epoch]")
        page.wait_for_selector("#waits:not([hidden])")
        server.send_signal(signal.SIGCONT)
        page.wait_for_selector("#waits", state="hidden")
        server.kill()
        page.wait_for_selector("#lost:not([hidden])")
        assert page.locator("#lost").bounding_box()["y"] < 300
        assert 'vecprop playground --open "data=circles layers=5"' in text(
            page, "#lost"
        )
        assert "Run" in text(page, "#run")
        assert (
            page.locator(
                "button:enabled, input:enabled, select:enabled, textarea:enabled"
            ).count()
            == 0
        )
        page.keyboard.press("s")
        context.close()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_the_loss_and_the_report_of_a_check_are_visible_on_a_small_laptop(
    window: Any, color_scheme: str
) -> None:
    page = window(viewport={"width": 1280, "height": 800}, color_scheme=color_scheme)
    box = page.locator("section.loss").bounding_box()
    assert box["y"] + box["height"] <= 800
    page.click("#tab-check")
    page.click("#check")
    page.wait_for_function(
        "document.querySelector('#report').textContent.includes('PASS')"
    )
    assert page.evaluate(
        "document.querySelector('#report').scrollWidth <="
        " document.querySelector('#report').clientWidth"
    )

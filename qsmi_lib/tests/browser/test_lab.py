"""The notebooks in JupyterLab: each opens, some run by the mouse, a slider changes a picture, an exercise is solved."""

import re
import time

import nbformat
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from qsmi_lib.utils import paths

NOTEBOOKS = sorted(path.name for path in (paths.ROOT / "notebooks").glob("*.ipynb"))
CELLS = ".jp-Notebook .jp-Cell"
# Without a screen Chromium begins no drag of its own: the events of one, from the first element to the second.
DRAG = """
const dataTransfer = new DataTransfer();
const say = (element, kind) => element.dispatchEvent(new DragEvent(kind, {dataTransfer, bubbles: true}));
say(arguments[0], "dragstart");
for (const kind of ["dragenter", "dragover", "drop"]) say(arguments[1], kind);
"""


@pytest.fixture
def opened(page, lab, wait):
    """Open a notebook in a workspace of its own; returns the browser."""

    def open_(name):
        page.get(f"{lab}/lab/workspaces/{name.partition('.')[0]}/tree/{name}?reset")
        wait(lambda browser: browser.find_elements(By.CSS_SELECTOR, CELLS), f"the cells of {name}")
        return page

    yield open_
    page.get("about:blank")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_notebook_opens(name, opened, wait):
    opened(name)
    heading = wait(lambda own: own.find_element(By.CSS_SELECTOR, ".jp-RenderedMarkdown h1").text, "the heading")
    assert heading[:2] == name[:2]


def run_all(browser, wait):
    """Run > Run All Cells, by the mouse; waits until no cell is waiting."""
    wait(lambda own: own.find_elements(By.CSS_SELECTOR, "[data-status=idle]"), "the kernel")

    def named(selector, text):
        elements = wait(lambda own: [e for e in own.find_elements(By.CSS_SELECTOR, selector) if text in e.text], text)
        return ActionChains(browser).move_to_element(elements[0])

    def begun(_):
        named(".lm-MenuBar-item", "Run").click().perform()
        named(".lm-Menu-item", "Run All Cells").click().perform()
        return any(text != "[ ]:" for text in prompts(browser))

    def ended(_):
        return errors(browser) or all(any(map(str.isdigit, text)) for text in prompts(browser))

    wait(begun, "a connection to the kernel")  # before, nothing happens
    wait(ended, "all cells")
    assert not errors(browser)


def prompts(browser):
    """What stands at each code cell: [ ]: before it runs, [*]: while it waits, then a number."""
    return [own.text for own in browser.find_elements(By.CSS_SELECTOR, ".jp-CodeCell .jp-InputPrompt")]


def errors(browser):
    """What cells raised."""
    found = browser.find_elements(By.CSS_SELECTOR, "[data-mime-type='application/vnd.jupyter.error']")
    return [own.text for own in found]


def pictures(browser):
    """The picture of each panel of `explore`; none while one of them is not drawn yet."""
    panels = browser.find_elements(By.CSS_SELECTOR, ".widget-interact")
    drawn = [panel.find_elements(By.TAG_NAME, "img") for panel in panels]
    return [own[0].get_attribute("src") for own in drawn] if all(drawn) else []


def panels(wait, n, selector):
    """The pictures of `n` panels, once all of them are drawn, and what `selector` finds in them."""
    before = wait(lambda own: len(found := pictures(own)) == n and found, f"{n} pictures")
    return before, wait(lambda own: own.find_elements(By.CSS_SELECTOR, f".widget-interact {selector}"), selector)


def test_sliders_and_the_film_of_01_move_by_mouse_and_keyboard(opened, wait):
    browser = opened("01_derivation.ipynb")
    run_all(browser, wait)
    before, (handle, *_) = panels(wait, 3, ".noUi-handle")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    ActionChains(browser).drag_and_drop_by_offset(handle, 60, 0).perform()
    wait(lambda own: (changed := pictures(own)) and changed != before, "another picture")

    panel = browser.find_elements(By.CSS_SELECTOR, ".widget-interact")[1]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", panel)
    play, to_start = panel.find_elements(By.CSS_SELECTOR, ".widget-play button")[:2]
    more = panel.find_element(By.CSS_SELECTOR, "button[title='step: one step more']")
    handle = panel.find_element(By.CSS_SELECTOR, ".noUi-handle")

    def step():
        return int(panel.find_element(By.CSS_SELECTOR, ".widget-readout").text)

    assert step() == 0
    play.click()
    wait(lambda own: step() > 5, "the film")
    play.click()
    seen = []

    def rests(own):
        seen.append(step())
        time.sleep(1)
        return seen[-1] == step()

    wait(rests, "the pause")  # steps that were on their way arrive first
    reached = step()
    more.click()
    wait(lambda own: step() == reached + 1, "the next step")
    handle.send_keys(Keys.ARROW_RIGHT)
    wait(lambda own: step() == reached + 2, "the step after it")
    to_start.click()
    wait(lambda own: step() == 0, "the start")


def test_tied_items_of_02_are_dragged(opened, wait):
    browser = opened("02_evaluation_protocol.ipynb")
    run_all(browser, wait)
    before, (_, second, third, *_) = panels(wait, 1, ".jupyter-widget-tag")
    browser.execute_script(DRAG, third, second)
    wait(lambda own: (changed := pictures(own)) and changed != before, "another picture")


def test_a_variant_of_03_stands_out(opened, wait):
    browser = opened("03_ablation_clamp_spherical.ipynb")
    run_all(browser, wait)
    before, (_, variant, *_) = panels(wait, 1, ".widget-toggle-button")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", variant)
    variant.click()
    wait(lambda own: (changed := pictures(own)) and changed != before, "another picture")


def test_15_searches_by_the_mouse(opened, wait):
    browser = opened("15_search.ipynb")
    run_all(browser, wait)
    n_answers = wait(lambda own: len(own.find_elements(By.CSS_SELECTOR, "ol.qsmi-row li")), "the answers")
    handle = wait(lambda own: own.find_element(By.CSS_SELECTOR, ".noUi-handle"), "the slider")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", handle)
    ActionChains(browser).drag_and_drop_by_offset(handle, -15, 0).perform()
    wait(lambda own: len(own.find_elements(By.CSS_SELECTOR, "ol.qsmi-row li")) < n_answers, "fewer answers")


def run(cell, wait, typed=""):
    """Run a cell by its keys, after `typed` has taken the place of its text."""
    editor, browser = cell.find_element(By.CSS_SELECTOR, ".cm-content"), cell.parent

    def reached(_):
        browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", editor)
        editor.click()
        return "jp-mod-active" in cell.get_attribute("class")

    def begun(own):
        reached(own)
        ActionChains(browser).key_down(Keys.SHIFT).send_keys(Keys.ENTER).key_up(Keys.SHIFT).perform()
        return cell.find_element(By.CSS_SELECTOR, ".jp-InputPrompt").text != "[ ]:"

    wait(reached, "a click on the cell")  # formulas and pictures above still move it
    if typed:
        editor.send_keys(Keys.CONTROL, "a")
        browser.execute_cdp_cmd("Input.insertText", {"text": typed})
    wait(begun, "a connection to the kernel")  # before, keys do nothing


def test_an_exercise_of_00_is_right_once_it_is_solved(opened, wait):
    """The cells for setting up are enough."""
    name = "00_start_here.ipynb"
    stored = nbformat.read(paths.NOTEBOOKS / name, 4).cells
    tags = [set(cell.metadata.get("tags", [])) for cell in stored]
    number = next(number for number, of_cell in enumerate(tags) if "exercise" in of_cell)
    [solution] = re.findall(r"```python\n(.*?)\n```", stored[number + 2].source, flags=re.DOTALL)
    browser = opened(name)
    wait(lambda own: own.find_elements(By.CSS_SELECTOR, "[data-status=idle]"), "the kernel")
    cells = browser.find_elements(By.CSS_SELECTOR, CELLS)
    todo, check = cells[number : number + 2]
    for cell, of_cell in zip(cells, tags, strict=True):
        if of_cell & {"setup", "parameters"}:
            run(cell, wait)
    run(check, wait)
    wait(lambda _: "name 'hamming_distance' is not defined" in check.text, "the first answer")
    run(todo, wait, solution)
    run(check, wait)
    wait(lambda _: check.find_element(By.CSS_SELECTOR, ".jp-OutputArea").text == "right", "the second answer")
    assert not errors(browser) and todo.find_element(By.CSS_SELECTOR, ".cm-content").text == solution

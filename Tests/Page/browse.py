"""The page as people see it: read, driven by the keyboard, watched while messages come, and photographed."""

import subprocess
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

SITE, SEND, SHOTS = sys.argv[1:]
checks = 0


def check(holds, what):
    global checks
    if not holds:
        sys.exit(f"the page: {what}")
    checks += 1


def start():
    options = webdriver.ChromeOptions()
    options.binary_location = "/usr/bin/chromium"
    # A container's root has no sandbox, and little shared memory.
    for option in ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]:
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.chrome.service.Service("/usr/bin/chromedriver")
    return webdriver.Chrome(service=service, options=options)


def look(browser, width, scheme):
    """A window of that width, for one who prefers that scheme."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )


def wait(browser, what, until):
    WebDriverWait(browser, 30).until(until, message=what)
    check(True, what)


def text(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector).text


def shoot(browser, name):
    browser.save_screenshot(f"{SHOTS}/{name}.png")


def hostile_names(browser):
    check(browser.title == "Ouroboros gateway", "a device's name ran as a script")
    count = "return document.querySelectorAll('img, main script').length"
    check(browser.execute_script(count) == 0, "a device's name became an element")
    check("onerror" in text(browser, "#rows"), "the hostile name is not shown as text")


def live(browser):
    browser.execute_script("window.unloaded = false; addEventListener('beforeunload', () => { unloaded = true })")
    before = text(browser, "#traffic .note")
    wait(browser, "messages were counted live", lambda it: text(it, "#traffic .note") != before)
    wait(browser, "the fleet came online", lambda it: text(it, "#status").startswith("75 online"))
    wait(browser, "the chart has a line", lambda it: it.execute_script(
        "return document.querySelector('#traffic .line').points.length > 5"))
    check(not browser.execute_script("return unloaded"), "the page was loaded again")


def keyboard(browser):
    browser.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    focused = browser.switch_to.active_element
    check(focused.text == "Skip to the devices", "the first stop is not the skip link")
    check(focused.rect["x"] >= 0, "the skip link is not seen when it has the focus")
    outline = focused.value_of_css_property("outline-style")
    check(outline == "solid", "the focus is not seen")
    browser.execute_script("document.querySelector('#rows a').focus()")
    target = browser.switch_to.active_element.get_attribute("href")
    browser.execute_script("window.oldRow = document.querySelector('#rows tr')")
    wait(browser, "rows were replaced", lambda it: it.execute_script("return !oldRow.isConnected"))
    check(browser.switch_to.active_element.get_attribute("href") == target, "an update took the focus away")


def updates(browser):
    """Waits until the gateway has told of the rows three times more, whatever the page does with it."""
    browser.execute_script(
        "window.told = 0; window.listener = new EventSource('/events');"
        "listener.addEventListener('rows', () => { told += 1 })")
    wait(browser, "the gateway goes on telling", lambda it: it.execute_script("return told") >= 3)
    browser.execute_script("listener.close()")


def press(browser):
    """A link that is pressed stays until it is let go, or the click would be lost."""
    link = "const link = document.querySelector('#rows a'); window.pressed = link;"
    event = "link.dispatchEvent(new PointerEvent('pointerdown', { bubbles: true }))"
    browser.execute_script(link + event)
    before = text(browser, "#traffic .note")
    updates(browser)
    check(browser.execute_script("return pressed.isConnected"), "an update took a pressed link away")
    check(text(browser, "#traffic .note") == before, "an update came while the pointer was down")
    browser.execute_script("dispatchEvent(new PointerEvent('pointerup'))")
    wait(browser, "the updates came afterwards", lambda it: text(it, "#traffic .note") != before)


def pause(browser):
    button = browser.find_element(By.ID, "pause")
    button.click()
    check(button.text == "Resume updates", "the updates cannot be paused")
    browser.execute_script("window.oldRow = document.querySelector('#rows tr')")
    updates(browser)
    check(browser.execute_script("return oldRow.isConnected"), "an update came while they were paused")
    button.click()
    wait(browser, "updates resumed", lambda it: it.execute_script("return !oldRow.isConnected"))


def device_page(browser):
    browser.get(f"{SITE}/?find=attic")
    # At once, as an update may replace the link between finding and clicking.
    browser.execute_script("document.querySelector('#rows a').click()")
    wait(browser, "the device has a page", lambda it: "/devices/" in it.current_url)
    check(text(browser, "h1") == "Attic", "the device's page has another title")
    check("None since" in text(browser, "#messages"), "there are messages before one was sent")
    subprocess.run([SEND, '21.5 <b onclick="x">degrees</b>'], check=True, timeout=30)
    wait(browser, "the message came live", lambda it: '21.5 <b onclick="x">' in text(it, "#messages"))
    shoot(browser, "device")


def screenshots(browser):
    for scheme in ["light", "dark"]:
        for width in [1280, 320]:
            look(browser, width, scheme)
            for path in ["/?sort=seen&order=desc&state=online", "/"]:
                browser.get(SITE + path)
                overflow = "return document.documentElement.scrollWidth - innerWidth"
                check(browser.execute_script(overflow) <= 0, f"{path} is wider than {width} pixels")
            shoot(browser, f"{scheme}-{width}")
            browser.find_element(By.ID, "pages").location_once_scrolled_into_view
            shoot(browser, f"{scheme}-{width}-end")
    colours = {browser.execute_script("return getComputedStyle(document.body).backgroundColor")}
    look(browser, 320, "light")
    colours.add(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))
    check(len(colours) == 2, "light and dark look the same")


def main():
    browser = start()
    try:
        look(browser, 1280, "light")
        browser.get(SITE)
        hostile_names(browser)
        live(browser)
        keyboard(browser)
        press(browser)
        pause(browser)
        device_page(browser)
        screenshots(browser)
        problems = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        problems = [problem for problem in problems if "favicon.ico" not in problem]
        check(not problems, f"the browser complains: {problems}")
    finally:
        browser.quit()
    print(f"{checks} passed, 0 failed")


main()

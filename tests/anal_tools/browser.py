"""A real headless Chromium for the report's tests; they skip with a reason where there is none."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM, DRIVER = (shutil.which(name) for name in ("chromium", "chromedriver"))


def open_browser(*, dark: bool = False) -> Iterator[Any]:
    """A selenium driver of a 1280 x 900 window, closed afterwards."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (extra: dev)")
    if not (CHROMIUM and DRIVER):
        pytest.skip("no chromium and chromedriver on this machine (Debian: chromium, chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    emulate(driver, "prefers-color-scheme", "dark" if dark else "light")
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
    try:
        yield driver
    finally:
        driver.quit()


def data_of_a_page_alone(page: Path) -> Any:
    """What a page draws, which must need nothing but itself."""
    text = page.read_text(encoding="utf-8")
    assert not re.search(r'(src|href)="(?!#|data:)', text.split("<script")[0])
    assert "https://" not in text
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found, "the page has no data"
    return json.loads(found[1])


def texts(driver: Any, selector: str) -> list[str]:
    """The text of each element, in the page's order."""
    return [each.text for each in driver.find_elements("css selector", selector)]


def emulate(driver: Any, feature: str, value: str) -> None:
    """Let the page see a preference of its reader."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": feature, "value": value}]})


def action_chains(driver: Any) -> Any:
    """Moves of the mouse."""
    from selenium.webdriver import ActionChains

    return ActionChains(driver)


OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}

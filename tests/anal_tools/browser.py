"""A real headless Chromium for the report's tests; they skip with a reason where there is none."""

import shutil
from collections.abc import Iterator
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


def emulate(driver: Any, feature: str, value: str) -> None:
    """Let the page see a preference of its reader."""
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": feature, "value": value}]})


def action_chains(driver: Any) -> Any:
    """Moves of the mouse."""
    from selenium.webdriver import ActionChains

    return ActionChains(driver)


OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}

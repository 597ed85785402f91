#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""
Read the built guide in Chromium, as a reader does who opened its files: follow a link, search, open
each page on a screen as narrow as a telephone's. Print what is wrong.
"""

import sys
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

NARROW = 360
# A word, and the chapter that it is in.
WORD, CHAPTER = "vermagic", "Setting up, and the first module"


def start():
    """A browser that keeps what its console says."""
    options = webdriver.ChromeOptions()
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


def follow(browser, selector):
    """Click the link to the chapter, once there is one, and wait for its heading."""
    def link(_):
        return next((a for a in browser.find_elements(By.CSS_SELECTOR, selector) if a.text == CHAPTER), None)
    WebDriverWait(browser, 10).until(link, f"{browser.current_url}: no link to the chapter").click()
    WebDriverWait(browser, 10).until(
        lambda _: [h for h in browser.find_elements(By.TAG_NAME, "h1") if h.text.startswith(CHAPTER)],
        f"{browser.current_url}: not the chapter")


def main(top):
    """Without a fault, print nothing."""
    with start() as browser:
        browser.get((top / "index.html").as_uri())
        follow(browser, "article a")
        field = browser.find_element(By.NAME, "q")
        field.send_keys(WORD)
        field.submit()
        follow(browser, "#search-results a")
        faults = []
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
            "width": NARROW, "height": 2 * NARROW, "deviceScaleFactor": 2, "mobile": False})
        for page in sorted(top.rglob("*.html")):
            browser.get(page.as_uri())
            width = browser.execute_script("return document.documentElement.scrollWidth")
            if width > NARROW:
                faults.append(f"{page}: {width} pixels wide on a screen of {NARROW}")
        faults += [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        for fault in faults:
            print(fault)
        return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

// Takes pictures: reads [{name, url, width, height, file}] on stdin and writes each file, as PNG or WebP.
// It prints, per picture, what failed, what is cut, and which table scrolls sideways.
import fs from 'node:fs';
import { chromium } from 'playwright-core';

const QUALITY = 88;
const list = JSON.parse(fs.readFileSync(0, 'utf8'));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM,
  args: ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking'],
});

/** Runs in the page: cells whose text is cut, and tables wider than their panel. */
function faults() {
  const found = [...(window.FAULTS ?? [])];
  const isCut = (element) =>
    [element, ...element.querySelectorAll('*')].some(
      (part) => part.clientWidth > 0 && part.scrollWidth > part.clientWidth + 2,
    );
  for (const panel of document.querySelectorAll('[data-title]')) {
    const grid = panel.querySelector('[role=grid]');
    if (grid && grid.scrollWidth > grid.clientWidth + 2)
      found.push(`${panel.dataset.title}: the table scrolls sideways`);
    const cells = [...panel.querySelectorAll('[role=gridcell],[role=columnheader]')];
    const cut = cells
      .filter(isCut)
      .map((cell) => cell.innerText.trim())
      .filter(Boolean);
    if (cut.length)
      found.push(`${panel.dataset.title}: ${cut.length} cells cut: ${cut.slice(0, 3).join(' | ')}`);
  }
  return found;
}

for (const { name, url, width, height, file } of list) {
  const page = await browser.newPage({ viewport: { width, height: height ?? 900 } });
  page.on('pageerror', (error) => console.log(`${name}: ${error.message.slice(0, 300)}`));
  await page.goto(url);
  if (url.startsWith('http'))
    await page.waitForFunction(() => window.PANELS && window.DONE >= window.PANELS);
  const whole = height ?? (await page.evaluate(() => document.documentElement.scrollHeight));
  await page.setViewportSize({ width, height: whole });
  await page.waitForTimeout(2500);
  if (file.endsWith('.png')) await page.screenshot({ path: file });
  else {
    const session = await page.context().newCDPSession(page);
    const form = { format: 'webp', quality: QUALITY };
    const picture = await session.send('Page.captureScreenshot', form);
    fs.writeFileSync(file, Buffer.from(picture.data, 'base64'));
  }
  const found = await page.evaluate(faults);
  console.log(`${name}: ${Math.ceil(fs.statSync(file).size / 1000)} kB, ${width} x ${whole}`);
  for (const fault of found) console.log(`    ${fault}`);
  await page.close();
}
await browser.close();

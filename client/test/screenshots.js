// Screenshots of the console, light and dark, wide and narrow: `npm run screenshots`.
//
// Owns: what is on them, and where they go: target/screenshots.
// Must not know: whether they look good; that is for eyes.
// Source: docs/console.md.

import { mkdir } from 'node:fs/promises';

import { folder, startBrowser, startStack } from './harness.js';

const TARGET = new URL('../../target/screenshots/', import.meta.url).pathname;
const SIZES = { wide: { width: 1280, height: 800 }, narrow: { width: 390, height: 844 } };

const ends = [];
const t = { after: (end) => ends.unshift(end) };
try {
  await mkdir(TARGET, { recursive: true });
  const stack = await startStack(t, await folder(t));
  const browser = await startBrowser(t);
  await stack.append('guid_456', 1, 12);
  await stack.dynamodb('PutItem', {
    TableName: 'order_stream',
    Item: { orderId: { S: 'broken' }, version: { N: '1' }, ref: { S: 'no ref' } },
  });
  for (const colorScheme of ['light', 'dark']) {
    for (const [name, viewport] of Object.entries(SIZES)) {
      const page = await browser.context.newPage();
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      await page.goto(`http://127.0.0.1:${stack.port}/`);
      await page.getByRole('button', { name: 'Place a sample order' }).click();
      await page.getByText('live at version 3').waitFor();
      await page.getByText('subscribed to this order').waitFor();
      await page.screenshot({ path: `${TARGET}console-${colorScheme}-${name}.png`, fullPage: true });
      await page.close();
    }
  }
  console.log(TARGET);
} finally {
  for (const end of ends) await end();
}

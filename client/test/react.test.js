// The hook, in Chromium with React as it ships, and on a server.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createElement } from 'react';
import { renderToString } from 'react-dom/server';

import { connect } from '../src/index.js';
import { FoldcastProvider, useOrder } from '../src/react.js';
import { bundle } from './bundle.js';
import { folder, startBrowser, startStack } from './harness.js';

test('components follow their orders on one connection, in StrictMode too', async (t) => {
  const stack = await startStack(t, await folder(t));
  const browser = await startBrowser(t);
  const page = await browser.page();
  const opened = [];
  page.on('websocket', (socket) => opened.push(socket));
  await page.addScriptTag({ content: await bundle('test/react-page.js'), type: 'module' });
  await page.waitForFunction(() => globalThis.show);
  await stack.append('a', 1, 1);
  await page.evaluate((url) => show(url), stack.url);
  await page.waitForFunction(() => document.querySelector('.a')?.textContent === '1:1');
  await stack.append('a', 2, 4);
  await stack.append('b', 1, 1);
  await page.waitForFunction(() => document.querySelector('.b').textContent === '1:1');
  await page.waitForFunction(() => [...document.querySelectorAll('.a')].every((node) => node.textContent === '4:4'));
  assert.equal(await page.locator('.a').count(), 2);
  assert.equal(opened.length, 1);
  const areStale = (stale) => page.waitForFunction((stale) => [...document.querySelectorAll('p')].every((node) => node.dataset.stale === stale), stale);
  await areStale('false');
  await stack.kill();
  await areStale('true');
});

test('a server renders what is known, which is nothing, and connects to nobody', () => {
  const client = connect({ url: 'ws://nobody' });
  const Version = () => `${useOrder('a').version} ${useOrder('a').stale}`;
  assert.equal(renderToString(createElement(FoldcastProvider, { client }, createElement(Version))), '0 true');
  assert.throws(() => renderToString(createElement(Version)), /FoldcastProvider/);
  client.close();
});

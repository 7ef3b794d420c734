// The console of the local stack, as somebody at a keyboard uses it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { folder, startBrowser, startStack } from './harness.js';

async function start(t, options) {
  const [stack, browser] = await Promise.all([folder(t).then((data) => startStack(t, data, options)), startBrowser(t)]);
  const page = await browser.context.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`http://127.0.0.1:${stack.port}/`);
  return { stack, page, errors };
}

test('a sample order is placed and followed live, and its versions are travelled', async (t) => {
  const { page, errors } = await start(t);
  await page.getByText('No order yet').waitFor();
  await page.getByText('0 orders, 0 connections, 0 failures').waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Place a sample order');
  await page.keyboard.press('Enter');
  await page.getByText('live at version 3').waitFor();
  const field = (name) => page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) });
  await field('eventName').getByText('"OrderSucceeded"').waitFor();
  assert.equal(await page.getByText('stripe_123').count(), 0, 'a redacted field is not shown');
  await field('successField').getByText('added').waitFor();
  await field('eventName').getByText('changed').waitFor();
  assert.equal(await field('amount').getByText(/ed$/).count(), 0, 'the last event left it alone');

  await page.getByLabel('Version').focus();
  await page.keyboard.press('ArrowLeft');
  await page.keyboard.press('ArrowLeft');
  await page.getByText('as it stood at version 1').waitFor();
  await field('eventName').getByText('"OrderPlaced"').waitFor();
  assert.equal(await field('successField').count(), 0);
  await page.getByRole('button', { name: 'Live' }).click();
  await page.getByText('live at version 3').waitFor();

  await page.getByRole('navigation').getByText('3 events').waitFor();
  await page.getByText('subscribed to this order').waitFor();
  for (const name of ['connect', 'subscribe', 'event-handler']) {
    await page.locator('#invocations').getByText(name).first().waitFor();
  }
  assert.deepEqual(errors, []);
});

test('where a token is asked for, the page has one', async (t) => {
  const { page, errors } = await start(t, { more: ['--auth'] });
  await page.getByRole('button', { name: 'Place a sample order' }).click();
  await page.getByText('live at version 3').waitFor();
  await page.locator('#invocations').getByText('authorizer').first().waitFor();
  assert.deepEqual(errors, []);
});

test('what cannot be folded is on the page', async (t) => {
  const { stack, page } = await start(t);
  await stack.dynamodb('PutItem', {
    TableName: 'order_stream',
    Item: { orderId: { S: 'broken' }, version: { N: '1' }, ref: { S: 'no ref' } },
  });
  await page.locator('#failures').getByText('poison').waitFor();
  await page.getByText('1 failure', { exact: false }).first().waitFor();
});

test('the admin endpoint answers this machine alone', async (t) => {
  const { stack } = await start(t);
  const url = `http://127.0.0.1:${stack.port}/admin/`;
  const status = async (what, options) => (await fetch(url + what, options)).status;
  assert.equal(await status('stack'), 200);
  assert.equal(await status('sample', { method: 'POST', body: 'a=1' }), 404, 'no form of another site');
  assert.equal(await stack.statusFor('/admin/stack', 'attacker.example'), 403, 'no name of another site');
  assert.equal(await stack.statusFor('/', 'attacker.example'), 403);
});

// Checks the page in a browser, and prints TAP. 001_page.pl runs it.
//
//   PAGE_URL          the address of the page
//   PAGE_TOKEN        a token that may read
//   PAGE_ADMIN_TOKEN  a token that may read the refused readings, too; without it those checks are skipped
//   PAGE_SEND_TOKEN   a token that may send; if it is set, the checks send readings, also of devices whose ids are markup. Without it
//                     somebody else must send, among others for a device "north-01" in the region "north"
//   PAGE_TOKEN_IS_READER  1: PAGE_TOKEN may not read the refused readings, and the checks see to it that the page says so
//   PAGE_MOCK         1: PAGE_URL is mock_server.js with --hostile, which obeys /mock/...; without it those checks are skipped
//   PAGE_EMPTY_URL    the address of a page about a fleet without a device; without it those checks are skipped
//   PAGE_CUT          a command that ends the server's connections, because the browser keeps those that it has when it is told to be
//                     offline
//   PAGE_CHROMIUM     the browser
//   PAGE_SHOTS        a folder for pictures of the page in three sizes, if they are wanted
'use strict';

const { execSync } = require('child_process');
const { readFileSync } = require('fs');
const { chromium } = require('playwright-core');

const { PAGE_URL: url, PAGE_TOKEN: token, PAGE_ADMIN_TOKEN: adminToken, PAGE_SEND_TOKEN: sendToken, PAGE_EMPTY_URL: emptyUrl } = process.env;
const isMock = process.env.PAGE_MOCK === '1';
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
const kDeadline = 60_000;
const kHostile = '<img src=x onerror="window.hacked=1">';
const kHostileRegion = '<svg onload="window.hacked=1">';
const kSizes = [[360, 740], [820, 1180], [1440, 900]];

// --- TAP -------------------------------------------------------------------------------------------------------------------

let count = 0;
let failures = 0;

function ok(condition, name, seen) {
    count += 1;
    if (!condition) failures += 1;
    console.log(`${condition ? 'ok' : 'not ok'} ${count} - ${name}`);
    if (!condition && seen !== undefined) console.log(`# seen: ${typeof seen === 'string' ? seen : JSON.stringify(seen)}`.replaceAll('\n', '\n# '));
}

const is = (seen, wanted, name) => ok(seen === wanted, name, { seen, wanted });

function skip(name, why) {
    count += 1;
    console.log(`ok ${count} - ${name} # SKIP ${why}`);
}

// Waits for a condition; a condition that does not come fails.
async function comes(promise, name) {
    try {
        await promise;
        ok(true, name);
        return true;
    } catch (error) {
        ok(false, name, String(error.message).split('\n')[0]);
        return false;
    }
}

// --- pages -----------------------------------------------------------------------------------------------------------------

let browser;
const violations = [];
const complaints = [];

// A status that a check provokes is written to the console by the browser, so it is no complaint of the page.
const kProvoked = /Failed to load resource: (?:the server responded with a status of (?:401|403|503)|net::ERR_(?:INTERNET_DISCONNECTED|INCOMPLETE_CHUNKED_ENCODING|NETWORK_CHANGED|EMPTY_RESPONSE|CONNECTION_RESET))|net::ERR_(?:INTERNET_DISCONNECTED|INCOMPLETE_CHUNKED_ENCODING|CONNECTION_RESET|EMPTY_RESPONSE)/;

// Opens the page in a browser without memory; with a token, as if the user had signed in in this tab before.
async function open({ as = null, size = [1440, 900], scheme = 'light', address = url, hash = '' } = {}) {
    const context = await browser.newContext({ viewport: { width: size[0], height: size[1] }, colorScheme: scheme, locale: 'en-GB' });
    context.setDefaultTimeout(kDeadline);
    const page = await context.newPage();
    page.on('console', (message) => {
        if (message.type() !== 'error' || kProvoked.test(message.text()) || message.location().url.includes('not-there')) return;
        complaints.push(`${message.text()} ${message.location().url}`);
    });
    page.on('pageerror', (error) => complaints.push(`uncaught: ${error.message}`));
    await page.exposeFunction('reportViolation', (text) => violations.push(text));
    await page.addInitScript((held) => {
        if (location.protocol === 'about:') return;
        if (held && !sessionStorage.getItem('test.begun')) sessionStorage.setItem('telemetry.token', held);
        sessionStorage.setItem('test.begun', '1');
        document.addEventListener('securitypolicyviolation', (event) => window.reportViolation(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
        window.shift = 0;
        new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
        }).observe({ type: 'layout-shift', buffered: true });
    }, as);
    await page.goto(address + hash);
    return page;
}

const text = (page, selector) => page.locator(selector).first().innerText();
const close = (page) => page.context().close();
const waitText = (page, selector, pattern) =>
    page.waitForFunction(([where, what]) => new RegExp(what).test(document.querySelector(where)?.textContent ?? ''), [selector, pattern.source], { timeout: kDeadline });
const waitLive = (page) => waitText(page, '#connection-state', /^Live$/);
const waitDevices = (page) => page.waitForSelector('#device-list tr:not(.blank)', { timeout: kDeadline });
const mock = (what) => fetch(new URL(`mock/${what}`, url), { method: 'POST' }).then((answer) => answer.json());

// --- readings for a real server --------------------------------------------------------------------------------------------

let feeding = null;

async function feed() {
    if (!sendToken) return;
    let round = 0;
    const send = async () => {
        round += 1;
        const now = new Date().toISOString();
        const readings = ['north-01', 'north-02', 'south-01', kHostile].map((device_id, i) => ({
            device_id,
            measured_at: now,
            temperature: 20 + i + Math.sin(round / 10),
            humidity: 50 + i,
            region: device_id === kHostile ? kHostileRegion : device_id.slice(0, 5),
        }));
        const answer = await fetch(new URL('telemetry', url), {
            method: 'POST',
            headers: { Authorization: `Bearer ${sendToken}`, 'Content-Type': 'application/json' },
            body: JSON.stringify(readings),
        });
        if (!answer.ok) throw new Error(`POST /telemetry: ${answer.status} ${await answer.text()}`);
    };
    await send();
    feeding = setInterval(() => send().catch((error) => console.log(`# ${error.message}`)), 200);
}

// --- the checks ------------------------------------------------------------------------------------------------------------

async function checkSigningIn() {
    const anonymous = (await fetch(new URL('liveness', url))).ok;
    if (anonymous) return skip('signing in', 'the server wants no token');
    const page = await open();
    await comes(page.waitForSelector('#sign-in[open]'), 'without a token the page asks for one');
    is(await page.evaluate(() => document.activeElement.id), 'token', 'the field of the token has the focus');
    await page.fill('#token', 'wrong');
    await page.keyboard.press('Enter');
    await comes(waitText(page, '#sign-in-problem', /not accepted/), 'a wrong token is refused');
    await page.fill('#token', token);
    await page.keyboard.press('Enter');
    await comes(page.waitForSelector('#sign-in', { state: 'hidden' }), 'the right token opens the page');
    await comes(waitDevices(page), 'and devices are shown');
    const kept = () => page.evaluate(() => [sessionStorage.getItem('telemetry.token'), localStorage.getItem('telemetry.token')]);
    ok((await kept())[0] === token && (await kept())[1] === null, 'the token is kept in the tab only', await kept());
    await page.reload();
    await comes(waitDevices(page), 'a reload needs no token again');

    await page.click('#sign');
    await comes(page.waitForSelector('#sign-in[open]'), 'signing out asks for a token');
    ok((await kept()).every((value) => value === null), 'it forgets the token', await kept());
    is(await page.locator('#device-list tr:not(.blank)').count(), 0, 'and shows no device any more');
    is(await text(page, '#connection-state'), 'Signed out', 'it says that it is signed out');
    await page.fill('#token', token);
    await page.check('#remember');
    await page.click('#sign-in-submit');
    await page.waitForSelector('#sign-in', { state: 'hidden' });
    ok((await kept())[1] === token && (await kept())[0] === null, 'with "remember" the token is kept on the device', await kept());
    await page.click('#sign');
    ok((await kept()).every((value) => value === null), 'and signing out forgets it there, too', await kept());
    await close(page);
}

async function checkLive() {
    const page = await open({ as: token });
    if (!(await comes(waitLive(page), 'the stream is live'))) return;
    await comes(waitText(page, '#rate', /^[\d,.]*[1-9]/), 'readings per second are counted');
    const accepted = await text(page, '#ingest-accepted');
    await comes(page.waitForFunction((old) => !['–', old].includes(document.getElementById('ingest-accepted').textContent), accepted), 'the counter of accepted readings moves');
    await comes(waitText(page, '#device-total', /^[1-9]/), 'devices are counted');
    const total = async () => {
        const states = await page.locator('#liveness-states b').allInnerTexts();
        return states.reduce((sum, value) => sum + Number(value.replaceAll(',', '')), 0);
    };
    is(String(await total()), (await text(page, '#device-total')).replaceAll(',', ''), 'the states add up to all devices');
    await comes(waitText(page, '#region-tiles .now', /°C/), 'a region shows its temperature with its unit');
    await comes(waitText(page, '#lag', /\d\s*(ms|s|min|h)/), 'the lag has a unit');
    await comes(waitText(page, '#connection-detail', /updated now|last update/), 'it says how old the figures are');
    await close(page);
}

async function checkChart() {
    const page = await open({ as: token });
    await waitDevices(page);
    const button = page.locator('#device-list button.device', { hasText: 'north-01' });
    await page.fill('#prefix', 'north-01');
    await comes(page.waitForFunction(() => document.querySelectorAll('#device-list tr').length === 1), 'the search finds one device');
    await button.click();
    is(await text(page, '#subject-title'), 'north-01', 'choosing a device shows it');
    await comes(page.waitForSelector('#chart canvas'), 'and its chart');
    await comes(waitText(page, '#chart-summary', /^Temperature of north-01 in the last 24 hours: .* between .*°C/), 'a sentence sums the chart up');
    await comes(waitText(page, '#subject-values', /°C.*%RH/), 'its values have units');
    ok(page.url().includes('device=north-01'), 'the address leads to the device', page.url());
    await page.selectOption('#metric', 'humidity');
    await comes(waitText(page, '#chart-summary', /^Humidity of .*%RH/), 'another metric can be chosen');
    await page.getByRole('radio', { name: '1 h', exact: true }).check();
    await comes(waitText(page, '#chart-summary', /in the last hour/), 'and another span');
    await page.locator('#hours-details summary').click();
    await comes(page.waitForSelector('#hours-list tr td'), 'the hours are there as a table');
    const toggle = page.locator('#legend [data-line=p99]');
    await toggle.click();
    is(await toggle.getAttribute('aria-pressed'), 'false', 'a line can be hidden');
    await page.reload();
    await comes(waitText(page, '#chart-summary', /^Humidity of north-01 in the last hour/), 'a reload shows the same');
    is(await page.inputValue('#prefix'), 'north-01', 'with the same filter');

    await page.fill('#prefix', 'no such device');
    await comes(waitText(page, '#devices-empty', /No device matches/), 'an empty result is explained');
    await page.fill('#prefix', '');
    await waitDevices(page);
    const [first] = await page.locator('#device-list button.device').allInnerTexts();
    if (await page.locator('#next').isEnabled()) {
        await page.click('#next');
        await comes(page.waitForFunction((old) => document.querySelector('#device-list button.device').textContent !== old, first), 'there is a next page');
        await page.click('#previous');
        await comes(page.waitForFunction((old) => document.querySelector('#device-list button.device').textContent === old, first), 'and a way back');
    } else skip('paging', 'all devices fit on a page');
    await page.click('#liveness-states [data-state=online]');
    await comes(page.waitForFunction(() => [...document.querySelectorAll('#device-list .state')].every((mark) => mark.dataset.state === 'online')), 'a state filters the list');
    is(await page.inputValue('#state'), 'online', 'and the filter shows it');
    await page.goBack();
    await comes(page.waitForFunction(() => document.getElementById('subject-title').textContent !== 'north-01' || !location.hash.includes('device=')), 'the back button leaves the device');
    await close(page);

    const gone = await open({ as: token, hash: '#device=not-there' });
    await comes(waitText(gone, '#subject-problem', /\w/), 'a device that is not known is explained');
    await close(gone);
}

async function checkKeyboard() {
    const page = await open({ as: token });
    await waitDevices(page);
    const focus = () => page.evaluate(() => {
        const element = document.activeElement;
        const shown = element.matches('.spans input') ? element.nextElementSibling : element;
        const style = getComputedStyle(shown);
        return { id: element.id, tag: element.tagName, isSeen: style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0 && style.visibility === 'visible' };
    });
    await page.keyboard.press('Tab');
    is((await focus()).id, 'skip', 'the first stop is a link past the head');
    await page.keyboard.press('Enter');
    is((await focus()).id, 'devices', 'which leads to the devices');
    await page.keyboard.press('Tab');
    is((await focus()).id, 'prefix', 'the search is next');
    await page.keyboard.type('north-01');
    await page.waitForFunction(() => document.querySelectorAll('#device-list tr').length === 1);
    for (let i = 0; i < 3; i++) await page.keyboard.press('Tab');
    ok(await page.evaluate(() => document.activeElement.matches('button.device')), 'then the filters, then the devices', await focus());
    await page.keyboard.press('Enter');
    await comes(waitText(page, '#chart-summary', /^Temperature of north-01/), 'Enter chooses a device');

    const unseen = [];
    const reached = new Set();
    for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        const now = await focus();
        if (now.tag === 'BODY') break;
        reached.add(now.id || now.tag);
        if (!now.isSeen) unseen.push(now);
    }
    ok(unseen.length === 0, 'each stop is seen', unseen);
    ok(['metric', 'chart', 'rejected-rows'].every((id) => reached.has(id)), 'the controls, the chart and the refused readings are stops', [...reached]);
    await page.focus('#chart');
    const before = await text(page, '#readout');
    for (let i = 0; i < 5; i++) await page.keyboard.press('ArrowLeft');
    const after = await text(page, '#readout');
    ok(before !== after && /mean/.test(after), 'arrow keys read the chart', { before, after });
    is(await page.getAttribute('#readout', 'aria-live'), 'polite', 'and a screen reader hears it');
    await page.keyboard.press('End');
    is(await text(page, '#readout'), before, 'End reads the newest point');
    await close(page);

    const narrow = await open({ as: token, size: kSizes[0] });
    await waitDevices(narrow);
    await narrow.locator('#device-list button.device').first().click();
    await comes(narrow.waitForFunction(() => document.activeElement.id === 'subject-title'), 'on a narrow screen the focus follows to the chart');
    await narrow.click('#back');
    ok(await narrow.evaluate(() => document.activeElement.matches('button.device')), 'and there is a way back to the list');
    await close(narrow);
}

async function checkRejected() {
    if (isMock || process.env.PAGE_TOKEN_IS_READER === '1') {
        const page = await open({ as: token });
        await comes(waitText(page, '#rejected-empty', /administrator/), 'a reader is told that an administrator may see refused readings');
        await close(page);
    } else skip('a reader may not see refused readings', 'PAGE_TOKEN_IS_READER is not 1');
    if (!adminToken) return skip('an administrator sees refused readings', 'no PAGE_ADMIN_TOKEN');
    const page = await open({ as: adminToken });
    await comes(waitText(page, '#rejected-list, #rejected-empty', /\w/), 'an administrator sees them, or that there is none');
    if (isMock) await comes(waitText(page, '#rejected-list', /TC003.*not a finite number/), 'with reasons');
    await comes(waitText(page, '#projection-list', /\w/), 'the projections have states');
    await comes(waitText(page, '#health', /Health: (ok|warning|error)/), 'the health is told');
    if (isMock) await comes(waitText(page, '#health-items', /Redis/), 'with what to do');
    await close(page);
}

async function checkReconnecting() {
    const page = await open({ as: token });
    const lastIds = [];
    page.on('request', (request) => {
        if (new URL(request.url()).pathname.endsWith('/events')) lastIds.push(request.headers()['last-event-id'] ?? null);
    });
    await waitLive(page);
    await waitText(page, '#rate', /^[\d,.]*[1-9]/);
    await page.context().setOffline(true);
    if (isMock) await mock('cut');
    else if (process.env.PAGE_CUT) execSync(process.env.PAGE_CUT, { stdio: 'ignore' });
    await comes(waitText(page, '#connection-state', /^Disconnected$/), 'a lost connection is told');
    await comes(waitText(page, '#connection-detail', /last update .* ago|updated now/), 'with the age of the figures');
    await comes(waitText(page, '#connection-detail', /trying again in/), 'and when it tries again');
    await comes(page.waitForFunction(() => document.body.classList.contains('stale')), 'old figures are greyed');
    await page.context().setOffline(false);
    await comes(waitLive(page), 'it connects again');
    await comes(page.waitForFunction(() => !document.body.classList.contains('stale')), 'and the figures are fresh');
    ok(lastIds.length > 0 && /^\d+(-\d+)?$/.test(lastIds.at(-1) ?? ''), 'it says by Last-Event-ID where it was', lastIds);
    if (isMock) {
        const { opened } = await fetch(new URL('mock/log', url)).then((answer) => answer.json());
        ok(opened.some(({ lastId }) => lastId !== null), 'the server got it', opened);

        await mock('down?on=1');
        await comes(waitText(page, '#connection-state', /^Disconnected$/), 'a server that is away is told');
        await comes(waitText(page, '#devices-problem', /busy or starting/), 'and why nothing comes');
        ok((await page.locator('#device-list tr:not(.blank)').count()) > 0, 'the devices stay on the screen');
        await mock('down?on=0');
        await comes(page.locator('#retry').click().then(() => waitLive(page)), '"Try now" connects');
        await comes(page.waitForFunction(() => document.getElementById('devices-problem').hidden), 'and the complaint goes');

        let asked = 0;
        page.on('request', (request) => {
            if (new URL(request.url()).pathname.endsWith('/devices')) asked += 1;
        });
        const offline = await page.locator('#liveness-states [data-state=offline] b').innerText();
        await mock('offline?device=west-02');
        await comes(page.waitForFunction((old) => Number(document.querySelector('#liveness-states [data-state=offline] b').textContent) === Number(old) + 1, offline), 'a device that goes offline is counted');
        await mock('lost');
        await mock('cut');
        asked = 0;
        await waitText(page, '#connection-state', /^(Connecting|Disconnected)$/);
        await waitLive(page);
        await comes(page.waitForFunction(() => true).then(async () => {
            const end = Date.now() + kDeadline;
            while (asked === 0 && Date.now() < end) await page.waitForFunction(() => true, null, { polling: 50 });
            if (asked === 0) throw new Error('no request');
        }), 'events that are lost are made up for by asking again');
    } else skip('a server that is away', 'only the mock server goes away on demand');
    await close(page);
}

async function checkFlood() {
    if (!isMock) return skip('a flood', 'only the mock server floods on demand');
    const page = await open({ as: token });
    await waitLive(page);
    await page.waitForSelector('#region-tiles button:not(:disabled)');
    await page.evaluate(() => {
        window.draws = 0;
        new MutationObserver(() => (window.draws += 1)).observe(document.getElementById('region-tiles'), { subtree: true, childList: true, characterData: true, attributes: true });
    });
    const begun = Date.now();
    for (let i = 0; i < 200; i++) await mock('flood?events=100');
    await comes(page.waitForFunction(() => Number(/peak ([\d,]+)/.exec(document.getElementById('rate-note').textContent)?.[1].replaceAll(',', '')) > 2000), 'a flood of events is counted');
    const seconds = (Date.now() - begun) / 1000;
    const draws = await page.evaluate(() => window.draws);
    ok(draws <= 8 * (seconds + 1), 'and is drawn a few times a second', { draws, seconds });
    // The stream comes in pieces that are cut anywhere.
    await mock('quiet?on=1');
    const { opened, next } = await fetch(new URL('mock/log', url)).then((answer) => answer.json());
    const sent = (next - opened.at(-1).first).toLocaleString('en');
    await comes(page.waitForFunction((events) => document.getElementById('connection').title.startsWith(`${events} readings`), sent, { timeout: 10_000 }), 'no event is missed');
    console.log(`# sent ${sent}, seen ${await page.getAttribute('#connection', 'title')}; ${draws} draws in ${seconds} s`);
    await mock('quiet?on=0');
    await close(page);
}

async function checkHostile() {
    const page = await open({ as: adminToken ?? token });
    await waitDevices(page);
    await page.fill('#prefix', '<');
    const isThere = await page.waitForFunction((id) => document.querySelector('#device-list button.device')?.textContent === id, kHostile, { timeout: isMock || sendToken ? kDeadline : 3000 }).then(() => true, () => false);
    if (!isThere && !isMock && !sendToken) {
        await close(page);
        return skip('a device id that is markup', `no device ${kHostile}`);
    }
    ok(isThere, 'a device id that is markup is shown as it is');
    await page.locator('#device-list button.device').first().click();
    is(await text(page, '#subject-title'), kHostile, 'also when it is chosen');
    await comes(waitText(page, '#chart-summary', /^Temperature of <img .* between/), 'and its chart comes');
    await waitText(page, '#region-tiles', /<svg/);
    await page.locator('#region-tiles button', { hasText: '<svg' }).click();
    await comes(waitText(page, '#subject-title', /^<svg onload/), 'the same for a region');
    await comes(page.waitForFunction((region) => document.getElementById('region').value === region, kHostileRegion), 'which filters the list');
    if (isMock) {
        await page.fill('#prefix', 'device&');
        await page.waitForFunction(() => document.querySelector('#device-list button.device')?.textContent.startsWith('device&'));
        await page.locator('#device-list button.device').first().click();
        await comes(waitText(page, '#chart-summary', /between/), 'an id with signs of an address is asked for as it is');
        await page.reload();
        await comes(waitText(page, '#subject-title', /^device&id=1#2\?x\/..\/y$/), 'and is in the address as it is');
        await comes(waitText(page, '#rejected-list', /<img src=x/), 'a reason that is markup is shown as it is');
    }
    is(await page.locator('img, iframe, object, main svg').count(), 0, 'no text became an element');
    is(await page.evaluate(() => window.hacked), undefined, 'and none was run');
    await close(page);
}

async function checkLayout() {
    for (const size of kSizes) {
        const page = await open({ as: adminToken ?? token, size });
        await waitDevices(page);
        await waitLive(page);
        await page.waitForSelector('#chart canvas');
        await waitText(page, '#projection-list', /\w/);
        const shift = await page.evaluate(() => window.shift);
        ok(shift < 0.02, `${size.join('x')}: nothing moves while it loads`, shift);
        const width = await page.evaluate(() => Math.max(document.documentElement.scrollWidth, document.body.scrollWidth));
        ok(width <= size[0], `${size.join('x')}: no scrolling to the side`, width);
        const cut = await page.evaluate(() => [...document.querySelectorAll('button, h1, h2, h3, .figure, dd, .tile .now')].filter((element) => element.offsetParent && !element.closest('.tiles') && element.getBoundingClientRect().right > innerWidth + 1).map((element) => element.outerHTML.slice(0, 80)));
        is(cut.length, 0, `${size.join('x')}: nothing is cut off`);
        if (process.env.PAGE_SHOTS) {
            for (const scheme of ['light', 'dark']) {
                await page.emulateMedia({ colorScheme: scheme });
                await page.screenshot({ path: `${process.env.PAGE_SHOTS}/${size[0]}-${scheme}.png`, fullPage: true });
            }
        }
        await close(page);
    }
}

async function checkBytes() {
    const page = await open({ address: 'about:blank' });
    const network = await page.context().newCDPSession(page);
    await network.send('Network.enable');
    let bytes = 0;
    const hosts = new Set();
    network.on('Network.requestWillBeSent', ({ request }) => hosts.add(new URL(request.url).origin));
    network.on('Network.loadingFinished', ({ encodedDataLength }) => (bytes += encodedDataLength));
    await page.addInitScript((held) => location.protocol !== 'about:' && sessionStorage.setItem('telemetry.token', held), token);
    await page.goto(url);
    await waitDevices(page);
    await page.waitForSelector('#chart canvas');
    await waitText(page, '#projection-list', /\w/);
    ok(bytes > 10_000 && bytes < 150_000, 'the page and its first answers are less than 150 kB', bytes);
    console.log(`# ${bytes} bytes`);
    const others = [...hosts].filter((host) => host !== new URL(url).origin && host !== 'null');
    is(others.length, 0, 'nothing is asked of another host', others);
    await close(page);
}

async function checkPolicy() {
    is(violations.length, 0, 'the page violates its content security policy nowhere');
    if (violations.length) console.log(`# ${violations.join('\n# ')}`);
    is(complaints.length, 0, 'the console has no errors');
    if (complaints.length) console.log(`# ${complaints.join('\n# ')}`);

    const page = await open({ as: token });
    await page.evaluate(() => {
        const script = document.createElement('script');
        try {
            script.textContent = 'window.hacked = 1';
            document.body.append(script);
        } catch {
            // Trusted types refuse it before the policy does.
        }
        try {
            document.body.insertAdjacentHTML('beforeend', '<img src="x" onerror="window.hacked=1">');
        } catch {
            // The same.
        }
    });
    await comes(page.waitForFunction(() => true), 'a script that was put into the page');
    is(await page.evaluate(() => window.hacked), undefined, 'does not run, for the policy forbids it');
    await close(page);
}

async function checkAccessibility() {
    for (const size of [kSizes[0], kSizes[2]]) {
        for (const scheme of ['light', 'dark']) {
            const page = await open({ as: adminToken ?? token, size, scheme });
            await waitDevices(page);
            await page.waitForSelector('#chart canvas');
            await waitText(page, '#projection-list', /\w/);
            await page.locator('#stats-details summary').click();
            await examine(page, `${size[0]} ${scheme}`);
            await page.click('#sign');
            await page.waitForSelector('#sign-in[open]');
            await examine(page, `${size[0]} ${scheme}, signing in`);
            await close(page);
        }
    }
    const page = await open({ as: token });
    is(await page.locator('main').count(), 1, 'there is one main landmark');
    is(await page.locator('h1').count(), 1, 'and one first heading');
    is(await page.locator('table:not(:has(caption))').count(), 0, 'each table has a caption');
    await close(page);
}

async function examine(page, name) {
    await page.evaluate(axe);
    const result = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'] }));
    const told = result.violations.map((violation) => `${violation.impact}: ${violation.id}: ${violation.nodes.slice(0, 3).map((node) => node.html.slice(0, 120)).join(' | ')}`);
    const serious = told.filter((violation) => /^(serious|critical)/.test(violation));
    ok(serious.length === 0, `${name}: axe-core sees no serious violation`, serious.join('\n'));
    for (const violation of told.filter((other) => !serious.includes(other))) console.log(`# ${name}: ${violation}`);
}

async function checkTheme() {
    const page = await open({ as: token, scheme: 'dark' });
    const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    const dark = await background();
    await page.click('#theme');
    const light = await background();
    ok(dark !== light, 'the colours can be changed', { dark, light });
    await page.reload();
    is(await background(), light, 'and stay so');
    await close(page);
}

async function checkEmpty() {
    if (!emptyUrl) return skip('a fleet without a device', 'no PAGE_EMPTY_URL');
    const page = await open({ address: emptyUrl });
    await comes(waitText(page, '#devices-empty', /No device is known yet/), 'without a token where none is needed, and without a device, it says so');
    await comes(waitText(page, '#regions-note', /No reading has come yet/), 'there is no region');
    await comes(waitText(page, '#sink-list', /No relay is set up/), 'and no relay');
    is(await text(page, '#sign'), 'Sign in', 'one can sign in');
    is(await page.locator('#chart-empty').isVisible(), true, 'the chart says that there is nothing');
    await page.click('#sign');
    await page.fill('#token', 'reader');
    await page.keyboard.press('Enter');
    await comes(waitText(page, '#sign', /Sign out/), 'with a token, too');
    await page.click('#sign');
    await page.waitForSelector('#sign-in[open]');
    await page.keyboard.press('Escape');
    await comes(waitLive(page), 'a user who signs out and gives no token goes on without one');
    await close(page);
}

(async () => {
    browser = await chromium.launch({
        executablePath: process.env.PAGE_CHROMIUM ?? '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run'],
    });
    try {
        await feed();
        const checks = { checkSigningIn, checkLive, checkChart, checkKeyboard, checkRejected, checkHostile, checkLayout, checkBytes, checkTheme, checkEmpty, checkFlood, checkReconnecting, checkAccessibility, checkPolicy };
        for (const [name, check] of Object.entries(checks)) {
            if (process.argv[2] && !process.argv.slice(2).includes(name)) continue;
            try {
                await check();
            } catch (error) {
                ok(false, `${name} went through`, String(error.stack));
            }
        }
    } finally {
        clearInterval(feeding);
        await browser.close();
    }
    console.log(`1..${count}`);
    process.exitCode = failures ? 1 : 0;
})();

// Puts the parts of the page together: what is selected, what is asked how often, and what the stream brings.

import { ApiError, explained, get, observe, serverNow } from './api';
import type { Status } from './contract';
import { DeviceList, type Filters } from './devices';
import { byId, setAttribute, setNotice, setText } from './element';
import { EventStream, type StreamState } from './event_stream';
import { clearCards, LivenessCard, RateCard, showIngest, showLag } from './fleet';
import { count, duration } from './format';
import { LiveEvents, type Round } from './live_events';
import { Poller } from './poller';
import { clearProcessing, loadHealth, loadStatus } from './processing';
import { RegionTiles } from './regions';
import { RejectedReadings } from './rejected';
import { readSelection, writeSelection, type Selection, type Subject } from './selection';
import { forgetToken, token } from './session';
import { SignIn } from './sign_in';
import { SubjectPanel } from './subject';
import { mountTheme } from './theme';

// Figures that are older than this are greyed.
const kStaleMs = 20_000;
// A hidden page gives its connection back after this time.
const kHiddenMs = 60_000;

let selection = readSelection();
let isActive = false;
let lastAnswerAt = 0;
let liveSince: number | null = null;
let isDefaultWanted = true;

const rate = new RateCard();
const liveness = new LivenessCard((state) => changeFilters({ ...filtersOf(selection), state }));
const rejected = new RejectedReadings();
const regions = new RegionTiles(chooseRegion, (names, busiest) => {
    devices.setRegions(names);
    // Without a choice, the chart of the busiest region is a good beginning.
    if (isDefaultWanted && !selection.subject && busiest) show({ ...selection, subject: { kind: 'region', name: busiest } }, false, false);
    isDefaultWanted = false;
    subject.takeRegions();
});
const devices = new DeviceList(changeFilters, () => devicePoller.now(true), (device) => choose({ kind: 'device', name: device }));
const subject = new SubjectPanel(
    (part) => show({ ...selection, ...part }, false),
    () => {
        devices.focusChosen();
        byId('devices').scrollIntoView({ block: 'start' });
    },
    (region) => regions.statsOf(region),
);

const devicePoller = new Poller(5_000, async (signal) => {
    await devices.load(signal);
    showSubjectState();
});
const livenessPoller = new Poller(5_000, (signal) => liveness.load(signal));
const pollers = [
    livenessPoller,
    devicePoller,
    new Poller(5_000, (signal) => regions.load(signal)),
    new Poller(3_000, async (signal) => showStatus(await loadStatus(signal))),
    new Poller(15_000, (signal) => loadHealth(signal)),
    new Poller(20_000, (signal) => rejected.load(signal)),
];

// --- events ----------------------------------------------------------------------------------------------------------------

const live = new LiveEvents(takeRound);
const stream = new EventStream(
    (state) => {
        liveSince = state === 'live' ? Date.now() : null;
        showConnection(state);
    },
    (resumed) => live.opened(resumed),
    (message) => live.take(message),
);

function takeRound(round: Round): void {
    devices.take(round.readings, round.transitions);
    regions.take(round.readings);
    subject.take(round.readings);
    if (round.transitions.length > 0) livenessPoller.now();
    if (round.lost) for (const poller of pollers) poller.now();
    showSubjectState();
    showRate();
}

function showStatus(status: Status): void {
    showLag(status);
    showIngest(status);
    rate.takeStatus(status);
}

function showRate(): void {
    if (isActive) rate.show(live.rate, serverNow(), liveSince === null ? null : Date.now() - liveSince);
}

function showSubjectState(): void {
    const chosen = selection.subject;
    if (chosen?.kind !== 'device') return subject.showState('');
    const row = devices.rowOf(chosen.name);
    if (row) subject.showState(row.state);
}

// --- what is selected ------------------------------------------------------------------------------------------------------

function filtersOf(of: Selection): Filters {
    return { prefix: of.prefix, region: of.region, state: of.state };
}

function show(next: Selection, isStep: boolean, isWritten = true): void {
    selection = next;
    if (isWritten) writeSelection(next, isStep);
    devices.setFilters(filtersOf(next));
    devices.choose(next.subject?.kind === 'device' ? next.subject.name : '');
    liveness.press(next.state);
    regions.press(next.region);
    subject.select(next);
    showSubjectState();
}

function changeFilters(filters: Filters): void {
    show({ ...selection, ...filters }, false);
    devicePoller.now(true);
}

function choose(chosen: Subject): void {
    isDefaultWanted = false;
    show({ ...selection, subject: chosen, metric: chosen.kind === 'device' ? selection.metric : 'temperature' }, true);
    // On a narrow screen the chart is below the list.
    if (byId('subject').offsetTop > byId('devices').offsetTop) {
        byId('subject').scrollIntoView({ block: 'start' });
        subject.focus();
    }
}

// A region that is pressed again is no filter any more.
function chooseRegion(region: string): void {
    isDefaultWanted = false;
    if (selection.region === region) return changeFilters({ ...filtersOf(selection), region: '' });
    show({ ...selection, region, subject: { kind: 'region', name: region } }, true);
    devicePoller.now(true);
}

window.addEventListener('popstate', () => {
    show(readSelection(), false, false);
    devicePoller.now(true);
});

// --- signing in and out ----------------------------------------------------------------------------------------------------

// A server may let readers in without a token, so a user who gives none goes on if it does.
let isTrying = false;
const signIn = new SignIn(activate, () => {
    isTrying = true;
    get('liveness')
        .then(activate, () => {})
        .finally(() => (isTrying = false));
});

observe({
    answer: () => (lastAnswerAt = Date.now()),
    unauthorized: () => {
        if (signIn.isOpen || isTrying) return;
        const why = token() ? 'The token is not accepted any more. It may have ended.' : '';
        deactivate();
        forgetToken();
        signIn.ask(why);
    },
});

function activate(): void {
    isActive = true;
    for (const poller of pollers) poller.start();
    subject.start();
    stream.start();
    showSign();
}

// Shows nothing of the data any more.
function deactivate(): void {
    isActive = false;
    for (const poller of pollers) poller.stop();
    subject.stop();
    stream.stop(true);
    live.clear();
    lastAnswerAt = 0;
    rate.clear();
    clearCards();
    liveness.clear();
    regions.clear();
    devices.clear();
    rejected.clear();
    clearProcessing();
    subject.clear();
    isDefaultWanted = true;
    showSign();
    showConnection(stream.state);
}

function showSign(): void {
    setText(byId('sign'), token() ? 'Sign out' : 'Sign in');
}

byId('sign').addEventListener('click', () => {
    if (!token()) return signIn.ask('');
    deactivate();
    forgetToken();
    showSign();
    show({ subject: null, metric: 'temperature', span: selection.span, prefix: '', region: '', state: '' }, false);
    subject.clear();
    signIn.ask('');
});

// --- the connection --------------------------------------------------------------------------------------------------------

function showConnection(state: StreamState): void {
    const isLost = state === 'waiting' || (state === 'connecting' && lastAnswerAt > 0 && Date.now() - lastAnswerAt > kStaleMs);
    const [text, tone] = !isActive
        ? ['Signed out', 'idle']
        : state === 'live'
          ? ['Live', 'good']
          : state === 'refused'
            ? ['Without live events', 'warn']
            : isLost
              ? ['Disconnected', 'bad']
              : ['Connecting', 'idle'];
    setText(byId('connection-state'), text);
    setAttribute(byId('connection'), 'data-tone', tone);
    byId('retry').hidden = !(isActive && state === 'waiting');
    showConnectionDetail();
}

function showConnectionDetail(): void {
    const last = Math.max(live.lastAt, lastAnswerAt);
    const since = (Date.now() - last) / 1000;
    const update = last === 0 || !isActive ? '' : since < 2 ? 'updated now' : `last update ${duration(since)} ago`;
    const next = stream.state === 'waiting' ? `trying again in ${duration(Math.max(1, Math.ceil((stream.retryAt - Date.now()) / 1000)))}` : '';
    setAttribute(byId('connection'), 'title', isActive ? `${count(live.total)} readings have come live` : null);
    setText(byId('connection-detail'), [update, next].filter(Boolean).join(', '));
    document.body.classList.toggle('stale', isActive && last > 0 && Date.now() - last > kStaleMs);
}

byId('retry').addEventListener('click', () => {
    stream.retryNow();
    for (const poller of pollers) poller.now();
});

window.addEventListener('online', () => stream.retryNow());

let hiddenTimer: number | undefined;
let isResting = false;
document.addEventListener('visibilitychange', () => {
    clearTimeout(hiddenTimer);
    if (document.hidden) {
        hiddenTimer = window.setTimeout(() => {
            isResting = true;
            stream.stop(true);
        }, kHiddenMs);
    } else if (isResting) {
        isResting = false;
        live.rate.clear();
        if (isActive) stream.start();
    }
});

// --- the rest --------------------------------------------------------------------------------------------------------------

byId('skip').addEventListener('click', (event) => {
    event.preventDefault();
    byId('devices').focus();
    byId('devices').scrollIntoView({ block: 'start' });
});

byId('health').addEventListener('click', (event) => {
    event.preventDefault();
    byId('processing').focus();
    byId('processing').scrollIntoView({ block: 'start' });
});

mountTheme(() => {
    rate.redraw();
    showRate();
    subject.redraw();
});

window.addEventListener('error', (event) => setNotice(byId('notice'), `The page has a fault: ${explained(event.error)} Reload it to go on.`));

setInterval(() => {
    showRate();
    showConnectionDetail();
    if (document.hidden || !isActive) return;
    devices.tick();
    regions.tick();
    rejected.tick();
    subject.tick();
}, 1000);

show(selection, false, false);
document.body.classList.remove('loading');
// Without a token one question tells whether the server wants one.
if (token()) activate();
else get('liveness').then(activate, (error: unknown) => error instanceof ApiError && error.status === 401 || activate());

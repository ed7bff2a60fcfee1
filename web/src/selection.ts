// What the page shows: the chosen device or region, the metric, the span and the filters of the list. The fragment of the address
// holds it, so that a link leads to the same view and the back button works.

export interface Subject {
    kind: 'device' | 'region';
    name: string;
}

export interface Selection {
    subject: Subject | null;
    metric: string;
    span: string;
    prefix: string;
    region: string;
    state: string;
}

export const kSpans = [
    { name: '1h', label: '1 h', words: 'hour', seconds: 3600 },
    { name: '6h', label: '6 h', words: '6 hours', seconds: 6 * 3600 },
    { name: '24h', label: '24 h', words: '24 hours', seconds: 24 * 3600 },
    { name: '7d', label: '7 d', words: '7 days', seconds: 7 * 24 * 3600 },
] as const;

const kDefaults = { metric: 'temperature', span: '24h', prefix: '', region: '', state: '' };

export function readSelection(): Selection {
    const hash = new URLSearchParams(location.hash.slice(1));
    const device = hash.get('device');
    const region = hash.get('chart');
    return {
        subject: device ? { kind: 'device', name: device } : region ? { kind: 'region', name: region } : null,
        metric: hash.get('metric') || kDefaults.metric,
        span: kSpans.some((span) => span.name === hash.get('span')) ? hash.get('span')! : kDefaults.span,
        prefix: hash.get('prefix') ?? '',
        region: hash.get('region') ?? '',
        state: hash.get('state') ?? '',
    };
}

// A new subject is a step of the history; other changes replace the present one.
export function writeSelection(selection: Selection, isStep: boolean): void {
    const hash = new URLSearchParams();
    if (selection.subject) hash.set(selection.subject.kind === 'device' ? 'device' : 'chart', selection.subject.name);
    for (const [name, standard] of Object.entries(kDefaults)) {
        const value = selection[name as keyof typeof kDefaults];
        if (value !== standard) hash.set(name, value);
    }
    const text = hash.toString();
    const address = text ? `#${text}` : location.pathname + location.search;
    if (isStep) history.pushState(null, '', address);
    else history.replaceState(null, '', address);
}

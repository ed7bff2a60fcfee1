// Light or dark: as the system has it, until the user chooses. index.html applies the choice before the first paint.

import { byId, setAttribute, setText } from './element';

const kKey = 'telemetry.theme';
const system = matchMedia('(prefers-color-scheme: dark)');

function isDark(): boolean {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === 'dark' : system.matches;
}

// Calls `onChange` whenever the colours have changed.
export function mountTheme(onChange: () => void): void {
    const button = byId<HTMLButtonElement>('theme');
    const show = () => {
        setText(button, isDark() ? 'Light' : 'Dark');
        setAttribute(button, 'aria-label', isDark() ? 'Use light colours' : 'Use dark colours');
    };
    button.addEventListener('click', () => {
        const next = isDark() ? 'light' : 'dark';
        document.documentElement.dataset.theme = next;
        try {
            localStorage.setItem(kKey, next);
        } catch {
            // The choice holds until the page is left.
        }
        show();
        onChange();
    });
    system.addEventListener('change', () => {
        show();
        onChange();
    });
    show();
}

export function colour(name: string): string {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

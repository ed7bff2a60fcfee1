// Keeps the token: in this tab, or on this device if the user chose that. Where the browser allows no storage, it is kept until the
// page is left.

const kKey = 'telemetry.token';
let kept: string | null = null;

function storages(): Storage[] {
    try {
        return [sessionStorage, localStorage];
    } catch {
        return [];
    }
}

export function token(): string | null {
    for (const storage of storages()) {
        const found = storage.getItem(kKey);
        if (found) return found;
    }
    return kept;
}

export function keepToken(value: string, onThisDevice: boolean): void {
    forgetToken();
    kept = value;
    try {
        (onThisDevice ? localStorage : sessionStorage).setItem(kKey, value);
    } catch {
        // The page goes on with the copy in memory.
    }
}

export function forgetToken(): void {
    kept = null;
    for (const storage of storages()) storage.removeItem(kKey);
}

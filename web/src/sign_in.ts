// The dialog that asks for the token.

import { ApiError, explained, get } from './api';
import { byId, setText } from './element';
import { forgetToken, keepToken } from './session';

export class SignIn {
    private readonly dialog = byId<HTMLDialogElement>('sign-in');
    private readonly field = byId<HTMLInputElement>('token');

    private isAccepted = false;

    // `onDone` is called when a token has been accepted, `onCancel` when the user gave none.
    constructor(onDone: () => void, onCancel: () => void) {
        byId('sign-in-form').addEventListener('submit', async (event) => {
            event.preventDefault();
            const token = this.field.value.trim();
            if (!token) return this.fail('Enter a token.');
            if (/[^\x21-\x7e]/.test(token)) return this.fail('A token has no spaces and no special letters.');
            const submit = byId<HTMLButtonElement>('sign-in-submit');
            submit.disabled = true;
            keepToken(token, byId<HTMLInputElement>('remember').checked);
            try {
                await get('liveness');
            } catch (error) {
                // A token that may read only a part of the page is a good token.
                if (!(error instanceof ApiError && error.status === 403)) {
                    forgetToken();
                    return this.fail(error instanceof ApiError && error.status === 401 ? 'This token is not accepted. It may be wrong, or it has ended.' : explained(error));
                }
            } finally {
                submit.disabled = false;
            }
            this.isAccepted = true;
            this.dialog.close();
            onDone();
        });
        byId('sign-in-cancel').addEventListener('click', () => this.dialog.close());
        this.dialog.addEventListener('close', () => {
            this.field.value = '';
            if (!this.isAccepted) onCancel();
        });
    }

    get isOpen(): boolean {
        return this.dialog.open;
    }

    ask(why: string): void {
        if (this.dialog.open) return;
        this.isAccepted = false;
        setText(byId('sign-in-problem'), why);
        this.field.removeAttribute('aria-invalid');
        this.dialog.showModal();
        this.field.focus();
    }

    private fail(why: string): void {
        setText(byId('sign-in-problem'), why);
        this.field.setAttribute('aria-invalid', 'true');
        this.field.focus();
        this.field.select();
    }
}

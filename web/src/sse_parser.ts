// Splits a text/event-stream into messages. Feed it the text as it comes; it may be cut anywhere.

export interface Message {
    event: string;
    id: string;
    data: string;
}

export class SseParser {
    private rest = '';
    private event = '';
    private data: string | null = null;
    private id = '';
    retryMs: number | null = null;

    // Calls `onMessage` for each message that is complete.
    feed(text: string, onMessage: (message: Message) => void): void {
        const all = this.rest + text;
        let begin = 0;
        for (;;) {
            let end = all.indexOf('\n', begin);
            const carriage = all.indexOf('\r', begin);
            let next: number;
            if (carriage >= 0 && (end < 0 || carriage < end)) {
                if (carriage + 1 === all.length) break; // a line feed may follow
                end = carriage;
                next = all[carriage + 1] === '\n' ? carriage + 2 : carriage + 1;
            } else if (end >= 0) {
                next = end + 1;
            } else {
                break;
            }
            this.line(all.slice(begin, end), onMessage);
            begin = next;
        }
        this.rest = all.slice(begin);
    }

    private line(line: string, onMessage: (message: Message) => void): void {
        if (line === '') {
            if (this.data !== null) onMessage({ event: this.event || 'message', id: this.id, data: this.data });
            this.event = '';
            this.data = null;
            return;
        }
        const colon = line.indexOf(':');
        if (colon === 0) return; // a comment
        const field = colon < 0 ? line : line.slice(0, colon);
        const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
        if (field === 'data') this.data = this.data === null ? value : `${this.data}\n${value}`;
        else if (field === 'event') this.event = value;
        else if (field === 'id' && !value.includes('\0')) this.id = value;
        else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value);
    }
}

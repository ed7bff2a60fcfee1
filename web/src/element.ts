// Makes and changes elements. Texts get into the page by textContent and attributes only, so no text can become markup.

type Attributes = Record<string, string | boolean | null | undefined>;

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Attributes = {}, ...children: (Node | string)[]): HTMLElementTagNameMap[K] {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (value === true) element.setAttribute(name, '');
        else if (typeof value === 'string') element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
}

// Returns an element of index.html, which has it.
export function byId<T extends HTMLElement = HTMLElement>(id: string): T {
    const element = document.getElementById(id);
    if (!element) throw new Error(`no element ${id}`);
    return element as T;
}

// Writes only what differs, so that selections stay and screen readers hear no repeats.
export function setText(element: Element, text: string): void {
    if (element.textContent !== text) element.textContent = text;
}

export function setAttribute(element: Element, name: string, value: string | null): void {
    if (value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

// Shows a text, or hides the element if there is none.
export function setNotice(element: HTMLElement, text: string): void {
    setText(element, text);
    element.hidden = text === '';
}

// Makes the list have `length` children; `build` makes one that is missing.
export function fit<T extends Element>(list: Element, length: number, build: (index: number) => T): T[] {
    while (list.children.length > length) list.lastElementChild!.remove();
    while (list.children.length < length) list.append(build(list.children.length));
    return [...list.children] as T[];
}

// Builds the page as one file, dist/page.html. Script and style are in the file, and a content security policy names their digests,
// so that the browser runs and applies nothing else.
import { createHash } from 'node:crypto';
import { defineConfig } from 'vite';

const digestOf = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

const contentsOf = (html, element) => [...html.matchAll(new RegExp(`<${element}\\b[^>]*>([^]*?)</${element}>`, 'g'))].map((match) => match[1]);

function oneFile() {
    return {
        name: 'one-file',
        enforce: 'post',
        generateBundle(_, bundle) {
            const page = bundle['index.html'];
            let html = String(page.source).replace(/^\s+/gm, '');
            for (const [name, item] of Object.entries(bundle)) {
                if (item === page) continue;
                const isScript = item.type === 'chunk';
                const text = String(isScript ? item.code : item.source).trim();
                // The tag that names the file gives way to the text of the file.
                const tag = isScript ? new RegExp(`<script\\b[^>]*src="[^"]*${name}"[^>]*></script>`) : new RegExp(`<link\\b[^>]*href="[^"]*${name}"[^>]*>`);
                if (!tag.test(html)) this.error(`index.html does not use ${name}`);
                html = html.replace(tag, '');
                const inline = isScript ? `<script type="module">${text.replaceAll('</script', '<\\/script')}</script>` : `<style>${text}</style>`;
                const mark = isScript ? '</body>' : '</head>';
                html = html.replace(mark, () => inline + mark);
                delete bundle[name];
            }
            const policy = [
                "default-src 'none'",
                `script-src ${contentsOf(html, 'script').map(digestOf).join(' ')}`,
                `style-src ${contentsOf(html, 'style').map(digestOf).join(' ')}`,
                "connect-src 'self'",
                'img-src data:',
                "base-uri 'none'",
                "form-action 'none'",
                "require-trusted-types-for 'script'",
                "trusted-types 'none'",
            ].join('; ');
            page.source = html.replace('%POLICY%', () => policy);
            page.fileName = 'page.html';
        },
    };
}

export default defineConfig({
    base: './',
    build: { target: 'es2022', modulePreload: false, cssCodeSplit: false, assetsInlineLimit: 0, reportCompressedSize: false },
    plugins: [oneFile()],
});

import { fileURLToPath } from 'node:url';
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * Serves only the page, in a browser: `npx vite --config src-renderer/dev/vite.config.ts`, then /dev/index.html?scenario=demo. With
 * `vite build` it builds the page as the product's own build does; nothing in this folder becomes part of the product.
 */
export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  base: './',
  plugins: [react()],
  server: { host: '127.0.0.1', port: 5199, strictPort: true },
  build: {
    target: 'chrome130',
    outDir: process.env['PAGE_OUT'] ?? fileURLToPath(new URL('../../out/page', import.meta.url)),
    emptyOutDir: true,
    modulePreload: { polyfill: false },
  },
});

import path from 'node:path';
import type { BrowserWindowConstructorOptions, Session, WebContents } from 'electron';

/** Scheme and origin of the page; nothing else is ever loaded. */
export const APP_SCHEME = 'app';
export const APP_ORIGIN = 'app://lago';
export const APP_URL = `${APP_ORIGIN}/index.html`;

/**
 * Sent with every response of the app:// protocol. Inline style is allowed because xterm creates style elements; inline script and
 * network access are not.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self'",
  "connect-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Hosts whose https pages open in the browser without asking. */
const KNOWN_HOSTS: ReadonlySet<string> = new Set(['libvirt.org', 'lago.readthedocs.io', 'www.qemu.org']);

const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.woff2': 'font/woff2',
  '.woff': 'font/woff',
};

/** Options of every window: sandboxed, isolated, without Node, with the given preload script. */
export function windowOptions(preload: string): BrowserWindowConstructorOptions {
  return {
    width: 1280,
    height: 820,
    minWidth: 720,
    minHeight: 480,
    show: false,
    autoHideMenuBar: true,
    title: 'Lago Desktop',
    webPreferences: {
      preload,
      sandbox: true,
      contextIsolation: true,
      nodeIntegration: false,
      nodeIntegrationInWorker: false,
      nodeIntegrationInSubFrames: false,
      webSecurity: true,
      webviewTag: false,
      allowRunningInsecureContent: false,
      navigateOnDragDrop: false,
      spellcheck: false,
    },
  };
}

/**
 * The bundle file that an app:// address refers to; undefined for another host or for a path that leaves the bundle folder after
 * decoding.
 */
export function assetPath(bundle: string, address: string): string | undefined {
  const url = safeUrl(address);
  if (url === undefined || url.protocol !== `${APP_SCHEME}:` || url.host !== new URL(APP_ORIGIN).host) return undefined;
  let name: string;
  try {
    name = decodeURIComponent(url.pathname);
  } catch {
    return undefined; // malformed percent escapes name no file
  }
  if (name.includes('\0')) return undefined;
  const file = path.resolve(bundle, `.${path.posix.normalize(name)}`);
  return file.startsWith(bundle + path.sep) ? file : undefined;
}

function safeUrl(address: string): URL | undefined {
  return URL.canParse(address) ? new URL(address) : undefined;
}

/** Response headers for the file `name`. */
export function assetHeaders(name: string): Record<string, string> {
  return {
    'content-type': CONTENT_TYPES[path.extname(name)] ?? 'application/octet-stream',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': 'no-cache',
  };
}

/** The part of a frame that is checked. */
export interface SenderFrame {
  readonly url: string;
  readonly parent: unknown;
}

/** Whether a message comes from the main frame of one of our windows while it shows our page. False without a frame or address. */
export function isTrustedSender(frame: SenderFrame | null | undefined, origin: string = APP_ORIGIN): boolean {
  if (frame === null || frame === undefined || frame.parent !== null) return false;
  const url = safeUrl(frame.url);
  if (url === undefined) return false;
  // Node's URL gives a custom scheme the opaque origin "null", so compare scheme and host.
  const own = new URL(origin);
  return url.protocol === own.protocol && url.host === own.host;
}

/** Permissions that the page may use; all others are denied. */
export function isPermitted(permission: string): boolean {
  return permission === 'clipboard-sanitized-write';
}

/** How to treat a link out of the page: open it, ask the user first, or refuse. */
export function linkPolicy(address: string): 'open' | 'ask' | 'refuse' {
  const url = safeUrl(address);
  // A forward to a VM's web server.
  if (url?.protocol === 'http:' && url.hostname === '127.0.0.1' && url.username === '' && url.password === '') return 'ask';
  if (url === undefined || url.protocol !== 'https:' || url.username !== '' || url.password !== '') return 'refuse';
  return KNOWN_HOSTS.has(url.hostname) && url.port === '' ? 'open' : 'ask';
}

/** Whether the session may load an address: the bundle, or what the page itself created. */
export function isLoadable(address: string, origin: string = APP_ORIGIN): boolean {
  const url = safeUrl(address);
  if (url === undefined) return false;
  const own = new URL(origin);
  if (url.host === own.host && (url.protocol === own.protocol || (own.protocol === 'http:' && url.protocol === 'ws:'))) return true;
  return ['data:', 'blob:', 'devtools:'].includes(url.protocol);
}

/** Denies permissions and devices, and every request that is not for the bundle. */
export function guardSession(session: Session, origin: string = APP_ORIGIN): void {
  session.setPermissionRequestHandler((_contents, permission, answer) => answer(isPermitted(permission)));
  session.setPermissionCheckHandler((_contents, permission) => isPermitted(permission));
  session.setDevicePermissionHandler(() => false);
  session.webRequest.onBeforeRequest((details, answer) => answer({ cancel: !isLoadable(details.url, origin) }));
}

/** Keeps a window on our page: no navigation, redirect, webview or second window. */
export function guardContents(contents: WebContents, openLink: (address: string) => void): void {
  contents.on('will-navigate', (event) => event.preventDefault());
  contents.on('will-redirect', (event) => event.preventDefault());
  contents.on('will-frame-navigate', (event) => event.preventDefault());
  contents.on('will-attach-webview', (event) => event.preventDefault());
  contents.setWindowOpenHandler(({ url }) => {
    openLink(url);
    return { action: 'deny' };
  });
}

import { describe, expect, test } from 'vitest';
import {
  APP_URL,
  assetHeaders,
  assetPath,
  CONTENT_SECURITY_POLICY,
  isLoadable,
  isPermitted,
  isTrustedSender,
  linkPolicy,
  windowOptions,
} from './security.ts';

test('windows are sandboxed, isolated and without Node', () => {
  const { webPreferences, show } = windowOptions('/app/preload.cjs');
  expect(show).toBe(false);
  expect(webPreferences).toEqual({
    preload: '/app/preload.cjs',
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
  });
});

test('the content policy allows own scripts only and no network', () => {
  const directives = new Map(CONTENT_SECURITY_POLICY.split('; ').map((text) => [text.split(' ')[0], text]));
  expect(directives.get('default-src')).toBe("default-src 'none'");
  expect(directives.get('script-src')).toBe("script-src 'self'");
  expect(directives.get('connect-src')).toBe("connect-src 'none'");
  expect(directives.get('frame-ancestors')).toBe("frame-ancestors 'none'");
  expect(CONTENT_SECURITY_POLICY).not.toContain('unsafe-eval');
  expect(assetHeaders('/b/index.html')).toMatchObject({
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': CONTENT_SECURITY_POLICY,
    'x-content-type-options': 'nosniff',
  });
});

describe('assetPath', () => {
  test.each([
    ['app://lago/index.html', '/bundle/index.html'],
    ['app://lago/assets/a%20b.js?x#y', '/bundle/assets/a b.js'],
    ['app://lago/../../etc/passwd', '/bundle/etc/passwd'],
  ])('%s is a file of the bundle', (address, file) => {
    expect(assetPath('/bundle', address)).toBe(file);
  });

  test.each([
    'app://lago/',
    'app://other/index.html',
    'file:///etc/passwd',
    'https://lago/index.html',
    'app://lago/%2e%2e%2f%2e%2e%2fetc/passwd%00.js',
    'app://lago/%ff',
    'nonsense',
  ])('%s is none', (address) => {
    expect(assetPath('/bundle', address)).toBeUndefined();
  });

  test.each(['app://lago/..%2f..%2fetc%2fpasswd', 'app://lago/%2e%2e/%2e%2e/etc/passwd', 'app://lago/a/..%2f..%2f..%2fbundle-other/x'])(
    '%s does not leave the bundle',
    (address) => {
      const file = assetPath('/bundle', address);
      expect(file === undefined || file.startsWith('/bundle/')).toBe(true);
    },
  );
});

describe('isTrustedSender', () => {
  test('takes the main frame of our page', () => {
    expect(isTrustedSender({ url: APP_URL, parent: null })).toBe(true);
    expect(isTrustedSender({ url: `${APP_URL}?x#y`, parent: null })).toBe(true);
    expect(isTrustedSender({ url: 'http://localhost:5173/', parent: null }, 'http://localhost:5173')).toBe(true);
  });

  test.each([
    ['a sub-frame', { url: APP_URL, parent: {} }],
    ['an absent address', { url: '', parent: null }],
    ['a foreign origin', { url: 'https://example.invalid/app://lago/', parent: null }],
    ['a look-alike host', { url: 'app://lago.example.invalid/index.html', parent: null }],
    ['another scheme', { url: 'file:///bundle/index.html', parent: null }],
  ])('refuses %s', (_what, frame) => {
    expect(isTrustedSender(frame)).toBe(false);
  });

  test('refuses a frame that is gone', () => {
    expect(isTrustedSender(null)).toBe(false);
    expect(isTrustedSender(undefined)).toBe(false);
  });
});

test('only writing to the clipboard is permitted', () => {
  expect(isPermitted('clipboard-sanitized-write')).toBe(true);
  for (const permission of ['clipboard-read', 'media', 'geolocation', 'notifications', 'fileSystem', 'openExternal', 'usb']) {
    expect(isPermitted(permission)).toBe(false);
  }
});

test.each([
  ['https://libvirt.org/docs.html', 'open'],
  ['https://libvirt.org.example.invalid/', 'ask'],
  ['https://libvirt.org:8443/', 'ask'],
  ['https://example.invalid/', 'ask'],
  ['https://libvirt.org@example.invalid/', 'refuse'],
  ['http://libvirt.org/', 'refuse'],
  ['http://127.0.0.1:8080/', 'ask'],
  ['http://a:b@127.0.0.1/', 'refuse'],
  ['http://127.0.0.1.example.com/', 'refuse'],
  ['file:///etc/passwd', 'refuse'],
  ['javascript:alert(1)', 'refuse'],
  ['', 'refuse'],
])('link %s: %s', (address, policy) => {
  expect(linkPolicy(address)).toBe(policy);
});

test.each([
  [APP_URL, true],
  ['app://lago/assets/x.js', true],
  ['data:image/png;base64,AA', true],
  ['blob:app://lago/1', true],
  ['devtools://devtools/bundled/x.html', true],
  ['app://other/x', false],
  ['https://example.invalid/', false],
  ['ws://127.0.0.1:1/', false],
  ['file:///etc/passwd', false],
])('loading %s: %s', (address, allowed) => {
  expect(isLoadable(address)).toBe(allowed);
});

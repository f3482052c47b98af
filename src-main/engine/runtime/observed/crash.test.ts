import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Host } from '../../host/host.ts';
import type { DomainStatus } from '../../libvirt/hypervisor.ts';
import { prefixPaths } from '../../prefix/layout.ts';
import { hasCrashed, readCrash, readQemuLog } from './crash.ts';

const START = `2026-11-27 01:00:00.000+0000: starting up libvirt version: 9.0.0, qemu version: 7.2.9, hostname: lago
LC_ALL=C \\
PATH=/usr/bin \\
/usr/bin/qemu-system-x86_64 \\
-name guest=1234-web,debug-threads=on \\
-msg timestamp=on
`;
const END = '2026-11-27 01:02:03.500+0000: shutting down, reason=crashed\n';

function domain(state: DomainStatus['state'], reason: number): DomainStatus {
  return { name: 'x-web', uuid: '', id: -1, state, reason, persistent: true };
}

describe('the log of a domain', () => {
  it.each([
    ['nothing', '', { at: null, lines: [] }],
    ['a start only', START, { at: null, lines: [] }],
    [
      'what QEMU said, without its command line',
      `${START}char device redirected to /dev/pts/0\nqemu: hardware error\n${END}`,
      {
        at: Date.UTC(2026, 10, 27, 1, 2, 3, 500),
        lines: ['char device redirected to /dev/pts/0', 'qemu: hardware error', END.trimEnd()],
      },
    ],
    ['the last start only', `${START}old\n${END}${START}new\n`, { at: null, lines: ['new'] }],
    [
      'a tail that begins in the middle',
      `half a line\n${END}`,
      { at: Date.UTC(2026, 10, 27, 1, 2, 3, 500), lines: ['half a line', END.trimEnd()] },
    ],
    ['no control characters', `${START}a\u001b[31mb\n`, { at: null, lines: ['a [31mb'] }],
  ])('gives %s', (_, text, expected) => expect(readQemuLog(text)).toEqual(expected));

  it('gives the last lines, cut', () => {
    const { lines } = readQemuLog(`${START}${Array.from({ length: 50 }, (_, n) => `${n} ${'x'.repeat(500)}`).join('\n')}`);
    expect(lines).toHaveLength(8);
    expect(lines.at(-1)).toMatch(/^49 x{100,}…$/);
  });
});

describe('a crash', () => {
  it.each([
    ['shut off', 0, false],
    ['shut off', 1, false],
    ['shut off', 2, false],
    ['shut off', 3, true],
    ['shut off', 6, true],
    ['shut off', 7, false],
    ['crashed', 1, true],
    ['running', 3, false],
  ] as const)('is it when libvirt says "%s", reason %d: %s', (state, reason, crashed) =>
    expect(hasCrashed(domain(state, reason))).toBe(crashed),
  );

  it('has the last lines of QEMU and of the guest where they can be read', async () => {
    const root = await mkdtemp(join(tmpdir(), 'lago-crash-'));
    onTestFinished(async () => await rm(root, { recursive: true }));
    const paths = prefixPaths(root);
    const off = domain('shut off', 3);
    const unknown = { at: null, reason: 'Its QEMU process ended without shutting down.', lines: [], console: [] };
    expect(await readCrash(paths, 'web', off, { kind: 'embedded' } as Host)).toEqual(unknown);
    await mkdir(join(paths.host, 'log/qemu'), { recursive: true });
    await writeFile(join(paths.host, 'log/qemu/x-web.log'), `${START}${'.\n'.repeat(100_000)}last words\n${END}`);
    expect(await readCrash(paths, 'web', off, { kind: 'embedded' } as Host)).toMatchObject({
      at: Date.UTC(2026, 10, 27, 1, 2, 3, 500),
      lines: expect.arrayContaining(['last words']) as string[],
    });
    expect(await readCrash(paths, 'web', off, { kind: 'system' } as Host)).toEqual(unknown);
    await mkdir(paths.logs);
    await writeFile(join(paths.logs, 'web.console'), 'Oops: 0002\r\nweb login: ');
    expect((await readCrash(paths, 'web', off, { kind: 'embedded' } as Host)).console).toEqual(['Oops: 0002', 'web login:']);
  });
});

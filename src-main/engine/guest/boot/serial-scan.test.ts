import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SerialScan } from './serial-scan.ts';

function scanned(text: string, at: number | null = 5): ReturnType<SerialScan['signs']> {
  const scan = new SerialScan();
  scan.push(Buffer.from(text), at);
  return scan.signs();
}

const DEBIAN = `\x1b[2J\x1b[1;1HGRUB loading.\r
Loading Linux 6.1.0-18-amd64 ...\r
Loading initial ramdisk ...\r
[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)\r
[    1.234567] Run /init as init process\r
[\x1b[0;32m  OK  \x1b[0m] Reached target network.target - Network.\r
Cloud-init v. 22.4.2 finished at Fri, 27 Nov 2026 20:51:23 +0000. Datasource DataSourceNoCloud\r
\r
Debian GNU/Linux 12 web ttyS0\r
\r
web login: `;

describe('what a boot prints', () => {
  test('bootloader, kernel, cloud-init, login prompt', () => {
    const signs = scanned(DEBIAN);
    expect(signs).toMatchObject({
      printed: true,
      bootloader: { at: 5, line: 'GRUB loading.' },
      kernel: { line: '[    0.000000] Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)' },
      cloudInit: { line: expect.stringContaining('Cloud-init v. 22.4.2 finished') as string },
      prompt: { line: 'web login:' },
      fatal: undefined,
    });
    expect(signs.lines).toContain('[  OK  ] Reached target network.target - Network.');
    expect(signs.lines.at(-1)).toBe('web login:');
  });

  test.each([
    ['panic', '[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)'],
    ['no-boot-device', 'Booting from Hard Disk...\nBoot failed: not a bootable disk\n\nNo bootable device.'],
    ['no-boot-device', 'error: no such partition.\nEntering rescue mode...\ngrub rescue> '],
    ['no-root', 'Gave up waiting for root file system device.  Common problems:'],
    ['no-root', 'ALERT!  UUID=0b2 does not exist.  Dropping to a shell!\n(initramfs) '],
    ['emergency', 'You are in emergency mode. After logging in, type "journalctl -xb"'],
  ] as const)('%s', (kind, text) => {
    expect(scanned(`${text}\n`).fatal?.kind).toBe(kind);
  });

  test('nothing of it is taken for a failure', () => {
    expect(scanned('systemd[1]: Mounted sys-kernel-debug.mount\nemergency.service is masked\nrescue.target\n').fatal).toBeUndefined();
  });
});

describe('a guest that starts over', () => {
  test('by a reboot: the kernel is a new one, what came after the old one is forgotten', () => {
    const scan = new SerialScan();
    scan.push(Buffer.from(DEBIAN), 1);
    expect(scan.push(Buffer.from('\n[    0.000000] Linux version 6.1.0-18-amd64\n'), 2)).toBe(true);
    expect(scan.signs()).toMatchObject({ kernel: { at: 2 }, prompt: undefined, cloudInit: undefined });
  });

  test('after a kernel that said goodbye, whatever the next one prints', () => {
    const scan = new SerialScan();
    scan.push(Buffer.from('GRUB\nGuest, Linux 6.1.0\nlogin: \n[   33.1] reboot: Restarting system\n'), null);
    expect(scan.signs()).toMatchObject({ bootloader: { line: 'GRUB' }, prompt: {} });
    scan.push(Buffer.from('SeaBIOS (version 1.16)\n'), null);
    expect(scan.signs()).toMatchObject({
      bootloader: { line: 'SeaBIOS (version 1.16)' },
      kernel: undefined,
      prompt: undefined,
      lines: ['SeaBIOS (version 1.16)'],
    });
  });

  test('after a panic, with a kernel that says little', () => {
    const scan = new SerialScan();
    scan.push(Buffer.from('Guest, Linux 6.1.0\n[ 10.55] Kernel panic - not syncing: x\nRebooting in 5 seconds..\n'), 1);
    expect(scan.signs().fatal?.kind).toBe('panic');
    scan.push(Buffer.from('Guest, Linux 6.1.0\n'), 9);
    expect(scan.signs()).toMatchObject({ fatal: undefined, kernel: { at: 9 }, lines: ['Guest, Linux 6.1.0'] });
  });
});

test('signs do not depend on how the bytes are cut', () => {
  const whole = scanned(DEBIAN);
  const bytes = Buffer.from(DEBIAN);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sizes) => {
      const scan = new SerialScan();
      for (let at = 0, n = 0; at < bytes.length; n++) {
        const size = sizes[n % sizes.length] ?? 1;
        scan.push(bytes.subarray(at, at + size), 5);
        at += size;
      }
      const { kernel, cloudInit, prompt, fatal, lines } = scan.signs();
      expect({ kernel, cloudInit, prompt, fatal, lines }).toEqual({
        kernel: whole.kernel,
        cloudInit: whole.cloudInit,
        prompt: whole.prompt,
        fatal: whole.fatal,
        lines: whole.lines,
      });
    }),
  );
});

test('any bytes are only text: short lines without control characters, and little of them', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 20 }), (pieces) => {
      const scan = new SerialScan();
      for (const piece of pieces) scan.push(piece, null);
      const { lines } = scan.signs();
      expect(lines.length).toBeLessThanOrEqual(10);
      for (const line of lines) {
        expect(line.length).toBeLessThanOrEqual(201);
        expect(line).not.toMatch(/\p{Cc}/u);
      }
    }),
  );
});

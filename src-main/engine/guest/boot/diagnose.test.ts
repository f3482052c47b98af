import { describe, expect, test } from 'vitest';
import { type BootState, waitingStage } from '../../../../src-shared/boot.ts';
import { describeWait, diagnose } from './diagnose.ts';
import type { BootFacts } from './facts.ts';

const START = 1_000_000;
const sign = (after: number, line = 'seen'): { at: number; line: string } => ({ at: START + after, line });

const SERIAL = {
  printed: true,
  bootloader: sign(500),
  kernel: sign(1000),
  fatal: undefined,
  prompt: undefined,
  cloudInit: undefined,
  lines: ['last line'],
};
const DHCP = { asked: sign(3000), given: { ...sign(3000), address: '192.168.200.2' }, denied: undefined, lines: ['DHCPACK'] };

const FACTS: BootFacts = {
  vm: 'web',
  user: 'root',
  address: '192.168.200.2',
  network: 'front',
  startedAt: START,
  continued: false,
  serial: SERIAL,
  dhcp: DHCP,
  ssh: { answered: sign(5000), login: sign(5500), refusal: undefined },
  cloudInit: undefined,
  around: { linksDown: [], dhcpServer: undefined, neighbour: undefined, suspended: false, agent: false },
  agent: undefined,
};

const SILENT_SSH: BootFacts['ssh'] = { answered: undefined, login: undefined, refusal: undefined };

function diagnosed(changes: Partial<BootFacts>, after = 6000): BootState {
  return diagnose({ ...FACTS, ...changes }, START + after);
}

/** `id:state` of each stage. */
function short({ stages }: BootState): string {
  return stages.map(({ id, state }) => `${id}:${state}`).join(' ');
}

describe('stages', () => {
  test('a VM that is up', () => {
    const boot = diagnosed({});
    expect(short(boot)).toBe('started:done bootloader:done kernel:done address-asked:done address-given:done ssh:done login:done');
    expect(boot.hang).toBeNull();
    expect(waitingStage(boot)).toBeUndefined();
    expect(describeWait(boot, 'web')).toBe('web is up');
  });

  test('a stage that was not seen is passed once a later one is reached', () => {
    const boot = diagnosed({ serial: { ...SERIAL, bootloader: undefined, kernel: undefined }, ssh: SILENT_SSH });
    expect(short(boot)).toBe('started:done bootloader:passed kernel:passed address-asked:done address-given:done ssh:waiting login:ahead');
  });

  test('a guest whose agent answers has a kernel, whatever its console shows', () => {
    const silent = {
      serial: { ...SERIAL, bootloader: undefined, kernel: undefined },
      dhcp: { ...DHCP, asked: undefined, given: undefined },
    };
    const boot = diagnosed({ ...silent, ssh: SILENT_SSH, agent: sign(4000) });
    expect(short(boot)).toBe(
      'started:done bootloader:passed kernel:passed address-asked:waiting address-given:ahead ssh:ahead login:ahead',
    );
    expect(boot.agent).toBe(START + 4000);
    expect(diagnosed({}).agent).toBeUndefined();
  });

  test('of a guest whose agent answers, it is said that it runs, and how to get at it without ssh', () => {
    const refused = { reason: 'refused', message: 'refused', since: START } as const;
    const dead = { ssh: { ...SILENT_SSH, refusal: refused }, agent: sign(4000) };
    const { hang } = diagnosed(dead, 600_000);
    expect(hang?.cause).toBe('web runs, for its guest agent answers. web is up at 192.168.200.2, but no ssh server listens on port 22.');
    expect(hang?.next).toMatch(/lago console web.*come by the agent: lago collect/);
    expect(diagnosed({ ...dead, agent: undefined }, 600_000).hang?.next).not.toContain('agent');
    const unasked = diagnosed({ ssh: SILENT_SSH, dhcp: { ...DHCP, asked: undefined, given: undefined }, agent: sign(4000) }, 600_000);
    expect(unasked.hang?.cause).toMatch(/^web runs, for its guest agent answers. It has not asked for an address/);
  });

  test('only stages that the VM can show: no DHCP, no address, a snapshot with memory, a seed', () => {
    expect(short(diagnosed({ dhcp: undefined, serial: undefined }))).toBe('started:done ssh:done login:done');
    expect(short(diagnosed({ address: undefined, dhcp: undefined }))).toBe('started:done bootloader:done kernel:done');
    expect(short(diagnosed({ continued: true, ssh: SILENT_SSH }))).toBe('started:done ssh:waiting login:ahead');
    expect(short(diagnosed({ cloudInit: { finished: undefined, failed: undefined } }))).toMatch(/login:done cloud-init:waiting$/);
  });

  test.each([
    [
      { serial: { ...SERIAL, bootloader: undefined, kernel: undefined }, dhcp: { ...DHCP, asked: undefined, given: undefined } },
      'first output',
    ],
    [{ serial: { ...SERIAL, kernel: undefined }, dhcp: { ...DHCP, asked: undefined, given: undefined } }, 'kernel'],
    [{ dhcp: { ...DHCP, asked: undefined, given: undefined } }, 'asks for an address'],
    [{ dhcp: { ...DHCP, given: undefined } }, 'waiting for the answer'],
    [{}, 'web is up, waiting for ssh'],
  ] as const)('what is waited for %#', (changes, words) => {
    const boot = diagnosed({ ssh: SILENT_SSH, ...changes }, 3500);
    expect(boot.hang).toBeNull();
    expect(describeWait(boot, 'web')).toContain(words);
  });
});

describe('causes that are certain are named at once', () => {
  const around = FACTS.around;
  test.each<readonly [string, Partial<BootFacts>, string, string]>([
    [
      'a panic',
      {
        serial: { ...SERIAL, fatal: { ...sign(1200, 'Kernel panic - not syncing: x'), kind: 'panic', lines: [] } },
        dhcp: { ...DHCP, asked: undefined, given: undefined },
      },
      'address-asked',
      'The kernel of web panicked: Kernel panic',
    ],
    [
      'nothing to boot',
      {
        serial: { ...SERIAL, kernel: undefined, fatal: { ...sign(600, 'No bootable device.'), kind: 'no-boot-device', lines: [] } },
        dhcp: { ...DHCP, asked: undefined, given: undefined },
      },
      'kernel',
      'finds nothing to boot',
    ],
    ['no root', { serial: { ...SERIAL, fatal: { ...sign(9, '(initramfs)'), kind: 'no-root', lines: [] } } }, 'ssh', 'root file system'],
    [
      'emergency mode',
      { serial: { ...SERIAL, fatal: { ...sign(9, 'You are in emergency mode'), kind: 'emergency', lines: [] } } },
      'ssh',
      'emergency mode',
    ],
    [
      'a link that is down',
      { around: { ...around, linksDown: ['eth0'] }, dhcp: { ...DHCP, asked: undefined, given: undefined } },
      'address-asked',
      'The link of eth0 of web is down',
    ],
    [
      'no DHCP server',
      { around: { ...around, dhcpServer: false }, dhcp: { ...DHCP, asked: undefined, given: undefined } },
      'address-asked',
      'The DHCP server of network front does not run',
    ],
    [
      'no address to give',
      { dhcp: { ...DHCP, given: undefined, denied: sign(3000, 'no address available') } },
      'address-given',
      'gave web no address',
    ],
    ['suspended', { around: { ...around, suspended: true } }, 'ssh', 'web is suspended'],
  ])('%s', (_, changes, stage, cause) => {
    const { hang } = diagnosed({ ssh: SILENT_SSH, ...changes }, 3100);
    expect(hang).toMatchObject({ stage, cause: expect.stringContaining(cause) as string });
    expect(hang?.next).not.toBe('');
  });

  test('a refused login, once cloud-init cannot be the reason any more', () => {
    const ssh = { answered: sign(5000), login: undefined, refusal: { reason: 'login', message: 'no', since: START + 5000 } } as const;
    expect(diagnosed({ ssh }, 6000).hang).toBeNull();
    expect(diagnosed({ ssh }, 15_000).hang).toMatchObject({
      stage: 'login',
      cause: expect.stringContaining('refuses the login of root') as string,
    });
    const booted = { ...SERIAL, prompt: sign(5500, 'web login:') };
    expect(diagnosed({ ssh, serial: booted }, 6000).hang?.stage).toBe('login');
    const seeded = { finished: sign(5900), failed: undefined };
    expect(diagnosed({ ssh, cloudInit: seeded }, 6000).hang?.stage).toBe('login');
  });

  test('a changed host key; cloud-init with errors', () => {
    const ssh = {
      answered: sign(5000),
      login: undefined,
      refusal: { reason: 'host-key', message: 'The ssh host key of web has changed.', since: START },
    } as const;
    expect(diagnosed({ ssh }).hang).toMatchObject({ stage: 'login', cause: 'The ssh host key of web has changed.' });
    const cloudInit = { finished: undefined, failed: 'bad user-data' };
    expect(diagnosed({ cloudInit }).hang).toMatchObject({ stage: 'cloud-init', cause: expect.stringContaining('bad user-data') as string });
  });
});

describe('a stage that takes too long is named with what is known', () => {
  test.each<readonly [Partial<BootFacts>, string]>([
    [
      {
        serial: { ...SERIAL, printed: false, bootloader: undefined, kernel: undefined },
        dhcp: { ...DHCP, asked: undefined, given: undefined },
      },
      'has printed nothing',
    ],
    [{ serial: { ...SERIAL, kernel: undefined }, dhcp: { ...DHCP, asked: undefined, given: undefined } }, 'started no kernel'],
    [{ dhcp: { ...DHCP, asked: undefined, given: undefined } }, 'has not asked for an address'],
    [{ dhcp: { ...DHCP, given: undefined } }, 'got no answer'],
    [{ ssh: { ...SILENT_SSH, refusal: { reason: 'refused', message: 'x', since: START } } }, 'no ssh server listens'],
    [{ around: { ...FACTS.around, neighbour: false } }, 'nobody on its network has this address'],
    [{}, 'does not answer on port 22'],
    [{ ssh: { ...SILENT_SSH, answered: sign(5000) } }, 'has not let root in'],
    [{ ssh: FACTS.ssh, cloudInit: { finished: undefined, failed: undefined } }, 'cloud-init has been at work'],
  ])('%#', (changes, cause) => {
    const facts = { ssh: SILENT_SSH, ...changes };
    expect(diagnosed(facts, 5000).hang).toBeNull();
    expect(diagnosed(facts, 600_000).hang?.cause).toContain(cause);
  });
});

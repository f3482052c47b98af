import { BOOT_STAGES, type BootHang, type BootStage, type BootStageId, type BootState, waitingStage } from '../../../../src-shared/boot.ts';
import type { BootFacts } from './facts.ts';
import type { FatalKind, Sign } from './serial-scan.ts';

/** How far the VM is, and why it is not further. Pure: `now` is ms since the epoch. */
export function diagnose(facts: BootFacts, now: number): BootState {
  const stages = stagesOf(facts);
  const waiting = waitingStage({ stages, hang: null });
  const hang = waiting === undefined ? null : hangOf(facts, waiting.id, stages, now);
  return facts.agent === undefined ? { stages, hang } : { stages, hang, agent: facts.agent.at };
}

function stagesOf(facts: BootFacts): readonly BootStage[] {
  const signs = signsOf(facts);
  const expected = BOOT_STAGES.filter((id) => isExpected(id, facts));
  // cloud-init can finish although nobody can log in; all else implies what comes before it.
  const last = expected.findLastIndex(
    (id) => (id !== 'cloud-init' && signs[id] !== undefined) || (id === 'kernel' && facts.agent !== undefined),
  );
  const next = expected.findIndex((id, index) => index > last && signs[id] === undefined);
  return expected.map((id, index) => {
    const sign = signs[id];
    if (sign !== undefined) return { id, state: 'done', at: sign.at, evidence: sign.line };
    return { id, state: index <= last ? 'passed' : index === next ? 'waiting' : 'ahead', at: null, evidence: null };
  });
}

function signsOf(facts: BootFacts): Readonly<Record<BootStageId, Sign | undefined>> {
  const { serial, dhcp, ssh, startedAt } = facts;
  return {
    started: { at: startedAt ?? null, line: facts.continued ? 'continued from a snapshot' : 'QEMU runs' },
    bootloader: serial?.bootloader,
    kernel: serial?.kernel,
    'address-asked': dhcp?.asked,
    'address-given': dhcp?.given,
    ssh: ssh.answered,
    login: ssh.login,
    'cloud-init': facts.cloudInit?.finished,
  };
}

function isExpected(id: BootStageId, facts: BootFacts): boolean {
  switch (id) {
    case 'started':
      return true;
    case 'bootloader':
    case 'kernel':
      return !facts.continued && facts.serial !== undefined;
    case 'address-asked':
    case 'address-given':
      return !facts.continued && facts.dhcp !== undefined;
    case 'cloud-init':
      return facts.cloudInit !== undefined;
    default:
      return facts.address !== undefined;
  }
}

type Finding = Omit<BootHang, 'stage'>;

/** After this long without any news a stage counts as hanging, even without a known cause; ms. */
const PATIENCE: Readonly<Record<BootStageId, number>> = {
  started: 10_000,
  bootloader: 30_000,
  kernel: 30_000,
  'address-asked': 90_000,
  'address-given': 10_000,
  ssh: 60_000,
  login: 30_000,
  'cloud-init': 300_000,
};
/** A login may be refused for as long as cloud-init has not installed the key. */
const REFUSAL_GRACE_MS = 10_000;

function hangOf(facts: BootFacts, stage: BootStageId, stages: readonly BootStage[], now: number): BootHang | null {
  const known = knownCause(facts, stage, now);
  if (known !== undefined) return { stage, ...known };
  const since = Math.max(facts.startedAt ?? 0, ...stages.map(({ at }) => at ?? 0));
  if (since === 0 || now - since < PATIENCE[stage]) return null;
  return { stage, ...slowness(facts, stage, PATIENCE[stage] / 1000) };
}

/** A cause that is certain, whatever time has passed. */
function knownCause(facts: BootFacts, stage: BootStageId, now: number): Finding | undefined {
  const { vm, serial, dhcp, ssh, around, cloudInit } = facts;
  const console = serial?.lines ?? [];
  if (around.suspended) return { word: 'suspended', cause: `${vm} is suspended.`, next: `Let it go on: lago resume ${vm}.`, lines: [] };
  if (serial?.fatal !== undefined) return { ...fatal(serial.fatal.kind, vm, serial.fatal.line), lines: serial.fatal.lines };
  const [down] = around.linksDown;
  // Without a network it may still boot on; after that the link is what is missing.
  const booted = serial === undefined || serial.kernel !== undefined;
  if (down !== undefined && stage !== 'cloud-init' && booted && ssh.answered === undefined) {
    return {
      word: 'link down',
      cause: `The link of ${around.linksDown.join(' and ')} of ${vm} is down: no packet gets through.`,
      next: `Plug it in again: lago vm link ${vm} ${around.linksDown[0]} up.`,
      lines: [],
    };
  }
  if (around.dhcpServer === false && dhcp?.given === undefined && dhcp !== undefined) {
    return {
      word: 'no DHCP server',
      cause: `The DHCP server of network ${facts.network ?? ''} does not run, so ${vm} gets no address.`,
      next: 'Start it again: lago start.',
      lines: dhcp.lines,
    };
  }
  if (stage === 'address-given' && dhcp?.denied !== undefined) {
    return {
      word: 'no address',
      cause: `The DHCP server gave ${vm} no address.`,
      next: `Check that the range of network ${facts.network ?? ''} has room, and that the MAC address in ${vm} is the planned one.`,
      lines: dhcp.lines,
    };
  }
  if (ssh.refusal !== undefined) {
    const { reason, message, since } = ssh.refusal;
    const settled = cloudInit?.finished !== undefined || serial?.prompt !== undefined || now - since >= REFUSAL_GRACE_MS;
    if (reason === 'host-key')
      return { word: 'host key changed', cause: message, next: `If you rebuilt ${vm}, remove its entry from known-hosts.json.`, lines: [] };
    if (reason === 'login' && settled) {
      return {
        word: 'login refused',
        cause: `${vm} refuses the login of ${facts.user}: neither the key of the environment nor the password is accepted.`,
        next: 'Check ssh-user, ssh-password and root-password of the VM, and that its image takes the key (bootstrap).',
        lines: [],
      };
    }
    if (reason === 'algorithms' || reason === 'not-ssh')
      return { word: 'no ssh', cause: message, next: `Look at the ssh server of ${vm}.`, lines: [] };
  }
  if (cloudInit?.failed !== undefined) {
    return {
      word: 'cloud-init failed',
      cause: `cloud-init in ${vm} ended with an error: ${cloudInit.failed}`,
      next: 'Read /var/log/cloud-init.log and /var/log/cloud-init-output.log in the VM.',
      lines: console,
    };
  }
  return undefined;
}

function fatal(kind: FatalKind, vm: string, line: string): Omit<Finding, 'lines'> {
  switch (kind) {
    case 'panic':
      return {
        word: 'kernel panic',
        cause: `The kernel of ${vm} panicked: ${line}`,
        next: `Read its serial console, mend it, and start it again.`,
      };
    case 'no-boot-device':
      return {
        word: 'nothing to boot',
        cause: `${vm} finds nothing to boot: ${line}`,
        next: 'Check that its first disk is a bootable image for this machine type.',
      };
    case 'no-root':
      return {
        word: 'no root disk',
        cause: `${vm} does not find its root file system: ${line}`,
        next: 'Check the names (dev) and the order of its disks, and the root= that its image expects.',
      };
    case 'emergency':
      return {
        word: 'emergency mode',
        cause: `${vm} stopped in emergency mode: ${line}`,
        next: 'Open its serial console and look at the failed units.',
      };
  }
}

/** What can be said about a stage that takes longer than `seconds`. */
function slowness(facts: BootFacts, stage: BootStageId, seconds: number): Finding {
  const { vm, serial, dhcp, ssh, around, agent, address = '' } = facts;
  const console = serial?.lines ?? [];
  const runs = agent === undefined ? '' : `${vm} runs, for its guest agent answers. `;
  const byAgent = agent === undefined ? '' : ` Meanwhile its files come by the agent: lago collect.`;
  switch (stage) {
    case 'started':
    case 'bootloader':
      return {
        word: 'no output',
        cause: `${vm} has printed nothing on its serial console for more than ${seconds} s.`,
        next: 'Look at its screen: the image may not be bootable, or its console may not be on the serial port.',
        lines: console,
      };
    case 'kernel':
      return {
        word: 'no kernel',
        cause: `The bootloader of ${vm} has started no kernel for more than ${seconds} s.`,
        next: 'Look at its screen or serial console.',
        lines: console,
      };
    case 'address-asked':
      return {
        word: 'no address',
        cause: `${runs}${runs === '' ? vm : 'It'} has not asked for an address for more than ${seconds} s.`,
        next:
          agent === undefined
            ? 'It may still be booting, or its image may not set up this network card by DHCP: look at its console.'
            : `Its image may not set up this network card by DHCP: look at its console (lago console ${vm}).${byAgent}`,
        lines: console,
      };
    case 'address-given':
      return {
        word: 'no address',
        cause: `${vm} asked for an address and got no answer.`,
        next: 'Start the network again: lago stop, lago start.',
        lines: dhcp?.lines ?? [],
      };
    case 'ssh':
      return {
        word: 'no ssh',
        cause: `${runs}${
          ssh.refusal?.reason === 'refused'
            ? `${vm} is up at ${address}, but no ssh server listens on port 22.`
            : around.neighbour === false
              ? `${vm} does not answer at ${address}: nobody on its network has this address.`
              : `${vm} does not answer on port 22 of ${address}.`
        }`,
        next: `Look at its console (lago console ${vm}): is the ssh server installed and enabled, is there a firewall, and does the card have this address?${byAgent}`,
        lines: console,
      };
    case 'login':
      return {
        word: 'no login',
        cause: `The ssh server of ${vm} answers but has not let ${facts.user} in for more than ${seconds} s.`,
        next: 'Look at its console.',
        lines: console,
      };
    case 'cloud-init':
      return {
        word: 'cloud-init works',
        cause: `cloud-init has been at work in ${vm} for more than ${seconds} s.`,
        next: 'Follow /var/log/cloud-init-output.log in the VM.',
        lines: console,
      };
  }
}

/** What is being waited for, for a line of progress: "waiting for web: its kernel". */
export function describeWait(boot: BootState, vm: string): string {
  if (boot.hang !== null) return boot.hang.cause;
  const stage = waitingStage(boot);
  switch (stage?.id) {
    case undefined:
      return `${vm} is up`;
    case 'started':
    case 'bootloader':
      return `${vm} was started, waiting for its first output`;
    case 'kernel':
      return `${vm} runs its bootloader, waiting for the kernel`;
    case 'address-asked':
      return `${vm} boots, waiting until it asks for an address`;
    case 'address-given':
      return `${vm} asked for an address, waiting for the answer`;
    case 'ssh':
      return `${vm} is up, waiting for ssh`;
    case 'login':
      return `ssh on ${vm} does not accept the login yet`;
    case 'cloud-init':
      return `${vm} accepts logins, waiting for cloud-init`;
  }
}

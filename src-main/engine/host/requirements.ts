import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { EngineError } from '../../../src-shared/errors.ts';
import type { HostCheck } from '../../../src-shared/state.ts';
import { readOptional } from '../core/process-identity.ts';
import { run } from '../core/run.ts';
import { findProgram, searchPath } from './embedded/programs.ts';
import { findQemu } from './kvm.ts';

type Family = 'debian' | 'fedora' | 'suse' | 'arch' | 'other';
type Packages = Readonly<Record<Exclude<Family, 'other'>, string>>;

/** A required program and the packages that contain it. */
interface Tool {
  readonly id: string;
  readonly why: string;
  readonly packages: Packages;
  readonly found: (environment: NodeJS.ProcessEnv) => boolean;
}

function tool(id: string, why: string, packages: Packages, programs: readonly string[] = [id]): Tool {
  return { id, why, packages, found: (environment) => programs.some((program) => findProgram(program, environment) !== undefined) };
}

const same = (name: string): Packages => ({ debian: name, fedora: name, suse: name, arch: name });
const utilLinux = same('util-linux');

const DRIVER_FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib'].map((folder) => join(folder, 'libvirt/connection-driver'));

/** A driver of libvirtd. If none of the usual folders exist, libvirt keeps its drivers elsewhere: starting it will tell. */
function driver(id: string, why: string, packages: Packages): Tool {
  const file = `libvirt_driver_${id}.so`;
  const found = (): boolean => !DRIVER_FOLDERS.some(existsSync) || DRIVER_FOLDERS.some((folder) => existsSync(join(folder, file)));
  return { id: `libvirt-${id}-driver`, why, packages, found };
}

const TOOLS: readonly Tool[] = [
  // Distributions that run one daemon per driver (virtqemud, virtnetworkd…) have libvirtd too, in a package that is not always installed.
  tool('libvirtd', 'manages the VMs and networks of an environment', {
    debian: 'libvirt-daemon',
    fedora: 'libvirt-daemon',
    suse: 'libvirt-daemon',
    arch: 'libvirt',
  }),
  tool('virtlogd', 'keeps the serial console logs', {
    debian: 'libvirt-daemon',
    fedora: 'libvirt-daemon-log',
    suse: 'libvirt-daemon-log',
    arch: 'libvirt',
  }),
  driver('qemu', 'lets libvirt run QEMU', {
    debian: 'libvirt-daemon-driver-qemu',
    fedora: 'libvirt-daemon-driver-qemu',
    suse: 'libvirt-daemon-driver-qemu',
    arch: 'libvirt',
  }),
  // Up to Debian 12, libvirtd's own package has it.
  driver('network', 'lets libvirt make an environment’s networks', {
    debian: 'libvirt-daemon-driver-network',
    fedora: 'libvirt-daemon-driver-network',
    suse: 'libvirt-daemon-driver-network',
    arch: 'libvirt',
  }),
  {
    id: 'qemu-system-x86_64',
    why: 'runs the VMs',
    packages: { debian: 'qemu-system-x86', fedora: 'qemu-kvm', suse: 'qemu-x86', arch: 'qemu-system-x86' },
    found: (environment) => findQemu(environment) !== undefined,
  },
  tool('qemu-img', 'makes the VMs’ disks', { debian: 'qemu-utils', fedora: 'qemu-img', suse: 'qemu-tools', arch: 'qemu-img' }),
  tool('dnsmasq', 'gives addresses and names on an environment’s networks', {
    debian: 'dnsmasq-base',
    fedora: 'dnsmasq',
    suse: 'dnsmasq',
    arch: 'dnsmasq',
  }),
  tool(
    'iptables',
    'connects an environment’s networks',
    { debian: 'iptables', fedora: 'iptables-nft', suse: 'iptables', arch: 'iptables-nft' },
    ['iptables', 'nft'],
  ),
  tool('ip', 'sets up an environment’s networks', { debian: 'iproute2', fedora: 'iproute', suse: 'iproute2', arch: 'iproute2' }),
  tool('unshare', 'creates the namespaces of an environment', utilLinux),
  tool('nsenter', 'enters the namespaces of an environment', utilLinux),
  tool('flock', 'keeps two programs from working on one environment', utilLinux),
  tool('setpriv', 'ends programs together with who started them', utilLinux),
  tool('timeout', 'ends programs that hang', same('coreutils')),
  tool('bash', 'runs the start scripts of an environment', same('bash')),
];

/** Of what is not a program. */
const TITLES: Readonly<Record<string, string>> = {
  'libvirt-qemu-driver': 'libvirt’s QEMU driver',
  'libvirt-network-driver': 'libvirt’s network driver',
};

/** The family of this distribution, from /etc/os-release. */
export function distributionFamily(osRelease: string): Family {
  const words = [...osRelease.matchAll(/^ID(?:_LIKE)?=(.*)$/gm)].flatMap((match) => (match[1] ?? '').replaceAll(/["']/g, '').split(/\s+/));
  if (words.some((word) => word === 'debian' || word === 'ubuntu')) return 'debian';
  if (words.some((word) => ['fedora', 'rhel', 'centos', 'almalinux', 'rocky'].includes(word))) return 'fedora';
  if (words.some((word) => word.includes('suse'))) return 'suse';
  if (words.includes('arch')) return 'arch';
  return 'other';
}

/** The command that installs packages here, undefined on an unknown distribution. */
export function installCommand(family: Family, packages: readonly string[]): string | undefined {
  const sudo = process.getuid?.() === 0 ? '' : 'sudo ';
  const names = [...new Set(packages)].join(' ');
  switch (family) {
    case 'debian':
      return `${sudo}apt-get install --no-install-recommends ${names}`;
    case 'fedora':
      return `${sudo}dnf install ${names}`;
    case 'suse':
      return `${sudo}zypper install ${names}`;
    case 'arch':
      return `${sudo}pacman -S ${names}`;
    case 'other':
      return undefined;
  }
}

export interface RequirementOptions {
  readonly environment?: NodeJS.ProcessEnv;
  readonly signal?: AbortSignal | undefined;
}

/** One check per program. */
export function checkPrograms(options: RequirementOptions = {}): HostCheck[] {
  const environment = options.environment ?? process.env;
  const family = currentFamily();
  return TOOLS.map(({ id, why, packages, found }) => {
    const title = TITLES[id] ?? id;
    if (found(environment)) return { id, title, state: 'ok' as const, detail: `Installed: it ${why}.`, remedy: null, command: null };
    return { id, title, state: 'error' as const, detail: `${title} is not installed; it ${why}.`, ...remedyFor(family, packages) };
  });
}

/** Advice and command to install a package. */
export function remedyFor(family: Family, packages: Packages): { readonly remedy: string; readonly command: string | null } {
  const name = family === 'other' ? packages.debian : packages[family];
  return { remedy: `Install the package ${name}.`, command: installCommand(family, [name]) ?? null };
}

/** The family of this machine's distribution. */
export function currentFamily(): Family {
  return distributionFamily(readOptional('/etc/os-release') ?? '');
}

/** Whether taps, the VMs’ network cards, can be created, which needs /dev/net/tun. */
export function checkTun(device = '/dev/net/tun'): HostCheck {
  const base = { id: 'tun', title: 'Network cards for VMs' };
  try {
    closeSync(openSync(device, 'r+'));
    return { ...base, state: 'ok', detail: `${device} can be opened.`, remedy: null, command: null };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EACCES' || code === 'EPERM') {
      return {
        ...base,
        state: 'error',
        detail: `${device} cannot be opened by this user, so VMs get no network cards.`,
        remedy: 'Let every user open it, as most distributions do.',
        command: `sudo chmod 0666 ${device}`,
      };
    }
    if (code === 'ENOENT' || code === 'ENODEV' || code === 'ENXIO') {
      return {
        ...base,
        state: 'error',
        detail: `${device} is missing, so VMs get no network cards.`,
        remedy: 'Load the kernel module tun.',
        command: 'sudo modprobe tun',
      };
    }
    throw error;
  }
}

/** Whether this user may create the namespaces of an embedded host, tested by creating some. */
export async function checkNamespaces(options: RequirementOptions = {}): Promise<HostCheck> {
  const title = 'Namespaces';
  const root = process.getuid?.() === 0;
  const user = root ? [] : ['--user', '--map-root-user'];
  if (findProgram('unshare', options.environment) === undefined) {
    return { id: 'namespaces', title, state: 'error', detail: 'Not tried: unshare is not installed.', remedy: null, command: null };
  }
  const result = await run(['unshare', ...user, '--net', '--mount', '--pid', '--ipc', '--uts', '--fork', 'true'], {
    timeoutMs: 5000,
    signal: options.signal,
    env: { PATH: searchPath(options.environment) },
  });
  if (result.code === 0) {
    return {
      id: 'namespaces',
      title,
      state: 'ok',
      detail: root ? 'This process can create namespaces.' : 'Ordinary users can create namespaces.',
      remedy: null,
      command: null,
    };
  }
  return namespaceProblem();
}

/** What prevents namespaces, from the kernel's settings. */
export function namespaceProblem(read: (path: string) => string | undefined = readSetting, uid = process.getuid?.()): HostCheck {
  const base = { id: 'namespaces', title: 'Namespaces', state: 'error' as const };
  if (uid === 0) {
    return {
      ...base,
      detail: 'This process is root, but cannot create namespaces: it runs in a container.',
      remedy: 'Give the container the right SYS_ADMIN, or use the libvirt of the machine outside.',
      command: null,
    };
  }
  if (read('/proc/sys/kernel/apparmor_restrict_unprivileged_userns') === '1') {
    return {
      ...base,
      detail: 'AppArmor keeps ordinary users from creating namespaces (as in Ubuntu 23.10 and later).',
      remedy: 'Install Lago Desktop from its package, which brings an AppArmor profile, or lift the restriction.',
      command: 'sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0',
    };
  }
  if (read('/proc/sys/kernel/unprivileged_userns_clone') === '0') {
    return {
      ...base,
      detail: 'The kernel is set to refuse namespaces to ordinary users.',
      remedy: 'Allow them.',
      command: 'sudo sysctl -w kernel.unprivileged_userns_clone=1',
    };
  }
  if (read('/proc/sys/user/max_user_namespaces') === '0') {
    return {
      ...base,
      detail: 'The kernel is set to allow no user namespaces.',
      remedy: 'Allow them.',
      command: 'sudo sysctl -w user.max_user_namespaces=15000',
    };
  }
  return {
    ...base,
    detail: 'Namespaces are refused to this user.',
    remedy: 'In a container, use the libvirt of the machine outside (host qemu:///system); else ask who runs this machine.',
    command: null,
  };
}

function readSetting(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EACCES') return undefined;
    throw error;
  }
}

/** Turns a failed check into the error of a start, with the same sentences. */
export function checkError(check: HostCheck, code: 'host.missing-tool' | 'host.denied' | 'host.unavailable'): EngineError {
  const hint = check.command === null ? check.remedy : `${check.remedy ?? 'Run:'} ${check.command}`;
  return new EngineError(code, check.detail, { details: { check: check.id }, ...(hint === null ? {} : { hint }) });
}

/**
 * Throws if an embedded host is bound to fail for a reason visible without starting anything: `host.missing-tool` naming all missing
 * packages, `host.denied` when taps cannot be created. Takes about a millisecond.
 */
export function requireEmbedded(options: RequirementOptions = {}): void {
  const environment = options.environment ?? process.env;
  const missing = TOOLS.filter((candidate) => !candidate.found(environment));
  if (missing.length > 0) {
    const family = currentFamily();
    const packages = missing.map((candidate) => (family === 'other' ? candidate.packages.debian : candidate.packages[family]));
    const names = missing.map((candidate) => candidate.id).join(', ');
    const command = installCommand(family, packages);
    throw new EngineError('host.missing-tool', `Not installed, but needed to run environments: ${names}.`, {
      details: { missing: names, packages: [...new Set(packages)].join(' ') },
      hint: command === undefined ? `Install ${[...new Set(packages)].join(', ')}.` : `Install them: ${command}`,
    });
  }
  const tun = checkTun();
  if (tun.state === 'error') throw checkError(tun, 'host.denied');
}

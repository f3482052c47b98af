// System packages: what is needed, what is installed, and how to install the rest.
import fs from 'node:fs';
import path from 'node:path';
import { must, note, probe, StepError } from './steps.mjs';

/**
 * `names`: the Debian or Ubuntu package, followed by alternative names. `tool`: the program to look for on other systems.
 * @typedef {{ names: readonly string[], why: string, tool?: string }} Need
 */

/** @type {readonly Need[]} */
const HYPERVISOR = [
  { names: ['libvirt-daemon'], why: 'runs the VMs', tool: 'libvirtd' },
  { names: ['libvirt-daemon-driver-qemu'], why: 'runs the VMs' },
  { names: ['qemu-system-x86'], why: 'the machine emulator', tool: 'qemu-system-x86_64' },
  { names: ['qemu-utils'], why: 'makes disks', tool: 'qemu-img' },
  { names: ['dnsmasq-base'], why: 'addresses and names inside an environment', tool: 'dnsmasq' },
  { names: ['iptables'], why: "an environment's own networks", tool: 'iptables' },
  { names: ['iproute2'], why: "an environment's own networks", tool: 'ip' },
  { names: ['util-linux'], why: 'namespaces', tool: 'unshare' },
  { names: ['openssh-client'], why: 'keys of an environment', tool: 'ssh-keygen' },
];

/** @type {readonly Need[]} */
const WINDOW = [
  { names: ['libgtk-3-0', 'libgtk-3-0t64'], why: 'the window' },
  { names: ['libnss3'], why: 'the window' },
  { names: ['libasound2', 'libasound2t64'], why: 'the window' },
  { names: ['libgbm1'], why: 'the window' },
  { names: ['unzip'], why: 'unpacks Electron', tool: 'unzip' },
];

/** @type {readonly Need[]} */
const GUEST = [
  { names: ['e2fsprogs'], why: "builds the sample's disk", tool: 'mke2fs' },
  { names: ['xz-utils'], why: "builds the sample's disk", tool: 'xz' },
];

/** @type {readonly Need[]} */
const NO_DISPLAY = [
  { names: ['xvfb'], why: 'a screen for the window where there is none', tool: 'Xvfb' },
  { names: ['xauth'], why: 'a screen for the window where there is none', tool: 'xauth' },
];

/** @type {readonly Need[]} */
const TESTS = [
  { names: ['libvirt-clients'], why: 'tests compare with virsh', tool: 'virsh' },
  { names: ['python3-libvirt'], why: 'tests compare with libvirt’s own client', tool: 'python3' },
  { names: ['python3-yaml'], why: 'benches compare with PyYAML', tool: 'python3' },
  { names: ['python3-pytest'], why: 'runs the tests of environments', tool: 'python3' },
  { names: ['python3-nose'], why: 'tests of environments that use nose.tools', tool: 'python3' },
  { names: ['zsh'], why: 'tests of completion', tool: 'zsh' },
  { names: ['fish'], why: 'tests of completion', tool: 'fish' },
  { names: ['man-db'], why: 'tests render the manual page', tool: 'man' },
  { names: ['genisoimage'], why: 'tests of cloud-init disks', tool: 'genisoimage' },
  { names: ['git'], why: 'tests of added template repositories', tool: 'git' },
  { names: ['zstd'], why: 'tests of packed templates', tool: 'zstd' },
  { names: ['git'], why: 'tests of template repositories', tool: 'git' },
  { names: ['openssl'], why: 'tests of downloads through a proxy', tool: 'openssl' },
  { names: ['debootstrap'], why: 'builds the Debian guests that tests personalise', tool: 'debootstrap' },
  { names: ['libguestfs-tools'], why: 'tests of virt-sysprep and virt-customize', tool: 'virt-sysprep' },
  { names: ['openssh-server'], why: 'tests of libvirt on another machine', tool: 'sshd' },
  { names: ['netcat-openbsd'], why: 'tests of libvirt on another machine', tool: 'nc' },
  { names: ['zchunk'], why: 'tests of package repositories', tool: 'unzck' },
  { names: ['bzip2'], why: 'tests of package repositories', tool: 'bzip2' },
  { names: ['rpm'], why: 'builds packages in tests, and checks their signatures', tool: 'rpmbuild' },
  { names: ['gnupg'], why: 'tests of signatures of packages', tool: 'gpg' },
  { names: ['gpgv'], why: 'checks signatures of package repositories', tool: 'gpgv' },
  { names: ['dpkg'], why: 'reads and builds Debian packages', tool: 'dpkg-deb' },
  { names: ['apt'], why: 'tests of sources of apt', tool: 'apt-get' },
  { names: ['createrepo-c'], why: 'metadata of merged rpm packages', tool: 'createrepo_c' },
  { names: ['dnf'], why: 'tests of served packages; a bench compares with dnf reposync', tool: 'dnf' },
  { names: ['curl'], why: 'tests of served packages', tool: 'curl' },
  { names: ['dnf-plugins-core'], why: 'a bench compares with dnf reposync' },
  { names: ['passt'], why: 'tests of the uplink', tool: 'pasta' },
  { names: ['slirp4netns'], why: 'tests of the uplink', tool: 'slirp4netns' },
  { names: ['apt-utils'], why: 'indexes of merged Debian packages', tool: 'apt-ftparchive' },
];

/** @param {Need} need @param {ReadonlySet<string>} installed */
function isPresent(need, installed) {
  return need.names.some((name) => installed.has(name));
}

/** Which of these package names dpkg has installed; undefined without dpkg. */
function installedOf(names) {
  const answer = probe(['dpkg-query', '-W', '-f=${Package} ${db:Status-Status}\n', ...names]);
  if (answer.status === null) return undefined;
  const lines = answer.stdout.split('\n').map((line) => line.split(' '));
  return new Set(lines.filter(([, status]) => status === 'installed').map(([name]) => name));
}

function onPath(tool) {
  const dirs = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin', '/usr/local/sbin'];
  return dirs.some((dir) => dir !== '' && fs.existsSync(path.join(dir, tool)));
}

/** The name of each package that apt can install here. */
function installable(needs) {
  return needs.map((need) => {
    if (need.names.length === 1) return need.names[0];
    return need.names.find((name) => /Candidate: (?!\(none\))/.test(probe(['apt-cache', 'policy', name]).stdout)) ?? need.names[0];
  });
}

/** Runs apt-get; its output is shown only when it fails. */
async function apt(...args) {
  await must(['apt-get', '-qq', ...args], {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    hint: 'Check the network and the apt sources, then start again.',
    what: `apt-get ${args[0]}`,
    quiet: true,
  });
}

/** Makes sure that apt has package lists, which are empty on fresh systems: the guest is built from packages. Only as root. */
export async function ensureAptLists() {
  if (process.getuid?.() !== 0) return;
  const answer = probe(['apt-cache', 'show', '--no-all-versions', 'linux-image-cloud-amd64']);
  if (answer.status !== null && answer.stdout === '') await apt('update');
}

/**
 * Makes sure that the system packages are installed. As root on Debian and Ubuntu it installs missing ones; otherwise the step fails with
 * the command to run. Returns a summary.
 * @param {{ tests: boolean, display: boolean }} purpose
 */
export async function ensurePackages({ tests, display }) {
  const needs = [...HYPERVISOR, ...WINDOW, ...GUEST, ...(display ? [] : NO_DISPLAY), ...(tests ? TESTS : [])];
  const installed = installedOf(needs.flatMap((need) => need.names));
  if (installed === undefined) {
    const tools = needs.filter((need) => need.tool !== undefined && !onPath(need.tool));
    if (tools.length === 0) return 'all tools found';
    throw new StepError(
      `These programs are missing: ${tools.map((need) => `${need.tool} (${need.why})`).join(', ')}.`,
      'Install them with your package manager, then start again.',
    );
  }
  const missing = needs.filter((need) => !isPresent(need, installed));
  if (missing.length === 0) return `${needs.length} packages present`;
  const listed = missing.map((need) => `${need.names[0]} (${need.why})`).join(', ');
  if (process.getuid?.() !== 0) {
    throw new StepError(
      `Missing packages: ${listed}.`,
      `Install them, then start again:\n  sudo apt-get install --no-install-recommends ${missing.map((need) => need.names[0]).join(' ')}`,
    );
  }
  note(`installing: ${listed}`);
  await apt('update');
  const names = installable(missing);
  await apt('install', '-y', '--no-install-recommends', ...names);
  // Tests start one of their own; nobody asked for one that listens on this machine.
  if (names.includes('openssh-server') && fs.existsSync('/run/systemd/system')) {
    await must(['systemctl', 'disable', '--now', 'ssh'], {
      what: 'systemctl disable ssh',
      hint: 'Stop it yourself: sudo systemctl disable --now ssh',
      quiet: true,
    });
  }
  return `${names.length} packages installed`;
}

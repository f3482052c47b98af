import { settingKey } from '../../src-shared/settings.ts';
import { ADDED_BUSES, ADDED_FORMATS } from '../../src-shared/vm-change.ts';
import type { PluginRegistry } from '../engine/index.ts';
import type { OptionSpec, PositionalSpec, ProgramSpec, VerbSpec } from './parser/table.ts';
import { verbSpecOf } from './plugin-verb.ts';
import { plainVerbs } from './verbs/plain-verb.ts';
import { REPO_VERB } from './verbs/repo/spec.ts';

/** An option whose default, choices, type and help come from the settings table. */
function setting(key: string, flags: readonly string[], metavar: string | undefined, section = 'lago'): OptionSpec {
  const found = settingKey(key, section);
  if (found === undefined) throw new Error(`There is no setting ${section}.${key}.`);
  return {
    flags,
    name: key,
    kind: found.type === 'flag' ? 'flag' : 'value',
    help: found.help,
    config: section,
    ...(metavar === undefined ? {} : { metavar }),
    ...(found.choices === undefined ? {} : { choices: found.choices }),
    ...(found.type === 'integer' || found.type === 'number' ? { type: found.type } : {}),
  };
}

const GLOBAL_OPTIONS: readonly OptionSpec[] = [
  setting('loglevel', ['-l', '--loglevel'], undefined),
  setting('logdepth', ['--logdepth'], 'N'),
  setting('log_format', ['--log-format'], undefined),
  setting('color', ['--color'], undefined),
  setting('out_format', ['-f', '--out-format'], undefined),
  setting('prefix_path', ['-p', '--prefix-path'], 'PATH'),
  setting('workdir_path', ['-w', '--workdir-path'], 'PATH'),
  setting('prefix_name', ['-P', '--prefix-name'], 'NAME'),
  setting('ssh_user', ['--ssh-user'], 'USER'),
  setting('ssh_password', ['--ssh-password'], 'PASSWORD'),
  setting('ssh_tries', ['--ssh-tries'], 'N'),
  setting('ssh_timeout', ['--ssh-timeout'], 'SECONDS'),
  setting('host', ['--host'], 'HOST'),
  setting('uplink', ['--uplink'], undefined),
  setting('accelerator', ['--accelerator'], undefined),
  setting('libvirt_url', ['--libvirt_url', '--libvirt-url'], 'URI'),
  setting('libvirt_user', ['--libvirt-user'], 'USER'),
  setting('libvirt_password', ['--libvirt-password'], 'PASSWORD'),
  setting('default_vm_type', ['--default_vm_type', '--default-vm-type'], 'TYPE'),
  setting('default_vm_provider', ['--default_vm_provider', '--default-vm-provider'], 'PROVIDER'),
  setting('default_root_password', ['--default_root_password', '--default-root-password'], 'PASSWORD'),
  setting('lease_dir', ['--lease_dir', '--lease-dir'], 'DIR'),
  setting('reposync_dir', ['--reposync-dir'], 'DIR'),
  setting('reposync_config', ['--reposync-config'], 'FILE'),
  setting('snapshot_before', ['--snapshot-before'], 'WORK'),
  setting('snapshot_keep', ['--snapshot-keep'], 'N'),
  setting('snapshot_keep_days', ['--snapshot-keep-days'], 'DAYS'),
  setting('ignore_warnings', ['--ignore-warnings'], undefined),
];

const host = (help: string): PositionalSpec => ({ name: 'host', metavar: 'HOST', arity: 'one', help, completes: 'vm' });
const initFile = (arity: 'one' | 'optional'): PositionalSpec => ({
  name: 'file',
  metavar: 'FILE',
  arity,
  help: 'The init file, JSON or YAML.',
  completes: 'file',
});

const LOCAL_PATH: PositionalSpec = {
  name: 'local_path',
  metavar: 'LOCAL_PATH',
  arity: 'one',
  help: 'A file or directory of this machine.',
  completes: 'file',
};
const REMOTE_PATH: PositionalSpec = {
  name: 'remote_path',
  metavar: 'REMOTE_PATH',
  arity: 'one',
  help: 'A file or directory of the VM, relative to the home directory of its ssh user.',
};
const COPY_RULES =
  'If the target is a directory, the copy is made in it, else under exactly that name. Modes, times and symbolic links are kept, holes of sparse files where possible; nothing incomplete is ever under its final name, and a large file that was interrupted is continued by the same command. Devices, sockets and pipes are skipped with a warning.';

function verb(name: string, summary: string, more: Partial<Omit<VerbSpec, 'name' | 'summary'>> = {}): VerbSpec {
  return { name, summary, positionals: [], options: [], examples: [], ...more };
}

const TEMPLATE_OPTIONS: readonly OptionSpec[] = [
  setting('template_repo_path', ['--template-repo-path'], 'PATH_OR_URL', 'init'),
  setting('template_repo_name', ['--template-repo-name'], 'NAME', 'init'),
  setting('template_store', ['--template-store'], 'DIR', 'init'),
  setting('template_repos', ['--template-repos'], 'DIR', 'init'),
];

const ALLOW_PATH: OptionSpec = {
  flags: ['--allow-path'],
  name: 'allow_path',
  kind: 'repeated',
  metavar: 'PATH',
  help: 'Let the init file use this file, or all files of this directory, although it lies outside of the init file’s directory. Can be given several times.',
};

const BUILD_OPTIONS: readonly OptionSpec[] = [
  {
    flags: ['--from'],
    name: 'from',
    kind: 'value',
    metavar: 'IMAGE_OR_TEMPLATE',
    help: 'build: a disk image, or a template as NAME or NAME:VERSION.',
  },
  { flags: ['--vm'], name: 'vm', kind: 'value', metavar: 'VM_NAME', help: 'build: a VM of the current prefix, whose first disk is taken.' },
  {
    flags: ['--customize'],
    name: 'customize',
    kind: 'value',
    metavar: 'FILE',
    help: 'build: steps for virt-customize, written as under "build" in an init file.',
  },
  {
    flags: ['--run'],
    name: 'run',
    kind: 'list',
    metavar: 'SCRIPT',
    help: 'build: scripts that virt-customize runs inside, after these steps.',
  },
  { flags: ['--sysprep'], name: 'sysprep', kind: 'flag', help: 'build: remove keys, logs and machine id with virt-sysprep.' },
  { flags: ['--compress'], name: 'compress', kind: 'flag', help: 'build: compress the image with xz.' },
  {
    flags: ['--repo-dir'],
    name: 'repo_dir',
    kind: 'value',
    metavar: 'DIR',
    help: 'build: directory of the repository (default ./templates).',
  },
  { flags: ['--template-version'], name: 'template_version', kind: 'value', metavar: 'VERSION', help: 'build: default is date and time.' },
];

const VERBS: readonly VerbSpec[] = [
  verb('init', 'Create an environment from an init file', {
    description:
      'With one argument that is the init file and the workdir is ./.lago; with two the first is the workdir; with none the init file is ./LagoInitFile. The new prefix is called "default", or as --prefix-name says (before the verb). Everything is checked before anything is created, and a failed init leaves nothing behind.',
    positionals: [
      { name: 'workdir', metavar: 'WORKDIR', arity: 'optional', help: 'The workdir; created if needed.', completes: 'directory' },
      { name: 'virt_config', metavar: 'VIRT_CONFIG', arity: 'optional', help: 'The init file, JSON or YAML.', completes: 'file' },
    ],
    options: [
      ...TEMPLATE_OPTIONS,
      setting('set_current', ['--set-current'], undefined, 'init'),
      setting('skip_bootstrap', ['--skip-bootstrap'], undefined, 'init'),
      setting('skip_build', ['--skip-build'], undefined, 'init'),
      ALLOW_PATH,
      {
        flags: ['--resume'],
        name: 'resume',
        kind: 'flag',
        help: 'In place of an init file, the folder of an exported snapshot: its VMs go on from there, with memory and connections.',
      },
    ],
    examples: [
      { line: 'init', does: 'Creates ./.lago/default from ./LagoInitFile.' },
      { line: '--prefix-name second init cluster.yaml --set-current', does: 'Creates ./.lago/second from cluster.yaml and selects it.' },
      { line: 'init ~/failed-run --resume', does: 'Goes on from what "lago export --snapshot" wrote on another machine.' },
      { line: 'init --allow-path ~/images cluster.yaml', does: 'Lets cluster.yaml use, and change, disk images in ~/images.' },
    ],
  }),
  ...plainVerbs(),
  verb('status', 'Show the environment: networks, VMs, addresses', {
    description: 'Prints what is defined and what is running. It only reads: it starts nothing and does not wait for a busy environment.',
    options: [
      {
        flags: ['--why'],
        name: 'why',
        kind: 'list',
        mayBeEmpty: true,
        metavar: 'VM_NAME',
        help: 'Instead, show how far the named VMs, or all, have booted, what showed it, and why one is not up yet.',
      },
    ],
    examples: [
      { line: 'status', does: 'Shows it for people.' },
      { line: 'status --why web', does: 'Says how far web has booted, and what it hangs at.' },
      { line: '--out-format flat status', does: 'One "path: value" per line, for grep.' },
      { line: '--out-format json status', does: 'For programs.' },
    ],
  }),
  verb('vm', 'Change a VM, also while it runs', {
    description:
      'At once if the VM runs, and for its later starts. "link VM NIC up|down" plugs the cable of a network card in or out; "cd VM FILE" changes the CD, "cd VM --eject" takes it out; a VM without a CD drive has one from its next start on. "add-disk VM --size 10G" adds an empty disk, "add-disk VM FILE" an image, which the guest changes; "remove-disk VM DISK" takes one out by name or device, and deletes it if "add-disk" made it. "add-nic VM NET" adds a network card with an address and names as in an init file, "remove-nic VM NIC" takes one out. Before a disk or card is removed, its guest has to let go of it. "memory VM SIZE" lets the guest of a running VM have that much of its memory, by its balloon; a VM that is off has that much from its next start on. Reverting to a snapshot brings back the devices of that moment.',
    positionals: [
      {
        name: 'change',
        metavar: 'CHANGE',
        arity: 'one',
        choices: ['link', 'cd', 'add-disk', 'remove-disk', 'add-nic', 'remove-nic', 'memory'],
        help: 'What to change.',
      },
      host('The VM.'),
      {
        name: 'args',
        metavar: 'ARG',
        arity: 'many',
        help: 'What the change needs: NIC up|down, FILE, DISK, NET, NIC (eth0 is the first), SIZE.',
      },
    ],
    options: [
      { flags: ['--eject'], name: 'eject', kind: 'flag', help: 'cd: take the CD out.' },
      { flags: ['--device'], name: 'device', kind: 'value', metavar: 'DEV', help: 'cd: the drive (hdc), if there are several.' },
      { flags: ['--size'], name: 'size', kind: 'value', metavar: 'SIZE', help: 'add-disk: size of an empty disk, 10G or 512M.' },
      {
        flags: ['--format'],
        name: 'format',
        kind: 'value',
        metavar: 'FORMAT',
        choices: ADDED_FORMATS,
        help: 'add-disk: its format; by default that of the image, else qcow2.',
      },
      {
        flags: ['--bus'],
        name: 'bus',
        kind: 'value',
        metavar: 'BUS',
        choices: ADDED_BUSES,
        help: 'add-disk: how the guest sees it, as vda (virtio, the default) or sda (scsi).',
      },
      { flags: ['--ip'], name: 'ip', kind: 'value', metavar: 'ADDRESS', help: 'add-nic: its address; by default the lowest free one.' },
      {
        ...ALLOW_PATH,
        help: 'add-disk: let the guest change this image, or images in this directory, although it lies outside of the init file’s directory. Can be given several times.',
      },
    ],
    examples: [
      { line: 'vm link web eth0 down', does: 'Lets web lose its network, as when somebody trips over the cable.' },
      { line: 'vm cd web drivers.iso', does: 'Puts a CD into its drive.' },
      { line: 'vm add-disk db --size 10G', does: 'Adds an empty disk.' },
      { line: 'vm add-nic web backend', does: 'Connects web to a second network.' },
      { line: 'vm memory db 512M', does: 'Leaves the guest half a gigabyte.' },
    ],
  }),
  verb('list', 'List the prefixes of a workdir', {
    description:
      'Prints the names, one per line; the current one is not marked. In place of the path, "prefixes" or "envs" means the nearest workdir, as in old versions.',
    positionals: [
      {
        name: 'workdir_path',
        metavar: 'WORKDIR_PATH',
        arity: 'optional',
        help: 'The workdir; by default the nearest one.',
        completes: 'directory',
      },
    ],
    options: [
      {
        flags: ['--running'],
        name: 'running',
        kind: 'flag',
        help: 'Instead, list the environments of all workdirs whose host is running, including those whose folder is gone.',
      },
    ],
    examples: [
      { line: 'list', does: 'Prints one name per line.' },
      { line: 'list --running', does: 'Prints path and process of each host that this user runs.' },
    ],
  }),
  verb('set-current', 'Select the prefix that verbs use', {
    description: 'Moves the link "current" of the workdir. Verbs use that prefix unless --prefix-name names another.',
    positionals: [
      { name: 'prefix_name', metavar: 'PREFIX_NAME', arity: 'one', help: 'One of those that "lago list" shows.', completes: 'prefix' },
    ],
    examples: [{ line: 'set-current second', does: 'Makes "second" the current prefix.' }],
  }),
  verb('shell', 'Open a shell in a VM, run a command or a script there', {
    description:
      'Waits for ssh. Without arguments it opens an interactive shell. If the only argument names a local file, that script is run in the VM. Otherwise the arguments, joined by spaces, are the command; a -c before them is allowed. Standard input goes to the command, so give "< /dev/null" in loops, as with ssh. Everything after HOST belongs to the command, and the exit code is the command’s.',
    positionals: [
      host('The VM, or the end of its name.'),
      { name: 'args', metavar: 'ARG', arity: 'rest', help: 'A local script, or a command with its arguments.' },
    ],
    examples: [
      { line: 'shell web', does: 'Interactive.' },
      { line: 'shell web -c systemctl is-active sshd', does: 'Runs a command.' },
      { line: 'shell web ./setup.sh', does: 'Runs a local script in the VM.' },
    ],
  }),
  verb('forward', 'Make ports of VMs reachable from this machine', {
    description:
      'Listens on 127.0.0.1 only, and passes each connection on to the port of the VM, until Ctrl-C or until the environment is removed. The VM need not run: while it is off, connections are closed at once. Without LOCALPORT it is the same port, or a free one if that is taken. Every user of this machine can connect.',
    positionals: [
      {
        name: 'ports',
        metavar: 'PORTS',
        arity: 'many',
        help: 'VM PORT [LOCALPORT], or VM:PORT[:LOCALPORT] once or more. "-" as LOCALPORT connects stdin and stdout, for the ProxyCommand of ssh.',
        completes: 'vm',
      },
    ],
    examples: [
      { line: 'forward web 80 8080', does: 'http://127.0.0.1:8080 is the web server in web.' },
      { line: 'forward web:80 db:5432', does: 'Two ports at once.' },
    ],
  }),
  verb('console', 'Connect to the serial console of a VM', {
    description: 'Everything typed goes to the VM. Leave with Ctrl-].',
    positionals: [host('The VM.')],
    examples: [{ line: 'console web', does: 'Shows what the VM prints on its serial port.' }],
  }),
  verb('copy-to-vm', 'Copy a file or directory into a VM', {
    description: `Directories are copied with everything in them. ${COPY_RULES}`,
    positionals: [host('The VM.'), LOCAL_PATH, REMOTE_PATH],
    examples: [
      { line: 'copy-to-vm web site /srv', does: 'Copies the directory to /srv/site.' },
      { line: 'copy-to-vm web site/. /srv/www', does: 'Adds its content to a directory that exists.' },
    ],
  }),
  verb('copy-from-vm', 'Copy a file or directory out of a VM', {
    description: `Directories are copied with everything in them. ${COPY_RULES}`,
    positionals: [host('The VM.'), REMOTE_PATH, LOCAL_PATH],
    examples: [{ line: 'copy-from-vm web /var/log logs', does: 'Copies the directory; if logs exists, to logs/log.' }],
  }),
  verb('collect', 'Collect artifacts from all VMs', {
    description:
      'Fetches the files and directories that the init file lists under "artifacts": by ssh from VMs that run, or by their guest agent where ssh does not answer, and from the disks of those that are off. DIR/VM gets each path as one entry with every "/" replaced by "_". A path that a VM does not have is reported and skipped. A VM that fails does not keep the others from finishing.',
    positionals: [{ name: 'vms', metavar: 'VM_NAME', arity: 'many', help: 'The VMs; all of them by default.', completes: 'vm' }],
    options: [
      {
        flags: ['--output'],
        name: 'output',
        kind: 'value',
        metavar: 'DIR',
        help: 'Directory to collect to; one that exists is renamed. Default: a new one in the environment, shown in the window.',
      },
      { flags: ['--no-skip'], name: 'no_skip', kind: 'flag', help: 'Fail if a VM does not have one of the paths.' },
    ],
    examples: [
      { line: 'collect', does: 'Collects from all VMs and prints the directory.' },
      { line: 'collect --output logs web', does: 'Collects from one VM to logs/web.' },
    ],
  }),
  verb('snapshot', 'Take, list, change or delete snapshots of all VMs', {
    description:
      'Saves the disks of all VMs, and the memory of those that run, at one moment. Each name can be used once. A pinned snapshot stays when several are deleted. With --dry-run nothing is changed; what would be deleted is printed, which layers would be merged, and what the disk gets back.',
    positionals: [{ name: 'snapshot_name', metavar: 'SNAPSHOT_NAME', arity: 'optional', help: 'Its name.', completes: 'snapshot' }],
    options: [
      { flags: ['-l', '--list'], name: 'list', kind: 'flag', help: 'List the snapshots instead.' },
      {
        flags: ['-t', '--tree'],
        name: 'tree',
        kind: 'flag',
        help: 'List them with what is known of each, below the one that it came from.',
      },
      {
        flags: ['--disk-only'],
        name: 'disk_only',
        kind: 'flag',
        help: 'Without memory: reverting to it leaves the VMs off, their disks as if the power had failed.',
      },
      { flags: ['--quiesce'], name: 'quiesce', kind: 'flag', help: 'With --disk-only: guests first write everything to their disks.' },
      { flags: ['-d', '--delete'], name: 'delete', kind: 'flag', help: 'Delete the snapshot of that name instead.' },
      { flags: ['--prune'], name: 'prune', kind: 'flag', help: 'Delete all snapshots that are not pinned.' },
      {
        flags: ['--branch'],
        name: 'branch',
        kind: 'value',
        metavar: 'NAME',
        help: 'With --prune: only this one, pinned or not, and what came from it.',
      },
      { flags: ['--dry-run'], name: 'dry_run', kind: 'flag', help: 'With --delete or --prune: say what that would do.' },
      { flags: ['-e', '--edit'], name: 'edit', kind: 'flag', help: 'Change what is known of the snapshot of that name instead.' },
      { flags: ['--rename'], name: 'rename', kind: 'value', metavar: 'NAME', help: 'With --edit: its new name.' },
      { flags: ['--note'], name: 'note', kind: 'value', metavar: 'TEXT', help: 'With --edit: a note about it; an empty one removes it.' },
      {
        flags: ['--tags'],
        name: 'tags',
        kind: 'list',
        mayBeEmpty: true,
        metavar: 'TAG',
        help: 'With --edit: all its tags; none removes them.',
      },
      { flags: ['--pin'], name: 'pin', kind: 'flag', help: 'With --edit: keep it when several are deleted.' },
      { flags: ['--unpin'], name: 'unpin', kind: 'flag', help: 'With --edit: do not keep it then.' },
      {
        flags: ['--accept'],
        name: 'accept',
        kind: 'flag',
        help: 'With --edit: its files are right as they are, although another program has changed them.',
      },
    ],
    examples: [
      { line: 'snapshot clean', does: 'Takes one.' },
      { line: 'snapshot --edit clean --note "All services up" --pin', does: 'Remembers why, and keeps it.' },
      { line: 'snapshot --delete clean', does: 'Deletes it; those taken after it stay.' },
      { line: 'snapshot --prune --branch try-1 --dry-run', does: 'Says what deleting a branch would do.' },
      { line: '--out-format json snapshot --list', does: 'Lists them with their disks.' },
    ],
  }),
  verb('revert', 'Take all VMs back to a snapshot', {
    description:
      'All VMs go back together. Those that were on run again, also those that were suspended. What happened since the last snapshot is lost; later snapshots stay.',
    positionals: [{ name: 'snapshot_name', metavar: 'SNAPSHOT_NAME', arity: 'one', help: 'Its name.', completes: 'snapshot' }],
    options: [
      { flags: ['--keep'], name: 'first', kind: 'value', metavar: 'NAME', help: 'Keep the present first, as a snapshot of that name.' },
      { flags: ['--dry-run'], name: 'dry_run', kind: 'flag', help: 'Only say what is lost, since when, and how each VM goes on.' },
    ],
    examples: [
      { line: 'revert clean --dry-run', does: 'Changes nothing.' },
      { line: 'revert clean', does: 'Forgets everything since that snapshot.' },
      { line: 'revert clean --keep before', does: 'Can be undone: lago revert before.' },
    ],
  }),
  verb('destroy', 'Stop everything and remove the environment', {
    description:
      'Asks first. Then it powers off all VMs, takes down the networks, releases leased subnets and removes all files. It also removes what a killed command left behind.',
    options: [
      { flags: ['-y', '--yes'], name: 'yes', kind: 'flag', help: 'Do not ask.' },
      { flags: ['--all-prefixes'], name: 'all_prefixes', kind: 'flag', help: 'Destroy every prefix of the workdir and the workdir.' },
      {
        flags: ['--orphans'],
        name: 'orphans',
        kind: 'flag',
        help: 'End the hosts, with their VMs, of environments whose folder was removed while they ran.',
      },
      {
        flags: ['--forget'],
        name: 'forget',
        kind: 'flag',
        help: 'If the other machine that the environment is on does not answer, remove what is here and tell what stays there.',
      },
    ],
    examples: [
      { line: 'destroy', does: 'Asks, then removes the current prefix.' },
      { line: 'destroy -y --all-prefixes', does: 'Removes everything below the workdir without asking.' },
    ],
  }),
  verb('validate', 'Check an init file', {
    description:
      'Runs the checks of init and prints every problem with line, column, key and what to do. Whatever would keep init from working here is an error, such as a template or file that this machine lacks. Exit code 0 without errors, 2 with.',
    positionals: [initFile('one')],
    options: [...TEMPLATE_OPTIONS, ALLOW_PATH],
    examples: [{ line: 'validate LagoInitFile', does: 'Touches nothing.' }],
  }),
  verb('plan', 'Show what init would create from an init file', {
    description: 'Prints VMs, disks, networks, addresses and downloads. Exit code 0, or 2 when the file has errors.',
    positionals: [initFile('one')],
    options: [
      {
        flags: ['--fresh-leases'],
        name: 'fresh_leases',
        kind: 'flag',
        help: 'Plan as though no subnet were leased, for results that do not depend on the machine.',
      },
      ...TEMPLATE_OPTIONS,
      ALLOW_PATH,
    ],
    examples: [{ line: '--out-format json plan --fresh-leases LagoInitFile', does: 'A result that can be compared.' }],
  }),
  verb('leases', 'Show the leased subnets, or free stale leases', {
    description:
      'Environments on a system libvirt lease their subnets from a store that all users share. A lease is stale when its environment is gone; it is taken over when somebody needs it.',
    positionals: [
      {
        name: 'action',
        metavar: 'ACTION',
        arity: 'optional',
        choices: ['list', 'free'],
        help: 'list (the default), or free: remove leases whose environment is gone.',
      },
    ],
    examples: [
      { line: 'leases', does: 'One lease per line: subnet, environment, and whether it still exists.' },
      { line: 'leases free', does: 'Frees those of environments that are gone.' },
    ],
  }),
  verb('templates', 'List, fetch, verify, evict or build templates', {
    description:
      'Without an action, or with list: every template that the repositories announce or the store holds. A version "latest" stands for the newest image of a vendor; fetching it stores it under its own version. fetch brings a template into the store. verify reads stored images again and compares their checksums. evict removes what no environment uses. build makes a template NAME from an image, another template or a VM that is off, in a repository of your own.',
    positionals: [
      {
        name: 'action',
        metavar: 'ACTION',
        arity: 'optional',
        choices: ['list', 'fetch', 'verify', 'evict', 'build'],
        help: 'list (the default), fetch, verify, evict or build.',
      },
      { name: 'templates', metavar: 'NAME[:VERSION]', arity: 'many', help: 'Templates, by name, NAME:VERSION or REPOSITORY:NAME:VERSION.' },
    ],
    options: [
      { flags: ['--unused'], name: 'unused', kind: 'flag', help: 'Evict every version that no environment uses.' },
      {
        flags: ['--older-than'],
        name: 'older_than',
        kind: 'value',
        metavar: 'DAYS',
        type: 'number',
        help: 'With --unused: only those that were not used for so long.',
      },
      ...BUILD_OPTIONS,
      ...TEMPLATE_OPTIONS,
    ],
    examples: [
      { line: 'templates', does: 'Lists name, version, size, whether it is in the store, and who uses it.' },
      { line: 'templates fetch debian-12', does: 'Downloads its newest image.' },
      { line: 'templates verify', does: 'Checks all stored images.' },
      { line: 'templates evict --unused --older-than 90', does: 'Removes what nobody used for 90 days.' },
      { line: 'templates build web-base --vm web', does: 'Makes a template from the disk of a stopped VM, in ./templates.' },
      {
        line: 'templates build el9-vim --from el9-base --customize steps.yaml --compress',
        does: 'Changes another template with virt-customize.',
      },
    ],
  }),
  verb('template-repo', 'Add or update template repositories', {
    description:
      'add clones a git repository with repository JSON files into the folder template_repos; its templates can then be used in init files. update brings all clones to the newest state of their default branch.',
    positionals: [
      { name: 'action', metavar: 'ACTION', arity: 'one', choices: ['add', 'update'], help: 'add or update.' },
      { name: 'url', metavar: 'URL', arity: 'optional', help: 'With add: the git repository.' },
    ],
    options: [setting('template_repos', ['--template-repos'], 'DIR', 'init')],
    examples: [
      { line: 'template-repo add https://git.example.com/templates.git', does: 'Clones it and prints where.' },
      { line: 'template-repo update', does: 'Updates all clones.' },
    ],
  }),
  verb('ansible_hosts', 'Print an Ansible inventory of the VMs', {
    description:
      'One section [key=value] for each key and value, and one for each group of a VM. A key may be a path into the definition: disks/0/metadata/arch.',
    options: [
      {
        flags: ['-k', '--keys'],
        name: 'keys',
        kind: 'list',
        metavar: 'KEY',
        help: 'Paths of keys in the VM definitions that make groups (default: vm-type groups vm-provider).',
      },
    ],
    examples: [{ line: 'ansible_hosts -k groups > hosts', does: 'Groups by the key "groups".' }],
  }),
  verb('changes', 'Show what changed in VMs between two snapshots, or since one', {
    description:
      'Reads the disks of both points, without starting anything, and lists files that were added (+), removed (-) or changed (~) with what of them changed, and packages of dpkg and rpm. New times alone are no change. A VM that runs is first asked to write its files to its disk. What was read between two snapshots is kept and not read again.',
    positionals: [
      { name: 'from', metavar: 'FROM', arity: 'one', help: 'A snapshot.' },
      { name: 'to', metavar: 'TO', arity: 'optional', help: 'Another snapshot; the present by default.' },
    ],
    options: [
      { flags: ['--vm'], name: 'vm', kind: 'repeated', metavar: 'VM_NAME', help: 'Only this VM. Can be given several times.' },
      { flags: ['--packages'], name: 'packages', kind: 'flag', help: 'Only packages.' },
      {
        flags: ['--diff'],
        name: 'diff',
        kind: 'value',
        metavar: 'PATH',
        help: 'Show how the text of this file changed instead; needs --vm if there are several VMs.',
      },
    ],
    examples: [
      { line: 'changes clean', does: 'Lists what changed in all VMs since that snapshot.' },
      { line: 'changes --vm web clean upgraded', does: 'Lists what changed in one VM between two snapshots.' },
      { line: 'changes --vm web --diff /etc/hosts clean', does: 'Shows what changed in one file.' },
      { line: '--out-format json changes clean', does: 'For programs.' },
    ],
  }),
  verb('fork', 'Make a second environment that goes on from this one', {
    description:
      "The fork has the processes, memory and addresses of this environment's VMs as they are now, or as they were in a snapshot, and runs beside it on a host of its own. Nothing is copied: the disks share what both have. From then on they are two environments, which can be destroyed in any order.",
    positionals: [
      {
        name: 'names',
        metavar: 'NAME',
        arity: 'many',
        help: 'The snapshot to begin with, if not the present, and the name of the fork.',
      },
    ],
    options: [
      {
        flags: ['--count'],
        name: 'count',
        kind: 'value',
        metavar: 'N',
        type: 'integer',
        help: 'Make several, NAME-1 to NAME-N, all of the same moment.',
      },
    ],
    examples: [
      { line: 'fork try-upgrade', does: 'Goes on in a second environment, too.' },
      { line: 'fork clean run-2', does: 'Begins a second environment with the snapshot “clean”.' },
      { line: 'fork --count 5 clean run', does: 'Five environments for tests that run at the same time: run-1 to run-5.' },
    ],
  }),
  verb('export', 'Export disks and an init file that recreates the environment', {
    description:
      'All VMs that are exported must be off. Each disk gets its SHA-1 (.hash) and what is known of it (.metadata) beside it; "lago init" recreates the environment from the init file, or from the directory. Without --standalone a disk that is a layer on a template stays one: it is small, and needs that template where it is used. With it, each disk is merged with everything below it. VMs and disks with skip-export are left out. Nothing is overwritten, and a failed export leaves nothing. With --snapshot, a snapshot of the whole environment is exported instead, with memory, keys and all images below its disks, while the VMs may run; "lago init DIR --resume" goes on from it, also on another machine.',
    positionals: [],
    options: [
      {
        flags: ['--snapshot'],
        name: 'snapshot',
        kind: 'value',
        metavar: 'NAME',
        help: 'Export this snapshot, to a new folder (DIR; by default named after the prefix and the snapshot).',
      },
      { flags: ['-n', '--vm-names'], name: 'vm_names', kind: 'list', metavar: 'VM_NAME', help: 'The VMs; all of them by default.' },
      { flags: ['-s', '--standalone'], name: 'standalone', kind: 'flag', help: 'Merge each disk with the images below it.' },
      { flags: ['-c', '--compress'], name: 'compress', kind: 'flag', help: 'Compress the disks with xz.' },
      setting('dst_dir', ['-d', '--dst-dir'], 'DIR', 'export'),
      setting('init_file_name', ['--init-file-name'], 'NAME', 'export'),
      setting('sparsify', ['--sparsify'], undefined, 'export'),
      {
        flags: ['--collect-only'],
        name: 'collect_only',
        kind: 'flag',
        help: 'Print which disks would be exported, as {VM: [PATH]}, and export nothing.',
      },
      { flags: ['--without-threads'], name: 'without_threads', kind: 'flag', help: 'Accepted as in Lago; has no effect.' },
    ],
    examples: [
      { line: 'export -d ../handover', does: 'Small: the disks need their templates where they are used.' },
      { line: 'export --standalone --compress -d ../handover', does: 'Needs nothing else.' },
      {
        line: 'export --snapshot failed -d ../failed-run',
        does: 'Processes, memory and connections too: hand over a running environment.',
      },
      { line: '--out-format json export --collect-only -n web', does: 'Lists the disks of one VM.' },
    ],
  }),
  verb('generate-config', 'Print the effective configuration as a lago.conf', {
    description:
      'Files, environment and command line together, each key with a comment. Reading the result back gives the same configuration.',
    options: [{ flags: ['--verbose'], name: 'verbose', kind: 'flag', help: 'Also list keys that have no value, commented out.' }],
    examples: [{ line: 'generate-config > ~/.config/lago/lago.conf', does: 'Makes a file to edit.' }],
  }),
  verb('completion', 'Print a completion script for a shell', {
    description: 'It completes verbs, options and their values, files, and the names of VMs, prefixes and snapshots.',
    positionals: [{ name: 'shell', metavar: 'SHELL', arity: 'one', choices: ['bash', 'zsh', 'fish'], help: 'bash, zsh or fish.' }],
    examples: [
      { line: 'completion bash > /etc/bash_completion.d/lago', does: 'For all users of bash.' },
      { line: 'completion fish > ~/.config/fish/completions/lago.fish', does: 'For fish.' },
    ],
  }),
  verb('man', 'Print the manual page', {
    description: 'lago(1) as troff, made from the same table as this help.',
    examples: [{ line: 'man > lago.1', does: 'Read it with "man ./lago.1".' }],
  }),
  REPO_VERB,
];

/** Names that plugins may not use for their verbs. */
export function ownVerbs(): readonly string[] {
  return VERBS.map((one) => one.name);
}

/** The whole command line including plugins: the source of parsing, help, completion and the manual page. */
export function program(version: string, plugins: PluginRegistry): ProgramSpec {
  const added = plugins.list('cli').map(verbSpecOf);
  const formats = plugins.list('output').map((format) => format.name);
  return {
    name: 'lago',
    version,
    description:
      'Ad-hoc virtual environments: several VMs and networks from one init file. Verbs work on the current prefix of the nearest workdir (./.lago here or above).',
    options: GLOBAL_OPTIONS.map((option) => (option.name === 'out_format' ? { ...option, choices: formats } : option)),
    verbs: [...VERBS, ...added],
  };
}

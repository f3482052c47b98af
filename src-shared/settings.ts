/**
 * Every key of lago.conf: the one list that the options of the command line, the environment variables, `generate-config` and
 * docs/configuration.md are made from. No zod here: the command line reads this file at each start.
 */
export interface SettingKey {
  /** `lago` for global options, otherwise the verb that the option belongs to. */
  readonly section: string;
  /** Name in lago.conf, in lower case. */
  readonly key: string;
  readonly type: 'text' | 'integer' | 'number' | 'flag';
  /** Built-in default as written in the file; undefined when there is none. */
  readonly default: string | undefined;
  readonly choices?: readonly string[];
  readonly help: string;
  /** A number that must be greater than 0. */
  readonly positive?: boolean;
  /** Plugins may add choices, so the value is checked after plugins are loaded. */
  readonly extensible?: boolean;
  /** Never printed in logs. */
  readonly secret?: boolean;
}

const lago = (
  key: string,
  type: SettingKey['type'],
  fallback: string | undefined,
  help: string,
  more: Partial<SettingKey> = {},
): SettingKey => ({
  section: 'lago',
  key,
  type,
  default: fallback,
  help,
  ...more,
});

const init = (key: string, type: SettingKey['type'], fallback: string | undefined, help: string): SettingKey => ({
  section: 'init',
  key,
  type,
  default: fallback,
  help,
});

const exporting = (key: string, fallback: string, help: string, choices?: readonly string[]): SettingKey => ({
  section: 'export',
  key,
  type: 'text',
  default: fallback,
  help,
  ...(choices === undefined ? {} : { choices }),
});

/** All keys, in the order in which `generate-config` prints them. */
export const SETTINGS: readonly SettingKey[] = [
  lago('loglevel', 'text', 'info', 'Log level to use.', { choices: ['info', 'debug', 'error', 'warning'] }),
  lago('logdepth', 'integer', '3', 'How many task levels to show; -1 shows all.'),
  lago('log_format', 'text', 'text', 'How progress is written to stderr: text for people, json for programs (one object a line).', {
    choices: ['text', 'json'],
  }),
  lago('color', 'text', 'auto', 'When to use colours on stderr: auto means only on a terminal.', { choices: ['auto', 'always', 'never'] }),
  lago('out_format', 'text', 'default', 'Format of the printed information.', {
    choices: ['default', 'flat', 'json', 'yaml'],
    extensible: true,
  }),
  lago('prefix_path', 'text', undefined, 'Path of the prefix to use. Deprecated, use the workdir and the prefix name.'),
  lago('workdir_path', 'text', undefined, 'Path of the workdir to use; by default the nearest one above the current directory.'),
  lago('prefix_name', 'text', 'current', 'Name of the prefix inside the workdir.'),
  lago('ssh_user', 'text', 'root', 'User for ssh connections to the VMs.'),
  lago('ssh_password', 'text', '123456', 'Password for ssh connections to the VMs.', { secret: true }),
  lago('ssh_tries', 'integer', '100', 'How many times to try to log in to a VM whose ssh answers, a second apart.', { positive: true }),
  lago('ssh_timeout', 'number', '10', 'Seconds to wait for an answer to each attempt to connect to ssh.', { positive: true }),
  lago(
    'host',
    'text',
    'embedded',
    'Where environments run: embedded gives each one a private libvirt of its own, ssh://user@machine does so on that machine, a libvirt URI uses that libvirt.',
  ),
  lago('uplink', 'text', 'auto', 'Whether VMs on an embedded host reach the outside: auto if the machine allows it, none never.', {
    choices: ['auto', 'none'],
  }),
  lago(
    'accelerator',
    'text',
    'auto',
    'How CPUs are emulated: kvm needs /dev/kvm, tcg works everywhere and is slow, auto takes the better one.',
    {
      choices: ['auto', 'kvm', 'tcg'],
    },
  ),
  lago('libvirt_url', 'text', undefined, 'URI of a libvirt to use instead of an embedded host, as qemu:///system.'),
  lago('libvirt_user', 'text', undefined, 'Accepted as in Lago, without effect: local sockets of libvirt ask for no user.'),
  lago('libvirt_password', 'text', undefined, 'Accepted as in Lago, without effect: local sockets of libvirt ask for no password.', {
    secret: true,
  }),
  lago('default_vm_type', 'text', 'default', 'VM type of VMs that name none.'),
  lago('default_vm_provider', 'text', 'local-libvirt', 'VM provider of VMs that name none.'),
  lago('default_root_password', 'text', undefined, 'Root password of VMs that name none.', { secret: true }),
  lago('lease_dir', 'text', '/var/lib/lago/subnets', 'Directory with the leases of subnets on a system libvirt.'),
  lago('reposync_dir', 'text', '/var/lib/lago/reposync', 'Directory with the synchronised package repositories.'),
  lago('reposync_config', 'text', undefined, 'Yum configuration of the package repositories to synchronise.'),
  lago(
    'snapshot_before',
    'text',
    undefined,
    'Before what a snapshot is taken automatically: revert, deploy, vm (a change by "lago vm"), or several of these, separated by spaces or commas.',
  ),
  lago(
    'snapshot_keep',
    'integer',
    undefined,
    'How many automatic snapshots are kept, where the init file has no snapshot-keep: the oldest are deleted when another one is taken, unless they are pinned. By default all are.',
    { positive: true },
  ),
  lago('snapshot_keep_days', 'number', undefined, 'For how many days automatic snapshots are kept, in the same way.', { positive: true }),
  lago('plugins', 'text', undefined, 'Plugins to load: paths or package names, separated by spaces, commas or newlines.'),
  lago('ignore_warnings', 'flag', undefined, 'Do not show warnings.'),
  init('template_repo_path', 'text', undefined, 'Path or URL of the template repository; without it the one that comes with Lago Desktop.'),
  init('template_repo_name', 'text', undefined, 'Name of the template repository to use, one of those below template_repos.'),
  init('template_store', 'text', '/var/lib/lago/store', 'Directory in which downloaded templates are kept.'),
  init('template_repos', 'text', '/var/lib/lago/repos', 'Directory with template repositories.'),
  init('set_current', 'flag', undefined, 'Make the new prefix the current one.'),
  init('skip_bootstrap', 'flag', undefined, 'Do not personalise the disks at their first use.'),
  init('skip_build', 'flag', undefined, 'Do not run the build steps of disks.'),
  exporting('dst_dir', '.', 'Directory to which disks and init file are exported; made when it is not there.'),
  exporting('init_file_name', 'LagoInitFile', 'Name of the init file in that directory.'),
  exporting(
    'sparsify',
    'auto',
    'Whether virt-sparsify drops what the file systems of the disks do not use: auto where it is installed and KVM works, always, never. What is zero is dropped in any case.',
    ['auto', 'always', 'never'],
  ),
];

/** The description of a key; undefined for a plugin's key. */
export function settingKey(key: string, section = 'lago'): SettingKey | undefined {
  return SETTINGS.find((setting) => setting.section === section && setting.key === key);
}

/** The environment variable for a key: `LAGO_NAME`, or `LAGO__SECTION__NAME` for a verb's option. */
export function environmentName(setting: { readonly section: string; readonly key: string }): string {
  const name = setting.key.toUpperCase();
  return setting.section === 'lago' ? `LAGO_${name}` : `LAGO__${setting.section.toUpperCase()}__${name}`;
}

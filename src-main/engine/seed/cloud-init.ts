import { stringify } from 'yaml';
import { EngineError } from '../../../src-shared/errors.ts';
import { type IsoFile, writeIso } from './iso9660.ts';
import { sha512Crypt } from './sha512-crypt.ts';

/** A cloud-config mapping as written in an init file. */
export type CloudConfig = Readonly<Record<string, unknown>>;

export interface NocloudSeed {
  /** Without a domain. */
  readonly hostname: string;
  /** cloud-init runs once per instance id: a new id customizes the disk again. */
  readonly instanceId: string;
  /** One line of `authorized_keys` for root. */
  readonly publicKey: string;
  /** In clear text; only its hash gets into the image. Without it root keeps the template's password. */
  readonly rootPassword?: string | undefined;
  /** Whether root may log in by ssh with that password too, which sshd of nearly all vendors' images refuses. */
  readonly sshByPassword?: boolean;
  /** The VM's own `cloud-init.user-data`, merged into the defaults: mappings key by key, everything else replaces. */
  readonly userData?: CloudConfig | undefined;
  /** The same for `cloud-init.meta-data`. */
  readonly metaData?: CloudConfig | undefined;
  /** Shell scripts that root runs at each boot, before other services. They have to do nothing the second time. */
  readonly bootScripts?: readonly string[];
  /** `network-config` (version 1 or 2); without it the guest uses its distribution's default, DHCP. */
  readonly networkConfig?: CloudConfig | undefined;
  /** Salt of the password's hash; only for reproducible bytes. */
  readonly salt?: string;
}

/**
 * Scripts run as vendor data, since the user's own lists (`write_files`, `bootcmd`) replace those of the defaults, and as a boot hook, which
 * comes before sshd and before packages are installed. Each in a shell of its own, for its variables.
 */
function bootHook(scripts: readonly string[]): string {
  return `#cloud-boothook\n#!/bin/sh\n${scripts.map((script) => `(\n${script})\n`).join('')}`;
}

/**
 * sshd takes the first value that it reads: the folder's files in order, where the main file includes them at its beginning.
 * A distribution that keeps the main file in /usr has none in /etc.
 */
const ALLOW_ROOT_PASSWORD = `config=/etc/ssh/sshd_config
line='PermitRootLogin yes'
if [ -d $config.d ] && { [ ! -e $config ] || grep -Eqi '^[[:space:]]*Include[[:space:]]+"?/etc/ssh/sshd_config\\.d/' $config; }; then
  echo "$line" >$config.d/00-root-password.conf
elif [ -e $config ] && [ "$(head -n 1 $config)" != "$line" ]; then
  sed -i "1i $line" $config
fi
`;

/**
 * The bytes of a NoCloud seed: an ISO image labelled `cidata` with `meta-data`, `user-data` and optionally `network-config` and
 * `vendor-data`, to be attached as a read-only disk. By default it sets the host name, allows root login by key (and by password if given),
 * and generates only an ed25519 host key, since RSA keys cost 15 s of a first boot without hardware virtualization. It holds a password hash
 * and perhaps the user's own secrets: keep the file 0600.
 */
export function nocloudSeed(seed: NocloudSeed): Uint8Array {
  return writeIso('cidata', nocloudFiles(seed));
}

/** The files of `nocloudSeed`. */
export function nocloudFiles(seed: NocloudSeed): readonly IsoFile[] {
  const { hostname, instanceId, rootPassword, sshByPassword = false } = seed;
  const publicKey = seed.publicKey.trim();
  if (publicKey.includes('\n')) throw new EngineError('internal', 'A seed takes one public key, in one line.');
  const metaData = merge({ 'instance-id': instanceId, 'local-hostname': hostname }, seed.metaData ?? {});
  const userData = merge(
    {
      hostname,
      disable_root: false,
      ssh_pwauth: true,
      ssh_genkeytypes: ['ed25519'],
      // "default" keeps the user of the distribution's image.
      users: ['default', { name: 'root', lock_passwd: false, ssh_authorized_keys: [publicKey] }],
      ssh_authorized_keys: [publicKey],
      ...(rootPassword === undefined ? {} : { chpasswd: passwordOf(rootPassword, seed.salt) }),
    },
    seed.userData ?? {},
  );
  const files: IsoFile[] = [
    { name: 'meta-data', content: yaml(metaData) },
    { name: 'user-data', content: `#cloud-config\n${yaml(userData)}` },
  ];
  // Who disables root, or password logins, in the init file's own user data wants it so.
  const rootMayUsePassword = sshByPassword && userData['disable_root'] === false && userData['ssh_pwauth'] === true;
  const scripts = [...(rootPassword !== undefined && rootMayUsePassword ? [ALLOW_ROOT_PASSWORD] : []), ...(seed.bootScripts ?? [])];
  if (scripts.length > 0) files.push({ name: 'vendor-data', content: bootHook(scripts) });
  if (seed.networkConfig !== undefined) files.push({ name: 'network-config', content: yaml(seed.networkConfig) });
  return files;
}

/**
 * cloud-init before 22.2 knows only `list`; newer versions call it deprecated but accept it. Templates may have any version, so both forms
 * are written.
 */
function passwordOf(password: string, salt: string | undefined): CloudConfig {
  const hash = salt === undefined ? sha512Crypt(password) : sha512Crypt(password, salt);
  return { expire: false, users: [{ name: 'root', password: hash, type: 'hash' }], list: `root:${hash}\n` };
}

/** Simple readers need long keys on one line, and shared values must not become anchors. */
function yaml(value: CloudConfig): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

function isMapping(value: unknown): value is CloudConfig {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Merges `over` into `base`: mappings key by key, anything else replaces; null removes a default. */
function merge(base: CloudConfig, over: CloudConfig): CloudConfig {
  const result = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(over)) {
    const below = result.get(key);
    if (value === null) result.delete(key);
    else result.set(key, isMapping(below) && isMapping(value) ? merge(below, value) : value);
  }
  return Object.fromEntries(result);
}
